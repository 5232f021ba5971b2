"""The sandbox's process: its certificates, listeners and control API, how it starts and stops."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import trustme
from OpenSSL import SSL
from twisted.internet import error, reactor
from twisted.internet.protocol import ServerFactory
from twisted.internet.ssl import CertificateOptions
from twisted.web.server import Site

from .controls import CONTROL
from .exchange import Connection
from .front import Front
from .world import World

_BACKLOG = 1024
_ENDINGS = [signal.SIGINT, signal.SIGTERM]
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # no nohup
    _ENDINGS.append(signal.SIGHUP)


def run(port: int) -> str:
    """Serve until SIGTERM or SIGINT, or the end of input; return "", or why it could not start."""
    # Twisted's own handlers fail at a second signal, and there often is one: Ctrl-C goes to a whole
    # process group, and then the parent may stop this process as well.
    _on_signals(lambda *_: reactor.callFromThread(_stop))
    os.umask(0o077)
    directory = Path(tempfile.mkdtemp(prefix="betfair-sandbox-"))
    try:
        details = _start(directory, port)
        reactor.callWhenRunning(lambda: print(json.dumps(details), flush=True))  # noqa: T201 - its one output
        threading.Thread(target=_stop_at_eof, daemon=True).start()
        reactor.run(installSignalHandlers=False)
    except error.CannotListenError as taken:
        why = getattr(taken.socketError, "strerror", None) or "it cannot be used"
        return f"port {taken.port} on 127.0.0.1: {why}; choose another, or none for any free one"
    finally:
        _on_signals(signal.SIG_IGN)  # at exit Python would restore the default, which kills
        shutil.rmtree(directory, ignore_errors=True)
    return ""


def _on_signals(handler: Callable[..., object] | signal.Handlers) -> None:
    for number in _ENDINGS:
        signal.signal(number, handler)


def _stop_at_eof() -> None:
    # Not sys.stdin: its lock, held by this thread, would end the interpreter with a fatal error.
    with contextlib.suppress(OSError):  # there is none to read, as under nohup
        while os.read(0, 4096):
            pass
        reactor.callFromThread(_stop)


def _stop() -> None:
    with contextlib.suppress(error.ReactorNotRunning):  # it is being stopped already
        reactor.stop()


def _start(directory: Path, port: int) -> dict[str, object]:
    """Listen on three ports from `port` on, or on any; return all that a client needs."""
    authority = trustme.CA(organization_name="betfair_session sandbox")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    server = authority.issue_cert("localhost", "127.0.0.1")
    world, token = World(directory, authority), secrets.token_hex(32)
    front, control = Site(Front(world)), Site(_Control(world, token))
    streams = ServerFactory.forProtocol(lambda: Connection(world))
    plain = _listen(port, front, server)
    cert = _listen(port and port + 1, front, server, ask_certificate=True)
    environment = {
        "BETFAIR_USERNAME": world.username,
        "BETFAIR_PASSWORD": world.password,
        "BETFAIR_APP_KEY": world.app_key,
        "BETFAIR_CERT_FILE": world.certificate[0],
        "BETFAIR_KEY_FILE": world.certificate[1],
        "BETFAIR_IDENTITY_URL": f"https://127.0.0.1:{plain}/api/",
        "BETFAIR_IDENTITY_CERT_URL": f"https://127.0.0.1:{cert}/api/",
        "BETFAIR_API_URL": f"https://127.0.0.1:{plain}/exchange/",
        "BETFAIR_CA_BUNDLE": str(directory / "ca.pem"),
        "BETFAIR_SESSION_STORE": str(directory / "store"),
        "BETFAIR_SESSION_KEY": "session.token",
    }
    stream_port = _listen(port and port + 2, streams, server)
    address = f"127.0.0.1:{_listen(0, control, server)}"
    known = {"address": address, "token": token, "stream_port": stream_port}
    (directory / CONTROL).write_text(json.dumps(known), "utf-8")
    return {"directory": str(directory), "environment": environment}


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


class _Control:
    """The web resource of the control API: a command's name and arguments in, its result out."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, world: World, token: str) -> None:
        self._world = world
        self._token = token

    def render(self, request: Any) -> bytes:  # noqa: ANN401
        request.setHeader(b"Content-Type", b"application/json")
        shown = request.getHeader("x-sandbox-control") or ""
        if not hmac.compare_digest(shown.encode(), self._token.encode()):
            request.setResponseCode(403)
            return b'{"error": "the control token is wrong"}'
        try:
            call = json.loads(request.content.read())
            found = getattr(self._world, call["name"])
            result = found(**call["arguments"]) if callable(found) else found
        except (AttributeError, TypeError, ValueError, OSError) as refused:
            request.setResponseCode(400)
            return json.dumps({"error": f"{type(refused).__name__}: {refused}"}).encode()
        return json.dumps({"result": result}, default=asdict).encode()
