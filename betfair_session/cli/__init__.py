"""The command line `betfair-session`."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from betfair_session.exceptions import (
    BetfairSessionError,
    ConfigurationError,
    IdentityUnavailable,
    LoginRefused,
    StoreError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ERROR, USAGE, REFUSED, CANNOT_TELL, STORE, INTERRUPTED = 1, 2, 3, 4, 5, 130

_CODES: tuple[tuple[type[BetfairSessionError], int], ...] = (
    (ConfigurationError, USAGE),
    (LoginRefused, REFUSED),
    (IdentityUnavailable, CANNOT_TELL),
    (StoreError, STORE),
    (BetfairSessionError, ERROR),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors are one line on standard error, never a traceback.

    Args:
        arguments: what follows the program's name; None for the process's own.

    Returns:
        The exit code: 0 fine, 1 our error, 2 wrong usage or configuration, 3 login refused,
        4 Betfair cannot tell or is down, 5 the store, 130 interrupted.
    """
    from .parser import parse

    chosen = parse(arguments)
    _show_warnings()
    try:
        code: int = chosen.run(chosen)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except BetfairSessionError as error:
        return _fail(str(error), next(code for kind, code in _CODES if isinstance(error, kind)))
    except Exception as error:  # noqa: BLE001 - a foreign text may hold a secret, so only its kind
        return _fail(f"an error of its own, please report it: {_where(error)}", ERROR)
    return _flush() or code


def _flush() -> int:
    """Hand over the output now, while a failure can still be told."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # The interpreter would try once more when it ends, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _fail(f"cannot write to standard output: {error.strerror}", ERROR)
    return 0


def _fail(text: str, code: int) -> int:
    sys.stderr.write(f"betfair-session: {' '.join(text.split())}\n")
    return code


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"


def _show_warnings() -> None:
    """Show the library's warnings in lines of their own, and nothing of other packages' logs."""
    logging.getLogger().addHandler(logging.NullHandler())
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("betfair-session: warning: %(message)s"))
    handler.setLevel(logging.WARNING)
    logging.getLogger("betfair_session").addHandler(handler)
