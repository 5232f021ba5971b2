"""What all commands share: options, help, and errors that never repeat a value.

A wrong value may be a password that was typed in the wrong place.
"""

from __future__ import annotations

import contextlib
import difflib
import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import click

from betfair_session.arguments import checked_seconds
from betfair_session.process.log import EVENTS
from betfair_session.storage.location import redact

from .output import NAME, Output, UsageError

_STORE, _KEY = "BETFAIR_SESSION_STORE", "BETFAIR_SESSION_KEY"
_OVERRIDDEN = {"store": _STORE, "key": _KEY, "api_url": "BETFAIR_API_URL"}  # by these arguments
_COMPLETE = "_BETFAIR_SESSION_COMPLETE"
_ABOUT = "One live Betfair session token, shared by any number of functions and bots."
_MAIN = """
to begin:
  betfair-session demo                       see it work; needs no account
  betfair-session certificate create         make the certificate to upload at Betfair
  betfair-session doctor                     is all set up, and does it work?
  TOKEN=$(betfair-session token)             a live token; logs in only if there is none

environment (or a .env file in the working directory; the environment wins):
  account      BETFAIR_USERNAME, BETFAIR_PASSWORD, BETFAIR_APP_KEY
  certificate  BETFAIR_CERT_FILE and BETFAIR_KEY_FILE; or, as PEM text, BETFAIR_CERT_PEM and
               BETFAIR_KEY_PEM; or BETFAIR_PKCS12_FILE (.p12, .pfx); or that as base64 text,
               BETFAIR_PKCS12_BASE64. BETFAIR_CERT_PASSPHRASE decrypts any of these
  hosts        BETFAIR_JURISDICTION, such as italy (default: international); for other hosts, such
               as the sandbox's: BETFAIR_IDENTITY_URL, BETFAIR_IDENTITY_CERT_URL, BETFAIR_API_URL,
               BETFAIR_CA_BUNDLE
  token        BETFAIR_SESSION_STORE, BETFAIR_SESSION_KEY, BETFAIR_STORAGE_OPTIONS (JSON)

No secret is an argument, and only `token` prints the token. With --json, standard output is one
JSON document: {"error": {…}} if the command failed.

exit codes: 0 fine, 1 any other error, 2 wrong usage or configuration, 3 Betfair refused the login,
4 Betfair cannot tell or is down, 5 the store failed, 130 interrupted, 143 terminated (129 by a
closed terminal)
"""
_PLACE = """

STORE is a directory or a URL such as s3://bucket/prefix, gs://…, abfs://…; KEY is the object's name
in it. The defaults are BETFAIR_SESSION_STORE and BETFAIR_SESSION_KEY."""


DIRECTORY = click.Path(file_okay=False).shell_complete


def seconds(text: str) -> float:
    """Convert an option's value; click reports the ValueError."""
    return checked_seconds(float(text))


class Command(click.Command):
    """A command whose help is printed as written, without re-wrapping."""

    def format_help_text(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(f"\n{self.help}\n")

    def format_epilog(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(self.epilog or "")


class Group(Command, click.Group):
    """A group of commands; the error for a mistyped one suggests the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands:
            near = difflib.get_close_matches(args[0], self.commands, n=1)
            ctx.fail("no such command" + (f"; did you mean `{near[0]}`?" if near else ""))
        return super().resolve_command(ctx, args)


def option(name: str, help_: str, **more: Any) -> click.Option:  # noqa: ANN401 - click's
    return click.Option([name], help=help_, **more)


def timeout(default: float, help_: str = "give up after this long") -> click.Option:
    shown = f"{help_} ({default:.0f})"
    return option("--timeout", shown, type=seconds, default=default, metavar="SECONDS")


def place() -> list[click.Argument]:
    return [
        click.Argument([name], required=False, shell_complete=DIRECTORY)
        for name in ("store", "key")
    ]


MAIN = Group(
    NAME,
    help=_ABOUT,
    epilog=_MAIN,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100},
)
"""The whole command line; each module adds its commands."""
click.version_option(package_name=NAME, message="%(prog)s %(version)s")(MAIN)


def command(
    *params: click.Parameter, group: Group = MAIN
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Make a function a command of the same name, with its docstring as help.

    The function returns the exit code; None means 0.
    """

    def add(run: Callable[..., int | None]) -> Callable[..., int | None]:
        def carry_out(ctx: click.Context, *, json: bool, quiet: bool, **given: Any) -> int:  # noqa: ANN401
            if ctx.args:  # click's own message would repeat the surplus ones
                ctx.fail("too many arguments")
            out: Output = ctx.obj
            for name in _OVERRIDDEN.keys() & given.keys():
                if (value := given.pop(name)) is not None:
                    out.variables[_OVERRIDDEN[name]] = value
            store = out.variables.get(_STORE, "")
            if store and _KEY not in out.variables:
                ctx.fail("give both STORE and KEY, or neither")
            if redact(store) != store.split("?", 1)[0]:
                ctx.fail(
                    "STORE holds a password, which every user of this machine can see; set it in "
                    "BETFAIR_SESSION_STORE or BETFAIR_STORAGE_OPTIONS instead"
                )
            out.json, out.quiet = json, quiet
            return run(out, **given) or 0

        text = inspect.cleandoc(run.__doc__ or "")
        if params and params[0].name == "store":
            text = text.replace("\n\nExample", f"{_PLACE}\n\nExample")
        json = option("--json", "print one JSON document", is_flag=True)
        quiet = option("--quiet", "show no progress", is_flag=True)
        group.add_command(
            Command(
                run.__name__,
                callback=click.pass_context(carry_out),
                context_settings={"allow_extra_args": True},
                params=[*params, json, quiet],
                help=text,
            )
        )
        return run

    return add


def run(arguments: Sequence[str], out: Output) -> int:
    """Run one command and return its exit code; UsageError if the arguments are not understood."""
    if os.environ.get(_COMPLETE):  # a shell asks for completions
        from click.shell_completion import shell_complete

        return shell_complete(MAIN, {"obj": out}, NAME, _COMPLETE, os.environ[_COMPLETE])
    try:
        context = MAIN.make_context(NAME, list(arguments), obj=out)
        _clean_up_on_signals()
        with context, _show_warnings(out):
            code: int = MAIN.invoke(context)
            return code
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        message = error.format_message().rstrip(".")
        if type(error) is click.BadParameter and error.param:  # its message repeats the value
            message = f"not a valid value for {error.param.get_error_hint(error.ctx)}"
        where = error.ctx.command_path if error.ctx else NAME
    raise UsageError(f"{message} (see `{where} --help`)")


@contextlib.contextmanager
def _show_warnings(out: Output) -> Iterator[None]:
    """Print this library's warnings, no other package's."""

    def tell(record: logging.LogRecord) -> None:
        failure = record.name == EVENTS and "lease taken over" not in (record.args or ())
        if record.name.startswith("betfair_session") and not failure:  # the error itself is printed
            out.warn(record.getMessage())

    handler = logging.Handler(logging.WARNING)
    handler.emit = tell  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _clean_up_on_signals() -> None:
    """Let SIGTERM, and SIGHUP when a terminal is closed, end a command as an error does."""

    def end(number: int, _: object) -> NoReturn:
        sys.exit(128 + number)

    found = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    with contextlib.suppress(ValueError):  # not in the main thread
        for number in found:
            # A signal that is ignored stays so: nohup asks for that.
            if number and signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, end)
