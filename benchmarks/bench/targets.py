"""What the library is meant to cost at most, each held against what was measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One thing that may cost so much at most.

    Attributes:
        what: what is compared with what.
        value: what was measured.
        most: what it may be at most.
        unit: of both; "x" for a ratio.
        processor: the same ratio of processor time, which decides where it was measured: seconds
            also depend on what else the machine did.
    """

    what: str
    value: float
    most: float
    unit: str = "x"
    processor: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is no more than it may be."""
        return (self.value if self.processor is None else self.processor) <= self.most

    @property
    def cells(self) -> list[str]:
        """Its row of a table."""
        verdict = "met" if self.met else "**missed**"
        amounts = [f"{amount:.3g} {self.unit}".strip() for amount in (self.value, self.most)]
        aside = "" if self.processor is None else f"{self.processor:.3g} {self.unit}"
        return [self.what, *amounts, aside, verdict]
