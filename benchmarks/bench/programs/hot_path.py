"""What a call costs while the token is trusted, beside a look-up by hand and dogpile.cache.

Prints JSON: nanoseconds per call, medians of some repeats that were measured in turn.
"""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta
from statistics import median
from timeit import Timer

from dogpile.cache import make_region

from betfair_session import IdentityClient, SessionManager

REPEATS = 25
CALLS = {
    "token": "session.token()",
    "token by hand": "by_hand.token()",
    "get_session": "manager.get_session(store, key)",
    "get_session by hand": "by_hand.get_session(store, key)",
    "dogpile get": "region.get(key)",
    "dogpile get_or_create": "region.get_or_create(key, create)",
}

store, key = os.environ["BENCH_STORE"], os.environ["BENCH_KEY"]
window = float(os.environ["BENCH_WINDOW"])
client = IdentityClient(
    os.environ["BETFAIR_APP_KEY"],
    certificate=(os.environ["BETFAIR_CERT_FILE"], os.environ["BETFAIR_KEY_FILE"]),
    identity_url=os.environ["BETFAIR_IDENTITY_URL"],
    identity_cert_url=os.environ["BETFAIR_IDENTITY_CERT_URL"],
    verify=os.environ["BETFAIR_CA_BUNDLE"],
)
manager = SessionManager(
    client,
    os.environ["BETFAIR_USERNAME"],
    os.environ["BETFAIR_PASSWORD"],
    verify_every=timedelta(seconds=window),
)
session = manager.session(store, key)
live = session.token()


class ByHand:
    """A dictionary look-up plus time.monotonic(), called the same way."""

    def __init__(self) -> None:
        """Hold the token by its name, and by place and name."""
        self._named = {key: live}
        self._placed = {(store, key): live}

    def token(self) -> str:
        """Return it as the handle does."""
        time.monotonic()
        return self._named["session.token"]

    def get_session(self, store: str, key: str) -> str:
        """Return it as the manager does."""
        time.monotonic()
        return self._placed[store, key]


def create() -> str:
    """Log in, which is never needed."""
    raise AssertionError


by_hand = ByHand()
region = make_region().configure("dogpile.cache.memory", expiration_time=window)
region.set(key, live)

names = dict(globals())
assert all(eval(call, names) == live for call in CALLS.values())  # noqa: S101, S307 - ours, above
loops = int(os.environ["BENCH_LOOPS"])
# Processor time: waiting for a core is no cost of the call.
timers = {name: Timer(call, globals=names, timer=time.process_time) for name, call in CALLS.items()}
taken: dict[str, list[float]] = {name: [] for name in CALLS}
for _ in range(REPEATS):
    for name, timer in timers.items():
        taken[name].append(timer.timeit(loops) / loops * 1e9)
print(json.dumps({name: median(times) for name, times in taken.items()}))
