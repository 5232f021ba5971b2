"""A local Betfair to try and to test against: no account, no money, no network.

    from betfair_session.sandbox import Sandbox

    with Sandbox() as sandbox:
        print(sandbox.environment())  # the BETFAIR_* variables that lead a client to it

It is a process of its own with real TLS, real client certificates, session expiry, login limits
and scripted faults, on 127.0.0.1 alone. The extra `sandbox` installs what it needs. It shares no
code with the client, so that it cannot share its mistakes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .controls import Controls, SandboxError
    from .process import Sandbox
    from .records import JournalEntry, Order, Session

__all__ = ["Controls", "JournalEntry", "Order", "Sandbox", "SandboxError", "Session"]

_HOMES = {
    "Controls": "controls",
    "JournalEntry": "records",
    "Order": "records",
    "Sandbox": "process",
    "SandboxError": "controls",
    "Session": "records",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """Name what is imported only when it is used, too, so that `help` shows it."""
    return sorted({*globals(), *__all__})
