"""The boundary that errors cross: what a driver, a server or the system raises becomes ours.

`attempt` does a store's work, and `explain` makes our error of what it raised. What the foreign one
means, judging.py looks up in the tables of meanings.py: a new exception class gets a row in
`TYPES` there, a server's code one in `CODES`. A store that knows the meaning itself raises `Known`.

Ours names the foreign error's class and its words, cleaned, and does not keep the error itself:
some hold the request, and with it its Authorization header, and frames may hold a token.
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
from betfair_session.process.threads import interruption

from .contract import ABSENT, ANY, VersionConflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from .contract import Expect

    T = TypeVar("T")


class Operation(NamedTuple):
    """What was being done, for the message and to tell what a failure may have changed.

    Attributes:
        verb: "open", "read", "create", "replace", "replace if unchanged", "delete" or
            "delete if unchanged".
        store: the store's URL for people.
        key: the object's name, or None when the store itself was being opened.
        hints: what to do about a reason, where the store knows better than `meanings.WORDS`.
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
    def failure(self) -> str:
        """What could not be done, in words."""
        what = f"{self.key!r} in {self.store}" if self.key else self.store
        return f"cannot {self.verb} {what}"


def verb_of(expect: Expect) -> str:
    """Return what a write is called that expects this to be there."""
    if expect is ABSENT:
        return "create"
    return "replace" if expect is ANY else "replace if unchanged"


def explain(error: BaseException, operation: Operation) -> BetfairSessionError:
    """Turn a foreign error into ours, to raise outside of the `except` block.

    Inside, the foreign one would become its context. Ours is a VersionConflict, StoreUnavailable,
    StoreWriteError or ConfigurationError.
    """
    try:
        return _translated(error, operation)
    except OSError as lost:  # no descriptor is left to read a module with, most likely
        if interruption(lost):
            raise
        return StoreUnavailable(
            f"{operation.failure}: no file can be opened ({lost.strerror})",
            store=operation.store,
            key=operation.key,
            reason="busy",
            landed=operation.writes,
        )


def _translated(error: BaseException, operation: Operation) -> BetfairSessionError:
    """Turn a foreign error into one of ours."""
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
    # Programs do the same about both.
    reason = {"ending": "busy", "exhausted": "busy", "no-file": "forbidden"}.get(reason, reason)
    if reason in {"configuration", "driver"}:
        return ConfigurationError(message)
    kind: type[StoreError] = StoreUnavailable
    if reason == "conflict":
        kind = VersionConflict
    elif operation.writes and reason in REFUSED_WRITE:
        kind = StoreWriteError
    landed = sent is Sent.MAYBE
    if not operation.single and sent is not Sent.NEVER:  # an earlier try may have landed
        landed = not (sent is Sent.ANSWERED and judgement.reason in CERTAIN_REFUSALS)
    landed = landed and operation.writes
    return kind(message, store=operation.store, key=operation.key, reason=reason, landed=landed)


def attempt(
    operation: Operation,
    work: Callable[..., T],
    *given: object,
    explain: Callable[[BaseException, Operation], BetfairSessionError] = explain,
) -> T:
    """Do `work`, with what it is given, and let nothing but our own errors out."""
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
        del foreign  # a traceback would show it
    if theirs:
        theirs.__context__ = None  # a driver's error, perhaps, with what it sent
    raise raised
