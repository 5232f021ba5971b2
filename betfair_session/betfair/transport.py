"""Sends requests to the identity service: by which library, how often, and for how long.

Other libraries' errors keep the request with its secrets, so none of them leaves this module.
"""

from __future__ import annotations

import itertools
import os
import time
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

from betfair_session.arguments import check_runs, discreet, refuse
from betfair_session.exceptions import BetfairSessionError, ConfigurationError
from betfair_session.process import Closable, clocks
from betfair_session.process.causes import interruption, unless_interrupted
from betfair_session.process.log import WARNING, Log
from betfair_session.process.threads import OverrunError, run_until
from betfair_session.secret import Secret, check_credential

from .answers import Answer, is_transient, unclear
from .http import (
    NETWORK,
    Direct,
    Failure,
    pause_before_next,
    proxy_in_environment,
    tls_context,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import requests

    from betfair_session.certificates import Certificate

    from .answers import Endpoint
    from .by_requests import ByRequests

_OWN_AUTHORITY = (
    "; to trust an authority of your own, such as a sandbox's or a company proxy's, give its "
    "certificate's path as IdentityClient's `verify`, or in BETFAIR_CA_BUNDLE"
)
_log = Log("betfair_session.betfair.identity")


def checked_form(username: Secret, password: Secret) -> dict[str, Secret]:
    """Check the credentials, as wrong ones may lock the account, and return a login's form."""
    check_credential(username, "username")
    check_credential(password, "password")
    return {"username": username, "password": password}


@discreet
def asked_code(code: Secret | Callable[[], str] | None, seconds: float) -> tuple[Secret, float]:
    """Return the two-step code, calling `code` if it is a function, and the seconds left."""
    check_runs(code, "code")
    began = clocks.now()
    try:
        found = Secret("" if code is None else code() if callable(code) else code)
    except BaseException as error:
        if isinstance(error, Exception) and not interruption(error):
            refuse("code", f"asking for the two-step code failed: {type(error).__name__}")
        with suppress(AttributeError):
            error.sent = False  # type: ignore[attr-defined] # so that nobody waits for this login
        raise
    if found.reveal() != "":
        check_credential(found, "code")
    left = seconds - clocks.passed(began)  # counts a laptop's sleep, too
    if left <= 0:
        # The rest of the fleet no longer waits for this login.
        message = (
            "the two-step code came too late, and nothing was sent; allow the login more time: "
            "`timeout` here, `login_deadline` in a manager's LeaseSettings"
        )
        refuse("code", message)
    return found, left


class Transport(Closable):
    """Sends POSTs bounded in time and size, to verified servers, without following redirects."""

    def __init__(
        self,
        *,
        verify: bool | str,
        proxies: Mapping[str, str] | None = None,
        session: requests.Session | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        """Prepare; nothing is opened before the first call.

        Args:
            verify: True, or the path of a CA bundle to trust instead of the usual ones.
            proxies: as in requests; None takes them from the environment.
            session: one that the caller gives, used with its adapters and never closed.
            certificate: presented to servers that ask for one.
        """
        self._verify, self._certificate, self._proxies = verify, certificate, proxies
        self._session = session
        self._senders: dict[bool, Direct | ByRequests] = {}  # by whether they use requests

    def post(
        self,
        endpoint: Endpoint,
        headers: Mapping[str, Secret],
        form: Mapping[str, Secret] | None,
        seconds: float,
        *,
        repeat: bool = False,
    ) -> Answer:
        """Send a POST and return the last answer, whatever its status.

        Args:
            endpoint: where to send it; https.
            headers: sent besides the usual ones.
            form: form fields for the body; None for an empty body.
            seconds: timeout of all attempts together.
            repeat: send it up to three times, until an answer comes that is not 429 or 5xx. Only
                for a request that is harmless to repeat.

        Raises:
            IdentityUnavailable: the last attempt got no answer, or none in time.
            CertificateError: the client certificate cannot be used.
            ConfigurationError: the proxy cannot be used.
        """
        began = clocks.now()
        for attempt in itertools.count(1):
            outcome = self._once(endpoint, headers, form, seconds, began)
            failed = isinstance(outcome, Failure) or is_transient(outcome.status_code)
            if not (repeat and failed):
                break
            if not pause_before_next(attempt, seconds - clocks.passed(began)):
                break
        if isinstance(outcome, Answer):
            outcome.sent = (*headers.values(), *(form or {}).values())
            return outcome
        advice = _OWN_AUTHORITY if outcome.reason == "untrusted" else ""
        error = unclear(endpoint, outcome.detail + advice)
        error.sent = outcome.sent
        error.reason = outcome.reason  # type: ignore[assignment] # "proxies" was raised before
        raise error

    def _once(
        self,
        endpoint: Endpoint,
        headers: Mapping[str, Secret],
        form: Mapping[str, Secret] | None,
        seconds: float,
        began: clocks.Times,
    ) -> Answer | Failure:
        sender, prepared = self._sender(), False
        try:
            for warning in sender.prepare():
                _log.tell(WARNING, "%s", warning)
            # Loading the certificate takes time; after the deadline another process may log in.
            left = seconds - clocks.passed(began)
            if left <= 0:
                return Failure("no time was left to send the request", sent=False)
            end, prepared = clocks.End(time.monotonic() + left), True
            url = endpoint.base + endpoint.name
            return run_until(end.moment, partial(sender.send, url, headers, form, end))
        except OverrunError:
            if not (end.begun or self._session):  # a caller's adapters do not ask for the time
                return Failure(f"no connection within {left:.1f} s; {NETWORK}", sent=False)
            return Failure(f"no answer within {left:.1f} s", sent=True)
        except BetfairSessionError:
            raise
        except unless_interrupted(Exception) as error:  # a tracing tool may raise any kind
            failure = sender.judge(error)
            failure = failure._replace(sent=failure.sent and prepared)
        if failure.reason == "proxies":  # outside `except`, so that ours does not keep that error
            raise ConfigurationError(failure.detail, argument="proxies")
        return failure

    def _sender(self) -> Direct | ByRequests:
        """Return the sender for the next request; threads share it."""
        proxied = proxy_in_environment() if self._proxies is None else bool(self._proxies)
        by_requests = proxied or self._session is not None
        if by_requests not in self._senders:
            made: Direct | ByRequests
            if by_requests:
                from .by_requests import ByRequests

                made = ByRequests(self._verify, self._certificate, self._proxies, self._session)
            else:
                made = Direct(self._verify, self._certificate)
            return self._senders.setdefault(by_requests, made)
        return self._senders[by_requests]

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        for sender in list(self._senders.values()):
            sender.close()


def date_at(url: str, deadline: float) -> str | None:
    """Send a HEAD without credentials, and return the answer's Date header."""
    parts, seconds = urlsplit(url), max(deadline - time.monotonic(), 0.001)
    authorities = os.environ.get("REQUESTS_CA_BUNDLE")
    if proxy_in_environment(parts.scheme):
        from .by_requests import OwnSession

        with OwnSession(verify=authorities or True) as session:
            return session.head(url, timeout=seconds).headers.get("Date")
    connection = HTTPConnection(parts.netloc, timeout=seconds)
    if parts.scheme == "https":  # anything else is an emulator
        import certifi

        tls = tls_context(authorities or certifi.where())
        tls.load_default_certs()  # trust the system's, too
        connection = HTTPSConnection(parts.netloc, timeout=seconds, context=tls)
    with closing(connection):
        connection.request("HEAD", parts.path or "/")
        return connection.getresponse().headers["Date"]
