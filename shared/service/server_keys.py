"""The keys of servers, as a process of a node uses them: the judge of links and of announcements.

The rules are shared/trust/'s, the disk is shared/trust_storage/'s; here they meet the mode, the metrics and the
operator's lines. In `security.mode: open` there are no keys: everybody may use every name in plain.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from parley.shared.config import Config
from parley.shared.names import spell
from parley.shared.printable import harmless
from parley.shared.service.node_federation import NodeFederation
from parley.shared.telemetry.troubles import Troubles
from parley.shared.trust import refusals
from parley.shared.trust.keys import fingerprint
from parley.shared.trust.pins import How, Pin, Verdict
from parley.shared.trust.server_trust import REASONS, ServerTrust
from parley.shared.trust_storage.pins import PinStore

if TYPE_CHECKING:
    from parley.shared.runtime.supervised import Faults
    from parley.shared.telemetry.metrics import Metrics

BY_FEDERATION: Final = {
    refusals.REVOKED: Verdict.REVOKED,
    refusals.OTHER_KEY: Verdict.OTHER,
    refusals.STRANGER: Verdict.STRANGER,
}
"""The federation's reason to refuse → the verdict."""
FOLDER: Final = "trust"
"""The directory of trust, in the node's own: DATA_DIR/<serverId>/trust."""
KEEPING: Final = "keeping the keys of servers"
SHOWN: Final = 64
"""Characters of another's name in a line."""


def trust_directory(data_dir: Path, server_id: str) -> Path:
    """The place of a node's pins."""
    return data_dir / server_id / FOLDER


class Owner(Protocol):
    """The part of a process that its judge needs."""

    config: Config
    metrics: Metrics
    troubles: Troubles
    faults: Faults


class ServerKeys:
    """The judge. Until `open` has read what is on disk, and where there is no disk, all is known in memory.

    `changed(names)` hears of folded names whose keys are others now: `parley trust` did it, or another process of
    the node was first; whoever has a link to one judges it again.
    """

    def __init__(self, owner: Owner, changed: Callable[[frozenset[str]], None]) -> None:
        self.federation = NodeFederation(owner.config, lambda: owner.faults, lambda: changed(frozenset()))
        """The federation that the node is in; its list counts before pins."""
        self._owner = owner
        self._changed = changed
        self._mode = owner.config.security
        self._unstored = ServerTrust()
        self._directory: Path | None = None
        self.store: PinStore | None = None

    def open(self, server_id: str) -> None:
        """Read what is known, as soon as our name is; another name's is let go of."""
        directory = trust_directory(Path(self._owner.config.data_dir), server_id)
        if not self._mode.has_keys or not server_id or directory == self._directory:
            return
        self.close()
        self._directory = directory
        self.store = PinStore(
            directory,
            changed=self._changed,
            failed=lambda error: self._owner.faults.failed(KEEPING, error, may_be_bug=False),
            well=lambda: self._owner.faults.well(KEEPING),
            limited=lambda what: self._owner.metrics.limited(what, "trust"),
            refused=self._refused,
        )

    def close(self) -> None:
        """Write what is left, and know nothing any more."""
        store, self.store, self._directory = self.store, None, None
        if store is not None:
            store.close()

    @property
    def known(self) -> ServerTrust:
        """All that is known."""
        return self.store.trust if self.store is not None else self._unstored

    @property
    def age(self) -> float:
        """The age of what is known, in seconds: the time that names held in plain are held by."""
        return self.store.age if self.store is not None else 0.0

    # Asking --------------------------------------------------------------------------------------------------

    def judge_server(self, name: str, key: bytes, host: str = "", *, is_linked: bool = False) -> Verdict:
        """The verdict on a key that proved to be there, and says to be `name`; a new one has the name from now on.

        `is_linked`: a link is made of it, so that the name stays its own. A refusal is counted and told here.
        """
        if what := self.federation.refuses(name, key):
            self.refuse(name, key, what, host)
            return BY_FEDERATION[what]
        if key and self.federation.key_of(name) == key:
            self._invited(name, key)
        if self.store is not None:
            return self.store.judge(name, key, host, is_linked=is_linked)
        verdict = self._unstored.judge(name, key, 0.0)
        if verdict is Verdict.NEW:
            self._unstored.pins.put(Pin(name, key, How.SEEN, 0.0))
        elif verdict is not Verdict.SAME:
            self._refused(name, key, REASONS[verdict], host)
        return verdict

    def may_be_plain(self, name: str, host: str = "") -> bool:
        """Whether a program without a key may use that name. A refusal is counted and told here."""
        if not self._mode.has_keys:
            return True
        if self.federation.key_of(name) or not self.known.pins.may_be_plain(name):
            what = refusals.PLAIN_FOR_KEYED
        elif not self._mode.allows_plain:
            what = refusals.NO_KEY
        else:
            return True
        self.refuse(name, b"", what, host)
        return False

    def key_of(self, name: str) -> bytes:
        """The key of that name, which alone may use it; empty: it has none."""
        return self.federation.key_of(name) or self.known.key_of(name)

    def pin_of(self, name: str) -> Pin | None:
        """The pin of that name."""
        return self.known.pins.of(name)

    def _invited(self, name: str, key: bytes) -> None:
        """A member of the federation: its name is its key's, unless people said so already."""
        pin = self.pin_of(name)
        if pin is not None and pin.key == key and pin.how is not How.SEEN:
            return
        if self.store is not None:
            self.store.accept(name, key, How.INVITED)
        else:
            self._unstored.accept(self._unstored.accepted(name, key, 0.0, 0.0, How.INVITED))

    def may_stay(self, name: str, key: bytes) -> bool:
        """Whether a link of that name which proved this key, or none, may go on."""
        if self.federation.refuses(name, key):
            return False
        pin = self.pin_of(name)
        if key in self.known.pins.revoked:
            return False
        if pin is None:
            return not key or not self.known.plain.is_held(name, self.age)
        return pin.key == key

    def used_in_plain(self, name: str) -> None:
        """A server without a key is linked under that name: no key takes the name silently for 30 days."""
        if self.store is not None:
            self.store.used_in_plain(name)

    # Telling -------------------------------------------------------------------------------------------------

    def refuse(self, name: str, key: bytes, what: str, host: str) -> None:
        """Something is refused that name: count it, tell it, remember it."""
        if self.store is not None:
            self.store.refuse(name, key, what, host)
        else:
            self._refused(name, key, what, host)

    def _refused(self, name: str, key: bytes, what: str, host: str) -> None:
        self._owner.metrics.key_refused(what)
        detail = refusal_line(what, name, key, self.key_of(name), host)
        self._owner.troubles.note("key_refused", name[:SHOWN], detail, peer_id=name[:SHOWN], what=what, host=host)


def refusal_line(what: str, name: str, key: bytes, pinned: bytes, host: str) -> str:
    """A refusal as a line for the operator, with what to do about it."""
    shown = harmless(spell(name[:SHOWN]))
    where = host or "somebody"
    theirs, ours = fingerprint(key), fingerprint(pinned)
    accept = (
        f"compare its words (parley trust show there, parley trust list here), then parley trust accept {shown}"
    )
    return {
        refusals.OTHER_KEY: (
            f"{where} says to be {shown} with the key {theirs}, and {shown} has {ours}: refused; if both are "
            f"meant to run, give one another PARLEY_SERVER_ID; if {shown} has a new key indeed, {accept}"
        ),
        refusals.REVOKED: f"{where} says to be {shown} with the key {theirs}, which was revoked here: refused",
        refusals.PLAIN_HELD: (
            f"{where} says to be {shown} with the key {theirs}, and a program without a key used that name in the "
            f"last 30 days: refused; if it is the same server, {accept}"
        ),
        refusals.PLAIN_FOR_KEYED: (
            f"{where} says to be {shown} without a key, and {shown} has {ours}: refused; if it has none any more, "
            f"parley trust forget {shown}"
        ),
        refusals.STRANGER: (
            f"{where} says to be {shown} with the key {theirs}, and is no member of the federation: refused, as "
            "security.mode is strict here; to let it in, parley federation invite"
        ),
        refusals.BAD_SIGNATURE: f"{where} says to be {shown}, and its signature does not hold: refused",
        refusals.NO_KEY: (
            f"{where} says to be {shown} without a key: refused, because security.mode is strict here"
        ),
    }[what]
