"""What came of a chaos run, in figures and in words."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chaos.ledger import Outcome
    from chaos.troop import Blow


class Figures(NamedTuple):
    """What came of it; all lists have to be empty."""

    generations: int  # tokens that were taken away and healed
    calls: int
    logins: int  # that Betfair saw
    blows: dict[Blow, int]
    seconds: float
    extra: Counter[str]  # logins allowed besides one for each generation, by their reason
    errors: Counter[str]  # of calls, by what they say
    lost: int  # sessions that were never stored, each explained by a lease that ended badly
    # Files cannot be compared and replaced in one step: a token that was just being written took
    # the place of what something that takes no part had done.
    revived: int
    slowest: float  # seconds of the slowest healing
    excess: list[str]  # logins beyond the allowed
    wrong: list[str]  # wrong or dead tokens that were returned
    hangs: int  # calls that went on long past their time, rounds that were never healed
    leftovers: list[str]  # objects and sessions that should not be there at the end
    problems: list[str]  # anything else

    @property
    def harm(self) -> int:
        """How much happened that must not."""
        lists = (self.excess, self.wrong, self.leftovers, self.problems)
        return self.hangs + sum(map(len, lists))

    def lines(self) -> list[str]:
        """Return the figures as text; a list or counter line by line."""
        found = []
        for name, value in self._asdict().items():
            parts = value if isinstance(value, list) else []
            if isinstance(value, Counter):
                parts = [f"{count} x {what}" for what, count in value.most_common()]
                value = value.total()  # noqa: PLW2901
            found.append(f"{name}: {len(value) if isinstance(value, list) else value}")
            found += [f"    {part}" for part in parts[:40]]
        return found


def kind_of(failed: Outcome) -> str:
    """Return what an error says, without names, places and times."""
    text = re.sub(r"'[^']*'|/\S+|\S+ process \d+|\d[\d:.\- ]*|UTC", "..", failed.text)
    return f"{failed.error}: {text[:110]}"
