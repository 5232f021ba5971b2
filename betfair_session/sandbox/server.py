"""The sandbox's process: its listeners, its control API, its life and its end."""

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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet import error, reactor
from twisted.web.server import Site

from .certificates import Authority, make_client_certificate
from .front import Front, Gate
from .stream import Streams
from .world import Credentials, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_BACKLOG = 1024


@dataclass(frozen=True)
class Ports:
    """Where to listen on 127.0.0.1; 0 is any free port.

    Attributes:
        plain: login, keepAlive and logout.
        cert: certlogin, where a client certificate is asked for.
        api: the betting API; None shares `plain`.
        stream: the exchange stream.
    """

    plain: int = 0
    cert: int = 0
    api: int | None = None
    stream: int = 0


class _Control:
    """The web resource of the control API: a command's name and arguments in, its result out."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, token: str, commands: dict[str, Callable[..., object]]) -> None:
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
            result = self._commands[call["name"]](**call["arguments"])
        except (KeyError, TypeError, ValueError, OSError) as refused:
            request.setResponseCode(400)
            return json.dumps({"error": f"{type(refused).__name__}: {refused}"}).encode()
        return json.dumps({"result": result}, default=asdict).encode()


def run(ports: Ports, *, until_eof: bool = False) -> str:
    """Serve until SIGTERM or SIGINT, then remove every file.

    Args:
        ports: where to listen.
        until_eof: stop at the end of standard input, too, so as never to outlive a parent.

    Returns:
        "", or why it could not begin.
    """
    _on_signals(_leave)  # until the reactor is up
    directory = Path(tempfile.mkdtemp(prefix="betfair-sandbox-"))
    try:
        details = _start(ports, directory)
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
        shutil.rmtree(directory, ignore_errors=True)
    return ""


def _on_signals(handler: Callable[..., object] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _leave(*_: object) -> NoReturn:
    _on_signals(signal.SIG_IGN)  # the next one is not to interrupt the cleaning up
    sys.exit(0)


def _start(ports: Ports, directory: Path) -> dict[str, object]:
    authority = Authority(directory)
    certificate, key = make_client_certificate(directory, "client")
    credentials = Credentials.invent()
    world, gate = World(credentials, certificate.read_text()), Gate()
    front, streams = Front(world, gate), Streams(world.exchange, world.journal)
    token = secrets.token_urlsafe(32)
    plain = _serve(ports.plain, front, authority.context())
    cert = _serve(ports.cert, front, authority.context(ask_certificate=True))
    api = plain if ports.api is None else _serve(ports.api, front, authority.context())
    control = _Control(token, _commands(world, gate, streams, directory))
    return {
        "identity_url": f"https://localhost:{plain}/api/",
        "identity_cert_url": f"https://localhost:{cert}/api/",
        "api_url": f"https://localhost:{api}/exchange/",
        "stream_port": _listen(ports.stream, streams, authority.context()),
        "control_url": f"https://localhost:{_serve(0, control, authority.context())}/",
        "control_token": token,
        "ca_bundle": str(authority.bundle),
        "directory": str(directory),
        "certificate": [str(certificate), str(key)],
        **asdict(credentials),
    }


def _serve(port: int, resource: object, context: object) -> int:
    site = Site(resource)
    site.log = lambda _: None  # an access log would hold what the journal leaves out
    return _listen(port, site, context)


def _listen(port: int, factory: Any, context: object) -> int:  # noqa: ANN401
    factory.noisy = False
    listening = reactor.listenSSL(port, factory, context, backlog=_BACKLOG, interface="127.0.0.1")
    found: int = listening.getHost().port
    return found


def _commands(
    world: World, gate: Gate, streams: Streams, directory: Path
) -> dict[str, Callable[..., object]]:
    def reset() -> None:
        gate.reset()
        streams.close_all()
        world.reset()

    def make_certificate(name: str) -> list[str]:
        if not name.isidentifier():
            message = "a certificate's name is made of letters, digits and _"
            raise ValueError(message)
        return [str(path) for path in make_client_certificate(directory, name)]

    settings, clock, accounts = world.settings, world.clock, world.accounts
    return {
        "configure": settings.configure,
        "set_time_offset": clock.set_time_offset,
        "advance": clock.advance,
        "add_account": accounts.add_account,
        "set_two_step": accounts.set_two_step,
        "upload_certificate": accounts.upload_certificate,
        "remove_certificates": accounts.remove_certificates,
        "login_status": accounts.login_status,
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
        "journal": lambda: world.journal.entries,
        "counts": world.journal.counts,
        "clear_journal": world.journal.clear,
        "close_streams": streams.close_all,
        "fault": world.fault,
        "clear_faults": world.faults.clear,
        "orders": lambda: world.exchange.orders,
    }


def _stop_at_eof() -> None:
    # Not sys.stdin: its lock, held by this thread, would end the interpreter with a fatal error.
    while os.read(0, 4096):
        pass
    reactor.callFromThread(_stop)


def _stop() -> None:
    with contextlib.suppress(error.ReactorNotRunning):  # it is being stopped already
        reactor.stop()
