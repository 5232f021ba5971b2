"""Arguments that cannot work are refused before anything is sent, and the error names them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from betfair_session import (
    ConfigurationError,
    IdentityClient,
    KeepAlive,
    LeaseSettings,
    SessionManager,
)
from betfair_session.arguments import checked_handle
from betfair_session.secret import Secret

DAY_HALF = timedelta(hours=12)


def client(**settings: Any) -> IdentityClient:  # noqa: ANN401 - whatever a test gets wrong
    """Return a client."""
    return IdentityClient("key", **settings)


def manager(*credentials: Any, of: Any = None, **settings: Any) -> SessionManager:  # noqa: ANN401 - likewise
    """Return a manager."""
    return SessionManager(of or client(), *(credentials or ("u", "p")), **settings)


def keeping(session: Any = None, **settings: Any) -> KeepAlive:  # noqa: ANN401 - likewise
    """Return one for an account of Italy, where sessions live for 20 minutes."""
    italy = manager(of=client(jurisdiction="italy"))
    return KeepAlive(session or italy.session("memory://x", "key"), **settings)


def get(**given: Any) -> str:  # noqa: ANN401 - likewise
    """Ask for a token."""
    return manager().get_session(**{"store": "memory://x", "key": "key", **given})


def aget(**given: Any) -> str:  # noqa: ANN401 - likewise
    """Ask for a token in a task."""
    return asyncio.run(manager().aget_session(**{"store": "memory://x", "key": "key", **given}))


CALLS: dict[str, tuple[object, ...]] = {  # what a call refuses, besides places that cannot be
    "store": ([], {}),
    "timeout": (0, -1, float("nan"), "3", DAY_HALF),
    "storage_options": ('{"key": "hidden"}', ["hidden"], 5),
}
CLIENTS: dict[str, tuple[object, ...]] = {  # what a client refuses
    "verify": (False, None, "", 0, 1, "/nowhere/ca.pem"),
    "timeout": (0, -1, Decimal("nan"), 10**400, float("inf"), "5", None),
    "identity_url": (
        *("http://localhost/api/", "HTTP://localhost/", "//localhost/", "ftp://localhost/"),
        *("https://user:hidden@localhost/", "https://localhost/api/?x=1", "https://localhost/#"),
        *("https://localhost:port/", "https://local host/"),
    ),
    "identity_cert_url": ("localhost", "http://localhost/api/"),
    "api_url": ("http://localhost/exchange/",),
    "jurisdiction": ("atlantis",),
    "session": ("session",),
    "proxies": ("http://hidden", {"https": 5}, {None: "x"}, 5),
}


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: manager("\ud800", "p"), "username"),
        (lambda: manager("u", "\ud800"), "password"),
        (lambda: manager(None, "p"), "username"),
        (lambda: manager("u", 5), "password"),
        (lambda: manager("", "p"), "username"),
        (lambda: manager("u", ""), "password"),
        (lambda: manager(of="hidden-name"), "client"),
        (lambda: manager(on_event=5), "on_event"),
        (lambda: manager(login_timeout=0), "login_timeout"),
        (lambda: manager(login_timeout="5"), "login_timeout"),
        (lambda: manager(login_timeout=None), "login_timeout"),
        (lambda: manager(login_timeout=timedelta(seconds=5)), "login_timeout"),
        (lambda: manager(login_timeout=float("inf")), "login_timeout"),
        (lambda: manager(two_step=5, interactive=True), "two_step"),
        (lambda: manager(two_step="\ud800", interactive=True), "two_step"),
        (lambda: manager(lease={}), "lease"),
        *(
            (lambda odd=odd: manager("u", "hidden-word", verify_every=odd), "verify_every")
            for odd in (DAY_HALF, timedelta(0), timedelta(minutes=-15), 900)
        ),
        (lambda: manager(share_verification=True), "verify_every"),
        (
            lambda: manager(
                of=client(jurisdiction="italy"), verify_every=timedelta(minutes=20, seconds=1)
            ),
            "verify_every",
        ),
        *(
            (lambda odd=odd: keeping(every=odd), "every")
            for odd in (timedelta(0), timedelta(minutes=-1), timedelta(minutes=20), 60)
        ),
        (lambda: keeping(on_report="x"), "on_report"),
        (lambda: keeping(manager()), "session"),
        *(
            (lambda call=call, name=name, odd=odd: call(**{name: odd}), name)
            for call in (get, aget)
            for name, values in CALLS.items()
            for odd in values
        ),
        (lambda: checked_handle(manager()), "session"),
        *(
            (lambda name=name, odd=odd: client(**{name: odd}), name)
            for name, values in CLIENTS.items()
            for odd in values
        ),
        *(
            (lambda odd=odd: IdentityClient(odd), "app_key")
            for odd in ("", "with space", "line\nbreak", "k" * 513)
        ),
        (lambda: client().check("a b"), "token"),
        (lambda: client().keep_alive(""), "token"),
        (lambda: client().logout("é"), "token"),
        (lambda: client().certlogin("u", "p"), "certificate"),
        *(
            (lambda name=name: getattr(client(certificate="c"), name)("", "p"), "username")
            for name in ("certlogin", "login")
        ),
        *(
            (lambda name=name: getattr(client(certificate="c"), name)("u", "p\n"), "password")
            for name in ("certlogin", "login")
        ),
        (lambda: client(certificate="c").certlogin("u", "p", timeout="3"), "timeout"),  # type: ignore[arg-type] # what is tested
        (lambda: client().login("u", "p", timeout=0), "timeout"),
        (lambda: client().keep_alive("x", timeout=0), "timeout"),
        (lambda: client().login("u", "p", code=5), "code"),  # type: ignore[arg-type] # what is tested
        (lambda: client().login("u", "p", code=lambda: os.environ["\0"]), "code"),
    ],
)
def test_what_cannot_work_is_named(make: Callable[[], object], argument: str) -> None:
    """Whatever kind of value it is."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert isinstance(caught.value, ValueError)
    assert caught.value.argument == argument
    assert "hidden" not in str(caught.value)


def test_settings_that_just_work() -> None:
    """The edges of what is refused above."""
    client(proxies={"https": None}, timeout=Decimal("0.1"))
    manager("u", "p", verify_every=DAY_HALF - timedelta.resolution)
    manager("u", Secret("p"), verify_every=timedelta.resolution, share_verification=True)
    for code in ("5", lambda: "5", ""):
        manager(interactive=True, two_step=code)
    manager(of=client(jurisdiction="australia"), verify_every=timedelta(days=1))
    manager(lease=LeaseSettings(ttl=60.0))
    assert client().timeout == 10.0
    assert "hidden" not in repr(manager("hidden-name", "hidden-word"))
    for kind in (SessionManager, IdentityClient):
        assert repr(kind.__new__(kind)).startswith(kind.__name__)
