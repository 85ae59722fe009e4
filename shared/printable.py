"""Others' words, harmless: what they write cannot steer a terminal, nor look like somebody else's line. Pure.

Everything that a person reads passes here: messages, names, errors, file names, log lines on a terminal. What is
legitimate stays as it was written: joined emoji and letters, spaces of all kinds, tabs, marks of direction, and
characters that are newer than this Python's tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

REPLACEMENT: Final = "\ufffd"
INDENT: Final = "    "
DEEPEST: Final = 8
"""Isolates within each other that one line may have."""

_FIRST_STRONG, _POP = "\u2068", "\u2069"
_BREAKS: Final = re.compile("\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls of terminals; TAB and LF stay
    "\u2028\u2029\u202d\u202e\u206a-\u206f\ufff9-\ufffb"  # separators, overrides of direction, hidden annotations
    "\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"  # what is no character
)
_DIRECTED: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202c\u2066-\u2069]")
_ISOLATES: Final = re.compile("[\u2066-\u2069]")
_ESCAPED: Final = re.compile(
    "[\x7f-\x9f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff]"
)


def printable(text: str) -> str:
    """The text without what steers a terminal: each such character is replaced. Its lines and tabs stay."""
    return _UNSAFE.sub(REPLACEMENT, text)


def harmless(text: str) -> str:
    """Others' words for people. Further lines are indented: none of them looks like a line of its own."""
    return f"\n{INDENT}".join(lines(text))


def lines(text: str) -> list[str]:
    """The lines of others' words, harmless each, for whoever sets them under each other."""
    return [_isolated(printable(line)) for line in _BREAKS.split(text)]


def one_line(text: str) -> str:
    """Others' words for people, where one line is all there is room for."""
    return _isolated(printable(_BREAKS.sub(" ", text)))


def to_json(fields: Mapping[str, Any], *, only_ascii: bool = False) -> str:
    """One JSON object on one line, whoever splits it; what would steer a terminal is escaped.

    `only_ascii`: escape all others, too, for a stream that is not UTF-8.
    """
    return _ESCAPED.sub(_escape, json.dumps(fields, ensure_ascii=only_ascii))


def _isolated(line: str) -> str:
    """A line that holds marks of direction, so that they reach no further than itself."""
    if not _DIRECTED.search(line):
        return line
    depth = 0

    def balance(found: re.Match[str]) -> str:
        nonlocal depth
        deeper = -1 if found[0] == _POP else 1
        if not 0 <= depth + deeper <= DEEPEST:
            return REPLACEMENT
        depth += deeper
        return found[0]

    balanced = _ISOLATES.sub(balance, line)
    return _FIRST_STRONG + balanced + _POP * (depth + 1)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
