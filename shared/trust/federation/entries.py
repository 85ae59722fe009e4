"""The entries of a federation's list: a member, and a key that never returns. Each has a signature of its own.

So a new member can prove that it is in before everybody has the new list, and a revocation counts wherever it comes
from: in an older list, or in one of two that have the same number.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Self

from parley.shared.trust.keys import PrivateKey, is_signed_by
from parley.shared.trust.signed_bytes import signed_bytes
from parley.shared.wire.messages import pb


class Admitted(Enum):
    """How a member came in; the value is what people read."""

    FOUNDER = "founder"
    TOKEN = "token"  # noqa: S105 - a way in, no secret
    SPOKEN = "spoken"
    RESTORED = "restored"
    """It restored the authority."""


@dataclass(frozen=True, slots=True)
class Member:
    """A server that is in."""

    server_id: str
    key: bytes
    by: bytes
    """The key of the signer that admitted it."""
    day: int
    """Days since 1970 by the signer's clock: for people only."""
    how: str
    """A value of Admitted; what a later version says is shown as it is."""
    signature: bytes

    @classmethod
    def of(cls, member: pb.FederationMember) -> Self:
        """Read it from the wire."""
        return cls(member.serverId, member.key, member.by, member.day, member.how[:32], member.signature)

    def message(self) -> pb.FederationMember:
        """Write it for the wire."""
        return pb.FederationMember(
            serverId=self.server_id,
            key=self.key,
            by=self.by,
            day=self.day,
            how=self.how,
            signature=self.signature,
        )

    def is_signed(self, federation: bytes) -> bool:
        """Whether the signer that it names signed it; whether that is a signer is another question."""
        signed = _member_bytes(federation, self.server_id, self.key, self.by, self.day, self.how)
        return is_signed_by(self.by, self.signature, signed)


@dataclass(frozen=True, slots=True)
class Revocation:
    """A key that never returns."""

    server_id: str
    """The name that it had."""
    key: bytes
    by: bytes
    """The key of the signer that revoked it, or the authority's."""
    day: int
    """Days since 1970 by that server's clock: for people only."""
    signature: bytes

    @classmethod
    def of(cls, revocation: pb.FederationRevocation) -> Self:
        """Read it from the wire."""
        return cls(revocation.serverId, revocation.key, revocation.by, revocation.day, revocation.signature)

    def message(self) -> pb.FederationRevocation:
        """Write it for the wire."""
        return pb.FederationRevocation(
            serverId=self.server_id, key=self.key, by=self.by, day=self.day, signature=self.signature
        )

    def is_signed(self, federation: bytes) -> bool:
        """Whether the key that it names signed it."""
        signed = _revocation_bytes(federation, self.server_id, self.key, self.by, self.day)
        return is_signed_by(self.by, self.signature, signed)


def make_member(signer: PrivateKey, federation: bytes, server_id: str, key: bytes, day: int, how: str) -> Member:
    """Admit a server."""
    signed = _member_bytes(federation, server_id, key, signer.public, day, how)
    return Member(server_id, key, signer.public, day, how, signer.sign(signed))


def make_revocation(signer: PrivateKey, federation: bytes, server_id: str, key: bytes, day: int) -> Revocation:
    """Revoke a key. `signer`: a signer's key, or the authority's."""
    signed = _revocation_bytes(federation, server_id, key, signer.public, day)
    return Revocation(server_id, key, signer.public, day, signer.sign(signed))


def _member_bytes(federation: bytes, server_id: str, key: bytes, by: bytes, day: int, how: str) -> bytes:
    return signed_bytes("parley/federation/member/1", federation, server_id, key, by, day, how)


def _revocation_bytes(federation: bytes, server_id: str, key: bytes, by: bytes, day: int) -> bytes:
    return signed_bytes("parley/federation/revocation/1", federation, server_id, key, by, day)
