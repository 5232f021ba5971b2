"""Waits of the drivers that are long, and what all of them say while they are at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hidden.planted import plant
from secrets_shown import everything_in

from betfair_session import BetfairSessionError, LeaseSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers.objects import Bucket, ObjectServer
    from servers.proxy import Proxy

    from betfair_session.sandbox import Sandbox

KEY = "session.token"
KINDS = ["seaweed", "sftp", "obstore+seaweed", "obstore+azure", "obstore+gcs-xml"]
"""What tests/hidden does not ask."""


@pytest.mark.parametrize("kind", KINDS)
def test_no_driver_shows_a_token(  # noqa: PLR0917 - fixtures
    sandbox: Sandbox,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    bucket_on: Callable[[str], Bucket],
    proxy_to: Callable[[ObjectServer], Proxy],
    kind: str,
) -> None:
    """Neither what it logs, nor the error of any request that is broken in any way."""
    caplog.set_level(1)
    planted = plant(sandbox, tmp_path)
    driver, plus, name = kind.rpartition("+")
    bucket = bucket_on(name)
    url, options = driver + plus + bucket.url(), bucket.options
    errors = []
    lease = LeaseSettings(ttl=6, login_deadline=3, store_deadline=1)
    with planted.client() as client, planted.manager(client, lease=lease) as manager:
        token = manager.get_session(url, KEY, options)
        assert bucket.get(KEY) == token.encode()
        sandbox.expire_all()
        manager.get_session(url, KEY, options)
        manager.logout(url, KEY, options)
        if name != "sftp":
            proxy = proxy_to(bucket.server)
            through = bucket.server.options(proxy.endpoint)
            for fault in ("lost", "reset", "truncate"):
                for match in ("PUT", "GET"):
                    proxy.fail(match, fault, times=9)
                    try:
                        manager.get_session(url, KEY, through, timeout=8)
                    except BetfairSessionError as error:
                        errors.append(error)
                    planted.secrets()  # takes note of the token that lives now
                    proxy.clear()
                    bucket.delete(f"{KEY}.login")
    assert planted.found_in("\n".join(map(everything_in, errors))) == []
    said = "\n".join(f"{each.getMessage()} {each.__dict__}" for each in caplog.records)
    assert planted.found_in(said) == []
