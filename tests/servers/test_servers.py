"""The servers themselves: they end with whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from servers.fixtures import lack
from servers.process import ServerFailed, ServerProcess, poll

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers.objects import Bucket

_STARTER = """
import sys, time
from pathlib import Path
from servers.fixtures import lack
from servers.process import ServerProcess
print(ServerProcess(["sleep", "600"], Path(sys.argv[1])).pid, flush=True)
time.sleep(600)
"""


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a dead parent's processes")
def test_a_killed_test_run_leaves_no_server(tmp_path: Path) -> None:
    """A server ends when the process that started it is killed."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", _STARTER, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert _runs(pid)
        starter.send_signal(signal.SIGKILL)
    assert any(not _runs(pid) for _ in poll(10))


def test_a_server_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    """The failure tells what the server printed."""
    server = ServerProcess([sys.executable, "-c", "print('no such luck')"], tmp_path)
    with pytest.raises(ServerFailed, match="no such luck"):
        server.wait_until(lambda: False)


@pytest.mark.parametrize(
    ("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)]
)
def test_a_missing_server_is_a_skip_or_a_failure(
    monkeypatch: pytest.MonkeyPatch, required: str, outcome: type[BaseException]
) -> None:
    """A machine without a server skips with the reason; continuous integration fails."""
    monkeypatch.setenv("BETFAIR_SESSION_REQUIRE_SERVERS", required)
    with pytest.raises(outcome, match="no such server"):
        lack("no such server")


@pytest.mark.parametrize("kind", ["seaweed", "moto", "gcs", "gcs-xml", "azure", "sftp"])
def test_the_client_of_the_tests_sees_what_it_wrote(
    bucket_on: Callable[[str], Bucket], kind: str
) -> None:
    """Every server keeps objects under any name, as its own client sees them."""
    bucket = bucket_on(kind)
    assert bucket.get("none") is None
    bucket.put("a b/ü#%+", b"\x00\xff")
    assert bucket.get("a b/ü#%+") == b"\x00\xff"
    assert bucket.keys() == ["a b/ü#%+"]
    bucket.delete("a b/ü#%+")
    bucket.delete("a b/ü#%+")
    assert bucket.keys() == []
