"""What one check of the doctor's found out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from .output import code_of

if TYPE_CHECKING:
    from betfair_session.exceptions import BetfairSessionError


class Finding(NamedTuple):
    """One finding; it holds no secret.

    Attributes:
        name: what was looked at.
        state: a "warning" works, but not as well as it might; a "problem" does not work.
        text: what was found.
        advice: what to do about it; or "".
        code: the exit code that a problem stands for, else 0.
    """

    name: str
    state: Literal["ok", "warning", "problem", "not checked"]
    text: str
    advice: str = ""
    code: int = 0


def fine(name: str, text: str) -> Finding:
    """Make a finding of what is as it should be."""
    return Finding(name, "ok", text)


def warning(name: str, text: str, advice: str = "") -> Finding:
    """Make a finding of what might be better."""
    return Finding(name, "warning", text, advice)


def problem(name: str, error: BetfairSessionError, advice: str = "", *, text: str = "") -> Finding:
    """Make a finding of what an error tells, perhaps in a better `text` than its own."""
    return Finding(name, "problem", " ".join((text or str(error)).split()), advice, code_of(error))


def unchecked(name: str, why: str) -> Finding:
    """Make a finding of what was not looked at."""
    return Finding(name, "not checked", why)
