"""The sandbox's process: prints one JSON line with all that a client needs, then serves.

Its arguments are those of `server.run`. If it cannot start, the line says why.
"""

import json
import sys

_MOST_PORTS = 3


def main() -> int:
    """Run the sandbox until SIGTERM, Ctrl-C, or the end of standard input.

    Returns:
        The exit code: 0 fine, 1 when a part of the extra `sandbox` is missing, or a port is taken
        or none.
    """
    try:
        from .server import run
    except ModuleNotFoundError as missing:
        why_not = f"it needs {missing.name}: pip install 'betfair-session[sandbox]'"
    else:
        ports = sys.argv[1:]
        fit = all(each.isdecimal() and int(each) < 2**16 for each in ports)
        fit = fit and len(ports) <= _MOST_PORTS
        why_not = run(*map(int, ports)) if fit else "its arguments are up to three ports"
    if why_not:
        sys.stdout.write(json.dumps({"error": why_not}) + "\n")
    return 1 if why_not else 0


if __name__ == "__main__":
    sys.exit(main())
