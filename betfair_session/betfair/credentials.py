"""What a login sends: name, password, and a two-step code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from betfair_session.arguments import refuse
from betfair_session.process.threads import interruption
from betfair_session.secret import Secret, check_credential

if TYPE_CHECKING:
    from collections.abc import Callable


def checked_form(username: Secret, password: Secret) -> dict[str, Secret]:
    """Return a login's form, after a look at it: a wrong one may lock the account."""
    check_credential(username, "username")
    check_credential(password, "password")
    return {"username": username, "password": password}


def asked_code(code: Secret | Callable[[], str] | None) -> Secret:
    """Return the two-step code, asking for it if need be."""
    problem = ""
    try:
        found = Secret("" if code is None else code() if callable(code) else code)
    except Exception as error:
        if interruption(error):
            raise
        problem = type(error).__name__
    if problem:  # outside of `except`: ours must not keep that error
        refuse("code", f"asking for the two-step code failed: {problem}")
    if found.reveal() != "":
        check_credential(found, "code")
    return found
