"""Sends requests with Python's own http.client, which follows no redirect and keeps no cookie.

`import requests` takes longer than everything else that resuming a session needs. So it is used
only for a proxy, or when the caller gives a requests.Session; see by_requests.py.
"""

from __future__ import annotations

import errno
import os
import random
import selectors
import socket
import ssl
import sys
import time
import weakref
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPSConnection, IncompleteRead
from struct import pack
from urllib.parse import quote, urlencode, urlsplit

from betfair_session.process import NamedTuple, clocks, reset_in_child
from betfair_session.process.causes import chain
from betfair_session.process.threads import NoThreadError, OutOfTime

from .answers import MAX_ANSWER_BYTES, Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from betfair_session.certificates import Certificate
    from betfair_session.process.clocks import End, Times
    from betfair_session.secret import Secret

ACCEPT = {"Accept": "application/json", "Accept-Encoding": "identity"}
ATTEMPTS = 3  # for a request that may be repeated
CONNECT_SECONDS = 3.05  # for one attempt; TCP resends a lost first packet after 3
HANDSHAKE_SECONDS = 6.0  # for TLS, and for a proxy, which has names to look up itself
IDLE_SECONDS = 60.0  # networks silently drop connections that are idle for longer
PIECE_BYTES = 64  # read between two checks of the deadline
_MAX_IDLE = 10  # connections that are kept; any other is closed after its request
_PAUSE_SECONDS = 0.4  # after the first attempt; twice as long after the second
# A socket's option: closing it drops what was not sent, which the system would send for minutes.
LINGER = (socket.SOL_SOCKET, socket.SO_LINGER, pack("hh" if os.name == "nt" else "ii", 1, 0))
_HEADERS = {**ACCEPT, "User-Agent": "betfair-session"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# OpenSSL's verify codes for a certificate that no trusted authority has signed.
_NO_AUTHORITY = {2, 18, 19, 20, 21}
# OpenSSL's reasons (of TLS 1.3 and 1.2) for a server that ends a handshake without a certificate.
_WANTS_ONE = {"TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_HANDSHAKE_FAILURE"}
_PATH = "!$%&'()*+,/:;=@[]"  # sent unquoted in a path
NETWORK = "check the network, any firewall, and the proxy if there is one (HTTPS_PROXY, ALL_PROXY)"
_UNFIT = (
    "ask those who run the server, or a proxy that answers in its place, for a certificate that is "
    "valid for this host by all rules (Python 3.13 and later apply more of them)"
)
_EXHAUSTED = {errno.EMFILE, errno.ENFILE}
_UNTIMELY = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED
_COMPRESSED = {"gzip", "x-gzip", "deflate"}
_GZIP_OR_ZLIB = 47  # zlib's wbits: it detects which


class Failure(NamedTuple):
    """Why a request got no HTTP answer."""

    detail: str  # what happened, without secrets
    sent: bool  # False if the request was certainly not sent
    reason: str = ""  # as in IdentityUnavailable

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an error by the types in its chain; their texts may hold secrets."""
        causes = list(chain(error))
        keys = os.environ.get("SSLKEYLOGFILE") or 0
        for cause in causes:
            why = f"({getattr(cause, 'strerror', '')})"
            # Python opens this file with the bundle, urllib3 before, and then the error names it.
            if getattr(cause, "filename", None) == keys:
                return cls(f"the file in SSLKEYLOGFILE cannot be written {why}", sent=False)
            if bundle := getattr(cause, "bundle", ""):
                detail = f"the CA bundle {bundle} cannot be loaded {why}"
                return cls(detail, sent=False, reason="bundle")
        verified = {getattr(cause, "verify_code", 0) for cause in causes} - {0}
        late = any(isinstance(cause, TimeoutError) for cause in causes)
        detail = "timed out" if late else type(error).__name__
        for cause in causes:
            if isinstance(cause, OSError) and cause.strerror and not hasattr(cause, "request"):
                detail = f"{type(cause).__name__}: {cause.strerror}"
                break
        unconnected = any(hasattr(cause, "unconnected") for cause in causes)
        unsent = any(isinstance(cause, NoThreadError | OutOfTime) for cause in causes)
        wants_one = any(str(getattr(cause, "reason", "")) in _WANTS_ONE for cause in causes)
        reason = (
            "untrusted" if verified & _NO_AUTHORITY else "client-certificate" if wants_one else ""
        )
        exhausted = any(getattr(cause, "errno", 0) in _EXHAUSTED for cause in causes)
        advice = _UNFIT if verified else NETWORK
        advice = "check this machine's clock" if verified & _UNTIMELY else advice
        detail += f"; {advice}" if unconnected and not (reason or exhausted) else ""
        return cls(detail, not (unsent or unconnected), reason)


@contextmanager
def connecting() -> Iterator[None]:
    """Mark an error as one of connecting, before which nothing of the request is sent."""
    try:
        yield
    except Exception as error:
        error.unconnected = True  # type: ignore[attr-defined]
        raise


def is_out_of_step(status: int) -> bool:
    """Return whether a second answer may follow: http.client takes a 103 for the final one."""
    return status < 200 or status in {204, 304}  # noqa: PLR2004 - HTTP


def read_body(read: Callable[[], bytes], end: float) -> bytes:
    """Read pieces of an answer until an empty one; stop when it is longer than any answer.

    Raises TimeoutError after `end`, by `time.monotonic`: only a whole answer counts.
    """
    body, piece = b"", b"more"
    while piece and len(body) <= MAX_ANSWER_BYTES:
        if time.monotonic() > end:
            raise TimeoutError
        piece = read()
        body += piece
    return body


def revealed(fields: Mapping[str, Secret]) -> dict[str, str]:
    """Unwrap secrets at the last moment, so that no frame of ours holds them when it fails."""
    return {name: value.reveal() for name, value in fields.items()}


def pause_before_next(attempt: int, left: float) -> bool:
    """Pause before the next attempt; return whether there is one.

    Args:
        attempt: the number of the attempt that has just failed, from 1.
        left: the seconds that are left for all attempts.
    """
    pause = _PAUSE_SECONDS * attempt * random.uniform(0.5, 1)
    if attempt >= ATTEMPTS or pause >= left:
        return False
    clocks.pause(pause)
    return True


def proxy_in_environment(scheme: str = "https") -> bool:
    """Return whether a request may need a proxy; requests then finds out which one, if any."""
    if sys.platform in {"win32", "darwin"}:  # these have system settings, too
        from urllib.request import getproxies

        return bool(getproxies())
    found = {name.lower() for name, value in os.environ.items() if value}  # as urllib.request does
    return not found.isdisjoint({f"{scheme}_proxy", "all_proxy"})


class Direct:
    """Connections to one server, each for one request at a time; safe to share between threads."""

    def __init__(self, verify: bool | str, certificate: Certificate | None) -> None:  # noqa: FBT001 - as requests has it
        """Prepare; nothing is read or opened yet. The arguments are those of Transport."""
        self._verify = verify
        self._certificate = certificate
        self._tls: ssl.SSLContext | None = None
        self._loaded: tuple[int, ...] = ()  # the CA bundle's version
        self._closings = 0
        self._idle: list[tuple[HTTPSConnection, Times]] = []
        weakref.finalize(self, _close_all, self._idle)
        reset_in_child(self)

    def after_fork(self) -> None:
        """Close this process's copies of the parent's connections; the parent's stay open."""
        self.close()

    def prepare(self) -> list[str]:
        """Load the certificate, if there is one; return warnings about it."""
        if self._certificate is None or self._tls is not None:
            return []
        tls = tls_context(self._bundle())
        tls.post_handshake_auth = True  # some servers ask for a certificate after the handshake
        warnings = self._certificate.load_into(tls)
        self._tls = tls
        return warnings

    def _bundle(self) -> str:
        if isinstance(self._verify, str):
            return self._verify
        import certifi  # takes 7 ms, for importlib.resources

        return certifi.where()

    def _context(self) -> ssl.SSLContext:
        """Return the TLS context. Without a certificate, a changed CA bundle is loaded anew."""
        bundle = self._bundle()
        version = _version(bundle)
        tls = self._tls
        if tls is None or (self._certificate is None and version not in {(), self._loaded}):
            tls = tls_context(bundle)
            self._tls, self._loaded = tls, version
        return tls

    def send(
        self, url: str, headers: Mapping[str, Secret], form: Mapping[str, Secret] | None, end: End
    ) -> Answer:
        """Send a POST and read its answer by then."""
        parts, closings = urlsplit(url), self._closings
        connection, reusable = self._connection(parts.netloc, end.moment), False
        try:
            left = end.left()
            if left <= 0:  # the caller has given up, and another process may log in
                raise OutOfTime
            connection.sock.settimeout(left)
            connection.request(
                "POST",
                quote(parts.path, safe=_PATH),
                None if form is None else urlencode(revealed(form)),
                {**_HEADERS, **({} if form is None else _FORM), **revealed(headers)},
            )
            with closing(connection.getresponse()) as response:
                body = read_body(partial(response.read1, PIECE_BYTES), end.moment)
                whole = len(body) <= MAX_ANSWER_BYTES
                if whole and response.length:
                    raise IncompleteRead(b"")
                status, date = response.status, response.headers.get("Date", "")
                reusable = whole and not (response.will_close or is_out_of_step(status))
                if body and response.headers.get("Content-Encoding", "").lower() in _COMPRESSED:
                    import zlib  # rarely needed: some gateways compress without being asked to

                    try:
                        body = zlib.decompress(body, _GZIP_OR_ZLIB)
                    except zlib.error:
                        raise IncompleteRead(b"") from None
            return Answer(status, body[:MAX_ANSWER_BYTES], date=date)
        finally:
            if reusable and closings == self._closings and len(self._idle) < _MAX_IDLE:
                self._idle.append((connection, clocks.now()))
            else:
                connection.close()

    def _connection(self, host: str, end: float) -> HTTPSConnection:
        with suppress(IndexError):  # raised when none is left
            while True:
                kept, since = self._idle.pop()
                if clocks.passed(since) <= IDLE_SECONDS and _is_open(kept):
                    return kept
                kept.close()
        seconds = min(CONNECT_SECONDS, max(end - time.monotonic(), 0.001))
        with connecting():
            tls = self._context()
            made = HTTPSConnection(host, timeout=seconds, context=tls)
            try:
                HTTPConnection.connect(made)  # without TLS, which may take longer
                made.sock.setsockopt(*LINGER)
                made.sock.settimeout(HANDSHAKE_SECONDS)
                made.sock = tls.wrap_socket(made.sock, server_hostname=made.host)
            except BaseException:
                made.close()
                raise
        return made

    judge = staticmethod(Failure.of)

    def close(self) -> None:
        """Close idle connections now and others after their request; the next call opens new."""
        self._closings += 1
        _close_all(self._idle)


def _close_all(connections: list[tuple[HTTPSConnection, Times]]) -> None:
    with suppress(IndexError):  # raised when none is left
        while True:
            connections.pop()[0].close()


def _is_open(connection: HTTPSConnection) -> bool:
    """Return whether a connection is still open: one that the server has closed is readable."""
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(connection.sock, selectors.EVENT_READ)
            # `pending` counts what TLS has already read from the system.
            return not (connection.sock.pending() or selector.select(0))
    except OSError:  # too many open files: unknown
        return False


def trusting(bundle: str) -> ssl.SSLContext:
    """Return a TLS context that trusts only the authorities in a file or directory.

    An error that is the bundle's own is marked as such.
    """
    file, directory = (None, bundle) if os.path.isdir(bundle) else (bundle, None)
    try:
        return ssl.create_default_context(cafile=file, capath=directory)
    except OSError as error:
        if error.errno not in {errno.EMFILE, errno.ENFILE}:
            error.bundle = bundle  # type: ignore[attr-defined]
        raise


def tls_context(bundle: str) -> ssl.SSLContext:
    """Return such a context for HTTP."""
    tls = trusting(bundle)
    tls.set_alpn_protocols(["http/1.1"])
    tls.hostname_checks_common_name = False  # as urllib3 has it, and RFC 6125
    return tls


def _version(path: str) -> tuple[int, ...]:
    """Return what changes with a file; () if it is gone, so that the loaded one stays in use."""
    with suppress(OSError):
        found = os.stat(path)
        return found.st_mtime_ns, found.st_ino, found.st_size
    return ()
