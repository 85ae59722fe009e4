"""The one form of all bytes that are signed: a domain tag, then each field with its length in front.

A tag names what is signed and its version (`parley/connect/1`), so no signature is good for anything else; the
lengths keep one field from passing for a part of another. Vectors: tests/data/trust_vectors.json.
"""

from __future__ import annotations

from typing import Final

LENGTH: Final = 4
"""Bytes of a field's length, big-endian."""
_SHORT: Final = tuple(length.to_bytes(LENGTH, "big") for length in range(256))
"""Most lengths, made once: every message is signed and verified."""


def signed_bytes(tag: str, *fields: bytes | str | int) -> bytes:
    """The bytes to sign. Text is UTF-8; a number is 8 bytes, big-endian, unsigned (two's complement below zero)."""
    parts: list[bytes] = []
    for field in (tag, *fields):
        if isinstance(field, bytes):
            part = field
        elif isinstance(field, str):
            part = field.encode("utf-8", "surrogatepass")
        else:
            part = (field & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")
        parts.append(_SHORT[len(part)] if len(part) < len(_SHORT) else len(part).to_bytes(LENGTH, "big"))
        parts.append(part)
    return b"".join(parts)
