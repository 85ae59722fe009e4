"""Docstrings name their noun: none begins with a question's word."""

import ast
import re

import pytest

from tests.house.sources import ROOT, files

RIDDLE = re.compile(r"\s*(What|Who|Whom|Whose)\b")
TO_COME = ("services/chat/",)
"""Folders in which this does not hold yet."""
MODULES = {
    name: path for path in files() if not (name := str(path.relative_to(ROOT))).startswith(TO_COME)
}  # fmt: skip


def docstrings(tree):
    """Every text that stands by itself: of modules, classes and functions, and below attributes and constants."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


@pytest.mark.parametrize("name", MODULES)
def test_no_docstring_begins_as_a_riddle(name):
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    assert [f"{name}:{line}: {text[:60]}" for line, text in docstrings(tree) if RIDDLE.match(text)] == []
