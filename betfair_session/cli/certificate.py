"""certificate create and check: the client certificate that Betfair's login wants."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from betfair_session.environment import Environment

from . import USAGE
from .output import tell

if TYPE_CHECKING:
    from argparse import Namespace


def create(chosen: Namespace) -> int:
    """Make a key and a self-signed certificate, and say where to upload it."""
    from betfair_session.certificates.making import UPLOAD_PLACE, create, write_files

    passphrase = Environment().passphrase(needed=True) if chosen.p12 else None
    certificate, key = create(chosen.name, days=chosen.days)
    # A shell leaves the ~ of --directory=~/… as it is.
    directory = os.path.expanduser(chosen.directory)
    paths = write_files(directory, chosen.name, certificate, key, p12_passphrase=passphrase)
    names = [str(path) for path in paths]
    private = "the .key, the .pem and the .p12" if chosen.p12 else "the .key and the .pem"
    what_to_do = (
        f"Upload the .crt at Betfair under {UPLOAD_PLACE}.\n"
        f"Keep {private} to yourself: they are as good as half a password."
    )
    document = {"files": names, "upload": UPLOAD_PLACE}
    tell(chosen, document, "\n".join([*names, "", what_to_do]))
    return 0


def check(chosen: Namespace) -> int:
    """Explain files; a problem is exit code 2."""
    from betfair_session.certificates.report import explain

    report = explain(*chosen.files, passphrase=Environment().passphrase())
    files = [file._asdict() for file in report.files]
    tell(chosen, {"ok": report.ok, "verdict": report.verdict, "files": files}, str(report))
    return 0 if report.ok else USAGE
