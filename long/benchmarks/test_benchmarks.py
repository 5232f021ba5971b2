"""The benchmark's programs do what they are compared by; how long they take is not looked at."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from bench import cold, curve, hot, sizes
from bench.contenders import CLOUDS, CONTENDERS, Stage
from bench.crowds import PROGRAMS, Crowds
from bench.draw import picture
from bench.measure import Program, ProgramFailed
from bench.targets import Target

from betfair_session import SessionManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from servers.objects import Bucket, ObjectServer
    from servers.proxy import Proxy

    from betfair_session import IdentityClient
    from betfair_session.sandbox import Sandbox

SERVERS = {cloud.place: cloud.server for cloud in CLOUDS}


def program_of(stage: Stage, name: str) -> Program:
    """Return a contender's program."""
    contender = CONTENDERS[name]
    return Program(contender.program, stage.variables(contender), stage.expected(contender))


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_program_returns_the_live_token_with_the_requests_it_is_said_to_make(
    name: str,
    sandbox: Sandbox,
    tmp_path: Path,
    bucket_on: Callable[[str], Bucket],
    proxy_to: Callable[[ObjectServer], Proxy],
) -> None:
    """Each runs once, between it and its store a proxy that counts."""
    contender, stage, proxy = CONTENDERS[name], Stage(sandbox, tmp_path), None
    if contender.place in SERVERS:
        bucket = bucket_on(SERVERS[contender.place])
        proxy = proxy_to(bucket.server)
        stage.add(contender.place, bucket, bucket.server.options(proxy.endpoint))
    program = program_of(stage, name)
    if contender.program == "dogpile_file":
        program.run()  # it trusts only what it has kept itself
    sandbox.clear_journal()
    token = program.run().token
    alive = {session.token for session in sandbox.sessions()}
    assert token in (alive if contender.place or contender.logins else {""})
    expected = {"keepAlive": contender.keep_alives, "certlogin": contender.logins}
    assert sandbox.counts() == {name: count for name, count in expected.items() if count}
    reads = len(proxy.requests if proxy else [])
    # Some of the port's are made at the same time, and not all of them to their end.
    assert (reads >= contender.reads) if contender.program == "port" else reads == contender.reads


def test_a_program_that_prints_another_token_is_not_measured(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Nor one that fails, whatever it took."""
    program = program_of(Stage(sandbox, tmp_path), "file/verified")
    with pytest.raises(ProgramFailed):
        replace(program, token="another").run()
    with pytest.raises(ProgramFailed, match="KeyError"):
        replace(program, variables={}).run()


def locks_below(*roots: object) -> Iterator[Any]:
    """Find every lock that is reachable from objects, without looking into code."""
    locks = (type(threading.Lock()), type(threading.RLock()))
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, type | ModuleType | FunctionType):
            continue
        seen.add(id(found))
        if isinstance(found, locks):
            yield found
        waiting += gc.get_referents(found)


def test_a_call_inside_the_trust_window_takes_no_lock(
    client: IdentityClient, sandbox: Sandbox, tmp_path: Path
) -> None:
    """It returns while every lock of manager and handle is held by another thread."""
    hour = timedelta(hours=1)
    with (
        SessionManager(client, sandbox.username, sandbox.password, verify_every=hour) as manager,
        ThreadPoolExecutor(1) as pool,
    ):
        session = manager.session(tmp_path, "session.token")
        token = session.token()
        with ExitStack() as held:
            locks = list(locks_below(manager, session))
            for lock in locks:
                held.enter_context(lock)
            assert locks
            assert pool.submit(session.token).result(30) == token
            assert pool.submit(manager.get_session, tmp_path, "session.token").result(30) == token


def test_the_calls_inside_the_window_return_the_live_token() -> None:
    """Each of those that are compared, as the program itself looks; none takes no time."""
    found = hot.measure(1, lambda _text: None, loops=10)["ns"]
    assert found.keys() == hot.LABELS.keys()
    assert min(found.values()) > 0


@pytest.fixture(scope="module")
def crowds() -> Iterator[Crowds]:
    """A sandbox for stampedes."""
    with Crowds() as crowds:
        yield crowds


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_process_of_a_stampede_is_served(crowds: Crowds, program: str) -> None:
    """By one login if there is a lock, this library's or a file's; by several with the port."""
    run = crowds.run("local", 5, program, dead=False)
    assert run.unserved == 0
    assert run.logins == run.tokens == run.sessions
    assert (run.logins == 1) == (program != "straightforward")
    assert len(run.calls) == 5
    assert 0 < run.first <= run.seconds


def test_an_extras_size_counts_what_it_needs_and_nothing_else() -> None:
    """The whole of its requirements, by the markers of this environment."""
    plain, with_s3 = sizes.closure(["betfair-session"]), sizes.closure(["betfair-session[s3]"])
    assert {"betfair-session", "requests", "urllib3"} <= plain < with_s3
    assert {"s3fs", "aiobotocore", "aiohttp"} <= with_s3 - plain
    assert not {"gcsfs", "adlfs", "pytest"} & with_s3


def figures() -> dict[str, Any]:
    """Return made-up figures of the parts that are drawn."""
    cost = {"seconds": 0.5, "token_seconds": 0.4, "cpu": 0.3, "rss": 40.0}
    served = {"first": 1.0, "last": 2.0, "spread": 1.0, "calls": 9, "logins": 1, "unserved": 0}
    return {
        "cold": {"rounds": 1, "costs": dict.fromkeys(CONTENDERS, cost)},
        "hot": {"rounds": 1, "ns": dict.fromkeys(hot.LABELS, 100.0)},
        "curve": {
            "rounds": 1,
            "series": {
                name: {str(count): served for count in curve.COUNTS} for name in curve.SERIES
            },
        },
    }


def test_the_picture_has_a_bar_for_every_program_and_call() -> None:
    """It is well-formed, and says what each of them took."""
    drawn = ET.fromstring(picture(figures()))
    space = "{http://www.w3.org/2000/svg}"
    values = [each.text for each in drawn.iter(f"{space}text") if each.get("class") == "value"]
    assert values.count("500 ms") == len(CONTENDERS)
    assert values.count("100 ns") == len(list(drawn.iter(f"{space}rect"))) - len(CONTENDERS) > 0
    assert len(list(drawn.iter(f"{space}polyline"))) > 0


def test_what_costs_more_than_it_may_is_missed() -> None:
    """A target is met up to its limit, the limit included."""
    assert Target(2, "a", 0.5, 0.5).met
    assert not Target(2, "a", 0.51, 0.5).met
    numbers = [target.number for target in cold.targets(figures()["cold"])]
    assert numbers.count(2) == 2
    assert numbers.count(3) == 6
    assert numbers.count(4) == 3
    assert [target.met for target in cold.targets(figures()["cold"])].count(True) == 7
