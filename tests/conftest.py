"""Fixtures for every test."""

from __future__ import annotations

import base64
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from unittest.mock import Mock

import hypothesis
import pytest
from hand_clocks import HandClocks

from betfair_session.environment import NAMES

# Modules that hold tests although their names do not say so.
pytest.register_assert_rewrite("storage", "login.script", "secrets_shown")

# The same inputs in every run; long/fuzz looks for others.
hypothesis.settings.register_profile("tests", derandomize=True)
hypothesis.settings.load_profile("tests")

CLOUDS = ("AWS_", "GOOGLE_", "AZURE_", "GCE_", "STORAGE_EMULATOR")
"""How the variables begin that the clouds' drivers take settings from."""

pytest_plugins = ["fixtures_sandbox", "servers.fixtures", "fleet.fixtures", "storage.plain"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that accepts a change of wording; see test_messages.py."""
    parser.addoption(
        "--update-messages", action="store_true", help="write tests/data/messages.txt anew"
    )


def pytest_configure() -> None:
    """Drop this machine's proxies, and its settings for clouds and this library.

    Let programs that tests start see SIGINT, too, even if a shell started pytest with &. A shell
    without job control lets such a process ignore SIGINT, which its children inherit; nohup does so
    with SIGHUP.
    """
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(CLOUDS) or name in NAMES:
            del os.environ[name]
    os.umask(0o022)  # a file that everyone may write would be refused
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up and signal.getsignal(hang_up) is signal.SIG_IGN:
        signal.signal(hang_up, lambda *_: None)  # pytest goes on; its children get the default


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A .netrc with a password for every host; return what would be sent of it.

    The environment names no authorities, either, which a session of requests would prefer.
    """
    file = tmp_path / "netrc"
    file.write_text("default login thief password thief\n")
    monkeypatch.setenv("NETRC", str(file))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return base64.b64encode(b"thief:thief")


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> HandClocks:
    """The clocks that trust is measured by, which stand still until a test moves them."""
    return HandClocks(monkeypatch)


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], AbstractContextManager[None]]:
    """Return a context in which no thread can be started, as with a limit on processes."""

    @contextmanager
    def refused() -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(
                threading.Thread, "start", Mock(side_effect=RuntimeError("can't start new thread"))
            )
            yield

    return refused


@pytest.fixture
def program_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the main thread seem to have ended, while others go on."""
    monkeypatch.setattr(threading, "main_thread", lambda: Mock(is_alive=lambda: False))
