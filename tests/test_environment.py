"""Settings from environment variables and from a `.env` file."""

from __future__ import annotations

import base64
import pickle
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
from betfair_session.dotenv import parse_dotenv, read_dotenv
from betfair_session.environment import NAMES, Environment, from_env

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.sandbox import Sandbox

_PASSPHRASE = "open sesame"  # not a real one
_ACCOUNT = {"BETFAIR_USERNAME": "user", "BETFAIR_PASSWORD": "word", "BETFAIR_APP_KEY": "key"}
_CERTIFICATE = {"BETFAIR_CERT_FILE": "client.crt", "BETFAIR_KEY_FILE": "client.key"}
_PLACE = {"BETFAIR_SESSION_STORE": "memory://place", "BETFAIR_SESSION_KEY": "token"}
_COMPLETE = {**_ACCOUNT, **_CERTIFICATE, **_PLACE}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("A=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("\n# one\n  # two\n\nA=1\n", {"A": "1"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=", {"A": ""}),
        ("A=\nB=2", {"A": "", "B": "2"}),
        ("  A  =  two words  \n", {"A": "two words"}),
        ("export A=1", {"A": "1"}),
        ("export\tA=1", {"A": "1"}),
        ("A=1 # a comment", {"A": "1"}),
        ("A=1#2", {"A": "1#2"}),
        ("A=#2", {"A": "#2"}),
        ("A= # a comment", {"A": ""}),
        ("A=it's", {"A": "it's"}),
        ("A=x=y", {"A": "x=y"}),
        (r"A=a\nb", {"A": r"a\nb"}),
        ("A=$HOME ${B} $(echo c) `d`", {"A": "$HOME ${B} $(echo c) `d`"}),
        ('A="$HOME $(echo c)"', {"A": "$HOME $(echo c)"}),
        ("A='a # b' # c", {"A": "a # b"}),
        (r"A='a\nb'", {"A": r"a\nb"}),
        (r'A="a\n\t\r\"\\\$\`\q"', {"A": 'a\n\t\r"\\$`\\q'}),
        ("A='one\ntwo'\nB=3", {"A": "one\ntwo", "B": "3"}),
        ('A="one\ntwo\n"\nB=3', {"A": "one\ntwo\n", "B": "3"}),
        ('A={"x": "y"}', {"A": '{"x": "y"}'}),
    ],
)
def test_a_dotenv_file_means_what_it_says(text: str, expected: dict[str, str]) -> None:
    """Quotes, comments, line ends and escapes are understood; nothing is expanded or run."""
    assert parse_dotenv(text) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A", 1),
        ("A=1\nsecret words\n", 2),
        ("A='secret", 1),
        ('# one\n\nA="secret\n\n', 3),
        ("A='one\ntwo'\nB='secret'rest", 3),
        ("1A=secret", 1),
        ("A: secret", 1),
        ("-----BEGIN SECRET-----", 1),
    ],
)
def test_a_dotenv_line_that_makes_no_sense_is_named_by_its_number(
    tmp_path: Path, text: str, line: int
) -> None:
    """The error tells the line and nothing of what it says."""
    path = tmp_path / ".env"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=rf"\.env, line {line}:") as caught:
        read_dotenv(path)
    assert "secret" not in str(caught.value).lower()
    assert caught.value.__context__ is None


def test_a_dotenv_file_need_not_exist(tmp_path: Path) -> None:
    """No file is no error, nor is a directory of that name."""
    assert read_dotenv(tmp_path / ".env") is None
    (tmp_path / ".env").mkdir()
    assert read_dotenv(tmp_path / ".env") is None


def test_a_dotenv_file_with_a_mark_at_its_start_is_read(tmp_path: Path) -> None:
    """Editors on Windows put a byte order mark there."""
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfA=1\r\n")
    assert read_dotenv(tmp_path / ".env") == {"A": "1"}


def test_a_dotenv_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    """The error does not carry the content."""
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"\.env cannot be read") as caught:
        read_dotenv(tmp_path / ".env")
    assert caught.value.__context__ is None


def test_everything_that_is_missing_is_named_at_once() -> None:
    """One error tells the whole list, and where it was looked for."""
    with pytest.raises(ConfigurationError) as caught:
        Environment({}, None).require(place=True)
    for name in (*_ACCOUNT, *_CERTIFICATE, *_PLACE, "BETFAIR_PKCS12_BASE64"):
        assert name in str(caught.value)
    assert str(caught.value).endswith("(looked in the environment)")


@pytest.mark.parametrize("name", sorted(_COMPLETE))
def test_what_is_missing_is_named_and_nothing_else(name: str) -> None:
    """With one variable missing, the error names just that one."""
    variables = {**_COMPLETE, name: " "}
    if name == "BETFAIR_KEY_FILE":  # one file may hold both
        Environment(variables, None).require(place=True)
        return
    with pytest.raises(ConfigurationError) as caught:
        Environment(variables, None).require(place=True)
    assert str(caught.value) == f"not set: {name} (looked in the environment)"


@pytest.mark.parametrize("there", [True, False])
def test_the_error_says_whether_there_was_a_dotenv_file(tmp_path: Path, there: bool) -> None:  # noqa: FBT001 - a parameter
    """Somebody in the wrong directory sees why nothing was found."""
    path = tmp_path / ".env"
    if there:
        path.write_text("")
    expected = f"environment and in {path}" if there else f"environment; there is no file {path}"
    with pytest.raises(ConfigurationError) as caught:
        from_env({}, path)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "extra",
    ["BETFAIR_CERT_PEM", "BETFAIR_KEY_PEM", "BETFAIR_PKCS12_FILE", "BETFAIR_PKCS12_BASE64"],
)
def test_two_certificates_are_an_error(extra: str) -> None:
    """Which of two certificates is meant is not guessed."""
    with pytest.raises(ConfigurationError, match="in one way only") as caught:
        from_env({**_COMPLETE, extra: "secret"}, None)
    assert extra in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A variable that is set hides the file's, even when it is blank."""
    path = tmp_path / ".env"
    lines = [f"{name}='{value}'" for name, value in _COMPLETE.items()]
    path.write_text("\n".join(lines))
    assert place_from_env({}, path).key == "token"
    assert place_from_env({"BETFAIR_SESSION_KEY": "another"}, path).key == "another"
    with pytest.raises(ConfigurationError, match="not set: BETFAIR_SESSION_KEY "):
        place_from_env({"BETFAIR_SESSION_KEY": ""}, path)


def test_the_process_and_the_working_directory_are_looked_at_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without arguments, the process's variables and ./.env count."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("BETFAIR_SESSION_STORE=one\nBETFAIR_SESSION_KEY=two\n")
    monkeypatch.setenv("BETFAIR_SESSION_KEY", "three")
    place = place_from_env()
    assert (place.store, place.key, place.storage_options) == ("one", "three", {})


def test_storage_options_are_a_json_object() -> None:
    """They arrive as a mapping, and do not show in the place's repr."""
    options = '{"profile": "betting", "client_kwargs": {"region_name": "eu-west-1"}}'
    place = place_from_env({**_PLACE, "BETFAIR_STORAGE_OPTIONS": options}, None)
    assert place.storage_options["client_kwargs"] == {"region_name": "eu-west-1"}
    assert "betting" not in repr(place)


@pytest.mark.parametrize("text", ["secret", '{"key": "secret"', '["secret"]', '"secret"', "1"])
def test_storage_options_that_are_no_json_object_are_an_error(text: str) -> None:
    """The error does not carry the text, not even in its context."""
    with pytest.raises(ConfigurationError, match="BETFAIR_STORAGE_OPTIONS") as caught:
        place_from_env({**_PLACE, "BETFAIR_STORAGE_OPTIONS": text}, None)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BETFAIR_APP_KEY", "very secret"),
        ("BETFAIR_IDENTITY_URL", "http://very:secret@host/"),
        ("BETFAIR_CERT_FILE", "-----BEGIN PRIVATE KEY-----very secret"),
    ],
)
def test_a_value_that_cannot_work_is_not_shown(name: str, value: str) -> None:
    """What may be somebody's secret in the wrong variable stays out of the message."""
    with pytest.raises(ConfigurationError) as caught:
        from_env({**_COMPLETE, name: value}, None)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BETFAIR_CERT_FILE", "-----BEGIN PRIVATE KEY-----very secret"),
        ("BETFAIR_KEY_FILE", "-----BEGIN PRIVATE KEY-----very secret"),
        ("BETFAIR_PKCS12_FILE", "-----BEGIN PRIVATE KEY-----very secret"),
        ("BETFAIR_PKCS12_BASE64", "very secret!"),
    ],
)
def test_no_value_shows_in_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Neither that of the variable that cannot work, nor any other's."""
    others = {**_ACCOUNT, "BETFAIR_PASSWORD": "most secret"}
    if name == "BETFAIR_KEY_FILE":
        others |= {"BETFAIR_CERT_FILE": "client.crt"}
    for each in NAMES:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, value)
    path = tmp_path / ".env"
    path.write_text("".join(f"{each}={text}\n" for each, text in others.items()))
    with pytest.raises(CertificateError) as caught:
        from_env(dotenv=path)
    assert "secret" not in everything_in(caught.value)


@pytest.mark.parametrize(
    ("env", "dotenv", "text"),
    [
        ("x", None, "env must be a mapping of variables, such as os.environ, not str"),
        ([], None, "env must be a mapping of variables, such as os.environ, not list"),
        ({"BETFAIR_USERNAME": 5}, None, "BETFAIR_USERNAME must be a text, not int"),
        (
            {**_COMPLETE, "BETFAIR_APP_KEY": b"key"},
            None,
            "BETFAIR_APP_KEY must be a text, not bytes",
        ),
        ({"BETFAIR_SESSION_KEY": None}, None, "BETFAIR_SESSION_KEY must be a text, not NoneType"),
        ({}, 5, 'dotenv must be a path, such as ".env", or None for no file, not int'),
        ({}, True, 'dotenv must be a path, such as ".env", or None for no file, not bool'),
        ({}, b".env", 'dotenv must be a path, such as ".env", or None for no file, not bytes'),
    ],
)
def test_arguments_of_a_wrong_type_are_refused(env: Any, dotenv: Any, text: str) -> None:  # noqa: ANN401 - what is tested
    """With what would do."""
    for read in (from_env, place_from_env):
        with pytest.raises(ConfigurationError) as caught:
            read(env, dotenv)
        assert str(caught.value) == text


def test_the_file_and_the_others_variables_may_hold_what_they_like(tmp_path: Path) -> None:
    """Nobody reads those."""
    place = place_from_env({**_PLACE, "NUMBER": 5}, tmp_path)  # type: ignore[dict-item] # what is tested
    assert place.key == "token"


def test_an_unknown_jurisdiction_is_an_error() -> None:
    """It is never taken for another one."""
    with pytest.raises(ConfigurationError, match="jurisdiction"):
        from_env({**_COMPLETE, "BETFAIR_JURISDICTION": "atlantis"}, None)


def _files(sandbox: Sandbox, _: Path) -> dict[str, str]:
    crt, key = sandbox.certificate
    return {"BETFAIR_CERT_FILE": crt, "BETFAIR_KEY_FILE": key}


def _one_file(sandbox: Sandbox, directory: Path) -> dict[str, str]:
    both = "".join(Path(part).read_text() for part in sandbox.certificate)
    (directory / "client.pem").write_text(both)
    return {"BETFAIR_CERT_FILE": str(directory / "client.pem")}


def _text(sandbox: Sandbox, _: Path) -> dict[str, str]:
    crt, key = (Path(part).read_text() for part in sandbox.certificate)
    return {"BETFAIR_CERT_PEM": crt, "BETFAIR_KEY_PEM": key}


def _one_line(sandbox: Sandbox, _: Path) -> dict[str, str]:
    both = "".join(Path(part).read_text() for part in sandbox.certificate)
    return {"BETFAIR_CERT_PEM": both.replace("\n", "\\n")}


def _encrypted(sandbox: Sandbox, directory: Path) -> dict[str, str]:
    crt, key = sandbox.certificate
    loaded = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    encrypted = loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(_PASSPHRASE.encode()),
    )
    (directory / "encrypted.key").write_bytes(encrypted)
    return {
        "BETFAIR_CERT_FILE": crt,
        "BETFAIR_KEY_FILE": str(directory / "encrypted.key"),
        "BETFAIR_CERT_PASSPHRASE": _PASSPHRASE,
    }


def _pkcs12_bytes(sandbox: Sandbox) -> bytes:
    crt, key = (Path(part).read_bytes() for part in sandbox.certificate)
    loaded = serialization.load_pem_private_key(key, None)
    return pkcs12.serialize_key_and_certificates(
        b"client",
        loaded,  # type: ignore[arg-type] # it is RSA
        load_pem_x509_certificate(crt),
        None,
        serialization.BestAvailableEncryption(_PASSPHRASE.encode()),
    )


def _pkcs12(sandbox: Sandbox, directory: Path) -> dict[str, str]:
    (directory / "client.p12").write_bytes(_pkcs12_bytes(sandbox))
    path = str(directory / "client.p12")
    return {"BETFAIR_PKCS12_FILE": path, "BETFAIR_CERT_PASSPHRASE": _PASSPHRASE}


def _pkcs12_base64(sandbox: Sandbox, _: Path) -> dict[str, str]:
    text = base64.encodebytes(_pkcs12_bytes(sandbox)).decode()
    return {"BETFAIR_PKCS12_BASE64": text, "BETFAIR_CERT_PASSPHRASE": _PASSPHRASE}


@pytest.mark.parametrize(
    "form", [_files, _one_file, _text, _one_line, _encrypted, _pkcs12, _pkcs12_base64]
)
def test_every_form_of_certificate_logs_in(
    sandbox: Sandbox, tmp_path: Path, form: Callable[[Sandbox, Path], dict[str, str]]
) -> None:
    """A manager made from the environment gets a token with each of them."""
    others = {
        name: value
        for name, value in sandbox.environment().items()
        if name not in ("BETFAIR_CERT_FILE", "BETFAIR_KEY_FILE")
    }
    with from_env({**others, **form(sandbox, tmp_path)}, None) as manager:
        token = manager.get_session(tmp_path, "session.token")
    assert [session.token for session in sandbox.sessions()] == [token]


def test_a_wrong_passphrase_is_a_certificate_error(sandbox: Sandbox, tmp_path: Path) -> None:
    """Nothing is sent, and the passphrase is not shown."""
    wrong = {**_encrypted(sandbox, tmp_path), "BETFAIR_CERT_PASSPHRASE": "wrong words"}
    with (
        from_env({**sandbox.environment(), **wrong}, None) as manager,
        pytest.raises(CertificateError) as caught,
    ):
        manager.get_session(tmp_path, "session.token")
    assert "wrong words" not in str(caught.value)
    assert sandbox.counts() == {}


@pytest.mark.parametrize("name", sorted({*_ACCOUNT, "BETFAIR_CERT_PASSPHRASE"}))
@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "\ufeff{}", "\ufeff{}\r\n"])
@pytest.mark.parametrize("filed", [False, True])
def test_a_line_end_and_a_byte_order_mark_around_a_secret_are_no_part_of_it(
    sandbox: Sandbox,
    tmp_path: Path,
    name: str,
    around: str,
    filed: bool,  # noqa: FBT001 - a parameter
) -> None:
    """As `echo`, editors and secret managers leave them; one of each, in a file as well."""
    variables = {**sandbox.environment(), "BETFAIR_CERT_PASSPHRASE": _PASSPHRASE}
    clean = variables[name]
    spoilt = {name: around.format(clean)}
    path = tmp_path / ".env"
    if filed:
        path.write_bytes(f"{name}='{spoilt.pop(name)}'".encode())
        del variables[name]
    environment = Environment({**variables, **spoilt}, path if filed else None)
    found = environment._secret(name)
    assert found.reveal() == clean
    with environment.client() as client, environment.manager(client) as manager:
        assert manager.get_session(tmp_path / "store", "token")
    assert sandbox.counts()["certlogin"] == 1


_NOT_SENT = [
    "word\nword",
    "word\n\n",
    "word\r",
    "\nword",
    "wo\x00rd",
    "wo\x7frd",
    "wo\x85rd",
    "word\ufeff",
    "wo\u2028rd",
]


@pytest.mark.parametrize("value", _NOT_SENT)
@pytest.mark.parametrize("name", sorted({*_ACCOUNT, "BETFAIR_CERT_PASSPHRASE"}))
def test_a_control_character_in_a_secret_is_refused_before_anything_is_sent(
    sandbox: Sandbox, tmp_path: Path, name: str, value: str
) -> None:
    """The error names the variable and carries no value; a wrong password locks the account."""
    with pytest.raises(ConfigurationError) as caught:
        from_env({**sandbox.environment(), name: value}, None).get_session(tmp_path, "token")
    assert caught.value.argument == name
    shown = everything_in(caught.value)
    assert value not in shown
    assert sandbox.counts() == {}


@pytest.mark.parametrize("value", [*_NOT_SENT, "word\n", "word\r\n", "\ufeffword"])
@pytest.mark.parametrize("argument", ["username", "password", "two_step", "app_key"])
def test_an_argument_with_a_control_character_is_refused(
    sandbox: Sandbox, argument: str, value: str
) -> None:
    """Nothing is taken off an argument: the program that gives it can see to that."""
    given: dict[str, Any] = {"username": "user", "password": "word", argument: value}
    two_step = given.pop("two_step", None)

    def make() -> SessionManager:
        client = IdentityClient(given.pop("app_key", "key"))
        return SessionManager(client, **given, two_step=two_step, interactive=True)

    with pytest.raises(ConfigurationError) as caught:
        make()
    assert caught.value.argument == argument
    if argument != "app_key":
        name = "code" if argument == "two_step" else argument
        client = IdentityClient("key", identity_url=sandbox.identity_url)
        for code in (two_step, lambda: two_step):
            with pytest.raises(ConfigurationError) as caught:
                client.login(**given, code=code if two_step else None)
            assert caught.value.argument == name
            assert value not in everything_in(caught.value)
    assert sandbox.counts() == {}


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [(' "{}"', "blanks"), ("{}\u00a0", "blanks"), ('"{}"', "quotes"), ("“{}”", "quotes")],
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
    assert pickle.loads(pickle.dumps(caught.value)).suspects == {name: kind}
    sandbox.login_status("PENDING_AUTH", times=1)
    with pytest.raises(LoginRefused) as caught:
        manager.get_session(tmp_path, "another")
    assert caught.value.suspects == {}
