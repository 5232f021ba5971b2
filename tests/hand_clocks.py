"""The two clocks by which trust is measured, set by hand."""

from __future__ import annotations

import time

import pytest

from betfair_session import session
from betfair_session.process import clocks


class HandClocks:
    """Both stand still until a test moves them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        """Begin with the time it is, in 64ths, which a datetime's microseconds hold exactly."""
        self.steady, self.wall = (now * 64 // 1 / 64 for now in (time.monotonic(), time.time()))
        patch.setattr(clocks, "steady", lambda: self.steady)
        for module, name in ((clocks, "wall"), (session, "_wall")):
            patch.setattr(module, name, lambda: self.wall)

    def go(self, seconds: float) -> None:
        self.steady += seconds
        self.wall += seconds

    def sleep(self, seconds: float) -> None:
        """Let the machine be suspended, on a system whose steady clock stands still then."""
        self.wall += seconds
