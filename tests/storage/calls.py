"""The five calls as data, for tests that make each of them fail."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING

import pytest
from within import within

from betfair_session.exceptions import StoreError
from betfair_session.storage.contract import ABSENT, ANY

if TYPE_CHECKING:
    from collections.abc import Callable

    from betfair_session.storage.contract import TokenStore

CALLS: dict[str, Callable[[TokenStore, str, float], object]] = {
    "read": lambda store, _version, timeout: store.get("token", deadline=within(timeout)),
    "create": lambda store, _version, timeout: store.put(
        "fresh", b"mine", ABSENT, deadline=within(timeout)
    ),
    "replace_if_version": lambda store, version, timeout: store.put(
        "token", b"mine", version, deadline=within(timeout)
    ),
    "replace": lambda store, _version, timeout: store.put(
        "token", b"mine", ANY, deadline=within(timeout)
    ),
    "delete": lambda store, _version, timeout: store.delete("token", deadline=within(timeout)),
}
"""By name; each takes a store, the version of its "token" and a timeout in seconds."""

WRITES = [name for name in CALLS if name != "read"]
CONDITIONAL = ["create", "replace_if_version"]


def failure(call: str, store: TokenStore, version: str, timeout: float = 30) -> StoreError:
    """Make a call that must fail, and return its error without traceback or context of ours."""
    with pytest.raises(StoreError) as caught:
        CALLS[call](store, version, timeout)
    return caught.value


def secrets_in(error: BaseException, secrets: list[str]) -> list[str]:
    """Search an error, all that it was raised from, and all that they hold, for secrets.

    Returns:
        Where each was found, as a path of attributes.
    """
    found: list[str] = []
    seen: set[int] = set()
    waiting: list[tuple[object, str]] = [(error, type(error).__name__)]
    while waiting:
        thing, path = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        text = f"{thing!s} {thing!r}" if isinstance(thing, (str, bytes, BaseException)) else ""
        found += [path for secret in secrets if secret in text]
        waiting += [(part, f"{path}.{name}") for name, part in _parts(thing) if len(path) < 300]
    return found


def _parts(thing: object) -> list[tuple[str, object]]:
    """What a thing holds, but for tracebacks, whose frames hold everything."""
    if isinstance(thing, dict):
        return [
            (str(name), each)
            for pair in thing.items()
            for name, each in zip("kv", pair, strict=True)
        ]
    if isinstance(thing, (list, tuple, set, frozenset)):
        return [(str(number), each) for number, each in enumerate(thing)]
    if isinstance(thing, (str, bytes, type, types.ModuleType, types.FunctionType)):
        return []
    parts = list(getattr(thing, "__dict__", {}).items())
    if isinstance(thing, BaseException):
        names = ("args", "__cause__", "__context__", "__notes__")
        parts += [(name, getattr(thing, name, None)) for name in names]
    return parts
