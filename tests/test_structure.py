"""Imports point one way, nothing heavy is imported early, and the public names are the promised."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path

import pytest

import betfair_session
from betfair_session import exceptions

PACKAGE = Path(betfair_session.__file__).parent

PUBLIC = {
    *exceptions.__all__,
    *("BetfairAuth", "Certificate", "Check", "Event", "EventKind", "Exchange"),
    *("FileSystem", "IdentityClient"),
    *("Jurisdiction", "JurisdictionName", "KeepAlive", "LeaseSettings", "Place", "Report"),
    *("Secret", "Session", "SessionManager", "Store", "StrPath", "TokenStore"),
    *("from_env", "place_from_env", "session_is_invalid"),
}

# Each room may import from the rooms above it; those in one line know nothing of each other.
ROOMS = [
    {"exceptions"},
    {"secret", "arguments"},
    {"tokens"},
    {"process"},
    {"events", "certificates"},
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
    """Return every import statement of the package for modules that begin so, as dotted names."""
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


def test_the_sandbox_stands_alone() -> None:
    """It cannot share the client's mistakes; only the command line starts it."""
    pairs = [(room_of(source), room_of(target)) for source, target in imports()]
    assert len(pairs) > 100
    assert {target for source, target in pairs if source == "sandbox"} <= {"sandbox"}
    users = {source for source, target in pairs if target == "sandbox"}
    assert users <= {"sandbox", "cli"}


def test_imports_point_one_way() -> None:
    """No room is called back by the one it calls."""
    between = [
        (source, target)
        for source, target in imports()
        if room_of(source) != room_of(target)
        and "sandbox" not in (room_of(source), room_of(target))
    ]
    wrong = [
        f"{source} imports {target}"
        for source, target in between
        if RANK[room_of(target)] >= RANK[room_of(source)]
    ]
    assert wrong == []


def test_no_two_modules_import_each_other() -> None:
    """Nor does any longer chain of imports come back to where it began."""
    targets: dict[str, set[str]] = {}
    for source, target in imports():
        targets.setdefault(source, set()).add(target)
    TopologicalSorter(targets).prepare()  # or CycleError, which names the circle


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


def loaded_by(code: str) -> set[str]:
    """Return the names of all modules that a new interpreter has loaded after `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


PREPARE = """
from betfair_session import IdentityClient, SessionManager
SessionManager(IdentityClient("k", ("c", "k")), "u", "p").session("/nowhere", "k")
"""


@pytest.mark.parametrize(
    "code",
    [
        "import betfair_session",
        PREPARE,
    ],
    ids=["import", "prepare"],
)
def test_nothing_heavy_is_imported_before_it_is_used(code: str) -> None:
    """A function pays for every import of a cold start."""
    heavy = {
        "adlfs", "aiohttp", "asyncio", "azure", "botocore", "click", "cryptography", "fsspec",
        "gcsfs", "http.client", "obstore", "requests", "rich", "s3fs", "ssl", "twisted", "urllib3",
        "betfair_session.cli", "betfair_session.sandbox",
    }  # fmt: skip
    assert not heavy & loaded_by(code)


def names_for_type_checkers() -> set[str]:
    """Return the names that `__init__` imports for users."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.asname for node in imported for name in node.names if name.asname}


def test_the_public_names_are_there_and_no_others() -> None:
    """People outside build on these; what has not been imported yet is listed by dir, too."""
    assert set(vars(betfair_session)["__all__"]) == names_for_type_checkers() == PUBLIC
    assert set(dir(betfair_session)) >= PUBLIC
    for name in PUBLIC - {"EventKind", "JurisdictionName", "Store", "StrPath"}:  # of types
        assert getattr(betfair_session, name).__name__ == name
    assert betfair_session.Store | None
    assert betfair_session.__version__ == version("betfair-session")
    with pytest.raises(AttributeError):
        getattr(betfair_session, "get_session")  # noqa: B009 - mypy knows that it is missing
