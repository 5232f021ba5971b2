"""The log, where the program has one; and hooks of the caller's."""

from __future__ import annotations

import sys

from .threads import interruption

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from . import T

DEBUG, INFO, WARNING, ERROR, CRITICAL = 10, 20, 30, 40, 50
"""As in `logging`."""


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
