"""How an invariant that does not hold is told."""

from __future__ import annotations

from typing import NoReturn


class Violation(AssertionError):
    """An invariant that does not hold.

    Attributes:
        invariant: its name.
        trace: what happened, from the start.
    """

    def __init__(self, invariant: str, what: str) -> None:
        """Keep the name, and what happened."""
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant
        self.trace: list[str] = []


def fail(invariant: str, what: str) -> NoReturn:
    """Say that an invariant does not hold."""
    raise Violation(invariant, what)
