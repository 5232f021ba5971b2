"""A request as the endpoints see it, and the answers they give."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORM = re.compile(rb"(?:[^%\x00-\x20\x7f-\xff]|%[0-9A-Fa-f]{2})*")

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)
"""A picture of one transparent dot."""


@dataclass(frozen=True)
class Ask:
    """One HTTP request.

    Attributes:
        method: the HTTP method.
        path: the path without the query, exactly as sent.
        query: the query, exactly as sent.
        headers: their names in lower case.
        body: what was posted.
        certificate: the client certificate as DER, or None.
    """

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    certificate: bytes | None = field(default=None, repr=False)

    @property
    def application(self) -> str:
        """The application key, or an empty text."""
        return self.headers.get("x-application", "")

    @property
    def token(self) -> str:
        """The session token, or an empty text."""
        return self.headers.get("x-authentication", "")

    def form(self) -> dict[str, str] | None:
        """Decode the body strictly as a form.

        Returns:
            Its fields; None when it is no form, holds characters that had to be encoded, or names
            a field twice.
        """
        content_type = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type != "application/x-www-form-urlencoded" or not _FORM.fullmatch(self.body):
            return None
        try:
            pairs = parse_qsl(self.body.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError:
            return None
        return dict(pairs) if len(dict(pairs)) == len(pairs) else None


@dataclass(frozen=True)
class Answer:
    """One HTTP answer.

    Attributes:
        outcome: the code it stands for, for the journal.
        body: its content.
        status: the HTTP status.
        content_type: the type of the content.
        headers: further headers.
    """

    outcome: str
    body: bytes = field(default=b"", repr=False)
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(outcome: str, content: object, status: int = 200) -> Answer:
    """Make an answer of JSON."""
    return Answer(outcome, json.dumps(content).encode(), status)


def html_answer(outcome: str, title: str, status: int = 200) -> Answer:
    """Make an answer that is a web page."""
    page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>"
    return Answer(outcome, page.encode(), status, "text/html; charset=utf-8")
