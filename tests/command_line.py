"""Runs `betfair-session` within the test's process, without this machine's settings."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from programs import scrubbed
from secrets_shown import forms_of
from servers.objects import Bucket

from betfair_session.cli import main
from betfair_session.login import lock as locks
from betfair_session.sandbox import Sandbox

KEY = "session.token"
SECRET = tuple(f"BETFAIR_{name}" for name in ("USERNAME", "PASSWORD", "APP_KEY", "CERT_PASSPHRASE"))
"""The variables whose values no command may show."""


class Done(NamedTuple):
    """How a command ended: its exit code, and what it printed on both streams."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one document of a command with --json, which prints nothing else."""
        assert (self.err, self.out.count("\n")) == ("", 1)
        told: dict[str, Any] = json.loads(self.out)
        assert told.get("error", told).get("exit_code", self.code) == self.code
        return told

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.document["error"]
        return error

    def states(self, state: str) -> list[str]:
        """Return the names of the doctor's findings of a kind."""
        return [each["name"] for each in self.document["checks"] if each["state"] == state]

    def of(self, name: str) -> dict[str, Any]:
        """Return the doctor's finding of a name; of several, the first."""
        return next(each for each in self.document["checks"] if each["name"] == name)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class CommandLine:
    """The command, with the sandbox's account and a store of the test's own.

    Whatever it is told, it may show no secret: of its environment, of the sandbox, or one that a
    test marks as a "hidden-value". `token` prints the token alone, and `sandbox` an account.

    Attributes:
        directory: where it runs.
        store: the store's directory, not yet made.
        variables: its environment, which a test may change.
        stream: what its output goes to, such as a Terminal.
    """

    def __init__(self, sandbox: Sandbox, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._sandbox = sandbox
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
        self._account = {self.variables.get(name, "") for name in SECRET}
        self._tokens = set[str]()  # that have been alive
        self.stream: type[io.StringIO] = io.StringIO
        self._patch = monkeypatch
        monkeypatch.chdir(directory)

    def __call__(self, *arguments: str, **changes: str) -> Done:
        """Run a command, with some variables changed; one that becomes "" is not set."""
        out, err = self.stream(), self.stream()
        variables = {**self.variables, **changes}
        self._note_tokens()
        with self._patch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in [*os.environ]:
                patch.delenv(name)
            for name, value in variables.items():
                if value:
                    patch.setenv(name, value)
            code = main(arguments)
        return self.checked(Done(code, out.getvalue(), err.getvalue()), variables, *arguments)

    def checked(self, done: Done, variables: dict[str, str], name: str = "", *_: str) -> Done:
        """Return how a command ended, after a look for secrets in what it printed."""
        self._note_tokens()
        all_of_it = done.out + done.err
        kept = {"hidden-value", *self._account, *(variables.get(each, "") for each in SECRET)}
        for text, secrets in (
            ("" if name == "sandbox" else all_of_it, kept),
            (done.err if name == "token" else all_of_it, self._tokens),
        ):
            found = {each for each in secrets if any(form in text for form in forms_of(each))}
            assert not {each for each in found if len(each) > len("short")}
        return done

    def _note_tokens(self) -> None:
        self._tokens.update(session.token for session in self._sandbox.sessions())

    def json(self, *arguments: str, **changes: str) -> Done:
        return self(*arguments, "--json", **changes)

    def doctor(self, *arguments: str, **changes: str) -> Done:
        return self.json("doctor", *arguments, **changes)

    def keep_only(self, *parts: str) -> None:
        """Drop our variables, except those whose names contain one of these parts."""
        self.variables = {
            name: value
            for name, value in self.variables.items()
            if "BETFAIR_" not in name or any(part in name for part in parts)
        }

    def in_bucket(self, bucket: Bucket) -> None:
        self.variables["BETFAIR_SESSION_STORE"] = bucket.url()
        self.variables["BETFAIR_STORAGE_OPTIONS"] = json.dumps(bucket.options)

    def put(self, content: str | bytes, name: str = KEY) -> Path:
        path = self.store / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)
        return path

    def lock(self, lock: locks.Lock) -> Path:
        return self.put(locks.encode(lock), f"{KEY}.login")
