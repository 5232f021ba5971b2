"""The benchmark's programs do what the comparison says of them; their speed is not checked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bench.contenders import CLOUDS, CONTENDERS, Stage
from bench.measure import Program
from rare_servers.proxy import Proxy
from servers.objects import Bucket, ObjectServer

from betfair_session.sandbox import Sandbox

SERVERS = {cloud.place: cloud.server for cloud in CLOUDS}


@pytest.mark.parametrize("name", CONTENDERS)
def test_a_program_returns_the_live_token_with_the_requests_it_is_said_to_make(
    name: str,
    sandbox: Sandbox,
    tmp_path: Path,
    bucket_on: Callable[[str], Bucket],
    proxy_to: Callable[[ObjectServer], Proxy],
) -> None:
    """Each runs once, with a proxy before its store that counts requests."""
    contender, stage, proxy = CONTENDERS[name], Stage(sandbox, tmp_path), None
    if contender.place in SERVERS:
        bucket = bucket_on(SERVERS[contender.place])
        proxy = proxy_to(bucket.server)
        stage.add(contender.place, bucket, bucket.server.options(proxy.endpoint))
    variables, expected = stage.variables(contender), stage.expected(contender)
    program = Program(contender.program, variables, expected)
    if contender.program == "dogpile_file":
        program.run()  # it trusts only a token that it has stored itself
    sandbox.clear_journal()
    token = program.run().token
    alive = {session.token for session in sandbox.sessions()}
    assert token in (alive if contender.place or contender.logins else {""})
    asked = {"keepAlive": contender.keep_alives, "certlogin": contender.logins}
    assert sandbox.counts() == {name: count for name, count in asked.items() if count}
    reads = len(proxy.requests if proxy else [])
    # The port makes some at the same time, and does not finish all of them.
    assert (reads >= contender.reads) if contender.program == "port" else reads == contender.reads
