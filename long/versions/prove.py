"""Two versions of the library share one token, as while a deployment is under way.

    python3 dev.py long versions                    beside the first version with today's lock
    python3 dev.py long versions --beside v0.1.0    beside any other revision of this repository

In each round the token dies, and six processes of either version ask for it at once; in every third
one the process that holds the lock is killed. One login has to serve all others, each time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from fleet.scene import Scene
from real_places import place_for

from betfair_session.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
FIRST = "e577a47"
PLACES = ("local", "moto", "seaweed", "gcs", "azure", "obstore+moto")
LEASE = {"ttl": 20.0, "login_deadline": 10.0, "store_deadline": 5.0, "logins_per_minute": 100}


class Member(NamedTuple):
    """One process, and the directory that its library is in; "" for the installed one."""

    process: subprocess.Popen[str]
    path: str

    def tell(self, line: object) -> None:
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def start(scene: Scene, path: str) -> Member:
    """Start a process, and wait until it has imported the library."""
    program = [sys.executable, str(Path(__file__).with_name("program.py"))]
    environment = {**os.environ, "PYTHONPATH": path}
    pipe = subprocess.PIPE
    member = Member(
        subprocess.Popen(program, env=environment, stdin=pipe, stdout=pipe, text=True), path
    )
    job = {
        "identity": scene.identity,
        "account": [scene.username, scene.password],
        "lease": LEASE,
        "place": [scene.place.url(), scene.key, scene.place.options],
    }
    member.tell(json.dumps(job))
    assert (member.hear() == f"{path}\n") == bool(path)
    return member


def kill_the_holder(scene: Scene, members: list[Member]) -> Member:
    """Kill the process that holds the lock, as soon as one does."""
    by_number = {member.process.pid: member for member in members}
    while True:
        with suppress(ValueError):  # a file that is being written
            lock = scene.lock()
            if lock.get("state") == "held":
                holder = by_number[int(re.findall(r"\d+", lock["owner"])[-1])]
                holder.process.send_signal(signal.SIGKILL)
                holder.process.communicate()
                return holder


def play(scene: Scene, members: list[Member], *, kill: bool) -> str:
    """Let all ask at once for a token that has died; return what was wrong."""
    scene.store_dead_token()
    before, soon = scene.logins(), time.time() + 0.3
    for member in members:
        member.tell(soon + random.uniform(0, 0.05))
    if kill:
        holder = kill_the_holder(scene, members)
        members.remove(holder)
    answers = Counter(member.hear() for member in members)
    if kill:
        members.append(start(scene, holder.path))
    logins = scene.logins() - before
    right = answers.keys() == {f"token {scene.stored()}\n"} and scene.stored() in scene.live()
    if right and 1 <= logins <= 1 + kill:
        return ""
    return f"{logins} logins; answers: {dict(answers)}"


def prove(kind: str, rounds: int, older: str) -> Counter[str]:
    """Play some rounds on one kind of store; count them, and what went wrong."""
    found: Counter[str] = Counter()
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox())
        sandbox.configure(login_seconds=0.5, logins_per_minute=1_000_000)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scene = Scene.at(sandbox, place_for(kind, directory, stack))
        members: list[Member] = []
        stack.callback(lambda: [each.process.kill() for each in members])
        members += [start(scene, path) for path in ("", older) * 6]
        for number in range(rounds):
            kill = number % 3 == 2
            wrong = play(scene, members, kill=kill)
            found.update(["rounds", *["kills"] * kill, *["wrong"] * bool(wrong)])
            if wrong:
                print(f"{kind}, round {number}: {wrong}", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="two versions share one token")
    parser.add_argument("place", nargs="*", help=f"of {', '.join(PLACES)}; all if none is named")
    parser.add_argument("--beside", default=FIRST, help=f"the other revision ({FIRST})")
    parser.add_argument("--rounds", type=int, default=15, help="on each (15)")
    options = parser.parse_args()
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as older:
        archive = ["git", "archive", options.beside, "betfair_session"]
        packed = subprocess.run(archive, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["tar", "-x", "-C", older], input=packed, check=True)
        for kind in options.place or PLACES:
            total += prove(kind, options.rounds, older)
    print(f"{total['rounds']} rounds, {total['kills']} with a kill, {total['wrong']} went wrong")
    return int(total["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main())
