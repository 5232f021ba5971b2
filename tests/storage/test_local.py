"""Local files."""

from __future__ import annotations

import fcntl
import os
import tempfile
from typing import TYPE_CHECKING, ClassVar, cast

import pytest
from within import within

from betfair_session.storage import local_files, open_store
from betfair_session.storage.contract import ABSENT
from storage.contract import Deletions, Races, ThreadRaces, Whole
from storage.places import TIMEOUT, LocalPlace
from storage.suites import TokenStoreContract
from storage.surroundings import Forks, OwnFilesystem, in_a_child

if TYPE_CHECKING:
    from pathlib import Path

_NOBODY = 65534


class TestLocal(TokenStoreContract, Deletions, ThreadRaces, Whole, Races, Forks, OwnFilesystem):
    """A directory on this machine."""

    turns: ClassVar[int] = 500

    @pytest.fixture
    def place(self, tmp_path: Path) -> LocalPlace:
        """A fresh directory."""
        directory = tmp_path / "place"
        directory.mkdir(mode=0o700)
        return LocalPlace(directory)


def test_the_clock_is_that_of_the_tokens_own_directory() -> None:
    """The root above it may be nobody's to write to."""

    def look() -> object:
        if os.geteuid() == 0:  # whom no mode keeps out
            os.setuid(_NOBODY)
        store = open_store(root)
        before = store.server_now(deadline=within(TIMEOUT))
        store.get("bot/token", deadline=within(TIMEOUT))
        return before, store.server_now(deadline=within(TIMEOUT))

    with tempfile.TemporaryDirectory() as root:
        home = os.path.join(root, "bot")
        os.mkdir(home)
        open_store(root).put("bot/token", b"x", ABSENT, deadline=within(TIMEOUT))
        if os.geteuid() == 0:
            for path in (home, os.path.join(home, "token")):
                os.chown(path, _NOBODY, -1)
        os.chmod(root, 0o555)
        written = os.stat(os.path.join(home, "token")).st_mtime
        before, now = cast("tuple[float | None, float]", in_a_child(look))
        os.chmod(root, 0o700)
    assert before is None
    assert abs(now - written) < 60


def test_a_child_forked_during_a_write_keeps_nobody_waiting(tmp_path: Path) -> None:
    """It has the directory open, too, and with it the lock that its parent took."""
    waiting, ending = os.pipe()
    with local_files.directory_lock(str(tmp_path), 1.0):
        child = os.fork()
        if child == 0:
            os.close(ending)
            os.read(waiting, 1)  # returns when nobody holds the other end any more
            os._exit(0)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where it is taken
    finally:
        os.close(ending)
        os.waitpid(child, 0)
        os.close(waiting)
        os.close(descriptor)
