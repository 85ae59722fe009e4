"""What the figures may be: limits.json, by part and figure; those of instructions by Python's version, too."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LIMITS: Final = Path(__file__).with_name("limits.json")
PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
TOLERANCE: Final = 0.10
"""A count of instructions may be so much above its limit: another compiler, another build of the interpreter."""
STRANGE: Final = 0.35
"""The same, where the limits are those of another version of Python."""


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a figure."""

    figure: str
    value: float
    limit: float
    """It must not be above this; below it, where the figure is a floor's."""
    ok: bool
    words: str = ""


def load(path: Path = LIMITS) -> dict[str, dict[str, dict[str, float]]]:
    """All limits: "instructions" by version and figure, the speeds by figure under "floors"."""
    found: dict[str, dict[str, dict[str, float]]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def update(figures: Mapping[str, float], path: Path = LIMITS) -> None:
    """These are the limits of this version of Python from now on; figures that were not measured stay."""
    limits = load(path)
    known = limits["instructions"].setdefault(PYTHON, {})
    known.update({name: round(value, 4) for name, value in figures.items()})
    path.write_text(json.dumps(limits, indent=2) + "\n", encoding="utf-8")


def nearest(versions: Mapping[str, object], wanted: str = PYTHON) -> str:
    """The version whose limits are the best to compare with."""
    minor = int(wanted.partition(".")[2])
    return min(versions, key=lambda version: (abs(int(version.partition(".")[2]) - minor), version))


def judge_instructions(
    figures: Mapping[str, float], limits: Mapping[str, Mapping[str, float]], paths: Collection[str]
) -> list[Verdict]:
    """Whether what was counted is within the limits; where it is far below, the limits should be lowered.

    A figure of one of these ways, the first word of its name, that has a limit and was not counted fails, too.
    """
    version = nearest(limits)
    room = TOLERANCE if version == PYTHON else STRANGE
    found = []
    for name, value in figures.items():
        limit = limits[version].get(name)
        if limit is None:
            found.append(Verdict(name, value, float("nan"), ok=False, words="has no limit: run with --update"))
            continue
        change = value / limit - 1
        words = f"{change:+.1%}"
        if change > room:
            words += f", more than {room:.0%} above the limit"
        elif change < -room and version == PYTHON:
            words += ": lower the limit (--update)"
        found.append(Verdict(name, value, limit, ok=change <= room, words=words))
    for name, limit in limits[version].items():
        if name not in figures and name.partition(" ")[0] in paths:
            found.append(Verdict(name, float("nan"), limit, ok=False, words="was not counted"))
    return found


def judge_speed(figures: Mapping[str, float], floors: Mapping[str, float]) -> list[Verdict]:
    """Whether what was measured is above the floors."""
    return [Verdict(name, figures[name], floor, ok=figures[name] >= floor) for name, floor in floors.items()]
