"""The benchmark's programs do what they are compared by; how long they take is not looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bench import hot
from bench.contenders import CLOUDS, CONTENDERS, Stage
from bench.crowds import PROGRAMS, Crowds
from bench.measure import Program, ProgramFailed
from servers.objects import Bucket, ObjectServer
from servers.proxy import Proxy

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
