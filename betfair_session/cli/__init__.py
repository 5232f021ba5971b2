"""The command line `betfair-session`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

# Everything else is imported where `main` can still report Ctrl-C: imports take a moment.


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors are one line or one JSON document, never a traceback.

    Args:
        arguments: what follows the program's name; None for the process's own.

    Returns:
        The exit code: 0 fine, 1 our error, 2 wrong usage or configuration, 3 login refused,
        4 Betfair cannot tell or is down, 5 the store, 130 interrupted, 143 or 129 terminated.
    """
    try:
        from .output import Output, fail, finish, need, prepare

        prepare()
        given = sys.argv[1:] if arguments is None else list(arguments)
        out = Output(json="--json" in given)  # until the arguments are parsed
        try:
            need("the command line", "cli", "click", "rich")
            from . import certificate, doctor, local, session, status  # noqa: F401 - each adds commands
            from .commands import run

            return run(given, out)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - all errors end here
            return fail(error, out)
        finally:
            finish()
    except KeyboardInterrupt:  # while importing, or a second Ctrl-C
        return 130
