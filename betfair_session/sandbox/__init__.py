"""A local Betfair to try and to test against: no account, no money, no network.

    from betfair_session.sandbox import Sandbox

    with Sandbox() as sandbox:
        print(sandbox.environment())  # the BETFAIR_* variables that point a client at it

It is a process of its own with real TLS, real client certificates, session expiry, login limits
and scripted faults, on 127.0.0.1 alone. The extra `sandbox` installs what it needs. It shares no
code with the client, so that it cannot share its mistakes.
"""

from .controls import Controls, SandboxError
from .process import Sandbox
from .records import JournalEntry, Order, Session

__all__ = ["Controls", "JournalEntry", "Order", "Sandbox", "SandboxError", "Session"]
