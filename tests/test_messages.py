"""The wording of all messages, in one file: a better sentence is one diff to read.

After a change, `pytest tests/test_messages.py --update-messages` writes the file anew.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import betfair_session

PACKAGE = Path(betfair_session.__file__).parent
GOLDEN = Path(__file__).parent / "data" / "messages.txt"
_WORDS = re.compile(r"[^\W\d]\S* +\S*[^\W\d]")


def test_the_messages_are_those_of_the_file(pytestconfig: pytest.Config) -> None:
    """The file has each text of the package that a person may read, by its module."""
    found = "\n".join(block for path in sorted(PACKAGE.rglob("*.py")) if (block := messages(path)))
    if pytestconfig.getoption("--update-messages"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def messages(path: Path) -> str:
    """Return the texts of a module, sorted, below its name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lines = sorted(
        {
            text.replace("\r", "\\r").replace("\n", "\n  ")
            for text in texts(tree)
            if _WORDS.search(text)
        }
    )
    name = path.relative_to(PACKAGE.parent).as_posix()
    return "\n".join([f"[{name}]", *lines, ""]) if lines else ""


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield all texts of a tree except docstrings and patterns, with placeholders in braces."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.compile":
            continue
        text = _text(node)
        if text is None:
            yield from texts(node)
        else:
            yield text


def _text(node: ast.AST) -> str | None:
    """Return a literal, or several that are joined, or None."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "" for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"{{{ast.unparse(_Flat().visit(node.value))}}}"
    return None


class _Flat(ast.NodeTransformer):
    """Writes the texts within placeholders alike in each version of Python."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Constant:
        return ast.Constant(_text(node))
