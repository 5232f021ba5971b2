"""A client that shares no code with ours, to see what the sandbox really answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from betfair_session.sandbox import Sandbox


class Caller:
    """Plain requests, which trusts the sandbox in any environment."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.http = requests.Session()
        self.http.trust_env = False  # otherwise REQUESTS_CA_BUNDLE would win over `verify`
        self.http.verify = sandbox.ca_bundle

    def post(self, url: str, **more: Any) -> requests.Response:  # noqa: ANN401 - passed on
        """Send one request, and follow no redirect."""
        return self.http.post(url, **{"timeout": 20, "allow_redirects": False, **more})

    def certlogin(self, username: str = "", password: str = "", **more: Any) -> str:  # noqa: ANN401
        """Log in with a certificate, right unless told otherwise; return the status."""
        form = {
            "username": username or self.sandbox.username,
            "password": password or self.sandbox.password,
        }
        given = {"cert": self.sandbox.certificate, "data": form, **more}
        given.setdefault("headers", {"X-Application": self.sandbox.app_key})
        answer = self.post(self.sandbox.identity_cert_url + "certlogin", **given)
        return str(answer.json()["loginStatus"])

    def login(self, code: str = "", **headers: str | None) -> requests.Response:
        given = {"X-Application": self.sandbox.app_key, "Accept": "application/json", **headers}
        form = {"username": self.sandbox.username, "password": self.sandbox.password + code}
        return self.post(self.sandbox.identity_url + "login", data=form, headers=given)

    def ask(self, operation: str, token: str | None, **more: Any) -> requests.Response:  # noqa: ANN401
        headers = {"Accept": more.pop("accept", "application/json"), "X-Authentication": token}
        return self.post(self.sandbox.identity_url + operation, headers=headers, **more)

    def error(self, operation: str, token: str | None) -> str:
        """Return what keepAlive or logout for a token is answered; "" for success."""
        answer = self.ask(operation, token)
        told = answer.json()
        assert (answer.status_code, told["status"] == "FAIL") == (200, bool(told["error"]))
        return str(told["error"])


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    caller = Caller(sandbox)
    yield caller
    caller.http.close()
