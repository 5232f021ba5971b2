"""Raise an alert when a person should look: SessionManager(…, on_event=Alert(web_hook))."""

import logging
import time

import requests

from betfair_session import Event

AT_ONCE = {"refused", "failed"}
IN_A_ROW = 3  # so many calls that cannot tell are more than a hiccup
FINE = {"resumed", "trusted", "adopted", "written"}  # "logged in" may yet fail to be stored

log = logging.getLogger("alert")


class Alert:
    """Posts to a web hook, as chat programs offer them: {"text": …}."""

    def __init__(self, url: str, *, pause: float = 600.0, timeout: float = 3.0) -> None:
        """Prepare.

        Args:
            url: the web hook; whoever knows it can post, so it is never logged.
            pause: seconds between two alerts of one kind from this process.
            timeout: seconds that an alert may take. The call that it tells of returns after it.
        """
        self._url = url
        self._pause = pause
        self._timeout = timeout
        self._quiet_until: dict[str, float] = {}
        self._unclear = 0

    def __call__(self, event: Event) -> None:
        """Look at one event."""
        if event.kind in FINE:
            self._unclear = 0
        elif event.kind == "cannot tell":
            self._unclear += 1
        due = event.kind in AT_ONCE or (event.kind == "cannot tell" and self._unclear >= IN_A_ROW)
        if due and time.monotonic() >= self._quiet_until.get(event.kind, 0.0):
            self._quiet_until[event.kind] = time.monotonic() + self._pause
            self._post(f"Betfair session {event.store} {event.key}: {event.kind}. {event.detail}")

    def _post(self, text: str) -> None:
        try:
            answer = requests.post(self._url, json={"text": text}, timeout=self._timeout)
            problem = "" if answer.ok else f"HTTP {answer.status_code}"
        except requests.RequestException as error:
            problem = type(error).__name__  # its text holds the URL
        if problem:
            log.error("no alert could be raised (%s): %s", problem, text)
