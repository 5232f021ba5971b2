"""The policy's answers, step by step and to the letter; tests/explore looks for what is unsafe.

A story is what one call is told, row by row: an event, and what the policy asks for then (further
effects in a row follow waits). A number before them is when it happens, in seconds since the start;
a dict sets the script's clocks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from betfair_session import StoreError, StoreWriteError
from betfair_session.login.effects import (
    Ask,
    LockRead,
    LogIn,
    LogOut,
    ReadLock,
    ReadToken,
    Session,
    TokenRead,
    Wait,
    WriteLock,
    WriteToken,
    Written,
)
from betfair_session.login.lock import DONE, FAILED, HELD

from .messages import DEAD, WOKE, Conflict, Failed, Got, Refused, StoreFailed, Unclear
from .script import START, Script, done, failed, held, mine, release

if TYPE_CHECKING:
    from betfair_session.login.lock import Lock

    Story: TypeAlias = list[Any]

BUSY = StoreFailed("busy", landed=True, passing=True)
BROKEN = StoreFailed("broken")
THROTTLED = StoreFailed("slow down", reason="throttled")

NOTHING, JUNK = TokenRead(), TokenRead(None, "V0")
GONE_DEAD = TokenRead("dead", "V0", "fp-dead")
THEIRS = TokenRead("theirs", "V1", "fp-other")
NEW = Session("new", "fp-new")
RESUMED = (Session("live", "fp"), Got("live", "resumed"))


def taken(before: Lock, at: float = 0.0, **fields: Any) -> Lock:  # noqa: ANN401 - any field's
    """Return an earlier lock as a script's call takes it at a time since the start."""
    now = START + at
    lock = before._replace(state=HELD, nonce="mine", owner="me", since=now, published="")
    return lock._replace(**{"logins": (*before.logins, now), **fields})


def blamed(lock: Lock, login_class: str, wait: float, at: float = 0.0, **fields: Any) -> Lock:  # noqa: ANN401 - any field's
    """Return a lock after a login that failed at a time since the start."""
    now = START + at
    blame = lock._replace(state=FAILED, login_class=login_class, since=now, not_before=now + wait)
    return blame._replace(**fields)


UNTOUCHED = mine(state=DONE, logins=())
FINISHED = mine(state=DONE, published="fp-new")
UNSTORED = blamed(mine(), "store", 15)

FIND_LIVE = [(TokenRead("live", "V0", "fp"), Ask("live"))]
FIND_DEAD = [(GONE_DEAD, Ask("dead")), (DEAD, ReadLock())]
FIND_JUNK = [(JUNK, ReadLock())]
HOLD = [(NOTHING, WriteLock(mine(), None)), (Written("L1"), ReadToken())]
LOG_IN = [*HOLD, (NOTHING, LogIn(10.0))]
PUBLISH = [*LOG_IN, (NEW, WriteToken("new", None))]
PUBLISHED = [*PUBLISH, (Written("V1"), release(FINISHED))]
LOGGED_IN = (Written("L2"), Got("new", "logged in"))
AGAIN = (Written("L2"), ReadToken())
OUTBID = [(NOTHING, WriteLock(mine(), None)), (Conflict(), ReadLock())]
WAIT = [*OUTBID, (LockRead(held(), "L0", 0.0), Wait(0.25))]
FOUND = [*WAIT, (WOKE, ReadToken()), (THEIRS, ReadLock())]


LATER: Any = {"since": START + 72, "logins": (START + 72,)}
OUTBIDDEN = taken(done(), 29, nonce="nonce 2")
BAN = failed(not_before=START + 1200)
SLOW = failed(since=START - 3600, not_before=START - 3540)


def after(before: Lock) -> Story:
    """Walk from junk in the token's place, and an earlier lock, to the login."""
    lock = taken(before)
    look = [*FIND_JUNK, (LockRead(before, "L0", 1.0), WriteLock(lock, "L0"))]
    return [*look, (Written("L1"), ReadToken()), (JUNK, LogIn(10.0))]


STORIES: dict[str, Story] = {
    "a live token costs one read and one question": [*FIND_LIVE, RESUMED],
    "a rotated token is written and used": [
        (TokenRead("old", "V0", "fp"), Ask("old")),
        (NEW, WriteToken("new", "V0")),
        (Written("V1"), Got("new", "resumed")),
    ],
    "a rotated token is used although it could not be written": [
        (TokenRead("old", "V0", "fp"), Ask("old")),
        (NEW, WriteToken("new", "V0")),
        (BROKEN, Got("new", "resumed")),
    ],
    "a rotated token that another's has overtaken is not trusted unasked": [
        (TokenRead("old", "V0", "fp"), Ask("old")),
        (NEW, WriteToken("new", "V0")),
        (Conflict(), Got("new", "resumed", math.inf)),
    ],
    "a verification is shared by writing the token anew": [
        {"share": True},
        *FIND_LIVE,
        (Session("live", "fp"), WriteToken("live", "V0")),
        (Written("V1"), Got("live", "resumed")),
    ],
    "a shared verification that another's write has overtaken is not trusted unasked": [
        {"share": True},
        *FIND_LIVE,
        (Session("live", "fp"), WriteToken("live", "V0")),
        (Conflict(), Got("live", "resumed", math.inf)),
    ],
    "without conditions a late write could replace a newer token": [
        {"share": True, "shared": False},
        *FIND_LIVE,
        RESUMED,
    ],
    "a verification that a sleep has made old is not shared": [
        {"share": True},
        *FIND_LIVE,
        {"slow_wall": -7200.0},
        (Session("live", "fp"), Got("live", "resumed", 7200.0)),
    ],
    "a verification ten seconds old may be shared": [
        {"share": True},
        *FIND_LIVE,
        (10.0, Session("live", "fp"), WriteToken("live", "V0")),
    ],
    "no answer from Betfair is an error and no login": [
        *FIND_LIVE,
        (Unclear("why"), Failed("error", "why")),
    ],
    # --- a store in trouble ----------------------------------------------------------------------
    "a passing failure of a read is tried twice more": [
        (BUSY, Wait(0.25), ReadToken()),
        (BUSY, Wait(0.5), ReadToken()),
        (BUSY, Failed("error", "busy")),
    ],
    "troubles are counted in a row": [
        (BUSY, Wait(0.25), ReadToken()),
        *FIND_DEAD,
        (BUSY, Wait(0.25), ReadLock()),
        (BUSY, Wait(0.5), ReadLock()),
        (LockRead(held(), "L0", 0.0), Wait(0.25)),
        (WOKE, ReadToken()),
        (BUSY, Wait(0.25), ReadToken()),
    ],
    "a lasting failure of the token's read is not tried again": [
        (BROKEN, Failed("error", "broken"))
    ],
    "a lasting failure of the lock's read is not tried again": [
        *FIND_DEAD,
        (BROKEN, Failed("error", "broken")),
    ],
    "a pause ends with the caller's time": [
        {"deadline": 10.0},
        (9.875, BUSY, Wait(0.125), ReadToken()),
        (10.0, BUSY, Failed("error", "busy")),
    ],
    "a pause is spread by half": [{"at_most": 0.0}, (BUSY, Wait(0.125), ReadToken())],
    # --- logins ----------------------------------------------------------------------------------
    "a first login takes the lock without a look at it": [*PUBLISHED, LOGGED_IN],
    "a dead token is replaced in the version read last, and earlier failures are forgotten": [
        *FIND_DEAD,
        (
            100.0,
            LockRead(failed(published="fp-dead"), "L0", 100.0),
            WriteLock(taken(failed(), 100, logins=(START + 100,)), "L0"),
        ),
        (Written("L1"), ReadToken()),
        (TokenRead("dead", "V1", "fp-dead"), LogIn(10.0)),
        (NEW, WriteToken("new", "V1")),
        (Written("V2"), release(FINISHED._replace(since=START + 100, logins=(START + 100,)))),
        LOGGED_IN,
    ],
    "junk is a token that is missing but has a version, and no first login": [
        *FIND_JUNK,
        (LockRead(), WriteLock(mine(), None)),
        (Written("L1"), ReadToken()),
        (JUNK, LogIn(10.0)),
        (NEW, WriteToken("new", "V0")),
    ],
    # --- taking the lock -------------------------------------------------------------------------
    "taking the lock in vain is tried more slowly each time": [
        *OUTBID,
        (LockRead(), WriteLock(mine(), None)),
        (BUSY, Wait(0.5), ReadLock()),
        (LockRead(), WriteLock(mine(), None)),
        (Conflict(), Wait(1.0), ReadLock()),
        (LockRead(), WriteLock(mine(), None)),
        (Conflict(), Wait(2.0), ReadLock()),
        (LockRead(), WriteLock(mine(), None)),
        (Conflict(), Wait(2.0), ReadLock()),
        (LockRead(), WriteLock(mine(), None)),
        (BUSY, Failed("error", "busy")),
    ],
    "taking the lock is tried four times at most while the store is in trouble": [
        (NOTHING, WriteLock(mine(), None)),
        (BUSY, ReadLock()),
        (LockRead(), WriteLock(mine(), None)),
        (BUSY, Wait(0.5), ReadLock()),
        (LockRead(), WriteLock(mine(), None)),
        (BUSY, Wait(1.0), ReadLock()),
        (LockRead(), WriteLock(mine(), None)),
        (BUSY, Failed("error", "busy")),
    ],
    "a lock that cannot be written ends it at once": [
        (NOTHING, WriteLock(mine(), None)),
        (BROKEN, Failed("error", "broken")),
    ],
    "a call without time takes no lock": [{"deadline": 1.0}, (1.0, NOTHING, Failed("timeout"))],
    "a call without time says who held the lock": [
        {"deadline": 1.0},
        *FIND_DEAD,
        (1.0, LockRead(held(ttl=1.0), "L0", 2.0), Failed("timeout", "another")),
    ],
    "a call with too little time for a login takes no lock": [
        {"deadline": 2.625},
        (NOTHING, ReadLock()),
        (LockRead(), Failed("timeout")),
    ],
    "a call with too little time for a login says who logs in": [
        {"deadline": 2.5},
        (NOTHING, ReadLock()),
        (LockRead(held(), "L0", 0.0), Wait(0.25)),
        (2.5, WOKE, ReadToken()),
        (NOTHING, Failed("timeout", "another")),
    ],
    "a call with enough time for a short login makes it": [
        {"deadline": 2.75},
        *HOLD,
        (NOTHING, LogIn(2.0625)),
    ],
    "a call whose time ends while the lock cannot be written tells why": [
        {"deadline": 4.0},
        (NOTHING, WriteLock(mine(), None)),
        (BUSY, ReadLock()),
        (2.0, LockRead(), Failed("error", "busy")),
    ],
    "a call whose time ends while others take the lock says that its time has ended": [
        {"deadline": 4.0},
        *OUTBID,
        (2.0, LockRead(), Failed("timeout")),
    ],
    "a store that ignores conditions is relied on no more": [
        (NOTHING, WriteLock(mine(), None)),
        (Written("L1", honest=False), ReadToken()),
        (NOTHING, LogIn(10.0)),
        (NEW, WriteToken("new", None)),
        (Written("V1"), release(FINISHED, shared=False)),
    ],
    "without conditions nobody waits for another": [
        {"shared": False},
        *FIND_DEAD,
        (LockRead(held(), "L0", 0.0), WriteLock(taken(held()), "L0", shared=False)),
    ],
    "a lock of mine whose answer was lost is mine": [
        (NOTHING, WriteLock(mine(), None)),
        (BUSY, ReadLock()),
        (LockRead(mine(), "L1", 0.0), ReadToken()),
        (NOTHING, LogIn(10.0)),
    ],
    "who was outbid begins anew under another name": [
        *WAIT,
        (WOKE, ReadToken()),
        (NOTHING, Wait(0.375)),
        (40.0, WOKE, ReadLock()),
        (
            LockRead(held(), "L0", 40.0),
            WriteLock(taken(held(), 40, nonce="nonce 2", login_class="store"), "L0"),
        ),
    ],
    "a late write of an attempt that was outbid is not taken for a later one": [
        (NOTHING, WriteLock(mine(), None)),
        (BUSY, ReadLock()),
        (LockRead(held(), "L0", 0.0), Wait(0.25)),
        (1.0, WOKE, ReadToken()),
        (1.0, NOTHING, Wait(0.375)),
        (2.0, WOKE, ReadLock()),
        (72.0, LockRead(), WriteLock(mine(nonce="nonce 2", **LATER), None)),
        (72.0, Conflict(), Wait(0.5), ReadLock()),
        (
            LockRead(mine(), "L1", 38.0),
            WriteLock(taken(mine(), 72, nonce="nonce 3", login_class="store", **LATER), "L1"),
        ),
        (Written("L2"), ReadToken()),
        (NOTHING, WriteToken(None, None)),
        (Written("V1"), LogIn(10.0)),
    ],
    "time lost to another holder does not count for the next attempt": [
        *OUTBID,
        (29.0, LockRead(done(published=""), "L2", 0.0), WriteLock(OUTBIDDEN, "L2")),
        (29.0, Written("L3"), ReadToken()),
        (29.0, NOTHING, LogIn(10.0)),
    ],
    # --- the lock in hand ------------------------------------------------------------------------
    "with the lock in hand another token is looked at first": [
        *HOLD,
        (THEIRS, release(UNTOUCHED)),
        AGAIN,
        (THEIRS, Ask("theirs")),
        (Session("theirs", "fp-other"), Got("theirs", "resumed")),
    ],
    "a second look that fails for good gives the lock back": [
        *HOLD,
        (BROKEN, release(UNTOUCHED)),
        (Written("L2"), Failed("error", "broken")),
    ],
    "a second look that may pass is tried twice more": [
        *HOLD,
        (BUSY, Wait(0.25), ReadToken()),
        (BUSY, Wait(0.5), ReadToken()),
        (BUSY, release(UNTOUCHED)),
        (Written("L2"), Failed("error", "busy")),
    ],
    # 30 s of it, less 10 for the login and 5 for the store, by the clock that went further.
    "a lock with just enough time is used": [*HOLD, (15.0, NOTHING, LogIn(10.0))],
    "a lock too old for a login is given back": [*HOLD, (15.1, NOTHING, release(UNTOUCHED)), AGAIN],
    "a freeze that only the wall clock noticed counts": [
        *HOLD,
        {"slow_wall": -15.1},
        (NOTHING, release(UNTOUCHED)),
    ],
    "a freeze that only the steady clock noticed counts": [
        *HOLD,
        {"slow_wall": 15.1},
        (15.1, NOTHING, release(UNTOUCHED)),
    ],
    "a login gets three quarters of the caller's time": [
        {"deadline": 8.0},
        *HOLD,
        (4.0, NOTHING, LogIn(3.0)),
    ],
    "below two seconds there is no login": [
        {"deadline": 8.0},
        *HOLD,
        (5.375, NOTHING, release(UNTOUCHED)),
        (Written("L2"), Failed("timeout")),
    ],
    # --- what Betfair says to the login ----------------------------------------------------------
    "a login without an answer keeps all from another for a moment": [
        *LOG_IN,
        (3.0, Unclear("why"), release(blamed(mine(), "unknown", 15, 3))),
        (Written("L2"), Failed("error", "why", not_before=START + 18)),
    ],
    "a login that was never sent is none": [
        *LOG_IN,
        (Unclear("why", sent=False), release(UNTOUCHED)),
        (Written("L2"), Failed("error", "why")),
    ],
    "earlier logins and refusals count after one that was never sent": [
        *after(failed(not_before=START)),
        (
            Unclear("why", sent=False),
            release(taken(failed(not_before=START), state=DONE, logins=(START,))),
        ),
    ],
    "a failure without a status forgets that of an earlier one": [
        *after(failed(not_before=START)),
        (Unclear("why"), release(blamed(taken(failed()), "unknown", 15, status=""))),
    ],
    # --- publishing ------------------------------------------------------------------------------
    "a publication is sent three times in the version found last, then its session is ended": [
        *PUBLISH,
        (BROKEN, ReadToken()),
        (TokenRead(None, "V1"), Wait(0.25), WriteToken("new", "V1")),
        (BROKEN, ReadToken()),
        (TokenRead(None, "V2"), Wait(0.5), WriteToken("new", "V2")),
        (BROKEN, ReadToken()),
        (TokenRead(None, "V2"), LogOut("new")),
        (Unclear("also"), release(UNSTORED)),
        (Written("L2"), Failed("unwritten", "broken", "also")),
    ],
    "a publication that may yet land is not logged out": [
        *PUBLISH,
        (BUSY, ReadToken()),
        (TokenRead(None, "V1"), Wait(0.25), WriteToken("new", "V1")),
        (BUSY, ReadToken()),
        (TokenRead(None, "V2"), Wait(0.5), WriteToken("new", "V2")),
        (BUSY, ReadToken()),
        (TokenRead(None, "V2"), release(UNSTORED)),
        (Written("L2"), Failed("uncertain", "busy")),
    ],
    "a chance to land is not forgotten when a later try is refused": [
        *PUBLISH,
        (BUSY, ReadToken()),
        (NOTHING, Wait(0.25), WriteToken("new", None)),
        (BROKEN, ReadToken()),
        (BROKEN, release(UNSTORED)),
        (Written("L2"), Failed("uncertain", "broken")),
    ],
    "what was refused for good did not land, and needs no look to be ended": [
        *PUBLISH,
        (BROKEN, ReadToken()),
        (BUSY, LogOut("new")),
        (None, release(UNSTORED)),
        (Written("L2"), Failed("unwritten", "broken")),
    ],
    "another token in the place is made way for": [
        *PUBLISH,
        (Conflict(), ReadToken()),
        (THEIRS, LogOut("new")),
        (None, release(mine(state=DONE))),
        AGAIN,
        (THEIRS, Ask("theirs")),
    ],
    "an own token that may have been there is left alive": [
        *PUBLISH,
        (BUSY, ReadToken()),
        (THEIRS, release(mine(state=DONE))),
        AGAIN,
    ],
    "the same dead token in a new version is replaced": [
        *FIND_DEAD,
        (LockRead(), WriteLock(mine(), None)),
        (Written("L1"), ReadToken()),
        (GONE_DEAD, LogIn(10.0)),
        (NEW, WriteToken("new", "V0")),
        (Conflict(), ReadToken()),
        (TokenRead("dead", "V1", "fp-dead"), Wait(0.25), WriteToken("new", "V1")),
    ],
    "a throttled publication is sent again a second later": [
        *PUBLISH,
        (THROTTLED, ReadToken()),
        (NOTHING, Wait(1.25), WriteToken("new", None)),
    ],
    "a throttled attempt to take the lock is made again a second later": [
        (NOTHING, WriteLock(mine(), None)),
        (THROTTLED, Wait(1.25), ReadLock()),
    ],
    # --- a store with too many requests ----------------------------------------------------------
    "in a crowd reading goes on, ever more slowly, while the caller has time": [
        {"deadline": 60.0},
        (THROTTLED, Wait(0.25), ReadToken()),
        (THROTTLED, Wait(0.5), ReadToken()),
        (THROTTLED, Wait(2.0), ReadToken()),
        (THROTTLED, Wait(8.0), ReadToken()),
        (THROTTLED, Wait(8.0), ReadToken()),
        (60.0, THROTTLED, Failed("error", "slow down")),
    ],
    "in a crowd taking the lock is tried while the caller has time": [
        *[
            (NOTHING, WriteLock(mine(), None)),
            (THROTTLED, Wait(1.25), ReadLock()),
            (LockRead(), WriteLock(mine(), None)),
            (THROTTLED, Wait(1.5), ReadLock()),
            (LockRead(), WriteLock(mine(), None)),
            (THROTTLED, Wait(2.0), ReadLock()),
            (LockRead(), WriteLock(mine(), None)),
            (THROTTLED, Wait(5.0), ReadLock()),
        ],
        (LockRead(held(), "L0", 0.0), Wait(0.5)),
        (WOKE, ReadToken()),
        (THROTTLED, Wait(0.25), ReadToken()),
    ],
    "in a crowd a publication is sent again, in haste, while its lease leaves time": [
        *PUBLISH,
        *[(THROTTLED, ReadToken()), (NOTHING, Wait(1.25), WriteToken("new", None))],
        *[(THROTTLED, ReadToken()), (NOTHING, Wait(1.5), WriteToken("new", None))],
        *[(THROTTLED, ReadToken()), (NOTHING, Wait(2.0), WriteToken("new", None))],
        *[(THROTTLED, ReadToken()), (NOTHING, Wait(3.0), WriteToken("new", None))],
        *[(15.0, THROTTLED, ReadToken()), (NOTHING, Wait(3.0), WriteToken("new", None))],
        *[(15.1, THROTTLED, ReadToken()), (NOTHING, LogOut("new"))],
    ],
    "past the caller's time a publication in a crowd is sent no more": [
        {"deadline": 14.0},
        *PUBLISH,
        *[(THROTTLED, ReadToken()), (NOTHING, Wait(1.25), WriteToken("new", None))],
        *[(THROTTLED, ReadToken()), (NOTHING, Wait(1.5), WriteToken("new", None))],
        *[(14.0, THROTTLED, ReadToken()), (NOTHING, LogOut("new"))],
    ],
    # --- giving the lock back --------------------------------------------------------------------
    "after a conflict a lock that is still mine is given back again": [
        *PUBLISHED,
        (Conflict(), ReadLock()),
        (LockRead(mine(), "L1", 0.0), Wait(1.25), release(FINISHED)),
    ],
    "a lock that cannot be looked at after a conflict is left alone": [
        *PUBLISHED,
        (Conflict(), ReadLock()),
        (BROKEN, Got("new", "logged in")),
    ],
    "past the caller's time the lock is given back once more": [
        {"deadline": 20.0},
        *PUBLISHED,
        (20.0, BUSY, Wait(1.0), release(FINISHED)),
        (BUSY, Got("new", "logged in", 20.0)),
    ],
    "who has a token tries for five seconds to give the lock back": [
        *PUBLISHED,
        (BUSY, Wait(1.25), release(FINISHED)),
        (5.0, BUSY, Got("new", "logged in", 5.0)),
    ],
    # --- what the lock allows --------------------------------------------------------------------
    "a ban holds for a reader whose idea of the store's clock is a second behind": [
        {"wrong": -0.8},
        *FIND_JUNK,
        (LockRead(BAN, "L0", -0.8), Failed("refused", not_before=START + 1200.8)),
    ],
    "a refusal counts although the clock of the refused process was an hour slow": [
        *FIND_JUNK,
        (LockRead(SLOW, "L0", 5.0), Failed("refused", not_before=START + 55)),
    ],
    "a waiter looks at token and lock in turn and ever more rarely": [
        *WAIT,
        (WOKE, ReadToken()),
        (NOTHING, Wait(0.375)),
        (WOKE, ReadLock()),
        (LockRead(held(), "L0", 0.0), Wait(0.5625)),
        (WOKE, ReadToken()),
        (NOTHING, Wait(0.84375)),
        (WOKE, ReadLock()),
        (LockRead(held(), "L0", 0.0), Wait(1.265625)),
        (WOKE, ReadToken()),
        (NOTHING, Wait(1.5)),
        (WOKE, ReadLock()),
        {"at_most": 0.0},
        (LockRead(held(), "L0", 0.0), Wait(0.75)),
    ],
    "a wait ends with the caller's time and says who holds the lock": [
        {"deadline": 10.0},
        *WAIT,
        (9.875, WOKE, ReadToken()),
        (NOTHING, Wait(0.125)),
        (10.0, WOKE, ReadLock()),
        (LockRead(held(), "L0", 10.0), Failed("timeout", "another")),
    ],
    "a login that ended after the look at the token makes it look again, once": [
        *FIND_DEAD,
        (LockRead(done(), "L0", 10.0), ReadToken()),
        (GONE_DEAD, WriteLock(taken(done()), "L0")),
    ],
    "a token found by looking again is adopted on the lock's word": [
        *FIND_DEAD,
        (LockRead(done(), "L0", 1.0), ReadToken()),
        (THEIRS, Got("theirs", "adopted", 60.0)),
    ],
    "a token found by looking again that the lock does not name is asked about": [
        *FIND_DEAD,
        (LockRead(done(published="fp-else"), "L0", 1.0), ReadToken()),
        (THEIRS, Ask("theirs")),
        (Session("theirs", "fp-other"), Got("theirs", "resumed")),
    ],
    "the lock's word is fetched anew for a token that was waited for": [
        *FIND_DEAD,
        (LockRead(done(), "L0", 1.0), ReadToken()),
        (GONE_DEAD, Wait(0.25)),
        (WOKE, ReadToken()),
        (THEIRS, ReadLock()),
        (LockRead(done(), "L0", 1.25), Got("theirs", "adopted", 60.0)),
    ],
    "a lock read a moment ago is not read again": [
        *WAIT,
        (WOKE, ReadToken()),
        (NOTHING, Wait(0.375)),
        (WOKE, ReadLock()),
        (LockRead(done(), "L1", 0.0), ReadToken()),
        (THEIRS, Got("theirs", "adopted", 60.0)),
    ],
    "a lock given back without a publication is not waited for": [
        *FIND_DEAD,
        (LockRead(done(published=""), "L0", 0.0), ReadToken()),
        (GONE_DEAD, WriteLock(taken(done()), "L0")),
    ],
    "a token without a fingerprint is never vouched for": [
        *WAIT,
        (WOKE, ReadToken()),
        (TokenRead("theirs", "V1", ""), ReadLock()),
        (LockRead(done(published=""), "L1", 0.0), Ask("theirs")),
    ],
    "a lock that cannot be read vouches for nothing": [*FOUND, (BUSY, Ask("theirs"))],
    "the fifth login in a minute waits until the first of four is a minute old": [
        *FIND_JUNK,
        (
            LockRead(
                done(
                    logins=(START - 61, START - 50, START - 40, START - 30, START - 20),
                    published="",
                ),
                "L0",
                1.0,
            ),
            Failed("brake", not_before=START + 10),
        ),
    ],
    "the fourth login in a minute is made": [
        *FIND_JUNK,
        (
            LockRead(done(logins=(START - 40, START - 30, START - 20), published=""), "L0", 1.0),
            WriteLock(taken(done(logins=(START - 40, START - 30, START - 20))), "L0"),
        ),
    ],
    "a login exactly a minute old counts no more, nor one over a second in the future": [
        *FIND_JUNK,
        (
            LockRead(
                done(logins=(START - 60, START - 59.9, START + 1, START + 1.1), published=""),
                "L0",
                1.0,
            ),
            WriteLock(taken(done(logins=(START - 59.9, START + 1))), "L0"),
        ),
    ],
}


def walk(script: Script, story: Story) -> None:
    """Tell a script a story's rows."""
    for row in story:
        if isinstance(row, dict):
            vars(script).update(row)
        elif isinstance(row[0], float):
            script.tell_at(*row)
        else:
            script.tell(*row)


def begin(story: Story, script: Script | None = None) -> Script:
    """Begin a call and walk through a story; a dict at its start says how the call begins."""
    first = story[0] if isinstance(story[0], dict) else {}
    named = {name: first[name] for name in ("share", "shared", "deadline") if name in first}
    script = script or Script(**named)
    walk(script, story[bool(named) :])
    return script


@pytest.mark.parametrize("name", STORIES)
def test_a_call_goes_as_its_story_says(name: str) -> None:
    """Each effect is compared whole."""
    begin(STORIES[name])


@pytest.mark.parametrize(
    ("age", "published", "young"),
    [(59.0, "fp-dead", True), (60.0, "fp-dead", False), (59.0, "fp-else", False)],
)
def test_a_token_that_is_rejected_young_is_noticed(
    age: float, published: str, *, young: bool
) -> None:
    """One that a login of the last minute stored: the runner warns of it."""
    script = begin(FIND_DEAD)
    script.at = age
    script.play.tell(LockRead(done(published=published), "L0", age))
    if published != "fp-dead":
        script.play.tell(GONE_DEAD)
    assert isinstance(script.play.asked, WriteLock)
    assert script.login.young is young


@pytest.mark.parametrize(
    ("refusals", "wait"), [(0, 15.0), (1, 60.0), (2, 300.0), (3, 900.0), (9, 900.0)]
)
def test_a_refusal_is_written_down_for_all(refusals: int, wait: float) -> None:
    """With the time from which another login may be tried: longer for each in a row."""
    lock = taken(failed(refusals=refusals), 200, logins=(START + 200,))
    ends = START + 201 + wait
    note = {"status": "OTHER", "refusals": refusals + 1}
    begin(
        [
            *FIND_DEAD,
            (
                200.0,
                LockRead(failed(refusals=refusals, published="fp-dead"), "L0", 200.0),
                WriteLock(lock, "L0"),
            ),
            (Written("L1"), ReadToken()),
            (GONE_DEAD, LogIn(10.0)),
            (
                201.0,
                Refused("no", "OTHER", "account"),
                release(blamed(lock, "account", wait, 201, **note)),
            ),
            (Written("L2"), Failed("error", "no", not_before=ends)),
        ]
    )


@pytest.mark.parametrize("answer", [BUSY, BROKEN, Conflict("late")])
def test_a_publication_without_a_good_answer_is_looked_at(answer: StoreError) -> None:
    """It may have landed."""
    begin(
        [
            *PUBLISH,
            (answer, ReadToken()),
            (TokenRead("new", "V1", "fp-new"), release(FINISHED)),
            LOGGED_IN,
        ]
    )


@pytest.mark.parametrize(
    "answer", [StoreFailed("e", passing=True), StoreFailed("e", landed=True), Conflict("e")]
)
def test_a_look_that_only_can_tell_is_repeated_when_it_fails(answer: StoreError) -> None:
    """Without it nobody knows whether the token was stored."""
    looks = [(BUSY, Wait(0.25), ReadToken()), (BUSY, Wait(0.5), ReadToken())]
    begin(
        [
            *PUBLISH,
            (answer, ReadToken()),
            *looks,
            (2.0, BUSY, release(UNSTORED)),
            (Written("L2"), Failed("uncertain", "e")),
        ]
    )


# --- giving the lock back ------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [BUSY, THROTTLED])
def test_a_lock_that_cannot_be_given_back_at_once_is_given_back_later(trouble: StoreError) -> None:
    """A second later and more: stores take one change of an object a second."""
    retries = [(trouble, Wait(1.25), release(FINISHED)), (trouble, Wait(1.5), release(FINISHED))]
    script = begin([*PUBLISHED, *retries, LOGGED_IN])
    assert script.memory.owed is None


@pytest.mark.parametrize("refused", [False, True])
def test_who_has_a_token_waits_less_for_the_lock_than_who_was_refused(*, refused: bool) -> None:
    """Five seconds; a refusal has what is left of the lease, and is remembered after that."""
    script = begin(LOG_IN if refused else PUBLISH)
    script.play.tell(Refused("no", "BANNED", "ban") if refused else Written("V1"))
    while isinstance(asked := script.play.asked, WriteLock | Wait):
        script.at += asked.seconds if isinstance(asked, Wait) else 0.0
        script.play.tell(WOKE if isinstance(asked, Wait) else BUSY)
    assert 25.0 < script.at <= 30.0 if refused else 4.0 < script.at <= 8.0
    owed = script.memory.owed
    assert owed
    assert (owed.nonce, owed.state) == ("mine", FAILED if refused else DONE)


@pytest.mark.parametrize(
    ("read", "owes"), [(mine(state=DONE), False), (held(), True), (None, True)]
)
def test_a_lock_that_is_not_mine_any_more_is_left_alone(read: Lock | None, *, owes: bool) -> None:
    """After a conflict it is looked at: an earlier try may have landed, or another has it."""
    look = (LockRead(read, "L2" if read else None, 0.0), Got("new", "logged in"))
    script = begin([*PUBLISHED, (Conflict(), ReadLock()), look])
    assert (script.memory.owed is not None) is owes


NOTED = blamed(mine(), "ban", 1200, status="BANNED", refusals=1)
BANNED = Failed("refused", not_before=START + 1200)


def banned() -> Script:
    """A call that was refused, and could not note it."""
    refusal = (Refused("no", "BANNED", "ban"), release(NOTED))
    end = (BROKEN, Failed("error", "no", not_before=START + 1200))
    return begin([*LOG_IN, refusal, end])


@pytest.mark.parametrize("answers", [[Written("L2")], [BROKEN], [BUSY, BUSY]])
def test_a_refusal_that_could_not_be_noted_is_noted_by_the_next_call(answers: list[object]) -> None:
    """Before anything else, in two tries, and that call logs in no more than the others.

    Its times are told from now, by the store's clock as it is known now.
    """
    again = Script(memory=banned().memory)
    again.wrong = 500.0
    noted = release(NOTED._replace(since=START + 540, not_before=START + 1700))
    walk(again, [(40.0, NOTHING, ReadLock()), (LockRead(mine(), "L1", 40.0), noted)])
    walk(again, [(answers[0], Wait(1.25), noted)] if answers[1:] else [])
    walk(again, [(answers[-1], BANNED)])


def test_a_refusal_that_has_ended_holds_up_no_call_of_its_process() -> None:
    """Although its lock is still there as it was taken."""
    again = Script(memory=banned().memory)
    walk(again, [(1300.0, JUNK, ReadLock())])
    again.play.tell(LockRead(mine(), "L1", 1300.0))
    assert isinstance(again.play.asked, WriteLock)


@pytest.mark.parametrize(
    "read", [LockRead(), LockRead(done(since=START - 9, published=""), "L0", 9.0)]
)
def test_a_refusal_that_could_not_be_noted_is_remembered_by_the_process(read: LockRead) -> None:
    """Although the lock is gone, or another's."""
    walk(Script(memory=banned().memory), [*FIND_JUNK, (read, BANNED)])


@pytest.mark.parametrize(("slow_wall", "ends"), [(-1000.0, 2207.0), (20.0, 1207.0)])
def test_a_step_of_a_clock_shortens_no_refusal_that_is_remembered(
    slow_wall: float, ends: float
) -> None:
    """40 s have passed by one clock, and more by the other or less: less counts."""
    memory = banned().memory
    memory.since = (7.0, START + 7.0)
    again = Script(memory=memory)
    again.slow_wall = slow_wall
    walk(again, [(47.0, JUNK, ReadLock())])
    walk(again, [(LockRead(), Failed("refused", not_before=START + ends))])


def test_a_later_login_than_the_refused_one_ends_that_memory() -> None:
    """Another has logged in since, so it holds no more."""
    again = Script(memory=banned().memory)
    walk(again, FIND_JUNK)
    again.play.tell(LockRead(done(since=START + 9, published=""), "L0", 1.0))
    assert isinstance(again.play.asked, WriteLock)
    assert again.memory.owed is None


OWING = [
    (TokenRead("new", "V1", "fp-new"), Ask("new")),
    (DEAD, ReadLock()),
    (LockRead(mine(), "L1", 5.0), ReadToken()),
    (TokenRead("new", "V1", "fp-new"), WriteLock(taken(mine()), "L1")),
]


def test_a_finished_login_that_could_not_be_noted_holds_up_no_later_one() -> None:
    """The process that made it takes the lock as if it were given back; so do others, in vain."""
    memory = begin([*PUBLISHED, (BROKEN, Got("new", "logged in"))]).memory
    again = Script(memory=memory)
    walk(again, [*OWING, (Conflict(), ReadLock()), (LockRead(held(), "L2", 0.0), Wait(0.25))])


def test_an_attempt_whose_fate_could_not_be_read_is_known_to_the_next_call() -> None:
    """It takes that lock up at once, with the login not counted that was never made."""
    lost = [
        (NOTHING, WriteLock(mine(), None)),
        (BUSY, ReadLock()),
        (BROKEN, Failed("error", "broken")),
    ]
    again = Script(memory=begin(lost).memory)
    lock = mine(since=START + 1, logins=(START + 1,))
    walk(again, [(1.0, NOTHING, ReadLock()), (LockRead(mine(), "L1", 1.0), WriteLock(lock, "L1"))])


# --- a token object that may not be writable -----------------------------------------------------


def doubted(before: Lock | None = None, age: float = 1.0) -> Script:
    """Walk to the write that shows that the token can be written, after it could not."""
    script = begin(FIND_DEAD)
    unstored = failed(login_class="store", status="", refusals=0, published="fp-dead")
    script.play.tell(LockRead(before or unstored, "L0", age))
    assert isinstance(script.play.asked, WriteLock)
    walk(script, [(Written("L1"), ReadToken()), (GONE_DEAD, WriteToken(None, "V0"))])
    return script


def test_after_a_token_that_was_not_stored_a_blank_is_written_before_the_next_login() -> None:
    """At once, without a waiting time; the new token replaces the blank."""
    script = doubted()
    walk(script, [(Written("V1"), LogIn(10.0)), (NEW, WriteToken("new", "V1"))])
    script.play.tell(Written("V2"))
    assert isinstance(script.play.asked, WriteLock)
    assert script.play.asked.lock.login_class == ""


def test_who_takes_over_from_a_holder_that_is_gone_writes_a_blank_first() -> None:
    """A token that the dead process may have sent finds its version gone."""
    doubted(held(), 31.0)


@pytest.mark.parametrize("error", [BROKEN, BUSY, THROTTLED, Conflict()])
def test_where_the_blank_cannot_be_written_nobody_logs_in(error: StoreError) -> None:
    """The store's error is raised, the earlier login is the last counted, the next call tries."""
    script = doubted()
    pauses = []
    while not isinstance(asked := script.play.asked, WriteLock):
        assert isinstance(asked, WriteToken | ReadToken | Wait)
        pauses += [asked.seconds] if isinstance(asked, Wait) else []
        script.play.tell({WriteToken: error, ReadToken: GONE_DEAD}.get(type(asked)))
    expected: dict[StoreError, list[float]] = {BROKEN: [], THROTTLED: [1.25, 1.5]}
    assert pauses == expected.get(error, [0.25, 0.5])
    assert (asked.lock.state, asked.lock.login_class) == (FAILED, "store")
    assert asked.lock.logins == (START,)
    script.play.tell(Written("L2"))
    ended: object = script.play.asked
    assert ended is error or (isinstance(ended, StoreWriteError) and ended.reason == "conflict")


@pytest.mark.parametrize("there", [THEIRS, TokenRead("dead", "V1", "fp-dead")])
def test_a_conflict_of_the_blank_is_looked_at(there: TokenRead) -> None:
    """Whatever another wrote, the call begins anew with it."""
    script = doubted()
    walk(script, [(Conflict(), ReadToken())])
    script.play.tell(there)
    assert isinstance(script.play.asked, WriteLock)
    walk(script, [AGAIN])


def test_a_store_that_always_conflicts_ends_the_call() -> None:
    """Although nothing changes, each write of the lock is refused as if something did."""
    script = begin(OUTBID)
    writes = 1
    answers = {WriteLock: Conflict(), ReadLock: LockRead(), Wait: WOKE}
    while type(script.play.asked) in answers:
        writes += isinstance(script.play.asked, WriteLock)
        script.play.tell(answers[type(script.play.asked)])
    assert isinstance(script.play.asked, StoreWriteError)
    assert (script.play.asked.reason, writes) == ("conflict", 7)


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("taken_over", [False, True])
@pytest.mark.parametrize("by", ["age", "watched"])
def test_a_held_lock_expires_by_its_own_time_and_a_second(by: str, *, taken_over: bool) -> None:
    """By the store's clock, or by how long it was watched."""
    at = 31.0 if taken_over else 30.9
    age, watched = (at, 0.0) if by == "age" else (None, at)
    lock = taken(held(), watched, nonce="nonce 2", login_class="store")
    looks = [(watched, WOKE, ReadToken()), (NOTHING, Wait(0.375)), (WOKE, ReadLock())]
    end = WriteLock(lock, "L0") if taken_over else Wait(0.5625)
    begin([*WAIT, *looks, (LockRead(held(), "L0", age), end)])


def test_a_lock_that_changes_is_watched_anew() -> None:
    """Another holder has its own time; one that claims more than two minutes has two."""
    script = begin(WAIT)
    for version, at, waits in [
        ("L1", 25.0, True),
        ("L1", 55.0, True),
        ("L2", 56.5, True),
        ("L2", 177.4, True),
        ("L2", 177.5, False),
    ]:
        script.at = at
        for event in (WOKE, NOTHING, WOKE, LockRead(held(ttl=500.0), version)):
            script.play.tell(event)
        assert isinstance(script.play.asked, Wait if waits else WriteLock)


@pytest.mark.parametrize(
    ("age", "waits"), [(-1.1, False), (-1.0, True), (4.0, True), (4.1, False), (None, False)]
)
def test_a_token_just_published_that_is_not_there_is_waited_for(
    age: float | None, *, waits: bool
) -> None:
    """Four seconds: a lagging read shows what was before."""
    end = Wait(0.25) if waits else WriteLock(taken(done()), "L0")
    begin([*FIND_DEAD, (LockRead(done(), "L0", age), ReadToken()), (GONE_DEAD, end)])


@pytest.mark.parametrize(
    ("lock", "age", "adopted"),
    [
        (done(), 0.0, True),
        (done(), 60.0, True),
        (done(), 60.1, False),
        (done(), -1.1, False),
        (done(), None, False),
        (done(published="fp-else"), 0.0, False),
        (held(published="fp-other"), 0.0, False),
        (failed(published="fp-other"), 0.0, False),
        (None, None, False),
    ],
)
def test_a_waiter_adopts_what_the_lock_vouches_for(
    lock: Lock | None, age: float | None, *, adopted: bool
) -> None:
    """Within a minute of the login, and that very token; anything else is asked about."""
    read = LockRead(lock, "L1" if lock else None, age)
    begin(
        [*FOUND, (read, Got("theirs", "adopted", 60.0))]
        if adopted
        else [
            *FOUND,
            (read, Ask("theirs")),
            (Session("theirs", "fp-other"), Got("theirs", "adopted")),
        ]
    )


@pytest.mark.parametrize(
    ("not_before", "age", "left"),
    [
        (60.0, 0.0, 60.0),
        (60.0, 59.5, 0.5),
        (60.0, 60.0, None),
        (60.0, -5.0, 65.0),
        (60.0, None, 60.0),
        # No refusal counts for longer than a ban.
        (5000.0, 0.0, 1200.0),
        (5000.0, 1199.0, 1.0),
        (5000.0, 1200.0, None),
        # Without an age, a time far ahead is junk, and one a little ahead another's clock.
        (2400.0, None, 2400.0),
        (2400.1, None, None),
    ],
)
def test_a_refusal_counts_for_its_time(
    not_before: float, age: float | None, left: float | None
) -> None:
    """By its age on the store's clock; without that, by the clock itself."""
    lock = failed(not_before=START + not_before)
    end = (
        WriteLock(taken(lock), "L0") if left is None else Failed("refused", not_before=START + left)
    )
    begin([*FIND_JUNK, (LockRead(lock, "L0", age), end)])
    if not_before == 60.0:  # with a token of which the lock does not speak, that is looked at first
        begin([*FIND_DEAD, (LockRead(lock, "L0", age), ReadToken()), (GONE_DEAD, end)])
