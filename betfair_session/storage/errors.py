"""The boundary where errors of a driver, a server or the system become our own.

`attempt` does a store's work, and `explain` turns what it raised into our error. judging.py looks
up what the foreign error means in the tables of meanings.py: add a new exception class to `TYPES`
there, a server's code to `CODES`. A store that knows the meaning itself raises `Known`.

Our error names the foreign error's class and quotes its text, cleaned. It does not keep the error
itself, which may hold the request with its Authorization header, and frames with a token.
"""

from __future__ import annotations

from types import MappingProxyType

from betfair_session.exceptions import (
    BetfairSessionError,
    ConfigurationError,
    StoreError,
    StoreUnavailable,
    StoreWriteError,
)
from betfair_session.process import NamedTuple
from betfair_session.process.causes import interruption, unless_interrupted

from .contract import ABSENT, ANY, VersionConflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from betfair_session.process import T

    from .contract import Expect


class Operation(NamedTuple):
    """What was being done: for the message, and for `landed`.

    Attributes:
        verb: "open", "reopen", "read", "create", "replace", "replace if unchanged", "delete" or
            "delete if unchanged".
        store: the store's URL without credentials.
        key: the object's name, or None when the store itself was being opened.
        hints: what to do about a reason, where the store knows better than `meanings.WORDS`.
        single: whether the driver sends a request at most once. If it repeats requests, the last
            try can fail after an earlier one has written.
        cloud: whether a missing local file is one that the driver needs, not the object. This holds
            for every cloud, and for any driver while it is opened.
    """

    verb: str
    store: str
    key: str | None = None
    hints: Mapping[str, str] = MappingProxyType({})
    single: bool = True
    cloud: bool = False

    @property
    def writes(self) -> bool:
        """Whether it can change the store."""
        return self.verb not in {"read", "open", "reopen"}

    @property
    def failure(self) -> str:
        """The beginning of a message: what could not be done."""
        what = f"{self.key!r} in {self.store}" if self.key else self.store
        return f"cannot {self.verb} {what}"


def verb_of(expect: Expect) -> str:
    """Return the verb for a write with this condition."""
    if expect is ABSENT:
        return "create"
    return "replace" if expect is ANY else "replace if unchanged"


def explain(error: BaseException, operation: Operation) -> BetfairSessionError:
    """Turn a foreign error into ours.

    Return a VersionConflict, StoreUnavailable, StoreWriteError or ConfigurationError. Raise it
    outside of the `except` block: inside, the foreign error would become its context.
    """
    try:
        return _translated(error, operation)
    except unless_interrupted(OSError) as lost:  # no descriptor is left to import a module with
        return StoreUnavailable(
            f"{operation.failure}: no more files can be opened ({lost.strerror})",
            store=operation.store,
            key=operation.key,
            reason="busy",
            landed=operation.writes,
        )


def _translated(error: BaseException, operation: Operation) -> BetfairSessionError:
    from .judging import judge  # only when a call fails
    from .meanings import CERTAIN_REFUSALS, REFUSED_WRITE, WORDS, Sent

    judgement = judge(error, cloud=operation.cloud)
    reason, sent = judgement.reason, judgement.sent
    unchanged = operation.verb.endswith("if unchanged")
    if reason == "missing":
        reason = "conflict" if unchanged else "no-bucket"
    elif reason == "conflict" and not (unchanged or operation.verb == "create"):
        reason = "busy"
    elif reason == "doubtful":
        reason = "other"
    if reason == "other" and operation.verb == "open":
        reason = "configuration"
    words, hint = WORDS[reason]
    hint = operation.hints.get(reason) or hint
    message = f"{operation.failure}: {words} ({judgement.detail})"
    message = f"{message}; {hint}" if hint else message
    # These differ only in their words: a program treats them alike.
    reason = {"ending": "busy", "exhausted": "busy", "no-file": "forbidden"}.get(reason, reason)
    if reason in {"configuration", "driver"}:
        return ConfigurationError(message)
    kind: type[StoreError] = StoreUnavailable
    if reason == "conflict":
        kind = VersionConflict
    elif operation.writes and reason in REFUSED_WRITE:
        kind = StoreWriteError
    landed = sent is Sent.MAYBE
    if not operation.single and sent is not Sent.NEVER:  # an earlier try may have written
        landed = not (sent is Sent.ANSWERED and judgement.reason in CERTAIN_REFUSALS)
    landed = landed and operation.writes
    return kind(message, store=operation.store, key=operation.key, reason=reason, landed=landed)


def attempt(
    operation: Operation,
    work: Callable[..., T],
    *given: object,
    explain: Callable[[BaseException, Operation], BetfairSessionError] = explain,
) -> T:
    """Return `work(*given)`; turn foreign errors into ours, except what a signal handler raised."""
    try:
        return work(*given)
    except BetfairSessionError:
        raise
    except Exception as error:  # noqa: BLE001 - that is what this boundary is for
        foreign = error
    try:
        theirs = interruption(foreign)
        raised = theirs or explain(foreign, operation)
    finally:
        del foreign  # a traceback would keep it
    if theirs:
        theirs.__context__ = None  # it may be a driver's error, which holds the request
    raise raised


def contained(work: Callable[[], T]) -> T:
    """Return `work()`, in a thread of its own; raise what is no Exception as one.

    There it is the driver's (SystemExit, CancelledError), and no interruption. In the caller's
    thread it would end the program, or seem to cancel its task.
    """
    try:
        return work()
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(repr(error)) from error
