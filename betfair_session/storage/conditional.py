"""A conditional write to a server that may not know conditions."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .contract import ABSENT, ANY
from .judging import Altered, Refusal, condition_refused, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from .contract import Expect, StoredObject, TokenStore

_log = logging.getLogger("betfair_session.storage")


class ConditionalWrite:
    """One write on a condition.

    Where the server turns out not to keep conditions, the store is `atomic` no longer, and looks
    before it writes.
    """

    def __init__(
        self,
        store: TokenStore,
        write: Callable[[Expect], str],
        look: Callable[[], StoredObject | None],
        content: bytes,
        expect: Expect,
    ) -> None:
        """Take the store, its two requests, and what to write on which condition."""
        self._store = store
        self._write = write
        self._look = look
        self._content = content
        self._expect = expect

    def send(self, *, lock: bool) -> str:
        """Write; with the lock, the first write also tries the server out."""
        store = self._store
        if not store.atomic:
            return self._by_looking()
        refused = ""
        while True:
            try:
                version = self._write(self._expect)
            except Exception as error:
                status = condition_refused(error) if store.probe else ""
                status = "" if status == "412" and not lock else status
                # A 409 or 412 in unknown words: only a look tells a lost condition from a refusal.
                doubtful = judge(error, cloud=True).reason == "doubtful"
                if not (status or doubtful):
                    raise
                failed = error
            else:
                return self._try_out(version) if lock and store.probe else version
            if doubtful and not self._holds():
                raise Refusal(412, "PreconditionFailed", "another write was first")
            if not status:
                raise failed
            # Another writer may have been faster; only the same answer twice, while the condition
            # holds, is the server's own manner.
            if status == "412" and not self._holds():
                raise failed
            if status != "412" or refused:
                break
            refused = status
        version = self._by_looking()
        self._distrust(f"answers {status} to them")
        return version

    def _holds(self) -> bool:
        found = self._look()
        return (found.version if found else ABSENT) == self._expect

    def _by_looking(self) -> str:
        if not self._holds():
            raise Refusal(412, "PreconditionFailed", "another write was first")
        return self._write(ANY)

    def _try_out(self, version: str) -> str:
        """Make the same write again, which must fail now, and read back what was written."""
        store = self._store
        try:
            ignored = False
            try:
                version = self._write(self._expect)
                ignored = True
            except Exception as error:
                if judge(error, cloud=True).reason != "conflict":
                    raise
            found = self._look()
        except Exception as error:  # noqa: BLE001 - the write itself was done; the next is tried again
            _log.debug(
                "%s could not be tried out: %s", store.label, judge(error, cloud=True).detail
            )
            return version
        if found is not None and found.version == version and found.content != self._content:
            raise Altered
        store.probe = False
        if ignored:
            self._distrust("ignores them")
        return version

    def _distrust(self, why: str) -> None:
        store = self._store
        store.atomic = store.probe = False
        _log.warning(
            "%s does not keep the conditions of writes (it %s), so each process logs in by itself; "
            "see backends.md for stores that share one login",
            store.label,
            why,
        )
