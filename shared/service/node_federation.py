"""The federation of a node, as each of its processes sees it: read from the data directory, again when it changes.

Commands and the chat process write there; every process looks each LOOK seconds. Whoever judges a server asks here
first: a member's name belongs to its key, a revoked key is nobody's, and in `strict` there are members only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from parley.shared.config import Config
from parley.shared.errors import StorageError
from parley.shared.names import fold
from parley.shared.runtime.moments import moment
from parley.shared.trust import refusals
from parley.shared.trust.ages import passed
from parley.shared.trust.federation import changes, membership
from parley.shared.trust.federation.membership import Standing
from parley.shared.trust.federation.state import Federation
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust_storage.federation import FederationFiles
from parley.shared.trust_storage.federation_acts import FederationActs
from parley.shared.wire.messages import pb

LOOK: Final = 1.0
"""Seconds between two looks at whether the federation has changed."""
READING: Final = "reading the federation"
NUMBERS: Final = 2000
"""Members of which it is remembered how new their list is."""


class Troubled(Protocol):
    """The part of Faults that is needed."""

    def failed(self, what: str, error: BaseException, *, may_be_bug: bool = True) -> None:
        """Something failed."""

    def well(self, what: str) -> None:
        """It is well again."""


class NodeFederation:
    """Of one process. `changed()` hears that members or revoked keys are others now."""

    def __init__(self, config: Config, faults: Callable[[], Troubled], changed: Callable[[], None]) -> None:
        self._security = config.security
        self._data_dir = Path(config.data_dir)
        self._faults = faults
        self._changed = changed
        self._mark: tuple[int, ...] = ()
        self._is_unknown = False
        self._numbers: dict[str, int] = {}
        """Folded name → the number of the list that this member has."""
        self._own: pb.Membership | None = None
        self._key = b""
        self._server_id = ""
        self._came = moment()
        self.acts: FederationActs | None = None
        """The acts of this node; None: its name is not known yet, or there are no keys."""
        self.state: Federation | None = None
        """The federation that this node is in; None: in none."""

    def open(self, server_id: str, identity: PrivateKey) -> None:
        """Read the federation of the node of that name."""
        self._key, self._server_id = identity.public, server_id
        self.acts = FederationActs(FederationFiles(self._data_dir, server_id), server_id, identity)
        self._mark, self.state, self._own = (), None, None
        self.look()

    @property
    def age(self) -> float:
        """Seconds of running time since the newest list came."""
        return passed(self._came, moment())

    @property
    def is_due(self) -> bool:
        """Whether this node is to sign the list again."""
        return self.state is not None and changes.is_due(self.state, self._key, self.age)

    def look(self) -> None:
        """Read it again where it has changed."""
        if self.acts is not None and (mark := self.acts.files.mark) != self._mark:
            self._read(self.acts, mark)

    def _read(self, acts: FederationActs, mark: tuple[int, ...]) -> None:
        try:
            kept = acts.files.read()
        except StorageError as error:
            self._is_unknown = self.state is None
            self._faults().failed(READING, error, may_be_bug=False)
            return
        self._faults().well(READING)
        state, self._came = kept.state, kept.stored.came
        self._is_unknown = False
        before, self.state, self._mark = self.state, state, mark
        if before is not None and state is not None and before.federation == state.federation:
            for signer in before.signers.values():
                state.learn_signer(signer)
            state.guests = {
                name: one
                for name, one in before.guests.items()
                if name not in state.members and not state.is_revoked(one.key)
            }
        self._own = membership.make_membership(state, self._key) if state is not None else None
        self._changed()

    # Judging servers ---------------------------------------------------------------------------------------

    def refuses(self, name: str, key: bytes) -> str:
        """Why a key may not be that server's, one of refusals.WHAT; empty: it may, for the federation."""
        state = self.state
        if fold(name) == fold(self._server_id):  # a process of ours, which is judged elsewhere
            return ""
        if state is None:
            return refusals.STRANGER if self._is_unknown and self._is_strict else ""
        if state.is_revoked(key):
            return refusals.REVOKED
        member = state.member_named(name)
        if member is not None:
            return "" if member.key == key else refusals.OTHER_KEY
        return refusals.STRANGER if self._is_strict else ""

    @property
    def _is_strict(self) -> bool:
        return self._security.has_keys and not self._security.allows_plain

    def key_of(self, name: str) -> bytes:
        """The key of a member; empty: nobody of that name is one."""
        member = self.state.member_named(name) if self.state is not None else None
        return member.key if member is not None else b""

    # What links carry ------------------------------------------------------------------------------------------

    @property
    def own(self) -> pb.Membership | None:
        """Our own place, for HELLO and CONNECT_SERVER; None: in no federation."""
        return self._own

    def introduced(self, shown: pb.Membership | None, name: str, key: bytes) -> None:
        """A server that proved this key shows its place: it may be a member that is in no list here so far."""
        state = self.state
        if state is None or shown is None or shown.federation != state.federation:
            return
        if membership.judge(state, shown, name, key) is Standing.MEMBER and len(self._numbers) < NUMBERS:
            self._numbers[fold(name)] = shown.number

    def is_behind(self, name: str) -> bool:
        """Whether that member has an older list than we."""
        state = self.state
        return state is not None and self._numbers.get(fold(name), 0) < state.number

    def has_number(self, name: str, number: int) -> None:
        """That member has a list of that number, or will have."""
        if len(self._numbers) < NUMBERS or fold(name) in self._numbers:
            self._numbers[fold(name)] = max(number, self._numbers.get(fold(name), 0))
