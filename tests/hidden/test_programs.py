"""The command line: what it prints, what others can see of it, and of the processes it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import CommandLine
from programs import CLI, SECONDS, cli, scrubbed

from hidden.planted import PASSPHRASE, PASSWORD, Planted

KEY = "session.token"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes and kill -9 are POSIX's")


@pytest.fixture
def variables(planted: Planted, tmp_path: Path) -> dict[str, str]:
    """All that a command needs."""
    return {
        **planted.environment(),
        "BETFAIR_SESSION_STORE": str(tmp_path / "store"),
        "BETFAIR_SESSION_KEY": KEY,
        "TMPDIR": str(tmp_path),
    }


COMMANDS: list[tuple[str, int, dict[str, str]]] = [  # each with its code and its variables
    ("check --json", 0, {}),
    ("status --json", 0, {}),
    ("status", 0, {}),
    ("doctor --json", 2, {}),  # for the app key
    ("token", 3, {"BETFAIR_PASSWORD": PASSWORD + "x"}),
    ("token --json", 3, {}),
    ("status", 0, {}),
    ("unlock", 0, {}),
    ("token", 2, {"BETFAIR_CERT_PASSPHRASE": PASSPHRASE + "x"}),
    ("token", 2, {"BETFAIR_APP_KEY": "two words"}),
    ("token", 2, {"BETFAIR_STORAGE_OPTIONS": PASSWORD}),
    ("doctor", 2, {"BETFAIR_CERT_PASSPHRASE": PASSPHRASE + "x"}),
]


def test_only_the_token_command_prints_the_token(
    planted: Planted, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other command and every failure prints no secret at all, on either stream."""
    sandbox, command = planted.sandbox, CommandLine(planted.sandbox, tmp_path, monkeypatch)
    command.variables = scrubbed({**variables, "HOME": str(tmp_path)})

    def shown(*arguments: str, code: int, **changes: str) -> str:
        done = command(*arguments, **changes)
        assert done.code == code, (arguments, done.err)
        assert planted.found_in(done.err) == []
        return done.out

    for arguments in (["token"], ["token", "--json"]):
        out = shown(*arguments, code=0)
        assert planted.found_in(out) == ["token 0"]
    sandbox.fault("keepAlive", "blocked")
    sandbox.fault("logout", "html200")
    for name, code in (("check", 4), ("logout", 4)):
        assert planted.found_in(shown(name, code=code)) == []
    for text, code, changes in COMMANDS:
        if "BETFAIR_PASSWORD" in changes:
            shown("logout", code=0)
        assert planted.found_in(shown(*text.split(), code=code, **changes)) == []
    for wrong in (
        ["certificate", "check", str(planted.p12)],
        ["token", "file:///x", KEY, PASSWORD],
        ["token", f"--password={PASSWORD}"],
        ["token", f"sftp://u:{PASSWORD}@host/x", KEY],
    ):
        code = 0 if wrong[0] == "certificate" else 2
        assert planted.found_in(shown(*wrong, code=code)) == []


def _shown_to_others(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode("latin-1")


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
    """Every user of a machine can list them; what starts a process passes nothing on, either."""
    planted.sandbox.hold("certlogin")
    process = subprocess.Popen(
        [*CLI, "token"], env=scrubbed({**variables, "HOME": str(tmp_path)}), cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        planted.sandbox.wait_for("certlogin")
        family = [*_family(process.pid), *_family(planted.sandbox.pid)]
        shown = "\n".join(map(_shown_to_others, family))
        # No other process of the library's has the account in its environment.
        inherited = Path(f"/proc/{planted.sandbox.pid}/environ").read_bytes()
    finally:
        planted.sandbox.release("certlogin")
        out, err = process.communicate(timeout=SECONDS)
    assert "token" in shown
    assert planted.found_in(shown) == []
    assert planted.found_in(inherited) == []
    assert planted.found_in(err) == []
    assert planted.found_in(out, but=("token",)) == []


LEFTOVERS = {
    # While the key is handed to TLS by a file, where the system has no anonymous one.
    "certificate": """
import os, signal, ssl
from betfair_session.certificates import fitness
fitness._memory_file = lambda: None
ssl.SSLContext.load_cert_chain = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
""",
    # Between writing the token's temporary file and giving it its name.
    "token": """
import os, signal
def die(source, target, *_, **__):
    if target.endswith(".token"):
        os.kill(os.getpid(), signal.SIGKILL)
    return link(source, target)
link, os.link = os.link, die
""",
}


@pytest.mark.parametrize("moment", LEFTOVERS)
def test_what_a_killed_program_leaves_is_private(
    planted: Planted, variables: dict[str, str], tmp_path: Path, moment: str
) -> None:
    """After kill -9 there is at most a key that nothing opens, and a token only its user reads."""
    code = (
        LEFTOVERS[moment] + "\nimport sys\nfrom betfair_session.cli import main\nsys.exit(main())"
    )
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = set(tmp_path.rglob("*"))
    old = os.umask(0)  # the worst that there is
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, "token"],
            env=scrubbed({**variables, "HOME": str(tmp_path), "TMPDIR": str(temporary)}),
            cwd=tmp_path, capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    finally:
        os.umask(old)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = {path for path in tmp_path.rglob("*") if path not in before and path.is_file()}
    assert left
    for path in left:
        assert path.stat().st_mode & 0o777 == 0o600
        may = ("token",) if moment == "token" and ".login" not in path.name else ()
        assert planted.found_in(path.read_bytes(), but=may) == []
    texts = [path.read_bytes() for path in left]
    if moment == "certificate":
        assert any(b"BEGIN ENCRYPTED PRIVATE KEY" in text for text in texts)
    else:
        assert any(planted.found_in(text) for text in texts)
        _age_lock(tmp_path / "store" / f"{KEY}.login")
        again = cli("token", "--json", variables=variables, directory=tmp_path)
        assert again.returncode == 0
        # Whoever writes next sweeps it away, and stores its own.
        token = json.loads(again.stdout)["token"]
        files = [path for path in (tmp_path / "store").iterdir() if path.name != f"{KEY}.login"]
        assert [path.read_text("ascii") for path in files] == [token]


_KILLED_WHILE_WRITING = """
import os, signal, sys
left = [int(sys.argv.pop(1))]
real = os.open
def count(path, flags, mode=0o777, **more):
    descriptor = real(path, flags, mode, **more)
    left[0] -= str(path).endswith((".crt", ".key", ".pem", ".p12"))
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return descriptor
os.open = count
from betfair_session.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", [2, 4])
def test_a_killed_making_of_a_certificate_leaves_no_open_key(
    planted: Planted, tmp_path: Path, number: int
) -> None:
    """Whichever of the files it was at, all but the certificate are their user's alone."""
    old = os.umask(0)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _KILLED_WHILE_WRITING, str(number), "certificate", "create",
             "--p12"],
            env=scrubbed({"HOME": str(tmp_path), "BETFAIR_CERT_PASSPHRASE": PASSPHRASE}),
            cwd=tmp_path, capture_output=True, timeout=SECONDS, check=False,
        )  # fmt: skip
    finally:
        os.umask(old)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = {path.suffix: path for path in tmp_path.iterdir() if path.is_file()}
    assert len(left) == number
    assert {path.stat().st_mode & 0o777 for end, path in left.items() if end != ".crt"} == {0o600}
    assert [path for path in left.values() if planted.found_in(path.read_bytes())] == []


def _age_lock(lock: Path) -> None:
    """Make a lock look as old as one that nobody will release, from before this machine's start."""
    content = json.loads(lock.read_bytes())
    lock.write_text(json.dumps({**content, "boot": "an earlier one"}))
    old = time.time() - 3600
    os.utime(lock, (old, old))
