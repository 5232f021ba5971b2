"""Scripted faults: what may go wrong between a client and Betfair, on demand.

A fault is a kind and its parameters. `effect` says whether the request is carried out all the
same; its default is what usually happens with such a fault.

    reset           the connection is reset (TCP RST), nothing is done
    lost            the request is carried out, then the connection is reset
    stall           no answer, ever
    delay           seconds: the answer comes that much later
    drip            one byte at a time; seconds between bytes, part: "head" or "body"
    truncated       Content-Length promises more than is sent, then the connection closes
    cut             the JSON ends in the middle
    status:<code>   that HTTP status; body: "json", "html" or "plain"; retry_after: seconds
    blocked         the 403 page of a firewall
    html200, png200 HTTP 200 with a page, or a picture
    internal_error  HTTP 200 with FAIL and INTERNAL_ERROR
    non_object      HTTP 200 with JSON that is no object; body: that JSON
    redirect        302 (status) to location
    empty           HTTP 200 without a body
    huge            HTTP 200 with JSON of size bytes
    rotate          keepAlive answers with another token, and the old one is dead
    token           the answer's token is value, whatever it is
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .records import PNG, Answer, Ask, html_answer, json_answer

if TYPE_CHECKING:
    from .state import Sessions

_NONE: dict[str, object] = {}
_PARAMETERS: dict[str, dict[str, object]] = {
    "status": {"body": "html", "retry_after": None},
    "non_object": {"body": "[]"},
    "redirect": {"location": "/elsewhere", "status": 302},
    "huge": {"size": 5_000_000},
    **dict.fromkeys(("reset", "stall", "blocked", "html200", "png200"), _NONE),
    **dict.fromkeys(("internal_error", "empty"), _NONE),
}
_PARAMETERS_OF_CARRIED_OUT: dict[str, dict[str, object]] = {
    "delay": {"seconds": 1.0},
    "drip": {"seconds": 0.05, "part": "body"},
    "token": {"value": ""},
    **dict.fromkeys(("lost", "truncated", "cut", "rotate"), _NONE),
}


@dataclass
class Fault:
    """One scripted fault; `Controls.fault` explains each field."""

    endpoint: str
    kind: str
    times: int | None
    skip: int
    effect: bool
    parameters: dict[str, Any]

    def alter(self, ask: Ask, endpoint: str, answer: Answer, sessions: Sessions) -> Answer:
        """Return what is sent in place of `answer`."""
        if instead := self._instead(endpoint):
            return replace(instead, outcome=answer.outcome)
        if self.kind == "cut":
            return replace(answer, body=answer.body[: len(answer.body) // 2])
        if self.kind == "rotate" and answer.outcome == "SUCCESS":
            return _with_token(answer, sessions.rotate(ask.token))
        if self.kind == "token" and answer.body.startswith(b"{"):
            return _with_token(answer, self.parameters["value"])
        return answer

    def _instead(self, endpoint: str) -> Answer | None:
        failure = {"token": "", "product": "", "status": "FAIL", "error": "INTERNAL_ERROR"}
        if endpoint == "certlogin":
            failure = {"loginStatus": "INTERNAL_ERROR"}
        kind, set_to = self.kind, self.parameters
        if kind.startswith("status:"):
            return self._with_status(int(kind.partition(":")[2]), failure)
        if kind == "redirect":
            return Answer("", status=set_to["status"], headers={"Location": set_to["location"]})
        if kind == "huge":
            return Answer("", b'{"junk": "' + b"x" * (set_to["size"] - 12) + b'"}')
        answers = {
            "blocked": html_answer("", "Access denied: blocked from your location", 403),
            "html200": html_answer("", "Betfair"),
            "png200": Answer("", PNG, content_type="image/png"),
            "internal_error": json_answer("", failure),
            "non_object": Answer("", str(set_to.get("body")).encode()),
            "empty": Answer(""),
        }
        return answers.get(kind)

    def _with_status(self, status: int, failure: dict[str, str]) -> Answer:
        answers = {
            "json": json_answer("", failure, status),
            "html": html_answer("", f"{status} from the sandbox", status),
            "plain": Answer("", b"not now", status, "text/plain"),
        }
        wait = self.parameters["retry_after"]
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return replace(answers[self.parameters["body"]], headers=headers)


class Faults:
    """The faults to come, in the order in which they were scripted."""

    def __init__(self) -> None:
        """Start without faults."""
        self._scripted: list[Fault] = []

    def add(
        self,
        endpoint: str,
        kind: str,
        times: int | None,
        *,
        skip: int,
        effect: bool | None,
        **parameters: object,
    ) -> None:
        """Script a fault; ValueError for an unknown kind or parameter.

        Each request is offered to the faults of its endpoint in turn: those that still skip count
        it, and the first other one hits it.
        """
        name, _, code = kind.partition(":")
        every = {**_PARAMETERS, **_PARAMETERS_OF_CARRIED_OUT}
        known = every.get(name, {})
        fits = name in every and parameters.keys() <= known.keys()
        if not fits or (name == "status") != code.isdigit():
            message = f"there is no fault {kind!r} with parameters {sorted(parameters)}"
            raise ValueError(message)
        carried_out = name in _PARAMETERS_OF_CARRIED_OUT if effect is None else effect
        chosen = {**known, **parameters}
        self._scripted.append(Fault(endpoint, kind, times, skip, carried_out, chosen))

    def take(self, endpoint: str) -> Fault | None:
        """Return the fault that hits this request to `endpoint`, or None."""
        for fault in [fault for fault in self._scripted if fault.endpoint in (endpoint, "*")]:
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._scripted.remove(fault)
            return fault
        return None

    def clear(self) -> None:
        """Drop every fault."""
        self._scripted.clear()


def _with_token(answer: Answer, token: object) -> Answer:
    content = json.loads(answer.body)
    content["sessionToken" if "loginStatus" in content else "token"] = token
    return replace(answer, body=json.dumps(content).encode())
