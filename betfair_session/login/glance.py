"""A look at the store alone: was the token written a moment ago?

Whoever verifies a token that is shared so writes it anew, so its age at the store is the age of the
last verification, or of the login. (A process that froze between the two makes it seem younger: who
then uses a dead token learns it from the betting API, and renews.)
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from betfair_session.exceptions import BetfairSessionError
from betfair_session.tokens import parse_token

if TYPE_CHECKING:
    from betfair_session.secret import Secret
    from betfair_session.storage.contract import StoredObject, TokenStore

_MARGIN = 1.0  # seconds; HTTP dates are whole ones


class Glance(NamedTuple):
    """What was seen.

    Attributes:
        seen: the token object, or that there is none, for whoever goes on; None if it was not read.
        token: the token, if it is young enough to be trusted.
        age: seconds since it was verified, at most.
    """

    seen: tuple[StoredObject | None] | None = None
    token: Secret | None = None
    age: float = 0.0


def glance(store: TokenStore, key: str, *, within: float, deadline: float) -> Glance:
    """Read the token object once, and tell whether it was written a moment ago.

    Args:
        store: where the token is kept.
        key: its name.
        within: seconds for which a token counts as verified after it was written.
        deadline: when the store's calls give up, seconds by `time.monotonic`.

    Returns:
        What was seen; nothing when the store cannot be asked, which is for others to tell.
    """
    seen = None
    with contextlib.suppress(BetfairSessionError):
        stored = store.get(key, deadline=deadline)
        seen = (stored,)
        if stored is None or stored.modified is None:
            return Glance(seen)
        now = store.server_now(deadline=deadline) if stored.now is None else stored.now
        token = parse_token(stored.content, where=repr(key))
        # One from the future was written by a clock that is wrong.
        if token and now is not None and now - stored.modified >= -_MARGIN:
            age = max(now - stored.modified, 0.0) + _MARGIN
            return Glance(seen, token if age < within else None, age)
    return Glance(seen)
