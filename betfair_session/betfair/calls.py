"""The two kinds of requests to the identity service: a login's form, and a question by token."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from .answers import cannot_tell

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    import requests

    from betfair_session.certificates import Certificate
    from betfair_session.exceptions import IdentityUnavailable
    from betfair_session.secret import Secret

    from .answers import Answer, Endpoint
    from .http import Transport
    from .network import NoAnswerError

_log = logging.getLogger("betfair_session.betfair.identity")


class Calls:
    """Makes the requests of one client; safe to share between threads."""

    def __init__(
        self,
        app_key: Secret,
        *,
        verify: bool | str,
        proxies: Mapping[str, str] | None,
        session: requests.Session | None,
    ) -> None:
        """Prepare; nothing is opened, and requests not imported, before the first call.

        Args:
            app_key: sent with each.
            verify: True, or the path of a CA bundle.
            proxies: as in requests; None takes them from the environment.
            session: the caller's own, or None.
        """
        self._headers: dict[str, str | Secret] = {
            "Accept": "application/json",
            "X-Application": app_key,
        }
        self._verify = verify
        self._proxies = proxies
        self._session = session

    def ask(self, endpoint: Endpoint, token: Secret, seconds: float) -> Answer:
        """Send keepAlive or logout, which may be repeated.

        Args:
            endpoint: which.
            token: the session it is about.
            seconds: how long all of it may take.

        Returns:
            The answer.

        Raises:
            IdentityUnavailable: there was none.
            ConfigurationError: the proxy cannot be used.
        """
        from .http import ATTEMPTS, Transport
        from .network import NoAnswerError

        made = Transport(verify=self._verify, proxies=self._proxies, session=self._session)
        shared: Transport = vars(self).setdefault("_shared", made)  # one step: threads share one
        headers = {**self._headers, "X-Authentication": token}
        try:
            return shared.post(endpoint.url, headers, None, seconds, attempts=ATTEMPTS)
        except NoAnswerError as error:
            raise _unanswered(endpoint, error) from None

    def log_in(
        self,
        endpoint: Endpoint,
        form: Mapping[str, Secret],
        seconds: float,
        certificate: Certificate | None = None,
    ) -> Answer:
        """Send a login's form, exactly once.

        Args:
            endpoint: which.
            form: the fields.
            seconds: how long all of it may take.
            certificate: shown to the server, or None.

        Returns:
            The answer.

        Raises:
            IdentityUnavailable: there was none.
            CertificateError: the certificate is unfit or cannot be read; nothing was sent.
            ConfigurationError: the proxy cannot be used.
        """
        from .http import Transport
        from .network import NoAnswerError

        def load(tls: ssl.SSLContext) -> None:
            if certificate:
                _warn(certificate.load_into(tls))

        files = None
        if certificate and self._session is not None:
            _warn(certificate.check())
            files = certificate.requests_cert()
        # Used once in hours: a connection of its own cannot be one that the server closed long ago.
        transport = Transport(
            verify=self._verify,
            proxies=self._proxies,
            load_certificate=load if certificate else None,
            session=self._session,
            files=files,
        )
        headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        with contextlib.closing(transport):
            try:
                return transport.post(endpoint.url, headers, form, seconds)
            except NoAnswerError as error:
                raise _unanswered(endpoint, error) from None

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        transport: Transport | None = vars(self).pop("_shared", None)
        if transport is not None:
            transport.close()


def _warn(warnings: list[str]) -> None:
    for warning in warnings:
        _log.warning("%s", warning)


def _unanswered(endpoint: Endpoint, why: NoAnswerError) -> IdentityUnavailable:
    error = cannot_tell(endpoint, why.detail)
    error.sent = why.sent
    return error
