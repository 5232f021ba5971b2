"""A place, an account, and the jobs of processes that share one token there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from front import arguments
from storage.places import Place

from betfair_session import IdentityClient, LeaseSettings, Session, SessionManager
from betfair_session.sandbox import Sandbox
from fleet.job import Job

KEY, LOCK = "session.token", "session.token.login"

GENEROUS = {"ttl": 110, "login_deadline": 40, "store_deadline": 30}
"""A lease for crowds: generous, since a fleet on two cores is slow."""

TAKEOVER = 50.0
"""Seconds within which a call has to succeed although the holder of the usual lease is gone: one
time to live with its margin, and one login; too few for a second time to live."""


@dataclass(frozen=True)
class Scene:
    """Where the story takes place."""

    sandbox: Sandbox
    place: Place
    username: str
    password: str
    key: str = KEY

    @staticmethod
    def at(sandbox: Sandbox, place: Place) -> Scene:
        return Scene(sandbox, place, sandbox.username, sandbox.password)

    def aside(self, number: int) -> Scene:
        """Return another scene at the same place, with an account and a token of its own."""
        username = f"account-{number}"
        self.sandbox.add_account(username, self.password)
        certificate = Path(self.sandbox.certificate[0]).read_text()
        self.sandbox.upload_certificate(certificate, username)
        return replace(self, username=username, key=f"{number:03}/{KEY}")

    @property
    def identity(self) -> dict[str, Any]:
        return {**arguments(self.sandbox), "timeout": 30}

    def job(self, **changes: Any) -> Job:  # noqa: ANN401 - Job's own types
        place = (self.place.url(), self.place.options, self.key)
        return Job(*place, self.identity, self.username, self.password)._replace(**changes)

    def heir(self, **changes: Any) -> Job:  # noqa: ANN401 - Job's own types
        """Return the job of a process that comes after the holder is gone."""
        return self.job(timeout=TAKEOVER, waits=0.03, **{"warm": True, **changes})

    @contextmanager
    def session(self, *, lease: Mapping[str, float] | None = None) -> Iterator[Session]:
        """Open a handle that shares only the store with others."""
        settings = LeaseSettings(**(lease or {}))  # type: ignore[arg-type] # whole numbers
        with (
            IdentityClient(**self.identity) as client,
            SessionManager(client, self.username, self.password, lease=settings) as manager,
        ):
            yield manager.session(self.place.url(), self.key, self.place.options)

    def store_dead_token(self) -> str:
        token = self.sandbox.issue(self.username)
        self.sandbox.expire(token)
        self.place.put(self.key, token.encode())
        return token

    def stored(self) -> str:
        """Return the stored token, or "" when there is none; a blank is none."""
        return (self.place.get(self.key) or b"").decode().strip()

    def lock(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.place.get(self.key + ".login") or b"{}")
        return found

    def live(self) -> list[str]:
        sessions = self.sandbox.sessions()
        return [each.token for each in sessions if each.username == self.username]

    def logins(self) -> int:
        """Return how many logins were sent, by any process."""
        return self.sandbox.counts().get("certlogin", 0)

    def objects(self) -> list[str]:
        found = self.place.keys()
        folder = self.key.rpartition("/")[0]
        return [key for key in found if key.startswith(folder)]

    def assert_quiet(self) -> None:
        """One live session, its token stored, one lock object that is released, nothing else."""
        assert self.live() == [self.stored()]
        assert self.objects() == [self.key, self.key + ".login"]
        assert self.lock()["state"] == "done"
