"""What a path or a URL stands for."""

from __future__ import annotations

import os

import pytest

from betfair_session.exceptions import ConfigurationError
from betfair_session.storage.location import check_key, local_path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("tokens", "tokens"),
        ("./a://b", "./a://b"),
        ("/var/x", "/var/x"),
        ("file:///var/x", "/var/x"),
        ("file://localhost/var/x", "/var/x"),
        ("FILE://LocalHost/x", "/x"),
        ("file://~/x", "~/x"),
        ("file://./x", "./x"),
        ("file://tokens/x", "tokens/x"),
        ("local://tokens/x", "tokens/x"),
    ],
)
def test_a_path_is_found_in_a_url(url: str, path: str) -> None:
    """A file URL may name this machine; any other name begins a path, as it does to fsspec."""
    assert local_path(url) == path


@pytest.mark.parametrize(
    ("url", "path"),
    [("file:///C:/x", "C:/x"), ("file://C:/x", "C:/x"), ("file:///x", "/x"), ("C:/x", "C:/x")],
)
def test_a_drive_of_windows_is_no_host(
    monkeypatch: pytest.MonkeyPatch, url: str, path: str
) -> None:
    """It stands after three slashes, or two."""
    monkeypatch.setattr(os, "name", "nt")
    assert local_path(url) == path


@pytest.mark.parametrize("url", ["", "file://", "file://localhost", "a\0b"])
def test_what_names_nothing_is_refused(url: str) -> None:
    """Nor is the working directory meant."""
    with pytest.raises(ConfigurationError, match="names no directory"):
        local_path(url)


_ABSOLUTE = "is absolute; it must be a name below the store"
_CLIMBS = "has an empty, '.' or '..' part; it must be a plain name below the store"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "is empty"),
        ("/abs", _ABSOLUTE),
        ("\\abs", _ABSOLUTE),
        ("C:\\x", _ABSOLUTE),
        ("z:/x", _ABSOLUTE),
        ("..", _CLIMBS),
        ("a/../b", _CLIMBS),
        ("a\\..\\b", _CLIMBS),
        ("a//b", _CLIMBS),
        ("a/", _CLIMBS),
        ("./a", _CLIMBS),
        ("line\nbreak", "holds a control character"),
        ("nul\0", "holds a control character"),
        ("\x1f", "holds a control character"),
        ("delete\x7f", "holds a control character"),
        ("x.login", "ends with '.login', the name of another token's lock object"),
    ],
)
def test_a_key_that_names_no_object_below_the_store_is_refused(key: str, problem: str) -> None:
    """With the reason."""
    with pytest.raises(ConfigurationError) as refused:
        check_key(key)
    assert str(refused.value) == f"the key {key!r} {problem}"


@pytest.mark.parametrize(
    "key",
    [" ", "k ", " k", "k\r\n", '"k"', "k'", "\ufeffk", "k\u200b", "\u00a0k", "a../b", "a/b../c"],
)
def test_a_key_that_another_program_would_not_find_is_refused(key: str) -> None:
    """A shell left something around it, or the Go library writes it in another way."""
    with pytest.raises(ConfigurationError) as refused:
        check_key(key)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("key", ["a", "a b/ü.token", "a:b", "C:x", ".a", "a..", "login", "k.attrs"])
def test_any_other_key_is_taken_as_it_is(key: str) -> None:
    """Blanks inside and all."""
    assert check_key(key) == key


def test_a_key_is_a_text() -> None:
    """Nothing else has a name's parts."""
    with pytest.raises(ConfigurationError) as refused:
        check_key(7)
    assert str(refused.value) == "the key must be a text, not int"
