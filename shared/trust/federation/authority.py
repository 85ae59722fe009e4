"""The authority's key: the federation's name is its hash, and it says which servers sign.

The authority is needed to add a signer or to revoke one, and for nothing else: it may lie in a safe.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final, Self

from parley.shared.trust.keys import PrivateKey, is_signed_by
from parley.shared.trust.signed_bytes import signed_bytes
from parley.shared.wire.messages import pb

ID: Final = 32
"""Bytes of a federation's name."""


def federation_of(authority: bytes) -> bytes:
    """The name of the federation of that authority's public key: ID bytes."""
    return hashlib.sha256(signed_bytes("parley/federation/1", authority)).digest()


def short(federation: bytes) -> str:
    """A federation's name in short, for logs and lists: 16 characters of base32 in fours."""
    text = base64.b32encode(federation[:10]).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


@dataclass(frozen=True, slots=True)
class Signer:
    """A server that may sign, with the authority's signature."""

    server_id: str
    key: bytes
    signature: bytes

    @classmethod
    def of(cls, signer: pb.FederationSigner) -> Self:
        """Read it from the wire."""
        return cls(signer.serverId, signer.key, signer.signature)

    def message(self) -> pb.FederationSigner:
        """Write it for the wire."""
        return pb.FederationSigner(serverId=self.server_id, key=self.key, signature=self.signature)

    def is_signed(self, authority: bytes) -> bool:
        """Whether that authority signed it (60 µs)."""
        return is_signed_by(authority, self.signature, _signer_bytes(authority, self.server_id, self.key))


def make_signer(authority: PrivateKey, server_id: str, key: bytes) -> Signer:
    """Let a server sign."""
    return Signer(server_id, key, authority.sign(_signer_bytes(authority.public, server_id, key)))


def _signer_bytes(authority: bytes, server_id: str, key: bytes) -> bytes:
    return signed_bytes("parley/federation/signer/1", federation_of(authority), server_id, key)
