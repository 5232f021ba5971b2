"""What each store, option or key means, and which is refused before anything is touched."""

from __future__ import annotations

import enum
import gc
import importlib.abc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import fsspec
import pytest
from fsspec.implementations.cached import SimpleCacheFileSystem
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import known_implementations
from obstore.fsspec import FsspecStore
from within import within

from betfair_session.exceptions import ConfigurationError, StoreError
from betfair_session.storage import open_store
from betfair_session.storage.contract import ANY
from betfair_session.storage.generic import MemoryStore
from betfair_session.storage.location import check_key


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*arguments: Any) -> str:  # noqa: ANN401 - as open_store takes them
    with pytest.raises(ConfigurationError) as caught:
        open_store(*arguments)
    text = str(caught.value)
    assert "hunter2" not in text
    assert text.isprintable()
    return text


# --- what a text stands for -----------------------------------------------------------------------


MEANT: dict[str, list[Any]] = {
    "s3://my-bucket": ["s3:/my-bucket", "S3:/my-bucket", r"s3:\\my-bucket", "s3//my-bucket"],
    "s3://bucket/x": [
        *("s3:bucket/x", "BETFAIR_SESSION_STORE=s3://user:hunter2@bucket/x"),
        *("/app/s3://bucket/x", "file:///app/s3://bucket/x"),
        *(f"{mark}s3://bucket/x{mark}" for mark in "\"'` \t\u201c\ufeff\u200b"),
        *("s3://user:hunter2@bucket/x" + end for end in ("\n", "\r", '"', "\0")),
    ],
    "s3://my-bucket/x": ["arn:aws:s3:::my-bucket/x", "s3://arn:aws-cn:s3:::my-bucket/x"],
    "s3://arn:aws:s3:eu-west-1:1:accesspoint/x": ["arn:aws:s3:eu-west-1:1:accesspoint/x"],
    "obstore+s3://x": ["obstore+s3:/x", "obstore+s3://arn:aws:s3:::x"],
    "s3a://my-bucket/x": ["s3a://arn:aws:s3:::my-bucket/x"],
    "gs://bucket/x": [Path("gs://bucket/x")],
    "abfs://": [
        *("abfs:/container", "azblob:/container", "azblob://c?storage_account=hunter2"),
        "https://Account.blob.core.windows.net/container/x",
    ],
    "s3://bucket": ["s3://user:hunter2@bucket", "obstore+s3://user:hunter2@bucket/x"],
    "sftp://": ["sftp:/user:hunter2@host/x", "shtp://user:hunter2@host"],
    "memory://": ["memory:/x", "mem://x"],
    "github://": ["gthub://user:hunter2@host"],
    "s3://": [
        *(
            "s4://bucket",
            "https://b.s3.eu-west-1.amazonaws.com/x",
            "https://s3.amazonaws.com:443/b",
            "b.s3.eu-west-1.amazonaws.com/x",
        ),
        *(f"{each}arn:aws:s3::1:accesspoint/x.mrap" for each in ("", "s3://", "obstore+s3://")),
    ],
    "gs://": ["https://storage.googleapis.com/b/x", "https://storage.cloud.google.com/b"],
    "obstore+s3://": ["obstore+s3//bucket/x"],
    "file:///var/lib/x": ["file:/var/lib/x", "file://var/lib/x", "FILE://var/lib/x"],
    "local:///var/lib/x": ["local://var/lib/x"],
    "./tokens": ["file:tokens", "file://tokens"],
    "tokens": ["'tokens'", " tokens"],
    "s3:/x": [Path(' "s3:/x"')],
    # These mean no store: another system's paths, empty variables, unknown schemes.
    "": [
        *("c:\\tokens", "C:/tokens", r"\\server\share", "$HOME/x", "${STORE}", "%APPDATA%\\x"),
        *("a://b", "s3://bucket/a\nb", "a\x7fb", "nosuch://user:p@hunter2@host/x", "x://y::z", ""),
        *("://x", "file://", "file://localhost", "ftp://user:hunter2@host:x/", "s3://", "gs://"),
        # What the Go library and signed URLs have.
        *("file:///d?create_dir=true&other=hunter2", "s3://b/p?region=hunter2&prefix=a/"),
        *("obstore+gs://b?access_id=hunter2", "obstore+s3://"),
    ],
}


@pytest.mark.parametrize(
    ("store", "meant"), [(each, meant) for meant, listed in MEANT.items() for each in listed]
)
def test_a_store_that_cannot_be_meant_is_refused(here: Path, store: str | Path, meant: str) -> None:
    """With a directory of that name each machine would log in alone; the error says what to do."""
    assert meant in refused(store)
    with pytest.raises(ConfigurationError) as caught:
        open_store(store)
    # The options may be to blame for what only the driver refuses.
    assert caught.value.argument == ("" if "host:x" in str(store) else "store")
    assert os.listdir(here) == []


@pytest.mark.parametrize(
    ("store", "directory"),
    [
        *((name, name) for name in ("tokens", "mine:/x", "a b:/x", "a:b", "local//x", "data//x")),
        *((name, name) for name in ("what?", "naïve", "x/$HOME", "tokens::alice", "tokens::bob")),
        *((f"./{name}", name) for name in ("s3:/x", "s3:x", "c:\\x", "$HOME", '"x"/', "~")),
        *((f"{scheme}://./x", "x") for scheme in ("file", "local")),
        ("FILE://LocalHost{here}/x", "x"),
        ("file://localhost{here}/x", "x"),
        ("file://{here}/x", "x"),
        ("{here}/x", "x"),
        ("~/d", "d"),
        ("file://~/d", "d"),
    ],
)
def test_a_path_is_that_of_a_directory(
    here: Path, monkeypatch: pytest.MonkeyPatch, store: str, directory: str
) -> None:
    """Also with an unknown scheme or ./ before it, or as a URL of files."""
    monkeypatch.setenv("HOME", str(here))
    for given in (store.format(here=here), Path(store.format(here=here))):
        if isinstance(given, Path) and ("://" in store or store.startswith("./")):
            continue
        with open_store(given) as opened:
            opened.put("k", b"x", ANY, deadline=within(5))
        assert (here / directory / "k").read_bytes() == b"x"


@pytest.mark.parametrize(
    "url",
    [
        "https://ec2-1-2-3-4.eu-west-1.compute.amazonaws.com/dav",
        "https://lb-1.eu-west-1.elb.amazonaws.com/dav",
        "https://dav.example.com/x/storage.googleapis.com/y",
        "https://account.file.core.windows.net/share",
    ],
)
def test_another_server_in_the_web_is_one(url: str) -> None:
    """It may keep a token, also on a host of a cloud's or below a path that reads like one."""
    with open_store(url) as store:
        assert not store.atomic


def test_a_home_or_a_working_directory_that_is_not_known_is_no_place(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory named "~" where the program happens to run would have a login of its own."""
    refused("~nobody-of-this-name/x")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)  # in a container: nobody's
    refused("~/tokens")
    gone = here / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    refused("tokens")
    monkeypatch.chdir(here)
    for url in ("file:///C:/x", "file://C:/x"):  # a drive of Windows is no host
        with monkeypatch.context() as patch:
            patch.setattr(os, "name", "nt")
            store = open_store(url)
        assert store.label == str(here / "C:/x")


KEYS: dict[bool, list[Any]] = {
    False: [
        *("", "/abs", "\\abs", "C:\\x", "z:/x", "..", "a/../b", "a//b", "a\\..\\b", "a/", "./a"),
        *("line\nbreak", "nul\0", "d\x7f", "x.login", " ", "k ", " k", "k\r\n", '"k"', "\ufeffk"),
        *("k\u200b", "\u00a0k", "a../b", "a/b../c", 7),
        *("k.login/x", "a/k.LOGIN"),  # on files, where the lock of k belongs
        *("k" * 1019, "\u00fc" * 510),
    ],
    True: ["k" * 1018, "a", "a b/ü.token", "a:b", "C:x", "a:b/c", ".a", "a..", "login", "k.attrs"],
}


@pytest.mark.parametrize(
    ("key", "fits"), [(each, fits) for fits, listed in KEYS.items() for each in listed]
)
def test_a_key_names_one_object_below_the_store(key: Any, *, fits: bool) -> None:  # noqa: ANN401 - as a caller's
    if fits:
        assert check_key(key) == key
        return
    with pytest.raises(ConfigurationError) as caught:
        check_key(key)
    assert str(caught.value).isprintable()


class Named(str, enum.Enum):  # noqa: UP042 - as programs have it
    """Formats as its name."""

    KEY = "a/key"


def test_a_key_may_be_one_of_an_enumeration() -> None:
    assert f"{check_key(Named.KEY)}" == "a/key"


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "options", "meant"),
    [
        ("x", {"profile": "hunter2"}, "profile"),
        ("x", {"obstore": True}, "obstore"),
        ("x", {"allow_world_writeable": True}, "allow_world_writable"),
        ("x", {"allow_world_writable": "false"}, "allow_world_writable"),
        ("memory://x", {"profile": "hunter2"}, "profile"),
        ("s3://b", {"profil": "hunter2"}, "profile"),
        ("s3://b", {"obstore": "false"}, "obstore"),
        ("s3://b", {"account_name": "hunter2"}, "account_name"),
        ("gs://b", {"token": "anon", "projct": "hunter2"}, "project"),
        ("gs://b", {"token": "anon", "key": "hunter2"}, "key"),
        ("abfs://c", {"acount_name": "hunter2"}, "account_name"),
        ("abfs://c/p?sv=1&sig=hunter2", {"account_name": "n"}, "query"),
        ("ftp://h", {"usrname": "hunter2"}, "username"),
        ("sftp://host/path", {"obstore": True}, "obstore"),
        ("obstore+s3://b", {"profile": "hunter2"}, "profile"),
        ("obstore+s3://b", {"client_kwargs": {"hunter": "hunter2"}}, "hunter"),
        ("obstore+s3://b", {"config_kwargs": {"s3": {"max_pool": 3}}}, "max_pool"),
        ("obstore+gs://b", {"token": 5}, "token"),
        ("obstore+abfs://c", {"connection_string": "AccountKey=hunter2"}, "AccountName"),
        ("obstore+s3://b", {"client_kwargs": 5}, ""),
        # Obstore would panic at what is no address, and its panic is no Exception.
        ("obstore+s3://b", {"endpoint_url": "localhost:9000"}, "endpoint_url"),
        ("obstore+s3://b", {"endpoint_url": ""}, "endpoint_url"),
        (
            "obstore+s3://b",
            {"endpoint_url": "https://x", "config_kwargs": {"s3": {"addressing_style": "virtual"}}},
            "addressing_style",
        ),
        ("obstore+s3://b", {"client_kwargs": {"endpoint_url": "ftp://x"}}, "endpoint_url"),
        ("obstore+gs://b", {"token": "anon", "endpoint_url": "https://"}, "endpoint_url"),
        ("obstore+abfs://b", {"connection_string": "AccountName=n;BlobEndpoint=x:1"}, "endpoint"),
    ],
)
@pytest.mark.usefixtures("here")
def test_an_option_that_a_store_does_not_know_is_refused(
    url: str, options: dict[str, Any], meant: str
) -> None:
    """It would be ignored silently, and the token stored without it."""
    assert meant in refused(url, options)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("x", {"obstore": False, "auto_mkdir": True, "allow_world_writable": True}),
        ("memory://x", {"use_listings_cache": False}),
        ("s3://b", {"profile": "p", "client_kwargs": {}, "use_listings_cache": False}),
        ("gs://b", {"token": "anon", "project": "p", "requests_timeout": 3}),
        ("abfs://c", {"account_name": "n", "exclude_cli_credential": True}),
        ("obstore+s3://b", {"s3_additional_kwargs": {"ServerSideEncryption": "AES256"}}),
        ("dir::memory://x", {"dir": {"path": "y"}}),
        ("dir://::memory://x", {"dir": {"path": "y"}}),
        ("S3://Bucket/P", {}),
        ("OBSTORE+S3://Bucket/P", {}),
        ("obstore+s3://bucket", {"obstore": True}),
    ],
)
@pytest.mark.usefixtures("here")
def test_an_option_that_a_driver_reads_is_taken(url: str, options: dict[str, Any]) -> None:
    """By its class, or passed on: adlfs hands the rest to azure.identity. They stay as given."""
    before = repr(options)
    open_store(url, options).close()
    assert repr(options) == before or url.startswith("dir:")  # fsspec itself adds to a chain's


def test_obstore_is_used_when_it_is_asked_for() -> None:
    for url, options in (
        ("s3://bucket/prefix", {"key": "k", "secret": "s"}),
        ("gs://bucket", {"token": "anon"}),
        ("abfs://container/prefix", {"account_name": "name"}),
    ):
        prefixed = type(open_store(f"obstore+{url}", options))
        assert prefixed is type(open_store(url, {"obstore": True, **options}))
        usual = type(open_store(url, options))
        assert usual is type(open_store(url, {"obstore": False, **options})) is not prefixed


def test_a_variables_endpoint_that_is_no_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for url, options, variable in (
        ("obstore+s3://b", {}, "AWS_ENDPOINT_URL_S3"),
        ("obstore+s3://b", {}, "AWS_ENDPOINT_URL"),
        ("obstore+gs://b", {"token": "anon"}, "GOOGLE_BASE_URL"),
        ("obstore+abfs://b", {"account_name": "n"}, "AZURE_STORAGE_ENDPOINT"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "localhost:1")
            assert variable in refused(url, options)


class PanicException(BaseException):
    """Named as pyo3's, which cannot be imported."""


MANY = 1000  # frozen objects; Python 3.12 begins with some hundred


@pytest.mark.parametrize("kept", [(), gc.freeze, gc.disable])
def test_a_driver_is_imported_without_collections(
    monkeypatch: pytest.MonkeyPatch, kept: Callable[[], None] | tuple[()]
) -> None:
    """Not where the program does something itself; and afterwards all is as it was."""
    seen = list[bool]()

    class Noted(importlib.abc.MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name == "betfair_session.storage.azure":
                seen.append(gc.isenabled())

    monkeypatch.setattr(sys, "meta_path", [Noted(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "betfair_session.storage.azure", raising=False)

    def state() -> tuple[bool, bool]:
        return gc.isenabled(), gc.get_freeze_count() > MANY

    try:
        if kept:
            kept()
        before = state()
        open_store("abfs://container", {"account_name": "a"})
        assert seen == [kept is gc.freeze]
        assert state() == before
    finally:
        gc.unfreeze()
        gc.enable()


def test_a_panic_becomes_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    panic = Mock(side_effect=PanicException)
    made = type("S3Store", (), {"__init__": lambda *_, **__: None, "get": panic, "put": panic})
    for kind in (made, panic):
        monkeypatch.setattr("obstore.store.S3Store", kind)
        store = open_store("obstore+s3://b", {"anon": True})
        with pytest.raises((StoreError, ConfigurationError)) as caught:
            store.put("key", b"x", ANY, deadline=within(10))
        assert getattr(caught.value, "landed", kind is made) is (kind is made)


# --- drivers and filesystems ----------------------------------------------------------------------


def test_a_missing_driver_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """By us, fsspec, or the missing module; a driver's own words are not shown."""
    known = {"class": "no_such_module.FileSystem", "err": "Install no-such to access it"}
    monkeypatch.setitem(known_implementations, "nosuch", known)
    for url in ("nosuch://user:hunter2@host/x", "dir::nosuch://user:hunter2@host/x"):
        assert "no_such_module" in refused(url)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules, "betfair_session.storage.s3", raising=False)
    assert "betfair-session[s3]" in refused("s3://bucket")

    missing = Mock(side_effect=ImportError(name="paramiko"))
    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    assert "paramiko" in refused("sftp://host/x")


@pytest.mark.parametrize("protocol", ["simplecache", "filecache", "blockcache", "own"])
def test_a_cache_is_no_place_for_a_token(tmp_path: Path, protocol: str) -> None:
    """It would go on serving a dead one: by URL or given, below a directory or by any name."""
    kind = type("Own", (SimpleCacheFileSystem,), {"protocol": protocol})
    settings = {"target_protocol": "memory", "cache_storage": str(tmp_path / "cache")}
    given = kind(**settings, skip_instance_cache=True)
    for filesystem in (given, DirFileSystem(path="/x", fs=given)):
        refused((filesystem, "/x"))
    if protocol != "own":
        for url in ("{}::memory://x", "{}://x", "dir::{}::memory://x", "zip::{}::memory://x"):
            assert "cache, " in refused(url.format(protocol))


def test_a_filesystem_and_its_root_are_read_as_they_are(here: Path) -> None:
    """A root is a path or a URL on that filesystem; without one it is the working directory."""
    local = LocalFileSystem()
    for root in (here, str(here), f"file://{here}", "", "."):
        assert open_store((local, root)).label == str(here)
    assert open_store(local).label == str(here)
    for bad in ("/x\n", '"/x"', " /x", None, 7, b"x"):
        refused((local, bad))
    refused(7)
    refused((MemoryFileSystem(), "/x"), {"anything": 1})


class CloudPath:
    """As cloudpathlib's: it shows a URL, and stands for a copy in a temporary directory."""

    def __str__(self) -> str:
        return "memory://bucket/x"

    def __fspath__(self) -> str:
        raise AssertionError  # a request, and no place that lasts


def test_a_path_with_options_of_its_own_is_opened_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a UPath: opened without them, it would be another server's, or have no host at all."""
    connect = Mock(return_value=(MemoryFileSystem(), "/x"))
    monkeypatch.setattr(fsspec.core, "url_to_fs", connect)
    text = {"__str__": lambda _: "ftp:///x"}
    newer: Any = type("UPath", (), {**text, "storage_options": {"host": "h", "port": 1}})
    older: Any = type("Older", (newer,), {"__fspath__": newer.__str__})
    for path in (newer(), older()):
        open_store(path, {"port": 2})
        assert connect.call_args.args == ("ftp:///x",)
        assert connect.call_args.kwargs == {"host": "h", "port": 2, "skip_instance_cache": True}


def test_a_path_that_shows_a_url_is_that_url() -> None:
    for store in (CloudPath(), (MemoryFileSystem(), CloudPath())):
        assert type(open_store(store)) is MemoryStore
        assert open_store(store).label.endswith("bucket/x")


def test_a_filesystem_that_cannot_write_on_a_condition_is_refused() -> None:
    refused((FsspecStore("s3"), "bucket"))
