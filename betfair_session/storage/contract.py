"""What the library needs of a place to keep a token in.

Five calls on small objects below one root. The shared login stands on two of them being atomic
between processes and machines: `create` and `replace_if_version`. A store for which that has been
shown against real servers says `atomic = True`; any other is used with one login per process only.
"""

from __future__ import annotations

from abc import abstractmethod

from betfair_session.exceptions import StoreError
from betfair_session.process.closing import Closable
from betfair_session.process.value import Value
from betfair_session.secret import SecretBytes

MAX_READ = 4096
"""No store reads more than this many bytes (plus one, to tell) of an object."""


class StoredObject(Value):
    """One object as a single request saw it.

    Attributes:
        content: its bytes, cut off after MAX_READ + 1.
        version: opaque; what `replace_if_version` compares. It changes when the content does.
        modified: the store's own time of the last write, seconds since the epoch, or None.
        now: the store's own time of this answer, seconds since the epoch, or None where the
            driver hides it (then `TokenStore.server_now` finds out).
    """

    content: bytes
    version: str
    modified: float | None = None
    now: float | None = None

    def __post_init__(self) -> None:
        vars(self)["content"] = SecretBytes(self.content)


class VersionConflict(StoreError):
    """The condition of a conditional write did not hold, or another write was in its way.

    It never leaves the library: who gets it reads again. A driver that repeats a request whose
    answer was lost can report a conflict with its own earlier write, so a conflict alone does
    not prove that somebody else wrote.
    """


class TokenStore(Closable):
    """Small objects below one root, each named by a key.

    Every call takes `timeout`, the seconds after which it gives up. A call that fails raises
    StoreUnavailable (it could not be asked) or StoreWriteError (it would not write), each with
    `reason` and `landed`: False only when the request certainly changed nothing. All
    methods may be called from many threads at once.

    Attributes:
        label: the store's URL for people, without credentials.
        atomic: whether `create` and `replace_if_version` are atomic between processes; it may
            turn False when the first lock is written.
        probe: whether the endpoint may not keep conditions although the driver sends them (an
            S3-compatible server); the first write of a lock tries it out.
        on_this_machine: whether `modified` comes from a machine's own clock, which can be set.
    """

    label: str
    atomic: bool = False
    probe: bool = False
    on_this_machine: bool = False

    @abstractmethod
    def read(self, key: str, *, timeout: float) -> StoredObject | None:
        """Read one object in one request, past every cache.

        Args:
            key: the object's name below the root.
            timeout: seconds.

        Returns:
            What the request saw, never a mixture of two writes; None when there is no such object.

        Raises:
            StoreUnavailable: anything but an answer, a missing bucket included.
        """

    @abstractmethod
    def create(self, key: str, content: bytes, *, timeout: float) -> str:
        """Write an object that must not exist.

        Atomic where `atomic` is True: of any number of concurrent calls one succeeds.

        Args:
            key: the object's name below the root.
            content: at most MAX_READ bytes.
            timeout: seconds.

        Returns:
            The new object's version.

        Raises:
            VersionConflict: the object exists, or a concurrent write has to be asked again.
            StoreUnavailable: the store could not be asked; look at `landed`.
            StoreWriteError: the store would not write; look at `landed`.
        """

    @abstractmethod
    def replace_if_version(self, key: str, content: bytes, version: str, *, timeout: float) -> str:
        """Overwrite an object if it still has `version`.

        Atomic where `atomic` is True: of any number of concurrent calls that name the same version
        one succeeds.

        Args:
            key: the object's name below the root.
            content: at most MAX_READ bytes.
            version: what `read`, `create` or `replace_if_version` returned.
            timeout: seconds.

        Returns:
            The new version.

        Raises:
            VersionConflict: the object changed, is gone, or has to be asked again.
            StoreUnavailable: the store could not be asked; look at `landed`.
            StoreWriteError: the store would not write; look at `landed`.
        """

    @abstractmethod
    def replace(self, key: str, content: bytes, *, timeout: float) -> str:
        """Write an object whatever is there; a reader sees the old or the new content, whole.

        The last of several concurrent calls stays. (On filesystems outside the vouched ones a
        reader may see a part.)

        Args:
            key: the object's name below the root.
            content: at most MAX_READ bytes.
            timeout: seconds.

        Returns:
            The new version.

        Raises:
            StoreUnavailable: the store could not be asked; look at `landed`.
            StoreWriteError: the store would not write; look at `landed`.
        """

    @abstractmethod
    def delete(self, key: str, version: str | None = None, *, timeout: float) -> None:
        """Remove an object; no error when there is none.

        With a version, a store that cannot delete on a condition (S3's protocol away from Amazon,
        and all that obstore serves) leaves a blank in its place, written on that condition. Outside
        `atomic` stores the version is compared and the object removed in two steps. In files a
        process that freezes between the two, for longer than others queue up, removes what was
        written meanwhile.

        Args:
            key: the object's name below the root.
            version: remove it only if it still has this version; None for whatever is there. Then
                a write that lands at the same moment may be removed with it, or stay.
            timeout: seconds.

        Raises:
            VersionConflict: the object has another version, or is gone.
            StoreUnavailable: the store could not be asked; look at `landed`.
            StoreWriteError: the store would not delete; look at `landed`.
        """

    def server_now(self, *, timeout: float) -> float | None:  # noqa: ARG002 - for those that can
        """Ask for the store's own time, where `read` does not tell it.

        Args:
            timeout: seconds.

        Returns:
            Seconds since the epoch by the clock that sets `modified`, or None when it cannot be
            had.
        """
        return None

    def close(self) -> None:
        """Give back connections that this store opened; it may be used again afterwards."""
