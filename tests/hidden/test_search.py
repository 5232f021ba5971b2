"""The search itself finds what is there: else all the others would find nothing, either."""

from __future__ import annotations

import base64
import logging
import warnings
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from secrets_shown import everything_in

import betfair_session.session as ours
from hidden.planted import CODE, PASSPHRASE, PASSWORD, USERNAME

if TYPE_CHECKING:
    from hidden.conftest import Said
    from hidden.planted import Planted


def test_a_secret_is_found_in_any_form(planted: Planted) -> None:
    """As it is, in a form, in a URL, in JSON, in base64, in bytes; tokens and keys, too."""
    token = planted.sandbox.issue(USERNAME)
    line = planted.key_lines[0]
    found = {
        "plain": planted.found_in(f"login of {USERNAME}"),
        "form": planted.found_in(urlencode({"password": PASSWORD})),
        "base64": planted.found_in(base64.b64encode(PASSPHRASE.encode())),
        "bytes": planted.found_in(b"\0" + PASSWORD.encode() + b"\0"),
        "repr": planted.found_in(repr([PASSWORD])),
        "token": planted.found_in(f"X-Authentication: {token}".encode()),
        "key": planted.found_in(f"-----BEGIN-----\n{line}\n"),
        "nothing": planted.found_in("nothing"),
        "allowed": planted.found_in(token, but=("token",)),
    }
    assert found == {
        "plain": ["username"],
        "form": ["password"],
        "base64": ["passphrase"],
        "bytes": ["password"],
        "repr": ["password"],
        "token": ["token 0"],
        "key": ["key, line 0"],
        "nothing": [],
        "allowed": [],
    }


def test_a_secret_in_an_error_is_found(planted: Planted) -> None:
    """In its text, its causes, its attributes, and in the locals of a library's frames."""
    place = {"__name__": "x"}
    code = "def fail(hidden):\n    raise ValueError('no')\n"
    exec(compile(code, str(ours.__file__), "exec"), place)
    shown = {}
    for name, error in (
        ("text", ValueError(f"no {CODE}")),
        ("attribute", ValueError("no")),
        ("cause", ValueError("no")),
        ("locals", ValueError("no")),
    ):
        if name == "attribute":
            error.request = {"code": CODE}  # type: ignore[attr-defined] # as requests does
        elif name == "cause":
            error.__cause__ = KeyError(CODE)
        elif name == "locals":
            try:
                place["fail"](CODE)  # type: ignore[operator] # it was made above
            except ValueError as caught:
                shown[name] = planted.found_in(everything_in(caught))
                continue
        shown[name] = planted.found_in(everything_in(error))
    assert shown == {name: ["code"] for name in ("text", "attribute", "cause", "locals")}


def test_a_secret_in_a_log_or_a_warning_is_found(planted: Planted, said: Said) -> None:
    """In the text, in an argument, in an extra, at the lowest level of any logger."""
    assert planted.found_in(said.text()) == []
    logging.getLogger("any.where").log(2, "%s", USERNAME)
    logging.getLogger("other").debug("no", extra={"request": PASSPHRASE})
    warnings.warn(f"no {CODE}", stacklevel=1)
    assert planted.found_in(said.text()) == ["username", "passphrase", "code"]
