"""The search finds what is there: else every other test here would find nothing, either."""

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


def test_a_secret_is_found_wherever_it_is_planted(planted: Planted, said: Said) -> None:
    """In any form; in an error's text, cause, attributes and frames; in a log, in a warning."""
    token, line = planted.sandbox.issue(USERNAME), planted.key_lines[0]
    for text, name in (
        (f"login of {USERNAME}", "username"),
        (urlencode({"password": PASSWORD}), "password"),
        (base64.b64encode(PASSPHRASE.encode()), "passphrase"),
        (b"\0" + PASSWORD.encode() + b"\0", "password"),
        (repr([PASSWORD]), "password"),
        (f"X-Authentication: {token}".encode(), "token 0"),
        (f"-----BEGIN-----\n{line}\n", "key, line 0"),
    ):
        assert planted.found_in(text) == [name]
    assert planted.found_in("nothing") == planted.found_in(token, but=("token",)) == []
    place = {"__name__": "x"}
    code = "def fail(hidden):\n    raise ValueError('no')\n"
    exec(compile(code, str(ours.__file__), "exec"), place)
    errors: list[BaseException] = [ValueError(f"no {CODE}"), ValueError("no"), ValueError("no")]
    vars(errors[1])["request"] = {"code": CODE}
    errors[2].__cause__ = KeyError(CODE)
    try:
        place["fail"](CODE)  # type: ignore[operator] # it was made above
    except ValueError as caught:
        errors.append(caught)
    assert [planted.found_in(everything_in(error)) for error in errors] == [["code"]] * 4
    assert planted.found_in(said.text()) == []
    logging.getLogger("any.where").log(2, "%s", USERNAME)
    logging.getLogger("other").debug("no", extra={"request": PASSPHRASE})
    warnings.warn(f"no {CODE}", stacklevel=1)
    assert planted.found_in(said.text()) == ["username", "passphrase", "code"]
