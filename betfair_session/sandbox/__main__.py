"""`python -m betfair_session.sandbox`: one JSON line with all that a client needs, then serving."""

from __future__ import annotations

import argparse
import json
import sys


def main() -> int:
    """Run the sandbox until SIGTERM, Ctrl-C, or the end of standard input when asked to.

    Returns:
        The exit code: 0 fine, 1 when a part of the extra `sandbox` is missing or a port is taken.
    """
    parser = argparse.ArgumentParser(prog="python -m betfair_session.sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="login, keepAlive, logout (0: any)")
    parser.add_argument("--cert-port", type=int, default=0, help="certlogin (0: any)")
    parser.add_argument("--api-port", type=int, help="betting API (default: shares --port)")
    parser.add_argument("--stream-port", type=int, default=0, help="exchange stream (0: any)")
    parser.add_argument("--until-eof", action="store_true", help="stop when standard input ends")
    chosen = parser.parse_args()
    try:
        from .server import run
    except ModuleNotFoundError as missing:
        hint = "pip install 'betfair-session[sandbox]'"
        why_not = f"it needs {missing.name}: {hint}"
    else:
        why_not = run(**vars(chosen))
    if why_not and chosen.until_eof:  # the program that started it tells of it
        sys.stdout.write(json.dumps({"error": why_not}) + "\n")
    elif why_not:
        sys.stderr.write(f"the sandbox did not start: {why_not}\n")
    return 1 if why_not else 0


if __name__ == "__main__":
    sys.exit(main())
