"""Traps that the drivers set, each once measured and none stepped into again.

Those that show as an ordinary property of a store are in the contract; these need a scene.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import fsspec
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from servers.fixtures import lack
from servers.process import HOST
from within import within

from betfair_session.exceptions import ConfigurationError
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, ANY
from storage.places import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.objects import Bucket, ObjectServer
    from servers.proxy import Proxy

_HEAVY = ["adlfs", "aiohttp", "azure", "boto3", "botocore", "fsspec", "gcsfs", "google", "obstore"]
_IMPORTS = f"""
import json, sys
before = set(sys.modules)  # a *.pth file of some package's may have imported its namespace
from betfair_session.storage import open_store

url, options = json.loads(sys.argv[1])
open_store(url, options)
loaded = sys.modules.keys() - before
print(json.dumps([name for name in {[*_HEAVY, "requests", "s3fs"]!r} if name in loaded]))
"""

_FILL = """
import os, subprocess, sys, time
from betfair_session.exceptions import StoreWriteError
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT, ANY
soon = time.monotonic() + 30

place, kind = sys.argv[1:]
size = "size=16k" if kind == "full" else "size=1m"
subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", place], check=True)
store = open_store(place)
version = store.put("token", b"old", ABSENT, deadline=soon)
if kind == "full":
    try:
        open(os.path.join(place, "ballast"), "wb", 0).write(b"x" * 1_000_000)
    except OSError:
        pass
else:
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
for write in (
    lambda: store.put("other", b"x" * 4000, ABSENT, deadline=soon),
    lambda: store.put("token", b"x" * 4000, ANY, deadline=soon),
    lambda: store.put("token", b"x" * 4000, version, deadline=soon),
):
    try:
        write()
    except StoreWriteError as error:
        print(error.reason, error.landed)
print(store.get("token", deadline=soon).content.decode(), len(os.listdir(place)))
"""


_OUTLIVES = """
import json, sys, threading, time
from betfair_session.storage import open_store
from betfair_session.storage.contract import ABSENT
soon = time.monotonic() + 60

url, options = json.loads(sys.stdin.read())
store = open_store(url, options)

def bot():
    threading.main_thread().join()
    store.put("token", b"content", ABSENT, deadline=soon)
    print(store.get("token", deadline=soon).content.decode())

threading.Thread(target=bot).start()
"""


@pytest.mark.parametrize("wrapper", ["simplecache", "filecache", "blockcache"])
def test_a_caching_url_is_refused(tmp_path: Path, wrapper: str) -> None:
    """A cache in the URL chain would go on serving a dead token."""
    with pytest.raises(ConfigurationError, match="cache"):
        open_store(f"{wrapper}::file://{tmp_path}")


@pytest.mark.parametrize("wrapper", ["simplecache", "filecache", "blockcache"])
@pytest.mark.parametrize("wrapped", ["alone", "below a directory"])
def test_a_caching_filesystem_is_refused(tmp_path: Path, wrapper: str, wrapped: str) -> None:
    """The same for a filesystem of the caller's, also below fsspec's DirFileSystem."""
    storage = str(tmp_path / "cache")
    filesystem = fsspec.filesystem(wrapper, target_protocol="memory", cache_storage=storage)
    given = filesystem if wrapped == "alone" else DirFileSystem(path="/x", fs=filesystem)
    with pytest.raises(ConfigurationError, match="cache"):
        open_store((given, "/x"))


def test_the_silently_overwriting_filesystem_is_refused(bucket_on: Callable[[str], Bucket]) -> None:
    """Obstore's fsspec filesystem ignores mode="create": it must not pass for a store."""
    from obstore.fsspec import FsspecStore

    bucket = bucket_on("moto")
    filesystem = FsspecStore(
        "s3",
        access_key_id=bucket.options["key"],
        secret_access_key=bucket.options["secret"],
        endpoint=bucket.options["endpoint_url"],
        region="us-east-1",
        client_options={"allow_http": True},
    )
    with pytest.raises(ConfigurationError, match="obstore"):
        open_store((filesystem, bucket.name))


def test_the_type_of_a_google_bucket_is_not_asked(
    bucket_on: Callable[[str], Bucket], proxy_to: Callable[[ObjectServer], Proxy]
) -> None:
    """Gcsfs asks Google's control plane for it, for up to a minute; a caller's filesystem too."""
    bucket = bucket_on("gcs")
    proxy = proxy_to(bucket.server)
    filesystem = fsspec.filesystem("gs", **bucket.server.options(proxy.endpoint))
    with open_store((filesystem, bucket.name)) as store:
        store.put("token", b"first", ABSENT, deadline=within(10))
        assert store.get("token", deadline=within(10)) is not None
        store.delete("token", deadline=within(10))
    assert [each.method for each in proxy.requests] == ["POST", "GET", "DELETE"]


@pytest.mark.skipif(
    (3, 12) <= sys.version_info < (3, 12, 3),
    reason="these start no thread once the main one has ended (python/cpython#113964)",
)
@pytest.mark.parametrize("kind", ["moto", "gcs", "azure"])
def test_threads_that_outlive_the_main_one_are_served(
    bucket_on: Callable[[str], Bucket], kind: str
) -> None:
    """The drivers look up names in asyncio's own threads, of which there are no more by then."""
    bucket = bucket_on(kind)
    named = bucket.server.endpoint.replace(HOST, "localhost")
    done = subprocess.run(
        [sys.executable, "-c", _OUTLIVES],
        input=json.dumps([bucket.url(), bucket.server.options(named)]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout == "content\n", done.stderr


@pytest.mark.parametrize(
    ("url", "options", "loaded"),
    [
        ("/nowhere", {}, []),
        ("s3://bucket", {"key": "k", "secret": "s"}, ["s3fs", "fsspec", "aiohttp", "botocore"]),
        ("gs://bucket", {"token": "anon"}, ["gcsfs", "fsspec", "aiohttp", "google", "requests"]),
        ("obstore+s3://bucket", {"key": "k", "secret": "s"}, ["obstore"]),
    ],
)
def test_a_store_imports_its_own_driver_only(
    url: str, options: dict[str, str], loaded: list[str]
) -> None:
    """A cold start pays for one driver, and for none with local files."""
    command = [sys.executable, "-c", _IMPORTS, json.dumps([url, options])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert set(json.loads(done.stdout)) <= set(loaded)


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_local_files_are_private(tmp_path: Path) -> None:
    """Files are 0600 and new directories 0700, whatever the umask."""
    before = os.umask(0)
    try:
        with open_store(tmp_path / "a" / "b") as store:
            version = store.put("c/token", b"first", ABSENT, deadline=within(TIMEOUT))
            store.put("c/token", b"second", version, deadline=within(TIMEOUT))
            store.put("c/other", b"third", ANY, deadline=within(TIMEOUT))
    finally:
        os.umask(before)
    for path in (tmp_path / "a").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux mounts without being root")
@pytest.mark.parametrize(("kind", "reason"), [("full", "full"), ("read-only", "read-only")])
def test_a_disk_that_takes_no_write_is_told(tmp_path: Path, kind: str, reason: str) -> None:
    """On a full or read-only disk writes fail with the reason, and leave the old content whole."""
    unshare = shutil.which("unshare")
    assert unshare
    command = [unshare, "-Urm", sys.executable, "-c", _FILL, str(tmp_path), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unshare failed" in done.stderr:
        lack(f"no mounts here: {done.stderr.strip()}")
    assert done.stderr == ""
    expected = [f"{reason} False"] * 3 + [f"old {2 if kind == 'full' else 1}"]
    assert done.stdout.splitlines() == expected
