"""Fixtures of the tests' own, for proofs that pytest runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from rare_servers.proxy import Proxy
from servers.objects import ObjectServer

pytest.register_assert_rewrite("storage", "login.script")

pytest_plugins = ["fixtures_sandbox", "servers.fixtures", "fleet.fixtures", "storage.plain"]


@pytest.fixture
def proxy_to() -> Iterator[Callable[[ObjectServer], Proxy]]:
    with contextlib.ExitStack() as made:
        yield lambda server: made.enter_context(Proxy(server.port))
