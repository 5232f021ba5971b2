"""Keeps a session alive while a long-running program needs it."""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - registers its hook for forks first, so that ours runs before it
import logging  # noqa: F401 - likewise
import math
import os
import threading
import time
import weakref
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from .arguments import checked_handle, checked_hook, checked_interval
from .betfair.jurisdictions import SHORTEST_SESSION
from .exceptions import BetfairSessionError, ConfigurationError
from .process import AsyncClosable, ForkSafeLock, NamedTuple, clocks, reset_in_child
from .process.causes import unless_interrupted
from .process.log import CRITICAL, WARNING, Log, call_hook
from .process.single_flight import no_thread_error
from .process.threads import NoThreadError, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from .betfair.jurisdictions import Jurisdiction
    from .session import Session

_log = Log("betfair_session.keepalive")

_MOST = timedelta(hours=1)
_RETRY_SECONDS = (15.0, 30.0, 60.0)  # after the first, second and each later failure in a row
_SLICE_SECONDS = 5.0  # a wait stands still while the machine sleeps, so read the clocks this often
_BAN_SECONDS = 1200.0  # no failure forbids a login for longer, even if a clock says so
_STOP_SECONDS = 2.0  # after which an attempt begins nothing new for a program that ends it
_FORK_SECONDS = 5.0  # that a fork waits for the attempts under way


def keep_alive_interval(jurisdiction: Jurisdiction) -> timedelta:
    """Return how often a session needs a keepAlive, with time left to repeat one that fails.

    Three quarters of the session's length, but at most an hour; 15 minutes where the length is not
    known. An old guide of Betfair's asks for at most one in 15 minutes, which this respects.
    """
    return min((jurisdiction.session_length or SHORTEST_SESSION) * 3 / 4, _MOST)


class Report(NamedTuple):
    """One attempt to keep a session alive. It holds no secret.

    Attributes:
        at: when it ended (timezone-aware, UTC).
        error: what went wrong, or None when the session is alive.
        again_in: seconds until the next attempt is due.
    """

    at: datetime
    error: Exception | None
    again_in: float

    @property
    def ok(self) -> bool:
        """Whether the session is alive."""
        return self.error is None


class KeepAlive(AsyncClosable):
    """Verifies a session again and again, in a thread of its own or by the caller's scheduler.

    A dead session is renewed by one login for all processes that share it. After a failure it
    tries again in 15, 30, and then every 60 seconds; after a refused login, when another login is
    allowed. While the store cannot be read, it keeps the handle's last token alive without a login.
    A fork waits up to 5 seconds for an attempt of its thread that is under way.

    Example:
        >>> with KeepAlive(manager.session("s3://bucket/betfair", "session.token")):
        ...     trade()
    """

    def __init__(
        self,
        session: Session,
        *,
        every: timedelta | None = None,
        on_report: Callable[[Report], object] | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            session: the handle for the token.
            every: how often; None for what the jurisdiction needs, an hour or 15 minutes.
            on_report: called after each attempt, in the thread that made it.

        Raises:
            ConfigurationError: `session` is no handle, `every` is not a timedelta above 0 and
                shorter than a session lives, or `on_report` cannot be called.
        """
        place = checked_handle(session).client.jurisdiction
        every = keep_alive_interval(place) if every is None else every
        every = checked_interval(every, "every", place.session_length)
        checked_hook(on_report, "on_report")
        self._session = session
        self._every = every.total_seconds()
        self._on_report = on_report
        self._failures = 0
        self._last: Report | None = None
        self._until = math.inf
        self.after_fork()
        reset_in_child(self)
        self._lock = ForkSafeLock()
        self._thread: threading.Thread | None = None

    def after_fork(self) -> None:
        """Replace the events: the parent's thread may have held their locks."""
        self._stopping, self._resting = threading.Event(), threading.Event()

    @property
    def last(self) -> Report | None:
        """The latest attempt, or None before the first has ended."""
        return self._last

    @property
    def running(self) -> bool:
        """Whether the thread is at work; a forked child has none until it calls `start`."""
        return self._thread is not None and self._thread.is_alive()

    def run_once(self) -> Report:
        """Verify the session now, for a program with its own scheduler.

        Returns:
            The outcome, with the error if it failed, and when to call again. The only exceptions
            that this call raises are those of the program's own signal handlers.
        """
        error: Exception | None = None
        try:
            self._session.verify()
        except unless_interrupted(Exception) as raised:  # the next attempt must follow any error
            error = raised
        again = self._every
        self._failures = 0 if error is None else self._failures + 1
        if error is not None:
            again = min(_RETRY_SECONDS[min(self._failures, 3) - 1], self._every)
            if until := getattr(error, "not_before", None):  # no try before then can help
                left = (until - datetime.now(UTC)).total_seconds()
                again = max(again, min(left, _BAN_SECONDS))
            what = type(error).__name__
            if not isinstance(error, BetfairSessionError) or isinstance(error, ConfigurationError):
                what += f": {error}"  # the text of any other is in the log already, as an event
            _log.tell(
                WARNING, "%r was not kept alive, next try in %.0f s: %s", self._session, again, what
            )
        self._last = report = Report(datetime.now(UTC), error, again)
        if self._on_report is not None:
            call_hook(self._on_report, report, _log)
        return report

    def start(self) -> Self:
        """Start the thread, with an attempt at once; do nothing if it is at work.

        Raises:
            IdentityUnavailable: no thread can be started.
        """
        with self._lock.mine():
            if self.running and not self._stopping.is_set():
                return self
            self._stopping.clear()
            _working.add(self)
            # A daemon, so that it cannot keep a program from ending; atexit lets it finish. One
            # that runs goes on: `on_report` may have called this, or `stop` was interrupted.
            try:
                if not self.running:
                    self._resting.clear()
                    self._thread = start(self._run, "betfair-keepalive")
            except NoThreadError as why:
                raise no_thread_error() from why
            # Finalizers close urllib3's connections at exit, by a hook that the first one sets.
            # Make one now: hooks that are registered later, such as `stop`, run before it.
            weakref.finalize(self, bool).detach()
            atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """End the thread, after the attempt under way; the session stays alive.

        After two seconds the attempt begins no login, and waits for that of no other process.
        Do not call it in a signal handler: the attempt may wait for the interrupted thread.
        """
        atexit.unregister(self.stop)
        self._until = time.monotonic() + _STOP_SECONDS
        self._stopping.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            while thread.is_alive():
                self._stopping.set()  # again, since `on_report` may have called `start`
                thread.join(1.0)

    def close(self) -> None:
        """Stop, as `stop` does."""
        self.stop()

    def __enter__(self) -> Self:
        return self.start()

    def _run(self) -> None:
        told_to = False
        try:
            # Not the time of the caller who started it: this thread has a copy of its context.
            with clocks.bounded(self._left):
                while not told_to:
                    self._resting.clear()
                    since = clocks.now()
                    report = self.run_once()
                    self._resting.set()
                    # A session's time starts when Betfair was asked, perhaps before a sleep.
                    since = since if report.ok else clocks.now()
                    while not self._stopping.is_set():
                        if (left := report.again_in - clocks.passed(since)) <= 0:
                            break
                        self._stopping.wait(min(left, _SLICE_SECONDS))
                    told_to = self._stopping.is_set() and self._ended()
        finally:
            self._resting.set()
            if not (told_to or self._stopping.is_set()):
                _log.tell(CRITICAL, "%r is no longer kept alive: the thread ended", self._session)

    def _left(self) -> float:
        """Return the seconds for which the attempt under way may begin something."""
        return self._until - time.monotonic() if self._stopping.is_set() else math.inf

    def _ended(self) -> bool:
        """Return whether to end, unless `start` has called `stop` off; it makes a thread then."""
        with self._lock.mine():
            if self._stopping.is_set():
                self._thread = None
            return self._thread is None


_working: weakref.WeakSet[KeepAlive] = weakref.WeakSet()


def _let_attempts_end() -> None:
    """Before a fork, wait for the attempts under way.

    What their threads are importing, or hold locked in a library, no thread of the child releases.
    """
    end = time.monotonic() + _FORK_SECONDS
    for each in list(_working):
        if each.running and each._thread is not threading.current_thread():  # noqa: SLF001
            each._resting.wait(max(end - time.monotonic(), 0))  # noqa: SLF001


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no forks
    os.register_at_fork(before=_let_attempts_end)
