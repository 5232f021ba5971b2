"""Sending a request again when that may help and cannot harm."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import requests

from betfair_session.betfair.network import never_left
from betfair_session.betfair.own_requests import OwnAdapter
from betfair_session.betfair.transport import ATTEMPTS, CONNECT_TIMEOUT
from betfair_session.process import clocks
from betfair_session.process.threads import interruption

from .operations import called, only_read

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

_HOSTS, _CONNECTIONS = 4, 32  # that many hosts, and for each as many connections, are kept
_PAUSE = 0.25  # seconds after the first attempt; twice as many after each further one
_PASSING = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_PIECE = 16_384  # bytes between two looks at the clock
_TOO_MANY, _SERVER_ERROR = 429, 500


class Budget:
    """The time for one call, and what is known of its sendings.

    requests hands it on as a request's `timeout`, also when the request is replayed, so that all
    of them draw on the same.

    Attributes:
        seconds: from its making, after which nothing is sent any more.
        resend: whether a request may be sent again when its fate is unknown.
        unknown: how many sendings have an unknown fate: under way, without an answer, or with one
            that says nothing (5xx).
    """

    def __init__(self, seconds: float, *, resend: bool) -> None:
        """Begin now."""
        self._began = clocks.now()
        self.seconds = seconds
        self.resend = resend
        self.unknown = 0

    def left(self) -> float:
        """Return the seconds that are left, below 0 when there are none."""
        return self.seconds - clocks.passed(self._began)


class ResendingAdapter(OwnAdapter):
    """Sends calls that only read up to three times, with growing pauses; all others once.

    It is sent again when no answer came, or one with status 429 or 5xx.
    """

    def __init__(self, seconds: float) -> None:
        """Prepare.

        Args:
            seconds: how long the attempts for one request may take.
        """
        super().__init__(hosts=_HOSTS, connections=_CONNECTIONS)
        self._seconds = seconds

    def send(self, request: PreparedRequest, **settings: Any) -> Response:  # type: ignore[override] # noqa: ANN401 - requests gives them by name
        """Send a request; see HTTPAdapter. The `timeout` may be a Budget."""
        url, budget = request.url or "", settings.pop("timeout", None)
        if not isinstance(budget, Budget):
            reads = request.method in {"GET", "HEAD"} or only_read(called(url, request.body))
            settings["timeout"], budget = budget, Budget(self._seconds, resend=reads)
        attempt = 1
        while True:
            pause = _PAUSE * 2 ** (attempt - 1) * random.uniform(0.5, 1)
            last = attempt == ATTEMPTS or not budget.resend
            try:
                response = self._send_once(request, budget, settings)
            except _PASSING as error:
                if last or budget.left() <= pause or interruption(error):
                    raise
            else:
                if last or not _is_passing(response) or budget.left() <= pause:
                    return response
                response.close()
            time.sleep(pause)
            attempt += 1

    def _send_once(
        self, request: PreparedRequest, budget: Budget, settings: dict[str, Any]
    ) -> Response:
        # Counted before the time is looked at: whoever finds the time over and nothing counted
        # can rely on it that nothing will be sent.
        budget.unknown += 1
        left = budget.left()
        if left <= 0:
            budget.unknown -= 1
            message = "no time was left to send the request"
            raise requests.Timeout(message)
        bounds = settings.get("timeout") or (min(CONNECT_TIMEOUT, left), left)
        try:
            response = super().send(request, **{**settings, "timeout": bounds})
            if not settings.get("stream"):
                _read(response, budget)  # a broken body is a failed attempt, too
        except requests.RequestException as error:
            if never_left(error):
                budget.unknown -= 1
            raise
        if response.status_code < _SERVER_ERROR:
            budget.unknown -= 1
        return response


def _read(response: Response, budget: Budget) -> None:
    """Read an answer's body as `content`; leave it when the time is over, and nobody waits."""
    pieces = []
    for piece in response.iter_content(_PIECE):
        pieces.append(piece)
        if budget.left() <= 0:
            response.close()
            message = "the answer took too long"
            raise requests.Timeout(message)
    response._content = b"".join(pieces)  # noqa: SLF001 - where requests keeps it


def _is_passing(response: Response) -> bool:
    return response.status_code == _TOO_MANY or response.status_code >= _SERVER_ERROR
