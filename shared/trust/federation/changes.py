"""A signer's acts: admit, revoke, sign, and join what two signers did at the same time.

Each act changes the state; `sign` makes the list of it, with the next number. Members only come by a signer and
only go by a revocation, and revocations stay. So joining two lists is taking all of both, and nobody who was
removed returns by it.
"""

from __future__ import annotations

from typing import Final

from parley.shared.errors import ParleyError
from parley.shared.names import fold
from parley.shared.trust.federation.authority import make_signer
from parley.shared.trust.federation.entries import Member, Revocation, make_member, make_revocation
from parley.shared.trust.federation.signed_list import (
    MEMBERS,
    NAME,
    REVOCATIONS,
    SIGNERS,
    Content,
    SignedList,
    sign_list,
)
from parley.shared.trust.federation.state import Federation, Verdict
from parley.shared.trust.keys import PrivateKey

RESIGNED_AFTER: Final = 86400.0
"""Seconds of running time after which a list is signed again, so that members see that somebody signs."""
TURN: Final = 3600.0
"""Seconds that each further signer waits longer, so that one of them does it."""
STALE: Final = 7 * 86400.0
"""Seconds of running time without a new list after which `status` says so. Nobody is locked out by it."""


class FederationRefused(ParleyError):
    """The federation does not do that; `reason` is the metric's label and the wire's refusal."""

    reason = "federation"

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


def admit(state: Federation, signer: PrivateKey, server_id: str, key: bytes, day: int, how: str) -> Member:
    """Have a server in. FederationRefused: revoked, taken, full, no_signer or malformed."""
    _must_sign(state, signer.public)
    if state.is_revoked(key):
        raise FederationRefused("revoked", f"the key of {server_id} was revoked, and never returns")
    if not 0 < len(server_id) <= NAME:
        raise FederationRefused("malformed", "that is no server's name")
    known = state.member_named(server_id) or state.member_of_key(key)
    if known is not None and (known.key != key or fold(known.server_id) != fold(server_id)):
        raise FederationRefused("taken", f"{known.server_id} is in already, with that name or key")
    if known is not None:
        return known
    if len(state.members) >= MEMBERS:
        raise FederationRefused("full", f"the federation has {MEMBERS} members, and no room")
    _forget_revoked(state)
    member = make_member(signer, state.federation, server_id, key, day, how)
    state.add(member)
    return member


def revoke(state: Federation, signer: PrivateKey, server_id: str, key: bytes, day: int) -> Revocation:
    """Have a key never return. A signer's key needs the authority's. FederationRefused: no_signer, or full."""
    if signer.public != state.authority:
        _must_sign(state, signer.public)
        if key in state.signers:
            raise FederationRefused("no_signer", f"{server_id} is a signer: only the authority's key revokes it")
    if key not in state.revocations and len(state.revocations) >= REVOCATIONS:
        raise FederationRefused("full", f"{REVOCATIONS} keys are revoked: found another federation")
    state.learn_revocation(make_revocation(signer, state.federation, server_id, key, day))
    _forget_revoked(state)
    return state.revocations[key]


def add_signer(state: Federation, authority: PrivateKey, server_id: str, key: bytes) -> None:
    """Let a server sign. FederationRefused: no_authority, revoked, full."""
    if authority.public != state.authority:
        raise FederationRefused("no_authority", "that is another federation's authority")
    if state.is_revoked(key):
        raise FederationRefused("revoked", f"the key of {server_id} was revoked, and never returns")
    if not state.learn_signer(make_signer(authority, server_id, key)):
        raise FederationRefused("full", f"{SIGNERS} servers were signers, and no room is left")


def sign(state: Federation, signer: PrivateKey, day: int) -> SignedList:
    """Sign all that the state has as the next list, and take it."""
    _must_sign(state, signer.public)
    members = [one for one in [*state.members.values(), *state.guests.values()] if not state.is_revoked(one.key)]
    content = Content(
        state.authority,
        max(state.number, state.floor - 1) + 1,
        day,
        tuple(state.signers[key] for key in sorted(state.signers)),
        tuple(sorted(members, key=lambda one: fold(one.server_id))[:MEMBERS]),
        tuple(sorted(state.revocations.values(), key=lambda one: (one.day, one.key))[:REVOCATIONS]),
    )
    signed = sign_list(signer, content)
    if state.take(signed) is not Verdict.NEW:
        raise FederationRefused("no_signer", "the list that was signed here is not good")
    return signed


def join_lists(state: Federation, shown: SignedList) -> bool:
    """Take the members of another list of the newest number, at a signer; whether to `sign` both as one.

    Two signers that join the same two lists on the same day sign the same content, so that is no conflict again.
    """
    content = shown.read()
    if content is None or state.take(shown) is not Verdict.CONFLICT:
        return False
    for member in content.members:
        state.add(member)
    state.day = max(state.day, content.day)
    return True


def restore_own(state: Federation, own: list[Member]) -> bool:
    """Have the members again that this signer admitted and another's newer list lacks; whether there were."""
    return sum(state.add(one) for one in own) > 0


def is_due(state: Federation, key: bytes, ran: float) -> bool:
    """Whether this signer is to sign the list again, `ran` seconds of running time after the newest came."""
    keys = [one.key for one in state.current_signers()]
    return key in keys and ran >= RESIGNED_AFTER + keys.index(key) * TURN


def _must_sign(state: Federation, key: bytes) -> None:
    if not state.is_signer(key):
        raise FederationRefused("no_signer", "this server is no signer of the federation")


def _forget_revoked(state: Federation) -> None:
    for table in (state.members, state.guests):
        for name in [name for name, one in table.items() if state.is_revoked(one.key)]:
            del table[name]
