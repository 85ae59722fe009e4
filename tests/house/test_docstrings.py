"""Docstrings name their noun, and the files that they name are there."""

import ast
import re

import pytest

from tests.house.sources import ROOT, files

RIDDLE = re.compile(r"\s*(What|Who|Whom|Whose)\b")
FILE = re.compile(r"(?<![\w/.*-])((?:[\w-]+/)*[\w-]+\.(?:py|c|h|md))(?!\w)")
MODULES = {str(path.relative_to(ROOT)): path for path in files()}
FOLDERS = ("services", "shared", "parley", "deploy", "tests", "docs", "bench")
NAMEABLE = [*files(FOLDERS, (".py", ".c", ".h", ".md")), *ROOT.glob("*.md")]
HERE = [f"/{path.relative_to(ROOT)}" for path in NAMEABLE]
every_module = pytest.mark.parametrize("name", MODULES)


def docstrings(name):
    """Every text that stands by itself: of modules, classes and functions, and below attributes and constants."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


@every_module
def test_no_docstring_begins_as_a_riddle(name):
    assert [f"{name}:{line}: {text[:60]}" for line, text in docstrings(name) if RIDDLE.match(text)] == []


@every_module
def test_every_file_that_a_docstring_names_exists(name):
    for line, text in docstrings(name):
        for file in FILE.findall(text):
            assert any(each.endswith(f"/{file}") for each in HERE), f"{name}:{line}: {file}"
