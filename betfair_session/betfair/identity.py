"""Betfair's identity service: certlogin, keepAlive and logout."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from betfair_session.arguments import checked_proxies, checked_seconds, checked_verify, https_base
from betfair_session.certificates import Certificate
from betfair_session.exceptions import ConfigurationError, IdentityUnavailable
from betfair_session.process import clocks
from betfair_session.process.closing import Closable
from betfair_session.process.threads import interruption
from betfair_session.secret import Secret, check_credential
from betfair_session.tokens import is_token

from .endpoint import Endpoint
from .jurisdictions import jurisdiction as find_jurisdiction
from .transport import NoAnswerError, Transport

if TYPE_CHECKING:
    import os
    import ssl
    from collections.abc import Callable, Mapping

    import requests

    from betfair_session.certificates.reading import StrPath
    from betfair_session.process.clocks import Times

    from .answer import Answer
    from .jurisdictions import Jurisdiction
    from .transport import Sendable

_log = logging.getLogger("betfair_session.betfair.identity")


class Check(NamedTuple):
    """What `IdentityClient.check` found out.

    Attributes:
        state: "alive", "dead" or "unknown" (Betfair cannot tell).
        token: the token to use from now on when alive, else None; `reveal()` gives the text.
        verified_at: the `time.monotonic` at which Betfair was asked, or None when unknown.
        expires_at: the `time.monotonic` at about which the session ends unless it is kept alive,
            by the jurisdiction's usual length; None where that is not known. That clock may stand
            still while a machine sleeps; see `expired`.
        error: why Betfair cannot tell.
        ends: the same moment as `expires_at` by a steady clock and by the wall clock; None where
            it is not known. Either may stand still or step, so `expired` looks at both.
    """

    state: str
    token: Secret | None = None
    verified_at: float | None = None
    expires_at: float | None = None
    error: IdentityUnavailable | None = None
    ends: Times | None = None

    @property
    def expired(self) -> bool:
        """Whether `expires_at` is over, any sleep of the machine included; False if unknown."""
        return self.ends is not None and clocks.reached(self.ends)


class IdentityClient(Closable):
    """A client for one account's identity endpoints; safe to share between threads.

    Attributes:
        timeout: seconds that one operation may take.

    Example:
        >>> IdentityClient("app-key", certificate=("client.crt", "client.key"))
        IdentityClient(jurisdiction='international')
    """

    def __init__(
        self,
        app_key: str | Secret,
        certificate: Certificate | StrPath | tuple[StrPath, StrPath] | bytes | None = None,
        jurisdiction: str = "international",
        *,
        identity_url: str | None = None,
        identity_cert_url: str | None = None,
        verify: bool | str | os.PathLike[str] = True,
        timeout: float = 10.0,
        proxies: Mapping[str, str] | None = None,
        session: requests.Session | None = None,
    ) -> None:
        """Prepare a client; no connection is opened and no certificate read yet.

        Args:
            app_key: the application key, sent as X-Application.
            certificate: the client certificate for logins: a (crt, key) pair of paths, the path of
                a .pem or .p12, bytes, or a Certificate. None for a client that never logs in.
            jurisdiction: whose hosts to use, a name from `betfair_session.betfair.jurisdictions`.
            identity_url: base of login, keepAlive and logout in place of the jurisdiction's, such
                as "https://localhost:8443/api/".
            identity_cert_url: base of certlogin in place of the jurisdiction's.
            verify: True, or the path of a CA bundle to trust. It cannot be switched off.
            timeout: seconds that one operation may take, its repetitions included.
            proxies: as in requests; None takes them from the environment.
            session: a requests.Session of the caller's, used with its adapters and never closed;
                the certificate must then be given as paths of unencrypted PEM files.

        Raises:
            ConfigurationError: an argument that cannot work (it is a ValueError).
        """
        app_key = Secret(app_key)  # no traceback is to show it, nor a token below
        self._app_key = app_key
        _check_sendable(app_key, "app_key")
        self._jurisdiction = find_jurisdiction(jurisdiction)
        self._base = https_base(
            identity_url or self._jurisdiction.identity_url, name="identity_url"
        )
        self._cert_base = https_base(
            identity_cert_url or self._jurisdiction.identity_cert_url, name="identity_cert_url"
        )
        self._verify = checked_verify(verify)
        self.timeout = checked_seconds(timeout)
        self._certificate = None if certificate is None else Certificate.of(certificate)
        self._proxies = checked_proxies(proxies)
        if not (session is None or callable(getattr(session, "post", None))):
            message = "session must be a requests.Session"
            raise ConfigurationError(message)
        self._session = session
        self._transport = Transport(verify=self._verify, proxies=proxies, session=session)

    @property
    def app_key(self) -> Secret:
        """The application key."""
        return self._app_key

    @property
    def verify(self) -> bool | str:
        """What servers are verified by: True, or the path of a CA bundle."""
        return self._verify

    @property
    def identity_url(self) -> str:
        """The base of login, keepAlive and logout: the jurisdiction's, or what was given."""
        return self._base

    @property
    def jurisdiction(self) -> Jurisdiction:
        """Where the account logs in."""
        return self._jurisdiction

    def certlogin(
        self, username: str | Secret, password: str | Secret, *, timeout: float | None = None
    ) -> Secret:
        """Log in with the client certificate, sending the request exactly once.

        Args:
            username: the account's name.
            password: the account's password.
            timeout: seconds in all; None for the client's own.

        Returns:
            The new session token.

        Raises:
            LoginRefused: Betfair answered with another status than SUCCESS.
            IdentityUnavailable: no clear answer; whether a session was made is unknown.
            CertificateError: the certificate is unfit or cannot be read; nothing was sent.
            ConfigurationError: the client has no certificate, its proxy cannot be used, or the
                username or password is empty or holds a control character; nothing was sent.
        """
        from .answers import read_certlogin

        username, password = Secret(username), Secret(password)
        endpoint = Endpoint("certlogin", self._cert_base)
        if self._certificate is None:
            message = "certlogin needs a client certificate; give IdentityClient one"
            raise ConfigurationError(message)
        given = self._given(username, password)
        files = None
        if self._session is not None:
            self._warn(self._certificate.check())
            files = self._certificate.requests_cert()
        answer = self._send_form(
            endpoint, username, password, self._seconds(timeout), files=files, certified=True
        )
        return read_certlogin(endpoint, answer, given)

    def login(
        self,
        username: str | Secret,
        password: str | Secret,
        *,
        code: str | Secret | Callable[[], str] | None = None,
        timeout: float | None = None,
    ) -> Secret:
        """Log in without a certificate, as the website does, sending the request exactly once.

        Args:
            username: the account's name.
            password: the account's password.
            code: the two-step code, or what returns it when it is wanted; None without two-step
                authentication.
            timeout: seconds in all, the time in which the code is had included; None for the
                client's own.

        Returns:
            The new session token; a warning is logged when Betfair calls its access limited.

        Raises:
            LoginRefused: Betfair answered with another status than SUCCESS or LIMITED_ACCESS.
            IdentityUnavailable: no clear answer; whether a session was made is unknown.
            ConfigurationError: `code` failed, or took too long; a value is empty or holds a
                control character; nothing was sent.
        """
        username, password = Secret(username), Secret(password)
        code = code if code is None or callable(code) else Secret(code)
        given = self._given(username, password)
        began, seconds = clocks.now(), self._seconds(timeout)
        code = _two_step(code)
        seconds -= clocks.passed(began)  # who closes the lid before typing it comes too late
        if seconds <= 0:
            # Others of the fleet no longer count on this login.
            message = (
                "the two-step code came too late, so nothing was sent; it belongs to the time for "
                "the login: `timeout` here, `login_deadline` in a manager's LeaseSettings"
            )
            raise ConfigurationError(message)
        if code:
            # Betfair's rule: the code follows the password, without anything between.
            password = Secret(password.reveal() + code.reveal())
        from .answers import read_login

        endpoint = Endpoint("login", self._base)
        answer = self._send_form(endpoint, username, password, seconds)
        token, limited = read_login(endpoint, answer, given)
        if limited:
            _log.warning("Betfair calls this session's access limited")
        return token

    def check(self, token: str | Secret, *, timeout: float | None = None) -> Check:
        """Find out whether a session lives, without raising when Betfair cannot tell.

        It is a keepAlive, so it also extends the session.

        Args:
            token: the session token.
            timeout: seconds in all; None for the client's own.

        Returns:
            What was found out, and when.

        Raises:
            ConfigurationError: the token is none that could be sent, or the proxy cannot be used.
        """
        token = Secret(token)
        _check_sendable(token, "token")
        asked, began = time.monotonic(), clocks.now()
        try:
            alive = self.keep_alive(token, timeout=timeout)
        except IdentityUnavailable as error:
            return Check("unknown", error=error)
        if alive is None:
            return Check("dead", verified_at=asked)
        length = self._jurisdiction.session_length
        if length is None:
            return Check("alive", alive, verified_at=asked)
        seconds = length.total_seconds()
        ends = clocks.later(began, seconds)
        return Check("alive", alive, verified_at=asked, expires_at=asked + seconds, ends=ends)

    def keep_alive(self, token: str | Secret, *, timeout: float | None = None) -> Secret | None:
        """Ask whether a session lives, and extend it.

        Transport failures and the statuses 429 and 5xx are tried again, three times in all.

        Args:
            token: the session token.
            timeout: seconds in all; None for the client's own.

        Returns:
            The token to use from now on (Betfair echoes the one it was given), or None when
            Betfair says that the session is dead.

        Raises:
            IdentityUnavailable: anything but a clear answer; Blocked for an HTTP 403.
            ConfigurationError: the token is none that could be sent, or the proxy cannot be used.
        """
        token = Secret(token)
        _check_sendable(token, "token")
        return self._ask(Endpoint("keepAlive", self._base), token, timeout)

    def logout(self, token: str | Secret, *, timeout: float | None = None) -> None:
        """End a session; one that is dead already is fine.

        Transport failures and the statuses 429 and 5xx are tried again, three times in all.

        Args:
            token: the session token.
            timeout: seconds in all; None for the client's own.

        Raises:
            IdentityUnavailable: anything but a clear answer; the session may still live.
            ConfigurationError: the token is none that could be sent, or the proxy cannot be used.
        """
        token = Secret(token)
        _check_sendable(token, "token")
        self._ask(Endpoint("logout", self._base), token, timeout)

    def close(self) -> None:
        """Close the connections; the client can be used again afterwards."""
        self._transport.close()

    def __repr__(self) -> str:
        place = vars(self).get("_jurisdiction")  # missing if it was never wholly made
        return f"IdentityClient(jurisdiction={place.name if place else None!r})"

    def _given(self, username: Secret, password: Secret) -> dict[str, Secret]:
        """Return what a login sends, by name, after a look at it: a wrong one locks accounts."""
        check_credential(username, "username")
        check_credential(password, "password")
        return {"username": username, "password": password, "app_key": self._app_key}

    def _ask(self, endpoint: Endpoint, token: Secret, timeout: float | None) -> Secret | None:
        """Call keepAlive or logout, which may be repeated."""
        from .answers import read_session

        headers: dict[str, Sendable] = {
            "Accept": "application/json",
            "X-Application": self._app_key,
            "X-Authentication": token,
        }
        try:
            answer = self._transport.post_again(endpoint.url, headers, self._seconds(timeout))
        except NoAnswerError as error:
            raise _unanswered(endpoint, error) from None
        return read_session(endpoint, answer, token)

    def _send_form(
        self,
        endpoint: Endpoint,
        username: Secret,
        password: Secret,
        seconds: float,
        *,
        files: str | tuple[str, str] | None = None,
        certified: bool = False,
    ) -> Answer:
        """Send a login's form, once."""
        headers: dict[str, Sendable] = {
            "X-Application": self._app_key,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        form: dict[str, Sendable] = {"username": username, "password": password}
        # Used once in hours: a connection of its own cannot be one that the server closed long ago.
        transport = Transport(
            verify=self._verify,
            proxies=self._proxies,
            load_certificate=self._load_certificate if certified else None,
            session=self._session,
            files=files,
        )
        with contextlib.closing(transport):
            try:
                return transport.post(endpoint.url, headers, form, seconds)
            except NoAnswerError as error:
                raise _unanswered(endpoint, error) from None

    def _seconds(self, timeout: float | None) -> float:
        return self.timeout if timeout is None else checked_seconds(timeout)

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        assert self._certificate is not None  # noqa: S101 - certlogin has seen to it
        self._warn(self._certificate.load_into(context))

    @staticmethod
    def _warn(warnings: list[str]) -> None:
        for warning in warnings:
            _log.warning("%s", warning)


def _unanswered(endpoint: Endpoint, why: NoAnswerError) -> IdentityUnavailable:
    """Make the error for a request without an answer."""
    from .answers import cannot_tell

    error = cannot_tell(endpoint, why.detail)
    error.sent = why.sent
    return error


def _two_step(code: Secret | Callable[[], str] | None) -> Secret | None:
    """Return the two-step code, asking for it if need be."""
    if code is None:
        return None
    try:
        found = Secret(code() if callable(code) else code)
    except Exception as error:
        if interruption(error):
            raise
        message = f"the two-step code could not be had: {type(error).__name__}"
    else:
        if found.reveal() != "":
            check_credential(found, "code")
        return found
    raise ConfigurationError(message, argument="code")


def _check_sendable(value: Secret, name: str) -> None:
    """See that a value can be sent as a header."""
    if not is_token(value.reveal()):
        message = f"the {name} must be 1 to 512 printable ASCII characters without spaces"
        raise ConfigurationError(message, argument=name)
