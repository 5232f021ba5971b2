"""The trust window: what it saves, what it must not hide, and the two clocks that measure it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from front import KEY, UNKNOWN, Front, Watched, identity
from hand_clocks import HandClocks
from servers.objects import Bucket

from betfair_session import IdentityUnavailable, LoginRefused, Secret, Session, StoreError
from betfair_session.login import lock as locks
from betfair_session.process import clocks
from betfair_session.process.trust import Trust
from betfair_session.sandbox import Sandbox

WINDOW = 900.0  # seconds
LENGTH = 12 * 3600.0  # seconds that an international session lives
NIGHT = 8 * 3600.0


def trusting(front: Front, *, share: bool = False, every: float = WINDOW) -> Session:
    """Return a handle with a trust window, as another process has it."""
    return front.session(verify_every=timedelta(seconds=every), share_verification=share)


@pytest.fixture
def session(front: Front) -> Session:
    """A handle that has just logged in; the journal is empty."""
    session = trusting(front)
    session.token()
    front.sandbox.clear_journal()
    return session


WAYS: dict[str, Callable[[Session], str]] = {
    "token": lambda session: session.token(),
    "atoken": lambda session: asyncio.run(session.atoken()),
    "renew": lambda session: session.renew(UNKNOWN),
    "arenew": lambda session: asyncio.run(session.arenew(UNKNOWN)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("moved", "trusted"),
    [((899.0, 899.0), True), ((0.0, -0.1), False), ((900.0, 0.0), False), ((0.0, 900.0), False)],
)
def test_a_window_ends_by_the_clock_that_went_further(
    hands: HandClocks, session: Session, way: str, moved: tuple[float, float], *, trusted: bool
) -> None:
    """However the token is asked for; also if the wall clock was set back."""
    watched = Watched(session)
    hands.steady += moved[0]
    hands.wall += moved[1]
    assert WAYS[way](session) == session.token()
    assert watched.reads == ([] if trusted else [KEY])


def test_a_window_is_at_most_a_second_too_long(hands: HandClocks, session: Session) -> None:
    """Both clocks are read once a second only, since that costs more than all else of a call."""
    watched = Watched(session)
    hands.go(10.0)
    session.token()
    for steady, wall, reads in ((900.0, 0.75, []), (0.0, 0.25, [KEY])):
        hands.steady += steady
        hands.wall += wall
        session.token()
        assert watched.reads == reads


@pytest.mark.parametrize("step", ["now", "later"])
def test_each_doubt_counts(hands: HandClocks, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """That of an earlier token, one that comes while a token is kept, and that of the store."""
    trust, one, two = Trust(900.0, 3600.0), Secret("one"), Secret("two")
    began = clocks.now()
    for token in (one, two):
        trust.doubt(token)
    assert trust.doubts(one, began)
    assert trust.doubts(two, began)
    hands.go(1.0)
    trust.verified(two, clocks.now())
    trust.superseded(two)
    assert trust.held.usable
    known = getattr(clocks, step)

    def meanwhile(*given: Any) -> clocks.Times:  # noqa: ANN401 - the step's own
        monkeypatch.setattr(clocks, step, known)
        trust.doubt(two)
        found: clocks.Times = known(*given)
        return found

    hands.go(1.0)
    monkeypatch.setattr(clocks, step, meanwhile)
    assert not trust.postpone(trust.held)
    assert getattr(clocks, step) is known
    assert not trust.held.fresh
    hands.go(1.0)
    trust.verified(two, clocks.now())
    trust.superseded(one)
    assert not trust.held.usable


def test_the_latest_doubts_are_remembered(hands: HandClocks) -> None:
    """A bot that runs for months has doubted many tokens."""
    trust, began = Trust(900.0, 3600.0), clocks.now()
    tokens = [Secret(str(number)) for number in range(17)]
    for token in tokens:
        hands.go(1.0)
        trust.doubt(token)
    assert [trust.doubts(token, began) for token in tokens] == [False] + [True] * 16


@pytest.mark.parametrize("asked", ["fresh", "usable"])
def test_another_threads_look_at_the_clocks_is_no_clock_set_back(
    hands: HandClocks, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """It may come a moment after mine, and be noted before I compare."""
    trust, looks = Trust(900.0, 3600.0), list[bool]()
    trust.verified(Secret("t"), clocks.now())

    def wall() -> float:
        mine = hands.wall
        if not looks:
            looks.append(True)
            hands.go(0.001)
            looks.append(trust.held.fresh)
        return mine

    monkeypatch.setattr(clocks, "wall", wall)
    assert getattr(trust.held, asked)
    assert looks == [True, True]


@pytest.mark.parametrize(("window", "length"), [(900.0, 1200.0), (3.0, 2.0)])
def test_the_times_of_a_verification(hands: HandClocks, window: float, length: float) -> None:
    """Window and length count from when Betfair was asked."""
    trust, start = Trust(window, length), (hands.steady, hands.wall)
    ends = max(window, length)
    hands.go(1.0)
    trust.verified(Secret("t"), start)
    hands.wall = start[1] + window - 0.1
    assert (trust.held.fresh, trust.held.usable) == (True, True)
    hands.steady = start[0] + window
    assert (trust.held.fresh, trust.held.usable) == (False, ends > window)
    hands.wall = start[1] + ends - 0.1
    hands.steady = start[0]
    seen = [trust.held.usable]
    hands.wall = start[1] + ends
    seen.append(trust.held.usable)
    hands.wall = start[1] - 0.1  # the wall clock was set back to before it was asked
    assert [*seen, trust.held.usable] == [True, False, False]


def test_a_postponement_is_short_and_never_past_the_sessions_end(hands: HandClocks) -> None:
    """Five seconds, or a shorter window, and only of a token that is still held."""
    for window, seconds in ((900.0, 5.0), (3.0, 3.0)):
        trust = Trust(window, 1200.0)
        trust.verified(Secret("t"), clocks.now())
        hands.go(window)
        first = trust.held
        assert (trust.postpone(first), trust.postpone(first)) == (True, False)
        hands.go(seconds - 0.1)
        seen = [trust.held.fresh]
        hands.go(0.2)
        seen.append(trust.held.fresh)
        hands.go(1200.0 - window - seconds - 1.1)
        seen.append(trust.postpone(trust.held))
        hands.go(1.1)
        assert [*seen, trust.held.fresh] == [True, False, True, False]
    trust.forget(Secret("another"))
    assert trust.held.secret == Secret("t")
    trust.forget(Secret("t"))
    assert not trust.held.secret


# --- past the window ------------------------------------------------------------------------------


def test_after_the_window_one_thread_asks_and_the_others_go_on(
    hands: HandClocks, session: Session, front: Front
) -> None:
    token = session.token()
    hands.go(WINDOW)
    with front.under_way("keepAlive", session.token) as asking:
        assert {session.token() for _ in range(50)} == {token}
        assert asyncio.run(session.atoken(timeout=20)) == token
        assert not asking.done()
    assert asking.result() == session.token() == token
    assert front.sandbox.counts() == {"keepAlive": 1}


def test_a_session_of_unknown_length_counts_as_the_shortest(
    hands: HandClocks, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Where Betfair names none, a token is good for 20 minutes without an answer."""
    with identity(sandbox, jurisdiction="romania") as client:
        session = trusting(Front(client, sandbox, tmp_path))
        token = session.token()
        sandbox.fault("keepAlive", "status:503", times=None)
        hands.go(WINDOW)
        assert session.token() == token
        hands.go(1200.0 - WINDOW)
        with pytest.raises(IdentityUnavailable):
            session.token()


@pytest.mark.parametrize("seconds", [WINDOW, LENGTH])
def test_nobody_uses_a_token_that_is_dead_or_past_its_end(
    hands: HandClocks, session: Session, front: Front, seconds: float
) -> None:
    dead = session.token()
    hands.go(seconds)
    front.sandbox.expire_all()
    with ThreadPoolExecutor(4) as pool:
        with front.under_way("certlogin", session.token) as asking:
            others = [pool.submit(session.token) for _ in range(3)]
            assert not any(each.done() for each in others)
        tokens = {each.result() for each in [asking, *others]}
    assert tokens == {*front.live()}
    assert dead not in tokens


def test_a_token_that_is_found_dead_while_others_go_on_is_not_used_by_them(
    hands: HandClocks, session: Session, front: Front
) -> None:
    """Between the moment when a call stops waiting and its look at the token."""
    dead, flight = session.token(), vars(session._flight)
    hands.go(WINDOW)
    front.sandbox.expire_all()

    def meanwhile(*_: object, **__: object) -> Iterator[None]:
        del flight["join"]
        session._trust.forget(Secret(dead))
        yield from ()

    flight["join"] = meanwhile
    assert session.token() in front.live()


@pytest.mark.parametrize("fault", ["blocked", "store"])
def test_silence_does_not_take_a_token_that_should_live(
    hands: HandClocks, session: Session, front: Front, fault: str
) -> None:
    """Of Betfair or the store: within the session's length it stays in use, and is soon checked."""
    token, watched = session.token(), Watched(session)
    hands.go(WINDOW)
    if fault == "store":  # it lost the token, and takes no lock
        front.token.unlink()
        watched.before_write = Mock(side_effect=StoreError("no space is left", reason="full"))
    else:
        front.sandbox.fault("keepAlive", fault, times=None)
    asked = []
    for seconds in (0.0, 0.1, 5.0):
        hands.go(seconds)
        watched.reads.clear()
        assert session.token() == token
        asked.append(bool(watched.reads))
    assert asked == [True, False, True]
    hands.go(LENGTH)
    with pytest.raises(StoreError if fault == "store" else IdentityUnavailable):
        session.token()


def test_a_store_without_an_answer_leaves_time_to_ask_betfair(front: Front) -> None:
    """Half of what the caller has; the token in hand is kept alive without the store."""
    session, deadlines = front.session(), list[float]()
    token = session.token()

    def get(_: str, *, deadline: float) -> None:
        deadlines.append(deadline)
        raise StoreError("no answer", reason="timeout")

    vars(session.store)["get"] = get
    began = time.monotonic()
    assert session.token(timeout=4.0) == token
    assert len(deadlines) == 1
    assert deadlines[0] < began + 3.0
    assert front.sandbox.counts() == {"certlogin": 1, "keepAlive": 1}


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("how", ["dead, no login", "dead, no store", "replaced"])
def test_silence_keeps_no_token_that_is_known_to_be_over(
    hands: HandClocks, session: Session, front: Front, how: str
) -> None:
    """Betfair calls it dead, and login or store is away; or the store holds another by now."""
    if how == "replaced":
        front.token.write_text(front.sandbox.issue())
        front.sandbox.fault("keepAlive", "blocked", times=None)
    else:
        front.sandbox.expire_all()
        front.sandbox.fault("certlogin", "status:503", times=None)
    if how == "dead, no store":
        vars(session.store)["get"] = Mock(side_effect=StoreError("away"))
    hands.go(WINDOW)
    for _ in range(2):
        with pytest.raises(StoreError if how == "dead, no store" else IdentityUnavailable):
            session.token()


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("share", [False, True])
def test_a_token_found_dead_is_not_trusted_although_the_login_fails(
    front: Front, *, share: bool
) -> None:
    """The stored one is young, but the login to replace it was refused or not answered."""
    session, sandbox = trusting(front, share=share), front.sandbox
    token = session.token()
    sandbox.expire(token)
    sandbox.login_status("SUSPENDED", times=1)
    for _ in range(2):
        with pytest.raises(LoginRefused):
            session.renew(token)
        with pytest.raises(LoginRefused):
            session.token()
    assert sandbox.counts()["certlogin"] == 2
    session.unlock()
    sandbox.fault("certlogin", "status:503", times=None)
    with pytest.raises(IdentityUnavailable):
        session.token()


# --- renewals, logouts ----------------------------------------------------------------------------


def test_a_rejected_token_is_renewed_once_for_all(session: Session, front: Front) -> None:
    """Threads and tasks; those that come late get the new token without I/O."""
    dead = session.token()
    front.sandbox.expire_all()

    async def renew() -> set[str]:
        return {*await asyncio.gather(*(session.arenew(dead) for _ in range(50)))}

    with ThreadPoolExecutor(20) as pool:
        tasks = pool.submit(lambda: asyncio.run(renew()))
        tokens = {*pool.map(lambda _: session.renew(dead), range(19)), *tasks.result()}
    assert tokens == {*front.live()}
    assert front.sandbox.counts()["certlogin"] == 1
    front.sandbox.clear_journal()
    assert {session.renew(dead), asyncio.run(session.arenew(dead)), session.token()} == tokens
    assert front.sandbox.counts() == {}
    assert {session.verify()} == tokens  # which asks in any case
    assert front.sandbox.counts() == {"keepAlive": 1}
    front.sandbox.expire_all()
    assert asyncio.run(session.arenew(*tokens)) in {*front.live()}  # a task's rejection counts, too


@pytest.mark.parametrize("of", ["averify", "arenew"])
def test_who_asks_anew_shares_an_answer_that_is_new_enough(
    session: Session, front: Front, of: str
) -> None:
    """A token that the betting API rejects may be alive; each of many callers would ask in turn."""
    token = session.token()
    given = [token] if of == "arenew" else []

    async def ask() -> set[str]:
        return {*await asyncio.gather(*(getattr(session, of)(*given) for _ in range(20)))}

    assert asyncio.run(ask()) == {token}
    # One that was under way when some of them came is too old for these; a busy machine is slow.
    assert front.sandbox.counts()["keepAlive"] <= 4


@pytest.mark.usefixtures("short_waits")
@pytest.mark.parametrize("how", ["alone", "replaced", "removed", "unanswered", "verified"])
def test_a_session_that_was_logged_out_is_not_trusted(
    session: Session, front: Front, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Nor an older one; nor one that Betfair may have ended, or that was verified meanwhile."""
    old, end = session.token(), session.client.logout

    def verify_first(of: Secret) -> None:
        assert session.verify() == old
        end(of)

    if how in {"replaced", "removed"}:
        front.sandbox.expire(old)
    if how == "replaced":
        trusting(front).token()
    elif how == "removed":
        front.token.unlink()
    elif how == "unanswered":
        front.sandbox.fault("logout", "lost", times=3)
    elif how == "verified":
        monkeypatch.setattr(session.client, "logout", verify_first)
    with pytest.raises(IdentityUnavailable) if how == "unanswered" else nullcontext():
        session.logout()
    assert front.live() == []
    assert session.token() != old


@pytest.mark.parametrize("what", ["logout", "rejection", "sleep", "sleep in a login"])
def test_a_verification_from_before_is_none(
    hands: HandClocks, session: Session, front: Front, what: str
) -> None:
    """Betfair had answered before the logout, the rejection or the machine's sleep."""
    old, endpoint = session.token(), "keepAlive"
    if what == "sleep in a login":
        front.sandbox.expire_all()
        endpoint = "certlogin"
    with (
        ThreadPoolExecutor(1) as pool,
        front.under_way(endpoint, session.verify, "after") as asking,
    ):
        if what == "logout":
            session.logout()
        elif what == "rejection":
            front.sandbox.expire(old)
            rejected = pool.submit(session.renew, old)
            while session._trust.held.fresh:  # until it has heard of that
                time.sleep(0)
        else:
            hands.sleep(NIGHT)
            front.sandbox.expire_all()
    assert (asking.result() == old) == (what in {"logout", "rejection"})
    if what == "rejection":
        assert rejected.result() != old
    assert [session.token()] == front.live()


def test_a_token_that_is_forgotten_while_its_verification_is_noted_is_not_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trust, token = Trust(900.0, 3600.0), Secret("token")

    def wall() -> float:
        trust.forget(token)
        return time.time()

    since = clocks.later(clocks.now(), -1.0)
    with monkeypatch.context() as patch:
        patch.setattr(clocks, "wall", wall)
        trust.verified(token, since)
    assert not trust.held.secret
    trust.verified(token, clocks.now())
    assert trust.held.secret == token


# --- shared through the store ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "asked"), [(14 * 60, 0), (16 * 60, 1), (-60, 1)], ids=["young", "old", "future"]
)
def test_cold_starts_trust_what_was_written_within_the_window(
    front: Front, seconds: int, asked: int
) -> None:
    """After it the first asks and notes that in the store; a file from the future has no age."""
    token = trusting(front, share=True).token()
    os.utime(front.token, (time.time() - seconds,) * 2)
    cold = [trusting(front, share=True) for _ in range(20)]
    assert {each.token() for each in cold} == {token}
    assert front.sandbox.counts() == {"certlogin": 1, **({"keepAlive": asked} if asked else {})}
    if asked:
        assert abs(time.time() - front.token.stat().st_mtime) < 60
    else:  # its age counts, so that windows do not add up
        assert 0 < cold[-1]._trust.held.until - time.time() <= 60


def test_a_rejected_token_is_asked_about_however_young(front: Front) -> None:
    """Renew and verify do not trust the store; nor does a call after a logout."""
    one, other = (trusting(front, share=True) for _ in range(2))
    old = one.token()
    front.sandbox.expire_all()
    token = one.renew(old)
    assert token != old
    assert front.sandbox.counts() == {"certlogin": 2, "keepAlive": 1}
    one.verify()
    assert front.sandbox.counts() == {"certlogin": 2, "keepAlive": 2}
    with front.under_way("keepAlive", other.verify, "after") as asking:
        one.logout()
    assert asking.result() == token
    assert other.token() != token


def test_the_servers_time_tells_of_the_verification(
    front: Front, bucket_on: Callable[[str], Bucket]
) -> None:
    """A young object is trusted; an old one is verified and written anew."""
    place = bucket_on("obstore+moto")

    def get(every: float) -> str:
        window = timedelta(seconds=every)
        with front.manager(share_verification=True, verify_every=window) as cold:
            return cold.get_session(place.url(), KEY, place.options)

    token = get(WINDOW)
    assert {get(WINDOW) for _ in range(3)} == {token}
    assert front.sandbox.counts() == {"certlogin": 1}
    assert get(0.000_001) == token
    assert front.sandbox.counts() == {"certlogin": 1, "keepAlive": 1}
    assert place.get(KEY) == token.encode()
    assert place.keys() == [KEY, KEY + ".login"]


@pytest.mark.parametrize(
    ("written", "wrong", "known", "asked", "kept"),
    [  # how long ago at the store; how wrong the machine's clock is; whether the store can tell
        (60, 0, True, (0, 0), 390),
        (60, 380, True, (0, 0), 10),
        (60, -420, True, (1, 0), 840),  # one from the future has no age
        (500, 0, True, (1, 0), 400),
        (500, -400, True, (0, 0), 350),
        (500, 0, False, (1, 1), 900),
        (860, -430, True, (0, 0), 20),
        (901, 0, True, (1, 1), 900),
    ],
)
def test_a_store_that_hides_its_time_is_asked_for_it_only_in_doubt(
    front: Front,
    hands: HandClocks,
    *,
    written: int,
    wrong: int,
    known: bool,
    asked: tuple[int, int],
    kept: int,
) -> None:
    """As with obstore: a clock that is off by half the window makes no token outlive it."""
    front.session().token()
    front.sandbox.clear_journal()
    now = hands.wall
    tell = Mock(return_value=now if known else None)
    os.utime(front.token, (now - written, now - written))
    hands.wall += wrong
    session = trusting(front, share=True)
    store: Any = session.store
    store.on_this_machine = False
    store.server_now = tell
    session.token()
    assert (tell.call_count, front.sandbox.counts().get("keepAlive", 0)) == asked
    assert session._trust.held.until_steady - hands.steady == pytest.approx(kept, abs=2)


# --- a machine that sleeps, a function that is frozen ---------------------------------------------


def test_a_token_that_was_vouched_for_before_a_sleep_is_not_trusted(
    hands: HandClocks, front: Front
) -> None:
    other, waiting, slept = trusting(front), trusting(front), list[str]()

    def sleep_after_the_lock_was_released(key: str) -> None:
        if key == KEY or slept:
            return
        if front.read_lock().state == locks.HELD:
            front.sandbox.release("certlogin")
            leading.result()
        else:
            slept.append(key)
            hands.sleep(NIGHT)

    with front.under_way("certlogin", other.token) as leading:
        Watched(waiting).after_read = sleep_after_the_lock_was_released
        token = waiting.token()
    assert slept
    assert front.sandbox.counts() == {"certlogin": 1}
    assert waiting.token() == token
    assert front.sandbox.counts() == {"certlogin": 1, "keepAlive": 1}


def test_what_the_store_said_before_a_sleep_is_not_trusted(hands: HandClocks, front: Front) -> None:
    old, session = trusting(front, share=True).token(), trusting(front, share=True)
    watched = Watched(session)

    def sleep(_key: str) -> None:
        watched.after_read = lambda _key: None
        front.sandbox.expire(old)
        hands.sleep(NIGHT)

    watched.after_read = sleep
    assert session.token() != old


def test_the_steady_clock_goes_on_in_a_sleep_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Linux has it in CLOCK_BOOTTIME, macOS in CLOCK_MONOTONIC; other systems read neither."""
    times = {1: 1.0, 7: 7.0}

    def gettime(number: int) -> float:
        if number not in times:
            raise OSError
        return times[number]

    monkeypatch.setattr(time, "clock_gettime", gettime, raising=False)
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(time, "CLOCK_MONOTONIC", 1, raising=False)
    found = [clocks._steady_clock()()]
    del times[7]  # a kernel that does not know it
    found.append(clocks._steady_clock()())
    assert found == [7.0, 1.0]
    monkeypatch.delattr(time, "CLOCK_MONOTONIC")
    assert clocks._steady_clock() is time.monotonic
