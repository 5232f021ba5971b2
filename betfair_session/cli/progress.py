"""What is being waited for, said on a terminal and nowhere else."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from betfair_session.exceptions import BetfairSessionError
from betfair_session.login.inspection import inspect_login
from betfair_session.login.runner import owner_name

from .output import complain, paint
from .words import moment

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from betfair_session.session import Session

_QUIET_SECONDS = 1.0
"""Seconds that nothing is said for, and between two looks at what is going on."""

_LOOK_SECONDS = 2.0
_END_SECONDS = 0.5


@contextmanager
def progress(chosen: Namespace, what: str | Callable[[], str]) -> Iterator[None]:
    """Say, a second after the block began and when it changes, what it waits for.

    On standard error, if that is a terminal, and neither --json nor --quiet was given.

    Args:
        chosen: the arguments.
        what: the line, or what returns it.
    """
    if chosen.json or chosen.quiet or not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    look = what if callable(what) else lambda: what
    thread = threading.Thread(target=_show, args=(look, over), daemon=True, name="progress")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(_END_SECONDS)


def login_of(session: Session) -> Callable[[], str]:
    """Return what tells how a session's token is coming on, by a look at the lock beside it."""

    def look() -> str:
        try:
            login = inspect_login(session.store, session.key, timeout=_LOOK_SECONDS)
        except BetfairSessionError:
            return ""  # the call itself will say what is wrong
        lock = login.lock
        if login.state != "held" or lock is None:
            return "waiting for the store and Betfair …"
        if lock.owner == owner_name():
            return "logging in at Betfair …"
        who = lock.owner or "somebody"
        return (
            f"waiting for {who}, logging in since {moment(lock.since)}; "
            f"if it does not finish, others take over at {moment(login.until)} …"
        )

    return look


def _show(look: Callable[[], str], over: threading.Event) -> None:
    shown = ""
    while not over.wait(_QUIET_SECONDS):
        text = look()
        if text and text != shown and not over.is_set():
            shown = text
            complain(paint(f"betfair-session: {text}", "dim", sys.stderr) + "\n")
