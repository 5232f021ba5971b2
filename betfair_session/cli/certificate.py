"""certificate create and check: the client certificate that Betfair's login wants."""

from __future__ import annotations

import os

import click

from betfair_session.environment import PASSPHRASE

from .commands import DIRECTORY, MAIN, Group, command, option
from .output import USAGE, Output

_DAYS = click.IntRange(1, 3650)

_GROUP = Group(
    "certificate",
    help="Make or check the client certificate that a login needs.",
    no_args_is_help=False,
)
MAIN.add_command(_GROUP)


@command(
    click.Argument(["name"], default="client-2048"),
    option("--directory", "where to write the files (here)", default=".", shell_complete=DIRECTORY),
    option("--days", "days until it expires (365)", type=_DAYS, default=365, metavar="DAYS"),
    option("--p12", "also write a .p12, encrypted with BETFAIR_CERT_PASSPHRASE", is_flag=True),
    group=_GROUP,
)
def create(out: Output, *, name: str, directory: str, days: int, p12: bool) -> None:
    """Make a key and a self-signed certificate.

    Writes NAME.crt, NAME.key and NAME.pem, for you alone, and never overwrites a file. Upload the
    .crt at Betfair; keep the others to yourself.

    Example:
      betfair-session certificate create --directory ~/.betfair
      export BETFAIR_CERT_FILE=~/.betfair/client-2048.pem

    exit code 2: a file exists already, or cannot be written
    """
    from betfair_session.certificates.files import UPLOAD_PLACE, create, write_files

    passphrase = None
    if p12:
        given = out.environment()
        given.require(PASSPHRASE)
        passphrase = given.passphrase()
    # A shell does not expand the ~ of --directory=~/…
    paths = write_files(os.path.expanduser(directory), name, create(name, days, passphrase))
    names = [str(path) for path in paths]
    private = "the .key, the .pem and the .p12" if p12 else "the .key and the .pem"
    what_to_do = (
        f"Upload the .crt at Betfair under {UPLOAD_PLACE}.\n"
        f"Keep {private} secret: with them and the password, anyone can log in."
    )
    document = {"files": names, "upload": UPLOAD_PLACE}
    out.tell(document, "\n".join([*names, "", what_to_do]))


@command(
    click.Argument(["files"], nargs=-1, required=True, type=click.Path()),
    group=_GROUP,
)
def check(out: Output, *, files: tuple[str, ...]) -> int:
    """Say what each file is, and whether Betfair would accept them.

    BETFAIR_CERT_PASSPHRASE opens encrypted files. Only a login can show whether the certificate was
    uploaded.

    Example:
      betfair-session certificate check client-2048.crt client-2048.key

    exit codes: 0 no problem; 2 a problem
    """
    from betfair_session.certificates.files import explain

    reports, verdict = explain(*files, passphrase=out.environment().passphrase())
    ok, lines = not any(file.problems for file in reports), []
    for file in reports:
        lines.append(f"{file.path}: {file.kind}")
        lines += [f"    {fact}" for fact in file.facts]
        lines += [f"    problem: {problem}" for problem in file.problems]
        lines += [f"    warning: {warning}" for warning in file.warnings]
    document = {"ok": ok, "verdict": verdict, "files": [file._asdict() for file in reports]}
    out.tell(document, "\n".join([*lines, verdict]))
    return 0 if ok else USAGE
