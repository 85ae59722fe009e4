"""The proof of being in a federation, as HELLO and CONNECT_SERVER carry it, and its verdict.

The key itself is proven by the link's proofs; here is whether that key is in. A member that the newest list has
needs no more than its key. One that was admitted a moment ago shows the entry that the signer signed, and who the
signer is.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from parley.shared.names import fold
from parley.shared.trust.federation.authority import Signer, federation_of
from parley.shared.trust.federation.entries import Member
from parley.shared.trust.federation.state import Federation
from parley.shared.wire.messages import pb

FEATURE: Final = "FEDERATION"
"""The feature that a joiner's proof is for."""
GUESTS: Final = 64
"""Members in no list so far, at most."""


class Standing(Enum):
    """A server's standing in our federation; the value is what people and metrics read."""

    MEMBER = "member"
    REVOKED = "revoked"
    STRANGER = "stranger"


def make_membership(state: Federation, key: bytes) -> pb.Membership:
    """Our own place, to send: `key` is this node's."""
    membership = in_short(state)
    membership.authority = state.authority
    member = state.member_of_key(key)
    signer = state.signers.get(key) or (state.signers.get(member.by) if member else None)
    if member is not None:
        membership.member.CopyFrom(member.message())
    if signer is not None:
        membership.signer.CopyFrom(signer.message())
    return membership


def in_short(state: Federation) -> pb.Membership:
    """Which federation, and the newest list's number: for announcements."""
    return pb.Membership(federation=state.federation, number=state.number)


def judge(state: Federation, shown: pb.Membership, server_id: str, key: bytes) -> Standing:
    """The standing of a server that proved `key`; at most three signatures are checked (400 µs)."""
    if state.is_revoked(key):
        return Standing.REVOKED
    known = state.member_named(server_id)
    if known is not None:
        return Standing.MEMBER if known.key == key else Standing.STRANGER
    if shown.federation != state.federation or not _is_admitted(state, shown, server_id, key):
        return Standing.STRANGER
    if len(state.guests) < GUESTS:
        state.guests[fold(server_id)] = Member.of(shown.member)
    return Standing.MEMBER


def _is_admitted(state: Federation, shown: pb.Membership, server_id: str, key: bytes) -> bool:
    """Whether a current signer admitted that name with that key, and nobody else has either."""
    member = Member.of(shown.member)
    if member.key != key or fold(member.server_id) != fold(server_id) or state.member_of_key(key) is not None:
        return False
    if not state.learn_signer(Signer.of(shown.signer)) or not state.is_signer(member.by):
        return False
    return member.is_signed(state.federation)


def is_inviter(shown: pb.Membership, federation: bytes, key: bytes) -> bool:
    """Whether a signer of that federation is at the other end: a joiner asks before it says the secret.

    `key`: proven by HELLO. A signer that was revoked since passes, too; its list is then of no use.
    """
    if shown.federation != federation or federation_of(shown.authority) != federation:
        return False
    return shown.signer.key == key and Signer.of(shown.signer).is_signed(shown.authority)


def purpose_of(federation: bytes) -> str:
    """The purpose of a spoken code: it is good for one federation."""
    return f"parley/federation/{federation.hex()}"
