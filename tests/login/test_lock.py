"""What the lock object says, and how one that we did not write is read."""

from __future__ import annotations

import json
import os
import time
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from betfair_session.login.lock import (
    DONE,
    FAILED,
    HELD,
    JUNK,
    JUNK_TTL,
    Lock,
    cleared,
    decode,
    encode,
    withdrawn,
)
from betfair_session.process import clocks
from betfair_session.process.clocks import Clock

# As the format's first version wrote them: held, after a login, a refusal in a file.
RECORDED = (Path(__file__).parents[1] / "data" / "locks.jsonl").read_bytes().splitlines()
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
FIELDS = json.loads(encode(FULL))


def written(**changes: object) -> bytes:
    return json.dumps({**FIELDS, **changes}).encode()


@pytest.mark.parametrize("content", RECORDED)
def test_recorded_locks_are_read_and_written_to_the_letter(content: bytes) -> None:
    """Processes of this version and of others share one during a roll-out."""
    fields = json.loads(content)
    assert fields.pop("v") == 1
    assert decode(content) == Lock(**{**fields, "logins": tuple(fields["logins"])})
    assert encode(decode(content)) == content


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"junk", b"[]", b"1", b"null", b"\xff", b'"text"', b"[" * 100_000, b"{}"),
        *(
            json.dumps(
                {name: FIELDS[name] for name in FIELDS if name not in {"logins", lacks}}
            ).encode()
            for lacks in FIELDS
            if lacks != "logins"
        ),
    ],
)
def test_what_is_no_lock_is_held_by_nobody_known_for_half_a_minute(content: bytes) -> None:
    """So it delays the others no longer than a process that died."""
    assert decode(content) == JUNK == Lock(HELD, ttl=30.0)
    assert JUNK.ttl == JUNK_TTL


ODD: list[tuple[str, object]] = [
    ("v", 2),
    ("v", "1"),
    ("state", "other"),
    ("state", None),
    *(("owner", odd) for odd in ("h\u00f6st", "two\nlines")),
    ("ttl", "20"),
    ("ttl", True),
    *(("since", odd) for odd in (float("nan"), float("inf"), 10**400)),
    *(("logins", odd) for odd in ([1, "2"], [None], [float("nan")])),
    ("refusals", "2"),
    ("refusals", False),
    ("status", {}),
    *(("status", odd) for odd in ("Call +44 20 7946 0000", "A" * 65, "STATUS\n")),
    ("not_before", None),
    ("not_before", float("-inf")),
    *product(("nonce", "published", "login_class"), (1, None, [])),
    ("boot", 7),
    ("boot", "with nothing more"),
]


@pytest.mark.parametrize(("name", "odd"), ODD)
def test_an_object_with_a_field_of_another_kind_is_junk(name: str, odd: object) -> None:
    assert decode(written(**{name: odd})) == JUNK
    assert decode(written(boot="this boot", up=True, now=0.0)) == JUNK


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
        ({"more": "from a later version"}, {}),
        ({"since": 1000}, {"since": 1000.0}),
        ({"up": "x", "now": None}, {}),
    ],
)
def test_what_is_out_of_bounds_is_brought_into_them(
    changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    """No lock claims more than two minutes, and no object grows."""
    found = decode(written(**changes))
    assert found == FULL._replace(**expected)
    assert [type(value) for value in found] == [type(value) for value in FULL]


def test_clearing_a_lock_forgets_its_holder_and_its_refusals_but_no_login() -> None:
    """So that a person cannot get round the brake."""
    assert decode(cleared(encode(FULL))) == Lock(DONE, "nonce", logins=FULL.logins)
    assert decode(cleared(b"junk")) == Lock(DONE)


def test_withdrawing_forgets_a_publication() -> None:
    """Of a login that is over; another's lock, or a refusal, is left alone."""
    finished = FULL._replace(state=DONE)
    assert withdrawn(encode(finished)) == encode(finished._replace(published=""))
    assert withdrawn(encode(FULL)) is None
    assert withdrawn(encode(FULL._replace(state=HELD))) is None


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only where a clock counts a boot")
def test_a_kernel_without_time_namespaces_knows_its_boot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or setting the clock would end its locks: these came with Linux 5.6."""
    here = Clock().boot()

    def missing(path: str) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "readlink", missing)
    clocks._boot.cache_clear()
    try:
        assert Clock().boot() == here.partition(" ")[0] != ""
    finally:
        clocks._boot.cache_clear()
