"""Renew one token in many threads at once, round after round. Usage: program.py STORE.

It is for an interpreter without a global lock, and needs requests and fsspec alone: the login is
the interactive one, since cryptography may not be there. It prints what it counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from betfair_session import Event, IdentityClient, LeaseSettings, SessionManager

ROUNDS, CALLERS, READERS = 25, 16, 4

events: Counter[str] = Counter()
told = threading.Lock()


def hook(event: Event) -> None:
    with told:
        events[event.kind] += 1


client = IdentityClient(
    os.environ["BETFAIR_APP_KEY"],
    identity_url=os.environ["BETFAIR_IDENTITY_URL"],
    verify=os.environ["BETFAIR_CA_BUNDLE"],
)
manager = SessionManager(
    client,
    os.environ["BETFAIR_USERNAME"],
    os.environ["BETFAIR_PASSWORD"],
    interactive=True,
    verify_every=timedelta(minutes=15),
    lease=LeaseSettings(logins_per_minute=100),
    on_event=hook,
)
handle = manager.session(sys.argv[1], "session.token")
gone: frozenset[str] = frozenset()  # what renew has replaced; replaced whole, never changed
over = threading.Event()
barrier = threading.Barrier(CALLERS)


def ask(number: int, dead: str) -> str:
    """Ask together with the others for a token in place of a dead one."""
    barrier.wait()
    if number % 2:
        return handle.renew(dead)
    return asyncio.run(handle.arenew(dead))


def read() -> int:
    """Ask until it is over; return how often. No token may come that was known to be gone."""
    calls = 0
    while not over.is_set():
        known = gone
        assert handle.token() not in known
        calls += 1
    return calls


token = handle.token()
with ThreadPoolExecutor(CALLERS) as callers, ThreadPoolExecutor(READERS) as readers:
    reading = [readers.submit(read) for _ in range(READERS)]
    try:
        for _ in range(ROUNDS):
            client.logout(token)
            found = set(callers.map(ask, range(CALLERS), [token] * CALLERS))
            assert len(found - {token}) == len(found) == 1
            gone |= {token}
            (token,) = found
    finally:
        over.set()
    reads = sum(each.result() for each in reading)
manager.close()
locked = getattr(sys, "_is_gil_enabled", lambda: True)()
print(json.dumps({"lock": locked, "rounds": ROUNDS, "reads": reads, "events": events}))
