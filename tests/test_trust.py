"""The trust window: what it saves, and what it must not hide."""

from __future__ import annotations

import asyncio
import os
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from storage.places import BucketPlace

from betfair_session import (
    ConfigurationError,
    IdentityClient,
    IdentityUnavailable,
    LoginRefused,
    Session,
    SessionManager,
    StoreError,
)
from betfair_session.login import lock as locks
from betfair_session.process import clocks
from betfair_session.process.trust import Held, Trust
from betfair_session.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hand_clocks import HandClocks
    from servers.objects import Bucket

    from betfair_session.sandbox import Sandbox
    from betfair_session.storage.contract import StoredObject

KEY = "session.token"
UNKNOWN = "A" * 43 + "="
QUARTER = timedelta(minutes=15)


def manager(
    client: IdentityClient, sandbox: Sandbox, *, share: bool = False, every: timedelta = QUARTER
) -> SessionManager:
    """Return a manager with a trust window, as another process would have it."""
    return SessionManager(
        client,
        sandbox.username,
        sandbox.password,
        verify_every=every,
        share_verification=share,
    )


@pytest.fixture
def session(client: IdentityClient, sandbox: Sandbox, tmp_path: Path) -> Session:
    """A handle that has just logged in; the journal is empty."""
    session = manager(client, sandbox).session(tmp_path, KEY)
    session.token()
    sandbox.clear_journal()
    return session


def pass_window(session: Session) -> None:
    """Let the trust window be over, as time would."""
    held = session._trust.held
    now = time.time()
    session._trust.held = Held(held.token, now - 900, (held.until_steady, now - 1), held.ends)


def pass_session(session: Session) -> None:
    """Let the session's length be over, too."""
    held = session._trust.held
    now = time.time()
    session._trust.held = Held(held.token, now - 99_999, (0.0, now - 9), (0.0, now - 1))


def test_inside_the_window_nothing_is_asked(
    session: Session, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Neither Betfair nor the store: the object may even be gone."""
    token = session.token()
    (tmp_path / KEY).unlink()
    assert [session.token() for _ in range(100)] == [token] * 100
    assert sandbox.counts() == {}


@pytest.mark.parametrize(
    ("steady", "wall", "trusted"),
    [(0.0, 0.0, True), (0.0, -0.1, False), (900.0, 0.0, False), (0.0, 900.0, False)],
)
def test_a_window_ends_by_the_clock_that_went_further(
    hands: HandClocks,
    session: Session,
    sandbox: Sandbox,
    steady: float,
    wall: float,
    *,
    trusted: bool,
) -> None:
    """Whichever way the token is asked for; and by a wall clock that was set back."""
    token = session.token()
    ways: list[Callable[[], str]] = [
        session.token,
        lambda: asyncio.run(session.atoken()),
        lambda: session.renew(UNKNOWN),
        lambda: asyncio.run(session.arenew(UNKNOWN)),
    ]
    held = session._trust.held
    hands.steady += steady
    hands.wall += wall
    for number, ask in enumerate(ways, start=1):
        session._trust.held = held
        assert ask() == token
        assert sandbox.counts() == ({} if trusted else {"keepAlive": number})


def test_the_manager_finds_the_same_window(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """get_session and the handle share it, with storage options and without."""
    trusting = manager(client, sandbox)
    token = trusting.get_session(tmp_path, KEY)
    assert trusting.get_session(tmp_path, KEY, {}) == token
    assert trusting.session(tmp_path, KEY).token() == token
    assert sandbox.counts() == {"certlogin": 1}


def test_without_a_window_every_call_asks(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """That is the default."""
    asking = SessionManager(client, sandbox.username, sandbox.password)
    for _ in range(3):
        asking.get_session(tmp_path, KEY)
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 2}


def test_after_the_window_one_thread_asks_and_the_others_go_on(
    session: Session, sandbox: Sandbox
) -> None:
    """While keepAlive is held up, everybody else has the token at once."""
    token = session.token()
    pass_window(session)
    sandbox.hold("keepAlive")
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(session.token)
        sandbox.wait_for("keepAlive")
        assert [session.token() for _ in range(50)] == [token] * 50
        assert asyncio.run(session.atoken(timeout=20)) == token
        assert not asking.done()
        sandbox.release("keepAlive")
        assert asking.result() == token
    assert session.token() == token
    assert sandbox.counts() == {"keepAlive": 1}


def test_nobody_uses_a_token_past_the_sessions_end(session: Session, sandbox: Sandbox) -> None:
    """Then all wait for the one that asks."""
    pass_session(session)
    sandbox.expire_all()
    sandbox.hold("certlogin")
    with ThreadPoolExecutor(10) as pool:
        asking = [pool.submit(session.token) for _ in range(10)]
        sandbox.wait_for("certlogin")
        assert not any(each.done() for each in asking)
        sandbox.release("certlogin")
        tokens = {each.result() for each in asking}
    assert tokens == {live.token for live in sandbox.sessions()}


def test_a_token_found_dead_is_used_by_nobody_more(session: Session, sandbox: Sandbox) -> None:
    """While the one thread logs in, the others wait for the new token."""
    dead = session.token()
    pass_window(session)
    sandbox.expire_all()
    sandbox.hold("certlogin")
    with ThreadPoolExecutor(4) as pool:
        asking = pool.submit(session.token)
        sandbox.wait_for("certlogin")
        others = [pool.submit(session.token) for _ in range(3)]
        assert not any(each.done() for each in others)
        sandbox.release("certlogin")
        tokens = {each.result() for each in [asking, *others]}
    assert len(tokens) == 1
    assert dead not in tokens


@pytest.mark.parametrize("fault", ["status:503", "blocked", "html200", "reset"])
def test_betfairs_silence_does_not_take_a_token_that_should_live(
    session: Session, sandbox: Sandbox, fault: str
) -> None:
    """Within the session's length the token is used on, and asked about again soon."""
    token = session.token()
    pass_window(session)
    sandbox.fault("keepAlive", fault, times=None)
    assert session.token() == token
    assert session._trust.held.until < time.time() + 6
    pass_session(session)
    with pytest.raises(IdentityUnavailable):
        session.token()


def test_a_store_that_fails_does_not_take_the_token_either(
    session: Session, tmp_path: Path
) -> None:
    """It is the same: nobody said that the token is dead."""
    token = session.token()
    pass_window(session)
    os.rename(tmp_path, str(tmp_path) + ".away")
    tmp_path.write_text("not a directory")
    assert session.token() == token
    pass_session(session)
    with pytest.raises(StoreError):
        session.token()


def test_a_refused_login_is_not_hidden(session: Session, sandbox: Sandbox) -> None:
    """The token is known to be dead then."""
    pass_window(session)
    sandbox.expire_all()
    sandbox.fault("certlogin", "status:503", times=None)
    with pytest.raises(IdentityUnavailable):
        session.token()


def test_a_rejected_token_is_renewed_once_for_all_threads(
    session: Session, sandbox: Sandbox
) -> None:
    """Who comes late gets the new token without I/O."""
    dead = session.token()
    sandbox.expire_all()
    with ThreadPoolExecutor(20) as pool:
        tokens = set(pool.map(lambda _: session.renew(dead), range(20)))
    assert tokens == {live.token for live in sandbox.sessions()}
    assert sandbox.counts()["certlogin"] == 1
    sandbox.clear_journal()
    assert {session.renew(dead)} == tokens
    assert sandbox.counts() == {}


def test_verify_asks_although_the_token_is_trusted(session: Session, sandbox: Sandbox) -> None:
    """It is how a session is kept alive."""
    assert session.verify() == session.token()
    assert sandbox.counts() == {"keepAlive": 1}


def test_a_session_that_was_logged_out_is_not_trusted(session: Session, sandbox: Sandbox) -> None:
    """The next call logs in."""
    old = session.token()
    session.logout()
    assert session.token() != old
    assert sandbox.counts() == {"logout": 1, "certlogin": 1}


@pytest.mark.parametrize(
    ("every", "share"),
    [(timedelta(0), False), (-QUARTER, False), (None, True), (timedelta(minutes=20), False)],
)
def test_settings_that_cannot_work_are_refused(every: timedelta | None, *, share: bool) -> None:
    """A window longer than Italy's sessions, of no length, or missing for what needs it."""
    italian = IdentityClient("app-key", jurisdiction="italy")
    with pytest.raises(ConfigurationError, match="verify_every"):
        SessionManager(italian, "u", "p", verify_every=every, share_verification=share)


def test_a_held_token_shows_nowhere(session: Session) -> None:
    """Not in a repr, and it cannot be pickled."""
    held = session._trust.held
    assert held.token not in repr(held) + repr(session) + repr(vars(session))
    with pytest.raises(TypeError, match=r"^a token is not to be pickled$"):
        pickle.dumps(held)


# --- shared through the store --------------------------------------------------------------------


def age(path: Path, seconds: float) -> None:
    """Let a file be written some seconds ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_many_cold_starts_make_no_keepalive(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Whoever finds the token written within the window trusts it."""
    token = manager(client, sandbox, share=True).get_session(tmp_path, KEY)
    age(tmp_path / KEY, 14 * 60)
    cold = [manager(client, sandbox, share=True) for _ in range(100)]
    assert {each.get_session(tmp_path, KEY) for each in cold} == {token}
    assert sandbox.counts() == {"certlogin": 1}


def test_a_verification_is_written_down(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The first after the window asks, and spares the others."""
    token = manager(client, sandbox, share=True).get_session(tmp_path, KEY)
    inode = (tmp_path / KEY).stat().st_ino
    age(tmp_path / KEY, 16 * 60)
    cold = [manager(client, sandbox, share=True) for _ in range(20)]
    assert {each.get_session(tmp_path, KEY) for each in cold} == {token}
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 1}
    assert time.time() - (tmp_path / KEY).stat().st_mtime < 60
    assert (tmp_path / KEY).stat().st_ino == inode  # what others put there would stay as it is
    assert sorted(os.listdir(tmp_path)) == [KEY, KEY + ".login"]


def test_what_was_trusted_from_the_store_is_trusted_for_the_rest_of_the_window(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Its age counts, so that windows do not add up."""
    manager(client, sandbox, share=True).get_session(tmp_path, KEY)
    age(tmp_path / KEY, 14 * 60)
    session = manager(client, sandbox, share=True).session(tmp_path, KEY)
    session.token()
    assert 0 < session._trust.held.until - time.time() <= 60


def test_a_file_from_the_future_is_not_trusted(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Its clock was wrong, so nobody knows its age."""
    manager(client, sandbox, share=True).get_session(tmp_path, KEY)
    age(tmp_path / KEY, -60)
    manager(client, sandbox, share=True).get_session(tmp_path, KEY)
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 1}


def test_a_rejected_token_is_asked_about_however_young(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Renew and verify do not take the store's word."""
    session = manager(client, sandbox, share=True).session(tmp_path, KEY)
    old = session.token()
    sandbox.expire_all()
    assert session.renew(old) != old
    assert sandbox.counts() == {"certlogin": 2, "keepAlive": 1}
    session.verify()
    assert sandbox.counts() == {"certlogin": 2, "keepAlive": 2}


KINDS = ["seaweed", "moto", "gcs", "azure", "obstore"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_servers_time_tells_of_the_verification(
    client: IdentityClient, sandbox: Sandbox, bucket_on: Callable[[str], Bucket], kind: str
) -> None:
    """On every cloud: a young object is trusted, an old one is verified and made young."""
    bucket = bucket_on("seaweed" if kind == "obstore" else kind)
    place = BucketPlace(bucket, "obstore+" if kind == "obstore" else "")

    def get(every: timedelta) -> str:
        with manager(client, sandbox, share=True, every=every) as cold:
            return cold.get_session(place.url(), KEY, place.options)

    token = get(QUARTER)
    assert {get(QUARTER) for _ in range(3)} == {token}
    assert sandbox.counts() == {"certlogin": 1}
    before = place.get(KEY)
    assert get(timedelta(microseconds=1)) == token
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 1}
    assert place.get(KEY) == before
    assert place.keys() == [KEY, KEY + ".login"]


def parts(held: Held) -> tuple[object, ...]:
    """Return a token and its times."""
    return held.token, held.since, held.until_steady, held.until, *held.ends


def test_the_times_of_a_verification(hands: HandClocks) -> None:
    """The window and the session's length count from when Betfair was asked."""
    hands.steady, hands.wall = 50.0, 1000.0
    trust = Trust(900.0, 1200.0)
    assert not trust.held.usable
    trust.verified(Secret("t"), (40.0, 990.0))
    first = trust.held
    assert parts(first) == ("t", 1000.0, 940.0, 1890.0, 1240.0, 2190.0)
    for wall, steady, usable in (
        (1000.0, 50.0, True),
        (999.9, 50.0, False),
        (2189.9, 50.0, True),
        (2190.0, 50.0, False),
        (1000.0, 1239.9, True),
        (1000.0, 1240.0, False),
    ):
        hands.wall, hands.steady = wall, steady
        assert first.usable is usable
    hands.wall, hands.steady = 1900.0, 60.0
    assert trust.postpone(first)
    second = trust.held
    assert parts(second) == ("t", 1900.0, 65.0, 1905.0, 1240.0, 2190.0)
    assert not trust.postpone(first)
    assert trust.held is second
    hands.wall = 2188.0
    assert trust.postpone(second)
    assert parts(trust.held) == ("t", 2188.0, 65.0, 2190.0, 1240.0, 2190.0)
    trust.forget(Secret("another"))
    assert trust.held.token == "t"
    trust.forget(Secret("t"))
    assert trust.held.token == ""


@pytest.mark.parametrize(("window", "length"), [(3.0, None), (3.0, 2.0)])
def test_a_session_of_unknown_length_lasts_as_long_as_the_window(
    hands: HandClocks, window: float, length: float | None
) -> None:
    """So does one that is said to be shorter; a postponement is no longer than the window."""
    hands.steady, hands.wall = 50.0, 1000.0
    trust = Trust(window, length)
    assert (trust.window, trust.shared) == (3.0, False)
    trust.verified(Secret("t"), (50.0, 1000.0))
    assert parts(trust.held) == ("t", 1000.0, 53.0, 1003.0, 53.0, 1003.0)
    long = Held("t", 0.0, (0.0, 0.0), (9999.0, 9999.0))
    trust.held = long
    assert trust.postpone(long)
    assert trust.held.until == 1003.0


# --- a verification counts only from when it was made ---------------------------------------------


@pytest.mark.parametrize("share", [False, True])
def test_a_token_found_dead_is_not_trusted_for_the_stores_sake(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path, *, share: bool
) -> None:
    """It lies there young, since the login that would replace it was refused."""
    session = manager(client, sandbox, share=share).session(tmp_path, KEY)
    token = session.token()
    sandbox.expire(token)
    sandbox.login_status("SUSPENDED", times=1)
    for _ in range(2):
        with pytest.raises(LoginRefused, match="SUSPENDED"):
            session.renew(token)
        with pytest.raises(LoginRefused, match="SUSPENDED"):
            session.token()
    assert sandbox.counts()["certlogin"] == 2


def verified_meanwhile(session: Session, sandbox: Sandbox, work: Callable[[], object]) -> str:
    """Do `work` when Betfair has verified a session, and nobody heard of it yet; return which."""
    sandbox.hold("keepAlive", "after")
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(session.verify)
        sandbox.wait_for("keepAlive")
        work()
        sandbox.release("keepAlive")
        return asking.result()


def test_a_verification_that_ends_after_a_logout_is_none(
    session: Session, sandbox: Sandbox
) -> None:
    """Betfair answered before it."""
    ended = verified_meanwhile(session, sandbox, session.logout)
    assert session.token() != ended
    assert [each.token for each in sandbox.sessions()] == [session.token()]


@pytest.mark.parametrize("left", ["another", "none"])
def test_a_logout_forgets_what_another_process_had_replaced(
    session: Session, client: IdentityClient, sandbox: Sandbox, tmp_path: Path, left: str
) -> None:
    """The handle still trusts the token before."""
    old = session.token()
    sandbox.expire(old)
    if left == "another":
        manager(client, sandbox).get_session(tmp_path, KEY)
    else:
        (tmp_path / KEY).unlink()
    session.logout()
    assert sandbox.sessions() == []
    assert session.token() != old


def test_a_verification_before_a_rejection_is_none(session: Session, sandbox: Sandbox) -> None:
    """Also if nobody can be asked about it afterwards."""
    token = session.token()

    def end() -> None:
        sandbox.expire(token)
        session._trust.forget(Secret(token))  # as renew does, before it asks
        sandbox.fault("keepAlive", "status:503", times=None)

    assert verified_meanwhile(session, sandbox, end) == token
    with pytest.raises(IdentityUnavailable):
        session.token()


def test_a_verification_that_could_not_be_shared_is_not_trusted(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Somebody has written meanwhile, or logged out."""
    one, other = (manager(client, sandbox, share=True).session(tmp_path, KEY) for _ in range(2))
    token = one.token()
    assert verified_meanwhile(other, sandbox, one.logout) == token
    assert other.token() != token


def test_a_token_that_is_forgotten_while_its_verification_is_noted_is_not_held() -> None:
    """Another thread has heard that it is dead in that very moment."""
    trust = Trust(900.0, 3600.0)

    class Ended(Secret):
        def reveal(self) -> str:
            trust.forget(Secret("token"))
            return super().reveal()

    trust.verified(Ended("token"), clocks.later(clocks.now(), -1.0))
    assert trust.held.token == ""
    trust.verified(Secret("token"), clocks.now())
    assert trust.held.token == "token"


# --- a machine that sleeps, a function that is frozen --------------------------------------------


@pytest.mark.parametrize("share", [False, True])
def test_a_verification_that_a_sleep_held_up_is_made_again(
    hands: HandClocks, client: IdentityClient, sandbox: Sandbox, tmp_path: Path, *, share: bool
) -> None:
    """Betfair answered before it; and the store is not told of what was true hours ago."""
    session = manager(client, sandbox, share=share).session(tmp_path, KEY)
    old = session.token()
    age(tmp_path / KEY, 8 * 3600)

    def sleep() -> None:
        sandbox.expire(old)
        hands.sleep(8 * 3600)

    new = verified_meanwhile(session, sandbox, sleep)
    assert {new, session.token()} == {live.token for live in sandbox.sessions()}
    assert sandbox.counts() == {"certlogin": 2, "keepAlive": 2}


def test_a_login_that_a_sleep_held_up_is_not_trusted(
    hands: HandClocks, session: Session, sandbox: Sandbox
) -> None:
    """Its session may have ended meanwhile."""
    sandbox.expire_all()
    sandbox.hold("certlogin", "after")
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(session.verify)
        sandbox.wait_for("certlogin")
        hands.sleep(8 * 3600)
        sandbox.release("certlogin")
        old = asking.result()
    sandbox.expire(old)
    assert session.token() != old


def test_a_token_that_was_vouched_for_before_a_sleep_is_not_trusted(
    hands: HandClocks,
    client: IdentityClient,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The lock said that it had just been stored."""
    session, other = (manager(client, sandbox).session(tmp_path, KEY) for _ in range(2))
    read, slept = session.store.get, list[str]()
    sandbox.hold("certlogin")
    with ThreadPoolExecutor() as pool:
        leading = pool.submit(other.token)
        sandbox.wait_for("certlogin")

        def read_and_sleep(key: str, *, deadline: float) -> StoredObject | None:
            stored = read(key, deadline=deadline)
            if stored and key != KEY and locks.decode(stored.content).state == locks.HELD:
                sandbox.release("certlogin")
                leading.result()
            elif stored and key != KEY and not slept:
                slept.append(key)
                hands.sleep(8 * 3600)
            return stored

        monkeypatch.setattr(session.store, "get", read_and_sleep)
        token = session.token()
    assert slept
    sandbox.clear_journal()
    assert session.token() == token
    assert sandbox.counts() == {"keepAlive": 1}


def test_what_the_store_said_before_a_sleep_is_not_trusted(
    hands: HandClocks,
    client: IdentityClient,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The token was young when it was read."""
    old = manager(client, sandbox, share=True).get_session(tmp_path, KEY)
    session = manager(client, sandbox, share=True).session(tmp_path, KEY)
    read = session.store.get

    def read_and_sleep(key: str, *, deadline: float) -> StoredObject | None:
        monkeypatch.setattr(session.store, "get", read)
        stored = read(key, deadline=deadline)
        sandbox.expire(old)
        hands.sleep(8 * 3600)
        return stored

    monkeypatch.setattr(session.store, "get", read_and_sleep)
    assert session.token() != old


@pytest.mark.parametrize("clock", ["steady", "wall"])
def test_a_check_knows_its_end_after_a_sleep(
    hands: HandClocks, client: IdentityClient, sandbox: Sandbox, clock: str
) -> None:
    """Whichever of the clocks stood still."""
    check = client.check(sandbox.issue())
    length = client.jurisdiction.session_length
    assert length is not None
    seen = [check.expired]
    setattr(hands, clock, getattr(hands, clock) + length.total_seconds())
    seen.append(check.expired)
    assert seen == [False, True]
    assert not client.check(UNKNOWN).expired


def test_the_steady_clock_goes_on_in_a_sleep_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Linux has it in CLOCK_BOOTTIME, macOS in CLOCK_MONOTONIC; others are asked for neither."""
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
