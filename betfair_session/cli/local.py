"""sandbox and demo: run a local Betfair until Ctrl-C, and show the library at work on one.

The demo checks all that it shows, by the sandbox's own journal.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import click

from betfair_session.environment import PLACE
from betfair_session.exceptions import BetfairSessionError
from betfair_session.sandbox import Sandbox, SandboxError
from betfair_session.sandbox.process import LAST_PORT

from .commands import command, option, seconds
from .output import STORE, TERMINATED, Output, complain, need

_PARTS = ("twisted", "OpenSSL", "service_identity", "trustme")
_TRUST = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""The variables that make a program trust an authority, with requests and without."""

_PORTS = "identity host and betting API at N, certlogin at N+1, stream at N+2 (any free ones)"
_STEP_ERRORS = (SandboxError, FileNotFoundError, subprocess.TimeoutExpired)
_LOOK_SECONDS = 1.0
_LONGEST_SECONDS = 120.0


def start(out: Output, port: int = 0) -> Sandbox:
    """Start a sandbox on three ports from `port` on, or on any free ones."""
    need("the sandbox", "sandbox", *_PARTS)
    with out.progress(lambda: "starting a local Betfair …"), _failing("{}", SandboxError, OSError):
        return Sandbox(port=port)


@contextlib.contextmanager
def _failing(message: str, *kinds: type[Exception]) -> Iterator[None]:
    """Raise errors of these kinds as one of ours, which is printed in one line."""
    try:
        yield
    except kinds as error:
        raise BetfairSessionError(message.format(error)) from None


@command(
    option("--session-seconds", "how long a session lives (12 h)", type=seconds, metavar="N"),
    option("--port", _PORTS, type=click.IntRange(1, LAST_PORT), metavar="N"),
)
def sandbox(out: Output, *, session_seconds: float | None, port: int | None) -> int:
    """Run a local Betfair and print the variables to use.

    It runs on this machine until Ctrl-C, with real TLS and client certificates, and prints the
    variables to use and, for a bot of your own, where its API and stream are. Needs
    betfair-session[sandbox].

    Examples:
      betfair-session sandbox               then, in another terminal, paste what it printed and
      betfair-session doctor
      betfair-session sandbox --session-seconds 30
                                            to see a session expire

    exit codes: 130 ended by Ctrl-C; 2 the extra is not installed; 1 it did not start
    """
    pressed: list[BaseException] = []

    def interrupt(number: int, _: object) -> NoReturn:
        # Ignore a second Ctrl-C: it would interrupt the clean-up.
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        pressed.append(SystemExit(TERMINATED) if number == signal.SIGTERM else KeyboardInterrupt())
        raise pressed[0]

    with contextlib.suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, interrupt)
    with start(out, port or 0) as local:
        if session_seconds:
            local.configure(session_seconds=session_seconds)
        values = local.environment()
        trust = dict.fromkeys(_TRUST, local.ca_bundle)
        stream = ":".join(map(str, local.stream_address))
        # All values are strings, so that a program can use the document as its environment.
        addresses = {"api_url": local.api_url, "stream_address": stream}
        out.tell({**values, **trust, **addresses}, _exports(values))
        if not out.json:
            place = "a .env file" if os.name == "nt" else "another terminal or a .env file"
            complain(
                f"running; Ctrl-C ends it. Paste the lines above into {place},\n"
                "then try `betfair-session token` or `betfair-session doctor`.\n"
                f"A program without this library finds the betting API at {local.api_url}\n"
                f"and the stream at {stream}; in its terminal, these lines let it trust both:\n"
                f"{_exports(trust)}"
            )
        with _failing("the sandbox has ended", SandboxError):
            while not pressed:  # an exception raised in a finalizer is lost
                time.sleep(_LOOK_SECONDS)
                local.counts()
            raise pressed[0]


def _exports(values: dict[str, str]) -> str:
    """Write assignments that a shell and a `.env` file read alike, but for ' beside $ or `."""
    return "\n".join(f"export {name}={_quoted(value)}" for name, value in values.items())


def _quoted(value: str) -> str:
    if "'" not in value:
        return shlex.quote(value)
    escaped = re.sub(r'([\\"`$])', r"\\\1", value)  # in a `.env` file, one word has one quote
    return f'"{escaped}"'


@command()
def demo(out: Output) -> None:
    """See the library work against a local Betfair; needs no account.

    Four steps, each in its own process: a login, a resume, a session that died, and a store that
    broke. It also checks what it shows. Needs betfair-session[sandbox].

    Example:
      betfair-session demo

    exit codes: 0 all steps passed; 2 the extra is not installed; 1 a step failed
    """
    started = time.monotonic()
    out.say("betfair-session demo: a local Betfair on this machine; no account, no network.")
    with start(out) as local:
        show = Demo(out, local)
        out.say(f"\nThe sandbox is up at {local.identity_url} after {_since(started)};")
        out.say(f"the token will be kept in {show.place}.")
        for number, step in enumerate((show.log_in, show.resume, show.heal, show.clean_up), 1):
            with _failing(f"the demo failed in step {number}: {{}}", *_STEP_ERRORS):
                step()
    out.say(f"\n{len(show.steps)} steps in {_since(started)}; the sandbox is stopped.")
    out.tell({"steps": show.steps, "passed": True}, "demo: all steps passed")


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.2f} s"


class Demo:
    """The steps, on one sandbox and its store; the first check that fails is an error."""

    def __init__(self, out: Output, sandbox: Sandbox) -> None:
        self._variables = sandbox.environment()
        store, key = (self._variables[name] for name in PLACE)
        self.place = Path(store, key)
        # Each with its title, the seconds of its process, and the checks that passed.
        self.steps: list[dict[str, Any]] = []
        self._sandbox, self._out = sandbox, out
        self._said = ""

    def log_in(self) -> None:
        code, token = self._process("The first process finds no token and logs in")
        self._check(code == 0, "it printed a token")
        self._saw({"certlogin": 1}, "one login, nothing else")
        self._check(self._stored() == token, "the token is in the store")

    def resume(self) -> None:
        before = self._stored()
        _, token = self._process("A second process resumes that session")
        self._check(token == before, "it printed the same token")
        self._saw({"keepAlive": 1}, "one keepAlive and no login")

    def heal(self) -> None:
        before = self._stored()
        dead = self._sandbox.expire(before)
        code, token = self._process("Betfair ends the session; a third process heals it")
        self._check(dead, "the session was dead, its token still stored")
        self._check(code == 0, "it printed a token")
        self._saw({"keepAlive": 1, "certlogin": 1}, "one keepAlive and one login")
        self._check(token != before, "the token is a new one")
        self._check(self._stored() == token, "and it is in the store")
        alive = [session.token for session in self._sandbox.sessions()]
        self._check(alive == [token], "it is the only session alive")

    def clean_up(self) -> None:
        self._sandbox.expire_all()
        self._sandbox.hold("certlogin", "after")
        threading.Thread(target=self._break_store, daemon=True).start()
        code, token = self._process("The store breaks during a login; nothing is left behind")
        self._check(code == STORE, "it ended with exit code 5 (the store failed), and said:")
        said = textwrap.fill(self._said, 85, break_on_hyphens=False)
        self._out.say(textwrap.indent(said, " " * 7))
        self._check(not token, "it printed no token")
        entries = [entry for entry in self._sandbox.journal() if entry.endpoint != "keepAlive"]
        both = [("certlogin", "SUCCESS"), ("logout", "SUCCESS")]
        ended = [(entry.endpoint, entry.outcome) for entry in entries]
        self._check(ended == both, "Betfair saw the login, and then the logout of its session")
        self._check(self._sandbox.sessions() == [], "no session is alive")

    def _break_store(self) -> None:
        """Put a file in the store's place while a login waits for its answer."""
        with contextlib.suppress(SandboxError):  # there was no login, which the step reports
            self._sandbox.wait_for("certlogin")
            shutil.rmtree(self.place.parent)
            self.place.parent.touch()
            self._sandbox.release("certlogin")

    def _saw(self, counts: dict[str, int], what: str) -> None:
        self._check(self._sandbox.counts() == counts, f"Betfair saw {what}")

    def _check(self, so: bool, what: str) -> None:  # noqa: FBT001 - it reads like an assertion
        if not so:
            raise SandboxError(f"this was not so: {what}; the process said: {self._said}")
        self.steps[-1]["shown"].append(what)
        self._out.say(f"   ok  {what}")

    def _stored(self) -> str:
        return self.place.read_text(encoding="ascii")

    def _process(self, title: str) -> tuple[int, str]:
        """Run `betfair-session token` without the user's settings; return exit code and token."""
        self._out.say(f"\n{len(self.steps) + 1}. {title}")
        variables = {
            **{name: value for name, value in os.environ.items() if "BETFAIR_" not in name},
            **self._variables,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self._sandbox.clear_journal()
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "betfair_session", "token"],
            cwd=self._sandbox.directory,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
        seconds = time.monotonic() - started
        self.steps.append({"title": title, "seconds": seconds, "shown": []})
        self._out.say(f"   $ betfair-session token{seconds:>60.2f} s")
        # The library rightly warns of a session that died so young; the demo ended it on purpose.
        self._said = " ".join(line for line in done.stderr.splitlines() if "warning:" not in line)
        return done.returncode, done.stdout.strip()
