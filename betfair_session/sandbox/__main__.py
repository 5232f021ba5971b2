"""The sandbox's process: prints one JSON line with all that a client needs, then serves.

Its argument is that of `server.run`. If it cannot start, the line says why.
"""

import json
import sys

from .process import LAST_PORT


def main() -> int:
    """Run the sandbox until SIGTERM, Ctrl-C, or the end of standard input.

    Returns:
        The exit code: 0 fine, 1 when a part of the extra `sandbox` is missing, or a port is taken
        or none.
    """
    try:
        from .server import run
    except ModuleNotFoundError as missing:
        why_not = f'it needs {missing.name}: pip install "betfair-session[sandbox]"'
    else:
        port = " ".join(sys.argv[1:]) or "0"
        fit = port.isdecimal() and int(port) <= LAST_PORT
        why_not = run(int(port)) if fit else f"its one argument is a port up to {LAST_PORT}"
    if why_not:
        sys.stdout.write(json.dumps({"error": why_not}) + "\n")
    return 1 if why_not else 0


if __name__ == "__main__":
    sys.exit(main())
