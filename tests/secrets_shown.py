"""What a curious person can see of an error."""

from __future__ import annotations

import base64
import dis
import json
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_OURS = tuple(str(Path(__file__).parents[1] / name) for name in ("tests", "long"))


def forms_of(text: str) -> set[str]:
    """Return the forms in which a text may show."""
    raw = text.encode()
    return {
        text,
        quote(text),
        quote_plus(text),
        json.dumps(text)[1:-1],
        repr(text)[1:-1],
        base64.b64encode(raw).decode(),
        raw.hex(),
        raw.decode("latin-1"),
    }


def everything_in(error: BaseException) -> str:
    """Return all that an error shows to a person, and to a tool that keeps locals.

    Texts, arguments, attributes and the local variables of every frame, but for those of the tests,
    which hold the secrets to search for; of the error, its causes and its contexts, as deep as they
    go.
    """
    shown: list[str] = ["".join(traceback.format_exception(error))]
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    while queue:
        each = queue.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        shown += [_shown(each), str(each), _shown(each.args), _shown(vars(each))]
        for frame, line in traceback.walk_tb(each.__traceback__):
            name = frame.f_code.co_filename
            # Nor those of mutmut, which calls our functions in long/mutants.
            if not name.startswith(_OURS) and "/mutmut/" not in name:
                shown.append(f"{name}:{line}")
                shown += [f"{key}={_shown(value)}" for key, value in frame.f_locals.items()]
                shown += map(repr, _named_in(frame))
        queue += [each.__cause__, each.__context__]
    return "\n".join(shown)


def assert_hidden(shown: str, *secrets: str | None) -> None:
    """Check that a text shows none of some secrets, and that each is one."""
    assert [each for each in secrets if not each or each in shown] == []


def _named_in(frame: FrameType) -> Iterator[object]:
    """Yield what names such as `self.held.token` in a function's source stand for.

    stack_data, Sentry's pure_eval and stackprinter show these beside the lines.
    """
    found: object = None
    for each in dis.get_instructions(frame.f_code):
        if each.opname.startswith("LOAD_FAST"):
            name = each.argval if isinstance(each.argval, str) else each.argval[-1]
            found = frame.f_locals.get(name)
        elif each.opname == "LOAD_ATTR" and not isinstance(
            getattr(type(found), each.argval, None), property
        ):
            found = getattr(found, each.argval, None)
            yield found
        else:
            found = None


def _shown(value: object) -> str:
    """Return a value's repr, and the content of the texts in it: some tools take that instead."""
    try:
        return "\n".join([repr(value), *_texts(value, depth=8)])
    except Exception as error:  # noqa: BLE001 - half-made objects of a library's cannot
        return f"no repr: {type(error).__name__}"


def _texts(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        yield str.__str__(value)
    elif isinstance(value, bytes | bytearray):
        yield bytes(value).decode(errors="replace")
    elif depth and isinstance(value, Mapping):
        for each in [*value, *value.values()]:
            yield from _texts(each, depth - 1)
    elif depth and isinstance(value, list | tuple | set):
        for each in value:
            yield from _texts(each, depth - 1)
