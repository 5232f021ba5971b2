"""The commands and their arguments."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
import os
import re
from typing import TYPE_CHECKING, TypeVar

from betfair_session.exceptions import ConfigurationError
from betfair_session.storage.location import redact

from . import certificate, demo, doctor, sandbox, session, status, texts
from .output import write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn, TypeAlias

    # argparse has no public name for it.
    Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"  # noqa: SLF001

Number = TypeVar("Number", int, float)

_MOST_DAYS = 3650
_LAST_PORT = 65_533  # two more follow


class UsageError(ConfigurationError):
    """The command line itself is wrong."""


# What argparse quotes may be a password that was given in the wrong place.
_QUOTED = re.compile(
    r"(invalid choice: |explicit argument ).*?( \(choose from.*|)$",
    re.DOTALL,
)
_KEPT = r"\1…\2"
_CHOICE = re.compile(r"invalid choice: '(.*?)'.*\(choose from (.*)\)", re.DOTALL)


class _Parser(argparse.ArgumentParser):
    """Wrong usage is an error like every other."""

    def error(self, message: str) -> NoReturn:
        near = _meant(message)
        advice = f"did you mean `{near}`? See" if near else "see"
        text = f"{_QUOTED.sub(_KEPT, message)} ({advice} `{self.prog} --help`)"
        raise UsageError(text)

    def print_help(self, file: object = None) -> None:  # noqa: ARG002 - never given
        write(self.format_help().removesuffix("\n"))


def _meant(message: str) -> str:
    """Return the choice that a mistyped one is most like, or ""."""
    found = _CHOICE.search(message)
    if not found:
        return ""
    import difflib

    choices = [choice.strip("' ") for choice in found[2].split(",")]
    return next(iter(difflib.get_close_matches(found[1], choices, n=1)), "")


class _Version(argparse.Action):
    """`--version`, without looking it up for every other command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        write(f"betfair-session {version('betfair-session')}")
        parser.exit()


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line.

    Args:
        arguments: what follows the program's name.

    Returns:
        The arguments; `run` is the command to call with them.

    Raises:
        UsageError: they are not understood; the message repeats no value.
    """
    parser = _Parser(
        prog="betfair-session",
        description=texts.ABOUT,
        epilog=texts.MAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands: Commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_sessions(commands)
    _add_certificate(commands)
    _add_local(commands)
    if "_ARGCOMPLETE" in os.environ:  # a shell asks for completions, by the package argcomplete
        with contextlib.suppress(ImportError):
            importlib.import_module("argcomplete").autocomplete(parser)
    chosen, others = parser.parse_known_args(arguments)
    if others:
        # Not what they say: somebody may have given a password there.
        names = [word.split("=", 1)[0] for word in others if word.startswith("-")]
        chosen.parser.error(f"unknown option {names[0]}" if names else "too many arguments")
    _check_place(chosen)
    return chosen


def _add(commands: Commands, name: str, run: Callable[..., int], text: str) -> _Parser:
    summary, _, epilog = text.partition("\n\n")
    command = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.add_argument("--quiet", action="store_true", help="say nothing about progress")
    command.set_defaults(run=run, parser=command, told=False)
    return command


def _add_sessions(commands: Commands) -> None:
    token = _add(commands, "token", session.token, texts.TOKEN)
    check = _add(commands, "check", session.check, texts.CHECK)
    look = _add(commands, "status", status.run, texts.STATUS)
    logout = _add(commands, "logout", session.logout, texts.LOGOUT)
    unlock = _add(commands, "unlock", session.unlock, texts.UNLOCK)
    examine = _add(commands, "doctor", doctor.run, texts.DOCTOR)
    examine.add_argument("--api-url", metavar="URL", help="the betting API, if not Betfair's own")
    for command in (token, check, look, logout, unlock, examine):
        command.add_argument("store", nargs="?", metavar="STORE", help="where the token is kept")
        command.add_argument("key", nargs="?", metavar="KEY", help="the object's name")
    _add_timeout(token, 60.0, "give up after that")
    _add_timeout(check, 15.0, "give up after that")
    for command in (logout, unlock):
        _add_timeout(
            command, 10.0, "for each answer of Betfair, or of the store, which gets 5 at most"
        )
    _add_timeout(look, 5.0, "for each answer of the store")
    _add_timeout(examine, 5.0, "for each answer of the store or a host")


def _add_timeout(command: _Parser, default: float, help_: str) -> None:
    command.add_argument(
        "--timeout",
        type=_seconds,
        default=default,
        metavar="SECONDS",
        help=f"{help_} ({default:.0f})",
    )


def _add_certificate(commands: Commands) -> None:
    group = commands.add_parser(
        "certificate",
        help="make or explain the client certificate that a login needs",
        description=texts.CERTIFICATE,
    )
    kinds: Commands = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    make = _add(kinds, "create", certificate.create, texts.CREATE)
    make.add_argument(
        "name", nargs="?", default="client-2048", help="the files' name (client-2048)"
    )
    make.add_argument("--directory", default=".", help="where to write them (here)")
    make.add_argument("--days", type=_days, default=365, help="how long it is valid (365)")
    make.add_argument(
        "--p12", action="store_true", help="also a .p12, opened by BETFAIR_CERT_PASSPHRASE"
    )
    explain = _add(kinds, "check", certificate.check, texts.EXPLAIN)
    explain.add_argument("files", nargs="+", metavar="FILE", help=".crt, .key, .pem, .p12, …")


def _add_local(commands: Commands) -> None:
    local = _add(commands, "sandbox", sandbox.run, texts.SANDBOX)
    local.add_argument(
        "--session-seconds", type=_seconds, metavar="N", help="how long a session lives (12 h)"
    )
    local.add_argument(
        "--port",
        type=_port,
        default=0,
        metavar="N",
        help="identity host and betting API at N, certlogin at N+1, stream at N+2 (any free ones)",
    )
    _add(commands, "demo", demo.run, texts.DEMO)


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
    seconds = _number(float, text)
    if seconds is None or not 0 < seconds < math.inf:
        message = "must be a number of seconds above 0"
        raise argparse.ArgumentTypeError(message)  # unlike a ValueError, it repeats no value
    return seconds


def _days(text: str) -> int:
    days = _number(int, text)
    if days is None or not 1 <= days <= _MOST_DAYS:
        message = f"must be a number of days from 1 to {_MOST_DAYS}"
        raise argparse.ArgumentTypeError(message)
    return days


def _port(text: str) -> int:
    port = _number(int, text)
    if port is None or not 1 <= port <= _LAST_PORT:
        message = f"must be a port from 1 to {_LAST_PORT}"
        raise argparse.ArgumentTypeError(message)
    return port


def _number(kind: Callable[[str], Number], text: str) -> Number | None:
    try:
        return kind(text)
    except ValueError:
        return None
