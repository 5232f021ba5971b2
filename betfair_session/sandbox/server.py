"""The sandbox's process: its certificates, its listeners, its control API, its life and its end."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from OpenSSL import SSL
from twisted.internet import error, reactor
from twisted.internet.ssl import CertificateOptions
from twisted.web.server import Site

from .front import Front, Gate
from .stream import Streams
from .world import Credentials, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_BACKLOG = 1024
_NETSCAPE_CERT_TYPE = ObjectIdentifier("2.16.840.1.113730.1.1")
_SSL_CLIENT = b"\x03\x02\x07\x80"  # a DER bit string with the first bit set
_KEY_USAGE = {
    "digital_signature": True,
    "content_commitment": False,
    "key_encipherment": True,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}


def run(
    *, port: int, cert_port: int, api_port: int | None, stream_port: int, until_eof: bool
) -> str:
    """Serve until SIGTERM or SIGINT, or the end of input; return "", or why it could not begin."""
    _on_signals(_leave)  # until the reactor is up
    directory = Path(tempfile.mkdtemp(prefix="betfair-sandbox-"))
    try:
        details = _start(directory, port, cert_port, api_port, stream_port)
        reactor.callWhenRunning(lambda: print(json.dumps(details), flush=True))  # noqa: T201 - its one output
        if until_eof:
            threading.Thread(target=_stop_at_eof, daemon=True).start()
        # Twisted's own handlers fail at a second signal, and there often is one: Ctrl-C goes to a
        # whole process group, and then the parent may stop this process as well.
        _on_signals(lambda *_: reactor.callFromThread(_stop))
        reactor.run(installSignalHandlers=False)
    except error.CannotListenError as taken:
        why = getattr(taken.socketError, "strerror", None) or "it cannot be used"
        return f"port {taken.port} on 127.0.0.1: {why}; choose another, or 0 for any free one"
    finally:
        _on_signals(signal.SIG_IGN)  # Python would put the default back, at its end: to be killed
        shutil.rmtree(directory, ignore_errors=True)
    return ""


def _on_signals(handler: Callable[..., object] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _leave(*_: object) -> NoReturn:
    _on_signals(signal.SIG_IGN)  # the next one is not to interrupt the cleaning up
    sys.exit(0)


def _stop_at_eof() -> None:
    # Not sys.stdin: its lock, held by this thread, would end the interpreter with a fatal error.
    while os.read(0, 4096):
        pass
    reactor.callFromThread(_stop)


def _stop() -> None:
    with contextlib.suppress(error.ReactorNotRunning):  # it is being stopped already
        reactor.stop()


def _start(
    directory: Path, port: int, cert_port: int, api_port: int | None, stream_port: int
) -> dict[str, object]:
    """Listen, and return all that a client needs."""
    authority = trustme.CA(organization_name="betfair_session sandbox")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    server = authority.issue_cert("localhost", "127.0.0.1")
    certificate, key = _make_certificate(directory, "client")
    credentials = Credentials.invent()
    world, gate, token = World(credentials, certificate.read_text()), Gate(), secrets.token_hex(32)
    front, streams = Site(Front(world, gate)), Streams(world)
    control = Site(_Control(token, lambda: _commands(world, gate, streams, directory)))
    plain = _listen(port, front, server)
    cert = _listen(cert_port, front, server, ask_certificate=True)
    api = plain if api_port is None else _listen(api_port, front, server)
    return {
        "identity_url": f"https://localhost:{plain}/api/",
        "identity_cert_url": f"https://localhost:{cert}/api/",
        "api_url": f"https://localhost:{api}/exchange/",
        "stream_port": _listen(stream_port, streams, server),
        "control_url": f"https://localhost:{_listen(0, control, server)}/",
        "control_token": token,
        "ca_bundle": str(directory / "ca.pem"),
        "directory": str(directory),
        "certificate": [str(certificate), str(key)],
        **asdict(credentials),
    }


def _listen(
    port: int,
    factory: Any,  # noqa: ANN401 - Twisted is untyped here
    server: trustme.LeafCert,
    *,
    ask_certificate: bool = False,
) -> int:
    """Listen with TLS, and return the port.

    A client certificate is asked for, not required: the login decides whether it is a known one,
    and answers CERT_AUTH_REQUIRED if not. Python's own ssl could only refuse the handshake.
    """
    options = CertificateOptions(enableSessions=True, enableSessionTickets=True)
    context = options.getContext()
    server.configure_cert(context)
    if ask_certificate:
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    factory.noisy = False
    factory.log = lambda _: None  # an access log would hold what the journal leaves out
    listening = reactor.listenSSL(port, factory, options, backlog=_BACKLOG, interface="127.0.0.1")
    found: int = listening.getHost().port
    return found


def _make_certificate(directory: Path, name: str) -> tuple[Path, Path]:
    """Make a client certificate as Betfair's page on non-interactive login asks, or find it."""
    paths = directory / f"{name}.crt", directory / f"{name}.key"
    if paths[1].exists():
        return paths
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
        .add_extension(x509.KeyUsage(**_KEY_USAGE), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.UnrecognizedExtension(_NETSCAPE_CERT_TYPE, _SSL_CLIENT), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for path, content in zip(paths, (certificate.public_bytes(Encoding.PEM), private), strict=True):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    return paths


class _Control:
    """The web resource of the control API: a command's name and arguments in, its result out."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(
        self, token: str, commands: Callable[[], dict[str, Callable[..., object]]]
    ) -> None:
        self._token = token
        self._commands = commands

    def render(self, request: Any) -> bytes:  # noqa: ANN401
        request.setHeader(b"Content-Type", b"application/json")
        shown = request.getHeader("x-sandbox-control") or ""
        if not hmac.compare_digest(shown.encode(), self._token.encode()):
            request.setResponseCode(403)
            return b'{"error": "the control token is wrong"}'
        try:
            call = json.loads(request.content.read())
            result = self._commands()[call["name"]](**call["arguments"])
        except (KeyError, TypeError, ValueError, OSError) as refused:
            request.setResponseCode(400)
            return json.dumps({"error": f"{type(refused).__name__}: {refused}"}).encode()
        return json.dumps({"result": result}, default=asdict).encode()


def _commands(
    world: World, gate: Gate, streams: Streams, directory: Path
) -> dict[str, Callable[..., object]]:
    """Return what `Controls` may ask for; anew each time, since a reset makes the world anew."""

    def reset() -> None:
        gate.reset()
        streams.close_all()
        world.reset()

    def make_certificate(name: str) -> list[str]:
        if not name.isidentifier():
            message = "a certificate's name is made of letters, digits and _"
            raise ValueError(message)
        return [str(path) for path in _make_certificate(directory, name)]

    return {
        "configure": world.settings.configure,
        "set_time_offset": world.clock.set_time_offset,
        "advance": world.clock.advance,
        "add_account": world.accounts.add_account,
        "set_two_step": world.accounts.set_two_step,
        "upload_certificate": world.accounts.upload_certificate,
        "remove_certificates": world.accounts.remove_certificates,
        "login_status": world.accounts.login_status,
        "hold": lambda endpoint, stage: gate.hold(world.check(endpoint), stage),
        "release": lambda endpoint, times: gate.release(world.check(endpoint), times),
        "waiting": lambda endpoint: gate.waiting(world.check(endpoint)),
        "break_store": world.breaker.break_store,
        "mend_store": world.breaker.mend_store,
        "reset": reset,
        "make_certificate": make_certificate,
        "issue": world.issue,
        "sessions": world.sessions.live,
        "expire": world.sessions.expire,
        "expire_all": world.sessions.expire_all,
        "journal": lambda: world.journal,
        "counts": world.counts,
        "clear_journal": world.journal.clear,
        "close_streams": streams.close_all,
        "fault": world.fault,
        "clear_faults": world.faults.clear,
        "orders": lambda: world.exchange.orders,
    }
