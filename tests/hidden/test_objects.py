"""No object gives a secret away by its repr, its attributes, a copy or a pickle."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from within import within

import betfair_session
from betfair_session import (
    BetfairAuth,
    BetfairSessionError,
    Certificate,
    Event,
    Exchange,
    KeepAlive,
)
from betfair_session.environment import Environment
from betfair_session.secret import Secret, SecretBytes
from betfair_session.storage import open_store
from hidden.planted import CODE, PASSPHRASE

if TYPE_CHECKING:
    from pathlib import Path

    from hidden.planted import Planted

KEY = "session.token"


@pytest.fixture
def objects(planted: Planted, tmp_path: Path) -> dict[str, object]:
    """One of each kind of object, after a login."""
    place = tmp_path / "store"
    client = planted.client()
    events: list[Event] = []
    manager = planted.manager(
        client, verify_every=timedelta(minutes=5), on_event=events.append, interactive=True,
        two_step=CODE,
    )  # fmt: skip
    planted.sandbox.set_two_step(CODE, planted.secrets()["username"])
    session = manager.session(place, KEY)
    token = session.token()
    keeper = KeepAlive(session)
    stored = open_store(place).get(KEY, deadline=within(5))
    with pytest.raises(BetfairSessionError) as caught:
        Certificate.from_pkcs12(planted.p12, "wrong").check()
    return {
        "client": client,
        "check": client.check(token),
        "manager": manager,
        "account": manager._account,
        "session": session,
        "held": session._trust.held,
        "trust": session._trust,
        "keeper": keeper,
        "report": keeper.run_once(),
        "auth": BetfairAuth(session),
        "exchange": Exchange(session, api_url=planted.sandbox.api_url),
        "certificate": Certificate.from_pkcs12(planted.p12, PASSPHRASE),
        "certificate in memory": Certificate.from_pkcs12(planted.p12.read_bytes(), PASSPHRASE),
        "environment": Environment(planted.environment(), None),
        "secret": Secret(token),
        "bytes": SecretBytes(token.encode()),
        "stored": stored,
        "event": events[0],
        "error": caught.value,
        "store": session.store,
    }


def _attributes(value: object) -> dict[str, object]:
    """Return an object's attributes, whether it keeps them in a dict or in slots."""
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return {
        **getattr(value, "__dict__", {}),
        **{name: getattr(value, name) for name in slots if hasattr(value, name)},
    }


def test_nothing_shows_a_secret(planted: Planted, objects: dict[str, object]) -> None:
    """In repr, str, format, or its attributes, as a debugger lists them."""
    shown = {}
    for name, each in objects.items():
        text = (
            f"{each!r} {each!s} {each} {[each]} {vars(each) if hasattr(each, '__dict__') else ''}"
        )
        shown[name] = planted.found_in(text)
    # Environment is the one object that has them as they came; its repr says nothing.
    shown["environment"] = planted.found_in(repr(objects["environment"]))
    assert {name: found for name, found in shown.items() if found} == {}


def test_nothing_is_pickled_with_a_secret(planted: Planted, objects: dict[str, object]) -> None:
    """It cannot be pickled, or its pickle holds none."""
    shown = {}
    refused = 0
    for name, each in objects.items():
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            try:
                found = planted.found_in(pickle.dumps(each, protocol))
            except (TypeError, AttributeError, pickle.PicklingError) as error:
                refused += 1
                found = planted.found_in(str(error))
            if found:
                shown[name] = found
    assert shown == {}
    assert refused > len(objects)


def test_no_copy_shows_a_secret(planted: Planted, objects: dict[str, object]) -> None:
    """A copy hides what the original hides."""
    for name in ("check", "certificate", "secret", "stored", "event", "error"):
        for made in (copy.copy(objects[name]), copy.deepcopy(objects[name])):
            assert (
                planted.found_in(repr(made) + repr(_attributes(made) if name == "error" else ""))
                == []
            )
    for name in ("check", "certificate", "event"):
        content: Any = objects[name]
        assert planted.found_in(repr([*content])) == []


def test_every_public_class_is_looked_at(objects: dict[str, object]) -> None:
    """A new one has to be added here, or to be an error or a plain setting."""
    kinds = {type(each).__name__ for each in objects.values()}
    public = {
        name
        for name in vars(betfair_session)["__all__"]
        if isinstance(kind := getattr(betfair_session, name), type)
        and not issubclass(kind, Exception)
    }
    # A Place holds what a caller gave to fsspec, and its repr hides that; a store's kind has no
    # public name of its own.
    assert public - kinds == {"FileSystem", "LeaseSettings", "Jurisdiction", "Place", "TokenStore"}
