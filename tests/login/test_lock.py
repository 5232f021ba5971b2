"""What the lock object says, and what is made of one that nobody of ours wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest

from betfair_session.login.lock import (
    DONE,
    FAILED,
    HELD,
    JUNK,
    JUNK_TTL,
    VERSION,
    Lock,
    cleared,
    decode,
    encode,
    withdrawn,
)

FULL = Lock(
    FAILED,
    "nonce",
    "a host",
    20.0,
    1000.5,
    (990.0, 1000.5),
    "print",
    2,
    "STATUS",
    "account",
    1060.0,
)
FIELDS = {
    "v": 1,
    "state": "failed",
    "nonce": "nonce",
    "owner": "a host",
    "ttl": 20.0,
    "since": 1000.5,
    "logins": [990.0, 1000.5],
    "published": "print",
    "refusals": 2,
    "status": "STATUS",
    "login_class": "account",
    "not_before": 1060.0,
}


def written(**changes: object) -> bytes:
    """Return the content of FULL's object with some fields changed."""
    return json.dumps({**FIELDS, **changes}).encode()


def test_the_format_is_the_documented_one() -> None:
    """Other versions of the library, and people, read it."""
    assert encode(FULL) == json.dumps(FIELDS, separators=(",", ":")).encode()
    assert decode(encode(FULL)) == FULL
    assert VERSION == 1


def test_junk_is_held_by_nobody_known_for_half_a_minute() -> None:
    """So it holds everybody up no longer than a process that died."""
    assert Lock(HELD, "", "", JUNK_TTL, 0.0, (), "", 0, "", "", 0.0) == JUNK
    assert JUNK_TTL == 30.0


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "logins"])
def test_an_object_that_lacks_a_field_is_junk(name: str) -> None:
    """All but the list of logins, which may be left out."""
    fields = {key: content for key, content in FIELDS.items() if key != name}
    assert decode(json.dumps(fields).encode()) == JUNK


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"v": "1"},
        {"state": "other"},
        {"state": None},
        {"nonce": 1},
        {"owner": "h\u00f6st"},
        {"owner": "two\nlines"},
        {"ttl": "20"},
        {"ttl": True},
        {"since": float("nan")},
        {"since": float("inf")},
        {"since": 10**400},
        {"logins": [1, "2"]},
        {"logins": [None]},
        {"published": []},
        {"refusals": "2"},
        {"refusals": False},
        {"status": {}},
        {"status": "Call +44 20 7946 0000"},
        {"status": "A" * 65},
        {"status": "STATUS\n"},
        {"login_class": None},
        {"not_before": None},
        {"not_before": float("-inf")},
    ],
)
def test_an_object_with_a_field_of_another_kind_is_junk(changes: dict[str, Any]) -> None:
    """Nothing of it is believed."""
    assert decode(written(**changes)) == JUNK


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"[]", b"1", b"null", b"\xff", b'"text"', b"[" * 100_000, b"{}"]
)
def test_what_is_no_object_is_junk(content: bytes) -> None:
    """Whatever it is."""
    assert decode(content) == JUNK


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ttl": 1000}, {"ttl": 120.0}),
        ({"ttl": -1}, {"ttl": 0.0}),
        ({"refusals": -3}, {"refusals": 0}),
        ({"refusals": 2.9}, {"refusals": 2}),
        ({"logins": None}, {"logins": ()}),
        ({"logins": "text"}, {"logins": ()}),
        ({"logins": list(range(101))}, {"logins": tuple(map(float, range(1, 101)))}),
        ({"owner": "o" * 201}, {"owner": "o" * 200}),
        ({"nonce": ""}, {"nonce": ""}),
        ({"state": "held"}, {"state": HELD}),
        ({"state": "done"}, {"state": DONE}),
        ({"more": "from a later version"}, {}),
        ({"since": 1000}, {"since": 1000.0}),
    ],
)
def test_what_is_out_of_bounds_is_brought_into_them(
    changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    """No lock claims more than two minutes, and no object grows."""
    found = decode(written(**changes))
    assert found == FULL._replace(**expected)
    assert all(isinstance(found._asdict()[name], float) for name in ("ttl", "since", "not_before"))
    assert isinstance(found.refusals, int)


def test_clearing_a_lock_forgets_its_holder_and_its_refusals_but_no_login() -> None:
    """So that a person cannot get round the brake."""
    expected = Lock(DONE, "nonce", logins=FULL.logins)
    assert decode(cleared(encode(FULL))) == expected
    assert decode(cleared(b"junk")) == Lock(DONE)


def test_withdrawing_forgets_a_publication() -> None:
    """Of a login that is over; another's lock, or a refusal, is left alone."""
    done = FULL._replace(state=DONE)
    assert withdrawn(encode(done)) == encode(done._replace(published=""))
    assert withdrawn(encode(FULL)) is None
    assert withdrawn(encode(FULL._replace(state=HELD))) is None


def test_a_lock_in_a_file_is_read_by_versions_that_know_no_machines_clock() -> None:
    """Its three more fields are left out elsewhere, and whatever they hold is checked."""
    noted = FULL._replace(boot="this boot", up=5.0, now=1000.5)
    fields = json.loads(encode(noted))
    assert {name: fields[name] for name in FIELDS} == FIELDS
    assert decode(encode(noted)) == noted
    assert decode(written(boot="this boot")) == JUNK
    assert decode(written(boot="this boot", up=True, now=0.0)) == JUNK
    assert decode(written(boot=7)) == JUNK
