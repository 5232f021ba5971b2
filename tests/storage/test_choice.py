"""Which URL is opened by what."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NoReturn

import fsspec
import pytest
from fsspec.registry import known_implementations

from betfair_session.exceptions import ConfigurationError, StoreUnavailable
from betfair_session.storage import open_store
from betfair_session.storage.local import LocalStore
from betfair_session.storage.obstore import ObstoreStore
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


@pytest.mark.parametrize(
    ("store", "meant"),
    [
        ("s3:/my-bucket", "s3://my-bucket"),
        ("S3:/my-bucket/betfair", "s3://my-bucket/betfair"),
        ("obstore+s3:/x", "obstore+s3://x"),
        (Path("gs://bucket/x"), "gs://bucket/x"),
        ("abfs:/container", "abfs://container"),
        ("sftp:/user:hunter2@host/x", "sftp://host/x"),
        ("memory:/x", "memory://x"),
        ("file:/var/lib/x", "file:///var/lib/x"),
    ],
)
def test_one_slash_is_taken_for_a_mistake(store: str | Path, meant: str) -> None:
    """As a directory's name it would have each machine log in alone."""
    with pytest.raises(ConfigurationError, match=re.escape(f"did you mean {meant}?")):
        open_store(store)


@pytest.mark.parametrize("path", ["C:/tokens", "tokens", "./s3:/x", "mine:/x", "s3:x", "a b:/x"])
def test_other_names_stay_names_of_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A drive of Windows, and what is no scheme that anybody knows."""
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_store(path), LocalStore)


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
    assert not store.probe
    assert store._config["aws_endpoint_url_s3"] == "https://s3.amazonaws.com"
    assert open_store("obstore+s3://b").probe


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
        store.read("key", timeout=10)
    store = open_store("obstore+s3://b", {"anon": True})
    monkeypatch.setattr("obstore.store.S3Store", panic)
    with pytest.raises(ConfigurationError, match="Panicked"):
        store.read("key", timeout=10)
