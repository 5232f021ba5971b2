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

import betfair_session.session as session_module
import betfair_session.trust as trust_module
from betfair_session import (
    ConfigurationError,
    IdentityClient,
    IdentityUnavailable,
    LoginRefused,
    Session,
    SessionManager,
    StoreError,
)
from betfair_session.secret import Secret
from betfair_session.trust import Held, Trust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.objects import Bucket

    from betfair_session.sandbox import Sandbox

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
    session._trust.held = Held(held.token, now - 900, now - 1, held.ends, held.ends_wall)


def pass_session(session: Session) -> None:
    """Let the session's length be over, too."""
    held = session._trust.held
    now = time.time()
    session._trust.held = Held(held.token, now - 99_999, now - 9, time.monotonic() - 1, now - 1)


def test_inside_the_window_nothing_is_asked(
    session: Session, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Neither Betfair nor the store: the object may even be gone."""
    token = session.token()
    (tmp_path / KEY).unlink()
    assert [session.token() for _ in range(100)] == [token] * 100
    assert sandbox.counts() == {}


@pytest.mark.parametrize(("edge", "trusted"), [("since", True), ("until", False)])
def test_a_window_has_a_first_moment_and_no_last(
    session: Session, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, edge: str, *, trusted: bool
) -> None:
    """Whichever way the token is asked for."""
    token = session.token()
    ways: list[Callable[[], str]] = [
        session.token,
        lambda: asyncio.run(session.atoken()),
        lambda: session.renew(UNKNOWN),
        lambda: asyncio.run(session.arenew(UNKNOWN)),
    ]
    held = session._trust.held
    monkeypatch.setattr(session_module, "_wall", lambda: getattr(held, edge))
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


@pytest.mark.parametrize("clock", ["time", "monotonic"])
def test_either_clock_may_tell_that_the_session_ended(session: Session, clock: str) -> None:
    """One of them may stand still while a machine sleeps."""
    held, far = session._trust.held, 10**9
    ends = (held.ends - far, held.ends_wall) if clock == "monotonic" else (held.ends, 1.0)
    assert held.usable
    assert not Held(held.token, held.since, held.until, *ends).usable


def test_a_wall_clock_that_steps_back_ends_the_window(session: Session, sandbox: Sandbox) -> None:
    """Nobody knows how much time has truly passed."""
    held, ahead = session._trust.held, time.time() + 3600
    session._trust.held = Held(held.token, ahead, ahead + 900, held.ends, held.ends_wall + 3600)
    session.token()
    assert sandbox.counts() == {"keepAlive": 1}


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


class Now:
    """The two clocks, set by hand."""

    def __init__(self, wall: float, mono: float) -> None:
        """Set them."""
        self.wall, self.mono = wall, mono

    def time(self) -> float:
        """Return the wall clock's time."""
        return self.wall

    def monotonic(self) -> float:
        """Return the other's."""
        return self.mono


def parts(held: Held) -> tuple[object, ...]:
    """Return a token and its times."""
    return held.token, held.since, held.until, held.ends, held.ends_wall


def test_the_times_of_a_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window and the session's length count from when Betfair was asked."""
    now = Now(1000.0, 50.0)
    monkeypatch.setattr(trust_module, "time", now)
    trust = Trust(900.0, 1200.0)
    assert not trust.held.usable
    trust.verified(Secret("t"), 10.0)
    first = trust.held
    assert parts(first) == ("t", 1000.0, 1890.0, 1240.0, 2190.0)
    for wall, mono, usable in (
        (1000.0, 50.0, True),
        (999.9, 50.0, False),
        (2189.9, 50.0, True),
        (2190.0, 50.0, False),
        (1000.0, 1239.9, True),
        (1000.0, 1240.0, False),
    ):
        now.wall, now.mono = wall, mono
        assert first.usable is usable
    now.wall, now.mono = 1900.0, 60.0
    assert trust.postpone(first)
    second = trust.held
    assert parts(second) == ("t", 1900.0, 1905.0, 1240.0, 2190.0)
    assert not trust.postpone(first)
    assert trust.held is second
    now.wall = 2188.0
    assert trust.postpone(second)
    assert parts(trust.held) == ("t", 2188.0, 2190.0, 1240.0, 2190.0)
    trust.forget(Secret("another"))
    assert trust.held.token == "t"
    trust.forget(Secret("t"))
    assert trust.held.token == ""


@pytest.mark.parametrize(("window", "length"), [(3.0, None), (3.0, 2.0)])
def test_a_session_of_unknown_length_lasts_as_long_as_the_window(
    monkeypatch: pytest.MonkeyPatch, window: float, length: float | None
) -> None:
    """So does one that is said to be shorter; a postponement is no longer than the window."""
    monkeypatch.setattr(trust_module, "time", Now(1000.0, 50.0))
    trust = Trust(window, length)
    assert (trust.window, trust.shared) == (3.0, False)
    trust.verified(Secret("t"), 0.0)
    assert parts(trust.held) == ("t", 1000.0, 1003.0, 53.0, 1003.0)
    long = Held("t", 0.0, 0.0, 9999.0, 9999.0)
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

    trust.verified(Ended("token"), 1.0)
    assert trust.held.token == ""
    trust.verified(Secret("token"), 0.0)
    assert trust.held.token == "token"
