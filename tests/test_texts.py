"""What the front door says of arguments that cannot work, to the letter: it is what people see."""

from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEVER = timedelta(0)
EMPTY = "must be a text in UTF-8 that is not empty"
USERNAME, PASSWORD = f"username {EMPTY}", f"password {EMPTY}"
LOGIN_TIMEOUT = "login_timeout must be a number of seconds above 0, such as 20"
TWO_STEP = f"two_step {EMPTY}"
LEASE = "lease must be settings such as LeaseSettings(ttl=30.0)"
VERIFY_EVERY = "verify_every must be a timedelta above 0, such as timedelta(minutes=15)"
TOO_LONG = "verify_every must be shorter than a session of this jurisdiction, "


def client(**settings: Any) -> IdentityClient:  # noqa: ANN401 - whatever a test gets wrong
    """Return a client."""
    return IdentityClient("key", **settings)


def manager(*credentials: Any, of: Any = None, **settings: Any) -> SessionManager:  # noqa: ANN401 - likewise
    """Return a manager."""
    return SessionManager(of or client(), *(credentials or ("u", "p")), **settings)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: manager("", "p"), USERNAME),
        (lambda: manager("u", ""), PASSWORD),
        (lambda: manager("\ud800", "p"), USERNAME),
        (lambda: manager("u", "\ud800"), PASSWORD),
        (lambda: manager(None, "p"), USERNAME),
        (lambda: manager("u", 5), PASSWORD),
        (lambda: manager(login_timeout=0), LOGIN_TIMEOUT),
        (lambda: manager(login_timeout="5"), LOGIN_TIMEOUT),
        (lambda: manager(login_timeout=None), LOGIN_TIMEOUT),
        (lambda: manager(login_timeout=timedelta(seconds=5)), LOGIN_TIMEOUT),
        (lambda: manager(login_timeout=float("inf")), LOGIN_TIMEOUT),
        (lambda: manager(two_step=5, interactive=True), TWO_STEP),
        (lambda: manager(two_step="\ud800", interactive=True), TWO_STEP),
        (
            lambda: manager(two_step="5"),
            "a two-step code is for interactive logins only: set interactive=True",
        ),
        (
            lambda: manager(share_verification=True),
            "share_verification needs verify_every, which says how long it counts",
        ),
        (lambda: manager(lease={"ttl": 5}), LEASE),
        (lambda: manager(lease={}), LEASE),
        (lambda: manager(on_event=5), "on_event must be a function of one argument, not a int"),
        (
            lambda: KeepAlive(manager().session("memory://x", "key"), on_report="x"),  # type: ignore[arg-type] # what is tested
            "on_report must be a function of one argument, not a str",
        ),
        (lambda: manager(verify_every=900), VERIFY_EVERY),
        (lambda: manager(verify_every=NEVER), VERIFY_EVERY),
        (lambda: manager(verify_every=timedelta(hours=12)), TOO_LONG + "12:00:00"),
        (
            lambda: manager(
                of=client(jurisdiction="italy"), verify_every=timedelta(minutes=20, seconds=1)
            ),
            TOO_LONG + "0:20:00",
        ),
        (
            lambda: manager(of=("u", "p")),
            "give an IdentityClient first: SessionManager(client, username, password)",
        ),
        (
            lambda: manager().get_session({}, "key"),
            "a store cannot be a dict",
        ),
        (
            lambda: checked_handle(manager()),
            "give a handle, manager.session(store, key), not a SessionManager",
        ),
        (
            lambda: client(timeout=Decimal("nan")),
            "timeout must be a number of seconds above 0, such as 20",
        ),
        (
            lambda: client(timeout=10**400),
            "timeout must be a number of seconds above 0, such as 20",
        ),
        (lambda: client(timeout="5"), "timeout must be a number of seconds above 0, such as 20"),
        (
            lambda: IdentityClient(""),
            "the app_key must be 1 to 512 printable ASCII characters without spaces",
        ),
        (
            lambda: client().check("a b"),
            "the token must be 1 to 512 printable ASCII characters without spaces",
        ),
        (
            lambda: client().keep_alive(""),
            "the token must be 1 to 512 printable ASCII characters without spaces",
        ),
        (
            lambda: client().logout("é"),
            "the token must be 1 to 512 printable ASCII characters without spaces",
        ),
        (
            lambda: client().certlogin("u", "p"),
            "certlogin needs a client certificate; give IdentityClient one",
        ),
        (
            lambda: client().login("u", "p", code=5),  # type: ignore[arg-type] # what is tested
            f"code {EMPTY}",
        ),
        (
            lambda: client().login("u", "p", code=lambda: os.environ["\0"]),
            "the two-step code could not be had: KeyError",
        ),
        (
            lambda: client(identity_url="http://localhost/api/"),
            "identity_url must be a plain https URL such as https://localhost:8443/api/",
        ),
        (
            lambda: client(identity_cert_url="http://localhost/api/"),
            "identity_cert_url must be a plain https URL such as https://localhost:8443/api/",
        ),
    ],
)
def test_what_cannot_work_is_said(make: Callable[[], object], text: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert str(caught.value) == text


def test_storage_options_that_are_no_mapping(tmp_path: Path) -> None:
    """They are not shown, since they may hold a key."""
    options: Any = "AKIA"
    with pytest.raises(ConfigurationError) as caught:
        manager().session(tmp_path, "key", options)
    assert str(caught.value) == 'storage_options must be a mapping, such as {"profile": "betting"}'


def test_settings_that_just_work() -> None:
    """The edges of what is refused above."""
    client(proxies={"https": None}, timeout=Decimal("0.1"))
    manager("u", "p", verify_every=timedelta(hours=12) - timedelta.resolution)
    manager("u", Secret("p"), verify_every=timedelta.resolution, share_verification=True)
    manager(interactive=True, two_step="5")
    manager(interactive=True, two_step=lambda: "5")
    manager(interactive=True, two_step="")
    manager(of=client(jurisdiction="australia"), verify_every=timedelta(days=1))
    assert client().timeout == 10.0
    assert manager()._account.login_timeout == 60.0
    assert manager()._account.lease == LeaseSettings()
    assert manager(lease=LeaseSettings(ttl=60.0))._account.lease == LeaseSettings(ttl=60.0)
    assert repr(manager()) == "SessionManager(IdentityClient(jurisdiction='international'))"
    assert repr(SessionManager.__new__(SessionManager)) == "SessionManager(None)"
    assert repr(IdentityClient.__new__(IdentityClient)) == "IdentityClient(jurisdiction=None)"
