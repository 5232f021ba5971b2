"""What came of many broken calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class Ended(Protocol):
    """One broken call, afterwards.

    Attributes:
        error: what it raised, if anything.
        problems: what was wrong.
        seconds: how long it took.
    """

    error: BaseException | None
    problems: list[str]
    seconds: float


T = TypeVar("T", bound=Ended)


@dataclass(frozen=True)
class Result(Generic[T]):
    """All of them.

    Attributes:
        requests: of each way through get_session when nothing is broken.
        cases: the broken calls.
        problems: what was wrong, each with its case.
    """

    requests: dict[str, list[str]]
    cases: Sequence[T]
    problems: list[str]

    @property
    def ends(self) -> Counter[str]:
        """How the broken calls ended: with a token, or with which error."""
        return Counter(type(each.error).__name__ if each.error else "token" for each in self.cases)

    @property
    def survived(self) -> int:
        """How many cases nothing was wrong with."""
        return sum(not each.problems for each in self.cases)
