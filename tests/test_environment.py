"""Settings from environment variables and from a `.env` file."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from front import KEY
from secrets_shown import everything_in

from betfair_session import (
    CertificateError,
    ConfigurationError,
    LoginRefused,
    environment,
    from_env,
    place_from_env,
)
from betfair_session.environment import ACCOUNT, PLACE, Environment, read_dotenv
from betfair_session.sandbox import Sandbox

_ACCOUNT = {"BETFAIR_USERNAME": "user", "BETFAIR_PASSWORD": "word", "BETFAIR_APP_KEY": "key"}
_CERTIFICATE = {"BETFAIR_CERT_FILE": "client.crt", "BETFAIR_KEY_FILE": "client.key"}
_PLACE = {"BETFAIR_SESSION_STORE": "memory://place", "BETFAIR_SESSION_KEY": "token"}
_COMPLETE = {**_ACCOUNT, **_CERTIFICATE, **_PLACE}


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process without our variables, in a directory of its own; return the path of its `.env`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".env"


def refused(call: Callable[[], object]) -> ConfigurationError:
    """Return the error of a call that has to fail, whose message does not say "hunter2"."""
    with pytest.raises(ConfigurationError) as caught:
        call()
    assert "hunter2" not in f"{caught.value!r} {vars(caught.value)}".lower()
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n# one\n  # two\n\nA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("\ufeffA=1\nA=2", {"A": "2"}),
        ("A=\nexport B=1", {"A": "", "B": "1"}),
        ("  A  =  two words  \n", {"A": "two words"}),
        ("A=1 # a comment\nB=1#2", {"A": "1", "B": "1#2"}),
        ("A=it's\nB=x=y", {"A": "it's", "B": "x=y"}),
        ("A=$HOME ${B} $(echo c) `d`", {"A": "$HOME ${B} $(echo c) `d`"}),
        ("A='a # ${B}' # c", {"A": "a # ${B}"}),
        (r"A='a\nb'" + "\n" + r'B="a\nb"', {"A": r"a\nb", "B": "a\nb"}),
        ("A='one\ntwo'\nB=3", {"A": "one\ntwo", "B": "3"}),
        ('A={"x": "y"}', {"A": '{"x": "y"}'}),
        (b"A", 1),
        (b"A=1\n\nhunter2 words\n", 3),
        (b'# one\n\nA="hunter2\n\n', 3),
        (b"A='one\ntwo'\nB='hunter2'rest", 3),
        (b"-----BEGIN HUNTER2-----", 1),
        (b"A=\xff\xfe hunter2", None),
    ],
)
def test_a_dotenv_file_means_what_it_says(
    bare: Path, text: str | bytes, expected: dict[str, str] | int | None
) -> None:
    """Quotes, comments and line ends are understood; nothing is expanded or run.

    The error for a bad line has the file's name and the line's number, not its text.
    """
    bare.write_bytes(text.encode() if isinstance(text, str) else text)
    if isinstance(expected, dict):
        assert read_dotenv(bare) == expected
        return
    error = refused(lambda: read_dotenv(bare))
    assert str(bare) in str(error)
    assert expected is None or f"line {expected}:" in str(error)
    assert error.__context__ is None


def test_everything_that_is_missing_is_named_at_once() -> None:
    """One variable alone is named by an attribute, too."""
    error = refused(partial(Environment({}, None).require, *ACCOUNT, *PLACE, certificate=True))
    assert all(name in str(error) for name in (*_COMPLETE, "BETFAIR_PKCS12_BASE64"))
    for name in {*_COMPLETE} - {"BETFAIR_KEY_FILE"}:  # one file may hold both
        given = Environment({**_COMPLETE, name: " "}, None)
        error = refused(partial(given.require, *ACCOUNT, *PLACE, certificate=True))
        assert error.argument == name
        assert not [each for each in _COMPLETE if each != name and each in str(error)]
    error = refused(partial(Environment({}, "no.env").require, *PLACE))
    assert os.path.abspath("no.env") in str(error)  # a scheduler chooses the working directory


def test_a_directory_that_may_not_be_entered_holds_no_file_of_ours(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that drops its rights is often started in one. A file that is named has to work."""
    monkeypatch.chdir(bare.parent)
    denied = Mock(side_effect=PermissionError(errno.EACCES, "no"))
    monkeypatch.setattr(environment, "open", denied, raising=False)
    refused(lambda: read_dotenv(".env"))
    monkeypatch.setattr(os, "access", lambda path, *_, **__: path != ".")
    assert [read_dotenv(each) for each in (".env", "./.env", Path(".env"))] == [None] * 3
    refused(lambda: read_dotenv(bare))


def test_the_environment_wins_over_the_file(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with a blank variable. Without arguments, the process's and ./.env are read."""
    assert read_dotenv(bare) is None
    bare.mkdir()  # such as a virtual environment
    assert read_dotenv(bare) is None
    with monkeypatch.context() as windows:
        windows.setattr("builtins.open", Mock(side_effect=PermissionError))
        assert read_dotenv(bare) is None
    bare.rmdir()
    bare.write_text("\n".join(f"{name}='{value}'" for name, value in _COMPLETE.items()))
    assert place_from_env({}, bare).key == "token"
    assert place_from_env({"BETFAIR_SESSION_KEY": "another", "NUMBER": 5}, bare).key == "another"  # type: ignore[dict-item] # nobody reads it
    error = refused(lambda: place_from_env({"BETFAIR_SESSION_KEY": ""}, bare))
    assert error.argument == "BETFAIR_SESSION_KEY"
    monkeypatch.setenv("BETFAIR_SESSION_KEY", "three")
    monkeypatch.setenv("BETFAIR_STORAGE_OPTIONS", '{"profile": "betting"}')
    assert [*place_from_env()] == ["memory://place", "three", {"profile": "betting"}]


@pytest.mark.parametrize(
    "more",
    [
        {"BETFAIR_CERT_PEM": "hunter2"},
        {"BETFAIR_KEY_PEM": "hunter2"},
        {"BETFAIR_PKCS12_FILE": "hunter2"},
        {"BETFAIR_PKCS12_BASE64": "hunter2"},
        {"BETFAIR_APP_KEY": "very hunter2"},
        {"BETFAIR_IDENTITY_URL": "http://very:hunter2@host/"},
        {"BETFAIR_JURISDICTION": "very hunter2"},
        {"BETFAIR_CERT_FILE": "-----BEGIN PRIVATE KEY-----very hunter2"},
        {"BETFAIR_KEY_FILE": "-----BEGIN PRIVATE KEY-----very hunter2"},
        {"BETFAIR_CERT_FILE": "", "BETFAIR_KEY_FILE": "", "BETFAIR_PKCS12_BASE64": "hunter2!"},
    ],
)
def test_what_cannot_work_is_refused_without_a_value_in_sight(
    bare: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, str]
) -> None:
    """Two certificates, unknown places, secrets in the wrong variable; no frame shows a value."""
    bare.write_text("BETFAIR_PASSWORD='most hunter2'\n")
    for name, value in {**_COMPLETE, **more}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("BETFAIR_PASSWORD")
    assert "hunter2" not in everything_in(refused(from_env)).lower()


@pytest.mark.parametrize("text", ["hunter2", '{"key": "hunter2"', '["hunter2"]', '"hunter2"', "1"])
def test_storage_options_that_are_no_json_object_are_an_error(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """The error does not carry the text, not even in its context."""
    for name, value in {**_PLACE, "BETFAIR_STORAGE_OPTIONS": text}.items():
        monkeypatch.setenv(name, value)
    error = refused(lambda: place_from_env(dotenv=None))
    assert (error.argument, error.__context__) == ("BETFAIR_STORAGE_OPTIONS", None)
    assert "hunter2" not in everything_in(error).lower()


def test_arguments_of_a_wrong_type_are_refused() -> None:
    odd: list[Any] = ["x", [], {"BETFAIR_USERNAME": 5}, {"BETFAIR_SESSION_KEY": None}]
    odd.append({**_COMPLETE, "BETFAIR_APP_KEY": b"key"})
    files: list[Any] = [5, True, b".env"]
    for read in (from_env, place_from_env):
        for env in odd:
            refused(partial(read, env, None))
        for dotenv in files:
            refused(partial(read, {}, dotenv))


@pytest.mark.parametrize("around", ["{}\n", "\ufeff{}\r\n"])
@pytest.mark.parametrize("filed", [False, True])
def test_a_line_end_and_a_byte_order_mark_around_a_value_are_no_part_of_it(
    sandbox: Sandbox, bare: Path, around: str, *, filed: bool
) -> None:
    """As `echo`, editors and secret managers leave them; one of each, in a file as well."""
    variables = {**sandbox.environment(), "BETFAIR_CERT_PASSPHRASE": "open sesame"}
    spoilt = {name: around.format(value) for name, value in variables.items()}
    if filed:
        bare.write_bytes("\n".join(f"{name}='{value}'" for name, value in spoilt.items()).encode())
    given = Environment({} if filed else spoilt, bare)
    assert {name: given.get(name) for name in variables} == variables
    with from_env({} if filed else spoilt) as manager:
        assert manager.get_session(*place_from_env({} if filed else spoilt))


_NOT_SENT = ["word\nsecret", "secret\n\n", "secret\r", "\nsecret", "se\x00cret", "secret\x7f"]
_NOT_SENT += ["se\x85cret", "secret\ufeff", "se\u2028cret"]


@pytest.mark.parametrize("value", _NOT_SENT)
def test_a_control_character_in_a_secret_is_refused_before_anything_is_sent(value: str) -> None:
    """The error names the variable, not its value; a wrong password locks accounts."""
    for name in (*_ACCOUNT, "BETFAIR_CERT_PASSPHRASE"):
        with pytest.raises(ConfigurationError) as caught:
            from_env({**_COMPLETE, name: value}, None)
        assert caught.value.argument == name
        assert value not in str(caught.value)


def test_a_remembered_refusal_does_not_hide_a_new_mistake(sandbox: Sandbox, tmp_path: Path) -> None:
    """A certificate that has gone missing since then is reported first."""
    variables = {**sandbox.environment(), "BETFAIR_PASSWORD": "wrong"}
    for changes, error in (
        ({}, LoginRefused),
        ({"BETFAIR_CERT_FILE": "missing.crt"}, CertificateError),
        ({"BETFAIR_PASSWORD": "right"}, LoginRefused),
    ):
        with from_env({**variables, **changes}, None) as manager, pytest.raises(error):
            manager.get_session(tmp_path, KEY)
    assert sandbox.counts() == {"certlogin": 1}
