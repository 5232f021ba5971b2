"""Imports point one way, nothing heavy is imported early, and type checkers see what is meant."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import betfair_session
from betfair_session import exceptions

PACKAGE = Path(betfair_session.__file__).parent

# Each room may import from the rooms above it; those in one line do not import each other.
ROOMS = [
    {"exceptions", "events"},
    {"secret", "arguments"},
    {"tokens"},
    {"process"},
    {"certificates"},
    {"betfair"},
    {"storage"},
    {"login"},
    {"session"},
    {"keepalive", "exchange"},
    {"manager"},
    {"environment", "integrations"},
    {"cli"},
    {"__main__", "__init__"},
]
RANK = {name: rank for rank, room in enumerate(ROOMS) for name in room}


def room_of(module: str) -> str:
    """Return the room of a module's dotted name: "login" for betfair_session.login.policy."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(begin: str = "betfair_session") -> list[tuple[str, str]]:
    """Return every import in the package of modules with that beginning, as dotted names."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        own = parts if parts[-1] != "__init__" or len(parts) == 2 else parts[:-1]
        package = parts[:-1]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets = []
            if isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else ()
                stem = ".".join((*base, *([node.module] if node.module else [])))
                targets = [stem] if node.module else [f"{stem}.{name.name}" for name in node.names]
            elif isinstance(node, ast.Import):
                targets = [name.name for name in node.names]
            found += [(".".join(own), to) for to in targets if to.startswith(begin)]
    return found


def test_what_is_tested_is_what_is_installed() -> None:
    """Where the wheel is required, no source directory stands in for it."""
    beside = PACKAGE.parent == Path(__file__).parents[1]
    assert not (beside and os.environ.get("BETFAIR_SESSION_REQUIRE_WHEEL") == "1")
    assert (PACKAGE / "py.typed").exists()


def test_every_module_can_be_taken_in() -> None:
    """The policy among them, as one page."""
    lines = {path: path.read_text("utf-8").count("\n") for path in PACKAGE.rglob("*.py")}
    assert {path for path, count in lines.items() if count > 320} == set()


def test_the_sandbox_stands_alone() -> None:
    """It cannot share the client's mistakes; only the command line starts it."""
    pairs = [(room_of(source), room_of(target)) for source, target in imports()]
    assert len(pairs) > 100
    assert {target for source, target in pairs if source == "sandbox"} <= {"sandbox"}
    users = {source for source, target in pairs if target == "sandbox"}
    assert users <= {"sandbox", "cli"}


def test_imports_point_one_way() -> None:
    between = [(source, target) for source, target in imports() if room_of(target) != "sandbox"]
    wrong = [
        f"{source} imports {target}"
        for source, target in between
        if room_of(source) not in (room_of(target), "sandbox")
        and RANK[room_of(target)] >= RANK[room_of(source)]
    ]
    assert wrong == []


def test_no_imports_lead_back_to_where_they_began() -> None:
    targets: dict[str, set[str]] = {}
    for source, target in imports():
        targets.setdefault(source, set()).add(target)
    TopologicalSorter(targets).prepare()  # CycleError names a circle


def test_errors_are_only_given_attributes_that_they_have() -> None:
    """Their constructor takes any, so no type checker sees a mistyped one on a rare path."""
    given = [
        (call.func.id, attribute.arg)
        for path in PACKAGE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        for attribute in call.keywords
        if call.func.id in exceptions.__all__ and attribute.arg
    ]
    assert len(given) > 50
    unknown = [(kind, name) for kind, name in given if not hasattr(getattr(exceptions, kind), name)]
    assert unknown == []


def test_what_a_store_imports_can_be_seen() -> None:
    """PyInstaller and its like pack only what a statement imports, wherever that stands."""
    seen = {target.partition(".")[0] for _, target in imports("")}
    assert seen >= {"adlfs", "aiobotocore", "botocore", "gcsfs", "obstore", "s3fs"}
    hidden = [path.name for path in PACKAGE.rglob("storage/*.py") if _imports_by_name(path)]
    assert hidden == []


def _imports_by_name(path: Path) -> bool:
    names = {"import_module", "__import__"}
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return any(names & {getattr(node, "id", ""), getattr(node, "attr", "")} for node in tree)


PREPARE = """
from betfair_session import Certificate, IdentityClient, SessionManager
SessionManager(IdentityClient("k", ("c", "k")), "u", "p").session("/nowhere", "k")
Certificate.from_pem("x", "y", "z"), Certificate.from_pkcs12_base64("MAA=", "z")
"""


@pytest.mark.parametrize(
    "code", [PREPARE, "from betfair_session.sandbox import Sandbox"], ids=["prepare", "sandbox"]
)
def test_nothing_heavy_is_imported_before_it_is_used(code: str) -> None:
    """The sandbox is controlled by http alone. What each call imports is in test_imports.py."""
    heavy = {
        "adlfs", "aiohttp", "asyncio", "azure", "botocore", "click", "cryptography", "fsspec",
        "gcsfs", "obstore", "requests", "rich", "s3fs", "trustme", "twisted", "urllib3",
        "betfair_session.cli", "betfair_session.sandbox.server",
    }  # fmt: skip
    if "sandbox" not in code:
        heavy |= {"http.client", "ssl", "betfair_session.sandbox"}
    program = (sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)")
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert heavy & {*done.stdout.split()} == set()


def test_a_type_checker_catches_every_misuse_and_nothing_else() -> None:
    """Mypy in strict mode finds exactly the wrong lines in code as users write it."""
    file = Path(__file__).with_name("user_code.py")
    config = ("--config-file", str(file.parents[1] / "pyproject.toml"))
    mypy = (sys.executable, "-m", "mypy", "--strict", *config, str(file))
    told = subprocess.run(mypy, capture_output=True, text=True, check=False, cwd=file.parents[1])
    caught = {int(line) for line in re.findall(rf"{file.name}:(\d+): error", told.stdout)}
    lines = file.read_text("utf-8").splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(wrong) >= 50, told.stderr
    assert caught == wrong
