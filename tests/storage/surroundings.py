"""What surrounds a store: processes that a program forks, and authorities that vouch."""

from __future__ import annotations

import multiprocessing
import ssl
import warnings
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def tls_for(*names: str, file: Path) -> ssl.SSLContext:
    """Make TLS for a server of these names, and the file of the authority that vouches for it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def in_a_child(work: Callable[[], object], seconds: float = 60) -> object:
    """Fork, and return what `work` returns, or the text of what it raises, in the child."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()

    def run() -> None:
        try:
            theirs.send(work())
        except Exception as error:  # noqa: BLE001 - the parent looks at it
            theirs.send(repr(error))

    child = context.Process(target=run)
    with warnings.catch_warnings():
        # Newer Pythons warn of forking a process that has threads.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    theirs.close()
    try:
        return mine.recv() if mine.poll(seconds) else "no answer"
    finally:
        child.kill()
        child.join()
        child.close()
        mine.close()
