"""What happened, told to the log as it happens, and to a hook of the caller's."""

from __future__ import annotations

import contextlib

from betfair_session.process.log import DEBUG, INFO, WARNING, call_hook, log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.events import Event, EventKind

_LEVELS: dict[EventKind, int] = {
    "logged in": INFO,
    "logged out": INFO,
    "lease taken over": WARNING,
    "refused": WARNING,
    "cannot tell": WARNING,
}
"""All others are DEBUG; so is "failed": whoever gave what cannot work gets the error itself."""


class Reporter:
    """Tells of one token's events: the log at once, the hook when a call is over."""

    def __init__(self, store: str, key: str, hook: Callable[[Event], object] | None) -> None:
        """Prepare for a place."""
        self._store, self._key, self._hook = store, key, hook
        self._waiting: list[Event] = []
        if hook:
            from betfair_session.events import Event  # with `typing`, which takes long to import

            self._event = Event

    def tell(self, kind: EventKind, seconds: float, detail: str = "") -> None:
        """Log one event, and keep it for the hook."""
        level = _LEVELS.get(kind, DEBUG)
        text = f": {detail}" if detail else ""
        log.tell(level, "%s %r: %s%s (%.3f s)", self._store, self._key, kind, text, seconds)
        if self._hook:
            self._waiting.append(self._event(kind, self._store, self._key, seconds, detail))

    def hand_over(self) -> None:
        """Hand to the hook what was kept: not before, since a slow one would hold up everybody."""
        while self._hook and self._waiting:
            with contextlib.suppress(IndexError):  # another thread was faster
                event = self._waiting.pop(0)
                call_hook(self._hook, event, log)
