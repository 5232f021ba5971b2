"""What an error was made of, as far as its own code says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 16  # errors in a chain


def chain(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what it was made of, as the code that raised it says.

    Never to its `__context__`: that leads out of the library, into the error which the caller was
    handling when it called.
    """
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen and len(seen) < _DEEPEST:
        seen.add(id(each))
        yield each
        each = each.__cause__ or _carried(each)


def _carried(error: BaseException) -> BaseException | None:
    """Return the error that another one keeps: requests and urllib3, azure, botocore do."""
    settings = getattr(error, "kwargs", None)
    held = [*error.args, *(getattr(error, name, None) for name in ("reason", "inner_exception"))]
    held += [settings.get("error")] if isinstance(settings, dict) else []
    return next((each for each in held if isinstance(each, BaseException)), None)
