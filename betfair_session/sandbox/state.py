"""Sessions, accounts, and what becomes of a login: credentials, certificates, locks and bans.

The facts are those of Betfair's pages on non-interactive and interactive login and on its login
limits. Pure state by a virtual clock, without a network.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from base64 import b64encode
from collections import deque
from dataclasses import dataclass, field, replace
from ssl import PEM_cert_to_DER_cert

from .records import Session

_TOKEN = re.compile(r"[A-Za-z0-9+/]{43}=")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_MINUTE_SECONDS = 60.0


@dataclass
class Settings:
    """What a test may turn; `Controls.configure` explains each."""

    session_seconds: float = 12 * 3600
    logins_per_minute: float = 100
    ban_seconds: float = 20 * 60
    lock_after: float = 5
    login_seconds: float = 0
    delay: float = 0

    def configure(self, **values: float) -> None:
        """Change some settings; a name that is none raises TypeError."""
        for name, value in vars(replace(self, **values)).items():
            setattr(self, name, value)


class Clock:
    """Real time plus an offset that tests turn, so that nobody waits for an expiry."""

    def __init__(self) -> None:
        """Start at the real time."""
        self._offset = 0.0
        # Never backwards, whatever happens to the machine's wall clock.
        self._epoch = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the virtual time in seconds since the epoch."""
        return self._epoch + time.monotonic() + self._offset

    def set_time_offset(self, seconds: float) -> None:
        """Set how far the virtual clock is ahead of the real one."""
        self._offset = seconds

    def advance(self, seconds: float) -> None:
        """Turn the virtual clock forward."""
        self._offset += seconds


class Sessions:
    """Every session token, and whether it is alive."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        """Start without any."""
        self._clock = clock
        self._settings = settings
        self._known: dict[str, Session] = {}

    def issue(self, username: str) -> str:
        """Make a session and return its token: 44 base64 characters that end in '='."""
        token = b64encode(secrets.token_bytes(32)).decode("ascii")
        now = self._clock.now()
        self._known[token] = Session(token, username, now, now)
        return token

    def find(self, token: str) -> Session | None:
        """Return a live session, or None."""
        session = self._known.get(token)
        if session and self._clock.now() >= session.kept_alive + self._settings.session_seconds:
            del self._known[session.token]
            return None
        return session

    def live(self) -> list[Session]:
        """Return the live sessions, oldest first."""
        return [session for token in list(self._known) if (session := self.find(token))]

    def keep_alive(self, token: str) -> str:
        """Extend a session; return SUCCESS, NO_SESSION or INPUT_VALIDATION_ERROR."""
        if token and not _TOKEN.fullmatch(token):
            return "INPUT_VALIDATION_ERROR"
        session = self.find(token)
        if session is None:
            return "NO_SESSION"
        session.kept_alive = self._clock.now()
        return "SUCCESS"

    def logout(self, token: str) -> str:
        """End a session; return the same codes as `keep_alive`."""
        code = self.keep_alive(token)
        self.expire(token)
        return code

    def rotate(self, token: str) -> str:
        """Give a session another token; the old one is dead."""
        return self.issue(self._known.pop(token).username)

    def expire(self, token: str) -> bool:
        """End one session; return whether there was one."""
        return self._known.pop(token, None) is not None

    def expire_all(self) -> int:
        """End every session; return how many were alive."""
        ended = len(self.live())
        self._known.clear()
        return ended


@dataclass
class Account:
    """One account holder; certificates are DER, times virtual."""

    username: str
    password: str = field(repr=False)
    certificates: frozenset[bytes] = field(default=frozenset(), repr=False)
    two_step: str | None = field(default=None, repr=False)
    wrong: int = 0  # passwords since the last right one
    logins: deque[float] = field(default_factory=deque)  # the successful ones of the last minute
    banned_until: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """How a login ended; the status is that of an interactive answer."""

    code: str
    token: str = field(default="", repr=False)
    status: str = "FAIL"


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
        self._home = home.username
        self._clock = clock
        self._settings = settings
        self._sessions = sessions
        self._accounts = {home.username: home}
        self._demanded: Verdict | None = None
        self._demands: int | None = None

    def passwords(self) -> list[str]:
        """Return every account's password, to look for them where they do not belong."""
        return [account.password for account in self._accounts.values()]

    def account(self, username: str | None = None) -> Account:
        """Return one account; ValueError when there is none of that name."""
        account = self._accounts.get(username or self._home)
        if account is None:
            message = "there is no such account"
            raise ValueError(message)
        return account

    def add_account(self, username: str, password: str, two_step: str | None) -> None:
        """Add an account without certificates, or replace one."""
        self._accounts[username] = Account(username, password, two_step=two_step)

    def set_two_step(self, code: str | None, username: str | None) -> None:
        """Ask interactive logins to an account for a two-step code (None: no longer)."""
        self.account(username).two_step = code

    def upload_certificate(self, pem: str, username: str | None) -> None:
        """Take a client certificate, as PEM text, for an account."""
        self.account(username).certificates |= {der_of(pem)}

    def remove_certificates(self, username: str | None) -> None:
        """Forget every certificate of an account."""
        self.account(username).certificates = frozenset()

    def login_status(self, code: str | None, times: int | None, status: str | None) -> None:
        """Answer the next logins with a code on demand, before credentials are looked at."""
        named = code if code in ("LIMITED_ACCESS", "LOGIN_RESTRICTED") else "FAIL"
        self._demanded = Verdict(code, status=status or named) if code else None
        self._demands = times

    def certlogin(self, username: str, password: str, certificate: bytes | None) -> Verdict:
        """Log in with a client certificate: its DER, or None when the connection had none."""
        if demanded := self._demand():
            return demanded
        account = self._accounts.get(username)
        if certificate is None or (account and certificate not in account.certificates):
            return Verdict("CERT_AUTH_REQUIRED")
        return self._admit(account, password, code=None)

    def login(self, username: str, password: str) -> Verdict:
        """Log in interactively; a two-step code follows the password directly."""
        demanded = self._demand()
        if demanded and demanded.status != "LIMITED_ACCESS":
            return demanded
        account = self._accounts.get(username)
        verdict = self._admit(account, password, code=account.two_step if account else None)
        if demanded and verdict.token:
            return replace(demanded, token=verdict.token)
        return verdict

    def _demand(self) -> Verdict | None:
        demanded = self._demanded
        if demanded and self._demands is not None:
            self._demands -= 1
            if self._demands <= 0:
                self._demanded = None
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
        while account.logins and account.logins[0] <= now - _MINUTE_SECONDS:
            account.logins.popleft()
        if len(account.logins) >= self._settings.logins_per_minute:
            account.banned_until = now + self._settings.ban_seconds
            return Verdict("TEMPORARY_BAN_TOO_MANY_REQUESTS")
        account.logins.append(now)
        return Verdict("SUCCESS", self._sessions.issue(account.username), "SUCCESS")
