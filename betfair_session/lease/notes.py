"""What is worth telling of a call's dealings with the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import lock as locks, messages as m

if TYPE_CHECKING:
    from typing import TypeAlias

    from betfair_session.events import Kind

    from .state import State

    Note: TypeAlias = tuple[Kind, float, str]


class Notes:
    """Collects them: kinds of events, with seconds and details."""

    def __init__(self) -> None:
        """Begin with none."""
        self._notes: list[Note] = []
        self._waited = 0.0
        self._waited_for = ""

    def take(self, before: State, event: m.Event, seconds: float) -> None:
        """Look at what came of an effect, the time it took, and the state that asked for it."""
        owner = before.lock.owner if before.lock else ""
        if before.phase == "wait":
            self._waited += seconds
            self._waited_for = owner or self._waited_for
        elif before.phase == "publish" and isinstance(event, m.Written):
            self._notes.append(("written", seconds, ""))
        elif before.phase == "take" and isinstance(event, m.Written):
            took_over = before.lock is not None and before.lock.state == locks.HELD
            if took_over:
                self._notes.append(("lease taken over", before.lock_age or 0.0, owner))

    def drain(self) -> list[Note]:
        """Return the notes since the last call of this."""
        notes, self._notes = self._notes, []
        if self._waited:
            notes.insert(0, ("waited", self._waited, self._waited_for))
            self._waited = 0.0
        return notes
