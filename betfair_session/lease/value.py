"""Plain values: compared by what they hold, and never changed once they are made.

To a type checker they are dataclasses. Real ones would write and compile their methods when they
are imported, which is a tenth of a cold start's own work; and `but` is several times faster than
dataclasses' replace, which the exhaustive tests call a million times a minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as value

    from typing_extensions import Self
else:

    def value(kind: type) -> type:
        """Mark a kind of value; its annotations are its fields, in order."""
        return kind


__all__ = ["Value", "value"]


class Value:
    """What all of them can do."""

    if not TYPE_CHECKING:

        def __init_subclass__(cls) -> None:
            """Note the fields, with their defaults."""
            cls._start = {field: getattr(cls, field, None) for field in cls.__annotations__}

        def __init__(self, *given: object, **named: object) -> None:
            """Take each field by its place, by its name, or from its default."""
            fields, start = self.__dict__, self._start
            fields.update(start)
            fields.update(zip(start, given, strict=False))
            fields.update(named)
            if len(fields) != len(start):
                raise TypeError(*named)

    def but(self, **changes: Any) -> Self:  # noqa: ANN401 - any field's
        """Return the same with some fields changed."""
        new: Self = object.__new__(type(self))
        fields = new.__dict__
        fields.update(self.__dict__)
        fields.update(changes)
        if len(fields) != len(self.__dict__):
            raise TypeError(*changes)
        return new

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={content!r}" for name, content in vars(self).items())
        return f"{type(self).__name__}({fields})"
