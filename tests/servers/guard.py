"""Become the given command, asking the system to end it when the process that started it ends.

Usage: guard.py PARENT_PID COMMAND…
"""

from __future__ import annotations

import os
import sys

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def main() -> None:
    """Ask, check that the parent did not end before the question, and become the command."""
    parent, *command = sys.argv[1:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("whoever wanted this server is gone")
    os.execvp(command[0], command)


main()
