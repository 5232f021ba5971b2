"""What a chaos run does, and where."""

from __future__ import annotations

from typing import NamedTuple


class Plan(NamedTuple):
    """What is run."""

    store: str  # one of real_places.STORES
    generations: int  # in all
    processes: int  # at any time
    keys: int  # tokens, each with an account and a sandbox of its own
    timeout: float = 20.0  # seconds that each call is given

    @property
    def quick(self) -> bool:
        """Whether a store is opened in next to no time."""
        return self.store == "local" or self.store.startswith("obstore")

    @property
    def lease(self) -> dict[str, float]:
        """The arguments of LeaseSettings: scaled down, so that leases often outlive their time."""
        # fsspec's drivers are slow to open where 64 processes share two cores.
        ttl, login, store = (7.0, 3.5, 1.75) if self.quick else (12.0, 5.0, 3.5)
        deadlines = {"login_deadline": login, "store_deadline": store}
        return {"ttl": ttl, **deadlines, "logins_per_minute": 100}

    def anew(self, number: int) -> bool:
        """Tell whether a process begins each call anew and shares verifications: every fourth."""
        return self.quick and number // self.keys % 4 == 3
