"""A server's knowledge of its federation, and the verdict on each list that somebody shows.

Of a list the members count as long as it is the newest; signers and revocations count for ever. A list counts when
a signer signed it that the authority named and did not revoke, and only with a higher number than any before. No
clock is asked: no date makes an old list good, or a new one bad.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from parley.shared.names import fold
from parley.shared.trust.federation.authority import Signer, federation_of
from parley.shared.trust.federation.entries import Member, Revocation
from parley.shared.trust.federation.signed_list import MEMBERS, REVOCATIONS, SIGNERS, Content, SignedList

LEAP: Final = 1 << 20
"""By so much a list's number grows at once at most: a stolen signer cannot use up the numbers."""
REVOKED: Final = 2 * REVOCATIONS
"""Revoked keys that are remembered at most; a list has REVOCATIONS at most."""


CHECKED: Final = 64
"""Revocations by the authority that are checked of one list (60 µs each); it has to revoke SIGNERS only."""


class Verdict(Enum):
    """The worth of a list; the value is the metric's label."""

    NEW = "new"
    """Newer than all before: it counts from now on."""
    SAME = "same"
    OLDER = "older"
    """Its number is lower than the highest that was seen: refused for ever."""
    CONFLICT = "conflict"
    """Another list of this number: refused, until a signer joins both in a newer one."""
    FOREIGN = "foreign"
    """Of another federation."""
    LEAP = "leap"
    """Its number is higher than any honest one."""
    UNSIGNED = "unsigned"
    """No signer of this federation signed it."""
    MALFORMED = "malformed"


@dataclass(slots=True)
class Federation:
    """One server's view of one federation."""

    federation: bytes
    authority: bytes = b""
    """The authority's public key; empty until the first list."""
    floor: int = 1
    """The lowest number that the first list may have: a token's, or the highest of an earlier stay."""
    newest: SignedList | None = None
    day: int = 0
    """The newest list's, for people."""
    members: dict[str, Member] = field(default_factory=dict)
    """Folded serverId → member, of the newest list."""
    guests: dict[str, Member] = field(default_factory=dict)
    """Members that proved that a signer admitted them, and that no list has so far."""
    signers: dict[bytes, Signer] = field(default_factory=dict)
    """Key → each server that the authority ever named, the revoked ones, too."""
    revocations: dict[bytes, Revocation] = field(default_factory=dict)
    """Key → its revocation, from every list that was ever believed."""

    @property
    def number(self) -> int:
        """The highest number that was seen; 0: none."""
        return self.newest.number if self.newest else 0

    # Questions -------------------------------------------------------------------

    def is_revoked(self, key: bytes) -> bool:
        """Whether that key never returns. A signer's counts only where the authority revoked it."""
        revocation = self.revocations.get(key)
        return revocation is not None and (key not in self.signers or revocation.by == self.authority)

    def is_signer(self, key: bytes) -> bool:
        """Whether that server may sign."""
        return key in self.signers and not self.is_revoked(key)

    def member_of_key(self, key: bytes) -> Member | None:
        """The member with that key; never one that was revoked."""
        if self.is_revoked(key):
            return None
        return next((one for one in self.all_members() if one.key == key), None)

    def member_named(self, server_id: str) -> Member | None:
        """The member of that name; never one that was revoked."""
        member = self.members.get(fold(server_id)) or self.guests.get(fold(server_id))
        return None if member is None or self.is_revoked(member.key) else member

    def all_members(self) -> list[Member]:
        """Each member that is not revoked."""
        every = [*self.members.values(), *self.guests.values()]
        return [one for one in every if not self.is_revoked(one.key)]

    def current_signers(self) -> list[Signer]:
        """The signers that are not revoked, always in the same order: by their keys."""
        return [self.signers[key] for key in sorted(self.signers) if not self.is_revoked(key)]

    # Lists -------------------------------------------------------------------------

    def judge(self, shown: SignedList) -> Verdict:
        """The verdict on a list: the cheap questions first, then at most SIGNERS + 1 signatures (3 ms)."""
        if shown.federation != self.federation:
            return Verdict.FOREIGN
        if shown.number < max(self.number, self.floor):
            return Verdict.OLDER
        if self.newest is not None:
            if shown.number == self.number and shown.content == self.newest.content:
                return Verdict.SAME
            if shown.number > self.number + LEAP:
                return Verdict.LEAP
        return self._judge_content(shown)

    def _judge_content(self, shown: SignedList) -> Verdict:
        content = shown.read()
        if content is None:
            return Verdict.MALFORMED
        if not self._may_sign(shown.key, content) or not shown.is_signed():
            return Verdict.UNSIGNED
        return Verdict.CONFLICT if shown.number == self.number else Verdict.NEW

    def _may_sign(self, key: bytes, content: Content) -> bool:
        if key in self.signers:
            return not self.is_revoked(key)
        named = (one for one in content.signers if one.key == key)
        return any(one.is_signed(content.authority) for one in named) and not self._is_barred(key, content)

    def _is_barred(self, key: bytes, content: Content) -> bool:
        """Whether the authority revoked a signer that is new here: as is known, or as that list says."""
        every = [one for one in (self.revocations.get(key), *content.revocations) if one and one.key == key]
        by_authority = [one for one in every if one.by == content.authority]
        return any(one.is_signed(self.federation) for one in by_authority[:SIGNERS])

    def take(self, shown: SignedList) -> Verdict:
        """Judge a list, and believe all that it is good for. Of a CONFLICT signers and revocations count."""
        verdict = self.judge(shown)
        if verdict in {Verdict.NEW, Verdict.CONFLICT}:
            content = shown.read()
            if content is not None:
                self._learn(content)
                if verdict is Verdict.NEW:
                    self._replace(shown, content)
        return verdict

    def restore(self, newest: SignedList) -> None:
        """Have a list that was judged before. ValueError: it is damaged."""
        content = newest.read()
        if content is None or newest.federation != self.federation:
            raise ValueError("the newest list is damaged")
        self._replace(newest, content)

    def _replace(self, shown: SignedList, content: Content) -> None:
        self.newest, self.day = shown, content.day
        self.members = {}
        for member in content.members:
            self.add(member)
        self.guests = {name: one for name, one in self.guests.items() if name not in self.members}

    def add(self, member: Member) -> bool:
        """Have a member, unless its key is revoked, or its name or its key are another's already."""
        name = fold(member.server_id)
        if self.is_revoked(member.key) or len(self.members) >= MEMBERS:
            return False
        if name in self.members or any(one.key == member.key for one in self.members.values()):
            return False
        self.members[name] = member
        return True

    def _learn(self, content: Content) -> None:
        """Learn the signers and the revocations of a list that counts: both for ever."""
        self.authority = self.authority or content.authority
        for signer in content.signers:
            self.learn_signer(signer)
        checked = 0
        for revocation in content.revocations:
            is_costly = revocation.by == self.authority and revocation.key not in self.revocations
            checked += is_costly
            if checked <= CHECKED or not is_costly:
                self.learn_revocation(revocation)

    def learn_signer(self, signer: Signer) -> bool:
        """Learn a server that the authority named; whether it is known now."""
        if signer.key in self.signers:
            return True
        if len(self.signers) >= SIGNERS or not signer.is_signed(self.authority):
            return False
        self.signers[signer.key] = signer
        return True

    def learn_revocation(self, revocation: Revocation) -> bool:
        """Learn a revocation that a signer stands for; whether it is new. The authority's replaces a signer's."""
        known = self.revocations.get(revocation.key)
        by_authority = revocation.by == self.authority
        if known is not None and (known.by == self.authority or not by_authority):
            return False
        if known is None and len(self.revocations) >= REVOKED:
            return False
        if by_authority and not revocation.is_signed(self.federation):
            return False
        if not by_authority and revocation.key in self.signers:
            return False
        self.revocations[revocation.key] = revocation
        return True


def begin(shown: SignedList, federation: bytes, floor: int) -> Federation | None:
    """A joiner's view, from the list that the inviter answered with; None: that list is not good.

    `floor`: the token's number, or a higher one that was seen in an earlier stay.
    """
    state = Federation(federation, floor=floor)
    return state if state.take(shown) is Verdict.NEW else None


def found(authority: bytes) -> Federation:
    """The view of whoever founds a federation: nobody is in it."""
    return Federation(federation_of(authority), authority)
