"""Reports of what happens: to the log at once, and to the caller's hook."""

from __future__ import annotations

import contextlib
import sys

from . import reset_in_child
from .causes import unless_interrupted

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from betfair_session.events import Event, EventKind

    from . import T

DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50
"""The levels of `logging`."""

_LEVELS: dict[EventKind, int] = {
    "logged in": INFO,
    "logged out": INFO,
    "lease taken over": WARNING,
    "refused": WARNING,
    "cannot tell": WARNING,
}
"""All others are DEBUG, even "failed": its error goes to the caller, who has to act on it."""


class Log:
    """A logger that does not import `logging`, which would take a tenth of a start.

    A program that has not imported `logging` has not set it up either, and would show no line.
    """

    def __init__(self, name: str = "betfair_session") -> None:
        """Prepare for the logger of that name."""
        self._name = name
        self._logger: logging.Logger | None = None

    def tell(self, level: int, text: str, *values: object, exc_info: bool = False) -> None:
        """Log a line, with the caller's source location."""
        # Looked up once: getLogger takes a lock, which an interruption may leave held forever.
        if self._logger is None and "logging" in sys.modules:
            import logging

            library = logging.getLogger("betfair_session")
            if not library.handlers:  # or logging itself prints warnings where it is not set up
                library.addHandler(logging.NullHandler())
            self._logger = logging.getLogger(self._name)
        if self._logger is not None:
            self._logger.log(level, text, *values, exc_info=exc_info, stacklevel=2)


log = Log()
EVENTS = "betfair_session.events"
"""The name of the logger that gets the events."""

_events = Log(EVENTS)


def call_hook(hook: Callable[[T], object], told: T, log: Log) -> None:
    """Call a hook that the program gave; log its error instead of raising it."""
    try:
        hook(told)
    except unless_interrupted(Exception):  # the program's code may raise anything
        log.tell(ERROR, "the hook for a %s failed", type(told).__name__, exc_info=True)


class Reporter:
    """Reports one token's events: to the log at once, to the hook when a call is over."""

    def __init__(self, store: str, key: str, hook: Callable[[Event], object] | None) -> None:
        """Prepare for one token; `store` is the store's URL for people."""
        self._store, self._key, self._hook = store, key, hook
        self._waiting: list[Event] = []
        reset_in_child(self)
        if hook is not None:  # an object that can be called may be empty, and so false
            from betfair_session.events import Event  # it imports `typing`, which takes long

            self._event = Event

    def after_fork(self) -> None:
        """Leave the parent's events to the parent."""
        self._waiting.clear()

    def tell(self, kind: EventKind, seconds: float, detail: str = "") -> None:
        """Log one event, and keep it for the hook."""
        level = _LEVELS.get(kind, DEBUG)
        text = f": {detail}" if detail else ""
        _events.tell(level, "%s %r: %s%s (%.3f s)", self._store, self._key, kind, text, seconds)
        if self._hook is not None:
            self._waiting.append(self._event(kind, self._store, self._key, seconds, detail))

    def hand_over(self) -> None:
        """Pass the kept events to the hook: only now, so that a slow hook delays no other call."""
        while self._hook is not None and self._waiting:
            with contextlib.suppress(IndexError):  # another thread was faster
                event = self._waiting.pop(0)
                call_hook(self._hook, event, log)
