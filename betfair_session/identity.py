"""Betfair's identity service: certlogin, keepAlive and logout."""

from __future__ import annotations

import logging
import os
import random
import time
from typing import TYPE_CHECKING

from .answers import Endpoint, cannot_tell, is_passing, read_login, read_session
from .certificates import Certificate
from .exceptions import ConfigurationError
from .jurisdictions import jurisdiction as find_jurisdiction
from .secret import Secret
from .tokens import is_token
from .transport import NoAnswerError, Transport, https_base

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

    from .certificate_source import StrPath
    from .transport import Answer, Sendable

_log = logging.getLogger("betfair_session.identity")

ATTEMPTS = 3
"""How often keepAlive and logout are sent before the answer is "cannot tell"."""


class IdentityClient:
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
    ) -> None:
        """Prepare a client; no file is read and no connection opened yet.

        Args:
            app_key: the application key, sent as X-Application.
            certificate: the client certificate for logins: a (crt, key) pair of paths, the path of
                a .pem or .p12, bytes, or a Certificate. None for a client that never logs in.
            jurisdiction: whose hosts to use, a name from `betfair_session.jurisdictions`.
            identity_url: base of login, keepAlive and logout in place of the jurisdiction's, such
                as "https://localhost:8443/api/".
            identity_cert_url: base of certlogin in place of the jurisdiction's.
            verify: True, or the path of a CA bundle to trust. It cannot be switched off.
            timeout: seconds that one operation may take, its repetitions included.
            proxies: as in requests; None takes them from the environment.

        Raises:
            ConfigurationError: an argument that cannot work (it is a ValueError).
        """
        app_key = self._app_key = _sendable(app_key, "app_key")
        self._jurisdiction = find_jurisdiction(jurisdiction)
        self._base = https_base(
            identity_url or self._jurisdiction.identity_url, name="identity_url"
        )
        self._cert_base = https_base(
            identity_cert_url or self._jurisdiction.identity_cert_url, name="identity_cert_url"
        )
        if not verify or not isinstance(verify, bool | str | os.PathLike):
            message = "verify must be True or the path of a CA bundle: TLS is always verified"
            raise ConfigurationError(message)
        if not timeout > 0:
            message = "timeout must be a number of seconds above 0"
            raise ConfigurationError(message)
        self._certificate = None if certificate is None else Certificate.of(certificate)
        self._verify = verify if isinstance(verify, bool) else os.fspath(verify)
        self.timeout = float(timeout)
        self._proxies = proxies
        self._transport = Transport(verify=self._verify, proxies=proxies)

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
            CertificateError: the certificate is missing or unfit; nothing was sent.
        """
        username, password = Secret(username), Secret(password)
        endpoint = Endpoint("certlogin", self._cert_base)
        headers: dict[str, Sendable] = {
            "X-Application": self._app_key,
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }
        form: dict[str, Sendable] = {"username": username, "password": password}
        # Used once in hours: a connection of its own cannot be one that the server closed long ago.
        transport = Transport(
            verify=self._verify, proxies=self._proxies, load_certificate=self._load_certificate
        )
        try:
            answer = transport.post(endpoint.url, headers, form, timeout or self.timeout)
        except NoAnswerError as error:
            raise cannot_tell(endpoint, error.detail) from None
        finally:
            transport.close()
        return read_login(endpoint, answer)

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
        """
        token = _sendable(token, "token")
        return self._ask(Endpoint("keepAlive", self._base), token, timeout)

    def logout(self, token: str | Secret, *, timeout: float | None = None) -> None:
        """End a session; one that is dead already is fine.

        Transport failures and the statuses 429 and 5xx are tried again, three times in all.

        Args:
            token: the session token.
            timeout: seconds in all; None for the client's own.

        Raises:
            IdentityUnavailable: anything but a clear answer; the session may still live.
        """
        token = _sendable(token, "token")
        self._ask(Endpoint("logout", self._base), token, timeout)

    def close(self) -> None:
        """Close the connections; the client can be used again afterwards."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"IdentityClient(jurisdiction={self._jurisdiction.name!r})"

    def _ask(self, endpoint: Endpoint, token: Secret, timeout: float | None) -> Secret | None:
        """Call keepAlive or logout, which may be repeated, up to ATTEMPTS times within the time."""
        end = time.monotonic() + (timeout or self.timeout)
        headers: dict[str, Sendable] = {
            "Accept": "application/json",
            "X-Application": self._app_key,
            "X-Authentication": token,
        }
        answer: Answer | None = None
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                pause = 0.4 * attempt * random.uniform(0.5, 1)
                if time.monotonic() + pause >= end:
                    break
                time.sleep(pause)
            try:
                answer = self._transport.post(endpoint.url, headers, None, end - time.monotonic())
            except NoAnswerError as error:
                answer, problem = None, error.detail
            else:
                if not is_passing(answer):
                    break
        if answer is None:
            raise cannot_tell(endpoint, problem)
        return read_session(endpoint, answer, token)

    def _load_certificate(self, context: ssl.SSLContext) -> None:
        if self._certificate is None:
            message = "a login needs a client certificate; give IdentityClient one"
            raise ConfigurationError(message)
        for warning in self._certificate.load_into(context):
            _log.warning("%s", warning)


def _sendable(value: str | Secret, name: str) -> Secret:
    """Wrap a value that will be sent as a header, if it can be."""
    value = Secret(value)
    if not is_token(value.reveal()):
        message = f"the {name} must be 1 to 512 printable ASCII characters without spaces"
        raise ConfigurationError(message)
    return value
