"""The recipient that a line of a chat names before its colon: `bob@beta: hi`, `#crew: hi`, `bob: hi`. Pure.

A sentence may have a colon, too ("note: buy milk"), and must not go to somebody of its first word's name.
"""

from __future__ import annotations

import re
from typing import Final

from parley.cli.people.names import recipient_named
from parley.shared.addresses import Group, Recipient, User

LONGEST: Final = 2048
"""Characters of a line in which a name is looked for."""
MOST: Final = 10_000
"""Names that are remembered."""
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_IN_FULL: Final = re.compile(rf'(#?(?:{_QUOTED}|[^\s"@]*)@(?:{_QUOTED}|[^\s:]*)|\S*@[^\s:]*):')
"""NAME@SERVER: text."""
_SHORT: Final = re.compile(rf"(#?(?:{_QUOTED}|[^\s:/#\"]+)):(?=\s|$)")
"""NAME: text, with a space behind the colon: neither 12:30 nor http://x addresses anybody."""


class Known:
    """Names that a chat has seen; a user and a group may have the same."""

    def __init__(self) -> None:
        self._names: dict[tuple[type, Recipient], None] = {}

    def __contains__(self, name: Recipient) -> bool:
        return (type(name), name) in self._names

    def add(self, name: Recipient) -> None:
        """Remember a name; of too many, the oldest is forgotten."""
        self._names.setdefault((type(name), name))
        if len(self._names) > MOST:
            del self._names[next(iter(self._names))]

    def before_colon(self, head: str) -> tuple[Recipient, int] | None:
        """The name with its server that a line begins with, as `bob smith@alpha: hi` does, and where it ends."""
        if "@" not in head.partition(": ")[0]:
            return None
        for _, name in self._names:
            if head.startswith(f"{name}: "):
                return name, len(f"{name}")
        return None


def addressee(text: str, current: Recipient | None, known: Known, home: str) -> tuple[Recipient | None, str]:
    """The recipient that a line names, and the rest of the line; None and all of it where it names nobody.

    A name with its server is meant in any case. One without is meant where we write to nobody yet, or to a person
    and know the one that is named; a group's also where we write to a person.

    Raises:
        ConfigError: it names somebody in full whom there cannot be.

    """
    head = text[:LONGEST]
    if found := known.before_colon(head):
        return found[0], text[found[1] + 1 :].strip()
    if full := _IN_FULL.match(head):
        return recipient_named(full[1], home), text[full.end() :].strip()
    short = _SHORT.match(head)
    if short is None:
        return None, text
    name = recipient_named(short[1], home)
    is_meant = _is_free(name, current) or _is_same(name, current) or _is_known(name, current, known)
    return (name, text[short.end() :].strip()) if is_meant else (None, text)


def likely_name(text: str) -> str:
    """The one word before a line's colon, where there may be somebody of that name; else nothing."""
    found = _SHORT.match(text[:LONGEST])
    return found[1] if found is not None and found[1].isalnum() and text[found.end() :].strip() else ""


def _is_free(name: Recipient, current: Recipient | None) -> bool:
    """Whether anybody may be named: we write to nobody yet, or a group is named where we write to a person."""
    return current is None or (isinstance(current, User) and isinstance(name, Group))


def _is_known(name: Recipient, current: Recipient | None, known: Known) -> bool:
    """Whether we know who is named; a person is not inside of a group: "note: buy milk" is a line for all of it."""
    return name in known and not (isinstance(current, Group) and isinstance(name, User))


def _is_same(one: Recipient, other: Recipient | None) -> bool:
    return type(one) is type(other) and one == other
