"""Plain values behave as the frozen dataclasses do that type checkers take them for."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from betfair_session import ConfigurationError, Event, LeaseSettings
from betfair_session.process.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable


class Point(Value):
    """A value."""

    x: int
    y: int = 0


@dataclass(frozen=True)
class Twin:
    """What it stands for."""

    x: int
    y: int = 0


@pytest.mark.parametrize(
    "make",
    [
        lambda kind: kind(1),
        lambda kind: kind(1, 2),
        lambda kind: kind(1, y=2),
        lambda kind: kind(y=2, x=1),
        lambda kind: kind(),
        lambda kind: kind(y=2),
        lambda kind: kind(1, 2, 3),
        lambda kind: kind(1, z=3),
    ],
)
def test_a_value_takes_its_fields_as_a_dataclass_does(make: Callable[[type], object]) -> None:
    """By place, by name and from defaults; what is missing, too much or unknown is an error."""

    def outcome(kind: type) -> object:
        try:
            return vars(make(kind))
        except TypeError:
            return TypeError

    assert outcome(Point) == outcome(Twin)


def test_values_are_compared_by_what_they_hold() -> None:
    """However they were made."""
    assert Point(1, 2) == Point(y=2, x=1) == Point(1).but(y=2)
    assert len({Point(1, 2), Point(y=2, x=1), Point(1).but(y=2)}) == 1
    assert Point(1) != Point(2)
    assert Point(1) != Twin(1)
    assert repr(Point(1, 2)) == repr(Twin(1, 2)).replace("Twin", "Point")


def test_a_value_is_never_changed() -> None:
    """Neither a field nor anything else can be set or deleted."""
    point = Point(1)
    for name in ("x", "z"):
        with pytest.raises(AttributeError, match=rf"Point\.{name} cannot be changed"):
            setattr(point, name, 2)
    with pytest.raises(AttributeError, match="cannot be changed"):
        del point.x
    with pytest.raises(TypeError, match="z"):
        point.but(z=1)
    assert vars(point) == {"x": 1, "y": 0}


def test_a_changed_copy_is_checked_as_a_new_one_is() -> None:
    """So that no setting gets round its check."""
    assert LeaseSettings().but(ttl=60.0) == LeaseSettings(ttl=60.0)
    with pytest.raises(ConfigurationError, match="ttl"):
        LeaseSettings().but(ttl=1.0)


def test_values_survive_a_copy_and_a_pickle() -> None:
    """Events go to queues and to other processes."""
    event = Event("resumed", "a store", "a key", 1.5)
    assert copy.deepcopy(event) == event
    assert pickle.loads(pickle.dumps(event)) == event
