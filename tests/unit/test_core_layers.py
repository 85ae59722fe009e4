"""The compiled core's parts depend on each other in one direction, and each says what it touches of Python's."""

import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "shared" / "core"
FOLDERS = ["io", "deduplication", "quotas", "fast_path", ""]
"""Each may include what is in those before it, and the headers beside module.c, which include none of them."""
INCLUDE = re.compile(r'^#include "(.+)\.h"$', re.MULTILINE)
FUNCTION = re.compile(r"^(?!static)[A-Za-z][\w ]*?[ *](\w+)\([^;{]*\)\n\{", re.MULTILINE)
OBJECT = re.compile(r"^(?!static|extern|typedef)[A-Z]\w+ \*?(\w+)(?: = \{|;|, )", re.MULTILINE)
BY_NAME = re.compile(r"\b(?:PyImport_\w+|PyUnicode_InternFromString|PyObject_\w+(?:String|CallMethod))\(")
"""Calls that name something of Python's where they stand."""


def sources(pattern):
    return {
        path.relative_to(CORE).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
        for folder in ("", "*/")
        for path in CORE.glob(f"{folder}{pattern}")
    }


def parts():
    """Each part (a .c file and its header) with those that it includes."""
    found = {}
    for kind in ("*.c", "*.h"):
        for name, text in sources(kind).items():
            found.setdefault(name, set()).update(set(INCLUDE.findall(text)) - {name})
    return found


def folder(name):
    return name.rpartition("/")[0]


def test_no_part_includes_one_that_includes_it():
    assert len([*TopologicalSorter(parts()).static_order()]) > 20


@pytest.mark.parametrize("below", FOLDERS[:-1])
def test_what_is_below_includes_nothing_of_what_is_above(below):
    may = {*FOLDERS[: FOLDERS.index(below) + 1], ""}
    for name, included in parts().items():
        if folder(name) == below:
            assert {folder(each) for each in included} <= may, name


def test_what_lies_beside_the_module_includes_no_part():
    for name, included in parts().items():
        if not folder(name) and name != "module":
            assert not any(map(folder, included)), name


def test_what_others_may_use_of_a_file_stands_in_its_own_header_alone():
    """So a file that uses something of another has to include its header: the graph of includes is that of uses."""
    headers = sources("*.h")
    for name, text in sources("*.c").items():
        for used in {*FUNCTION.findall(text), *OBJECT.findall(text)} - {"PyInit__core"}:
            where = [header for header, words in headers.items() if re.search(rf"\b{used}\b[\[(;,]", words)]
            assert where == [name], f"{used} of {name}.c is declared in {where}"


def test_python_is_named_in_one_place_of_each_folder_alone():
    named = {name for kind in ("*.c", "*.h") for name, text in sources(kind).items() if BY_NAME.search(text)}
    assert named <= {f"{each}/python_side" for each in FOLDERS} | {"names"}
    for each in FOLDERS[:-1]:
        assert (CORE / each / "python_side.h").is_file()
