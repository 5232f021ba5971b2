"""Scripted faults: what may go wrong between a client and Betfair, on demand.

A fault is a kind and its parameters. `effect` says whether the request is carried out nevertheless;
its default is what usually happens with such a fault.

    reset           the connection is reset (TCP RST), nothing is done
    lost            the request is carried out, then the connection is reset
    stall           no answer, ever
    delay           seconds: the answer comes that much later
    drip            one byte at a time; seconds between bytes, part: "head" or "body"
    truncated       Content-Length promises more than is sent, then the connection closes
    cut             the JSON ends in the middle
    status:<code>   that HTTP status; body: "json", "html" or "plain"
    blocked         the 403 page of a firewall
    html200         HTTP 200 with a page
    internal_error  HTTP 200 with FAIL and INTERNAL_ERROR
    non_object      HTTP 200 with JSON that is no object; body: that JSON
    redirect        302 (status) to location
    empty           HTTP 200 without a body
    huge            HTTP 200 with JSON of size bytes
    rotate          keepAlive answers with another token, and the old one is dead
    token           the answer's token is replaced by value
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, repeat
from typing import Any

from .records import Answer, Ask, html_answer, json_answer

# For each kind: whether the request is carried out, and its parameters with their defaults.
_KINDS: dict[str, tuple[bool, dict[str, Any]]] = {
    **dict.fromkeys(("reset", "stall", "blocked", "html200"), (False, {})),
    **dict.fromkeys(("internal_error", "empty"), (False, {})),
    "status": (False, {"body": "html"}),
    "non_object": (False, {"body": "[]"}),
    "redirect": (False, {"location": "/elsewhere", "status": 302}),
    "huge": (False, {"size": 5_000_000}),
    **dict.fromkeys(("lost", "truncated", "cut", "rotate"), (True, {})),
    "delay": (True, {"seconds": 1.0}),
    "drip": (True, {"seconds": 0.05, "part": "body"}),
    "token": (True, {"value": ""}),
}


def check_numbers(values: Mapping[str, object]) -> None:
    """Raise ValueError unless all are numbers of at least 0."""
    for name, value in values.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not value >= 0:
            raise ValueError(f"{name} must be a number of at least 0, not {value!r}")


def hits(times: int | None, skip: int = 0) -> Iterator[bool]:
    """Return whether each request in turn is hit; after the skipped ones all, if times is None."""
    if times is not None and times < 1:
        raise ValueError("times must be at least 1, or None")
    hit = repeat(object=True) if times is None else repeat(object=True, times=times)
    return chain(repeat(object=False, times=skip), hit)


class Fault:
    """One scripted fault; `Controls.fault` explains each setting."""

    def __init__(
        self,
        endpoint: str,
        kind: str,
        *,
        times: int | None = None,
        skip: int = 0,
        effect: bool | None = None,
        **parameters: object,
    ) -> None:
        """Make it; ValueError for an unknown kind or parameter."""
        name, _, self._code = kind.partition(":")
        carried_out, known = _KINDS.get(name, (False, {}))
        coded = re.fullmatch("[1-9][0-9][0-9]" if name == "status" else "", self._code)
        if name not in _KINDS or not coded:
            kinds = ", ".join(sorted(_KINDS)).replace("status", "status:<code>")
            raise ValueError(f"there is no fault {kind!r}; the faults are {kinds}")
        if wrong := sorted(parameters.keys() - known.keys()):
            takes = ", ".join(known) or "none"
            raise ValueError(f"{kind!r} has no parameters {wrong}; it takes {takes}")
        check_numbers({each: parameters.get(each, 0) for each in ("seconds", "size", "status")})
        self.endpoint, self.kind, self.hits = endpoint, kind, hits(times, skip)
        self.effect = carried_out if effect is None else effect
        self.parameters: dict[str, Any] = {**known, **parameters}
        body, part = (self.parameters.get(each, "") for each in ("body", "part"))
        if name == "status" and body not in ("json", "html", "plain"):
            raise ValueError(f"a status has no body {body!r}")
        if name == "drip" and part not in ("head", "body"):
            raise ValueError(f"an answer has no part {part!r}")

    def alter(
        self, ask: Ask, endpoint: str, answer: Answer, rotate: Callable[[str], str]
    ) -> Answer:
        """Return what is sent in place of `answer`; `rotate` gives a session another token."""
        if instead := self._instead(endpoint):
            return instead._replace(outcome=answer.outcome)
        if self.kind == "cut":
            return answer._replace(body=answer.body[: len(answer.body) // 2])
        if self.kind == "rotate" and (endpoint, answer.outcome) == ("keepAlive", "SUCCESS"):
            return _with_token(answer, rotate(ask.token))
        if self.kind == "token" and answer.body.startswith(b"{"):
            return _with_token(answer, self.parameters["value"])
        return answer

    def _instead(self, endpoint: str) -> Answer | None:
        given, code = self.parameters, self._code
        failure = {"token": "", "product": "", "status": "FAIL", "error": "INTERNAL_ERROR"}
        if endpoint == "certlogin":
            failure = {"loginStatus": "INTERNAL_ERROR"}
        instead = {
            "json": json_answer("", failure),
            "html": html_answer("", f"{code} from the sandbox"),
            "plain": Answer("", b"not now", content_type="text/plain"),
            "blocked": html_answer("", "Access denied: blocked from your location", 403),
            "html200": html_answer("", "Betfair"),
            "internal_error": json_answer("", failure),
            "non_object": Answer("", str(given.get("body")).encode()),
            "redirect": Answer("", headers={"Location": str(given.get("location"))}),
            "empty": Answer(""),
            "huge": Answer("", b'{"junk": "' + b"x" * (given.get("size", 12) - 12) + b'"}'),
        }.get(given["body"] if code else self.kind)
        return instead and instead._replace(status=int(code or given.get("status", instead.status)))


NO_FAULT = Fault("", "cut")
NO_FAULT.kind = ""  # no test can ask for this kind: the request is carried out unaltered


def _with_token(answer: Answer, token: object) -> Answer:
    content = json.loads(answer.body)
    content["sessionToken" if "loginStatus" in content else "token"] = token
    return answer._replace(body=json.dumps(content).encode())
