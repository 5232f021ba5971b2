"""The command line: what others can see of its processes, and what a killed one leaves.

What it prints is looked at in command_line.py, for every test that runs a command.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import CLI, SECONDS, cli, run, start

from hidden.planted import Planted

KEY = "session.token"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes and kill -9 are POSIX's")


@pytest.fixture
def variables(planted: Planted, tmp_path: Path) -> dict[str, str]:
    return {
        **planted.environment(),
        "BETFAIR_SESSION_STORE": str(tmp_path / "store"),
        "BETFAIR_SESSION_KEY": KEY,
        "TMPDIR": str(tmp_path),
    }


def _family(pid: int) -> Iterator[int]:
    """Yield a process and all that descend from it."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text("ascii").split():
            yield from _family(int(child))


@pytest.mark.skipif(sys.platform != "linux", reason="it is read from /proc")
def test_no_command_line_of_a_process_shows_a_secret(
    planted: Planted, variables: dict[str, str], tmp_path: Path
) -> None:
    """Every user of a machine can list them; no process passes a secret to another, either."""
    planted.sandbox.hold("certlogin")
    process = start(
        *CLI, "token", directory=tmp_path, variables={**variables, "HOME": str(tmp_path)}
    )
    try:
        planted.sandbox.wait_for("certlogin")
        family = [*_family(process.pid), *_family(planted.sandbox.pid)]
        shown = b"\n".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in family)
        # No other process of the library's has the account in its environment.
        inherited = Path(f"/proc/{planted.sandbox.pid}/environ").read_bytes()
    finally:
        planted.sandbox.release("certlogin")
        out, err = process.communicate(timeout=SECONDS)
    assert b"token" in shown
    assert planted.found_in(shown) == []
    assert planted.found_in(inherited) == []
    assert planted.found_in(err) == []
    assert planted.found_in(out, but=("token",)) == []


# Each with the command that is killed, and how.
LEFTOVERS: dict[str, tuple[str, str]] = {
    # While the key is handed to TLS by a file, where the system has no anonymous one.
    "certificate": (
        "token",
        """
from betfair_session.certificates import fitness
fitness._memory_file = lambda: None
ssl.SSLContext.load_cert_chain = lambda *_, **__: die()
""",
    ),
    # Between writing the token's temporary file and giving it its name.
    "token": (
        "token",
        """
place = os.replace
os.replace = lambda source, target: (target.endswith(".token") and die(), place(source, target))
""",
    ),
    # While a new certificate is written: at the second of its files, and at the last.
    **dict.fromkeys(
        ("2 files", "4 files"),
        (
            "certificate create --p12",
            """
left, real = [int(sys.argv[0][0])], os.open
def count(path, *how, **more):
    descriptor = real(path, *how, **more)
    left[0] -= str(path).endswith((".crt", ".key", ".pem", ".p12"))
    left[0] or die()
    return descriptor
os.open = count
""",
        ),
    ),
}
_KILLED = """
import os, signal, ssl, sys
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
sys.argv[0] = sys.argv.pop(1)
{}
from betfair_session.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("moment", LEFTOVERS)
def test_what_a_killed_program_leaves_is_private(
    planted: Planted, variables: dict[str, str], tmp_path: Path, moment: str
) -> None:
    """After kill -9 there is at most a key that nothing opens, and a token only its user reads."""
    command, code = LEFTOVERS[moment]
    place = tmp_path / "place"
    place.mkdir()
    before = set(tmp_path.rglob("*"))
    old = os.umask(0)  # the least safe one
    try:
        program = (sys.executable, "-c", _KILLED.format(code), moment, *command.split())
        given = {**variables, "HOME": str(tmp_path), "TMPDIR": str(place)}
        done = run(*program, directory=place, variables=given)
    finally:
        os.umask(old)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = {path for path in tmp_path.rglob("*") if path not in before and path.is_file()}
    assert left
    for path in left:
        assert path.stat().st_mode & 0o777 == 0o600 or path.suffix == ".crt", path
        may = ("token",) if moment == "token" and ".login" not in path.name else ()
        assert planted.found_in(path.read_bytes(), but=may) == []
    if "files" in moment:
        assert len(left) == int(moment[0])
    elif moment == "certificate":
        assert any(b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes() for path in left)
    else:
        assert any(planted.found_in(path.read_bytes()) for path in left)
        # No process will release it, if it is from before the last boot.
        lock = tmp_path / "store" / f"{KEY}.login"
        content = json.loads(lock.read_bytes())
        lock.write_text(json.dumps({**content, "boot": "an earlier one"}))
        os.utime(lock, (time.time() - 3600,) * 2)
        again = cli("token", "--json", variables=variables, directory=tmp_path)
        assert again.returncode == 0
        # The next writer removes it, and stores its own.
        token = json.loads(again.stdout)["token"]
        files = [path for path in (tmp_path / "store").iterdir() if path != lock]
        assert [path.read_text("ascii") for path in files] == [token]
