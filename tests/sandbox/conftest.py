"""Clients that share no code with ours, to see what the sandbox really answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from betfair_session.sandbox import Sandbox


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[requests.Session]:
    """Return an HTTP client that trusts the sandbox, whatever the environment says."""
    with requests.Session() as session:
        # Otherwise REQUESTS_CA_BUNDLE would win over `verify`.
        session.trust_env = False
        session.verify = sandbox.ca_bundle
        yield session


@pytest.fixture
def certlogin(sandbox: Sandbox, http: requests.Session) -> Callable[..., requests.Response]:
    """Return a function that logs in with a certificate, right unless told otherwise."""

    def post(
        username: str = sandbox.username,
        password: str = sandbox.password,
        certificate: tuple[str, str] | None = sandbox.certificate,
    ) -> requests.Response:
        return http.post(
            sandbox.identity_cert_url + "certlogin",
            data={"username": username, "password": password},
            headers={"X-Application": sandbox.app_key},
            cert=certificate,
            timeout=20,
        )

    return post


@pytest.fixture
def login(sandbox: Sandbox, http: requests.Session) -> Callable[..., requests.Response]:
    """Return a function that logs in interactively, right unless told otherwise."""

    def post(
        password: str = sandbox.password, accept: str = "application/json"
    ) -> requests.Response:
        return http.post(
            sandbox.identity_url + "login",
            data={"username": sandbox.username, "password": password},
            headers={"X-Application": sandbox.app_key, "Accept": accept},
            timeout=20,
        )

    return post


@pytest.fixture
def on_session(sandbox: Sandbox, http: requests.Session) -> Callable[..., requests.Response]:
    """Return a function that posts keepAlive or logout for a token."""

    def post(
        operation: str, token: str | None, accept: str = "application/json", timeout: float = 20
    ) -> requests.Response:
        headers = {"Accept": accept, "X-Application": sandbox.app_key}
        if token is not None:
            headers["X-Authentication"] = token
        url = sandbox.identity_url + operation
        return http.post(url, headers=headers, timeout=timeout, allow_redirects=False)

    return post
