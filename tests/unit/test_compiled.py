"""What was compiled from other sources is left alone, and a process says so."""

import ast
import importlib.util
import re
import sys
import types
import zlib
from pathlib import Path

import pytest

import parley.shared
from parley.shared import compiled

ROOT = Path(__file__).parents[2]


def load_with(core, monkeypatch):
    """shared/compiled.py, as it would be beside that core."""
    monkeypatch.delenv("PARLEY_PURE", raising=False)
    monkeypatch.setitem(sys.modules, "parley.shared._core", core)
    monkeypatch.setattr(parley.shared, "_core", core, raising=False)
    spec = importlib.util.spec_from_file_location("compiled_again", compiled.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("number", [None, compiled.INTERFACE + 1])
def test_a_core_of_other_sources_is_left_alone_and_named(number, monkeypatch):
    core = types.ModuleType("parley.shared._core")
    if number is not None:
        core.INTERFACE = number
    module = load_with(core, monkeypatch)
    assert module.core is None
    assert module.is_outdated
    assert "make -B setup" in module.why_absent()


def test_a_core_of_these_sources_is_used(monkeypatch):
    core = types.ModuleType("parley.shared._core")
    core.INTERFACE = compiled.INTERFACE
    module = load_with(core, monkeypatch)
    assert module.core is core
    assert "make" not in module.why_absent()


def calls_of(name):
    """Each call of a function in the sources, as (file, names of its arguments)."""
    for folder in ("services", "shared"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name:
                    yield path, [keyword.arg for keyword in node.keywords]


@pytest.mark.skipif(compiled.core is None, reason="the compiled core is not here")
def test_each_constant_that_both_have_written_is_compared_where_python_has_it():
    compared = [name for _, names in calls_of("same_as_compiled") for name in names]
    assert sorted(compared) == sorted(compiled.core.CONSTANTS)


def test_a_constant_that_is_another_in_the_core_is_named(monkeypatch):
    core = types.ModuleType("parley.shared._core")
    core.INTERFACE, core.CONSTANTS = compiled.INTERFACE, {"MOST_DIGITS": 20}
    module = load_with(core, monkeypatch)
    module.same_as_compiled(MOST_DIGITS=20)
    for other in ({"MOST_DIGITS": 19}, {"MOST_DIGIT": 20}):
        with pytest.raises(ImportError, match="MOST_DIGIT"):
            module.same_as_compiled(**other)


def test_without_a_core_no_constant_is_another(monkeypatch):
    monkeypatch.setattr(compiled, "core", None)
    compiled.same_as_compiled(MOST_DIGITS=19)


def test_the_number_of_the_interface_is_that_of_its_description():
    number = zlib.crc32((ROOT / "shared" / "_core.pyi").read_bytes()) & 0x7FFFFFFF
    source = (ROOT / "shared" / "core" / "module.c").read_text(encoding="utf-8")
    written = int(re.search(r"#define INTERFACE (\d+)", source)[1])
    assert (compiled.INTERFACE, written) == (number, number), (
        f"_core.pyi has changed: write {number} at both places"
    )
