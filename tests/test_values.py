"""Public values, errors, secrets and tokens: how each behaves by itself."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, get_type_hints

import pytest

import betfair_session
from betfair_session import (
    Certificate,
    Check,
    ConfigurationError,
    Event,
    Jurisdiction,
    LeaseSettings,
    NotATokenError,
    Place,
    Report,
    Secret,
    exceptions,
)
from betfair_session.tokens import MAX_JUNK, MAX_TOKEN, blank, is_blank, is_token, parse_token

TEXT = "hunter2-unlikely"
TOKEN = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG="
WHEN = datetime(2026, 1, 2, tzinfo=UTC)

TREE = {
    "Exception": "BetfairSessionError",
    "BetfairSessionError": "ConfigurationError IdentityError StoreError SessionRejected "
    "ExchangeError LoginTimeout LoginBrake",
    "ConfigurationError": "CertificateError NotATokenError",
    "IdentityError": "LoginRefused IdentityUnavailable",
    "IdentityUnavailable": "Blocked",
    "StoreError": "StoreUnavailable StoreWriteError PublishUncertain",
}


def test_the_errors_are_those_of_the_contract() -> None:
    """Users rely on the tree; a pickle keeps what programs branch on, and no request is kept."""
    assert {*" ".join(TREE.values()).split()} == {*exceptions.__all__}
    assert issubclass(ConfigurationError, ValueError)
    for parent, names in TREE.items():
        for name in names.split():
            kind = getattr(betfair_session, name)
            assert kind.__bases__[0].__name__ == parent
            attributes = [each for base in kind.__mro__ for each in inspect.get_annotations(base)]
            assert {*vars(kind("what happened"))} == set(attributes)
            error = kind("what happened", **dict.fromkeys(attributes, WHEN))
            error.more = WHEN
            assert set(attributes) | {"more"} == {*vars(error)}
            assert not {"request", "response"} & {*dir(error)}
            for wrong in ("wat", "add_note"):
                with pytest.raises(TypeError):
                    kind("what happened", **{wrong: "no attribute of its own"})
            again = pickle.loads(pickle.dumps(error))
            assert (type(again), str(again), vars(again)) == (kind, str(error), vars(error))


VALUES: list[Any] = [
    Event("resumed", "a store", "a key", 1.5),
    LeaseSettings(ttl=60.0),
    Jurisdiction("name", "host", "cert-host", session_length=timedelta(hours=1)),
    Report(WHEN, None, 60.0),
    Check("dead", verified_at=WHEN),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_public_value_can_be_compared_copied_and_pickled_but_not_changed(value: Any) -> None:  # noqa: ANN401 - any
    """Events go to queues and to other processes."""
    assert copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value
    assert hash(copy.copy(value)) == hash(value)
    name = next(iter(value._asdict()))
    assert value._replace(**{name: 99.0}) != value
    assert f"{name}=" in repr(value)
    for changed in (name, "else"):
        with pytest.raises(AttributeError):
            setattr(value, changed, 2)


def test_a_public_value_tells_the_kinds_of_its_fields() -> None:
    """To help(), Sphinx and tools that build such values, as typing's NamedTuple does."""
    parameters = inspect.signature(Event).parameters
    assert {name: each.annotation for name, each in parameters.items()} == Event.__annotations__
    assert [*get_type_hints(Event)] == [*parameters] == [*Event._fields]
    assert Event.__bases__ == (tuple,)
    assert vars(Event).keys() >= parameters.keys()


# --- secrets --------------------------------------------------------------------------------------


def test_a_secret_compares_by_its_text() -> None:
    """Two wrappers of one text are equal; a bare text is no secret; an empty one is false."""
    assert Secret(TEXT) == Secret(Secret(TEXT))
    assert Secret(TEXT) not in (Secret("other"), TEXT)
    assert len({Secret(TEXT), Secret(TEXT)}) == 1
    assert (bool(Secret(TEXT)), bool(Secret(""))) == (True, False)
    assert Secret(TEXT).reveal() == TEXT
    place = Place("s3://bucket", "a key", {"secret": TEXT})
    assert TEXT not in repr(place)
    assert [*place] == ["s3://bucket", "a key", {"secret": TEXT}]


@pytest.mark.parametrize(
    "make",
    [
        partial(Certificate.from_files, "a.crt", "a.key", "opens it"),
        partial(Certificate.from_pem, TEXT),
    ],
)
def test_two_certificates_from_the_same_place_are_equal(make: Callable[[], Certificate]) -> None:
    assert make() == make()
    assert len({make(), make(), Certificate.from_files("b.pem")}) == 2


# --- tokens ---------------------------------------------------------------------------------------


RAW = TOKEN.encode()
CONTENTS: dict[str, list[bytes]] = {
    # What editors, `echo`, PowerShell and Notepad put around it: a login would leave it behind.
    "token": [
        *(RAW, RAW + b"\n", RAW + b" \r\n\0", b" \n" + RAW, b"\xef\xbb\xbf" + RAW + b"\r\n"),
        b"\xff\xfe" + f"{TOKEN}\r\n".encode("utf-16-le"),
        b"\xfe\xff" + f" {TOKEN}\n".encode("utf-16-be"),
        RAW + "\u00a0\u200b".encode(),
    ],
    # A new token takes its place without a warning.
    "blank": [
        *(b"", b"\n", b"   ", b"\0" * 44, b"\xef\xbb\xbf\r\n", b"\xff\xfe\r\0\n\0", b"\xfe\xff"),
    ],
    # A login may replace it, with a warning; the third is half a character.
    "junk": [
        *(b"two words", "tökèn".encode(), b"\xff\xfe\0", b"a\nb", b"\xff", b"a\0b"),
        *(b"x" * (MAX_TOKEN + 1), b"x" * MAX_JUNK, b'{"a":1}', b'["a"]', b'"a"\n'),
    ],
    # It is someone else's data, at a mistyped key.
    "data": [b"x" * (MAX_JUNK + 1), b" " * (MAX_JUNK + 1)],
}


@pytest.mark.parametrize(
    ("kind", "content"), [(kind, each) for kind, some in CONTENTS.items() for each in some]
)
def test_what_an_object_holds(kind: str, content: bytes) -> None:
    """A token, nothing, junk, or data that is refused without showing it."""
    if kind == "data":
        with pytest.raises(NotATokenError) as caught:
            parse_token(content, where="'k' in s")
        assert "xxx" not in str(caught.value)
        return
    assert parse_token(content, where="x") == (Secret(TOKEN) if kind == "token" else None)
    assert is_blank(content) == (kind == "blank")


def test_no_blank_is_like_another() -> None:
    """A late write that expects one finds another version, where a version is made of content."""
    blanks = {blank() for _ in range(20)}
    assert len(blanks) == 20
    assert all(map(is_blank, blanks))


def test_a_token_is_a_printable_ascii_text_up_to_the_limit() -> None:
    """The rule is wider than Betfair's 44 characters; JSON may hold anything in a token's place."""
    assert is_token("".join(map(chr, range(33, 127))))
    assert is_token("x" * MAX_TOKEN)
    assert not is_token("x" * (MAX_TOKEN + 1))
    for value in ("", "\x7f", " ", "a b", None, 1, b"bytes", ["x"], True):
        assert not is_token(value)
