"""The ways in which a request to a store is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage import dialects

if TYPE_CHECKING:
    from servers.script import Answer, Fault
    from storage.dialects import Dialect

ONCE = 1
FROM_THEN_ON = 10**9
AFTER = ", and all after it"

DIALECTS: dict[str, Dialect] = {
    "seaweed": dialects.S3,
    "moto": dialects.S3,
    "gcs": dialects.GCS,
    "azure": dialects.AZURE,
    "obstore+seaweed": dialects.S3,
}


@dataclass(frozen=True)
class Break:
    """One way.

    Attributes:
        name: for people.
        kind: what the proxy does.
        times: how many requests it does that to.
        late: whether what was held arrives only after others have healed everything.
    """

    name: str
    kind: Fault | Answer
    times: int = ONCE
    late: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether a write that met this may have landed, now or later, for all its sender knows."""
        # A page in no store's words may come from something in front of it that did not wait.
        return (
            isinstance(self.kind, str)
            or not 400 <= self.kind.status < 500
            or self.name.removesuffix(AFTER).endswith(" page")
        )


def ways(kind: str) -> list[Break]:
    """Return all ways for a store: each for one request, and for all from that one on."""
    say = DIALECTS[kind].say
    # To a store reached by http, an emulator of Google's, a bare 404 is one of its own.
    pages = (200, 403, 503) if kind == "gcs" else (200, 403, 404, 503)
    found: list[Break] = [
        Break("delayed", "delay"),
        Break("reset", "reset"),
        Break("answer lost", "lost"),
        Break("answer truncated", "truncate"),
        Break("sent twice", "duplicate"),
        Break("held, lands afterwards", "hold"),
        Break("held, lands after the healing", "hold", late=True),
        Break("landed, never answered", "hold-answer"),
        *(Break(f"{status} {code}", say(status, code)) for status, code in _codes(kind)),
        *(Break(f"{status} page", dialects.page(status)) for status in pages),
    ]
    return [
        Break(each.name + extra, each.kind, times, each.late)
        for times, extra in ((ONCE, ""), (FROM_THEN_ON, AFTER))
        for each in found
    ]


def _codes(kind: str) -> list[tuple[int, str]]:
    """Return one error for each status: 403, 409, 412, 429, 500, 502 or 503."""
    dialect = DIALECTS[kind]
    known = (*dialect.forbidden, *dialect.conflicts, *dialect.throttled, *dialect.broken)
    found: dict[int, str] = {}
    for status, code in known:
        found.setdefault(status, code)
    return sorted(found.items())
