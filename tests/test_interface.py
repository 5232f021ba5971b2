"""The interface as a newcomer meets it: what the first hour of using this library asks for."""

from __future__ import annotations

import asyncio
import builtins
import inspect
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)
from front import KEY, live

import betfair_session
from betfair_session import (
    Certificate,
    CertificateError,
    ConfigurationError,
    IdentityClient,
    IdentityUnavailable,
    JurisdictionName,
    LoginRefused,
    SessionManager,
    from_env,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from betfair_session.sandbox import Sandbox

TYPES = {"EventKind", "FileSystem", "JurisdictionName", "Store", "StrPath", "TokenStore"}


@pytest.fixture
def manager(sandbox: Sandbox) -> Iterator[SessionManager]:
    """A manager as the sandbox's variables make it."""
    with from_env(sandbox.environment(), None) as manager:
        yield manager


def test_a_task_can_do_what_a_thread_can(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Each call of a handle has a twin for tasks, which takes the same arguments."""

    async def main() -> None:
        async with manager, manager.session(tmp_path, KEY) as session:
            token = await session.atoken(20)
            assert await session.averify(20) == await session.arenew(token, timeout=20) == token
            sandbox.expire(token)
            assert [await session.averify()] == live(sandbox)
            await session.alogout()
        assert not (tmp_path / KEY).exists()
        assert live(sandbox) == []

    asyncio.run(main())


def test_a_handle_can_be_closed_by_a_with_statement(
    manager: SessionManager, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The session lives on."""
    with manager.session(tmp_path, KEY) as session:
        assert session.verify(20) == session.token(20)
    assert live(sandbox) == [session.token()]


def test_an_account_without_a_certificate_logs_in_by_its_variables(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A two-step code asks for the login of the website; a refusal speaks of no certificate."""
    sandbox.set_two_step("123456")
    variables = {k: v for k, v in sandbox.environment().items() if "_CERT_FILE" not in k}
    del variables["BETFAIR_KEY_FILE"]
    with from_env(variables, None, two_step=lambda: "123456") as manager:
        assert [manager.get_session(tmp_path, KEY)] == live(sandbox)
    variables["BETFAIR_PASSWORD"] = "wrong"
    with from_env(variables, None, interactive=True) as manager:
        for _ in ("refused", "remembered"):
            with pytest.raises(LoginRefused) as caught:
                manager.get_session(tmp_path, "another")
            assert not re.search("certificate|upload", str(caught.value))
    assert sandbox.counts() == {"login": 2}


def test_the_environment_stands_for_the_account_alone(sandbox: Sandbox) -> None:
    """Every other setting of a manager is an argument of `from_env`, and reaches the manager."""
    given, taken = (
        {each.name: each.default for each in inspect.signature(make).parameters.values()}
        for make in (SessionManager, from_env)
    )
    for account in ("client", "username", "password"):
        del given[account]
    for where in ("env", "dotenv"):
        del taken[where]
    assert taken == given
    wrong: dict[str, Any] = {"verify_every": 900, "on_event": 5, "share_verification": True}
    wrong |= {"login_timeout": 0, "lease": 30, "two_step": "1\n2"}
    for name, value in wrong.items():
        with pytest.raises(ConfigurationError):
            from_env(sandbox.environment(), None, **{name: value})


def test_storage_options_reach_the_store(manager: SessionManager) -> None:
    """One that it does not take is refused there."""
    with pytest.raises(ConfigurationError):
        manager.session("memory://x", KEY, {"nosuch": {"a": 1}})


def test_a_certificate_can_be_checked_when_a_program_starts(sandbox: Sandbox) -> None:
    """Nothing is sent; a client without one says so."""
    variables = sandbox.environment()
    with from_env(variables, None) as manager:
        assert manager.client.check_certificate() == []
    with from_env({**variables, "BETFAIR_CERT_FILE": "missing.crt"}, None) as manager:
        with pytest.raises(CertificateError) as caught:
            manager.client.check_certificate()
        assert caught.value.reason == "missing"
    with pytest.raises(ConfigurationError) as without:
        IdentityClient("app-key").check_certificate()
    assert without.value.argument == "certificate"
    assert sandbox.counts() == {}


def test_a_remembered_refusal_does_not_hide_a_new_mistake(sandbox: Sandbox, tmp_path: Path) -> None:
    """A certificate that is missing since then has to be put right first."""
    variables = {**sandbox.environment(), "BETFAIR_PASSWORD": "wrong"}
    with from_env(variables, None) as manager, pytest.raises(LoginRefused):
        manager.get_session(tmp_path, KEY)
    for name, value in (("BETFAIR_CERT_FILE", "missing.crt"), ("BETFAIR_PASSWORD", "right")):
        with from_env({**variables, name: value}, None) as manager:
            error = CertificateError if value == "missing.crt" else LoginRefused
            with pytest.raises(error):
                manager.get_session(tmp_path, KEY)
    assert sandbox.counts() == {"certlogin": 1}


def test_a_failure_names_the_variable_that_helps(sandbox: Sandbox, tmp_path: Path) -> None:
    """Of the authority that is missing, and of the passphrase of a locked .p12."""
    variables = sandbox.environment()
    del variables["BETFAIR_CA_BUNDLE"]
    with from_env(variables, None) as manager, pytest.raises(IdentityUnavailable) as unknown:
        manager.get_session(tmp_path, KEY)
    assert "BETFAIR_CA_BUNDLE" in str(unknown.value)
    locked = tmp_path / "locked.p12"
    crt, key = (Path(part).read_bytes() for part in sandbox.certificate)
    locked.write_bytes(
        pkcs12.serialize_key_and_certificates(
            None,
            load_pem_private_key(key, None),  # type: ignore[arg-type] # it is RSA
            x509.load_pem_x509_certificate(crt),
            None,
            BestAvailableEncryption(b"phrase"),
        )
    )
    assert Certificate.from_pkcs12(locked, "phrase").check() == []
    with pytest.raises(CertificateError) as closed:
        Certificate.from_pkcs12(locked).check()
    assert closed.value.reason == "passphrase"
    assert "BETFAIR_CERT_PASSPHRASE" in str(closed.value)


def test_times_that_people_read_are_dates(manager: SessionManager, tmp_path: Path) -> None:
    """A check says until when the session lives, by the clock on the wall."""
    token = manager.get_session(tmp_path, KEY)
    before = datetime.now(UTC)
    check = manager.client.check(token)
    assert check.verified_at is not None
    assert before <= check.verified_at <= datetime.now(UTC)
    assert check.expires_at == check.verified_at + timedelta(hours=12)
    assert not check.expired
    assert check._replace(expires_at=before).expired


def test_every_jurisdiction_that_a_type_checker_lets_through_is_one() -> None:
    """A misspelt one is told all of them."""
    for name in get_args(JurisdictionName):
        IdentityClient("app-key", jurisdiction=name)
    with pytest.raises(ConfigurationError) as caught:
        IdentityClient("app-key", jurisdiction="itly")  # type: ignore[arg-type]
    told = set(re.findall(r"[a-z_-]+", str(caught.value)))
    assert set(get_args(JurisdictionName)) <= told


# What the signatures below name that other packages define.
FOREIGN = {"datetime", "timedelta", "requests", "Response", "Session", "os", "PathLike", "ssl"}
FOREIGN |= {"SSLContext", "Self", "Callable", "Iterable", "Mapping", "Any", "Literal"}


def signatures(thing: object) -> Iterator[Callable[..., object]]:
    """Find what users call of a public name: it, or its public methods and properties."""
    if not isinstance(thing, type):
        assert callable(thing)
        yield thing
        return
    for name, value in vars(thing).items():
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        made = thing is not betfair_session.Session  # by users, not by a manager
        if isinstance(function, FunctionType) and (name[0] != "_" or (made and name == "__init__")):
            yield function


@pytest.mark.parametrize("name", sorted({*vars(betfair_session)["__all__"]} - TYPES))
def test_everything_in_a_public_signature_can_be_imported(name: str) -> None:
    """Such as the type of a store; and every parameter has a name, which `help` shows."""
    public, words = {*vars(betfair_session)["__all__"], *FOREIGN, *dir(builtins)}, set[str]()
    for function in signatures(getattr(betfair_session, name)):
        for parameter in inspect.signature(function).parameters.values():
            assert parameter.kind not in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}
        for annotation in function.__annotations__.values():
            words |= set(re.findall(r"[A-Za-z]\w*", annotation))
    assert words <= public
