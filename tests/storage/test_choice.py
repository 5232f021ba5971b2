"""Which URL is opened by what."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations
from within import within

from betfair_session.exceptions import ConfigurationError, StoreUnavailable
from betfair_session.storage import open_store
from betfair_session.storage.cloud import CloudStore
from betfair_session.storage.generic import MemoryStore
from betfair_session.storage.local import LocalStore
from betfair_session.storage.obstore import ObstoreStore
from betfair_session.storage.obstore_config import translate
from betfair_session.storage.s3 import S3Store


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "gs://bucket", "abfs://container/prefix"])
def test_obstore_is_used_when_it_is_asked_for(url: str) -> None:
    """By the prefix or by the option; the same options serve both."""
    options = {"account_name": "name"} if url.startswith("abfs") else {}
    assert isinstance(open_store("obstore+" + url, options), ObstoreStore)
    assert isinstance(open_store(url, {"obstore": True, **options}), ObstoreStore)


def test_without_being_asked_for_it_is_not_used() -> None:
    """Installed or not; and False is no."""
    assert isinstance(open_store("s3://bucket"), S3Store)
    assert isinstance(open_store("s3://bucket", {"obstore": False}), S3Store)


def test_obstore_cannot_open_everything() -> None:
    """It serves the three clouds."""
    with pytest.raises(ConfigurationError, match="obstore serves"):
        open_store("sftp://host/path", {"obstore": True})


def test_the_callers_options_are_left_as_they_are() -> None:
    """They may be used again."""
    options = {"obstore": True}
    open_store("s3://bucket", options)
    assert options == {"obstore": True}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, where a mistake would make a directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("store", "meant"),
    [
        ("s3:/my-bucket", "s3://my-bucket"),
        ("S3:/my-bucket/betfair", "s3://my-bucket/betfair"),
        ("s3:bucket/x", "s3://bucket/x"),
        ("s3//bucket/x", "s3://bucket/x"),
        (r"s3:\\bucket", "s3://bucket"),
        ("obstore+s3:/x", "obstore+s3://x"),
        (Path("gs://bucket/x"), "gs://bucket/x"),
        ("abfs:/container", "abfs://container"),
        ("azblob:/container", "abfs://container"),
        ("sftp:/user:hunter2@host/x", "sftp://host/x"),
        ("memory:/x", "memory://x"),
        ("file:/var/lib/x", "file:///var/lib/x"),
        ("BETFAIR_SESSION_STORE=s3://user:hunter2@bucket/x", "s3://bucket/x"),
        ("/app/s3://bucket/x", "s3://bucket/x"),
        ("file:///app/s3://bucket/x", "s3://bucket/x"),
        *((f"{mark}s3://bucket/x{mark}", "s3://bucket/x") for mark in "\"'` \t\u201c\ufeff\u200b"),
        *(("s3://user:hunter2@bucket/x" + end, "s3://bucket/x") for end in ("\n", "\r", '"', "\0")),
        ("'tokens'", "tokens"),
        (" tokens", "tokens"),
        (Path(' "s3:/x"'), "s3:/x"),
        ("azblob://container?storage_account=hunter2", "abfs://"),
        ("mem://x", "memory://"),
        ("s4://bucket", "s3://"),
        ("shtp://user:hunter2@host", "sftp://"),
    ],
)
def test_a_store_that_looks_like_another_is_refused(
    here: Path, store: str | Path, meant: str
) -> None:
    """A directory of that name would have each machine log in alone; it says what was meant."""
    with pytest.raises(ConfigurationError, match=re.escape(meant)) as refused:
        open_store(store)
    assert "hunter2" not in str(refused.value)
    assert os.listdir(here) == []


@pytest.mark.parametrize(
    "store",
    [
        *(
            "c:\\tokens",
            "C:/tokens",
            r"\\server\share",
            "$HOME/x",
            "${STORE}",
            "%APPDATA%\\x",
            "a://b",
        ),
        *("s3://bucket/a\nb", "a\x7fb", "nosuch://user:hunter2@host/x", "x://y::z"),
    ],
)
def test_a_store_of_another_world_is_refused(here: Path, store: str) -> None:
    """A path of Windows, a variable that no shell filled in, a scheme that nobody knows."""
    with pytest.raises(ConfigurationError) as refused:
        open_store(store)
    assert "hunter2" not in str(refused.value)
    assert str(refused.value).isprintable()
    assert os.listdir(here) == []


@pytest.mark.parametrize(
    "path",
    [
        *(
            "tokens",
            "./s3:/x",
            "./s3:x",
            "./c:\\x",
            "./$HOME",
            './"x"/',
            "mine:/x",
            "a b:/x",
            "a:b",
        ),
        *("local//x", "data//x", "what?", "naïve", "x/$HOME"),
    ],
)
@pytest.mark.usefixtures("here")
def test_other_names_stay_names_of_directories(path: str) -> None:
    """What is no scheme that anybody knows, and what begins with ./ on purpose."""
    assert isinstance(open_store(path), LocalStore)


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("file:///d?create_dir=true&no_tmp_dir=1&other=hunter2", ["create_dir", "no_tmp_dir"]),
        ("file:///d?region=x", []),
        ("s3://b?region=hunter2&prefix=a/", ["region_name", "prefix"]),
        ("s3://b/p?use_path_style=true", ["addressing_style"]),
        ("obstore+gs://b?access_id=hunter2", ["token"]),
        ("abfs://c/p?sv=1&sig=hunter2", ["sas_token"]),
    ],
)
def test_a_query_is_refused_with_what_of_ours_it_corresponds_to(url: str, ours: list[str]) -> None:
    """The Go library and signed URLs have them; no value of one is shown."""
    with pytest.raises(ConfigurationError) as refused:
        open_store(url, {"account_name": "n"} if "abfs" in url else {})
    assert [name for name in ours if name not in str(refused.value)] == []
    assert "hunter2" not in str(refused.value)
    assert ("region_name" in str(refused.value)) == ("region_name" in ours)


@pytest.mark.parametrize(
    ("url", "options", "meant"),
    [
        ("x", {"profile": "hunter2"}, None),
        ("x", {"obstore": True}, None),
        ("x", {"allow_world_writeable": True}, "allow_world_writable"),
        ("x", {"allow_world_writable": "false"}, None),
        ("memory://x", {"profile": "hunter2"}, None),
        ("s3://b", {"profil": "hunter2"}, "profile"),
        ("s3://b", {"account_name": "hunter2"}, None),
        ("gs://b", {"token": "anon", "projct": "hunter2"}, "project"),
        ("gs://b", {"token": "anon", "key": "hunter2"}, None),
        ("abfs://c", {"acount_name": "hunter2"}, "account_name"),
        ("ftp://h", {"usrname": "hunter2"}, "username"),
    ],
)
def test_an_option_that_a_store_does_not_know_is_refused(
    url: str, options: dict[str, Any], meant: str | None
) -> None:
    """It would be dropped without a word, and the token would be kept without it."""
    with pytest.raises(ConfigurationError, match=meant and f"did you mean '{meant}'") as refused:
        open_store(url, options)
    assert "hunter2" not in str(refused.value)
    assert next(iter(reversed(options))) in str(refused.value)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("x", {"obstore": False, "auto_mkdir": True, "allow_world_writable": True}),
        ("memory://x", {"global_store": True}),
        ("s3://b", {"profile": "p", "client_kwargs": {}, "use_listings_cache": False}),
        ("gs://b", {"token": "anon", "project": "p", "requests_timeout": 3}),
        ("abfs://c", {"account_name": "n", "exclude_cli_credential": True}),
        ("dir::memory://x", {"dir": {"path": "y"}}),
    ],
)
def test_an_option_that_a_driver_reads_is_taken(url: str, options: dict[str, Any]) -> None:
    """Named by its class or passed on to another: adlfs asks azure.identity with what is left."""
    open_store(url, options).close()


ENDPOINTS: list[tuple[str, dict[str, Any], dict[str, str], str]] = [
    ("obstore+s3://b", {"endpoint_url": "localhost:9000"}, {}, "endpoint_url"),
    ("obstore+s3://b", {"endpoint_url": ""}, {}, "endpoint_url"),
    ("obstore+s3://b", {"endpoint_url": "https://"}, {}, "endpoint_url"),
    ("obstore+s3://b", {"client_kwargs": {"endpoint_url": "ftp://x"}}, {}, "endpoint_url"),
    ("obstore+s3://b", {}, {"AWS_ENDPOINT_URL_S3": "localhost:1"}, "AWS_ENDPOINT_URL_S3"),
    ("obstore+s3://b", {}, {"AWS_ENDPOINT_URL": "localhost:1"}, "AWS_ENDPOINT_URL"),
    ("obstore+gs://b", {"token": "anon", "endpoint_url": "localhost:1"}, {}, "endpoint_url"),
    ("obstore+gs://b", {"token": "anon"}, {"GOOGLE_BASE_URL": "localhost:1"}, "GOOGLE_BASE_URL"),
    (
        "obstore+abfs://b",
        {"connection_string": "AccountName=n;BlobEndpoint=localhost:1"},
        {},
        "the endpoint",
    ),
    (
        "obstore+abfs://b",
        {"account_name": "n"},
        {"AZURE_STORAGE_ENDPOINT": "localhost:1"},
        "AZURE_STORAGE_ENDPOINT",
    ),
]


@pytest.mark.parametrize(("url", "options", "variables", "name"), ENDPOINTS, ids=str)
def test_an_endpoint_that_is_no_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    options: dict[str, Any],
    variables: dict[str, str],
    name: str,
) -> None:
    """Obstore would panic with it, which is not even an Exception."""
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"^{name} must begin with https://, or http://"):
        open_store(url, options)


def test_an_option_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """With s3fs it does, too; obstore itself prefers AWS_ENDPOINT_URL_S3."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    store = open_store("obstore+s3://b", {"endpoint_url": "https://s3.amazonaws.com"})
    assert isinstance(store, ObstoreStore)
    assert store._config["aws_endpoint_url_s3"] == "https://s3.amazonaws.com"
    assert not store.probe


def test_a_missing_driver_is_named_in_the_words_of_fsspec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error has no module's name, but what there is to install; the URL's secrets stay out."""
    known = {"class": "no_such_module.FileSystem", "err": "Install no-such to access it"}
    monkeypatch.setitem(known_implementations, "nosuch", known)
    for url in ("nosuch://user:hunter2@host/x", "dir::nosuch://user:hunter2@host/x"):
        with pytest.raises(ConfigurationError) as refused:
            open_store(url)
        label = url.replace("user:hunter2@", "")
        assert str(refused.value) == (
            f"the driver for '{label}' is not installed: Install no-such to access it"
        )


def test_a_driver_that_says_something_of_its_own_is_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may hold anything."""

    def missing(*_: object, **__: object) -> NoReturn:
        message = "cannot import hunter2"
        raise ImportError(message)

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(ConfigurationError) as refused:
        open_store("sftp://host/x")
    assert str(refused.value) == "the driver for 'sftp://host/x' is not installed"


class PanicException(BaseException):
    """Named as pyo3's, which cannot be imported."""


def test_a_panic_becomes_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a store is made, and where it is used."""

    def panic(*_: object, **__: object) -> None:
        raise PanicException

    store = open_store("obstore+s3://b", {"anon": True})
    assert isinstance(store, ObstoreStore)
    monkeypatch.setattr(store, "_read", panic)
    with pytest.raises(StoreUnavailable, match="Panicked"):
        store.get("key", deadline=within(10))
    store = open_store("obstore+s3://b", {"anon": True})
    monkeypatch.setattr("obstore.store.S3Store", panic)
    with pytest.raises(ConfigurationError, match="Panicked"):
        store.get("key", deadline=within(10))


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "options", "bucket", "prefix"),
    [
        ("S3://Bucket/P", {}, "Bucket", "P"),
        ("GS://bucket/p", {"token": "anon"}, "bucket", "p"),
        ("ABFS://container/p", {"account_name": "n"}, "container", "p"),
        ("OBSTORE+S3://Bucket/P", {}, "Bucket", "P"),
        ("obstore+s3://bucket", {"obstore": True}, "bucket", ""),
        ("obstore+abfs://container@n.dfs.core.windows.net/p", {}, "container", "p"),
        ("obstore+abfs://container@n.dfs.core.windows.net:443/p", {}, "container", "p"),
        ("obstore+abfs://n.blob.core.windows.net/container/p", {}, "container", "p"),
        (
            "obstore+abfs://container@n.dfs.core.chinacloudapi.cn/p",
            {"account_name": "n", "account_host": "n.blob.core.chinacloudapi.cn"},
            "container",
            "p",
        ),
    ],
)
def test_a_bucket_is_found_in_a_url(
    url: str, options: dict[str, Any], bucket: str, prefix: str
) -> None:
    """However its scheme is written, and whatever host stands beside it."""
    store = open_store(url, options)
    assert isinstance(store, CloudStore)
    assert (store._bucket, store._prefix) == (bucket, prefix)


def test_two_colons_do_not_make_a_path_a_chain(tmp_path: Path) -> None:
    """As fsspec would have it, two stores of two accounts would be one."""
    for name in ("tokens::alice", "tokens::bob"):
        for store in (tmp_path / name, str(tmp_path / name)):
            assert open_store(store).label == str(tmp_path / name)


@pytest.mark.parametrize("url", ["dir::memory://x", "dir://::memory://x"])
def test_a_chain_is_one(url: str) -> None:
    """With or without the slashes."""
    assert isinstance(open_store(url, {"dir": {"path": "y"}}), MemoryStore)


def test_a_root_may_be_a_path_or_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file system that is given with it; without one it is the working directory."""
    monkeypatch.chdir(tmp_path)
    local = LocalFileSystem()
    for root in (tmp_path, str(tmp_path), f"file://{tmp_path}", "", "."):
        assert open_store((local, root)).label == str(tmp_path)
    assert open_store(local).label == str(tmp_path)


@pytest.mark.parametrize("root", ["/x\n", '"/x"', " /x"])
def test_a_root_has_nothing_around_it_either(root: str) -> None:
    """It comes from the same variables as a URL."""
    with pytest.raises(ConfigurationError):
        open_store((LocalFileSystem(), root))


@pytest.mark.parametrize("root", [None, 7, b"x"])
def test_a_root_is_a_path(root: object) -> None:
    """Nothing else names a place."""
    with pytest.raises(ConfigurationError) as refused:
        open_store((LocalFileSystem(), root))
    assert str(refused.value) == (
        f"the root on a filesystem must be a path, not {type(root).__name__}"
    )


# --- obstore's endpoints --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["endpoint", "aws_endpoint", "endpoint_url", "AWS_ENDPOINT_URL"])
def test_obstores_own_option_goes_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The token belongs to the server that the program names."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    server = "https://store.example"
    store = open_store("obstore+s3://b", {"config": {name: server}})
    assert isinstance(store, ObstoreStore)
    store._driver(within(30))
    assert store.probe
    made = store._build(timedelta(seconds=1))
    assert made.config["endpoint_url_s3"] == server


@pytest.mark.parametrize(
    ("value", "base"), [("127.0.0.1:1", "http://127.0.0.1:1"), ("https://x.example",) * 2]
)
def test_an_emulator_of_googles_is_found_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, base: str
) -> None:
    """As gcsfs does; an option goes before it."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", value)
    assert translate("gs", {}) == {"base_url": base}
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "default")
    assert translate("gs", {}) == {}
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", value)
    named = {"endpoint_url": "https://named.example"}
    assert translate("gs", named) == {"base_url": "https://named.example"}


def test_a_signature_may_stand_in_the_endpoint() -> None:
    """Azure's own library takes it from there."""
    text = "BlobEndpoint=https://n.blob.core.windows.net/?sv=1&sig=x"
    assert translate("az", {"connection_string": text}) == {
        "account_name": "n",
        "endpoint": "https://n.blob.core.windows.net/",
        "sas_key": "sv=1&sig=x",
    }
