"""Where a policy is, read off its generator: nothing in the shipped code names its phases."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from betfair_session.login import effects as do

if TYPE_CHECKING:
    from types import GeneratorType
    from typing import Any

Position: TypeAlias = tuple[tuple[str, int], ...]
"""The functions that a generator is in, outermost first, and how far each has come."""

_WORDS: tuple[
    tuple[str, dict[type, str], str], ...
] = (  # inner functions before those that call them
    ("_recall", {}, "pay"),
    ("_give_back", {}, "release"),
    ("_give_up", {}, "undo"),
    ("_read_back", {}, "readback"),
    ("_show_writable", {}, "blank"),
    ("_publish", {do.LogOut: "logout"}, "publish"),
    ("_renew", {do.LogIn: "login"}, "confirm"),
    ("_take", {}, "take"),
    ("_look_at_lock", {}, "lock"),
    ("_adopt", {do.Ask: "validate", do.WriteToken: "rotate"}, "vouch"),
    ("run", {}, "look"),
)
"""What the policy is doing in a function: by the effect that it asks for there, else the last."""


def position(steps: GeneratorType[Any, Any, Any]) -> Position:
    """Return where a generator is; nothing when it has ended."""
    found: list[tuple[str, int]] = []
    inner: Any = steps
    while inner is not None and inner.gi_frame is not None:
        found.append((inner.gi_code.co_name, inner.gi_frame.f_lasti))
        inner = inner.gi_yieldfrom
    return tuple(found)


def phase(where: Position, effect: object) -> str:
    """Return what the policy is doing, in one word."""
    names = {name for name, _ in where}
    for name, by_effect, word in _WORDS:
        if name in names:
            return by_effect.get(type(effect), word)
    return "end"
