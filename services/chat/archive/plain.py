"""Entries as lists are made of them: most messages are texts to a user, and read without protobuf. Pure.

Who decodes each message spends most of the time on names that are the same as a moment ago. So here the bytes of
author and recipient stay together, as one key of what is known of the two. Whatever has another shape is left as
it is, to be decoded. The compiled core does the same (shared/core/fast_path/read_entries.c).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from parley.services.chat.archive.entries import HEAD, MESSAGE
from parley.shared.compiled import core
from parley.shared.trust.authors import AUTHOR_PROOF

Kept = tuple[int, int, int, int, bytes, bytes | None, bytes | str]
"""An entry's offset, kind, marks, status and key; then either author and recipient, encoded as one ChatMessage, and
the text; or None, and the entry's bytes."""

_HEAD: Final = re.compile(rb"MESSAGE ([0-9]{1,9}) \x08[\x80-\xff]{0,8}[\x01-\x7f]\x12", re.DOTALL)
"""A frame's name and size, the snowflake (field 1), and the tag of the author (field 2)."""
_USER: Final = 0x1A
_TEXT: Final = 0x5A
_PROOF: Final = re.compile(
    rb"\xe2\x08\x7a\xe2\x08\x20.{32}\xea\x08\x40.{64}\xf1\x08.{8}\xf9\x08.{7}\x00", re.DOTALL
)
"""An author's proof, which is the last: field 140 with a key, a signature and two numbers (AUTHOR_PROOF bytes)."""
_LONG: Final = 0x80
"""A length from here on has more than one byte."""


def read_entries(record: bytes) -> tuple[list[Kept], int]:
    """All entries of a record, and how many bytes they have: fewer than the record, where one is cut off."""
    found: list[Kept] = []
    at, most, size = 0, len(record), HEAD.size
    while at + size <= most:
        length, kind, marks, status, _when, key = HEAD.unpack_from(record, at)
        end = at + size + length
        if end > most:
            break
        data = record[at + size : end]
        text = plain(data) if kind == MESSAGE else None
        found.append((at, kind, marks, status, key, *(text or (None, data))))
        at = end
    return found, at


def plain(frame: bytes) -> tuple[bytes, str] | None:
    """The author and recipient of a MESSAGE's frame, as one ChatMessage, and its text; None: another shape."""
    found = _HEAD.match(frame)
    if found is None or found.end(1) + 1 + int(found[1]) != len(frame) - 1 or frame[-1:] != b"\n":
        return None
    try:
        return _pair_and_text(frame, found.end() - 1, len(frame) - 1)
    except (IndexError, UnicodeDecodeError):
        return None


def _pair_and_text(frame: bytes, begin: int, end: int) -> tuple[bytes, str] | None:
    """The same, of a payload's part from the author on."""
    middle = begin + 2 + frame[begin + 1]
    at = middle + 2 + frame[middle + 1]
    if frame[middle] != _USER or frame[begin + 1] >= _LONG or frame[middle + 1] >= _LONG or at > end:
        return None
    if at == end:
        return frame[begin:at], ""
    if frame[at] != _TEXT:
        return None
    length, text = length_at(frame, at + 1)
    rest = end - text - length
    if rest and (rest != AUTHOR_PROOF or _PROOF.match(frame, text + length) is None):
        return None
    return frame[begin:at], frame[text : text + length].decode()


def length_at(frame: bytes, at: int) -> tuple[int, int]:
    """A length, and where it ends; IndexError: there is none, or none that a frame has."""
    length = shift = 0
    while frame[at] >= _LONG:
        length |= (frame[at] - _LONG) << shift
        at, shift = at + 1, shift + 7
    return length | frame[at] << shift, at + 1


read_entries_pure = read_entries
if not TYPE_CHECKING and core is not None:
    read_entries = core.read_entries
