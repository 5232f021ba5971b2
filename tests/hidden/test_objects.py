"""No object gives a secret away by its repr, its attributes, a copy or a pickle."""

from __future__ import annotations

import copy
import pickle
from datetime import timedelta
from pathlib import Path

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
from hidden.planted import CODE, PASSPHRASE, Planted

KEY = "session.token"


@pytest.fixture
def objects(planted: Planted, tmp_path: Path) -> dict[str, object]:
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


def test_nothing_shows_a_secret(planted: Planted, objects: dict[str, object]) -> None:
    shown, refused = {}, 0
    for name, each in objects.items():
        texts = [f"{each!r} {each!s} {each} {[each]} {getattr(each, '__dict__', {})}"]
        if name in {"check", "certificate", "secret", "stored", "event", "error"}:
            texts += [repr(copy.copy(each)), repr(copy.deepcopy(each))]
        if isinstance(each, tuple):
            texts.append(repr([*each]))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            try:
                texts.append(pickle.dumps(each, protocol).decode("latin-1"))
            except (TypeError, AttributeError, pickle.PicklingError) as error:
                refused += 1
                texts.append(str(error))
        shown[name] = planted.found_in("\n".join(texts))
    assert {name: found for name, found in shown.items() if found} == {}
    assert refused > len(objects)
    # A new public class has to be added here, or to be an error or a plain setting. A Place holds
    # what a caller gave to fsspec, and its repr hides that; a store's kind has no public name.
    public = {
        name
        for name in vars(betfair_session)["__all__"]
        if isinstance(kind := getattr(betfair_session, name), type)
        and not issubclass(kind, Exception)
    }
    others = {"FileSystem", "LeaseSettings", "Jurisdiction", "Place", "TokenStore"}
    assert public - {type(each).__name__ for each in objects.values()} == others
