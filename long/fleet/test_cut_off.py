"""A process that logs in for all is cut off from the store, at any request and in any way."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from fleet.scene import TAKEOVER, Scene
from servers.process import poll
from servers.s3 import refusal

from betfair_session import BetfairSessionError, PublishUncertain, Session
from betfair_session.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.fixtures import Line
    from servers.proxy import Proxy
    from servers.script import Answer, Fault

FAULTS: list[Fault | Answer] = [
    "reset",
    "lost",
    "truncate",
    "hold",
    refusal(500, "InternalError"),
    refusal(403, "AccessDenied"),
]


@dataclass
class Cut:
    """One request of a login spoilt, at a scene of its own.

    Attributes:
        scene: where.
        number: which request of the session.
        fault: what happens to it.
        session: the handle it happens to.
        newcomer: another handle, past the proxy.
    """

    scene: Scene
    number: int
    fault: Fault | Answer
    session: Session
    newcomer: Session

    def run(self, proxy: Proxy) -> list[str]:
        """Let it happen, let another come; return what is wrong then."""
        rule = proxy.fail(
            lambda exchange: f"/{self.scene.key}" in exchange.path, self.fault, skip=self.number
        )
        before = self.scene.stored()
        token, error = _outcome(self.session, 60)
        others, refusal = _outcome(self.newcomer, TAKEOVER)
        problems = self._problems(before, token, error, others, refusal)
        rule.release.set()
        # What was held is to arrive before the last look.
        mine = [each for each in proxy.requests if f"/{self.scene.key}" in each.path]
        held = [each for each in mine if each.fault == "hold"]
        arrived = any(all(each.status for each in held) for _ in poll(20))
        live, stored = self.scene.live(), self.scene.stored()
        checks = {
            "cut too late": rule.reached.is_set() and arrived,
            "the stored token was logged out": stored in ("", before, *live),
            "what was returned was lost": not token or token == stored,
            "a leak": isinstance(error, PublishUncertain) or set(live) <= {stored},
        }
        problems += [what for what, fine in checks.items() if not fine]
        name = self.fault if isinstance(self.fault, str) else self.fault.status
        return [f"{name} at #{self.number} of {self.scene.key}: {what}" for what in problems]

    def _problems(
        self,
        before: str,
        token: str,
        error: BetfairSessionError | None,
        others: str,
        refusal: BetfairSessionError | None,
    ) -> list[str]:
        stored = self.scene.stored()
        checks = {
            f"two tokens ({error})": not (token and others) or token == others == stored,
            f"not served: {refusal}": refusal is None or "a moment ago" in str(refusal),
            "served a dead token": not others or others in self.scene.live(),
            "told in vain": refusal is None or not token,
            "published and unknown": stored in ("", before) or bool(others),
            f"{len(self.scene.live())} sessions": len(self.scene.live()) <= 1,
        }
        return [what for what, fine in checks.items() if not fine]


def _outcome(session: Session, timeout: float) -> tuple[str, BetfairSessionError | None]:
    try:
        return session.token(timeout=timeout), None
    except BetfairSessionError as error:
        return "", error


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("dead", [True, False], ids=["dead", "missing"])
@pytest.mark.parametrize("kind", ["seaweed", "moto"])
def test_a_holder_cut_off_at_any_request_costs_at_most_one_login(
    line_to: Callable[[str], Line], kind: str, *, dead: bool
) -> None:
    """Whichever request of a login is spoilt, and however."""
    line = line_to(kind)
    scenes = _scenes_to_cut(line, dead=dead)
    with line.scene.session() as direct:
        cuts = [
            Cut(scene, number, fault, _handle(line.session, scene), _handle(direct, scene))
            for scene, (number, fault) in scenes
        ]
        with ThreadPoolExecutor(12) as pool:
            found = list(pool.map(lambda cut: cut.run(line.proxy), cuts))
    assert [problem for problems in found for problem in problems] == []
    assert len(cuts) >= 5 * len(FAULTS)


def _scenes_to_cut(line: Line, *, dead: bool) -> list[tuple[Scene, tuple[int, Fault | Answer]]]:
    """Make a login to count its requests, and set a scene for each way to spoil one of them."""
    if dead:
        line.scene.store_dead_token()
    line.session.token()
    requests = len(line.proxy.requests) - 2  # the server is not tried out again
    ways = list(itertools.product(range(requests), FAULTS))
    scenes = [line.scene.aside(number) for number in range(len(ways))]
    for scene in scenes:
        if dead:
            scene.store_dead_token()
    return list(zip(scenes, ways, strict=True))


def _handle(session: Session, scene: Scene) -> Session:
    """Return a handle for another account and key at the same store, its connection shared."""
    account = session._account._replace(username=Secret(scene.username))
    return Session(account, session._store, scene.key)
