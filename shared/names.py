r"""Which names Parley gives, how others are written, and when two names of servers are one. Pure.

Others' programs have other names, which are admitted (`limits.odd_names`), shown harmlessly and can be answered:
quoted, as in `"odd name\x1b"@alpha` (addresses.py). On the wire a name is always as it was spelt.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import lru_cache
from typing import Final

MAX_NAME = 64
"""Characters of a name that Parley gives. What others may have is addresses.MAX_ID."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Categories of characters that are not seen: controls, formats, surrogates, private ones, line separators."""
_BLANKS = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Characters of other categories that are not seen either."""
_NONE = re.compile(
    "[\ufdd0-\ufdef" + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)) + "]"
)
"""Code points that are no characters, as Unicode says."""
_JOINERS = frozenset("\u200c\u200d\ufe0e\ufe0f")
"""Joiners with which scripts and emoji are spelt; behind a letter of ASCII they cannot be seen."""

_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE: Final = re.compile(
    r'\\(?:([\\"nrt])|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.?))', re.DOTALL
)
_LITERALS: Final = {escape[1]: character for character, escape in _ESCAPES.items()}


def why_odd(name: str) -> str:
    """Why Parley gives nobody this name: one reason to read behind "it"; empty where it may."""
    head = name[: MAX_NAME + 1]
    faults = (
        (not name, "is empty"),
        (len(name) > MAX_NAME, f"has {len(name)} characters, and may have {MAX_NAME}"),
        (name != name.strip(), "begins or ends with a space"),
        (any(map(_is_unseen, head, " " + head)), "has characters that cannot be seen"),
        (any(c.isspace() and c != " " for c in head), "has a space that is not a plain one"),
        ("@" in name or name.startswith("#"), "has an @, or begins with #"),
        (not unicodedata.is_normalized("NFC", head), "is not in Unicode's composed form (NFC)"),
    )
    return next((reason for is_so, reason in faults if is_so), "")


def _is_unseen(character: str, before: str) -> bool:
    """Whether it cannot be seen where it stands, behind `before`."""
    if character in _JOINERS:
        return before.isascii()
    return character in _BLANKS or unicodedata.category(character) in _UNSEEN or bool(_NONE.match(character))


# How a name is written -----------------------------------------------------------------------------------


@lru_cache(4096)
def spell(name: str) -> str:
    """A name for people: as it is, or quoted where that is odd. `unspell` reads it back, to the character."""
    if not why_odd(name) and not name.startswith('"'):
        return name
    escapes_all = not unicodedata.is_normalized("NFC", name)  # else the same name in another form looks the same
    characters = zip(name, " " + name, strict=False)
    return '"' + "".join(_spelt(c, before, escapes_all=escapes_all) for c, before in characters) + '"'


def _spelt(character: str, before: str, *, escapes_all: bool) -> str:
    if literal := _ESCAPES.get(character):
        return literal
    is_seen = not _is_unseen(character, before) and (character == " " or not character.isspace())
    if is_seen and (character.isascii() or not escapes_all):
        return character
    return character.encode("unicode_escape").decode()


def quoted(text: str) -> re.Match[str] | None:
    """The quoted name that a text begins with; None where it begins with none."""
    return _QUOTED.match(text)


def unspell(text: str) -> str:
    """A name as `spell` wrote it, or as it is. ValueError where it is quoted and no name."""
    found = _QUOTED.fullmatch(text)
    return _ESCAPE.sub(_unescaped, found[1]) if found else text


def _unescaped(found: re.Match[str]) -> str:
    literal, *codes, other = found.groups()
    if literal:
        return _LITERALS[literal]
    code = next((int(each, 16) for each in codes if each), sys.maxunicode + 1)
    character = chr(code) if code <= sys.maxunicode and other is None else "\ud800"
    if unicodedata.category(character) == "Cs":
        raise ValueError(f"{found[0]} stands for no character")
    return character


GATEWAY: Final = "parley-gw-"
"""The beginning of a gateway's userId: a link that a Parley keeps at an existing server, and no person."""


def is_gateway(user_id: str) -> bool:
    """Whether that is no person's name."""
    return user_id.startswith(GATEWAY)


def fold(server_id: str) -> str:
    """The form of a server's name in tables and look-ups: case and composition make no other server.

    The wire and the tie-break compare what was spelt.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", server_id).casefold())
