"""A mutant: a patch that puts a fault in, and the test that must notice it.

The patch is a file beside this one, as `git diff` writes it, below a head of three lines:

    fault: a status says that a message is kept before it is
    test: tests/unit/test_router_durable.py::test_nobody_is_told_before
    pure: yes

`pure: yes` runs the test without the compiled core, where that does the same; the line is left out otherwise.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
_HEAD: Final = {"fault", "test", "pure"}


@dataclass(frozen=True)
class Mutant:
    """One fault that can be put in."""

    path: Path
    fault: str
    test: str
    is_pure: bool

    @property
    def name(self) -> str:
        """A few words for it."""
        return self.path.stem

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a patch's head. ValueError: it has none, or names no test."""
        head: dict[str, str] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("diff "):
                break
            key, _, value = line.partition(": ")
            if line and (key not in _HEAD or not value):
                raise ValueError(f"{path.name}: {line!r} is no line of a head")
            head[key] = value
        if not head.get("fault") or "::" not in head.get("test", ""):
            raise ValueError(f"{path.name} needs `fault: …` and `test: FILE::TEST` above its diff")
        return cls(path, head["fault"], head["test"], head.get("pure") == "yes")

    def apply(self, checkout: Path, *arguments: str) -> str:
        """Apply the patch there (`--check`: only see whether it would; `-R`: take it back); why not, or empty."""
        command = ["git", "apply", *arguments, str(self.path)]
        environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(checkout.parent)}
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
        return done.stderr.strip() if done.returncode else ""


def mutants(checkout: Path = ROOT) -> list[Mutant]:
    """All of a checkout, by name."""
    return [Mutant.read(path) for path in sorted((checkout / HERE.relative_to(ROOT)).glob("*.patch"))]
