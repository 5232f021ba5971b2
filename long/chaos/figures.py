"""What came of a chaos run, in figures and in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from chaos.ledger import Outcome
    from chaos.troop import Blow


@dataclass(frozen=True)
class Figures:
    """What came of it. All lists have to be empty.

    Attributes:
        generations: tokens that were taken away and healed.
        calls: how many ended.
        logins: that Betfair saw.
        blows: kills and freezes.
        seconds: how long it took.
        extra: logins that are allowed besides one for each generation, by their reason.
        errors: of calls, by what they say.
        lost: sessions that live and were never stored, each explained by a killed holder, or by a
            login or publication without an answer.
        revived: how often a token that a process was just writing took the place of what something
            that takes no part had just done to the object, or was returned although that had
            replaced or removed it. Files cannot be compared and replaced in one step.
        slowest: seconds that the slowest healing took.
        excess: logins beyond the allowed.
        wrong: wrong or dead tokens that were returned.
        hangs: calls that went on long past their time, rounds that nobody healed.
        leftovers: objects and sessions that should not be there at the end.
        problems: anything else.
    """

    generations: int
    calls: int
    logins: int
    blows: dict[Blow, int]
    seconds: float
    extra: Counter[str]
    errors: Counter[str]
    lost: int
    revived: int
    slowest: float
    excess: list[str]
    wrong: list[str]
    hangs: int
    leftovers: list[str]
    problems: list[str]

    @property
    def clean(self) -> bool:
        """Whether nothing happened that must not."""
        return not (self.excess or self.wrong or self.hangs or self.leftovers or self.problems)


def kind_of(failed: Outcome) -> str:
    """Return what an error says, without names, places and times."""
    text = re.sub(r"'[^']*'|/\S+|\S+ process \d+|\d[\d:.\- ]*|UTC", "..", failed.text)
    return f"{failed.error}: {text[:110]}"


def lines(figures: Figures) -> Sequence[str]:
    """Return the figures as text, what needs an explanation line by line."""
    each = figures
    return [
        f"{each.generations} generations, {each.calls} calls, {each.logins} logins",
        f"{each.blows['kill']} kills, {each.blows['freeze']} freezes, {each.seconds:.0f} s",
        f"slowest healing: {each.slowest:.1f} s",
        f"logins beyond the allowed: {len(each.excess)}",
        *(f"    {line}" for line in each.excess),
        f"wrong or dead tokens returned: {len(each.wrong)}",
        *(f"    {line}" for line in each.wrong[:20]),
        f"hangs: {each.hangs}",
        f"leftovers: {len(each.leftovers)}",
        *(f"    {line}" for line in each.leftovers),
        f"other problems: {len(each.problems)}",
        *(f"    {line}" for line in each.problems[:20]),
        f"explained: {sum(each.extra.values())} extra logins",
        *(f"    {count} x {reason}" for reason, count in each.extra.most_common()),
        f"explained: {each.lost} lost sessions, {each.revived} acts on files undone",
        f"calls that ended with a typed error: {sum(each.errors.values())}",
        *(f"    {count} x {name}" for name, count in each.errors.most_common()),
    ]
