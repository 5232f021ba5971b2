"""A secret does not show itself."""

from __future__ import annotations

import copy
import logging
import pickle

import pytest

from betfair_session.secret import Secret

TEXT = "hunter2-unlikely"


def test_no_way_of_showing_it_shows_the_text(caplog: pytest.LogCaptureFixture) -> None:
    """Neither repr, str, format, logging nor a traceback's locals."""
    secret = Secret(TEXT)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("test").debug("%s %r", secret, {"password": secret})
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>20}", repr([secret]), caplog.text]
    assert not any(TEXT in text for text in shown)
    assert not hasattr(secret, "__dict__")


def test_it_cannot_be_pickled() -> None:
    """A pickle would carry the text to another process or a file."""
    with pytest.raises(TypeError, match="cannot be pickled") as caught:
        pickle.dumps(Secret(TEXT))
    assert TEXT not in str(caught.value)


def test_copies_are_the_secret_itself() -> None:
    """It cannot change, so there is nothing to copy."""
    secret = Secret(TEXT)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_it_compares_by_its_text() -> None:
    """Two wrappers of one text are one secret; a bare text is none."""
    assert Secret(TEXT) == Secret(Secret(TEXT))
    assert Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT
    assert len({Secret(TEXT), Secret(TEXT)}) == 1
    assert Secret("pässwörd") == Secret("pässwörd")


def test_it_is_true_when_there_is_a_text() -> None:
    """An empty password is found by `not password`."""
    assert Secret(TEXT)
    assert not Secret("")
    assert Secret(TEXT).reveal() == TEXT
