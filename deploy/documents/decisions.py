"""The index of docs/decisions: one row for each file, by area, the newest first."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from deploy.documents.parts import ROOT

HOME: Final = ROOT / "docs" / "decisions"
AREAS: Final = (
    "Finding one another",
    "Trust",
    "A node and its processes",
    "Links",
    "Existing programs",
    "Chat: delivery",
    "Chat: storage",
    "Chat: groups",
    "De-duplication and statuses",
    "Typing and location",
    "Speed",
    "Compiled core",
    "Command line",
    "Packages",
    "Tests and benches",
)
HEAD: Final = re.compile(
    r"# (?P<title>.+)\n\n\| decided \| status \| area \| stands in \|\n\|---\|---\|---\|---\|\n"
    r"\| (?P<decided>\d{4}-\d\d-\d\d) \| (?P<status>[^|]+) \| (?P<area>[^|]+) \| (?P<where>[^|]+) \|\n\n"
)
CONSEQUENCE: Final = re.compile(r"^(\*\*Consequence\.\*\* |## Consequence)", re.MULTILINE)


class Decision(NamedTuple):
    """A file of docs/decisions, as its head says."""

    path: Path
    title: str
    decided: str
    status: str
    area: str


def read(path: Path) -> Decision:
    """Read a decision's head. ValueError where a part of the form is missing."""
    text = path.read_text(encoding="utf-8")
    head = HEAD.match(text)
    if not head:
        raise ValueError(f"{path.name} does not begin with a title and the table of date, status, area and place")
    if head["area"] not in AREAS:
        raise ValueError(f"{path.name}: there is no area {head['area']!r}")
    if not path.name.startswith(head["decided"] + "-"):
        raise ValueError(f"{path.name} was decided on {head['decided']}")
    if not CONSEQUENCE.search(text):
        raise ValueError(f"{path.name} names no consequence")
    return Decision(path, head["title"], head["decided"], head["status"], head["area"])


def all_decisions(home: Path = HOME) -> list[Decision]:
    """All of them, the newest first."""
    return [read(path) for path in sorted(home.glob("2*.md"), reverse=True)]


def index(decisions: Iterable[Decision]) -> str:
    """The rows of the index, under a heading for each area."""
    decisions = list(decisions)
    return "\n\n".join(_area(area, [each for each in decisions if each.area == area]) for area in AREAS)


def _area(area: str, decisions: list[Decision]) -> str:
    rows = [f"| {each.decided} | [{each.title}]({each.path.name}) | {each.status} |" for each in decisions]
    return "\n".join([f"## {area}\n", "| decided | decision | status |", "|---|---|---|", *rows])
