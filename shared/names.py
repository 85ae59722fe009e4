"""Which names Parley gives, and when two names of servers are one. Pure.

Others' programs have other names, which are admitted (`limits.odd_names`), shown harmlessly and can be answered;
on the wire a name is always as it was spelt.
"""

from __future__ import annotations

import unicodedata

MAX_NAME = 64
"""Characters of a name that Parley gives. What others may have is addresses.MAX_ID."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Categories of characters that are not seen: controls, formats, surrogates, private ones, line separators."""
_JOINERS = frozenset("\u200c\u200d")
"""Formats that scripts and emoji are spelt with."""


def why_odd(name: str) -> str:
    """Why Parley gives nobody this name: one reason to read behind "it"; empty where it may."""
    faults = (
        (not name, "is empty"),
        (len(name) > MAX_NAME, f"has {len(name)} characters, and may have {MAX_NAME}"),
        (name != name.strip(), "begins or ends with a space"),
        (any(_is_unseen(c) for c in name[:MAX_NAME]), "has characters that cannot be seen"),
        (any(c.isspace() and c != " " for c in name[:MAX_NAME]), "has a space that is not a plain one"),
        ("@" in name or name.startswith("#"), "has an @, or begins with #"),
        (not unicodedata.is_normalized("NFC", name[:MAX_NAME]), "is not in Unicode's composed form (NFC)"),
    )
    return next((reason for is_so, reason in faults if is_so), "")


def _is_unseen(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in _UNSEEN


def fold(server_id: str) -> str:
    """What names of servers are compared by in tables and look-ups: case and composition make no other server.

    The wire and the tie-break compare what was spelt.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", server_id).casefold())
