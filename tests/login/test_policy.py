"""The policy's answers, step by step and to the letter; tests/explore looks for what is unsafe.

A story is what happens to one call, row by row: an event, and what the policy asks for then (more
effects in a row follow waits). A number before them is when it happens, in seconds since the start;
a dict sets the script's clocks. What keeps the fleet safe is tested there, not here as well.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from betfair_session import (
    IdentityUnavailable,
    LoginBrake,
    LoginRefused,
    LoginTimeout,
    PublishUncertain,
    StoreError,
    StoreWriteError,
)
from betfair_session.login.effects import (
    Ask,
    LiveToken,
    LockRead,
    LogIn,
    LogOut,
    ReadLock,
    ReadToken,
    TokenRead,
    Wait,
    WriteLock,
    WriteToken,
    Written,
)
from betfair_session.login.lock import DONE, FAILED, NONE, Lock, Memory

from .script import (
    DEAD,
    ERRORS,
    START,
    WOKE,
    Failed,
    Got,
    Script,
    blamed,
    done,
    failed,
    held,
    mine,
    release,
    story,
    taken,
)

BUSY, BROKEN, THROTTLED = ERRORS["lost"](), ERRORS["forbidden"](), ERRORS["throttled"]()
CONFLICT, UNSENT = ERRORS["conflict"](), ERRORS["unsent"]()
REFUSED, BAN = ERRORS["account"](), ERRORS["ban"]()

NOTHING, JUNK = TokenRead(), TokenRead(None, "V0")
GONE_DEAD = TokenRead("dead", "V0", "fp-dead")
THEIRS = TokenRead("theirs", "V1", "fp-other")
LIVE, NEW = LiveToken("live", "fp"), LiveToken("new", "fp-new")

UNTOUCHED = mine(state=DONE, logins=())
FINISHED = mine(state=DONE, published="fp-new")
UNSTORED = blamed(mine(), "store", 15)

TAKE = WriteLock(mine(), None)
SEND = WriteToken("new", None)
FIND_LIVE = (TokenRead("live", "V0", "fp"), Ask("live"))
FIND_DEAD = [(GONE_DEAD, Ask("dead")), (DEAD, ReadLock())]
FIND_JUNK = (JUNK, ReadLock())
FREE = [(NOTHING, ReadLock()), (LockRead(), TAKE)]
HOLD = [*FREE, (Written("L1"), ReadToken())]
LOG_IN = [*HOLD, (NOTHING, LogIn(10.0))]
PUBLISH = [*LOG_IN, (NEW, SEND)]
PUBLISHED = [*PUBLISH, (Written("V1"), release(FINISHED))]
LOGGED_IN = (Written("L2"), Got("new", "logged in"))
AGAIN = (Written("L2"), ReadToken())
OUTBID = [*FREE, (CONFLICT, ReadLock())]
WAIT = [*OUTBID, (LockRead(held(), "L0", 0.0), Wait(0.25))]
FOUND = [*WAIT, (WOKE, ReadToken()), (THEIRS, ReadLock())]
LATER: Any = {"since": START + 72, "logins": (START + 72,)}


def minute(*ago: float) -> LockRead:
    """Return a lock that was given back, with logins so many seconds ago."""
    return LockRead(done(logins=tuple(START - each for each in ago), published=""), "L0", 1.0)


STORIES: dict[str, list[Any]] = {
    "a rotated token that another's has overtaken is not trusted unasked": [
        (TokenRead("old", "V0", "fp"), Ask("old")),
        (NEW, WriteToken("new", "V0")),
        (CONFLICT, Got("new", "resumed", math.inf)),
    ],
    "a rotated token is used although it could not be written": [
        (TokenRead("old", "V0", "fp"), Ask("old")),
        (NEW, WriteToken("new", "V0")),
        (BROKEN, Got("new", "resumed")),
    ],
    "a verification is shared by writing the token anew": [
        {"share": True},
        FIND_LIVE,
        (10.0, LIVE, WriteToken("live", "V0")),
        (Written("V1"), Got("live", "resumed", 10.0)),
    ],
    "a verification that a sleep has made old is not shared": [
        {"share": True},
        FIND_LIVE,
        {"slow_wall": -7200.0},
        (LIVE, Got("live", "resumed", 7200.0)),
    ],
    "without conditions a late write could replace a newer token": [
        {"share": True, "atomic": False},
        FIND_LIVE,
        (LIVE, Got("live", "resumed")),
    ],
    # --- a store in trouble ----------------------------------------------------------------------
    "troubles are counted in a row": [
        (BUSY, Wait(0.25), ReadToken()),
        *FIND_DEAD,
        (BUSY, Wait(0.25), ReadLock()),
        (BUSY, Wait(0.5), ReadLock()),
        {"jitters": 0.0},
        (LockRead(held(), "L0", 0.0), Wait(0.125)),
        (WOKE, ReadToken()),
        (BROKEN, BROKEN),
    ],
    "in a crowd reading goes on, ever more slowly, while the caller has time": [
        {"deadline": 60.0},
        (THROTTLED, Wait(0.25), ReadToken()),
        (THROTTLED, Wait(0.5), ReadToken()),
        (THROTTLED, Wait(2.0), ReadToken()),
        (THROTTLED, Wait(8.0), ReadToken()),
        (THROTTLED, Wait(8.0), ReadToken()),
        (60.0, THROTTLED, THROTTLED),
    ],
    "in a crowd taking the lock is tried while the caller has time": [
        *FREE,
        (THROTTLED, Wait(1.25), ReadLock()),
        (LockRead(), TAKE),
        (THROTTLED, Wait(1.5), ReadLock()),
        (LockRead(), TAKE),
        (THROTTLED, Wait(2.0), ReadLock()),
        (LockRead(), TAKE),
        (THROTTLED, Wait(5.0), ReadLock()),
        (LockRead(held(), "L0", 0.0), Wait(0.5)),
        (WOKE, ReadToken()),
        (THROTTLED, Wait(0.25), ReadToken()),
    ],
    "in a crowd a publication is sent again, in haste, while its lease leaves time": [
        *PUBLISH,
        *[(THROTTLED, ReadToken()), (NOTHING, Wait(1.25), SEND)],
        *[(THROTTLED, ReadToken()), (NOTHING, Wait(1.5), SEND)],
        *[(THROTTLED, ReadToken()), (NOTHING, Wait(2.0), SEND)],
        *[(15.0, THROTTLED, ReadToken()), (NOTHING, Wait(3.0), SEND)],
        *[(15.1, THROTTLED, ReadToken()), (NOTHING, LogOut("new"))],
    ],
    # --- taking the lock -------------------------------------------------------------------------
    "a call with too little time for a login says who logs in": [
        {"deadline": 2.625},
        (NOTHING, ReadLock()),
        (LockRead(held(), "L0", 0.0), Wait(0.25)),
        (2.5, WOKE, ReadToken()),
        (NOTHING, Wait(0.125)),
        (2.625, WOKE, ReadLock()),
        (LockRead(held(since=1e300), "L0", 0.0), Failed(LoginTimeout, owner="another", since=None)),
    ],
    "a waiting call that finds another's refusal reads the token once more, and waits no longer": [
        *FIND_DEAD,
        (LockRead(held(), "L0", 0.0), Wait(0.25)),
        (WOKE, ReadToken()),
        (GONE_DEAD, Wait(0.375)),
        (WOKE, ReadLock()),
        (LockRead(failed(), "L1", 1.0), ReadToken()),
        (GONE_DEAD, Failed(LoginRefused, status="STATUS")),
    ],
    "a call whose time ends while the lock cannot be written tells why": [
        {"deadline": 4.0},
        *FREE,
        (BUSY, ReadLock()),
        (2.0, LockRead(), BUSY),
    ],
    "a call whose time ends while others take the lock says that its time has ended": [
        {"deadline": 4.0},
        *OUTBID,
        (2.0, LockRead(), Failed(LoginTimeout, owner=None)),
    ],
    "without conditions nobody waits for another": [
        {"atomic": False},
        *FIND_DEAD,
        (LockRead(held(), "L0", 0.0), WriteLock(taken(held()), "L0", conditional=False)),
    ],
    "a lock of mine whose answer was lost is mine": [
        *FREE,
        (BUSY, ReadLock()),
        (LockRead(mine(), "L1", 0.0), ReadToken()),
        (NOTHING, LogIn(10.0)),
    ],
    "a late write of an attempt that was outbid is not taken for a later one": [
        # seed 742330 of the histories
        *FREE,
        (BUSY, ReadLock()),
        (LockRead(held(), "L0", 0.0), Wait(0.25)),
        (1.0, WOKE, ReadToken()),
        (1.0, NOTHING, Wait(0.375)),
        (2.0, WOKE, ReadLock()),
        (72.0, LockRead(), WriteLock(taken(done(logins=()), 72, nonce="nonce 2"), None)),
        (72.0, CONFLICT, Wait(0.5), ReadLock()),
        (
            LockRead(mine(), "L1", 38.0),
            WriteLock(taken(mine(), 72, nonce="nonce 3", login_class="store", **LATER), "L1"),
        ),
        (Written("L2"), ReadToken()),
        (NOTHING, WriteToken(None, None)),
        (Written("V1"), LogIn(10.0)),
    ],
    # --- the lock in hand ------------------------------------------------------------------------
    # 30 s of it, less 10 for the login and 5 for the store, by the clock that went further.
    "a lock with just enough time is used": [*HOLD, (15.0, NOTHING, LogIn(10.0))],
    "a lock too old for a login is given back": [*HOLD, (15.1, NOTHING, release(UNTOUCHED)), AGAIN],
    "below two seconds there is no login": [
        {"deadline": 8.0},
        *HOLD,
        (5.375, NOTHING, release(UNTOUCHED)),
        (Written("L2"), Failed(LoginTimeout, owner=None)),
    ],
    "nobody logs in for a caller who has given up": [
        *HOLD,
        {"left": lambda: 0.0},
        (5.0, NOTHING, release(UNTOUCHED)),
        (Written("L2"), Failed(LoginTimeout, owner=None)),
    ],
    "nor waits for another's login": [
        *WAIT,
        {"left": lambda: 0.0},
        (WOKE, ReadToken()),
        (NOTHING, Failed(LoginTimeout, owner="another")),
    ],
    "a login for one who may give up soon has its usual time": [
        *HOLD,
        {"left": lambda: 1.0},
        (NOTHING, LogIn(10.0)),
        {"left": lambda: 0.0},
        (NEW, SEND),
        (BUSY, ReadToken()),
        (NOTHING, Wait(0.25), SEND),
    ],
    "a login without an answer keeps all from another for a moment": [
        *LOG_IN,
        (3.0, ERRORS["unclear"](), release(blamed(mine(), "unknown", 15, 3))),
        (Written("L2"), Failed(IdentityUnavailable, not_before=START + 18)),
    ],
    "a login that was never sent is none": [
        *LOG_IN,
        (UNSENT, release(UNTOUCHED)),
        (Written("L2"), UNSENT),
    ],
    "a login that succeeds forgets earlier refusals": [
        FIND_JUNK,
        (
            100.0,
            LockRead(failed(), "L0", 100.0),
            WriteLock(taken(failed(), 100, logins=(START + 100,)), "L0"),
        ),
        (Written("L1"), ReadToken()),
        (JUNK, LogIn(10.0)),
        (NEW, WriteToken("new", "V0")),
        (Written("V1"), release(FINISHED._replace(since=START + 100, logins=(START + 100,)))),
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
        (UNSENT, release(UNSTORED)),
        (Written("L2"), Failed(StoreWriteError, __cause__=BROKEN, logout_error=UNSENT)),
    ],
    "a chance to land is not forgotten when a later try is refused": [
        *PUBLISH,
        (BUSY, ReadToken()),
        (NOTHING, Wait(0.25), SEND),
        (BROKEN, ReadToken()),
        (BROKEN, release(UNSTORED)),
        (Written("L2"), Failed(PublishUncertain, __cause__=BROKEN)),
    ],
    "what was refused for good did not land, and needs no look to be ended": [
        *PUBLISH,
        (BROKEN, ReadToken()),
        (BUSY, LogOut("new")),
        (None, release(UNSTORED)),
        (Written("L2"), Failed(StoreWriteError, __cause__=BROKEN, logout_error=None)),
    ],
    "an own token that may have been there is left alive": [
        *PUBLISH,
        (BUSY, ReadToken()),
        (THEIRS, release(mine(state=DONE))),
        AGAIN,
    ],
    # --- giving the lock back --------------------------------------------------------------------
    "after a conflict a lock that is still mine is given back again": [
        *PUBLISHED,
        (CONFLICT, ReadLock()),
        (LockRead(mine(), "L1", 0.0), Wait(1.25), release(FINISHED)),
    ],
    "a lock that cannot be looked at after a conflict is left alone": [
        *PUBLISHED,
        (CONFLICT, ReadLock()),
        (BROKEN, Got("new", "logged in")),
    ],
    # --- what the lock allows --------------------------------------------------------------------
    "a login that got no answer counts for a moment": [
        FIND_JUNK,
        (
            LockRead(failed(status="", login_class="unknown", not_before=START + 15), "L0", 5.0),
            Failed(IdentityUnavailable, not_before=START + 10),
        ),
    ],
    "a token found by looking again is adopted on the lock's word": [
        *FIND_DEAD,
        (LockRead(done(), "L0", 1.0), ReadToken()),
        (THEIRS, Got("theirs", "adopted", 60.0)),
    ],
    "the lock's word is fetched anew for a token that was waited for": [
        *FIND_DEAD,
        (LockRead(done(), "L0", 1.0), ReadToken()),
        (GONE_DEAD, Wait(0.25)),
        (WOKE, ReadToken()),
        (THEIRS, ReadLock()),
        (LockRead(done(), "L0", 1.25), Got("theirs", "adopted", 60.0)),
    ],
    "a lease begins with the first try to take the lock, which may have landed late": [
        *FREE,
        (8.0, BUSY, ReadLock()),
        (LockRead(), WriteLock(mine(since=START + 8, logins=(START + 8,)), None)),
        (16.0, CONFLICT, Wait(0.5), ReadLock()),
        (LockRead(mine(), "L1", 16.0), ReadToken()),
        (NOTHING, release(UNTOUCHED)),
    ],
    "a lock that cannot be read vouches for nothing": [*FOUND, (BUSY, Ask("theirs"))],
    "the fifth login in a minute waits until the first of four is a minute old": [
        FIND_JUNK,
        (minute(61, 59, 50, 40, 30, 20), Failed(LoginBrake, not_before=START + 10)),
    ],
    "a login exactly a minute old counts no more, nor one over a second in the future": [
        FIND_JUNK,
        (minute(60, 59.9, -1, -1.1), WriteLock(taken(minute(59.9, -1).lock), "L0")),
    ],
}


@pytest.mark.parametrize("name", STORIES)
def test_a_call_goes_as_its_story_says(name: str) -> None:
    story(*STORIES[name])


@pytest.mark.parametrize(
    ("age", "published", "young"),
    [(59.0, "fp-dead", True), (60.0, "fp-dead", False), (59.0, "fp-else", False)],
)
def test_a_token_that_is_rejected_young_is_noticed(
    age: float, published: str, *, young: bool
) -> None:
    script = story(*FIND_DEAD, (age, LockRead(done(published=published), "L0", age)))
    if published != "fp-dead":
        script.tell(GONE_DEAD)
    assert isinstance(script.asked, WriteLock)
    assert script.login.young is young


@pytest.mark.parametrize(
    ("refusals", "wait"), [(0, 15.0), (1, 60.0), (2, 300.0), (3, 900.0), (9, 900.0)]
)
def test_a_refusal_is_written_down_for_all(refusals: int, wait: float) -> None:
    """With the time from which another login may be tried: longer for each in a row."""
    before = failed(refusals=refusals, published="fp-dead")
    lock = taken(before, 200, logins=(START + 200,))
    note = blamed(lock, "account", wait, 201, status="CODE", refusals=refusals + 1)
    story(
        *FIND_DEAD,
        (200.0, LockRead(before, "L0", 200.0), WriteLock(lock, "L0")),
        (Written("L1"), ReadToken()),
        (GONE_DEAD, LogIn(10.0)),
        (201.0, REFUSED, release(note)),
        (Written("L2"), Failed(LoginRefused, not_before=START + 201 + wait)),
    )


@pytest.mark.parametrize("answer", [BUSY, BROKEN, CONFLICT])
def test_a_publication_without_a_good_answer_is_looked_at(answer: StoreError) -> None:
    """It may have landed; where only a look can tell, one that fails is repeated."""
    publish = [*PUBLISH, (answer, ReadToken())]
    story(*publish, (TokenRead("new", "V1", "fp-new"), release(FINISHED)), LOGGED_IN)
    if answer is not BROKEN:
        looks = [(BUSY, Wait(0.25), ReadToken()), (BUSY, Wait(0.5), ReadToken())]
        end = (Written("L2"), Failed(PublishUncertain, __cause__=answer, landed=True))
        story(*publish, *looks, (2.0, BUSY, release(UNSTORED)), end)


# --- giving the lock back ------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [BUSY, THROTTLED])
def test_a_lock_that_cannot_be_given_back_at_once_is_given_back_later(trouble: StoreError) -> None:
    """A second later and more: stores take one change of an object a second."""
    retries = [(trouble, Wait(1.25), release(FINISHED)), (trouble, Wait(1.5), release(FINISHED))]
    assert story(*PUBLISHED, *retries, LOGGED_IN).memory.owed is None


@pytest.mark.parametrize("refused", [False, True])
def test_who_has_a_token_waits_less_for_the_lock_than_who_was_refused(*, refused: bool) -> None:
    """A token: five seconds. A refusal: what is left of the lease, and then it is remembered."""
    script = story(*(LOG_IN if refused else PUBLISH))
    script.tell(BAN if refused else Written("V1"))
    while isinstance(asked := script.asked, WriteLock | Wait):
        script.at += asked.seconds if isinstance(asked, Wait) else 0.0
        script.tell(WOKE if isinstance(asked, Wait) else BUSY)
    assert 25.0 < script.at <= 30.0 if refused else 4.0 < script.at <= 8.0
    owed = script.memory.owed
    assert owed
    assert (owed.nonce, owed.state) == ("nonce 1", FAILED if refused else DONE)


@pytest.mark.parametrize(
    ("read", "owes"), [(mine(state=DONE), False), (held(), True), (NONE, True)]
)
def test_a_lock_that_is_not_mine_any_more_is_left_alone(read: Lock, *, owes: bool) -> None:
    """After a conflict it is read: an earlier try may have landed, or another process has it."""
    look = (LockRead(read, None if read == NONE else "L2", 0.0), Got("new", "logged in"))
    script = story(*PUBLISHED, (CONFLICT, ReadLock()), look)
    assert (script.memory.owed is not None) is owes


NOTED = blamed(mine(), "ban", 1200, status="CODE", refusals=1)
BANNED = Failed(LoginRefused, not_before=START + 1200)


def again() -> Script:
    """Begin the next call of a process that was refused, and could not note it."""
    refusal = (BAN, release(NOTED))
    end = (BROKEN, Failed(LoginRefused, not_before=START + 1200))
    return Script(memory=story(*LOG_IN, refusal, end).memory)


@pytest.mark.parametrize("answers", [[Written("L2")], [BROKEN], [BUSY, BUSY]])
def test_a_refusal_that_could_not_be_noted_is_noted_by_the_next_call(answers: list[object]) -> None:
    """Before anything else, in two tries, and that call logs in no more than the others.

    Its times are counted from now, by the store's clock as it is known now.
    """
    noted = release(NOTED._replace(since=START + 540, not_before=START + 1700))
    read = (LockRead(mine(), "L1", 40.0), noted)
    retries = [(answers[0], Wait(1.25), noted)] if answers[1:] else []
    script = again().walk({"wrong": 500.0}, (40.0, NOTHING, ReadLock()), read, *retries)
    script.tell(answers[-1], BANNED)


@pytest.mark.parametrize(
    ("at", "read", "holds"),
    [
        (0.0, LockRead(), True),
        (0.0, LockRead(done(since=START - 9, published=""), "L0", 9.0), True),
        (0.0, LockRead(done(since=START + 9, published=""), "L0", 1.0), False),
        (0.0, LockRead(mine(state=DONE, since=0.0), "L2", 0.0), False),
        (1300.0, LockRead(mine(), "L1", 1300.0), False),
    ],
)
def test_a_refusal_that_could_not_be_noted_is_remembered_by_the_process(
    at: float, read: LockRead, *, holds: bool
) -> None:
    """Although the lock is gone, or another's; but not past its end, a later login or `unlock`."""
    script = again().walk((at, JUNK, ReadLock()))
    script.tell(read, *([BANNED] if holds else []))
    assert isinstance(script.asked, WriteLock) is not holds


@pytest.mark.parametrize(("slow_wall", "ends"), [(-1000.0, 2207.0), (20.0, 1187.0)])
def test_a_step_of_a_clock_changes_no_refusal_that_is_remembered(
    slow_wall: float, ends: float
) -> None:
    """40 s have passed by the steady clock, and more by the other or less."""
    script = again()
    script.memory.since = (307.0, START + 7.0)
    end = (LockRead(), Failed(LoginRefused, not_before=START + ends))
    script.walk({"slow_wall": slow_wall}, (47.0, JUNK, ReadLock()), end)


def test_a_lock_that_could_not_be_taken_is_still_known_to_be_ones_own() -> None:
    """As if it were given back; and the dead token is known to be dead."""
    memory = story(*PUBLISHED, (BROKEN, Got("new", "logged in"))).memory
    take = WriteLock(taken(mine()), "L1")
    asks: list[Any] = [(TokenRead("new", "V1", "fp-new"), Ask("new")), (DEAD, ReadLock())]
    for rows, end in ((asks, BROKEN), ([(TokenRead("new", "V1", "fp-new"), ReadLock())], None)):
        reads = [
            (LockRead(mine(), "L1", 5.0), ReadToken()),
            (TokenRead("new", "V1", "fp-new"), take),
        ]
        script = Script(memory=memory).walk(*rows, *reads)
        if end:
            script.tell(end, end)
    script.tell(Written("L2"), ReadToken())


@pytest.mark.parametrize(("ago", "known"), [(60.0, True), (60.1, False)])
def test_a_token_found_dead_is_asked_about_again_a_minute_later(ago: float, *, known: bool) -> None:
    memory = Memory()
    memory.bury("dead", (300.0 - ago, START - ago))
    Script(memory=memory).tell(GONE_DEAD, ReadLock() if known else Ask("dead"))


def test_a_lock_is_still_ones_own_when_taking_it_did_not_land() -> None:
    """The answer was lost, and the lock is as an earlier call of this process left it."""
    memory, dead, own = Script().memory, TokenRead("dead", "V1", "fp"), LockRead(held(), "L1", 5.0)
    memory.owe(held().untouched(), (300.0, START))
    take = WriteLock(taken(held().untouched()), "L1")
    rows = [(dead, Ask("dead")), (DEAD, ReadLock()), (own, ReadToken()), (dead, take)]
    Script(memory=memory).walk(*rows, (BUSY, ReadLock()), (own, take), (Written("L2"), ReadToken()))


def test_an_attempt_whose_fate_could_not_be_read_is_known_to_the_next_call() -> None:
    lost = [*FREE, (BUSY, ReadLock()), (BROKEN, BROKEN)]
    lock = mine(since=START + 1, logins=(START + 1,))
    Script(memory=story(*lost).memory).walk(
        (1.0, NOTHING, ReadLock()), (LockRead(mine(), "L1", 1.0), WriteLock(lock, "L1"))
    )


# --- a token object that may not be writable -----------------------------------------------------


def doubted(before: Lock | None = None, age: float = 1.0) -> Script:
    """Walk to the write that shows that the token can be written, after it could not."""
    unstored = failed(login_class="store", status="", refusals=0, published="fp-dead")
    script = story(*FIND_DEAD, (LockRead(before or unstored, "L0", age),))
    assert isinstance(script.asked, WriteLock)
    return script.walk((Written("L1"), ReadToken()), (GONE_DEAD, WriteToken(None, "V0")))


@pytest.mark.parametrize(("before", "age"), [(None, 1.0), (held(), 31.0)])
def test_after_a_token_that_may_not_be_stored_a_blank_is_written_before_the_next_login(
    before: Lock | None, age: float
) -> None:
    """At once; it could not be stored, or its holder is gone: what was sent finds another version.

    The new token replaces the blank.
    """
    script = doubted(before, age)
    script.walk((Written("V1"), LogIn(10.0)), (NEW, WriteToken("new", "V1")), (Written("V2"),))
    assert isinstance(script.asked, WriteLock)
    assert script.asked.lock.login_class == ""


@pytest.mark.parametrize("error", [BROKEN, BUSY, THROTTLED, CONFLICT])
def test_where_the_blank_cannot_be_written_nobody_logs_in(error: StoreError) -> None:
    """The store's error is raised, the earlier login is the last counted, the next call tries."""
    script = doubted()
    pauses = []
    while not isinstance(asked := script.asked, WriteLock):
        assert isinstance(asked, WriteToken | ReadToken | Wait)
        pauses += [asked.seconds] if isinstance(asked, Wait) else []
        script.tell({WriteToken: error, ReadToken: GONE_DEAD}.get(type(asked)))
    expected: dict[object, list[float]] = {BROKEN: [], THROTTLED: [1.25, 1.5]}
    assert pauses == expected.get(error, [0.25, 0.5])
    assert (asked.lock.state, asked.lock.login_class) == (FAILED, "store")
    assert asked.lock.logins == (START,)
    script.tell(Written("L2"))
    ended: object = script.asked
    assert ended is error or (isinstance(ended, StoreWriteError) and ended.reason == "conflict")


@pytest.mark.parametrize("there", [THEIRS, TokenRead("dead", "V1", "fp-dead")])
def test_a_conflict_of_the_blank_is_looked_at(there: TokenRead) -> None:
    script = doubted().walk((CONFLICT, ReadToken()), (there,))
    assert isinstance(script.asked, WriteLock)
    script.walk(AGAIN)


def test_a_store_that_always_conflicts_ends_the_call() -> None:
    script, writes = story(*OUTBID), 1
    answers = {WriteLock: CONFLICT, ReadLock: LockRead(), Wait: WOKE}
    while type(script.asked) in answers:
        writes += isinstance(script.asked, WriteLock)
        script.tell(answers[type(script.asked)])
    assert isinstance(script.asked, StoreWriteError)
    assert (script.asked.reason, writes) == ("conflict", 7)


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "watched", "over"),
    [(31.0, 0.0, True), (30.9, 0.0, False), (None, 31.0, True), (None, 30.9, False)],
)
def test_a_held_lock_expires_by_its_own_time_and_a_second(
    age: float | None, watched: float, *, over: bool
) -> None:
    """By the store's clock, or by how long it has been watched."""
    lock = taken(held(), watched, nonce="nonce 2", login_class="store")
    looks = [(watched, WOKE, ReadToken()), (NOTHING, Wait(0.375)), (WOKE, ReadLock())]
    end = WriteLock(lock, "L0") if over else Wait(0.5625)
    story(*WAIT, *looks, (LockRead(held(), "L0", age), end))


def test_a_lock_that_changes_is_watched_anew() -> None:
    """Another holder has its own time; one that claims more than two minutes has two."""
    script = story(*WAIT)
    for version, at, waits in [
        ("L1", 25.0, True),
        ("L1", 55.0, True),
        ("L2", 56.5, True),
        ("L2", 177.4, True),
        ("L2", 177.5, False),
    ]:
        script.walk((at, WOKE), (NOTHING,), (WOKE,), (LockRead(held(ttl=500.0), version),))
        assert isinstance(script.asked, Wait if waits else WriteLock)


@pytest.mark.parametrize(
    ("age", "waits"), [(-1.1, False), (-1.0, True), (4.0, True), (4.1, False), (None, False)]
)
def test_a_token_just_published_that_is_not_there_is_waited_for(
    age: float | None, *, waits: bool
) -> None:
    """Four seconds: a lagging read shows what was before."""
    end = Wait(0.25) if waits else WriteLock(taken(done()), "L0")
    story(*FIND_DEAD, (LockRead(done(), "L0", age), ReadToken()), (GONE_DEAD, end))


@pytest.mark.parametrize(
    ("lock", "age", "adopted"),
    [
        (done(), 60.0, True),
        (done(), 60.1, False),
        (done(), -1.1, False),
        (done(), None, False),
        (done(published="fp-else"), 0.0, False),
        (held(published="fp-other"), 0.0, False),
        (failed(published="fp-other"), 0.0, False),
        (NONE, None, False),
    ],
)
def test_a_waiter_adopts_what_the_lock_vouches_for(
    lock: Lock, age: float | None, *, adopted: bool
) -> None:
    """Within a minute of the login, and only that token; Betfair is asked about any other."""
    read = LockRead(lock, None if lock == NONE else "L1", age)
    asked = [(read, Ask("theirs")), (LiveToken("theirs", "fp-other"), Got("theirs", "adopted"))]
    story(*FOUND, *([(read, Got("theirs", "adopted", 60.0))] if adopted else asked))


@pytest.mark.parametrize(
    ("not_before", "age", "left"),
    [
        (60.0, 59.5, 0.5),
        (60.0, 60.0, None),
        (60.0, -5.0, 65.0),
        (60.0, None, 60.0),
        # No refusal counts for longer than a ban.
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
    end: object = WriteLock(taken(lock), "L0")
    if left is not None:
        says = {"status": "STATUS", "login_class": "credentials"}
        end = Failed(LoginRefused, not_before=START + left, **says)
    story(FIND_JUNK, (LockRead(lock, "L0", age), end))
    if not_before == 60.0:  # a token that the lock does not mention is checked first
        story(*FIND_DEAD, (LockRead(lock, "L0", age), ReadToken()), (GONE_DEAD, end))
