"""What a curious person can see of an error."""

from __future__ import annotations

import traceback
from pathlib import Path

import betfair_session

_OURS = str(Path(betfair_session.__file__).parent)


def everything_in(error: BaseException) -> str:
    """Return all that an error shows.

    Texts, arguments, attributes and the local variables of our own frames; of the error, its
    causes and its contexts, as deep as they go.
    """
    shown: list[str] = []
    queue: list[BaseException | None] = [error]
    seen: set[int] = set()
    while queue:
        each = queue.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        shown += [str(each), repr(each), repr(each.args), repr(vars(each))]
        for frame, _ in traceback.walk_tb(each.__traceback__):
            if frame.f_code.co_filename.startswith(_OURS):
                shown.append(repr(frame.f_locals))
        queue += [each.__cause__, each.__context__]
    return "\n".join(shown)
