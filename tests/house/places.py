"""Where something is said in the sources: by the function, class or constant that says it.

A place is `path:name`: a function, `Class.method` (functions within it belong to it), a class for what stands in
its body, or a name that a module assigns. It mentions the names that it uses, its own, and its texts, but for its
documentation. Imports mention nothing.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from parley.shared.wire.messages import pb
from tests.house.sources import ROOT, files, relative, tree_of

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
C_FUNCTION = r"(?m)^(?!#)\w[^;{{}}\n]*\b{name}\([^;{{}}]*\)\s*\n?\{{.*?^\}}"


class Place(NamedTuple):
    """Somewhere in the sources."""

    path: str
    name: str

    def __str__(self) -> str:
        return f"{self.path}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read `path:name`."""
        return cls(*text.split(":"))

    @property
    def exists(self) -> bool:
        """Whether there is such a file, and such a name in it."""
        if not (ROOT / self.path).is_file():
            return False
        return bool(self._function) if self.path.endswith((".c", ".h")) else self.name in places_of(self.path)

    @property
    def _function(self) -> str:
        return c_function((ROOT / self.path).read_text(encoding="utf-8"), self.name)

    def mentions(self, word: str) -> bool:
        """Whether it mentions a name, which may have dots (`Status.DELIVERED`); of C: has this text."""
        if self.path.endswith((".c", ".h")):
            return word in self._function
        return any(word in _mentioned(node) for node in places_of(self.path).get(self.name, ()))


@functools.cache
def places_of(path: str) -> dict[str, list[ast.AST]]:
    """A Python file's places by their names, each with the pieces of the tree that it is made of."""
    found: dict[str, list[ast.AST]] = {}
    for name, node in _places(tree_of(ROOT / path).body, ""):
        found.setdefault(name, []).append(node)
    return found


def _places(body: Iterable[ast.stmt], prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield prefix + node.name, ast.ClassDef(node.name, node.bases, node.keywords, [], node.decorator_list)
            yield from _places(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name, node
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            inner = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.stmt)]
            yield from _places(inner, prefix)
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            yield from ((prefix.rstrip(".") or name, node) for name in _assigned(node))


def _assigned(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]


def c_function(source: str, name: str) -> str:
    """A function of C, with its head and its comments; empty where there is none."""
    found = re.search(C_FUNCTION.format(name=re.escape(name)), source, re.DOTALL)
    return found[0] if found else ""


@functools.cache
def _mentioned(node: ast.AST) -> frozenset[str]:
    words: set[str] = set()
    documentation = {each.value for each in ast.walk(node) if isinstance(each, ast.Expr)}
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            words.add(each.id)
        elif isinstance(each, ast.Attribute):
            words.add(each.attr)
            if isinstance(each.value, ast.Name):
                words.add(f"{each.value.id}.{each.attr}")
        elif isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            words.add(each.name)
        elif isinstance(each, (ast.keyword, ast.arg)) and each.arg:
            words.add(each.arg)
        elif isinstance(each, ast.Constant) and isinstance(each.value, str) and each not in documentation:
            words.add(each.value)
    return frozenset(words)


@dataclass(frozen=True)
class Search:
    """Finds every place, in some folders or files, that mentions any, or all, of some names.

    Constructors are passed by: they hand on what others do.
    """

    folders: list[str]
    any: list[str] = field(default_factory=list)
    all: list[str] = field(default_factory=list)
    text: str = ""
    """A part of a text that is searched instead."""
    enumeration: str = ""
    """An enumeration of the protocol's, of which any member is searched."""

    def places(self) -> list[Place]:
        """What it finds, in order."""
        return [
            Place(relative(path), name)
            for path in files(self.folders)
            for name, nodes in places_of(relative(path)).items()
            if not name.endswith("__init__") and any_of(self._finds(node) for node in nodes)
        ]

    def _finds(self, node: ast.AST) -> bool:
        mentioned = _mentioned(node)
        if self.text:
            return any_of(self.text in word for word in mentioned)
        wanted = {*self.any, *_members(self.enumeration)}
        return not wanted.isdisjoint(mentioned) if wanted else mentioned.issuperset(self.all)


any_of = any
"""The function; a search has a field of that name."""


@functools.cache
def _members(enumeration: str) -> frozenset[str]:
    if not enumeration:
        return frozenset()
    *outer, name = enumeration.split(".")
    kind = getattr(functools.reduce(getattr, outer, pb), name)
    return frozenset(kind.keys())
