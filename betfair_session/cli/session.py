"""token, logout and unlock: what the library is for, with everything from the environment."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from betfair_session.environment import Environment, Place

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from betfair_session.session import Session


def token(chosen: Namespace) -> int:
    """Print a live token."""
    with _session(chosen) as session:
        print(session.token(timeout=chosen.timeout))
    return 0


def logout(chosen: Namespace) -> int:
    """End the stored session."""
    with _session(chosen) as session:
        session.logout()
    return 0


def unlock(chosen: Namespace) -> int:
    """Forget a refusal."""
    with _session(chosen) as session:
        session.unlock()
    return 0


@contextmanager
def _session(chosen: Namespace) -> Iterator[Session]:
    environment = Environment()
    environment.require(place=chosen.store is None)
    if chosen.store is None:
        place = environment.place()
    else:
        place = Place(chosen.store, chosen.key, environment.storage_options())
    with environment.client() as client, environment.manager(client) as manager:
        yield manager.session(place.store, place.key, place.storage_options)
