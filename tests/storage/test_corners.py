"""What stores do in corners that no server leads to."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from betfair_session import ConfigurationError
from betfair_session.storage import driver as drivers, local, open_store
from betfair_session.storage.contract import VersionConflict
from betfair_session.storage.loop import background_loop, run
from betfair_session.storage.obstore import ObstoreStore
from betfair_session.storage.obstore_config import endpoint_of
from betfair_session.storage.once import Once, OutOfTime

if TYPE_CHECKING:
    from pathlib import Path


# --- local files ---------------------------------------------------------------------------------


def test_the_same_content_is_renewed_only_in_the_version_that_was_read(tmp_path: Path) -> None:
    """Replaced or gone meanwhile, it is a conflict, and what is there stays as it is."""
    store = open_store(tmp_path)
    version = store.create("token", b"content", timeout=5)
    before = (tmp_path / "token").stat().st_mtime_ns
    os.utime(tmp_path / "token", ns=(0, 0))
    assert store.replace_if_version("token", b"content", version, timeout=5) == version
    assert (tmp_path / "token").stat().st_mtime_ns >= before
    (tmp_path / "token").write_bytes(b"another")
    with pytest.raises(VersionConflict, match="is not what it was"):
        store.replace_if_version("token", b"content", version, timeout=5)
    assert (tmp_path / "token").read_bytes() == b"another"
    (tmp_path / "token").unlink()
    with pytest.raises(VersionConflict, match="is not what it was"):
        store.replace_if_version("token", b"content", version, timeout=5)
    assert not (tmp_path / "token").exists()


def test_a_rename_that_is_not_permitted_is_no_conflict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Except on Windows, where a reader may have the file open for a moment."""

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        local._rename(str(tmp_path / "a"), str(tmp_path / "b"))
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(local._FencedError):
        local._rename("a", "b")


def test_a_directory_that_cannot_be_opened_is_no_place_to_queue(tmp_path: Path) -> None:
    """The write itself says what is wrong."""
    reached = False
    with local._directory_lock(str(tmp_path / "missing"), 1.0):
        reached = True
    assert reached


# --- event loops ---------------------------------------------------------------------------------


def test_a_store_is_not_used_from_inside_its_own_loop() -> None:
    """It would wait for itself."""
    loop = background_loop()

    async def inside() -> str:
        with pytest.raises(ConfigurationError, match="from inside its own driver's event loop"):
            run(loop, asyncio.Event().wait, timeout=1)
        return "refused"

    assert asyncio.run_coroutine_threadsafe(inside(), loop).result(30) == "refused"


def test_what_is_made_once_has_a_time_to_be_made_in() -> None:
    """It goes on being made, for the next caller."""
    go: Once[str] = Once()
    gate = threading.Event()

    def make() -> str:
        gate.wait(60)
        return "made"

    with pytest.raises(OutOfTime):
        go.get(make, timeout=0.01)
    gate.set()
    assert go.get(make, timeout=30) == "made"


# --- what is given -------------------------------------------------------------------------------


def test_a_driver_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it."""

    def missing(name: str) -> Any:  # noqa: ANN401 - a module
        raise ImportError(name=name)

    monkeypatch.setattr(drivers, "import_module", missing)
    with pytest.raises(ConfigurationError) as refused:
        open_store("s3://bucket")
    assert str(refused.value) == 's3://bucket needs s3fs: pip install "betfair-session[s3]"'


def test_an_open_filesystem_takes_no_options() -> None:
    """It has its own."""
    with pytest.raises(ConfigurationError, match="a filesystem that is open already"):
        open_store((MemoryFileSystem(), "/x"), {"anything": 1})


@pytest.mark.parametrize("url", ["simplecache::s3://bucket", "filecache::memory://x"])
def test_a_cache_is_no_place_for_a_token(url: str) -> None:
    """It would go on serving a dead one."""
    with pytest.raises(ConfigurationError, match="cach"):
        open_store(url)


def test_obstore_takes_no_filesystem() -> None:
    """It is opened by URL."""
    with pytest.raises(ConfigurationError, match=r"give an obstore\+ URL and its options"):
        ObstoreStore("obstore+s3://bucket", filesystem=MemoryFileSystem())


@pytest.mark.parametrize(
    ("cloud", "config", "endpoint"),
    [
        ("s3", {}, "https://s3.us-east-1.amazonaws.com"),
        ("s3", {"region": "eu-west-1"}, "https://s3.eu-west-1.amazonaws.com"),
        ("s3", {"region": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn"),
        ("gs", {}, "https://storage.googleapis.com"),
        ("az", {"account_name": "name"}, "https://name.blob.core.windows.net"),
    ],
)
def test_each_cloud_has_its_endpoint(
    monkeypatch: pytest.MonkeyPatch, cloud: str, config: dict[str, str], endpoint: str
) -> None:
    """Where neither options nor variables name another."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    assert endpoint_of(cloud, config) == endpoint


def test_a_directory_that_a_filesystem_does_not_make_is_made(tmp_path: Path) -> None:
    """Some make them by themselves, others do not."""

    class Plain(LocalFileSystem):  # type: ignore[misc] # no longer the local one, which is known
        protocol = "plain"

    store = open_store((Plain(auto_mkdir=False, skip_instance_cache=True), str(tmp_path / "deep")))
    store.replace("token", b"content", timeout=5)
    found = store.read("token", timeout=5)
    assert found is not None
    assert found.content == b"content"
