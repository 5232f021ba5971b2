"""What happened, told to the log as it happens, and to a hook of the caller's."""

from __future__ import annotations

import contextlib
import sys

from .threads import interruption

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from betfair_session.events import Event, EventKind

    from . import T

DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50
"""As in `logging`."""


_LEVELS: dict[EventKind, int] = {
    "logged in": INFO,
    "logged out": INFO,
    "lease taken over": WARNING,
    "refused": WARNING,
    "cannot tell": WARNING,
}
"""All others are DEBUG; so is "failed": whoever gave what cannot work gets the error itself."""


class Log:
    """A logger of `logging`, which takes a tenth of a start to import.

    A program that has not imported it has not set it up either, so that nobody would see a line.
    """

    def __init__(self, name: str = "betfair_session") -> None:
        """Prepare for the logger of that name."""
        self._name = name
        self._logger: logging.Logger | None = None

    def tell(self, level: int, text: str, *values: object, exc_info: bool = False) -> None:
        """Log a line, of the caller's."""
        # Looked up once: that takes a lock, which an interruption may leave held for good.
        if self._logger is None and "logging" in sys.modules:
            import logging

            library = logging.getLogger("betfair_session")
            if not library.handlers:  # shown where the program has set up logging, and only there
                library.addHandler(logging.NullHandler())
            self._logger = logging.getLogger(self._name)
        if self._logger is not None:
            self._logger.log(level, text, *values, exc_info=exc_info, stacklevel=2)


log = Log()


def call_hook(hook: Callable[[T], object], told: T, log: Log) -> None:
    """Call a hook of the caller's; what it raises is logged, and goes no further."""
    try:
        hook(told)
    except Exception as error:  # it is the caller's code
        if interruption(error):
            raise
        log.tell(ERROR, "the hook for a %s failed", type(told).__name__, exc_info=True)


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
