"""Our errors as errors of betfairlightweight's, so that its users' handlers catch them.

Each class here is a subclass of our own of the same name, and of `BetfairError`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from betfairlightweight.exceptions import BetfairError

import betfair_session.exceptions as ours

if TYPE_CHECKING:
    from collections.abc import Iterator


def _both(kind: type[ours.BetfairSessionError]) -> type[ours.BetfairSessionError]:
    return type(
        kind.__name__, (kind, BetfairError), {"__module__": __name__, "__doc__": kind.__doc__}
    )


_BOTH = {kind: _both(kind) for kind in (getattr(ours, name) for name in ours.__all__)}
# Where pickle looks for them.
globals().update({both.__name__: both for both in _BOTH.values()})


@contextmanager
def as_betfair_errors() -> Iterator[None]:
    """Raise an error of ours as one that is a `BetfairError` as well, with all that it holds."""
    try:
        yield
    except ours.BetfairSessionError as error:
        both = next(_BOTH[kind] for kind in type(error).__mro__ if kind in _BOTH)
        again = both.__new__(both, *error.args)
        again.__dict__.update(error.__dict__)
        raise again.with_traceback(error.__traceback__) from error.__cause__
