"""What a test said: why it failed, from pytest's own report. Pure."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final
from xml.etree import ElementTree as ET

OTHER_REASONS: Final = (
    "ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError", "NameError", "UnboundLocalError",
    "AttributeError", "TypeError", "fixture",
)  # fmt: skip
"""How a message begins where the code is broken, and not its promise."""


class Verdict(Enum):
    """What came of one test."""

    PASSED = "passed"
    FAILED = "failed"
    """As it should: what it promises did not hold."""
    BROKEN = "broken"
    """It could not be run, or fell over something else."""


def verdict(xml: str) -> tuple[Verdict, str]:
    """What a report in JUnit's format says of the tests in it, and the first line of why."""
    try:
        cases = list(ET.fromstring(xml).iter("testcase"))
    except ET.ParseError:
        return Verdict.BROKEN, "there is no report"
    if not cases:
        return Verdict.BROKEN, "there is no such test"
    for case in cases:
        for kind in ("error", "skipped"):
            if (found := case.find(kind)) is not None:
                return Verdict.BROKEN, f"{kind}: {_first(found.get('message'))}"
    for case in cases:
        if (found := case.find("failure")) is not None:
            why = _first(found.get("message"))
            is_broken = re.match(r"(?:[\w.]*\.)?(\w+)", why)
            if is_broken is not None and is_broken[1] in OTHER_REASONS:
                return Verdict.BROKEN, why
            return Verdict.FAILED, why
    return Verdict.PASSED, ""


def not_passed(xml: str) -> set[str]:
    """The names of functions of tests in a report that did not pass."""
    try:
        cases = ET.fromstring(xml).iter("testcase")
    except ET.ParseError:
        return set()
    return {case.get("name", "").partition("[")[0] for case in cases if len(case) and case[0].tag != "properties"}


def _first(message: str | None) -> str:
    lines = (message or "").strip().splitlines()
    return lines[0][:160] if lines else "no reason"
