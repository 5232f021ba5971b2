"""certificate create and check: the client certificate that Betfair's login wants."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from betfair_session.environment import Environment

from .output import USAGE

if TYPE_CHECKING:
    from .output import Output


def create(out: Output, *, name: str, directory: str, days: int, p12: bool) -> int:
    """Make a key and a self-signed certificate, and say where to upload it."""
    from betfair_session.certificates.making import UPLOAD_PLACE, create, write_files

    passphrase = Environment().passphrase(needed=True) if p12 else None
    certificate, key = create(name, days=days)
    # A shell leaves the ~ of --directory=~/… as it is.
    directory = os.path.expanduser(directory)
    paths = write_files(directory, name, certificate, key, p12_passphrase=passphrase)
    names = [str(path) for path in paths]
    private = "the .key, the .pem and the .p12" if p12 else "the .key and the .pem"
    what_to_do = (
        f"Upload the .crt at Betfair under {UPLOAD_PLACE}.\n"
        f"Keep {private} to yourself: they are as good as half a password."
    )
    document = {"files": names, "upload": UPLOAD_PLACE}
    out.tell(document, "\n".join([*names, "", what_to_do]))
    return 0


def check(out: Output, *, files: tuple[str, ...]) -> int:
    """Explain files; a problem is exit code 2."""
    from betfair_session.certificates.report import explain

    report = explain(*files, passphrase=Environment().passphrase())
    found = [file._asdict() for file in report.files]
    out.tell({"ok": report.ok, "verdict": report.verdict, "files": found}, str(report))
    return 0 if report.ok else USAGE
