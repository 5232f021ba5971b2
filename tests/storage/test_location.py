"""What a path or a URL stands for."""

from __future__ import annotations

import os

import pytest

from betfair_session.exceptions import ConfigurationError
from betfair_session.storage.location import local_path


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
