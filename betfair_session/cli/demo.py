"""demo: the whole promise in four steps, each a real process against a local Betfair.

What it shows it also checks, by the sandbox's own journal.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from betfair_session.exceptions import BetfairSessionError

from .output import STORE, write
from .sandbox import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.sandbox import Sandbox

    from .output import Output

_LONGEST_SECONDS = 120.0
_KEY = "session.token"
_QUOTE = textwrap.TextWrapper(
    92,
    initial_indent=" " * 7,
    subsequent_indent=" " * 7,
    break_on_hyphens=False,
    break_long_words=False,
)


@dataclass
class Step:
    """One step: what happens, how long its process took, and what was found to be so."""

    title: str
    seconds: float = 0.0
    shown: list[str] = field(default_factory=list)


class Outcome(NamedTuple):
    """How one `betfair-session token` ended, and which requests the sandbox saw meanwhile."""

    code: int
    token: str
    said: str
    counts: dict[str, int]


class Demo:
    """The steps, on one sandbox and one directory."""

    def __init__(self, sandbox: Sandbox, directory: Path, tell: Callable[[str], None]) -> None:
        """Prepare; `tell` takes each line as soon as it is known."""
        self.steps: list[Step] = []
        self._sandbox = sandbox
        self._directory = directory
        self._store = directory / "store"
        self._tell = tell
        self._token = ""
        self._said = ""

    def run(self) -> None:
        """Go through all steps; the first thing that is not so is a BetfairSessionError."""
        self._first_login()
        self._resume()
        self._heal()
        self._undo()

    def _first_login(self) -> None:
        self._begin("The first process finds no token and logs in")
        outcome = self._process()
        self._check(outcome.code == 0, "it printed a token")
        self._check(outcome.counts == {"certlogin": 1}, "Betfair saw one login, nothing else")
        self._check(self._stored() == outcome.token, "the token is in the store")
        self._token = outcome.token

    def _resume(self) -> None:
        self._begin("A second process resumes that session")
        outcome = self._process()
        self._check(outcome.token == self._token, "it printed the same token")
        self._check(outcome.counts == {"keepAlive": 1}, "Betfair saw one keepAlive and no login")

    def _heal(self) -> None:
        self._begin("Betfair ends the session; a third process heals it")
        dead = self._sandbox.expire(self._token)
        self._check(dead, "the session is dead, its token still stored")
        outcome = self._process()
        once = {"keepAlive": 1, "certlogin": 1}
        self._check(outcome.code == 0, "it printed a token")
        self._check(outcome.counts == once, "Betfair saw one keepAlive and one login")
        self._check(outcome.token != self._token, "the token is a new one")
        self._check(self._stored() == outcome.token, "and it is in the store")
        self._check(self._alive() == [outcome.token], "it is the only session alive")

    def _undo(self) -> None:
        self._begin("The store breaks during a login; nothing is left behind")
        self._sandbox.expire_all()
        self._sandbox.break_store(str(self._store))
        outcome = self._process()
        self._check(outcome.code == STORE, "it ended with exit code 5, the store's, and said:")
        self._tell(_QUOTE.fill(outcome.said))
        self._check(not outcome.token, "it printed no token")
        entries = [entry for entry in self._sandbox.journal() if entry.endpoint != "keepAlive"]
        both = [("certlogin", "SUCCESS"), ("logout", "SUCCESS")]
        ended = [(entry.endpoint, entry.outcome) for entry in entries]
        self._check(ended == both, "Betfair saw the login, and then the logout of its session")
        self._check(self._alive() == [], "no session is alive")

    def _begin(self, title: str) -> None:
        self.steps.append(Step(title))
        self._tell(f"\n{len(self.steps)}. {title}")

    def _check(self, so: bool, what: str) -> None:  # noqa: FBT001 - it reads like an assertion
        if not so:
            said = f"; the process said: {self._said}" if self._said else ""
            message = f"the demo failed in step {len(self.steps)}: it is not so that {what}{said}"
            raise BetfairSessionError(message)
        self.steps[-1].shown.append(what)
        self._tell(f"   ok  {what}")

    def _stored(self) -> str:
        return (self._store / _KEY).read_text(encoding="ascii")

    def _alive(self) -> list[str]:
        return [session.token for session in self._sandbox.sessions()]

    def _process(self) -> Outcome:
        """Run `betfair-session token` as a process of its own, away from the user's settings."""
        variables = {
            **{name: value for name, value in os.environ.items() if "BETFAIR_" not in name},
            **self._sandbox.environment(),
            "BETFAIR_SESSION_STORE": str(self._store),
            "BETFAIR_SESSION_KEY": _KEY,
            "NO_PROXY": "localhost",
            "no_proxy": "localhost",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        self._sandbox.clear_journal()
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "betfair_session", "token"],
            cwd=self._directory,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
        self.steps[-1].seconds = time.monotonic() - started
        self._tell(f"   $ betfair-session token{self.steps[-1].seconds:>60.2f} s")
        # A session that dies so young makes a process warn, rightly; that is not the point here.
        self._said = " ".join(line for line in done.stderr.splitlines() if "warning:" not in line)
        return Outcome(done.returncode, done.stdout.strip(), self._said, self._sandbox.counts())


def run(out: Output) -> int:
    """Show all steps; the last line says that they passed."""
    say: Callable[[str], None] = (lambda _: None) if out.json else write
    say("betfair-session demo: a Betfair of its own on this machine, no account, no network.")
    started = time.monotonic()
    from betfair_session.sandbox import SandboxError

    with out.progress("starting a local Betfair …"):
        local = start()
    with local as sandbox, tempfile.TemporaryDirectory(prefix="betfair-demo-") as directory:
        say(f"\nThe sandbox is up at {sandbox.identity_url} after {_since(started)};")
        say(f"the token will be kept in {directory}{os.sep}store{os.sep}{_KEY}.")
        demo = Demo(sandbox, Path(directory), say)
        try:
            demo.run()
        except (SandboxError, OSError, subprocess.TimeoutExpired) as error:
            message = f"the demo failed in step {len(demo.steps)}: {error}"
            raise BetfairSessionError(message) from None
    say(f"\n{len(demo.steps)} steps in {_since(started)}; the sandbox is stopped.")
    document = {"steps": [asdict(step) for step in demo.steps], "passed": True}
    out.tell(document, "demo: all steps passed")
    return 0


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.2f} s"
