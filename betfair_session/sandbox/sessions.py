"""The virtual clock, the settings, and the sessions that live by them."""

from __future__ import annotations

import re
import secrets
import time
from base64 import b64encode
from dataclasses import dataclass, fields, replace

from .records import Session

_TOKEN = re.compile(r"[A-Za-z0-9+/]{43}=")


@dataclass
class Settings:
    """What a test may turn.

    Attributes:
        session_seconds: how long a session lives after its login or last keepAlive; 0 makes every
            new token dead at once.
        logins_per_minute: successful logins of one account before it is banned.
        ban_seconds: how long a ban lasts.
        lock_after: wrong passwords in a row that lock an account.
        login_seconds: real seconds that a login takes.
        delay: real seconds that any request takes.
    """

    session_seconds: float = 12 * 3600
    logins_per_minute: float = 100
    ban_seconds: float = 20 * 60
    lock_after: float = 5
    login_seconds: float = 0
    delay: float = 0

    def configure(self, **values: float) -> None:
        """Change some settings; a name that is none raises TypeError."""
        for name, value in vars(replace(self, **values)).items():
            setattr(self, name, value)

    def reset(self) -> None:
        """Go back to the defaults."""
        for setting in fields(self):
            setattr(self, setting.name, setting.default)


class Clock:
    """Real time plus an offset that tests turn, so that nobody waits for an expiry."""

    def __init__(self) -> None:
        """Start at the real time."""
        self._offset = 0.0
        # Never backwards, whatever happens to the machine's wall clock.
        self._epoch = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the virtual time in seconds since the epoch."""
        return self._epoch + time.monotonic() + self._offset

    def set_time_offset(self, seconds: float = 0.0) -> None:
        """Set how far the virtual clock is ahead of the real one."""
        self._offset = seconds

    def advance(self, seconds: float) -> None:
        """Turn the virtual clock forward."""
        self._offset += seconds


class Sessions:
    """Every session token, and whether it is alive."""

    def __init__(self, clock: Clock, settings: Settings) -> None:
        """Start without sessions; `settings.session_seconds` may change at any time."""
        self._clock = clock
        self._settings = settings
        self._known: dict[str, Session] = {}

    def issue(self, username: str) -> str:
        """Make a session and return its token: 44 base64 characters that end in '='."""
        token = b64encode(secrets.token_bytes(32)).decode("ascii")
        now = self._clock.now()
        self._known[token] = Session(token, username, now, now)
        return token

    def find(self, token: str | None) -> Session | None:
        """Return a live session, or None."""
        session = self._known.get(token or "")
        if session and self._clock.now() >= session.kept_alive + self._settings.session_seconds:
            del self._known[session.token]
            return None
        return session

    def live(self) -> list[Session]:
        """Return the live sessions, oldest first."""
        return [session for token in list(self._known) if (session := self.find(token))]

    def keep_alive(self, token: str | None) -> str:
        """Extend a session; return SUCCESS, NO_SESSION or INPUT_VALIDATION_ERROR."""
        if token and not _TOKEN.fullmatch(token):
            return "INPUT_VALIDATION_ERROR"
        session = self.find(token)
        if session is None:
            return "NO_SESSION"
        session.kept_alive = self._clock.now()
        return "SUCCESS"

    def logout(self, token: str | None) -> str:
        """End a session; return the same codes as `keep_alive`."""
        code = self.keep_alive(token)
        self.expire(token or "")
        return code

    def rotate(self, token: str) -> str:
        """Give a session another token; the old one is dead."""
        return self.issue(self._known.pop(token).username)

    def expire(self, token: str) -> bool:
        """End one session; return whether there was one."""
        return self._known.pop(token, None) is not None

    def expire_all(self) -> int:
        """End every session; return how many were alive."""
        ended = len(self.live())
        self._known.clear()
        return ended
