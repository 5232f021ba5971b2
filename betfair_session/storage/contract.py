"""What every store provides: `get`, `put` and `delete` of small objects below one root.

One login for many processes needs conditional writes that are atomic between processes and
machines. A store where tests on real servers have shown that says `atomic = True`; with any other,
each process logs in by itself.
"""

from __future__ import annotations

from abc import abstractmethod

from betfair_session.exceptions import StoreError
from betfair_session.process import Closable, clocks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime
    from typing import TypeAlias

    from betfair_session.secret import SecretBytes

MAX_READ = 4096
"""A store reads at most this many bytes of an object, and one more to show that it is longer."""

MARGIN_SECONDS = 1.0
"""The precision of a store's times: HTTP dates are whole seconds."""


class Condition:
    """What a write may expect instead of a version: ABSENT or ANY."""


ABSENT, ANY = Condition(), Condition()

Expect: TypeAlias = "str | Condition"
"""A version, ABSENT or ANY."""


class StoredObject:
    """One object as a single request saw it.

    No tuple: some tools show what is in those, whatever the repr shows.

    Attributes:
        content: its bytes, cut off after MAX_READ + 1.
        version: an opaque text that a conditional `put` compares. It changes with the content.
        modified: when it was last written, by the store's clock: seconds since the epoch, or None.
        now: when the store answered, by the same clock: seconds since the epoch, or None where the
            driver does not show it (then `TokenStore.server_now` asks).
    """

    def __init__(
        self,
        content: SecretBytes,
        version: str,
        modified: float | None = None,
        now: float | None = None,
    ) -> None:
        """Keep them."""
        self.content, self.version, self.modified, self.now = content, version, modified, now


def seconds_of(date: str | datetime | None) -> float | None:
    """Return a header's date in seconds since the epoch; None if it is missing or garbled."""
    if isinstance(date, str):
        from email.utils import parsedate_to_datetime

        try:
            date = parsedate_to_datetime(date)
        except (TypeError, ValueError):
            return None
    return date.timestamp() if date else None


def version_of(content: bytes) -> str:
    """Return a version where the store has none: a hash that only this process can compare."""
    return str(hash(content))


class VersionConflict(StoreError):
    """The condition of a write did not hold, or the write met a concurrent one.

    It never leaves the library: the code that catches it reads the object again. A conflict alone
    does not prove that another process wrote: a driver that repeats a request after a lost answer
    can conflict with its own first try.
    """


class TokenStore(Closable):
    """Small objects below one root, each named by a key.

    Every call gives up at `deadline`, a moment by `time.monotonic`. A call that fails raises
    StoreUnavailable (the store could not be asked) or StoreWriteError (it refused the write). Both
    have a `reason`, and `landed`, which is False only when nothing was changed, as far as the store
    says.
    All methods may be called from many threads at once.

    Attributes:
        label: the store's URL for people, without credentials.
        atomic: whether conditional writes are atomic between processes; it may become False when
            the first lock is written.
        probe: whether the endpoint may ignore the conditions of writes (an S3-compatible server);
            the first write of a lock finds out.
        on_this_machine: whether `modified` comes from this machine's clock, which users can set.
    """

    label: str
    atomic: bool = False
    probe: bool = False
    on_this_machine: bool = False

    @abstractmethod
    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        """Read one object in one request that no cache answers.

        Args:
            key: the object's name below the root.
            deadline: when to give up, seconds by `time.monotonic`.

        Returns:
            The object as one write left it; None when there is no such object.

        Raises:
            StoreUnavailable: the store could not answer, or the bucket is missing.
        """

    @abstractmethod
    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """Write a whole object if the present one is as expected.

        Where `atomic` is True, one of any number of concurrent calls that expect the same version,
        or ABSENT, succeeds. With ANY the last of several stays. Where `atomic` is False, a reader
        may see a part of the content.

        Args:
            key: the object's name below the root.
            content: at most MAX_READ bytes.
            expect: the version that `get` or `put` returned; ABSENT if there must be no object;
                ANY to write without a condition.
            deadline: when to give up, seconds by `time.monotonic`.

        Returns:
            The new version.

        Raises:
            VersionConflict: the object is not as expected, or the write met a concurrent one.
            StoreUnavailable: the store could not be asked; look at `landed`.
            StoreWriteError: the store refused the write; look at `landed`.
        """

    @abstractmethod
    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        """Remove an object; no error when there is none.

        Given a version, a store that cannot delete on a condition (S3-compatible servers, and all
        stores through obstore) overwrites the object with a blank on that condition instead. Local
        files, and stores that are not `atomic`, compare the version and remove the object in two
        steps. If a process freezes between the two, for longer than other writers wait for the
        directory lock, it removes what was written meanwhile.

        Args:
            key: the object's name below the root.
            expect: the version that it must still have; ANY to remove any version. With ANY, a
                write at the same moment may be removed, too, or stay.
            deadline: when to give up, seconds by `time.monotonic`.

        Raises:
            VersionConflict: the object has another version, or is gone.
            StoreUnavailable: the store could not be asked; look at `landed`.
            StoreWriteError: the store refused to delete; look at `landed`.
        """

    def server_now(self, *, deadline: float) -> float | None:  # noqa: ARG002 - for those that can
        """Ask for the store's own time; for stores whose `get` does not show it.

        Args:
            deadline: when to give up, seconds by `time.monotonic`.

        Returns:
            Seconds since the epoch by the clock that sets `modified`; None if there is no answer.
        """
        return None

    def age(self, stored: StoredObject, *, deadline: float, slack: float) -> float | None:
        """Return an upper bound of the seconds since an object was written.

        Args:
            stored: the object, just read.
            deadline: when to give up, seconds by `time.monotonic`.
            slack: seconds by which this machine's clock may be wrong, where `stored.now` is None.
                For an object younger than that by this clock, the store is not asked for its time:
                the age is the one by this clock, plus `slack`.

        Returns:
            The seconds, below 0 for a time in the future; None if the store's time is not known.
        """
        if stored.modified is None:
            return None
        now, guess = stored.now, clocks.wall() - stored.modified
        if now is None and not self.on_this_machine and -MARGIN_SECONDS <= guess < slack:
            return guess + slack
        now = self.server_now(deadline=deadline) if now is None else now
        return None if now is None else now - stored.modified

    def close(self) -> None:
        """Close the connections that this store opened; the next call opens new ones."""

    def conflict(self, key: str) -> VersionConflict:
        """Return the error for an object that has changed."""
        message = f"{key!r} in {self.label} has changed meanwhile"
        return VersionConflict(message, store=self.label, key=key, reason="conflict")
