"""What stands beside the examples fits them: requirements, settings, permissions, links."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
import shutil
import sys
from importlib.metadata import distribution, version
from typing import TYPE_CHECKING, Any

import pytest
from programs import run

from betfair_session.storage import open_store
from betfair_session.storage.obstore import ObstoreStore
from runtimes.instances import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = {
    "aws_lambda": ["handler.py"],
    "google_cloud_run": ["main.py"],
    "azure_functions": ["function_app.py"],
    "events": ["alert.py", "telemetry.py"],
}
FUNCTIONS = [folder for folder in PROGRAMS if folder != "events"]


def text_of(*parts: str) -> str:
    """Return a file of the examples."""
    return EXAMPLES.joinpath(*parts).read_text(encoding="utf-8")


def imported(program: ast.AST) -> set[str]:
    """Return the dotted names of the modules that a program imports, as far as they are modules."""
    names: set[str] = set()
    for node in ast.walk(program):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            inner = {f"{node.module}.{each.name}" for each in node.names}
            modules = {name for name in inner if _is_module(name)}
            names |= modules or {node.module}
    return {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def holds(name: str, module: str) -> bool:
    """Tell whether an installed distribution holds a module."""
    if name == "betfair-session":  # it is installed as a link to its source
        return module.partition(".")[0] == "betfair_session"
    path = module.replace(".", "/")
    files = {str(file) for file in distribution(name).files or ()}
    return bool(files & {f"{path}.py", f"{path}/__init__.py"})


@pytest.mark.parametrize("folder", PROGRAMS)
def test_requirements_are_what_is_imported(folder: str) -> None:
    """Each import comes from a named distribution, each of those is imported; lower bounds only."""
    lines = text_of(folder, "requirements.txt").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    # Our own by its path: a name that is free on a registry may become anybody's.
    wheel = f"./betfair_session-{version('betfair-session')}-py3-none-any.whl"
    assert [line.partition("[")[0] for line in lines if "betfair" in line] == [wheel]
    lines = [line.replace(wheel, "betfair-session") + ">=0" * (wheel in line) for line in lines]
    found = [re.fullmatch(r"([a-z0-9-]+)(?:\[(\w+)\])?>=[\d.]+", line) for line in lines]
    assert all(found), lines
    names = {match[1] for match in found if match}
    modules = set().union(*(imported(ast.parse(text_of(folder, p))) for p in PROGRAMS[folder]))
    providers = {module: {name for name in names if holds(name, module)} for module in modules}
    assert all(len(names) == 1 for names in providers.values()), providers
    assert set().union(*providers.values()) == names
    extras = {match[2] for match in found if match and match[2]}
    assert extras == ({"obstore"} if folder in FUNCTIONS else set())


@pytest.mark.parametrize("folder", FUNCTIONS)
def test_the_deployment_sets_what_the_function_reads(folder: str) -> None:
    """Every variable is set, nothing secret is, and the store's URL is one for obstore."""
    (program,) = PROGRAMS[folder]
    read = set(re.findall(r'os\.environ\["(\w+)"\]', text_of(folder, program)))
    (deployment,) = re.findall(
        r"^\$ .*--.*BETFAIR_SECRET=.*", text_of(folder, "README.md"), re.MULTILINE
    )
    given = dict(re.findall(r"\b([A-Z][A-Z_]+)=([^\s,}]+)", deployment))
    assert set(given) == read | {"BETFAIR_SESSION_STORE", "BETFAIR_SESSION_KEY"}
    assert isinstance(open_store(given["BETFAIR_SESSION_STORE"], {}), ObstoreStore)


def test_the_local_trial_invokes_the_function_as_lambda_does(tmp_path: Path) -> None:
    """Its variables are those that are read, and its context tells the time that is left."""
    (line,) = re.findall(
        r"^\$ (BETFAIR_SECRET=.*)", text_of("aws_lambda", "README.md"), re.MULTILINE
    )
    words = shlex.split(line)
    given = {word.partition("=")[0] for word in words if word.startswith("BETFAIR_")}
    assert given == {"BETFAIR_SECRET", "BETFAIR_SESSION_STORE", "BETFAIR_SESSION_KEY"}
    stub = (
        "def handler(event, context):\n    return event, context.get_remaining_time_in_millis()\n"
    )
    (tmp_path / "handler.py").write_text(stub)
    done = run(sys.executable, "-c", words[-1], directory=tmp_path)
    assert (done.stdout, done.stderr) == ("({}, 60000)\n", "")


def test_the_account_of_the_secret_can_be_had_for_the_command_line(tmp_path: Path) -> None:
    """The lines of jq are what a shell understands, whatever is in a password or a key."""
    program = shutil.which("jq")
    if program is None:
        pytest.skip("jq is not installed")
    (found,) = re.findall(
        r"jq -r '(to_entries.*?)'\)\"$", text_of("aws_lambda", "README.md"), re.MULTILINE
    )
    account = {"BETFAIR_PASSWORD": 'it\'s $HOME "so"', "BETFAIR_KEY_PEM": "one\ntwo"}
    (tmp_path / "account.json").write_text(json.dumps(account))
    exports = run(program, "-r", found, "account.json", directory=tmp_path).stdout
    show = f"{sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    shown = json.loads(run("sh", text=f"{exports}\n{show}\n", directory=tmp_path).stdout)
    assert {name: shown[name] for name in account} == account


def seconds_of(folder: str) -> int:
    """Return the seconds that a function gives itself."""
    found = re.search(r"^SECONDS = (\d+)", text_of(folder, PROGRAMS[folder][0]), re.MULTILINE)
    assert found
    return int(found[1])


def test_a_function_ends_before_it_would_be_cut_off() -> None:
    """What Google and Azure are told is longer than what the examples give themselves."""
    found = re.search(r"--timeout=(\d+) ", text_of("google_cloud_run", "README.md"))
    assert found
    assert int(found[1]) - seconds_of("google_cloud_run") == 10
    host = json.loads(text_of("azure_functions", "host.json"))
    assert host["functionTimeout"] == "00:01:00"
    assert 60 - seconds_of("azure_functions") == 10


def test_the_policy_lets_a_function_read_its_secret_and_nothing_else() -> None:
    """One action, on one secret: the one that the deployment names."""
    readme = text_of("aws_lambda", "README.md")
    (block,) = re.findall(r"^```json\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    policy: dict[str, Any] = json.loads(block)
    (statement,) = policy["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "secretsmanager:GetSecretValue")
    # AWS adds a hyphen and six characters to a secret's name.
    assert statement["Resource"].rpartition(":secret:")[2] == "betfair-??????"
    assert "BETFAIR_SECRET=betfair," in readme
    assert "create-secret --name betfair " in readme


def test_the_account_of_the_readme_is_one_that_is_understood() -> None:
    """The JSON object has the names that from_env reads."""
    from betfair_session.environment import NAMES

    (block,) = re.findall(r"^```json\n(.*?)^```$", text_of("README.md"), re.DOTALL | re.MULTILINE)
    account = json.loads(block)
    assert set(account) < set(NAMES)
    (command,) = re.findall(r"^\$ \(umask 077; jq .*", text_of("README.md"), re.MULTILINE)
    assert all(f"{name}: " in command for name in account)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("**/README.md")), ids=lambda p: p.parent.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Files that are linked exist, and so do their headings."""
    links = re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
    assert links
    for link in links:
        name, _, heading = link.partition("#")
        target = path.parent / name
        assert target.is_file(), link
        if heading:
            lines = target.read_text(encoding="utf-8").splitlines()
            titles = [line.lstrip("# ").lower() for line in lines if line.startswith("#")]
            names = [re.sub(r"[^\w -]", "", title).replace(" ", "-") for title in titles]
            assert heading in names, link
