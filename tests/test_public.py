"""What is public, and with which parameters.

`data/public.txt` has it. It is written by hand, so that a change of what users call is a decision.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FunctionType
from unittest.mock import Mock

import click
import pytest

import betfair_session
from betfair_session import exceptions, sandbox
from betfair_session.cli import certificate, commands, doctor, local, session, status  # noqa: F401 - each adds commands
from betfair_session.environment import NAMES
from betfair_session.integrations import betfairlightweight

PACKAGE = Path(betfair_session.__file__).parent
GOLDEN = Path(__file__).parent / "data" / "public.txt"

PUBLIC = {
    *exceptions.__all__,
    *("BetfairAuth", "Certificate", "Check", "Event", "EventKind", "Exchange"),
    *("FileSystem", "IdentityClient"),
    *("Jurisdiction", "JurisdictionName", "KeepAlive", "LeaseSettings", "Place", "Report"),
    *("Secret", "Session", "SessionManager", "Store", "StrPath", "TokenStore"),
    *("from_env", "place_from_env", "session_is_invalid"),
}


def test_the_public_names_are_there_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """People outside build on these; what has not been imported yet is listed by dir, too."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    checked = {name.asname for node in imports for name in node.names if name.asname}
    assert [each.module for each in imports if each.names[0].name == "*"] == ["exceptions"]
    checked |= {*exceptions.__all__}
    assert set(vars(betfair_session)["__all__"]) == checked == PUBLIC  # by type checkers, too
    assert set(dir(betfair_session)) >= PUBLIC
    for name in PUBLIC - {"EventKind", "JurisdictionName", "Store", "StrPath"}:  # of types
        assert getattr(betfair_session, name).__name__ == name
    assert betfair_session.Store | None
    assert betfair_session.__version__ == version("betfair-session")
    # Archives for functions are often stripped of it.
    missing = Mock(side_effect=PackageNotFoundError("betfair-session"))
    monkeypatch.setattr(metadata, "version", missing)
    assert not hasattr(betfair_session, "__version__")
    with pytest.raises(AttributeError):
        getattr(betfair_session, "get_session")  # noqa: B009 - mypy knows that it is missing


BASES = {*exceptions.__all__, "Controls"}  # whose members are listed once
TYPES = {"EventKind", "FileSystem", "JurisdictionName", "Store", "StrPath", "TokenStore"}
# Names in the signatures that other packages define.
FOREIGN = {"datetime", "timedelta", "requests", "Response", "Session", "os", "PathLike", "ssl"}
FOREIGN |= {"SSLContext", "Self", "Callable", "Iterable", "Mapping", "Any", "Literal"}


def signatures(thing: object) -> Iterator[Callable[..., object]]:
    """Yield what users call of a public name: itself, or its public methods and properties."""
    if not isinstance(thing, type):
        assert callable(thing)
        yield thing
        return
    for name, value in vars(thing).items():
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        made = thing is not betfair_session.Session  # by users, not by a manager
        if isinstance(function, FunctionType) and (name[0] != "_" or (made and name == "__init__")):
            yield function


def test_everything_in_a_public_signature_can_be_imported() -> None:
    """Such as the type of a store; and every parameter has a name, which `help` shows.

    An error takes the attributes that its docstring lists.
    """
    words = set[str]()
    for name in PUBLIC - TYPES:
        for function in signatures(getattr(betfair_session, name)):
            for parameter in inspect.signature(function).parameters.values():
                anything = {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}
                assert parameter.kind not in anything or name in exceptions.__all__
            for annotation in function.__annotations__.values():
                words |= set(re.findall(r"[A-Za-z]\w*", annotation))
    assert words <= {*PUBLIC, *FOREIGN, *dir(builtins)}


def test_what_users_call_takes_what_it_took() -> None:
    """Parameters, fields, commands with their options, and variables."""
    assert list(promises()) == GOLDEN.read_text("utf-8").splitlines()


def promises() -> Iterator[str]:
    """Yield a line for each thing that users call, set or read."""
    for module in (betfair_session, sandbox, betfairlightweight):
        for name in sorted({*module.__all__} - TYPES):
            yield from members(f"{module.__name__}.{name}", getattr(module, name))
    yield from options("betfair-session", commands.MAIN)
    yield from sorted(NAMES)


def members(name: str, thing: object) -> Iterator[str]:
    """Yield what a public name takes; of a class also its public fields and methods."""
    error = isinstance(thing, type) and issubclass(thing, Exception)
    yield name + (taken(thing) if callable(thing) and not error else "")
    if not isinstance(thing, type):
        return
    package = [each for each in thing.__mro__ if each.__module__.startswith("betfair_session")]
    own = [each for each in package if each is thing or each.__name__ not in BASES]
    found = {field: "" for each in own for field in inspect.get_annotations(each)}
    for each in reversed(own):
        found |= {
            field: taken(getattr(thing, field)) if callable(getattr(thing, field, None)) else ""
            for field in vars(each)
        }
    yield from (f"{name}.{field}{found[field]}" for field in sorted(found) if field[0] != "_")


def taken(function: Callable[..., object]) -> str:
    """Return its parameters as they are given; "=" marks those that may be left out."""
    given = inspect.signature(function).parameters.values()
    kinds = {each.KEYWORD_ONLY: "*" for each in given}
    texts = list[str]()
    for each in given:
        texts += [kinds.pop(each.kind)] if each.kind in kinds else []
        texts.append(str(each.replace(annotation=each.empty, default=each.empty)))
        texts[-1] += "" if each.default is each.empty else "="
    return f"({', '.join(texts)})"


def options(name: str, command: click.Command) -> Iterator[str]:
    """Yield each command with its arguments and options."""
    if isinstance(command, click.Group):
        for each in sorted(command.commands):
            yield from options(f"{name} {each}", command.commands[each])
    words = [word for each in command.params for word in (*each.opts, *each.secondary_opts)]
    yield " ".join([name, *words])
