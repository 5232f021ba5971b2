"""sandbox: a local Betfair for as long as the command runs."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import signal
import time
from typing import TYPE_CHECKING

from betfair_session.exceptions import BetfairSessionError, ConfigurationError

from .output import complain

if TYPE_CHECKING:
    from typing import NoReturn

    from betfair_session.sandbox import Sandbox

    from .output import Output

_PARTS = ("twisted", "OpenSSL", "service_identity", "trustme")
_TRUST = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""The variables by which programs trust an authority: those that use requests, and others."""

_LOOK_SECONDS = 1.0


def start(port: int = 0) -> Sandbox:
    """Start a sandbox on three ports from `port` on, or on any free ones."""
    missing = [name for name in _PARTS if importlib.util.find_spec(name) is None]
    if missing:
        message = f'the sandbox needs {", ".join(missing)}: pip install "betfair-session[sandbox]"'
        raise ConfigurationError(message)
    from betfair_session.sandbox import Sandbox, SandboxError

    try:
        return Sandbox(port=port, cert_port=port and port + 1, stream_port=port and port + 2)
    except SandboxError as error:
        message = str(error)
    raise BetfairSessionError(message)


def run(out: Output, *, session_seconds: float | None, port: int | None) -> int:
    """Run it until Ctrl-C."""
    from betfair_session.sandbox import SandboxError

    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, _interrupt)
    with out.progress("starting a local Betfair …"):
        sandbox = start(port or 0)
    with sandbox:
        if session_seconds:
            sandbox.configure(session_seconds=session_seconds)
        values = sandbox.environment()
        trust = dict.fromkeys(_TRUST, sandbox.ca_bundle)
        stream = ":".join(map(str, sandbox.stream_address))
        # All of it texts, so that it can be anybody's environment as it is.
        addresses = {"api_url": sandbox.api_url, "stream_address": stream}
        out.tell({**values, **trust, **addresses}, _exports(values))
        if not out.json:
            complain(
                "sandbox: running; Ctrl-C ends it. Paste the lines above into another terminal or "
                "a .env file,\nthen try `betfair-session token` or `betfair-session doctor`.\n"
                f"A program without this library finds the betting API at {sandbox.api_url}\n"
                f"and the stream at {stream}; these lines let it trust both, in its terminal:\n"
                f"{_exports(trust)}\n"
            )
        try:
            while True:
                time.sleep(_LOOK_SECONDS)
                sandbox.counts()
        except SandboxError:
            message = "the sandbox has ended"
    raise BetfairSessionError(message)


def _interrupt(*_: object) -> NoReturn:
    """End it by Ctrl-C; only once, since a second one would interrupt the cleaning up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def _exports(values: dict[str, str]) -> str:
    return "\n".join(f"export {name}={_quoted(value)}" for name, value in values.items())


def _quoted(value: str) -> str:
    """Quote a value so that a shell and a `.env` file read the same."""
    if re.fullmatch(r"[\w@%+=:,./-]*", value, re.ASCII):
        return value
    if "'" not in value:
        return f"'{value}'"
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'
