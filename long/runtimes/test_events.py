"""The examples for events, with a real web hook and the real OpenTelemetry."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from servers.process import HOST

from betfair_session import Event, IdentityUnavailable, LoginRefused, SessionManager
from runtimes.instances import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from betfair_session import IdentityClient, Session
    from betfair_session.sandbox import Sandbox


def load(name: str) -> Any:  # noqa: ANN401 - a module
    """Load one of the examples."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / "events" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class WebHook(ThreadingHTTPServer):
    """Takes alerts.

    Attributes:
        url: where to post.
        texts: what was posted.
    """

    def __init__(self) -> None:
        """Start it."""
        super().__init__((HOST, 0), _Handler)
        self.url = f"http://{HOST}:{self.server_address[1]}/hook-that-nobody-may-know"
        self.texts: list[str] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Stop it."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: WebHook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.texts.append(json.loads(body)["text"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def web_hook() -> Iterator[WebHook]:
    """A web hook."""
    web_hook = WebHook()
    yield web_hook
    web_hook.close()


@pytest.fixture
def session_with(
    sandbox: Sandbox, client: IdentityClient, tmp_path: Path
) -> Iterator[Callable[[Callable[[Event], object]], Session]]:
    """Make a session whose events go to a hook."""
    managers: list[SessionManager] = []

    def make(hook: Callable[[Event], object]) -> Session:
        managers.append(SessionManager(client, sandbox.username, sandbox.password, on_event=hook))
        return managers[-1].session(tmp_path, "session.token")

    yield make
    for manager in managers:
        manager.close()


def test_a_refused_login_raises_one_alert(
    sandbox: Sandbox,
    web_hook: WebHook,
    session_with: Callable[[Callable[[Event], object]], Session],
) -> None:
    """It says why; the next refusal within ten minutes raises none, and neither does success."""
    session = session_with(load("alert").Alert(web_hook.url))
    session.token()
    sandbox.expire_all()
    sandbox.login_status("SUSPENDED")
    for _ in range(2):
        with pytest.raises(LoginRefused):
            session.token()
    (text,) = web_hook.texts
    assert "SUSPENDED" in text
    assert "refused" in text
    assert sandbox.password not in text


def test_three_calls_that_cannot_tell_raise_an_alert(
    sandbox: Sandbox,
    web_hook: WebHook,
    session_with: Callable[[Callable[[Event], object]], Session],
) -> None:
    """A hiccup is no alert: what counts is three calls in a row."""
    session = session_with(load("alert").Alert(web_hook.url))
    token = session.token()
    for unclear in (2, 3):
        assert web_hook.texts == []
        sandbox.fault("keepAlive", "blocked", times=None)
        for _ in range(unclear):
            with pytest.raises(IdentityUnavailable):
                session.token()
        sandbox.clear_faults()
        assert session.token() == token
    (text,) = web_hook.texts
    assert "cannot tell" in text


@pytest.mark.parametrize(("stored", "alerts"), [(False, 1), (True, 0)])
def test_logins_that_are_never_stored_raise_an_alert(
    web_hook: WebHook, *, stored: bool, alerts: int
) -> None:
    """Each login works, and its token is lost: that is not fine, however often Betfair answers."""
    alert = load("alert").Alert(web_hook.url)
    for _ in range(3):
        alert(Event("logged in", "tokens", "session.token"))
        if stored:
            alert(Event("written", "tokens", "session.token"))
        alert(Event("cannot tell", "tokens", "session.token"))
    assert len(web_hook.texts) == alerts


def test_an_alert_that_cannot_be_raised_harms_nothing(
    sandbox: Sandbox,
    web_hook: WebHook,
    session_with: Callable[[Callable[[Event], object]], Session],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The call ends as it would have, and the log tells of the alert, but not of the web hook."""
    session = session_with(load("alert").Alert(web_hook.url.replace("http:", "https:")))
    sandbox.login_status("SUSPENDED")
    with pytest.raises(LoginRefused):
        session.token()
    assert "no alert could be raised (SSLError)" in caplog.text
    assert "nobody-may-know" not in caplog.text


def test_events_are_measured(
    sandbox: Sandbox, session_with: Callable[[Callable[[Event], object]], Session]
) -> None:
    """A login and two resumes are counted and timed by their kind."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    session = session_with(load("telemetry").Telemetry(provider))
    for _ in range(3):
        session.token()
    collected = reader.get_metrics_data()
    assert collected is not None
    provider.shutdown()
    data = json.loads(collected.to_json())
    (metric,) = data["resource_metrics"][0]["scope_metrics"][0]["metrics"]
    assert (metric["name"], metric["unit"]) == ("betfair_session.event", "s")
    points = metric["data"]["data_points"]
    counts = Counter({point["attributes"]["kind"]: point["count"] for point in points})
    assert counts == {"written": 1, "logged in": 1, "resumed": 2}
    assert all(point["sum"] > 0 for point in points if point["attributes"]["kind"] == "resumed")
    assert sandbox.counts() == {"certlogin": 1, "keepAlive": 2}
