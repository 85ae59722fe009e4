"""A federation's list as it is signed and sent, and its bounds: all that is looked at before anything is believed.

The content is kept to the byte as it was signed, so that nobody has to write it the same way to check it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Self

from google.protobuf.message import DecodeError

from parley.shared.trust.federation.authority import Signer, federation_of
from parley.shared.trust.federation.entries import Member, Revocation
from parley.shared.trust.keys import KEY, PrivateKey, is_signed_by
from parley.shared.trust.signed_bytes import signed_bytes
from parley.shared.wire.messages import pb

MEMBERS: Final = 1000
"""Members of a federation at most."""
SIGNERS: Final = 16
"""Signers of a federation at most, with those that were revoked."""
REVOCATIONS: Final = 4096
"""Revoked keys of a federation at most."""
BYTES: Final = 1 << 20
"""Bytes of a list at most: a full one has about 800 KiB."""
NAME: Final = 256
"""Characters of a serverId in a list at most."""
NUMBER: Final = 1 << 63
"""Numbers stay below."""


@dataclass(frozen=True, slots=True)
class Content:
    """All that a list says."""

    authority: bytes
    number: int
    day: int
    """Days since 1970 by the signer's clock: for people only."""
    signers: tuple[Signer, ...]
    members: tuple[Member, ...]
    revocations: tuple[Revocation, ...]

    def encode(self) -> bytes:
        """The bytes to sign."""
        return pb.FederationContent(
            authority=self.authority,
            number=self.number,
            day=self.day,
            signers=[one.message() for one in self.signers],
            members=[one.message() for one in self.members],
            revocations=[one.message() for one in self.revocations],
        ).SerializeToString(deterministic=True)

    @classmethod
    def decode(cls, content: bytes) -> Self | None:
        """Read a content; None: it does not parse, or is out of bounds. No signature is looked at."""
        if len(content) > BYTES:
            return None
        try:
            read = pb.FederationContent.FromString(content)
        except DecodeError:
            return None
        if len(read.signers) > SIGNERS or len(read.members) > MEMBERS or len(read.revocations) > REVOCATIONS:
            return None
        if len(read.authority) != KEY or not 0 < read.number < NUMBER:
            return None
        found = cls(
            read.authority,
            read.number,
            read.day,
            tuple(map(Signer.of, read.signers)),
            tuple(map(Member.of, read.members)),
            tuple(map(Revocation.of, read.revocations)),
        )
        return found if found.is_bounded() else None

    def is_bounded(self) -> bool:
        """Whether each entry has a key and a name."""
        entries: list[Signer | Member | Revocation] = [*self.signers, *self.members, *self.revocations]
        return all(len(one.key) == KEY and 0 < len(one.server_id) <= NAME for one in entries)


@dataclass(frozen=True, slots=True)
class SignedList:
    """A list with a signer's signature."""

    federation: bytes
    number: int
    content: bytes
    key: bytes
    """The signer's."""
    signature: bytes

    @classmethod
    def of(cls, message: pb.FederationList) -> Self:
        """Read it from the wire."""
        return cls(message.federation, message.number, message.content, message.key, message.signature)

    def message(self) -> pb.FederationList:
        """Write it for the wire."""
        return pb.FederationList(
            federation=self.federation,
            number=self.number,
            content=self.content,
            key=self.key,
            signature=self.signature,
        )

    @property
    def digest(self) -> bytes:
        """The hash of the content: two lists of one number that differ in it are two."""
        return hashlib.sha256(self.content).digest()

    def read(self) -> Content | None:
        """The content; None: it is no list, or its head says something else than it. No signature is looked at."""
        content = Content.decode(self.content)
        if content is None or content.number != self.number:
            return None
        return content if federation_of(content.authority) == self.federation else None

    def is_signed(self) -> bool:
        """Whether the key that it names signed it; whether that is a signer is another question."""
        return is_signed_by(self.key, self.signature, _list_bytes(self.federation, self.number, self.content))


def sign_list(signer: PrivateKey, content: Content) -> SignedList:
    """Sign a content as it stands."""
    federation, encoded = federation_of(content.authority), content.encode()
    signature = signer.sign(_list_bytes(federation, content.number, encoded))
    return SignedList(federation, content.number, encoded, signer.public, signature)


def _list_bytes(federation: bytes, number: int, content: bytes) -> bytes:
    return signed_bytes("parley/federation/list/1", federation, number, content)
