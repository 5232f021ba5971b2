"""Betfair's identity service: certlogin, login, keepAlive and logout."""

from __future__ import annotations

from datetime import UTC, datetime

from betfair_session.arguments import (
    checked_proxies,
    checked_seconds,
    checked_verify,
    discreet,
    https_base,
    pinned_pair,
    refuse,
)
from betfair_session.exceptions import IdentityUnavailable
from betfair_session.process import Closable, clocks
from betfair_session.process.log import WARNING, Log
from betfair_session.secret import Secret
from betfair_session.tokens import check_sendable

from .jurisdictions import is_betfairs, jurisdiction as find_jurisdiction

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping
    from typing import Any

    import requests

    from betfair_session.certificates import Certificate
    from betfair_session.certificates.reading import StrPath

    from .answers import Check
    from .jurisdictions import Jurisdiction
    from .names import JurisdictionName
    from .transport import Transport

_log = Log("betfair_session.betfair.identity")


class IdentityClient(Closable):
    """A client for one account's identity endpoints; safe to share between threads.

    Attributes:
        app_key: the application key.
        jurisdiction: where the account logs in.
        identity_url: the base of login, keepAlive and logout.
        api_url: the base of the betting API. None if `identity_url` is not Betfair's and no
            `api_url` was given: a sandbox's session must not be sent to Betfair.
        verify: what servers are verified by: True, or the path of a CA bundle.
        proxies: those that were given, for calls of the betting API, too; None for none.
        timeout: seconds that one operation may take.

    Example:
        >>> IdentityClient("app-key", certificate=("client.crt", "client.key"))
        IdentityClient(jurisdiction='international')
    """

    @discreet  # a value in another's place may be a secret
    def __init__(
        self,
        app_key: str | Secret,
        certificate: Certificate | StrPath | tuple[StrPath, StrPath] | bytes | None = None,
        jurisdiction: JurisdictionName = "international",
        *,
        identity_url: str | None = None,
        identity_cert_url: str | None = None,
        api_url: str | None = None,
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
            jurisdiction: whose hosts to use: a `JurisdictionName` such as "italy" or "it".
            identity_url: base of login, keepAlive and logout in place of the jurisdiction's, such
                as "https://localhost:8443/api/".
            identity_cert_url: base of certlogin in place of the jurisdiction's.
            api_url: base of the betting API in place of the jurisdiction's, for all that calls it
                with this client's sessions, such as "https://localhost:8443/exchange/".
            verify: True, or the path of a CA bundle to trust. Verifying cannot be switched off.
            timeout: seconds that one operation may take, its repetitions included.
            proxies: as in requests; None takes them from the environment.
            session: a requests.Session of your own, used with its adapters and never closed; the
                certificate must then be given as paths of unencrypted PEM files. An adapter that
                repeats a POST makes several logins of one; a slow one may log in after its time.

        Raises:
            ConfigurationError: an argument that cannot work (it is a ValueError).
        """
        app_key = Secret(app_key)
        # The usual pair of paths is kept until a login needs it: its class is slow to import.
        pair = pinned_pair(certificate)
        made = None if certificate is None or pair else _made(certificate)
        self._certificate: Any = pair or made
        check_sendable(app_key, "app_key")
        self.app_key: Secret = app_key
        place = find_jurisdiction(jurisdiction)
        self.jurisdiction: Jurisdiction = place
        url, cert_url = place.identity_url, place.identity_cert_url
        self.identity_url: str = https_base(identity_url, url, name="identity_url")
        self._cert_base = https_base(identity_cert_url, cert_url, name="identity_cert_url")
        host = self.identity_url.split("/")[2].partition(":")[0]
        usual = place.api_url if is_betfairs(host) else None
        self.api_url: str | None = https_base(api_url, usual, name="api_url")
        self.verify: bool | str = checked_verify(verify)
        self.timeout: float = checked_seconds(timeout)
        if not (session is None or callable(getattr(session, "post", None))):
            refuse("session", "session must be a requests.Session")
        self.proxies: Mapping[str, str] | None = checked_proxies(proxies)
        self._shared: Transport | None = None  # for keepAlive and logout; made when needed
        self._settings: Any = {"verify": self.verify, "proxies": self.proxies, "session": session}

    def check_certificate(self) -> list[str]:
        """Read the certificate and check that Betfair would accept it; sends nothing.

        Call it when a program starts: otherwise the certificate is first read by a login, which
        may be days later. Only a login shows whether it was uploaded to the account.

        Returns:
            A list, with a warning in it if the certificate expires within 30 days.

        Raises:
            CertificateError: it is missing, unreadable or unfit; the message says what to do.
            ConfigurationError: the client has no certificate.
        """
        return self._needed_certificate().check()

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
        username, password = Secret(username), Secret(password)
        from .transport import checked_form

        certificate, form = self._needed_certificate(), checked_form(username, password)
        seconds = checked_seconds(timeout, usual=self.timeout)
        return self._log_in("certlogin", form, form, seconds, certificate)

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
            code: the two-step code, or a function that asks for it; None without two-step login.
            timeout: seconds in all, including those that `code` takes; None for the client's own.

        Returns:
            The new session token; a warning is logged when Betfair calls its access limited.

        Raises:
            LoginRefused: Betfair answered with another status than SUCCESS or LIMITED_ACCESS.
            IdentityUnavailable: no clear answer; whether a session was made is unknown.
            ConfigurationError: `code` failed, or took too long; the proxy cannot be used; a value
                is empty or holds a control character; nothing was sent.
        """
        username, password = Secret(username), Secret(password)
        code = code if code is None or callable(code) else Secret(code)
        from .transport import asked_code, checked_form

        given = checked_form(username, password)
        form = given.copy()
        code, seconds = asked_code(code, checked_seconds(timeout, usual=self.timeout))
        # Betfair's rule: the code follows the password, without anything between.
        form["password"] = Secret(password.reveal() + code.reveal())
        return self._log_in("login", form, given, seconds)

    def check(self, token: str | Secret, *, timeout: float | None = None) -> Check:
        """Find out whether a session is alive; no clear answer is a result, not an error.

        It is a keepAlive, so it also extends the session.

        Args:
            token: the session token.
            timeout: seconds in all; None for the client's own.

        Returns:
            What was found out, and when.

        Raises:
            ConfigurationError: the token is not well-formed, or the proxy cannot be used.
        """
        token = Secret(token)
        from .answers import Check

        asked = datetime.fromtimestamp(clocks.wall(), UTC)
        try:
            alive = self.keep_alive(token, timeout=timeout)
        except IdentityUnavailable as error:
            return Check("unknown", error=error)
        if alive is None:
            return Check("dead", verified_at=asked)
        length = self.jurisdiction.session_length
        return Check("alive", alive, asked, None if length is None else asked + length)

    def keep_alive(self, token: str | Secret, *, timeout: float | None = None) -> Secret | None:
        """Ask whether a session is alive, and extend it.

        Transport failures and the statuses 429 and 5xx are tried again, three times in all.

        Args:
            token: the session token.
            timeout: seconds in all; None for the client's own.

        Returns:
            The token to use from now on (Betfair echoes the one it was given), or None when
            Betfair says that the session is dead.

        Raises:
            IdentityUnavailable: no clear answer; Blocked for an HTTP 403.
            ConfigurationError: the token is not well-formed, or the proxy cannot be used.
        """
        token = Secret(token)
        return self._ask("keepAlive", token, timeout)

    def logout(self, token: str | Secret, *, timeout: float | None = None) -> None:
        """End a session; one that is dead already is no error.

        Transport failures and the statuses 429 and 5xx are tried again, three times in all.

        Args:
            token: the session token.
            timeout: seconds in all; None for the client's own.

        Raises:
            IdentityUnavailable: no clear answer; the session may still be alive.
            ConfigurationError: the token is not well-formed, or the proxy cannot be used.
        """
        token = Secret(token)
        self._ask("logout", token, timeout)

    def close(self) -> None:
        """Close the connections; the client can be used again afterwards."""
        if self._shared is not None:
            self._shared.close()

    def __repr__(self) -> str:
        place = vars(self).get("jurisdiction")  # missing if __init__ failed
        return f"IdentityClient(jurisdiction={place.name if place else None!r})"

    def _needed_certificate(self) -> Certificate:
        if self._certificate is None:
            message = "the login needs a client certificate; give IdentityClient a `certificate`"
            refuse("certificate", message)
        self._certificate = made = _made(self._certificate)
        return made

    def _ask(self, name: str, token: Secret, timeout: float | None) -> Secret | None:
        """Send a keepAlive or a logout, which may be repeated."""
        from .answers import Endpoint, read_session
        from .transport import Transport

        check_sendable(token, "token")
        endpoint = Endpoint(name, self.identity_url)
        headers = {"X-Application": self.app_key, "X-Authentication": token}
        if self._shared is None:
            self._shared = Transport(**self._settings)
        seconds = checked_seconds(timeout, usual=self.timeout)
        answer = self._shared.post(endpoint, headers, None, seconds, repeat=True)
        return read_session(endpoint, answer, token)

    def _log_in(
        self,
        name: str,
        form: dict[str, Secret],
        given: dict[str, Secret],
        seconds: float,
        certificate: Certificate | None = None,
    ) -> Secret:
        """Send a login's form, exactly once; `given` holds the values as the caller gave them."""
        from .answers import Endpoint, read_login
        from .transport import Transport

        base = self.identity_url if certificate is None else self._cert_base
        endpoint, headers = Endpoint(name, base), {"X-Application": self.app_key}
        # Logins are hours apart: the server may have closed a connection that was kept.
        with Transport(**self._settings, certificate=certificate) as own:
            answer = own.post(endpoint, headers, form, seconds)
        token, limited = read_login(endpoint, answer, {**given, "app_key": self.app_key})
        if limited:
            _log.tell(WARNING, "Betfair says that this session has limited access")
        return token


def _made(given: Certificate | StrPath | tuple[StrPath, StrPath] | bytes) -> Certificate:
    from betfair_session.certificates import Certificate

    return Certificate.of(given)
