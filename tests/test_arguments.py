"""Arguments that cannot work are refused before anything is sent, and the error names them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import requests
from front import BET
from secrets_shown import assert_hidden, everything_in

from betfair_session import (
    BetfairAuth,
    Certificate,
    CertificateError,
    ConfigurationError,
    Exchange,
    IdentityClient,
    KeepAlive,
    LeaseSettings,
    Session,
    SessionManager,
    from_env,
    session_is_invalid,
)
from betfair_session.certificates.files import create, write_files
from betfair_session.integrations.betfairlightweight import APIClient
from betfair_session.secret import Secret

# ruff: noqa: ANN401 - whatever a test gets wrong

NOWHERE = "https://127.0.0.1:9/"
HALF_A_DAY = timedelta(hours=12)


def client(app_key: Any = "key", **settings: Any) -> IdentityClient:
    urls = dict.fromkeys(("identity_url", "identity_cert_url"), NOWHERE)
    return IdentityClient(app_key, **{**urls, **settings})


def manager(client: Any = None, username: Any = "u", password: Any = "p", **more: Any) -> Any:
    return SessionManager(client or IdentityClient("key"), username, password, **more)


def handle(**settings: Any) -> Session:
    made: Session = manager(client(**settings)).session("memory://x", "key")
    return made


def get(**given: Any) -> str:
    token: str = manager().get_session(**{"store": "memory://x", "key": "key", **given})
    return token


def aget(**given: Any) -> str:
    place = {"store": "memory://x", "key": "key"}
    token: str = asyncio.run(manager().aget_session(**{**place, **given}))
    return token


def identity(name: str, **given: Any) -> object:
    return getattr(client(certificate="c"), name)(**given)


def exchange(session: Any = None, **settings: Any) -> Exchange:
    return Exchange(session or handle(), **{"api_url": NOWHERE, **settings})


def call(method: Any = "listX", ref: Any = None, **given: Any) -> object:
    if ref is not None:
        given["params"] = {**BET, "customerRef": ref}
    return exchange().call(method, **given)


def auth(hosts: Any) -> BetfairAuth:
    return BetfairAuth(handle(), hosts=hosts)


LONG = timedelta(minutes=20)  # how long sessions live in Italy and in Spain
ITALY = partial(handle, jurisdiction="italy")
BOT = partial(handle, jurisdiction="spain")
SOON = (timedelta(0), timedelta(minutes=-1))
NO_SECONDS = (0, -1, float("nan"), "3", HALF_A_DAY)
NO_HOSTS = ("api.betfair.com", ["https://x"], [""], ["a/b"], ["u@h"], [7], ["höst"], 5)
NO_REFS = ("", "x" * 33, "a b", "é", "a/b", "a\n", 7)
NO_METHODS = ("", None, "list EventTypes", "../x", "StreamAPING/v1.0/x", "SportsAPING/v2.0/listX")
NO_BASES = (
    *(
        "http://localhost/api/",
        "HTTP://localhost/",
        "//localhost/",
        "ftp://localhost/",
        "localhost",
    ),
    *("https://user:hidden@localhost/", "https://localhost/api/?x=1", "https://localhost/#"),
    *("https://localhost:port/", "https://local host/", "https://höst/"),
)
LOGINS = ("certlogin", "login")


async def late(*_: object) -> str:
    return "5"


class Late:
    async def __call__(self, *_: object) -> str:
        return "5"


LATE = (late, partial(late), Late())
login = partial(identity, username="u", password="p")

REFUSED: list[tuple[Callable[..., object], str, tuple[object, ...]]] = [
    (client, "app_key", ("", "with space", "line\nbreak", "k" * 513)),
    (client, "verify", (False, None, "", 0, 1, "/nowhere/ca.pem")),
    (client, "timeout", (0, -1, Decimal("nan"), 10**400, float("inf"), "5", None)),
    *((client, f"{name}_url", NO_BASES) for name in ("identity", "identity_cert", "api")),
    (client, "jurisdiction", ("atlantis",)),
    (client, "session", ("session",)),
    (client, "proxies", ("http://hidden", {"https": 5}, {None: "x"}, 5)),
    (manager, "client", ("hidden-name",)),
    (manager, "username", ("\ud800", None, "")),
    (manager, "password", ("\ud800", 5, "")),
    (manager, "on_event", (5, *LATE)),
    (manager, "two_step", LATE),
    (manager, "login_timeout", (0, "5", None, timedelta(seconds=5), float("inf"))),
    (partial(manager, interactive=True), "two_step", (5, "\ud800")),
    (manager, "lease", ({}, 30)),
    (manager, "verify_every", (HALF_A_DAY, *SOON, 900)),
    (
        partial(manager, client(jurisdiction="italy")),
        "verify_every",
        (LONG + timedelta(seconds=1),),
    ),
    *((call, "timeout", NO_SECONDS) for call in (get, aget)),
    *((call, "store", ([], {})) for call in (get, aget)),
    *((call, "storage_options", ('{"key": "hidden"}', ["hidden"], 5)) for call in (get, aget)),
    (partial(KeepAlive, ITALY()), "every", (*SOON, LONG, 60)),
    (partial(KeepAlive, ITALY()), "on_report", ("x", *LATE)),
    *((kind, "session", (manager(),)) for kind in (KeepAlive, exchange, BetfairAuth, APIClient)),
    (APIClient, "session", ("hidden-name",)),
    # Flumine looks six times in it, and the last look must come before the session's end.
    (
        partial(APIClient, BOT()),
        "keep_alive_every",
        (*SOON, timedelta(minutes=17.2), LONG, 60),
    ),
    *((partial(identity, name), "token", ("a b", "", "é")) for name in ("check", "logout")),
    (partial(identity, "keep_alive", token="x"), "timeout", (0,)),
    *((partial(identity, name, password="p"), "username", ("",)) for name in LOGINS),
    *((partial(identity, name, username="u"), "password", ("p\n",)) for name in LOGINS),
    *((partial(login, name), "timeout", ("3", 0)) for name in LOGINS),
    (exchange, "verify", (False, "", "/not/there.pem")),
    (exchange, "timeout", (0, float("nan"), "3", None)),
    (exchange, "api_url", ("http://höst/", "https://höst/", None)),
    (exchange, "proxies", (5,)),
    (auth, "hosts", NO_HOSTS),
    # A variable's text, which would count as True.
    *(
        (make, name, ("0", "false", "", None, 1))
        for make, name in (
            (manager, "interactive"),
            (partial(manager, verify_every=LONG), "share_verification"),
            (exchange, "replay_orders"),
            (partial(BetfairAuth, handle(), hosts=["x"]), "replay_orders"),
            (call, "rest"),
            (partial(APIClient, BOT()), "end_session_on_logout"),
        )
    ),
    (call, "method", NO_METHODS),
    (call, "params", ([1], "", {"filter": object()}, {"price": float("nan")})),
    (call, "timeout", (0, "3", timedelta(seconds=3))),
]


def refused(make: Callable[[], object], argument: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert isinstance(caught.value, ValueError)
    assert caught.value.argument == argument
    assert "hidden" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_cannot_work_is_named(number: int) -> None:
    make, argument, values = REFUSED[number]
    for value in values:
        refused(partial(make, **{argument: value}), argument)


def test_what_else_cannot_work_is_named() -> None:
    """A reference in an order's parameters, or a setting without the one that it needs."""
    for ref in NO_REFS:
        for method in ("placeOrders", "SportsAPING/v1.0/cancelOrders"):
            refused(partial(call, method, ref), "customerRef")
    refused(partial(manager, share_verification=True), "verify_every")
    refused(partial(client().certlogin, "u", "p"), "certificate")
    refused(lambda: BetfairAuth(handle()), "api_url")  # whose session is not for Betfair's hosts
    # A program would take every answer for one of a live session.
    answers: list[Any] = [None, 7, ValueError("NO_SESSION"), object(), {"x"}, requests.Response]
    for answer in answers:
        assert isinstance(refused(partial(session_is_invalid, answer), "answer"), TypeError)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("ttl", odd) for odd in ("x", 5, 19.9, 500, float("nan"), 120.1)),
        *(("login_deadline", odd) for odd in (None, Decimal(10), 0.0, 20.1)),
        *(("store_deadline", odd) for odd in (timedelta(seconds=5), 0.0, -1.0, 10.1)),
        *(("logins_per_minute", odd) for odd in ("4", 0, 101, 4.0)),
    ],
)
def test_a_lease_that_cannot_work_is_refused(name: str, value: Any) -> None:
    """Also in a copy of one that can."""
    for make in (LeaseSettings, LeaseSettings()._replace):
        refused(partial(make, **{name: value}), "lease")


def test_settings_that_just_work() -> None:
    """The edges of what is refused above."""
    client(proxies={"https": None}, timeout=Decimal("0.1"))
    manager(verify_every=HALF_A_DAY - timedelta.resolution)
    manager(password=Secret("p"), verify_every=timedelta.resolution, share_verification=True)
    for code in ("5", lambda: "5", ""):
        manager(interactive=True, two_step=code)
    manager(client(jurisdiction="australia"), verify_every=timedelta(days=1))
    leases: list[dict[str, Any]] = [
        *({}, {"ttl": 60.0}, {"ttl": 120.0}, {"ttl": 20.0}),
        *({"logins_per_minute": number} for number in (1, 100)),
        {"ttl": 0.5, "login_deadline": 0.25, "store_deadline": 0.125},
    ]
    for lease in leases:
        made = LeaseSettings(**lease)
        manager(lease=made)
        assert made._asdict().items() >= lease.items()
    assert APIClient(BOT(), keep_alive_every=timedelta(minutes=17)).session_timeout == 340
    assert client().timeout == 10.0
    assert "hidden" not in repr(manager(username="hidden-name", password="hidden-word"))
    for kind in (SessionManager, IdentityClient):
        assert repr(kind.__new__(kind)).startswith(kind.__name__)


def test_files_stay_where_they_were_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that becomes a daemon changes its directory."""
    write_files(tmp_path, "me", create("me"))
    monkeypatch.chdir(tmp_path)
    forms: Any = ("me.crt", "me.key"), "me.pem", Certificate.from_files("me.crt", "me.key")
    clients = [IdentityClient("key", form, verify="me.crt") for form in forms]
    with pytest.raises(ConfigurationError):  # OpenSSL finds no authority in such a directory
        client(verify=Path())
    (tmp_path / "5ed36f99.0").touch()
    assert client(verify=Path()).verify == str(tmp_path)
    (tmp_path / "releases" / "42").mkdir(parents=True)
    (tmp_path / "current").symlink_to(tmp_path / "releases" / "42")
    write_files(tmp_path / "releases", "linked", create("linked"))
    for start in ("", str(tmp_path)):
        linked = os.path.join(start, "current", "..", "linked.pem")
        clients.append(IdentityClient("key", linked, verify="me.crt"))
    wrong: Any = ("me.crt", "pass-word")
    clumsy = Certificate.from_files(*wrong)
    checks = (clumsy.check, IdentityClient("key", wrong).check_certificate)
    for place in ("/", "/usr"):
        monkeypatch.chdir(place)
        for each in clients:
            assert each.verify == str(tmp_path / "me.crt")
            assert each.check_certificate() == []
        for check in checks:
            with pytest.raises(CertificateError) as caught:
                check()
            assert_hidden(everything_in(caught.value) + repr(clumsy), "pass-word")


def test_every_setting_of_a_manager_is_an_argument_of_from_env() -> None:
    """The environment gives the account only; all arguments reach the manager."""
    given, taken = (
        {each.name: each.default for each in signature(make).parameters.values()}
        for make in (SessionManager, from_env)
    )
    for name in ("client", "username", "password"):
        del given[name]
    assert taken == {"env": None, "dotenv": ".env", **given}
    account = dict.fromkeys(("BETFAIR_USERNAME", "BETFAIR_PASSWORD", "BETFAIR_APP_KEY"), "x")
    files = {"BETFAIR_CERT_FILE": "x.pem"}
    wrong: dict[str, Any] = {"verify_every": 900, "on_event": 5, "login_timeout": 0, "lease": 30}
    for name, value in wrong.items():
        refused(partial(from_env, {**account, **files}, None, **{name: value}), name)
