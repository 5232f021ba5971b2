"""What is done to one token, again and again, while its processes use it."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time

from fleet.scene import Scene
from servers.process import poll

from chaos.ledger import Ledger
from chaos.troop import Ambush, Troop, any_blow

_STUCK = 120.0  # seconds without a live token after which a round is given up
_ACTS = {
    "expired": 70,
    "deleted": 10,
    "overwritten with a dead token": 10,
    "overwritten with a live token": 10,
}
"""The ways to take a token away, with the share of each in percent."""
_MEANWHILE = 0.15  # the chance of a second act in the middle of the login
_BLOW = 0.1  # the chance that its holder is killed or frozen


class Conductor(threading.Thread):
    """Takes one token away, waits until its processes have healed that, and begins anew."""

    def __init__(self, team: int, scene: Scene, ledger: Ledger, troop: Troop, bell: str) -> None:
        """Direct a team of processes, which wait at a named pipe, on a scene of theirs."""
        super().__init__(daemon=True)
        self._team = team
        self._scene = scene
        self._ledger = ledger
        self._troop = troop
        os.mkfifo(bell)
        self.bell = os.open(bell, os.O_RDWR | os.O_NONBLOCK)
        self._login = troop.logins[team]
        self._orphans: list[str] = []
        self.goal = 0  # how many generations to make
        self.generations = 0  # how many there were
        self.stuck = 0  # 1 when a round was never healed

    def run(self) -> None:
        try:
            token = self._healed()
            while token and self.generations < self.goal:
                self.generations += 1
                token = self._round(token)
            self.stuck += not token
        except Exception as error:  # noqa: BLE001 - the run counts it
            self._ledger.problems.append(f"the conductor failed: {error!r}")

    def ring(self, times: int = 1, sound: bytes = b"w") -> None:
        """Wake some of the processes that wait."""
        with contextlib.suppress(BlockingIOError):
            os.write(self.bell, sound * times)

    def _round(self, old: str) -> str:
        """Take the token away once; return the next one, or "" when there came none."""
        time.sleep(random.uniform(0.02, 0.3))  # it is used for a while
        now = self._scene.stored()
        if now != old:
            self._ledger.revived(now, "a live token was replaced")
            self._orphans.append(old)
            old = now
        self._prepare_blow()
        (act,) = random.choices(list(_ACTS), list(_ACTS.values()))
        self._login.clear()
        self._ledger.begin(act, time.monotonic(), int(act != "overwritten with a live token"))
        self._take_away(act, old)
        self.ring(random.randint(1, 8))
        if random.random() < _MEANWHILE:
            self._interfere()
        new = self._healed()
        self._ledger.rounds[-1].healed = time.monotonic()
        for orphan in self._orphans:
            if orphan != new:
                self._end(orphan)
        self._orphans.clear()
        return new

    def _prepare_blow(self) -> None:
        if random.random() < _BLOW:
            event = random.choice(["take", "login", "session", "published"])
            delay = random.choice([0.0, random.uniform(0, 0.15)])
            self._troop.ambushes[self._team] = Ambush(event, delay, any_blow(self._ledger.ttl))

    def _take_away(self, act: str, old: str) -> None:
        scene = self._scene
        if act == "expired":
            scene.sandbox.expire(old)
        elif act == "deleted":
            scene.place.delete(scene.key)
        else:
            scene.place.put(scene.key, self._foreign(alive="live" in act).encode())
        # No call that begins from now on may return it.
        self._ledger.lose(old, self._ledger.rounds[-1].at)
        if act != "expired":
            self._ledger.acted(self._ledger.rounds[-1].at)
            self._orphans.append(old)

    def _foreign(self, *, alive: bool) -> str:
        token = self._scene.sandbox.issue(self._scene.username)
        if not alive:
            self._end(token)
        return token

    def _end(self, token: str) -> None:
        since = time.monotonic()
        self._scene.sandbox.expire(token)
        self._ledger.lose(token, since)

    def _interfere(self) -> None:
        """Do something else while a process logs in."""
        self._login.wait(2)
        time.sleep(random.uniform(0, 0.2))
        scene = self._scene
        act = random.choice(["a live token", "a dead token", "a deletion"])
        foreign = "" if act == "a deletion" else self._foreign(alive="live" in act)
        before, since = scene.stored(), time.monotonic()
        # Note it first: the login that it makes necessary may follow at once.
        self._ledger.also(act, int(act != "a live token"))
        if foreign:
            scene.place.put(scene.key, foreign.encode())
        else:
            scene.place.delete(scene.key)
        self._ledger.acted(since)
        if before and before not in self._ledger.gone:
            self._ledger.lose(before, since)
            self._orphans.append(before)
        self.ring(random.randint(1, 4))

    def _healed(self) -> str:
        """Wait for a stored token that was not taken away; return it, or "" if none came."""
        for _ in poll(_STUCK, 0.01):
            token = self._scene.stored()
            if token in self._orphans and self._is_back(token):
                # It lives, so no process has a reason to replace it.
                self._ledger.revived(token, "a token that was taken away is back")
                self._ledger.also("brought back", 1)
                self._end(token)
            elif token and token not in self._ledger.gone:
                if token not in self._scene.live():
                    self._ledger.problems.append("a dead token was stored")
                return token
        self._ledger.problems.append(f"nobody logged in within {_STUCK:g} s")
        return ""

    def _is_back(self, token: str) -> bool:
        """Return whether a replaced or deleted token is stored again, and stays for some time."""
        return all(self._scene.stored() == token for _ in poll(1, 0.1)) and (
            token in self._scene.live()
        )
