"""The sandbox as a context manager: a process of its own, started and stopped from here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

from .controls import Controls, SandboxError

_START_SECONDS = 60
_STOP_SECONDS = 10

# Without the working directory, where a secrets.py of the user's would run (-P).
_PROGRAM = f"""import sys
sys.path.append({str(Path(__file__).parents[2])!r})
from betfair_session.sandbox.process import serve
serve(int(sys.argv[1]))"""

LAST_PORT = 65_533
"""Of the first of three ports."""


def serve(port: int) -> None:
    """Print one JSON line with all that a client needs, or why it cannot start; then serve."""
    try:
        from .server import run
    except ModuleNotFoundError as missing:
        why_not = f'it needs {missing.name}: pip install "betfair-session[sandbox]"'
    else:
        why_not = run(port) if 0 <= port <= LAST_PORT else f"its port must be 0 to {LAST_PORT}"
    if why_not:
        sys.stdout.write(json.dumps({"error": why_not}))


class Sandbox(Controls):
    """A running sandbox.

    It runs as a process of its own, on 127.0.0.1, and ends with this one, even if that is killed.

    Example:
        >>> with Sandbox() as sandbox:
        ...     sandbox.fault("keepAlive", "status:503", times=2)
        ...     manager = from_env(sandbox.environment(), dotenv=None)

    Attributes:
        identity_url: the base of login, keepAlive and logout, such as https://127.0.0.1:1234/api/.
        identity_cert_url: the base of certlogin.
        api_url: the base of the betting API, such as https://127.0.0.1:1234/exchange/.
        stream_address: host and port of the exchange stream.
        ca_bundle: the path of the CA certificate by which clients trust all of them.
        username: the default account's.
        password: the default account's; it has characters that a form must encode.
        app_key: the application key that the betting API takes.
        certificate: the paths of the default account's client certificate and key.
        directory: a private directory with these files, removed at the end.
    """

    def __init__(self, *, port: int = 0) -> None:
        """Start it and wait until it serves.

        Args:
            port: for login, keepAlive, logout and the betting API; the next one is for certlogin,
                and the one after that for the exchange stream. 0: any three that are free.

        Raises:
            SandboxError: it did not start: a port is taken, or the extra `sandbox` is missing.
        """
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with a number
            [sys.executable, "-P", "-c", _PROGRAM, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Keep Ctrl-C from it: the program that uses the sandbox may need it to clean up.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # on Windows
        )
        try:
            details = self._details()
        except BaseException:
            self._stop()  # or it would run until this program ends
            raise
        self._environment: dict[str, str] = details["environment"]
        found = self._environment
        self.identity_url: str = found["BETFAIR_IDENTITY_URL"]
        self.identity_cert_url: str = found["BETFAIR_IDENTITY_CERT_URL"]
        self.api_url: str = found["BETFAIR_API_URL"]
        self.ca_bundle: str = found["BETFAIR_CA_BUNDLE"]
        self.username: str = found["BETFAIR_USERNAME"]
        self.password: str = found["BETFAIR_PASSWORD"]
        self.app_key: str = found["BETFAIR_APP_KEY"]
        self.certificate: tuple[str, str] = (found["BETFAIR_CERT_FILE"], found["BETFAIR_KEY_FILE"])
        self.directory: Path = Path(details["directory"])
        super().__init__(self.directory)

    def _details(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        too_slow = threading.Timer(_START_SECONDS, self._process.kill)
        too_slow.start()
        try:
            details: dict[str, Any] = json.loads(self._process.stdout.readline() or b"{}")
        finally:
            too_slow.cancel()
        if "environment" not in details:
            why = details.get("error", "its error output says why")
            raise SandboxError(f"the sandbox did not start: {why}")
        return details

    @property
    def pid(self) -> int:
        """The process id of the sandbox."""
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """Return the BETFAIR_* variables that make a client talk to this sandbox.

        They name a store in its directory, too, which `reset` empties.
        """
        return dict(self._environment)

    def reset(self) -> None:
        """Put everything back to how it began, and empty the store that `environment` names."""
        super().reset()
        store = self.directory / "store"
        if store.is_file():  # a test has broken it
            store.unlink()
        shutil.rmtree(store, ignore_errors=True)

    def close(self) -> None:
        """Stop it and remove its directory; a second call does no harm."""
        self._stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _stop(self) -> None:
        # Closing its input is not enough: a forked process may hold that pipe open.
        with self._process:  # whose end closes the pipes and waits
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
