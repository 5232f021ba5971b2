"""The commands, their arguments, and the help that explains them."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from betfair_session.storage.location import redact

from . import certificate, demo, sandbox, session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

_MOST_DAYS = 3650

_ABOUT = "One live Betfair session token, shared by any number of functions and bots."

_EXAMPLES = """\
examples:
  betfair-session demo                       see it work; needs no account
  betfair-session token                      print a live token; logs in only if there is none
  betfair-session token s3://bucket/betfair session.token
  TOKEN=$(betfair-session token ~/.betfair session.token)
  betfair-session certificate create         make what to upload at Betfair
  betfair-session certificate check FILE     what is this file, and would Betfair take it?
  betfair-session sandbox                    a local Betfair to try things out against

environment (or a .env file in the working directory; the environment wins):
  BETFAIR_USERNAME, BETFAIR_PASSWORD, BETFAIR_APP_KEY
                                             the account
  BETFAIR_CERT_FILE, BETFAIR_KEY_FILE        its client certificate, or one of these instead:
    BETFAIR_CERT_PEM, BETFAIR_KEY_PEM        ... as PEM text
    BETFAIR_PKCS12_FILE                      ... as a .p12 or .pfx file
    BETFAIR_PKCS12_BASE64                    ... the same, as base64 text
  BETFAIR_CERT_PASSPHRASE                    what opens an encrypted key or PKCS#12 file
  BETFAIR_JURISDICTION                       such as italy; without it, international
  BETFAIR_IDENTITY_URL, BETFAIR_IDENTITY_CERT_URL, BETFAIR_CA_BUNDLE
                                             other hosts, such as the sandbox's
  BETFAIR_SESSION_STORE, BETFAIR_SESSION_KEY
                                             where the token is kept
  BETFAIR_STORAGE_OPTIONS                    options for the store, as a JSON object

exit codes:
  0 fine, 1 an error of ours, 2 wrong usage or configuration, 3 Betfair refused the login,
  4 Betfair cannot tell or is down, 5 the store failed, 130 interrupted
"""

_PLACE = """\
STORE is a directory or a URL such as s3://bucket/prefix, gs://…, abfs://…; KEY is the object's name
in it. Without them, BETFAIR_SESSION_STORE and BETFAIR_SESSION_KEY say where.
`betfair-session --help` lists the variables for the account.
"""


class _Parser(argparse.ArgumentParser):
    """One line for wrong usage, as for every other error."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"betfair-session: {message} (see `{self.prog} --help`)\n")


class _Version(argparse.Action):
    """`--version`, without looking it up for every other command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"betfair-session {version('betfair-session')}")
        parser.exit()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; wrong usage ends the process with exit code 2.

    Args:
        arguments: what follows the program's name; None for the process's own.

    Returns:
        The arguments; `run` is the command to call with them.
    """
    parser = _Parser(
        prog="betfair-session",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    token = _add(commands, "token", session.token, "print a live session token, and nothing else")
    token.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="give up after that")
    logout = _add(
        commands, "logout", session.logout, "end the stored session and remove its object"
    )
    unlock = _add(
        commands,
        "unlock",
        session.unlock,
        "let the next call log in at once, after a refusal was mended",
    )
    for command in (token, logout, unlock):
        command.add_argument("store", nargs="?", metavar="STORE", help="where the token is kept")
        command.add_argument("key", nargs="?", metavar="KEY", help="the object's name")
        command.epilog = _PLACE
    local = _add(
        commands, "sandbox", sandbox.run, "run a local Betfair and print the environment to use"
    )
    local.add_argument(
        "--session-seconds", type=_seconds, metavar="N", help="how long a session lives (12 h)"
    )
    shown = _add(
        commands, "demo", demo.run, "see it work against a local Betfair; needs no account"
    )
    for command in (local, shown):
        command.add_argument("--json", action="store_true", help="print JSON")

    _add_certificate(commands)

    chosen, others = parser.parse_known_args(arguments)
    if others:
        # Not what they say: somebody may have given a password there.
        names = [word.split("=", 1)[0] for word in others if word.startswith("-")]
        chosen.parser.error(f"unknown option {names[0]}" if names else "too many arguments")
    _check_place(chosen)
    return chosen


def _add(
    commands: argparse._SubParsersAction[_Parser], name: str, run: Callable[..., int], help_: str
) -> _Parser:
    command = commands.add_parser(
        name,
        help=help_,
        description=f"{help_[0].upper()}{help_[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(run=run, parser=command)
    return command


def _add_certificate(commands: argparse._SubParsersAction[_Parser]) -> None:
    group = commands.add_parser(
        "certificate", help="make or explain the client certificate that a login needs"
    )
    kinds = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    make = _add(kinds, "create", certificate.create, "make a key and a self-signed certificate")
    make.add_argument(
        "name", nargs="?", default="client-2048", help="the files' name (client-2048)"
    )
    make.add_argument("--directory", default=".", help="where to write them (here)")
    make.add_argument("--days", type=_days, default=365, help="how long it is valid (365)")
    make.add_argument(
        "--p12", action="store_true", help="also a .p12, opened by BETFAIR_CERT_PASSPHRASE"
    )
    explain = _add(kinds, "check", certificate.check, "say what files are, and what is wrong")
    explain.add_argument("files", nargs="+", metavar="FILE", help=".crt, .key, .pem, .p12, …")
    explain.epilog = "BETFAIR_CERT_PASSPHRASE opens encrypted files. A problem is exit code 2."
    for command in (make, explain):
        command.add_argument("--json", action="store_true", help="print JSON")


def _check_place(chosen: argparse.Namespace) -> None:
    store = getattr(chosen, "store", None)
    if store is None:
        return
    if chosen.key is None:
        chosen.parser.error("give both STORE and KEY, or neither")
    if redact(store) != store.split("?", 1)[0]:
        chosen.parser.error(
            "a password in an argument can be seen by every user of this machine; "
            "use BETFAIR_SESSION_STORE or BETFAIR_STORAGE_OPTIONS"
        )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise ValueError
    return seconds


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= _MOST_DAYS:
        raise ValueError
    return days


_days.__name__ = "number of days"
_seconds.__name__ = "number of seconds"  # argparse says "invalid number of seconds value: …"
