"""A bot's APIClient, pointed at the sandbox as its user would do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from front import Front

from betfair_session import Session
from betfair_session.integrations.betfairlightweight import APIClient
from betfair_session.sandbox import Sandbox


@pytest.fixture
def bot(front: Front, sandbox: Sandbox) -> Callable[..., APIClient]:
    def make(session: Session | None = None, **settings: Any) -> APIClient:  # noqa: ANN401
        trading = APIClient(session or front.session(), **settings)
        trading.stream_address = sandbox.stream_address
        return trading

    return make


@pytest.fixture
def trading(bot: Callable[..., APIClient], sandbox: Sandbox) -> Iterator[APIClient]:
    """Return a client that is logged in; the journal is empty."""
    trading = bot()
    trading.login()
    sandbox.clear_journal()
    return trading
