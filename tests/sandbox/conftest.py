"""Clients that share no code with ours, to see what the sandbox really answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from betfair_session.sandbox import Sandbox

    Post = Callable[..., requests.Response]


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[requests.Session]:
    """Return an HTTP client that trusts the sandbox, whatever the environment says."""
    with requests.Session() as session:
        # Otherwise REQUESTS_CA_BUNDLE would win over `verify`.
        session.trust_env = False
        session.verify = sandbox.ca_bundle
        yield session


@pytest.fixture
def certlogin(sandbox: Sandbox, http: requests.Session) -> Post:
    """Return a function that logs in with a certificate, right unless told otherwise."""

    def post(
        username: str = sandbox.username,
        password: str = sandbox.password,
        certificate: tuple[str, str] | None = sandbox.certificate,
        base: str = sandbox.identity_cert_url,
    ) -> requests.Response:
        form = {"username": username, "password": password}
        headers = {"X-Application": sandbox.app_key}
        url = base + "certlogin"
        return http.post(url, data=form, headers=headers, cert=certificate, timeout=20)

    return post


@pytest.fixture
def login(sandbox: Sandbox, http: requests.Session) -> Post:
    """Return a function that logs in interactively, right unless told otherwise."""

    def post(
        password: str = sandbox.password,
        accept: str = "application/json",
        app_key: str | None = sandbox.app_key,
    ) -> requests.Response:
        form = {"username": sandbox.username, "password": password}
        headers = {"X-Application": app_key, "Accept": accept}
        return http.post(sandbox.identity_url + "login", data=form, headers=headers, timeout=20)

    return post


@pytest.fixture
def on_session(sandbox: Sandbox, http: requests.Session) -> Post:
    """Return a function that posts keepAlive or logout for a token."""

    def post(
        operation: str, token: str | None, accept: str = "application/json", timeout: float = 20
    ) -> requests.Response:
        headers = {
            "Accept": accept, "X-Application": sandbox.app_key, "X-Authentication": token
        }  # fmt: skip
        url = sandbox.identity_url + operation
        return http.post(url, headers=headers, timeout=timeout, allow_redirects=False)

    return post
