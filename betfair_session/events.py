"""What happened, told to the log as it happens, and to a hook of the caller's."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from .process import NamedTuple
from .process.threads import interruption

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

EventKind: TypeAlias = Literal[
    "resumed",
    "trusted",
    "adopted",
    "logged in",
    "written",
    "logged out",
    "waited",
    "lease taken over",
    "refused",
    "cannot tell",
    "failed",
]

T = TypeVar("T")

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


class Event(NamedTuple):
    """One thing that happened on the way to a token. It holds no secret.

    A call that asks the store and uses the token it finds there tells one of

    - "resumed": the stored token lives, says Betfair;
    - "trusted": the store says that it was verified within the trust window;
    - "adopted": another process logged in meanwhile, and its token is used.

    One that logs in tells

    - "logged in": Betfair has made a session, which is not stored yet; then
    - "written": its token is stored, and used. (It is missing where the store's answer was lost,
      and only another look has shown the token there.) Or, in its place,
    - "logged out": the session was ended, since its token could not be stored, or another's was
      there first; then comes one of the others, for what became of the call.

    One that fails tells, last,

    - "refused": Betfair refused a login, now or a moment ago, or there were too many;
    - "cannot tell": Betfair or the store gave no clear answer, or another login took too long;
      within a trust window's session the call may go on with the token that it has, and when the
      store cannot be read, with one that Betfair calls alive: then "resumed" follows;
    - "failed": what was given cannot work, such as the certificate or the key.

    On the way there may be

    - "waited": for another process's login;
    - "lease taken over": from a process that did not finish its login in time.

    `Session.logout` tells "logged out", too.

    Attributes:
        kind: which of these.
        store: the store's URL for people, without credentials.
        key: the token's name.
        seconds: how long it took: the login alone for "logged in", the write for "written", the
            wait for "waited", the logout for "logged out"; for "lease taken over" the age of the
            lock, as well as it is known; for the others the whole call.
        detail: Betfair's status, who held the login, or the error's text; "" where there is none.
    """

    kind: EventKind
    store: str
    key: str
    seconds: float = 0.0
    detail: str = ""


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

    def tell(self, kind: EventKind, seconds: float, detail: str = "") -> None:
        """Log one event, and keep it for the hook."""
        level = _LEVELS.get(kind, DEBUG)
        text = f": {detail}" if detail else ""
        log.tell(level, "%s %r: %s%s (%.3f s)", self._store, self._key, kind, text, seconds)
        if self._hook:
            self._waiting.append(Event(kind, self._store, self._key, seconds, detail))

    def hand_over(self) -> None:
        """Hand to the hook what was kept: not before, since a slow one would hold up everybody."""
        while self._hook and self._waiting:
            with contextlib.suppress(IndexError):  # another thread was faster
                event = self._waiting.pop(0)
                call_hook(self._hook, event, log)
