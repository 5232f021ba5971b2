"""The search finds what is there: else every other test here would find nothing, either."""

from __future__ import annotations

import base64
import logging
from typing import Any
from urllib.parse import urlencode

import pytest
from secrets_shown import everything_in

import betfair_session.session as ours
from hidden.conftest import Said
from hidden.planted import CODE, PASSPHRASE, PASSWORD, USERNAME, Planted


def test_a_secret_is_found_wherever_it_is_planted(planted: Planted, said: Said) -> None:
    """In any form; in an error's cause, attributes and frames of ours; in a log."""
    token = planted.sandbox.issue(USERNAME)
    texts = (USERNAME, urlencode({"": PASSWORD}), base64.b64encode(PASSPHRASE.encode()), token)
    assert [planted.found_in(text) for text in texts] == [
        ["username"], ["password"], ["passphrase"], ["token 0"]
    ]  # fmt: skip
    place: dict[str, Any] = {}
    code = "def fail(hidden, cause):\n    raise ValueError('no') from cause"
    exec(compile(code, str(ours.__file__), "exec"), place)
    assert planted.found_in(said.text()) == []
    for hidden, cause in ((CODE, None), ("nothing", KeyError(CODE))):
        with pytest.raises(ValueError, match="no") as caught:
            place["fail"](hidden, cause)
        vars(caught.value)["request"] = {"": PASSWORD}
        assert planted.found_in(everything_in(caught.value)) == ["password", "code"]
    logging.getLogger("any.where").log(2, "no", extra={"request": USERNAME})
    assert planted.found_in(said.text()) == ["username"]
