"""Plain values: compared by what they hold, and never changed once they are made.

To a type checker they are frozen dataclasses. Real ones import `inspect`, and write and compile
their methods when they are imported, which is a sixth of a cold start's own work; and `but` is
several times faster than dataclasses' replace, which the exhaustive tests call a million times a
minute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Never, Self, dataclass_transform
else:

    def dataclass_transform(**_: bool) -> Callable[[type], type]:
        """Do nothing: Python has it from 3.11 on, and only type checkers look at it."""
        return lambda kind: kind


__all__ = ["Value"]


@dataclass_transform(frozen_default=True)
class Value:
    """What all of them can do; the annotations of a subclass are its fields, in order.

    `vars` of a value is a dictionary of its fields.
    """

    if not TYPE_CHECKING:

        def __init_subclass__(cls) -> None:
            """Note the fields, with their defaults, and which have none."""
            cls._start = {field: getattr(cls, field, None) for field in cls.__annotations__}
            cls._needed = [field for field in cls._start if not hasattr(cls, field)]

        def __init__(self, *given: object, **named: object) -> None:
            """Take each field by its place, by its name, or from its default."""
            fields, start = self.__dict__, self._start
            fields.update(start)
            fields.update(zip(start, given, strict=False))
            fields.update(named)
            missing = [field for field in self._needed[len(given) :] if field not in named]
            if missing or len(fields) != len(start) or len(given) > len(start):
                message = f"{type(self).__name__} has the fields {', '.join(start)}"
                raise TypeError(message)
            self.__post_init__()

    def __post_init__(self) -> None:
        """Check or convert the fields; nothing by default."""

    def but(self, **changes: Any) -> Self:  # noqa: ANN401 - any field's
        """Return the same with some fields changed."""
        new: Self = object.__new__(type(self))
        fields = new.__dict__
        fields.update(self.__dict__)
        fields.update(changes)
        if len(fields) != len(self.__dict__):
            raise TypeError(*changes)
        new.__post_init__()
        return new

    def __setattr__(self, name: str, content: object) -> Never:
        message = f"{type(self).__name__}.{name} cannot be changed"
        raise AttributeError(message)

    def __delattr__(self, name: str) -> Never:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), *vars(self).values()))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={content!r}" for name, content in vars(self).items())
        return f"{type(self).__name__}({fields})"
