"""A key in words, for people who compare it: read aloud on a telephone, or side by side on two screens. Pure.

COUNT words of the English list of BIP-39, of 11 bits each: 88 bits of the key's SHA-256. Nobody finds another key
with the same words; each word is known by its first four letters, and none sounds like another.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Final

from mnemonic import Mnemonic

COUNT: Final = 8
BITS: Final = 11
"""Bits of one word: the list has 2048."""


@cache
def _list() -> tuple[str, ...]:
    return tuple(Mnemonic("english").wordlist)


def mnemonic(public: bytes) -> str:
    """A public key as COUNT words with spaces between."""
    number = int.from_bytes(hashlib.sha256(public).digest(), "big") >> (256 - COUNT * BITS)
    shifts = range((COUNT - 1) * BITS, -1, -BITS)
    return " ".join(_list()[number >> shift & (1 << BITS) - 1] for shift in shifts)
