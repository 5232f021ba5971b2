"""The examples' settings fit their code, and the alert works; long/runtimes runs the functions."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import requests
from front import Front
from programs import run

from betfair_session import Event, EventKind, LoginRefused, storage
from betfair_session.environment import NAMES
from betfair_session.storage.obstore import ObstoreStore

_EXAMPLES = Path(__file__).parents[1] / "examples"
_ALERT = runpy.run_path(str(_EXAMPLES / "events" / "alert.py"))["Alert"]
_PROGRAMS = {
    "aws_lambda": "handler.py",
    "google_cloud_run": "main.py",
    "azure_functions": "function_app.py",
}
_DISTRIBUTIONS = {
    "azure.functions": "azure-functions",
    "azure.identity": "azure-identity",
    "azure.keyvault.secrets": "azure-keyvault-secrets",
    "boto3": "boto3",
    "functions_framework": "functions-framework",
    "google.cloud": "google-cloud-secret-manager",
    "opentelemetry": "opentelemetry-api",
    "requests": "requests",
}


def _text_of(*parts: str) -> str:
    return _EXAMPLES.joinpath(*parts).read_text(encoding="utf-8")


def _found(pattern: str, *parts: str) -> str:
    (found,) = re.findall(pattern, _text_of(*parts), re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("folder", _PROGRAMS)
def test_the_deployment_sets_what_the_function_reads(folder: str) -> None:
    """Every variable is set, but no secret, and the store's URL is one for obstore."""
    read = set(re.findall(r'os\.environ\["(\w+)"\]', _text_of(folder, _PROGRAMS[folder])))
    deployment = _found(r"^\$ [^\n]*--[^\n]*BETFAIR_SECRET=[^\n]*", folder, "README.md")
    given = dict(re.findall(r"\b([A-Z][A-Z_]+)=([^\s,}]+)", deployment))
    assert set(given) == read | {"BETFAIR_SESSION_STORE", "BETFAIR_SESSION_KEY"}
    assert isinstance(storage.open_store(given["BETFAIR_SESSION_STORE"], {}), ObstoreStore)


@pytest.mark.parametrize("folder", [*_PROGRAMS, "events"])
def test_requirements_are_what_is_imported(folder: str) -> None:
    """Each import's distribution is named, and nothing else; with lower bounds only."""
    lines = _text_of(folder, "requirements.txt").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    # Our own by its path: anyone may register a name that is free on a registry.
    extra = "[obstore]" if folder in _PROGRAMS else ""
    ours = f"./betfair_session-{version('betfair-session')}-py3-none-any.whl{extra}"
    found = [re.fullmatch(r"([a-z0-9-]+)>=[\d.]+", line) for line in lines if line != ours]
    texts = [path.read_text("utf-8") for path in (_EXAMPLES / folder).glob("*.py")]
    modules = set(re.findall(r"^(?:import|from) ([\w.]+)", "\n".join(texts), re.MULTILINE))
    foreign = {name for name in modules if name.split(".")[0] not in sys.stdlib_module_names}
    assert ours in lines
    assert {match and match[1] for match in found} == {
        _DISTRIBUTIONS[name] for name in foreign if not name.startswith("betfair_session")
    }


def test_a_function_has_the_time_and_the_rights_that_it_needs() -> None:
    """10 s less than the platform gives it, and one action on the one secret that it names."""
    assert json.loads(_text_of("azure_functions", "host.json"))["functionTimeout"] == "00:01:00"
    allowed = {"azure_functions": 60}
    allowed["google_cloud_run"] = int(_found(r"--timeout=(\d+) ", "google_cloud_run", "README.md"))
    for folder, seconds in allowed.items():
        assert seconds - int(_found(r"^SECONDS = (\d+)", folder, _PROGRAMS[folder])) == 10
    block = r"^```json\n(.*?)^```$"
    (statement,) = json.loads(_found(block, "aws_lambda", "README.md"))["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "secretsmanager:GetSecretValue")
    # AWS adds a hyphen and six characters to a secret's name.
    assert statement["Resource"].rpartition(":secret:")[2] == "betfair-??????"
    assert "create-secret --name betfair " in _text_of("aws_lambda", "README.md")
    assert set(json.loads(_found(block, "README.md"))) < set(NAMES)


def test_the_local_trial_invokes_the_function_as_lambda_does(tmp_path: Path) -> None:
    """It sets the variables that are read, and its context has the time that is left."""
    words = shlex.split(_found(r"^\$ (BETFAIR_SECRET=[^\n]*)", "aws_lambda", "README.md"))
    given = {word.partition("=")[0] for word in words if word.startswith("BETFAIR_")}
    assert given == {"BETFAIR_SECRET", "BETFAIR_SESSION_STORE", "BETFAIR_SESSION_KEY"}
    stub = "def handler(event, context):\n    return context.get_remaining_time_in_millis()\n"
    (tmp_path / "handler.py").write_text(stub)
    done = run(sys.executable, "-c", words[-1], directory=tmp_path)
    assert (done.stdout, done.stderr) == ("60000\n", "")


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    posted: list[str] = []

    def post(url: str, *, json: dict[str, str], timeout: float) -> MagicMock:
        if "unreachable" in url:
            raise requests.ConnectionError(url)
        assert timeout <= 3
        posted.append(json["text"])
        return MagicMock(ok=True)

    monkeypatch.setattr(requests, "post", post)
    return posted


def test_a_refused_login_raises_one_alert(
    front: Front, alerts: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """It says why. One that cannot be raised does no harm, and the log does not name the hook."""
    front.sandbox.login_status("SUSPENDED")
    for url in ("https://hook", "https://unreachable/hook-that-nobody-may-know"):
        session = front.session(on_event=_ALERT(url))
        for _ in range(2):
            with pytest.raises(LoginRefused):
                session.token()
    (text,) = alerts
    assert "SUSPENDED" in text
    assert front.sandbox.password not in text
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == ["alert"]
    assert "nobody-may-know" not in caplog.text


UNCLEAR: list[EventKind] = ["cannot tell", "cannot tell"]


@pytest.mark.parametrize(
    ("kinds", "count"),
    [
        (["failed", "failed"], 1),
        ([*UNCLEAR, "resumed", *UNCLEAR], 0),  # what counts is three calls in a row
        ([*UNCLEAR, *UNCLEAR], 1),
        # Each login works, but its token is lost: that is no success.
        (["logged in", "cannot tell"] * 3, 1),
        (["logged in", "written", "cannot tell"] * 3, 0),
    ],
)
def test_what_is_an_alert_and_what_a_hiccup(
    alerts: list[str], kinds: list[EventKind], count: int
) -> None:
    alert = _ALERT("https://hook")
    for kind in kinds:
        alert(Event(kind, "tokens", "session.token"))
    assert len(alerts) == count
