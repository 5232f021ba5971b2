"""The journal of every request, and what a careful client would not have sent."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .messages import Ask
    from .records import JournalEntry


_TOO_SHORT = 5


class Journal:
    """Every request since the start or the last `clear`, in the order of arrival."""

    def __init__(self) -> None:
        """Start empty."""
        self.entries: list[JournalEntry] = []

    def add(self, entry: JournalEntry) -> None:
        """Note a request that has just arrived."""
        self.entries.append(entry)

    def counts(self) -> dict[str, int]:
        """Return how many requests each endpoint has had; none, no entry."""
        return dict(Counter(entry.endpoint for entry in self.entries))

    def clear(self) -> None:
        """Forget all of it."""
        self.entries.clear()


def defects(ask: Ask, passwords: Iterable[str]) -> list[str]:
    """Look for secrets where they do not belong.

    Args:
        ask: the request.
        passwords: those of all accounts.

    Returns:
        One short text per defect, without any secret.
    """
    # A very short password would be found anywhere.
    passwords = [password for password in passwords if len(password) > _TOO_SHORT]
    found = []
    names = {name.lower() for name, _ in parse_qsl(ask.query, keep_blank_values=True)}
    url = unquote_plus(f"{ask.path}?{ask.query}")
    if names & {"username", "password", "token", "sessiontoken"}:
        found.append("credentials in the URL")
    if any(password in url for password in passwords):
        found.append("password in the URL")
    if ask.token and ask.token in url:
        found.append("token in the URL")
    if "authorization" in ask.headers:
        found.append("an Authorization header")
    if any(secret in value for secret in passwords for value in ask.headers.values()):
        found.append("password in a header")
    return found
