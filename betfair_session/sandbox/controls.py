"""The control of a running sandbox, from any process that knows its control token."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from pathlib import Path
from typing import Any, Self

from .records import JournalEntry, Order, Session

CONTROL = "control.json"
"""The file in a sandbox's directory by which another process controls it."""

_SECONDS = 60
_POLL = 0.01


class SandboxError(RuntimeError):
    """The sandbox could not be started or reached, or would not take a command."""


class Controls:
    """Everything that a test can ask of the sandbox, or do to it.

    The endpoints are certlogin, login, keepAlive, logout, betting, account, and other (any wrong
    path). The journal also has stream, which takes no faults and cannot be held.
    Safe to use from many threads.

    Attributes:
        stream_address: host and port of the exchange stream.
    """

    def __init__(self, directory: Path) -> None:
        """Control the sandbox whose directory this is."""
        known = json.loads((directory / CONTROL).read_text("utf-8"))
        self._control: dict[str, str] = known
        self.stream_address: tuple[str, int] = ("127.0.0.1", known["stream_port"])
        self._control_tls = ssl.create_default_context(cafile=directory / "ca.pem")

    @classmethod
    def running(cls, directory: str | os.PathLike[str] | None = None) -> Self:
        """Control a sandbox that another process has started, such as `betfair-session sandbox`.

        Args:
            directory: the sandbox's; None for that of BETFAIR_CA_BUNDLE.

        Raises:
            SandboxError: no sandbox runs there.
        """
        bundle = os.environ.get("BETFAIR_CA_BUNDLE", "")
        if directory is None and not bundle:
            raise SandboxError("set the variables that the sandbox printed, or give its directory")
        path = Path(os.path.dirname(bundle) if directory is None else directory)
        try:
            return cls(path)
        except (OSError, ValueError):
            raise SandboxError(f"no sandbox runs in {str(path)!r}; give its directory") from None

    def _call(self, name: str, /, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        connection = http.client.HTTPSConnection(
            self._control["address"], timeout=_SECONDS, context=self._control_tls
        )
        try:
            body = json.dumps({"name": name, "arguments": arguments})
            connection.request("POST", "/", body, {"X-Sandbox-Control": self._control["token"]})
            answer = json.load(connection.getresponse())
        except OSError as error:
            raise SandboxError(f"the sandbox does not answer: {error}") from error
        finally:
            connection.close()
        if "error" in answer:
            raise SandboxError(f"{name}: {answer['error']}")
        return answer["result"]

    def reset(self) -> None:
        """Put everything back to how it began; requests that wait are dropped."""
        self._call("reset")

    def configure(self, **settings: float) -> None:
        """Change settings; `reset` puts them back.

        Args:
            settings: `session_seconds` that a session lives (0: every new token is dead at once),
                `logins_per_minute` before a ban, `ban_seconds` that it lasts, `lock_after` so
                many wrong passwords. In real seconds: `login_seconds` that a login takes.
        """
        self._call("configure", **settings)

    def advance(self, seconds: float) -> None:
        """Move the virtual clock forward: sessions expire, bans end."""
        self._call("advance", seconds=seconds)

    def add_account(self, username: str, password: str) -> None:
        """Add an account without certificates, or replace one."""
        self._call("add_account", username=username, password=password)

    def set_two_step(self, code: str | None, username: str | None = None) -> None:
        """Demand a two-step code, appended to the password, from interactive logins, or none."""
        self._call("set_two_step", code=code, username=username)

    def make_certificate(self, name: str) -> tuple[str, str]:
        """Make another client certificate, which no account knows until it is uploaded.

        Args:
            name: a Python identifier. One name gives one certificate, even after a reset.

        Returns:
            The paths of certificate and key, in the sandbox's directory.
        """
        certificate, key = self._call("make_certificate", name=name)
        return certificate, key

    def upload_certificate(self, pem: str, username: str | None = None) -> None:
        """Upload a client certificate, PEM text, to an account."""
        self._call("upload_certificate", pem=pem, username=username)

    def sessions(self) -> list[Session]:
        """Return the live sessions, oldest first."""
        return [Session(**session) for session in self._call("sessions")]

    def issue(self, username: str | None = None) -> str:
        """Make a session as if another program had logged in, and return its token."""
        return str(self._call("issue", username=username))

    def expire(self, token: str) -> bool:
        """End one session; return whether there was one."""
        return bool(self._call("expire", token=token))

    def expire_all(self) -> int:
        """End every session; return how many were alive."""
        return int(self._call("expire_all"))

    def journal(self, endpoint: str | None = None) -> list[JournalEntry]:
        """Return every request so far, or those to one endpoint, in the order of arrival."""
        entries = [JournalEntry(**entry) for entry in self._call("journal")]
        return [entry for entry in entries if endpoint in (None, entry.endpoint)]

    def counts(self) -> dict[str, int]:
        """Return how many requests each endpoint has had; an endpoint without any is missing."""
        return {str(name): int(count) for name, count in self._call("counts").items()}

    def clear_journal(self) -> None:
        """Forget the journal."""
        self._call("clear_journal")

    def close_streams(self) -> int:
        """Close every stream connection, as a network does now and then; return how many."""
        return int(self._call("close_streams"))

    def orders(self) -> list[Order]:
        """Return the order placements that were carried out."""
        return [Order(**order) for order in self._call("orders")]

    def login_status(self, code: str | None, times: int | None = None) -> None:
        """Answer logins with a code of your choice.

        Args:
            code: a login status such as SUSPENDED; None stops it. With LIMITED_ACCESS, an
                interactive login with right credentials still gets a token.
            times: for how many logins; None for all.
        """
        self._call("login_status", code=code, times=times)

    def fault(
        self,
        endpoint: str,
        kind: str,
        times: int | None = 1,
        *,
        skip: int = 0,
        effect: bool | None = None,
        **parameters: object,
    ) -> None:
        """Script a fault.

        Args:
            endpoint: whose requests it hits; "*" for all.
            kind: reset, lost, stall, delay, drip, truncated, cut, status:<code>, blocked, html200,
                internal_error, non_object, redirect, empty, huge, rotate or token. The
                module `betfair_session.sandbox.faults` describes each, with its parameters.
            times: how many requests it hits; None until `clear_faults`.
            skip: how many requests it lets pass first.
            effect: whether the request is carried out nevertheless; the kind's default if None.
            parameters: the kind's own.
        """
        settings = {"times": times, "skip": skip, "effect": effect, **parameters}
        self._call("fault", endpoint=endpoint, kind=kind, **settings)

    def clear_faults(self) -> None:
        """Drop every fault that is still to come."""
        self._call("clear_faults")

    def hold(self, endpoint: str, stage: str = "before") -> None:
        """Park requests to an endpoint until they are released.

        Args:
            endpoint: whose requests.
            stage: "before" they are carried out, or "after" that and before the answer. A request
                whose client goes away while it is parked is carried out on its release.
        """
        self._call("hold", endpoint=endpoint, stage=stage)

    def release(self, endpoint: str, times: int | None = None) -> None:
        """Let the `times` oldest parked requests go on; None: all of them, and park no more."""
        self._call("release", endpoint=endpoint, times=times)

    def waiting(self, endpoint: str) -> int:
        """Return how many requests to an endpoint are parked by `hold` or by the fault stall."""
        return int(self._call("waiting", endpoint=endpoint))

    def wait_for(self, endpoint: str, requests: int = 1, timeout: float = 30.0) -> None:
        """Wait until that many requests to an endpoint are parked.

        Args:
            endpoint: whose requests.
            requests: how many at least.
            timeout: seconds.

        Raises:
            SandboxError: they did not come in time.
        """
        deadline = time.monotonic() + timeout
        while (waiting := self.waiting(endpoint)) < requests:
            if time.monotonic() > deadline:
                raise SandboxError(f"{waiting} requests to {endpoint} are waiting, not {requests}")
            time.sleep(_POLL)
