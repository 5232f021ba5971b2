"""Where requests wait: for a delay to pass, for a test to let them through, or for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.internet import defer, reactor, task


@dataclass(eq=False)
class _Wait:
    endpoint: str
    stage: str
    until: Any


class Gate:
    """Holds requests to an endpoint before they are carried out, or before they are answered."""

    def __init__(self) -> None:
        """Start open."""
        self._held: set[tuple[str, str]] = set()
        self._waits: list[_Wait] = []

    def hold(self, endpoint: str, stage: str = "before") -> None:
        """Park requests to `endpoint` from now on; stage: "before" or "after" their effect."""
        if stage not in ("before", "after"):
            message = "stage is 'before' or 'after'"
            raise ValueError(message)
        self._held.add((endpoint, stage))

    def release(self, endpoint: str, times: int | None = None) -> None:
        """Let the `times` oldest parked requests go on and keep holding; None: all, and stop."""
        if times is None:
            self._held = {held for held in self._held if held[0] != endpoint}
        for wait in self._parked(endpoint)[:times]:
            self._waits.remove(wait)
            wait.until.callback(None)

    def waiting(self, endpoint: str) -> int:
        """Return how many requests to `endpoint` are parked or stalled.

        A parked request counts until it is released, even when its client has gone; a stalled one
        until its client goes.
        """
        stalled = [w for w in self._waits if (w.endpoint, w.stage) == (endpoint, "stall")]
        return len(self._parked(endpoint)) + len(stalled)

    def reset(self) -> None:
        """Stop holding; every waiting request is dropped: its wait raises CancelledError."""
        self._held.clear()
        waits, self._waits = self._waits, []
        for wait in waits:
            wait.until.cancel()

    async def pass_through(self, endpoint: str, stage: str) -> None:
        """Go on at once, or when released."""
        if (endpoint, stage) in self._held:
            await self._wait(_Wait(endpoint, stage, defer.Deferred()))

    async def sleep(self, endpoint: str, seconds: float) -> None:
        """Go on after `seconds`."""
        if seconds > 0:
            until = task.deferLater(reactor, seconds)
            await self._wait(_Wait(endpoint, "sleep", until))

    async def stall(self, endpoint: str, gone: Any) -> None:  # noqa: ANN401 - a Deferred
        """Never go on; return when the client has `gone`."""
        until = defer.Deferred()
        gone.addCallback(lambda _: until.called or until.callback(None))
        await self._wait(_Wait(endpoint, "stall", until))

    async def _wait(self, wait: _Wait) -> None:
        self._waits.append(wait)
        try:
            await wait.until
        finally:
            if wait in self._waits:
                self._waits.remove(wait)

    def _parked(self, endpoint: str) -> list[_Wait]:
        held = ("before", "after")
        return [wait for wait in self._waits if wait.endpoint == endpoint and wait.stage in held]
