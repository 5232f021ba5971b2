"""The one place where an error of a driver, of a server or of the system becomes ours.

The foreign error is kept as the cause only if it cannot carry a credential: some hold the request,
and with it its Authorization header. Its frames, where a token may be, are never kept.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from betfair_session.exceptions import (
    BetfairSessionError,
    ConfigurationError,
    StoreError,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.process.threads import interruption, is_ending

from .contract import ABSENT, ANY, VersionConflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .contract import Expect
    from .judging import Judgement

T = TypeVar("T")

_REFUSED_WRITE = frozenset({"forbidden", "read-only", "full", "other"})
_CERTAIN_REFUSALS = frozenset({"forbidden", "missing", "no-bucket"})


class Operation(NamedTuple):
    """What was being done, for the message and to tell what a failure may have changed.

    Attributes:
        verb: "open", "read", "write", "create", "replace", "replace if unchanged", "delete" or
            "delete if unchanged".
        store: the store's URL for people.
        key: the object's name, or None when the store itself was being opened.
        hints: what to do about a reason, where the store knows better than `WORDS`.
        single: whether the driver sends a request at most once. One that repeats requests by
            itself can fail last time and have written before.
        cloud: whether a missing local file is one that the driver needs, and no object: so with
            every cloud, and with any other driver while it is opened.
    """

    verb: str
    store: str
    key: str | None = None
    hints: Mapping[str, str] = MappingProxyType({})
    single: bool = True
    cloud: bool = False

    @property
    def writes(self) -> bool:
        """Whether it can change something."""
        return self.verb not in {"read", "open"}

    @property
    def conditional(self) -> bool:
        """Whether it has a condition that can fail."""
        return self.verb in {"create", "replace if unchanged", "delete if unchanged"}


def verb_of(expect: Expect) -> str:
    """Return what a write is called that expects this to be there."""
    if expect is ABSENT:
        return "create"
    return "replace" if expect is ANY else "replace if unchanged"


def _landed(judgement: Judgement, operation: Operation) -> bool:
    """Tell whether the failed operation may have changed something, now or in a moment."""
    from .meanings import Sent

    if not operation.writes or judgement.sent is Sent.NEVER:
        return False
    if operation.single:
        return judgement.sent is Sent.MAYBE
    return not (judgement.sent is Sent.ANSWERED and judgement.reason in _CERTAIN_REFUSALS)


def explain(error: BaseException, operation: Operation) -> BetfairSessionError:
    """Turn a foreign error into ours, to raise outside of the `except` block.

    Inside, the foreign one would become its context. Ours is a VersionConflict, StoreUnavailable,
    StoreWriteError or ConfigurationError.
    """
    what = f"{operation.key!r} in {operation.store}" if operation.key else operation.store
    want = _wanting(error)
    if want:
        return StoreUnavailable(
            f"cannot {operation.verb} {what}: {want}",
            store=operation.store,
            key=operation.key,
            reason="busy",
            landed=operation.writes,
        )
    from .judging import bare, judge
    from .meanings import WORDS

    judgement = judge(error, cloud=operation.cloud)
    reason = judgement.reason
    if reason == "missing":
        reason = "conflict" if operation.verb.endswith("if unchanged") else "no-bucket"
    elif reason == "conflict" and not operation.conditional:
        reason = "busy"
    elif reason == "doubtful":
        reason = "other"
    if reason == "other" and operation.verb == "open":
        reason = "configuration"
    words, hint = WORDS[reason]
    hint = operation.hints.get(reason) or hint
    message = f"cannot {operation.verb} {what}: {words} ({judgement.detail})"
    message = f"{message}; {hint}" if hint else message
    # Programs do the same about both.
    reason = {"exhausted": "busy", "no-file": "forbidden"}.get(reason, reason)
    ours: BetfairSessionError
    if reason == "configuration":
        ours = ConfigurationError(message)
    else:
        kind: type[StoreError] = StoreUnavailable
        if reason == "conflict":
            kind = VersionConflict
        elif operation.writes and reason in _REFUSED_WRITE:
            kind = StoreWriteError
        ours = kind(
            message,
            store=operation.store,
            key=operation.key,
            reason=reason,
            landed=_landed(judgement, operation),
        )
    ours.__cause__ = bare(error)
    return ours


def _wanting(error: BaseException) -> str:
    """Return what this process lacks to ask a store, or to say more of an error; "" for nothing."""
    if is_ending(error):
        return (
            "Python is shutting down and starts no driver any more; make a first call before the "
            "program ends, not in what atexit calls"
        )
    try:
        from . import judging, meanings  # noqa: F401 - imported only when a call fails
    except OSError as lost:  # no descriptor is left to read them with, most likely
        return f"no file can be opened ({lost.strerror})"
    return ""


def attempt(work: Callable[[], T], operation: Operation) -> T:
    """Do `work` and let nothing but our own errors out."""
    try:
        return work()
    except BetfairSessionError:
        raise
    except Exception as error:  # noqa: BLE001 - that is what this boundary is for
        theirs = interruption(error)
        raised = theirs or explain(error, operation)
    if theirs:
        theirs.__context__ = None  # a driver's error, perhaps, with what it sent
    raise raised
