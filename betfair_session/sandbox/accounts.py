"""Accounts, and what becomes of a login to one: credentials, certificates, locks and bans.

The facts are those of Betfair's pages on non-interactive and interactive login and on its login
limits. Pure state without a network, so that the rules can be read, and tested, by themselves.
"""

from __future__ import annotations

import hmac
import re
from collections import deque
from dataclasses import dataclass, field, replace
from ssl import PEM_cert_to_DER_cert
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sessions import Clock, Sessions, Settings

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_MINUTE = 60.0


@dataclass
class Account:
    """One account holder.

    Attributes:
        username: the login name.
        password: the password.
        certificates: the uploaded client certificates, as DER.
        two_step: the code that an interactive login has to append to the password, or None.
        wrong: wrong passwords since the last right one.
        logins: virtual times of the successful logins of the last minute.
        banned_until: virtual time.
    """

    username: str
    password: str = field(repr=False)
    certificates: frozenset[bytes] = field(default=frozenset(), repr=False)
    two_step: str | None = field(default=None, repr=False)
    wrong: int = 0
    logins: deque[float] = field(default_factory=deque)
    banned_until: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """How a login ended.

    Attributes:
        code: SUCCESS, or the reason why not.
        token: the session token, where one was issued.
        status: the status field of an interactive answer.
    """

    code: str
    token: str | None = field(default=None, repr=False)
    status: str = "FAIL"


@dataclass
class _OnDemand:
    code: str
    status: str
    times: int | None


def der_of(pem: str) -> bytes:
    """Return the first certificate in a PEM text as DER; ValueError when there is none."""
    found = _CERTIFICATE.search(pem)
    if not found:
        message = "this text holds no PEM certificate"
        raise ValueError(message)
    return PEM_cert_to_DER_cert(found.group())


class Accounts:
    """All accounts, and the logins to them."""

    def __init__(self, home: Account, clock: Clock, settings: Settings, sessions: Sessions) -> None:
        """Start with one account, the default wherever a username may be left out."""
        self._home = home
        self._clock = clock
        self._settings = settings
        self._sessions = sessions
        self.reset()

    def reset(self) -> None:
        """Go back to the default account alone, as it was."""
        self._accounts = {self._home.username: replace(self._home, logins=deque())}
        self._on_demand: _OnDemand | None = None

    def passwords(self) -> list[str]:
        """Return every account's password, to look for them where they do not belong."""
        return [account.password for account in self._accounts.values()]

    def account(self, username: str | None = None) -> Account:
        """Return one account; ValueError when there is none of that name."""
        account = self._accounts.get(username or self._home.username)
        if account is None:
            message = "there is no such account"
            raise ValueError(message)
        return account

    def add_account(self, username: str, password: str, two_step: str | None = None) -> None:
        """Add an account without certificates, or replace one."""
        self._accounts[username] = Account(username, password, two_step=two_step)

    def set_two_step(self, code: str | None, username: str | None = None) -> None:
        """Ask interactive logins to an account for a two-step code (None: no longer)."""
        self.account(username).two_step = code

    def upload_certificate(self, pem: str, username: str | None = None) -> None:
        """Take a client certificate, as PEM text, for an account."""
        self.account(username).certificates |= {der_of(pem)}

    def remove_certificates(self, username: str | None = None) -> None:
        """Forget every certificate of an account."""
        self.account(username).certificates = frozenset()

    def login_status(
        self, code: str | None, times: int | None = None, status: str | None = None
    ) -> None:
        """Answer the next logins with a code on demand, before credentials are looked at.

        Args:
            code: a login status, or None to stop.
            times: for how many logins; None for all.
            status: the status field of interactive answers: FAIL unless given or itself the code.
                With LIMITED_ACCESS right credentials get a token, as at Betfair.
        """
        if code is None:
            self._on_demand = None
            return
        named = code if code in ("LIMITED_ACCESS", "LOGIN_RESTRICTED") else "FAIL"
        self._on_demand = _OnDemand(code, status or named, times)

    def certlogin(self, username: str, password: str, certificate: bytes | None) -> Verdict:
        """Log in with a client certificate: its DER, or None when the connection had none."""
        if demanded := self._demanded():
            return Verdict(demanded.code)
        account = self._accounts.get(username)
        if certificate is None or (account and certificate not in account.certificates):
            return Verdict("CERT_AUTH_REQUIRED")
        return self._admit(account, password, code=None)

    def login(self, username: str, password: str) -> Verdict:
        """Log in interactively; a two-step code follows the password directly."""
        demanded = self._demanded()
        if demanded and demanded.status != "LIMITED_ACCESS":
            return Verdict(demanded.code, status=demanded.status)
        account = self._accounts.get(username)
        verdict = self._admit(account, password, code=account.two_step if account else None)
        if demanded and verdict.token:
            return replace(verdict, code=demanded.code, status="LIMITED_ACCESS")
        return verdict

    def _demanded(self) -> _OnDemand | None:
        demanded = self._on_demand
        if demanded and demanded.times is not None:
            demanded.times -= 1
            if demanded.times <= 0:
                self._on_demand = None
        return demanded

    def _admit(self, account: Account | None, password: str, *, code: str | None) -> Verdict:
        if account is None:
            return Verdict("INVALID_USERNAME_OR_PASSWORD")
        if self._clock.now() < account.banned_until:
            return Verdict("TEMPORARY_BAN_TOO_MANY_REQUESTS")
        if account.wrong >= self._settings.lock_after:
            return Verdict("ACCOUNT_ALREADY_LOCKED")
        if hmac.compare_digest(password.encode(), (account.password + (code or "")).encode()):
            account.wrong = 0
            return self._within_limit(account)
        if code and password.startswith(account.password):
            without = password == account.password
            return Verdict("STRONG_AUTH_CODE_REQUIRED" if without else "STRONG_CODE_FAIL")
        account.wrong += 1
        locked = account.wrong >= self._settings.lock_after
        return Verdict("ACCOUNT_NOW_LOCKED" if locked else "INVALID_USERNAME_OR_PASSWORD")

    def _within_limit(self, account: Account) -> Verdict:
        now = self._clock.now()
        while account.logins and account.logins[0] <= now - _MINUTE:
            account.logins.popleft()
        if len(account.logins) >= self._settings.logins_per_minute:
            account.banned_until = now + self._settings.ban_seconds
            return Verdict("TEMPORARY_BAN_TOO_MANY_REQUESTS")
        account.logins.append(now)
        return Verdict("SUCCESS", self._sessions.issue(account.username), "SUCCESS")
