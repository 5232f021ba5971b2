"""Running `betfair-session` within the test's process, away from this machine's settings."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, NamedTuple

from programs import scrubbed

from betfair_session.cli import main
from betfair_session.login import lock as locks

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from betfair_session.sandbox import Sandbox

KEY = "session.token"


class Done(NamedTuple):
    """How a command ended.

    Attributes:
        code: its exit code.
        out: what it printed.
        err: what it said on standard error.
    """

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one document of a command with --json, which says nothing else."""
        assert self.err == ""
        assert self.out.count("\n") == 1
        told: dict[str, Any] = json.loads(self.out)
        assert told.get("error", {}).get("exit_code", self.code) == self.code
        return told

    @property
    def error(self) -> dict[str, Any]:
        """What the document says of the error."""
        error: dict[str, Any] = self.document["error"]
        return error


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class CommandLine:
    """The command, with the sandbox's account and a store of the test's own.

    Attributes:
        sandbox: the Betfair that it calls.
        directory: where it runs.
        store: the store's directory, not yet made.
        variables: its environment, which a test may change.
    """

    def __init__(self, sandbox: Sandbox, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Prepare."""
        self.sandbox = sandbox
        self.directory = directory
        self.store = directory / "store"
        self.variables = scrubbed(
            {
                **sandbox.environment(),
                "BETFAIR_SESSION_STORE": str(self.store),
                "BETFAIR_SESSION_KEY": KEY,
                "HOME": str(directory),
            }
        )
        self._patch = monkeypatch
        monkeypatch.chdir(directory)

    def __call__(self, *arguments: str, **changes: str) -> Done:
        """Run a command, with some variables changed; one that becomes "" is not set."""
        return self._run(arguments, changes, io.StringIO)

    def at_terminal(self, *arguments: str, **changes: str) -> Done:
        """Run one whose streams are a terminal."""
        return self._run(arguments, changes, Terminal)

    def _run(
        self, arguments: tuple[str, ...], changes: dict[str, str], stream: type[io.StringIO]
    ) -> Done:
        out, err = stream(), stream()
        variables = {**self.variables, **changes}
        with self._patch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in [*os.environ]:
                patch.delenv(name)
            for name, value in variables.items():
                if value:
                    patch.setenv(name, value)
            code = main(arguments)
        return Done(code, out.getvalue(), err.getvalue())

    def put(self, content: str | bytes, name: str = KEY) -> Path:
        """Put an object into the store."""
        path = self.store / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)
        return path

    def lock(self, lock: locks.Lock) -> Path:
        """Put a lock object into the store."""
        return self.put(locks.encode(lock), f"{KEY}.login")

    def secrets(self) -> list[str]:
        """Return what no output may show but that of `token`."""
        live = [session.token for session in self.sandbox.sessions()]
        return [self.sandbox.password, self.sandbox.app_key, "hidden-value", *live]
