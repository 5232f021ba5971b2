"""What the library needs of a place to keep a token in.

`get`, `put` and `delete` of small objects below one root. The shared login stands on conditional
writes being atomic between processes and machines. A store for which that has been shown against
real servers says `atomic = True`; any other is used with one login per process only.
"""

from __future__ import annotations

from abc import abstractmethod

from betfair_session.exceptions import StoreError
from betfair_session.process import Closable, NamedTuple, clocks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from betfair_session.secret import SecretBytes

MAX_READ = 4096
"""No store reads more than this many bytes (plus one, to tell) of an object."""


MARGIN_SECONDS = 1.0
"""By which a store's times may be off: HTTP dates are whole seconds."""


class Condition:
    """What a write may expect, besides a version."""


ABSENT, ANY = Condition(), Condition()

Expect: TypeAlias = "str | Condition"
"""A version, ABSENT or ANY."""


class StoredObject(NamedTuple):
    """One object as a single request saw it.

    Attributes:
        content: its bytes, cut off after MAX_READ + 1.
        version: opaque; what a conditional `put` compares. It changes when the content does.
        modified: the store's own time of the last write, seconds since the epoch, or None.
        now: the store's own time of this answer, seconds since the epoch, or None where the
            driver hides it (then `TokenStore.server_now` finds out).
    """

    content: SecretBytes
    version: str
    modified: float | None = None
    now: float | None = None


class VersionConflict(StoreError):
    """The condition of a conditional write did not hold, or another write was in its way.

    It never leaves the library: who gets it reads again. A driver that repeats a request whose
    answer was lost can report a conflict with its own earlier write, so a conflict alone does
    not prove that somebody else wrote.
    """


class TokenStore(Closable):
    """Small objects below one root, each named by a key.

    Every call takes `deadline`, the moment by `time.monotonic` at which it gives up. A call that
    fails raises StoreUnavailable (it could not be asked) or StoreWriteError (it would not write),
    each with `reason` and `landed`: False only when the request certainly changed nothing. All
    methods may be called from many threads at once.

    Attributes:
        label: the store's URL for people, without credentials.
        atomic: whether conditional writes are atomic between processes; it may turn False when
            the first lock is written.
        probe: whether the endpoint may not keep conditions although the driver sends them (an
            S3-compatible server); the first write of a lock tries it out.
        on_this_machine: whether `modified` comes from a machine's own clock, which can be set.
    """

    label: str
    atomic: bool = False
    probe: bool = False
    on_this_machine: bool = False

    @abstractmethod
    def get(self, key: str, *, deadline: float) -> StoredObject | None:
        """Read one object in one request, past every cache.

        Args:
            key: the object's name below the root.
            deadline: when to give up, seconds by `time.monotonic`.

        Returns:
            What the request saw, never a mixture of two writes; None when there is no such object.

        Raises:
            StoreUnavailable: anything but an answer, a missing bucket included.
        """

    @abstractmethod
    def put(self, key: str, content: bytes, expect: Expect, *, deadline: float) -> str:
        """Write an object, whole, if what is there is what is expected.

        Atomic where `atomic` is True: of any number of concurrent calls that expect the same
        version, or none, one succeeds. With ANY the last of several stays. (On filesystems outside
        the vouched ones a reader may see a part.)

        Args:
            key: the object's name below the root.
            content: at most MAX_READ bytes.
            expect: the version that `get` or `put` returned; ABSENT for no object; ANY for
                whatever is there.
            deadline: when to give up, seconds by `time.monotonic`.

        Returns:
            The new version.

        Raises:
            VersionConflict: the object is another, or a concurrent write has to be asked again.
            StoreUnavailable: the store could not be asked; look at `landed`.
            StoreWriteError: the store would not write; look at `landed`.
        """

    @abstractmethod
    def delete(self, key: str, expect: Expect = ANY, *, deadline: float) -> None:
        """Remove an object; no error when there is none.

        With a version, a store that cannot delete on a condition (S3's protocol away from Amazon,
        and all that obstore serves) leaves a blank in its place, written on that condition. Outside
        `atomic` stores the version is compared and the object removed in two steps. In files a
        process that freezes between the two, for longer than others queue up, removes what was
        written meanwhile.

        Args:
            key: the object's name below the root.
            expect: the version that it must still have; ANY for whatever is there. Then a write
                that lands at the same moment may be removed with it, or stay.
            deadline: when to give up, seconds by `time.monotonic`.

        Raises:
            VersionConflict: the object has another version, or is gone.
            StoreUnavailable: the store could not be asked; look at `landed`.
            StoreWriteError: the store would not delete; look at `landed`.
        """

    def server_now(self, *, deadline: float) -> float | None:  # noqa: ARG002 - for those that can
        """Ask for the store's own time, where `get` does not tell it.

        Args:
            deadline: when to give up, seconds by `time.monotonic`.

        Returns:
            Seconds since the epoch by the clock that sets `modified`, or None when it cannot be
            had.
        """
        return None

    def age(self, stored: StoredObject, *, deadline: float, slack: float) -> float | None:
        """Tell how long ago an object was written.

        Args:
            stored: the object, just read.
            deadline: when to give up, seconds by `time.monotonic`.
            slack: seconds by which the machine's clock may be wrong where the store hides its time:
                an object that is younger by that clock counts as so many seconds older, and the
                store is not asked.

        Returns:
            The seconds, at most; below 0 for a time in the future, None where nobody can tell.
        """
        if stored.modified is None:
            return None
        now, guess = stored.now, clocks.wall() - stored.modified
        if now is None and not self.on_this_machine and -MARGIN_SECONDS <= guess < slack:
            return guess + slack
        now = self.server_now(deadline=deadline) if now is None else now
        return None if now is None else now - stored.modified

    def close(self) -> None:
        """Give back connections that this store opened; it may be used again afterwards."""

    def conflict(self, key: str) -> VersionConflict:
        """Make the error for an object that is not what it was."""
        message = f"{key!r} in {self.label} is not what it was"
        return VersionConflict(message, store=self.label, key=key, reason="conflict")
