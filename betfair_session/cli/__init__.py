# PYTHON_ARGCOMPLETE_OK
"""The command line `betfair-session`."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING

# All else is imported where `main` can still tell of Ctrl-C: it takes a moment, and people have
# pressed it by then.
if TYPE_CHECKING:
    import logging
    from argparse import Namespace
    from collections.abc import Sequence

ERROR, USAGE, REFUSED, CANNOT_TELL, STORE = 1, 2, 3, 4, 5
INTERRUPTED, TERMINATED = 130, 143

# Events that end a call with an error, which is told anyway.
_TOLD_ANYWAY = frozenset({"refused", "cannot tell", "failed"})


class OutputError(Exception):
    """Standard output took no more; `str` is the system's reason."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors are one line or one JSON document, never a traceback.

    Args:
        arguments: what follows the program's name; None for the process's own.

    Returns:
        The exit code: 0 fine, 1 our error, 2 wrong usage or configuration, 3 login refused,
        4 Betfair cannot tell or is down, 5 the store, 130 interrupted, 143 terminated.
    """
    try:
        from .output import complain, finish, prepare

        prepare()
        try:
            return _run(sys.argv[1:] if arguments is None else list(arguments))
        except OutputError as error:
            complain(f"betfair-session: cannot write to standard output: {error}\n")
            return ERROR
        finally:
            finish()
    except KeyboardInterrupt:  # in the first moment, or again while it was told of the first
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    """Run the command and tell what went wrong, but for the telling itself."""
    chosen: Namespace | None = None
    try:
        from .parser import parse

        chosen = parse(arguments)
        _show_warnings()
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
        code: int = chosen.run(chosen)
    except OutputError:
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - this is where they end
        from .output import fail

        code = code_of(error)
        as_json = chosen.json and not chosen.told if chosen else "--json" in arguments
        fail(_text(error), code, error, as_json=as_json)
    return code


def code_of(error: BaseException) -> int:
    """Return the exit code for an error."""
    from betfair_session import exceptions

    codes: tuple[tuple[type[BaseException], int], ...] = (
        (exceptions.ConfigurationError, USAGE),
        (exceptions.LoginRefused, REFUSED),
        (exceptions.IdentityUnavailable, CANNOT_TELL),
        (exceptions.ExchangeError, CANNOT_TELL),
        (exceptions.StoreError, STORE),
        (KeyboardInterrupt, INTERRUPTED),
    )
    return next((code for kind, code in codes if isinstance(error, kind)), ERROR)


def _text(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    from betfair_session.exceptions import BetfairSessionError, ConfigurationError, LoginRefused

    from .words import UNLOCK, may_be_mended, with_variable

    if isinstance(error, LoginRefused) and may_be_mended(error.login_class):
        return f"{error} {UNLOCK}"
    if isinstance(error, ConfigurationError):
        return with_variable(error)
    if isinstance(error, BetfairSessionError):
        return str(error)
    # A foreign text may hold a secret: tell its kind only.
    return f"an error of its own, please report it: {_where(error)}"


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"


def _show_warnings() -> None:
    """Show the library's warnings in lines of their own, and nothing of other packages' logs."""
    import logging

    logging.getLogger().addHandler(logging.NullHandler())
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("betfair-session: warning: %(message)s"))
    handler.setLevel(logging.WARNING)
    handler.addFilter(_is_news)
    logging.getLogger("betfair_session").addHandler(handler)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out the events that an error's own line tells of."""
    said = record.args if isinstance(record.args, tuple) else ()
    return record.module != "events" or _TOLD_ANYWAY.isdisjoint(
        word for word in said if isinstance(word, str)
    )
