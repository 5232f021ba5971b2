"""What stands beside the functions: the shell's lines of a README, and events as measurements."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from programs import run

from betfair_session import IdentityClient, SessionManager
from betfair_session.sandbox import Sandbox
from runtimes.instances import EXAMPLES


def test_the_account_of_the_secret_can_be_had_for_the_command_line(tmp_path: Path) -> None:
    """A shell understands the lines of jq with any password or key."""
    readme = (EXAMPLES / "aws_lambda" / "README.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"jq -r '(to_entries.*?)'\)\"$", readme, re.MULTILINE)
    account = {"BETFAIR_PASSWORD": 'it\'s $HOME "so"', "BETFAIR_KEY_PEM": "one\ntwo"}
    (tmp_path / "account.json").write_text(json.dumps(account))
    exports = run("jq", "-r", found, "account.json", directory=tmp_path).stdout
    show = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    shown = json.loads(run("sh", text=f"{exports}\n{show}\n", directory=tmp_path).stdout)
    assert {name: shown[name] for name in account} == account


def test_events_are_measured(sandbox: Sandbox, client: IdentityClient, tmp_path: Path) -> None:
    """A login and two resumes are counted and timed by their kind."""
    path = EXAMPLES / "events" / "telemetry.py"
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    hook = runpy.run_path(str(path))["Telemetry"](provider)
    with SessionManager(client, sandbox.username, sandbox.password, on_event=hook) as manager:
        for _ in range(3):
            manager.get_session(tmp_path, "session.token")
    collected = reader.get_metrics_data()
    assert collected is not None
    provider.shutdown()
    (metric,) = json.loads(collected.to_json())["resource_metrics"][0]["scope_metrics"][0][
        "metrics"
    ]
    assert (metric["name"], metric["unit"]) == ("betfair_session.event", "s")
    points = {each["attributes"]["kind"]: each for each in metric["data"]["data_points"]}
    counts = {kind: point["count"] for kind, point in points.items()}
    assert counts == {"written": 1, "logged in": 1, "resumed": 2}
    assert points["resumed"]["sum"] > 0
