"""Bots in processes of their own, with nothing in common but a directory."""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from programs import run

if TYPE_CHECKING:
    from betfair_session.sandbox import Sandbox

BOT = Path(__file__).with_name("bot.py")
BOTS = 3


def test_bots_that_start_together_log_in_once(sandbox: Sandbox, tmp_path: Path) -> None:
    """They share that session, and it outlives the logout of each."""
    variables = {
        **sandbox.environment(),
        "STORE": str(tmp_path / "store"),
    }
    sandbox.configure(login_seconds=0.5)  # so that they meet
    with ThreadPoolExecutor(BOTS) as pool:
        started = [
            pool.submit(run, sys.executable, str(BOT), variables=variables, directory=tmp_path)
            for _ in range(BOTS)
        ]
        ended = [each.result() for each in started]
    assert [(each.returncode, each.stderr) for each in ended] == [(0, "")] * BOTS
    (session,) = sandbox.sessions()
    token = hashlib.sha256(session.token.encode()).hexdigest()
    assert [each.stdout.strip() for each in ended] == [token] * BOTS
    assert sandbox.counts()["certlogin"] == 1
    assert "logout" not in sandbox.counts()
