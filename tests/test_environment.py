"""Settings from environment variables and from a `.env` file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import load_pem_x509_certificate
from secrets_shown import everything_in

from betfair_session import (
    CertificateError,
    ConfigurationError,
    IdentityClient,
    LoginRefused,
    SessionManager,
    place_from_env,
)
from betfair_session.environment import NAMES, Environment, from_env, read_dotenv

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.sandbox import Sandbox

_PASSPHRASE = "open sesame"  # not a real one
_ACCOUNT = {"BETFAIR_USERNAME": "user", "BETFAIR_PASSWORD": "word", "BETFAIR_APP_KEY": "key"}
_CERTIFICATE = {"BETFAIR_CERT_FILE": "client.crt", "BETFAIR_KEY_FILE": "client.key"}
_PLACE = {"BETFAIR_SESSION_STORE": "memory://place", "BETFAIR_SESSION_KEY": "token"}
_COMPLETE = {**_ACCOUNT, **_CERTIFICATE, **_PLACE}


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
    ],
)
def test_a_dotenv_file_means_what_it_says(
    tmp_path: Path, text: str, expected: dict[str, str]
) -> None:
    """Quotes, comments, line ends and escapes are understood; nothing is expanded or run."""
    (tmp_path / ".env").write_bytes(text.encode())
    assert read_dotenv(tmp_path / ".env") == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b"A", 1),
        (b"A=1\n\nhunter2 words\n", 3),
        (b'# one\n\nA="hunter2\n\n', 3),
        (b"A='one\ntwo'\nB='hunter2'rest", 3),
        (b"-----BEGIN HUNTER2-----", 1),
        (b"A=\xff\xfe hunter2", None),
    ],
)
def test_a_dotenv_file_that_makes_no_sense_is_refused(
    tmp_path: Path, text: bytes, line: int | None
) -> None:
    """The error names the file and the line, and nothing of what it says."""
    path = tmp_path / ".env"
    path.write_bytes(text)
    error = refused(lambda: read_dotenv(path))
    assert str(path) in str(error)
    assert line is None or f"line {line}:" in str(error)
    assert error.__context__ is None


def test_a_dotenv_file_need_not_exist(tmp_path: Path) -> None:
    """No file is no error, nor is a directory of that name."""
    assert read_dotenv(tmp_path / ".env") is None
    (tmp_path / ".env").mkdir()
    assert read_dotenv(tmp_path / ".env") is None


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    """With where it was looked for; one variable alone is named by an attribute, too."""
    for path in (None, tmp_path / ".env"):
        error = refused(lambda path=path: Environment({}, path).require(place=True))  # type: ignore[misc]
        for name in (*_ACCOUNT, *_CERTIFICATE, *_PLACE, "BETFAIR_PKCS12_BASE64"):
            assert name in str(error)
        assert path is None or str(path) in str(error)
    for name in {*_COMPLETE} - {"BETFAIR_KEY_FILE"}:  # one file may hold both
        error = refused(
            lambda name=name: Environment({**_COMPLETE, name: " "}, None).require(place=True)  # type: ignore[misc]
        )
        assert error.argument == name
        assert not [each for each in _COMPLETE if each != name and each in str(error)]
    Environment({**_COMPLETE, "BETFAIR_KEY_FILE": ""}, None).require(place=True)


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a blank variable. Without arguments, the process's and ./.env are read."""
    path = tmp_path / ".env"
    path.write_text("\n".join(f"{name}='{value}'" for name, value in _COMPLETE.items()))
    assert place_from_env({}, path).key == "token"
    assert place_from_env({"BETFAIR_SESSION_KEY": "another", "NUMBER": 5}, path).key == "another"  # type: ignore[dict-item] # nobody reads it
    error = refused(lambda: place_from_env({"BETFAIR_SESSION_KEY": ""}, path))
    assert error.argument == "BETFAIR_SESSION_KEY"
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BETFAIR_SESSION_KEY", "three")
    monkeypatch.setenv("BETFAIR_STORAGE_OPTIONS", '{"profile": "betting"}')
    place = place_from_env()
    assert [*place] == ["memory://place", "three", {"profile": "betting"}]


@pytest.mark.parametrize(
    "more",
    [
        {"BETFAIR_CERT_PEM": "hunter2"},
        {"BETFAIR_KEY_PEM": "hunter2"},
        {"BETFAIR_PKCS12_FILE": "hunter2"},
        {"BETFAIR_PKCS12_BASE64": "hunter2"},
        {"BETFAIR_APP_KEY": "very hunter2"},
        {"BETFAIR_IDENTITY_URL": "http://very:hunter2@host/"},
        {"BETFAIR_JURISDICTION": "atlantis"},
        {"BETFAIR_CERT_FILE": "-----BEGIN PRIVATE KEY-----very hunter2"},
        {"BETFAIR_KEY_FILE": "-----BEGIN PRIVATE KEY-----very hunter2"},
        {"BETFAIR_CERT_FILE": "", "BETFAIR_KEY_FILE": "", "BETFAIR_PKCS12_BASE64": "hunter2!"},
    ],
)
def test_what_cannot_work_is_refused_without_a_value_in_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, str]
) -> None:
    """Two certificates, unknown places, secrets in the wrong variable; no frame shows any."""
    path = tmp_path / ".env"
    path.write_text("BETFAIR_PASSWORD='most hunter2'\n")
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**_COMPLETE, **more}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("BETFAIR_PASSWORD")
    error = refused(lambda: from_env(dotenv=path))
    if "BETFAIR_IDENTITY_URL" not in more:  # which is no secret to a frame
        assert "hunter2" not in everything_in(error).lower()


@pytest.mark.parametrize("text", ["hunter2", '{"key": "hunter2"', '["hunter2"]', '"hunter2"', "1"])
def test_storage_options_that_are_no_json_object_are_an_error(text: str) -> None:
    """The error does not carry the text, not even in its context."""
    error = refused(lambda: place_from_env({**_PLACE, "BETFAIR_STORAGE_OPTIONS": text}, None))
    assert error.argument == "BETFAIR_STORAGE_OPTIONS"
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("env", "dotenv"),
    [
        ("x", None),
        ([], None),
        ({"BETFAIR_USERNAME": 5}, None),
        ({**_COMPLETE, "BETFAIR_APP_KEY": b"key"}, None),
        ({"BETFAIR_SESSION_KEY": None}, None),
        ({}, 5),
        ({}, True),
        ({}, b".env"),
    ],
)
def test_arguments_of_a_wrong_type_are_refused(env: Any, dotenv: Any) -> None:  # noqa: ANN401 - what is tested
    """By both ways in."""
    for read in (from_env, place_from_env):
        refused(lambda read=read: read(env, dotenv))  # type: ignore[misc]


def forms_of_certificate(sandbox: Sandbox, directory: Path) -> dict[str, dict[str, str]]:
    """Return the sandbox's certificate in every form that variables can give."""
    crt, key = sandbox.certificate
    both = Path(crt).read_text() + Path(key).read_text()
    (directory / "client.pem").write_text(both)
    loaded: Any = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    locked = serialization.BestAvailableEncryption(_PASSPHRASE.encode())
    (directory / "locked.key").write_bytes(
        loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    bundle = pkcs12.serialize_key_and_certificates(
        b"client", loaded, load_pem_x509_certificate(Path(crt).read_bytes()), None, locked
    )
    (directory / "client.p12").write_bytes(bundle)
    opened = {"BETFAIR_CERT_PASSPHRASE": _PASSPHRASE}
    return {
        "files": {"BETFAIR_CERT_FILE": crt, "BETFAIR_KEY_FILE": key},
        "one file": {"BETFAIR_CERT_FILE": str(directory / "client.pem")},
        "text": {
            "BETFAIR_CERT_PEM": Path(crt).read_text(),
            "BETFAIR_KEY_PEM": Path(key).read_text(),
        },
        "one line": {"BETFAIR_CERT_PEM": both.replace("\n", "\\n")},
        "locked": {
            "BETFAIR_CERT_FILE": crt,
            "BETFAIR_KEY_FILE": str(directory / "locked.key"),
            **opened,
        },
        "PKCS#12": {"BETFAIR_PKCS12_FILE": str(directory / "client.p12"), **opened},
        "base64": {"BETFAIR_PKCS12_BASE64": base64.encodebytes(bundle).decode(), **opened},
    }


def test_every_form_of_certificate_logs_in(sandbox: Sandbox, tmp_path: Path) -> None:
    """A manager made from the environment gets a token with each; not by a wrong passphrase."""
    others = {
        name: value
        for name, value in sandbox.environment().items()
        if name not in ("BETFAIR_CERT_FILE", "BETFAIR_KEY_FILE")
    }
    forms = forms_of_certificate(sandbox, tmp_path)
    for name, form in forms.items():
        with from_env({**others, **form}, None) as manager:
            assert manager.get_session(tmp_path, name)
    assert sandbox.counts() == {"certlogin": len(forms)}
    wrong = {**others, **forms["locked"], "BETFAIR_CERT_PASSPHRASE": "wrong hunter2"}
    error = refused(lambda: from_env(wrong, None).get_session(tmp_path, "wrong"))
    assert isinstance(error, CertificateError)
    assert error.reason == "passphrase"
    assert sandbox.counts() == {"certlogin": len(forms)}


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "\ufeff{}", "\ufeff{}\r\n"])
@pytest.mark.parametrize("filed", [False, True])
def test_a_line_end_and_a_byte_order_mark_around_a_value_are_no_part_of_it(
    sandbox: Sandbox, tmp_path: Path, around: str, *, filed: bool
) -> None:
    """As `echo`, editors and secret managers leave them; one of each, in a file as well."""
    spoilt = {name: around.format(value) for name, value in sandbox.environment().items()}
    path = tmp_path / ".env"
    if filed:
        path.write_bytes("\n".join(f"{name}='{value}'" for name, value in spoilt.items()).encode())
    with from_env({} if filed else spoilt, path if filed else None) as manager:
        assert manager.get_session(tmp_path / "store", "token")
    assert sandbox.counts() == {"certlogin": 1}
    phrase = {"BETFAIR_CERT_PASSPHRASE": around.format(_PASSPHRASE)}
    given = Environment(phrase, None).passphrase()
    assert given is not None
    assert given.reveal() == _PASSPHRASE


_NOT_SENT = ["word\nsecret", "secret\n\n", "secret\r", "\nsecret", "se\x00cret", "secret\x7f"]
_NOT_SENT += ["se\x85cret", "secret\ufeff", "se\u2028cret"]


@pytest.mark.parametrize("value", _NOT_SENT)
def test_a_control_character_in_a_secret_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, value: str
) -> None:
    """The error names the variable or argument, not its value; a wrong password locks accounts."""
    for name in (*_ACCOUNT, "BETFAIR_CERT_PASSPHRASE"):
        variables = {**sandbox.environment(), name: value}
        with pytest.raises(ConfigurationError) as caught:
            from_env(variables, None).get_session(tmp_path, "token")
        assert caught.value.argument == name
        assert value not in everything_in(caught.value)
    for end in ("", "\n", "\r\n"):  # nothing is taken off an argument: a program can see to that
        given = value + end
        for argument in ("username", "password", "two_step", "app_key"):
            with pytest.raises(ConfigurationError) as caught:
                made_with(argument, given)
            assert caught.value.argument == argument
    client = IdentityClient("key", identity_url=sandbox.identity_url)
    for given_code in (value, lambda: value):
        with pytest.raises(ConfigurationError) as caught:
            client.login("user", "word", code=given_code)
        assert caught.value.argument == "code"
        assert value not in everything_in(caught.value)
    assert sandbox.counts() == {}


def made_with(argument: str, value: str) -> SessionManager:
    """Make a manager, one of whose credentials is `value`."""
    given: dict[str, Any] = {"username": "user", "password": "word", argument: value}
    client = IdentityClient(given.pop("app_key", "key"))
    return SessionManager(client, **given, interactive=True)


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (' "{}"', "blanks"),
        ("{}\u00a0", "blanks"),
        ('"{}"', "quotes"),
        ("“{}”", "quotes"),
        ("{}\u200b", "invisible"),
    ],
)
@pytest.mark.parametrize("name", ["username", "password"])
def test_a_refused_login_names_what_looks_spoilt(
    sandbox: Sandbox, tmp_path: Path, name: str, spoil: str, kind: str
) -> None:
    """It may belong there, so it is sent; the refusal says which value to look at."""
    variable = f"BETFAIR_{name.upper()}"
    value = spoil.format(sandbox.environment()[variable])
    manager = from_env({**sandbox.environment(), variable: value}, None)
    with pytest.raises(LoginRefused) as caught:
        manager.get_session(tmp_path, "token")
    assert caught.value.suspects == {name: kind}
    assert value not in everything_in(caught.value)
    sandbox.login_status("PENDING_AUTH", times=1)  # which nothing of the kind explains
    with pytest.raises(LoginRefused) as caught:
        manager.get_session(tmp_path, "another")
    assert caught.value.suspects == {}
