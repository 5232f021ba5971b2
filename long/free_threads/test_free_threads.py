"""Threads that run at the same moment, on a build of Python without a global lock.

It is the one that BETFAIR_SESSION_FREE_THREADED names, or is found as python3.15t and so on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from programs import run

from betfair_session.sandbox import Sandbox

HERE = Path(__file__).parent
NAMES = ("python3.15t", "python3.14t", "python3.13t")


@pytest.fixture(scope="module")
def interpreter(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Such an interpreter, with the library and the packages that it imports without a driver."""
    given = os.environ.get("BETFAIR_SESSION_FREE_THREADED")
    found = given or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("there is no free-threaded Python here")
    place = tmp_path_factory.mktemp("free") / "venv"
    needed = [each for each in requires("betfair-session") or () if "extra" not in each]
    # Not cryptography, whose wheels are for later versions; only certificates need it.
    needed = [each for each in needed if not each.startswith("cryptography")]
    uv = [str(Path(sys.executable).with_name("uv")), "--quiet"]
    into = ["pip", "install", "--python", str(place)]
    for command in (
        ["venv", "--python", found, str(place)],
        [*into, *needed],
        [*into, "--no-deps", str(HERE.parents[1])],
    ):
        subprocess.run([*uv, *command], check=True)
    return str(place / "bin" / "python")


@pytest.mark.parametrize("place", ["files", "memory"])
def test_many_threads_share_each_login_and_no_stale_token(
    sandbox: Sandbox, interpreter: str, tmp_path: Path, place: str
) -> None:
    """Sixteen renew one dead token, half of them in event loops, while four read without end."""
    store = str(tmp_path) if place == "files" else "memory://free"
    program = str(HERE / "program.py")
    variables = {**sandbox.environment(), "HOME": str(tmp_path)}
    done = run(interpreter, program, store, variables=variables, directory=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["lock"]
    assert found["reads"] > found["rounds"]
    logins = found["rounds"] + 1
    assert found["events"]["logged in"] == found["events"]["written"] == logins
    assert sandbox.counts()["login"] == logins
    assert len(sandbox.sessions()) == 1
