"""Two versions of the library share one token, as while a deployment is under way.

    python3 dev.py long versions                    beside the first version with today's lock
    python3 dev.py long versions --beside v0.1.0    beside any other revision of this repository

In each round the token dies, and six processes of either version ask for it at once; in every third
one the process that holds the lock is killed. One login has to serve all others, each time.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeAlias

from fleet.processes import Program
from fleet.scene import Scene
from real_places import place_for

from betfair_session.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
FIRST = "e577a47"
PLACES = ("local", "moto", "seaweed", "gcs", "azure", "obstore+moto")
Members: TypeAlias = dict[int, tuple[Program, str]]  # by process number; and where its library is
LEASE = {"ttl": 20.0, "login_deadline": 10.0, "store_deadline": 5.0, "logins_per_minute": 100}


def start(scene: Scene, library: str) -> Program:
    """Start a process, and wait until it has imported the library."""
    member = Program(program=Path(__file__).with_name("program.py"), library=library)
    place = [scene.place.url(), scene.key, scene.place.options]
    account = [scene.username, scene.password]
    member.tell({"identity": scene.identity, "account": account, "lease": LEASE, "place": place})
    assert member.hear().startswith(library)
    return member


def kill_the_holder(scene: Scene, members: Members) -> str:
    """Kill the process that holds the lock, as soon as one does; return its library."""
    while True:
        with suppress(ValueError):  # a file that is being written
            lock = scene.lock()
            if lock.get("state") == "held":
                holder, library = members.pop(int(re.findall(r"\d+", lock["owner"])[-1]))
                holder.close()
                return library


def play(scene: Scene, members: Members, *, kill: bool) -> str:
    """Have all ask at once for a token that has died; return what was wrong."""
    scene.store_dead_token()
    before, soon = scene.logins(), time.time() + 0.3
    for member, _ in members.values():
        member.tell(soon + random.uniform(0, 0.05))
    killed = [kill_the_holder(scene, members)] if kill else []
    answers = Counter(member.hear() for member, _ in members.values())
    add(scene, members, killed)
    logins = scene.logins() - before
    served = [*answers] == [scene.stored()] and scene.stored() in scene.live()
    if served and 1 <= logins <= 1 + kill:
        return ""
    return f"{logins} logins; answers: {dict(answers)}"


def add(scene: Scene, members: Members, libraries: Sequence[str]) -> None:
    for library in libraries:
        member = start(scene, library)
        members[member.process.pid] = member, library


def prove(kind: str, rounds: int, older: str) -> Counter[str]:
    """Play some rounds on one kind of store; count them, and what went wrong."""
    found: Counter[str] = Counter()
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox())
        sandbox.configure(login_seconds=0.5, logins_per_minute=1_000_000)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scene = Scene.at(sandbox, place_for(kind, directory, stack))
        members: Members = {}
        stack.callback(lambda: [member.close() for member, _ in members.values()])
        add(scene, members, ["", older] * 6)
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
