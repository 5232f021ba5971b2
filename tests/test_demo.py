"""The demo: what it shows it also proves, and a deviation is a failure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from programs import cli

from betfair_session import BetfairSessionError
from betfair_session.cli.demo import Demo

if TYPE_CHECKING:
    from pathlib import Path

    from betfair_session.sandbox import Sandbox


def test_the_demo_passes_and_says_so(tmp_path: Path) -> None:
    """It ends with its last line and exit code 0, whatever the user's own settings are."""
    (tmp_path / ".env").write_text("this is no setting")
    variables = {"BETFAIR_USERNAME": "somebody", "BETFAIR_CERT_PEM": "something"}
    variables |= {"HTTPS_PROXY": "http://127.0.0.1:9", "TMPDIR": str(tmp_path)}
    done = cli("demo", variables=variables, directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "demo: all steps passed"
    assert [line[:2] for line in lines if line[:1].isdigit() and line[1] == "."] == [
        "1.",
        "2.",
        "3.",
        "4.",
    ]
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


def test_the_demo_as_json(tmp_path: Path) -> None:
    """`--json` is one object that holds every step with its time and what it showed."""
    done = cli("demo", "--json", directory=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["passed"] is True
    assert len(told["steps"]) == 4
    assert all(step["seconds"] > 0 and len(step["shown"]) > 1 for step in told["steps"])


@pytest.mark.parametrize(
    ("step", "fault", "skip"),
    [
        (1, ("certlogin", "status:503"), 0),
        (2, ("keepAlive", "status:503"), 0),
        (3, ("keepAlive", "internal_error"), 1),
        (4, ("logout", "status:503"), 0),
    ],
)
def test_a_step_that_goes_wrong_fails_the_demo(
    sandbox: Sandbox, tmp_path: Path, step: int, fault: tuple[str, str], skip: int
) -> None:
    """Each step looks at what really happened."""
    sandbox.fault(*fault, times=None, skip=skip)
    lines: list[str] = []
    with pytest.raises(BetfairSessionError, match=f"failed in step {step}: it is not so that"):
        Demo(sandbox, tmp_path, lines.append).run()
    assert sum(line.startswith("\n") for line in lines) == step
