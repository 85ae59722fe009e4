"""The servers' keys as a person's clients on this machine know them: the first proven one of each name is pinned.

Another key never replaces it, and a server that has one is never spoken to in plain again, whatever announcements
say: people decide, with `parley trust accept`. Without a directory all of it lasts as long as the process.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final

from parley.client.trust.refusals import ServerKeyChanged, TrustError
from parley.shared.names import fold, spell
from parley.shared.trust.assurance import Assurance, Basis
from parley.shared.trust.keys import fingerprint
from parley.shared.trust.pins import How, Verdict
from parley.shared.trust.proofs import Channel
from parley.shared.trust.server_trust import ServerTrust
from parley.shared.trust_storage.pins import PinStore

_shared: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Path, ServerPins]]] = (
    weakref.WeakKeyDictionary()
)
"""Loop and directory → the pins that all features there use."""
_BASES: Final = {How.SEEN: Basis.SEEN, How.INVITED: Basis.INVITED, How.APPROVED: Basis.APPROVED}


class ServerPins:
    """The pins in a directory, for as long as somebody uses them: `acquire`, then `release`."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._unkept = ServerTrust()
        self._store: PinStore | None = None
        self._users = 0
        self._listeners: set[Callable[[frozenset[str]], None]] = set()

    @classmethod
    def of(cls, directory: Path | None) -> ServerPins:
        """The pins that all features of this loop use, of that directory; None: in memory."""
        of_loop = _shared.setdefault(asyncio.get_running_loop(), {})
        key = directory or Path()
        if key not in of_loop:
            of_loop[key] = cls(directory)
        return of_loop[key]

    def acquire(self, changed: Callable[[frozenset[str]], None]) -> None:
        """Read them, where nobody did. `changed` hears of folded names whose keys people have changed."""
        self._listeners.add(changed)
        self._users += 1
        if self._store is None and self._directory is not None:
            self._store = PinStore(self._directory, changed=self._tell)

    def release(self, changed: Callable[[frozenset[str]], None]) -> None:
        """Write what is left, where nobody else uses them."""
        self._listeners.discard(changed)
        self._users -= 1
        if self._users == 0 and self._store is not None:
            self._unkept, store, self._store = self._store.trust, self._store, None
            store.close()

    def _tell(self, names: frozenset[str]) -> None:
        for listener in tuple(self._listeners):
            listener(names)

    @property
    def _trust(self) -> ServerTrust:
        return self._store.trust if self._store is not None else self._unkept

    def key_of(self, server_id: str) -> bytes:
        """The pinned key of a server; empty: there is none."""
        return self._trust.key_of(server_id)

    def judge(self, server_id: str, channel: Channel) -> Assurance:
        """How we know the acceptor that proved its key on this channel; its key is pinned where there was none.

        Raises:
            TrustError: it is another server, or has another key than the pinned one.

        """
        if fold(channel.server_id) != fold(server_id):
            raise TrustError(f"{spell(channel.server_id)} answers where {spell(server_id)} was looked for")
        verdict = self._judged(server_id, channel.key)
        if verdict is Verdict.NEW:
            return Assurance(Basis.SEEN, channel.key)
        pin = self._trust.pins.of(server_id)
        if verdict is not Verdict.SAME or pin is None:
            known = fingerprint(pin.key) if pin is not None else "none"
            raise ServerKeyChanged(server_id, known, fingerprint(channel.key))
        return Assurance(_BASES[pin.how], channel.key)

    def _judged(self, server_id: str, key: bytes) -> Verdict:
        if self._store is not None:
            return self._store.judge(server_id, key, server_id, is_linked=True)
        verdict = self._unkept.judge(server_id, key, 0.0)
        if verdict is Verdict.NEW:
            self._unkept.accept(self._unkept.accepted(server_id, key, 0.0, 0.0, How.SEEN))
        return verdict
