"""The commands and their options; the modules that do the work know nothing of click."""

from __future__ import annotations

import contextlib
import difflib
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from betfair_session.storage.location import redact

from . import certificate, demo, doctor, sandbox, session, status, texts
from .output import TERMINATED, Output, UsageError, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_NAME = "betfair-session"
_COMPLETE = "_BETFAIR_SESSION_COMPLETE"
_MOST_DAYS = 3650
_LAST_PORT = 65_533  # two more follow

# Events that end a call with an error, which has a line of its own.
_SAID_ANYWAY = frozenset({"refused", "cannot tell", "failed"})


class Number(click.ParamType):  # type: ignore[type-arg] # not generic before click 8.4
    """A number in a range; no message repeats what was given instead, which may be a password."""

    def __init__(self, kind: type[float], low: float, high: float, name: str) -> None:
        """Set the range, and what the number is in words."""
        self.name = name
        self._kind, self._low, self._high = kind, low, high

    def convert(self, value: Any, param: object, ctx: object) -> float:  # noqa: ANN401 - click's
        """Return the number."""
        del param, ctx
        with contextlib.suppress(ValueError):
            number = self._kind(value)
            if self._low <= number <= self._high:
                return number
        message = f"must be {self.name}"
        raise click.BadParameter(message)


_SECONDS = Number(float, sys.float_info.min, sys.float_info.max, "a number of seconds above 0")
_DAYS = Number(int, 1, _MOST_DAYS, f"a number of days from 1 to {_MOST_DAYS}")
_PORT = Number(int, 1, _LAST_PORT, f"a port from 1 to {_LAST_PORT}")


class Command(click.Command):
    """A command with its help as it is written, and no secret among its arguments."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; a message about them repeats none, as it may be a password."""
        ctx.allow_extra_args = True
        if super().parse_args(ctx, args):
            ctx.fail("too many arguments")
        store, key = (ctx.params.get(name) for name in ("store", "key"))
        if store is not None and key is None:
            ctx.fail("give both STORE and KEY, or neither")
        if store is not None and redact(store) != store.split("?", 1)[0]:
            ctx.fail(
                "a password in an argument can be seen by every user of this machine; "
                "use BETFAIR_SESSION_STORE or BETFAIR_STORAGE_OPTIONS"
            )
        return []

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Print the help in a way that notices a full disk."""
        option = super().get_help_option(ctx)
        if option:
            option.callback = _show_help
        return option

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Print the texts as they are written, around the options."""
        self.format_usage(ctx, formatter)
        formatter.write(f"\n{self.help}\n")
        self.format_options(ctx, formatter)
        formatter.write(f"\n{self.epilog}" if self.epilog else "")


class Group(Command, click.Group):
    """Commands; a mistyped one is met with the nearest."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what precedes the command."""
        return click.Group.parse_args(self, ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name them in the order in which they are met."""
        del ctx
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        if args[0] not in self.commands:
            problem = "no such command"
            raise _wrong(problem, ctx, args[0], self.commands)
        return super().resolve_command(ctx, args)


def _wrong(
    problem: str, ctx: click.Context, given: str = "", known: Iterable[str] = ()
) -> UsageError:
    """Make the error for a command line: with the nearest word that is known, and where help is."""
    near = difflib.get_close_matches(given, known, n=1)
    advice = f"did you mean `{near[0]}`? See" if near else "see"
    return UsageError(f"{problem} ({advice} `{ctx.command_path} --help`)")


def _show_help(ctx: click.Context, _: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's
    if asked and not ctx.resilient_parsing:
        write(ctx.get_help())
        ctx.exit()


def _show_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's
    if asked and not ctx.resilient_parsing:
        from importlib.metadata import version

        write(f"{_NAME} {version(_NAME)}")
        ctx.exit()


def _note(ctx: click.Context, param: click.Parameter, given: bool) -> None:  # noqa: FBT001 - click's
    if isinstance(ctx.obj, Output):
        setattr(ctx.obj, str(param.name), given)


def _option(name: str, help_: str, **more: Any) -> click.Option:  # noqa: ANN401 - click's
    return click.Option([name], help=help_, **more)


def _switch(name: str, help_: str, tell: Callable[..., None]) -> click.Option:
    eager = {"expose_value": False, "is_eager": True, "callback": tell}
    return _option(name, help_, is_flag=True, **eager)


def _timeout(default: float, help_: str = "give up after that") -> click.Option:
    shown = f"{help_} ({default:.0f})"
    return _option("--timeout", shown, type=_SECONDS, default=default, metavar="SECONDS")


def _add(
    group: click.Group, run: Callable[..., int], name: str, text: str, *params: click.Parameter
) -> None:
    summary, _, rest = text.partition("\n\n")
    about, mark, examples = rest.partition("\nexample")
    json = _switch("--json", "print one JSON document", _note)
    quiet = _switch("--quiet", "say nothing about progress", _note)
    group.add_command(
        Command(
            name,
            callback=click.pass_obj(run),
            params=[*params, json, quiet],
            short_help=summary,
            help=f"{summary[0].upper()}{summary[1:]}.\n\n{about}".rstrip(),
            epilog=f"{mark[1:]}{examples}",
        )
    )


def _commands() -> Group:
    """Make the whole command line."""
    main = Group(
        _NAME,
        params=[_switch("--version", "print the version", _show_version)],
        help=texts.ABOUT,
        epilog=texts.MAIN,
        no_args_is_help=False,
        context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100},
    )
    place = [click.Argument([name], required=False) for name in ("store", "key")]
    each = _timeout(10, "for each answer of Betfair, or of the store, which gets 5 at most")
    typed = "log in as the website does, without a certificate; it asks for a two-step code"
    interactive = _option("--interactive", typed, is_flag=True)
    _add(main, session.token, "token", texts.TOKEN, *place, interactive, _timeout(60))
    _add(main, session.check, "check", texts.CHECK, *place, _timeout(15))
    each_store = _timeout(5, "for each answer of the store")
    _add(main, status.run, "status", texts.STATUS, *place, each_store)
    _add(main, session.logout, "logout", texts.LOGOUT, *place, each)
    _add(main, session.unlock, "unlock", texts.UNLOCK, *place, each)
    url = _option("--api-url", "the betting API, if not Betfair's own", metavar="URL")
    each_host = _timeout(5, "for each answer of the store or a host")
    _add(main, doctor.run, "doctor", texts.DOCTOR, *place, url, each_host)
    about = "make or explain the client certificate that a login needs"
    pair = Group("certificate", short_help=about, help=texts.CERTIFICATE, no_args_is_help=False)
    main.add_command(pair)
    name = click.Argument(["name"], default="client-2048")
    where = _option("--directory", "where to write them (here)", default=".")
    days = _option("--days", "how long it is valid (365)", type=_DAYS, default=365, metavar="DAYS")
    p12 = _option("--p12", "also a .p12, opened by BETFAIR_CERT_PASSPHRASE", is_flag=True)
    _add(pair, certificate.create, "create", texts.CREATE, name, where, days, p12)
    files = click.Argument(["files"], nargs=-1, required=True)
    _add(pair, certificate.check, "check", texts.EXPLAIN, files)
    lasting = _option(
        "--session-seconds", "how long a session lives (12 h)", type=_SECONDS, metavar="N"
    )
    ports = "identity host and betting API at N, certlogin at N+1, stream at N+2 (any free ones)"
    port = _option("--port", ports, type=_PORT, metavar="N")
    _add(main, sandbox.run, "sandbox", texts.SANDBOX, lasting, port)
    _add(main, demo.run, "demo", texts.DEMO)
    return main


MAIN = _commands()
"""The whole command line."""


def run(arguments: Sequence[str], out: Output) -> int:
    """Run one command and return its exit code.

    Raises:
        UsageError: the arguments are not understood; the message repeats no value.
    """
    if os.environ.get(_COMPLETE):  # a shell asks what may follow
        from click.shell_completion import shell_complete

        return shell_complete(MAIN, {}, _NAME, _COMPLETE, os.environ[_COMPLETE])
    try:
        with MAIN.make_context(_NAME, list(arguments), obj=out) as context, _on_this_process():
            code: int = MAIN.invoke(context)
            return code
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        usage = _usage(error)
    raise usage


def _usage(error: click.UsageError) -> UsageError:
    """Say what is wrong with the usage, and where the help is."""
    context = error.ctx or click.Context(MAIN, info_name=_NAME)
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        known = [each for param in context.command.params for each in param.opts]
        return _wrong(f"unknown option {name}", context, name, known)
    return _wrong(error.format_message().rstrip("."), context)


@contextlib.contextmanager
def _on_this_process() -> Iterator[None]:
    """Show the library's warnings in lines of their own, and end by SIGTERM as by an error."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{_NAME}: warning: %(message)s"))
    handler.setLevel(logging.WARNING)
    handler.addFilter(_is_news)
    nothing = logging.NullHandler()  # for other packages' logs
    logging.getLogger().addHandler(nothing)
    logging.getLogger("betfair_session").addHandler(handler)
    before: Any = None
    with contextlib.suppress(ValueError):  # not in the main thread
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        logging.getLogger().removeHandler(nothing)
        logging.getLogger("betfair_session").removeHandler(handler)
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out the events that the error's own line reports."""
    said = record.args if isinstance(record.args, tuple) else ()
    return record.module != "events" or _SAID_ANYWAY.isdisjoint(
        word for word in said if isinstance(word, str)
    )
