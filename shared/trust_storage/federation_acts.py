"""All that a node does with its federation, by command or by what comes over links.

Each act is on disk when it returns. The rules are those of `shared/trust/federation/`; here they meet the files,
the clocks and this node's key.
"""

from __future__ import annotations

from typing import Final

from parley.shared.names import fold, spell
from parley.shared.runtime.moments import moment
from parley.shared.trust.federation import changes
from parley.shared.trust.federation.authority import short
from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.federation.entries import Admitted, Member
from parley.shared.trust.federation.invitations import LIFETIME, LONGEST
from parley.shared.trust.federation.sealed import Export, seal, unseal
from parley.shared.trust.federation.signed_list import SignedList
from parley.shared.trust.federation.state import Federation, Verdict, begin, found
from parley.shared.trust.federation.tokens import Token, digest_of, make_token
from parley.shared.trust.keys import PrivateKey, fingerprint
from parley.shared.trust_storage.federation import FederationFiles, Kept
from parley.shared.trust_storage.invitations import Invitations

DAY: Final = 86400.0


class FederationActs:
    """Those of the node of that name and key.

    Each raises FederationRefused, and StorageError where the disk does not let us.
    """

    def __init__(self, files: FederationFiles, server_id: str, identity: PrivateKey) -> None:
        self.files = files
        self.invitations = Invitations(files)
        self._server_id = server_id
        self._identity = identity

    # Being in ------------------------------------------------------------------------------------------------

    def init(self) -> Federation:
        """Found a federation: its authority's key is made and kept here, and this node is its first signer."""
        with self.files.changing() as kept:
            self._must_be_alone(kept)
            there = self.files.authority()
            if there is not None:
                raise FederationRefused(
                    "taken", "an authority's key is kept here already: parley federation restore"
                )
            authority = PrivateKey.generate()
            state = found(authority.public)
            changes.add_signer(state, authority, self._server_id, self._identity.public)
            kept.enter(state)
            self._admit(kept, self._server_id, self._identity.public, Admitted.FOUNDER)
            self.files.keep_authority(authority)
            return state

    def enter(self, shown: SignedList, federation: bytes, number: int) -> Federation:
        """Be in the federation of that list, which has us. `number`: the token's, or 0."""
        with self.files.changing() as kept:
            self._must_be_alone(kept, but=federation)
            state = begin(shown, federation, kept.floor(federation, number))
            if state is None:
                raise FederationRefused("older", "the list that came with the answer is not good, or an old one")
            if state.member_of_key(self._identity.public) is None:
                raise FederationRefused("stranger", "the list that came with the answer does not have this server")
            kept.enter(state)
            return state

    def leave(self) -> Federation:
        """Be in none. The others' lists have this node until a signer revokes it."""
        with self.files.changing() as kept:
            state = _state(kept)
            kept.leave()
            return state

    def take(self, shown: SignedList) -> Verdict:
        """Take a list that a member sent. A signer joins it with what only it knows, and signs that."""
        with self.files.changing() as kept:
            if kept.state is None:
                return Verdict.FOREIGN
            verdict, joined = kept.state.judge(shown), False
            if verdict is Verdict.CONFLICT and self._is_signer(kept.state):
                joined = changes.join_lists(kept.state, shown)
            else:
                kept.state.take(shown)
                joined = verdict is Verdict.NEW and changes.restore_own(kept.state, kept.own)
            if joined and self._is_signer(kept.state):
                changes.sign(kept.state, self._identity, max(kept.state.day, _today()))
            return verdict

    # A signer's ------------------------------------------------------------------------------------------------

    def invite(self, lifetime: float = LIFETIME, addresses: tuple[str, ...] = ()) -> Token:
        """An invitation. `lifetime`: seconds."""
        state = self._signed_for()
        if not 0 < lifetime <= LONGEST:
            raise FederationRefused("malformed", f"an invitation is good for {LONGEST / DAY:.0f} days at most")
        token = make_token(state.federation, state.number, moment().wall + lifetime, addresses)
        self.invitations.add(digest_of(state.federation, token.secret), lifetime, state.number)
        return token

    def check_signer(self) -> None:
        """FederationRefused where this node is no signer."""
        self._signed_for()

    def redeem(self, federation: bytes, secret: bytes, server_id: str, key: bytes) -> SignedList:
        """Admit who shows an invitation's secret; the list with it. The invitation is used up in any case."""
        state = self._signed_for()
        if federation != state.federation:
            raise FederationRefused("foreign", "that invitation is another federation's")
        self.invitations.use(digest_of(federation, secret), state.number)
        return self.admit(server_id, key, Admitted.TOKEN)

    def admit(self, server_id: str, key: bytes, how: Admitted) -> SignedList:
        """Admit a server; the list with it."""
        with self.files.changing() as kept:
            return self._admit(kept, server_id, key, how)

    def _admit(self, kept: Kept, server_id: str, key: bytes, how: Admitted) -> SignedList:
        state = _state(kept)
        member = changes.admit(state, self._identity, server_id, key, _today(), how.value)
        known = state.newest.read() if state.newest is not None else None
        if known is not None and member in known.members and state.newest is not None:
            return state.newest
        kept.own = [*(one for one in kept.own if not state.is_revoked(one.key)), member]
        return changes.sign(state, self._identity, _today())

    def revoke(self, name: str) -> Member:
        """Revoke a member's key, by its name or fingerprint. A signer's needs the authority's key to be here."""
        with self.files.changing() as kept:
            state = _state(kept)
            member = _named(state, name)
            if member.key == self._identity.public:
                raise FederationRefused("taken", "a server does not revoke itself: parley federation leave")
            by = self._identity
            if member.key in state.signers:
                by = self._authority("only the authority revokes a signer")
            changes.revoke(state, by, member.server_id, member.key, _today())
            changes.sign(state, self._identity, _today())
            return member

    def add_signer(self, name: str) -> Member:
        """Let a member sign, too. The authority's key has to be here, and this node a signer."""
        authority = self._authority("the authority's key says who signs")
        with self.files.changing() as kept:
            state = _state(kept)
            member = _named(state, name)
            changes.add_signer(state, authority, member.server_id, member.key)
            changes.sign(state, self._identity, _today())
            return member

    def sign_if_due(self) -> bool:
        """Sign the list again where a day of running time passed since; whether it was."""
        with self.files.changing() as kept:
            state = kept.state
            if state is None or not changes.is_due(state, self._identity.public, kept.ran):
                return False
            changes.sign(state, self._identity, _today())
            return True

    # The authority -------------------------------------------------------------------------------------------

    def export(self, passphrase: str) -> str:
        """The authority's key and the newest list, sealed."""
        authority = self._authority("there is nothing to export")
        state = _state(self.files.read())
        if state.newest is None:
            raise FederationRefused("malformed", "there is no list to export")
        return seal(Export(authority, state.newest), passphrase)

    def restore(self, text: str, passphrase: str) -> Federation:
        """Have the authority of an export here. This node becomes a member and a signer, if it was none."""
        export = unseal(text, passphrase)
        with self.files.changing() as kept:
            federation = export.newest.federation
            self._must_be_alone(kept, but=federation)
            if kept.state is None:
                state = begin(export.newest, federation, 1)
                if state is None or state.authority != export.authority.public:
                    raise FederationRefused("malformed", "the list of that export is not its authority's")
                state.floor = kept.floor(federation, state.number)
                kept.enter(state)
            state = _state(kept)
            changes.add_signer(state, export.authority, self._server_id, self._identity.public)
            self.files.keep_authority(export.authority)
            if state.member_of_key(self._identity.public) is None:
                self._admit(kept, self._server_id, self._identity.public, Admitted.RESTORED)
            else:
                changes.sign(state, self._identity, _today())
            return state

    # Helpers ---------------------------------------------------------------------------------------------------

    def _signed_for(self) -> Federation:
        """The federation, of which this node is a signer."""
        state = _state(self.files.read())
        if not self._is_signer(state):
            signers = ", ".join(spell(one.server_id) for one in state.current_signers())
            raise FederationRefused(
                "no_signer", f"this server is no signer of the federation; these are: {signers}"
            )
        return state

    def _is_signer(self, state: Federation) -> bool:
        return state.is_signer(self._identity.public)

    def _authority(self, why: str) -> PrivateKey:
        authority = self.files.authority()
        if authority is None:
            raise FederationRefused("no_authority", f"the authority's key is not kept at this server, and {why}")
        return authority

    def _must_be_alone(self, kept: Kept, but: bytes = b"") -> None:
        if kept.state is not None and kept.state.federation != but:
            raise FederationRefused(
                "taken",
                f"this server is in the federation {short(kept.state.federation)} already: parley federation leave",
            )


def _state(kept: Kept) -> Federation:
    if kept.state is None:
        raise FederationRefused("none", "this server is in no federation: parley federation init, or join")
    return kept.state


def _named(state: Federation, name: str) -> Member:
    """The member of that name or fingerprint."""
    for member in state.all_members():
        if fold(member.server_id) == fold(name) or fingerprint(member.key) == name.lower():
            return member
    raise FederationRefused("stranger", f"no member is called {spell(name)}: parley federation list")


def _today() -> int:
    """Days since 1970, by this machine's clock: for people only."""
    return max(0, int(moment().wall // DAY))
