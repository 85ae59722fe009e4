"""Ed25519 keys (RFC 8032) of nodes, devices and authorities. A key is known by its 32 public bytes.

`cryptography` does the arithmetic: the best-kept package there is for it.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY: Final = 32
"""Bytes of a key, public or private."""
SIGNATURE: Final = 64
"""Bytes of a signature."""


class PrivateKey:
    """A key that signs. It is never printed, and never leaves its file and this process."""

    __slots__ = ("_key", "public")

    def __init__(self, private: bytes) -> None:
        """`private`: the KEY bytes that are stored. ValueError where they are of another length."""
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"<PrivateKey of {fingerprint(self.public)}>"

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    def private_bytes(self) -> bytes:
        """The KEY bytes to store, in a file that nobody else reads."""
        return self._key.private_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """The signature of what `signed_bytes` made, SIGNATURE bytes (about 40 µs)."""
        return self._key.sign(data)


def is_signed_by(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the holder of this public key signed that (130 µs). False for what is no key or no signature."""
    if len(public) != KEY or len(signature) != SIGNATURE:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public: bytes) -> str:
    """A key in short, for logs and lists: 16 characters of base32 (80 bits of its SHA-256), in fours."""
    text = base64.b32encode(hashlib.sha256(public).digest()[:10]).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
