"""An HTTP answer of the identity service, and what may be shown of it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from betfair_session.secret import Secret

MAX_ANSWER = 65_536
"""Bytes of an answer that are read; the longest that Betfair documents is under 1 KiB."""


EXCERPT = 160
"""Characters of a page that an error shows."""


_TOO_MANY, _SERVER_ERROR = 429, 500


class Answer(NamedTuple):
    """An HTTP answer.

    Attributes:
        status_code: its status.
        body: at most MAX_ANSWER bytes.
        sent: the secrets of the request, which a page may echo.
    """

    status_code: int
    body: bytes
    sent: tuple[Secret, ...] = ()

    def __repr__(self) -> str:
        return f"Answer({self.status_code})"

    @property
    def is_passing(self) -> bool:
        """Whether another answer may come a moment later: 429 and 5xx."""
        return self.status_code == _TOO_MANY or self.status_code >= _SERVER_ERROR

    def json_object(self, secret: str) -> dict[str, Any] | None:
        """Return the body if it is a JSON object, else None; a text in field `secret` wrapped."""
        import json

        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        hidden = value.pop(secret, None)
        if isinstance(hidden, str):
            value[secret] = Secret(hidden)
        return value

    def excerpt(self) -> str:
        """Return the first plain words of a page, for people; no markup, numbers or secrets."""
        page = self.body.decode("utf-8", "replace")
        for secret in self.sent:
            page = page.replace(secret.reveal(), " ") if secret else page
        title = re.search(r"(?is)<title\b[^>]*(?:>|$)(.*?)(?:</title>|$)", page)
        rest = re.sub(r"(?is)<(script|style|title)\b.*?(</\1>|$)", " ", page)
        # Most pages say in their body once more what their title says.
        if title and title[1].strip() not in rest:
            rest = f"{title[1]} {rest}"
        page = re.sub(r"<[^>]*(>|$)", " ", rest)
        words = re.findall(r"(?<![\w&])[A-Za-z'-]{1,20}[.,:!?]?(?!\S)", page)
        # A page may repeat a secret escaped or in another case: leave out every word of one.
        hidden = {
            word for each in self.sent for word in re.findall(r"[a-z'-]+", each.reveal().lower())
        }
        shown = [word for word in words if word.rstrip(".,:!?").lower() not in hidden]
        return " ".join(shown)[:EXCERPT].rstrip()
