"""Ed25519 keys (RFC 8032) of nodes, devices and authorities. A key is known by its 32 public bytes.

libsodium does the arithmetic, by PyNaCl: in half of OpenSSL's time, and it refuses keys that belong to nobody.
Every signature that Parley believes is judged here, so no two of its programs differ:
docs/decisions/2026-11-30-libsodium-signs-and-verifies.md.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Final, Self

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

KEY: Final = 32
"""Bytes of a key, public or private."""
SIGNATURE: Final = 64
"""Bytes of a signature."""


class PrivateKey:
    """A key that signs. It is never printed, and never leaves its file and this process."""

    __slots__ = ("_expanded", "public")

    def __init__(self, private: bytes) -> None:
        """`private`: the KEY bytes that are stored. ValueError where they are of another length."""
        if len(private) != KEY:
            raise ValueError(f"a key has {KEY} bytes, not {len(private)}")
        self.public, self._expanded = crypto_sign_seed_keypair(private)

    def __repr__(self) -> str:
        return f"<PrivateKey of {fingerprint(self.public)}>"

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls(secrets.token_bytes(KEY))

    def private_bytes(self) -> bytes:
        """The KEY bytes to store, in a file that nobody else reads."""
        return self._expanded[:KEY]

    def sign(self, data: bytes) -> bytes:
        """The signature of what `signed_bytes` made, SIGNATURE bytes (about 20 µs)."""
        return crypto_sign(data, self._expanded)[:SIGNATURE]


def is_signed_by(public: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the holder of this public key signed that (55 µs). False for what is no key or no signature.

    Nor for a key that nobody holds: a point of small order, for which anybody can make signatures.
    """
    if len(public) != KEY or len(signature) != SIGNATURE:
        return False
    try:
        crypto_sign_open(signature + data, public)
    except BadSignatureError:
        return False
    return True


def fingerprint(public: bytes) -> str:
    """A key in short, for logs and lists: 16 characters of base32 (80 bits of its SHA-256), in fours."""
    text = base64.b32encode(hashlib.sha256(public).digest()[:10]).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))
