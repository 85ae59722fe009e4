"""A document's generated part: all that stands between two comments that name it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def between(text: str, name: str) -> str:
    """The part of that name. ValueError where the document has no place for it, or two."""
    found = _place(name).findall(text)
    if len(found) != 1:
        raise ValueError(f"there are {len(found)} places for the generated part {name}")
    return str(found[0])


def replaced(text: str, name: str, part: str) -> str:
    """The document with another part of that name."""
    between(text, name)
    return _place(name).sub(lambda _: _marked(name, part), text)


def _place(name: str) -> re.Pattern[str]:
    return re.compile(_marked(re.escape(name), "(.*?)"), re.DOTALL)


def _marked(name: str, part: str) -> str:
    return f"<!-- generated {name}: make documents -->\n\n{part}\n\n<!-- end of {name} -->"
