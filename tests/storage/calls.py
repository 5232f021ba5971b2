"""The five calls as data, for tests that make each of them fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from within import within

from betfair_session.exceptions import StoreError
from betfair_session.storage.contract import ABSENT, ANY

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.storage.contract import TokenStore

CALLS: dict[str, Callable[[TokenStore, str, float], object]] = {
    "read": lambda store, _, end: store.get("token", deadline=end),
    "create": lambda store, _, end: store.put("fresh", b"mine", ABSENT, deadline=end),
    "replace_if_version": lambda store, seen, end: store.put("token", b"mine", seen, deadline=end),
    "replace": lambda store, _, end: store.put("token", b"mine", ANY, deadline=end),
    "delete": lambda store, _, end: store.delete("token", deadline=end),
}
"""By name; each takes a store, the version of its "token" and a deadline."""

WRITES = [name for name in CALLS if name != "read"]
CONDITIONAL = ["create", "replace_if_version"]


def failure(call: str, store: TokenStore, version: str, timeout: float = 30) -> StoreError:
    """Make a call that must fail, and return its error without traceback or context of ours."""
    with pytest.raises(StoreError) as caught:
        CALLS[call](store, version, within(timeout))
    return caught.value


def secrets_in(error: BaseException, secrets: list[str]) -> list[str]:
    """Return those of the secrets that an error, or what it was raised from, holds anywhere."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    texts = []
    while waiting and len(seen) < 100_000:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type):
            continue
        seen.add(id(thing))
        if isinstance(thing, (str, bytes, BaseException)):
            texts.append(f"{thing!s} {thing!r}")
        if isinstance(thing, dict):
            waiting += [*thing.keys(), *thing.values()]
        elif isinstance(thing, (list, tuple, set, frozenset)):
            waiting += thing
        elif not isinstance(thing, (str, bytes)) and not callable(thing):
            waiting += getattr(thing, "__dict__", {}).values()
        if isinstance(thing, BaseException):
            waiting += [thing.args, thing.__cause__, thing.__context__]
    return [secret for secret in secrets if any(secret in text for text in texts)]
