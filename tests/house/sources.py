"""The sources as these tests read them: links are not followed, and generated files are left out."""

from __future__ import annotations

import ast
import functools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("services", "shared", "client", "parley")
"""The folders that are installed. Links among them (parley/services → ../services) are passed by."""
REST = ("tests", "bench", "deploy")
GENERATED = ("_pb2.py", "_pb2.pyi")
IGNORED = {"__pycache__", "build"}

_COMMENT_OR_TEXT = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)


def files(folders: Iterable[str] = PRODUCT, suffixes: tuple[str, ...] = (".py",), root: Path = ROOT) -> list[Path]:
    """The files in some folders, or files, whose names end so, in order."""
    return sorted(path for folder in folders for path in _walk(root / folder) if path.name.endswith(suffixes))


def _walk(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    for place, folders, names in os.walk(folder):
        folders[:] = [each for each in folders if each not in IGNORED and not Path(place, each).is_symlink()]
        for name in names:
            path = Path(place, name)
            if not path.is_symlink() and not name.endswith(GENERATED):
                yield path


def relative(path: Path) -> str:
    """A file's name as people write it."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """A Python file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def without_comments(source: str) -> str:
    """C without comments, and with empty texts; its lines stay where they are."""
    return _COMMENT_OR_TEXT.sub(
        lambda found: " " + "\n" * found[0].count("\n") if found[0].startswith("/") else '""', source
    )
