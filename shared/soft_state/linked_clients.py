"""Clients that are told over their links, where nothing is lost: each change once, and never a backlog. Pure.

A link that has no room *falls behind*: it is told nothing, and nothing is kept for it but the number of the last
change that it was told. When it has room again it *catches up*: it gets what changed since, as that is by then,
the oldest first. So the number grows with each part that was sent, however slowly the other side reads. Who is new
has missed everything.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, Protocol

from parley.shared.runtime.steps import Task
from parley.shared.soft_state.datagram_lists import pack
from parley.shared.soft_state.served_state import ServedEntry

UNSENT: Final = 16 * 1024
"""Bytes that wait to be sent to such a client, from which on its link has no room."""
FRAMES: Final = 32
"""Frames of one round that are written at once; more are taken a step at a time."""
ENTRIES: Final = 64
"""Entries in one step."""


class LinkedClient(Hashable, Protocol):
    """A link with such a client."""

    @property
    def writable(self) -> bool:
        """Whether there is room for more."""

    def send(self, raw: bytes) -> None:
        """Have a frame written at the end of this turn."""

    def flush(self) -> None:
        """Write now, so that it is known whether there is room."""


class Telling(Protocol):
    """The service, as this module sees it."""

    @property
    def list_name(self) -> str:
        """The list that it tells clients."""

    @property
    def newest(self) -> int:
        """The number of the last change."""

    @property
    def last_round(self) -> int:
        """The number of the last change of which a round has told those who are not behind."""

    def now(self) -> float:
        """Seconds, monotonic."""

    def missed(self, client: LinkedClient, since: int) -> Sequence[ServedEntry]:
        """The entries that changed after that change, as the client may see them, in the order of their numbers."""

    def serves(self, client: LinkedClient) -> bool:
        """Whether a client is still here, and told from here."""

    def in_turn(self, task: Task) -> None:
        """Do that a step at a time, in turn with all others."""

    def caught_up(self, client: LinkedClient) -> None:
        """A client is told each change again as it comes."""


class LinkedClients:
    """Those that are behind; all others need no memory."""

    def __init__(self, owner: Telling) -> None:
        self._owner = owner
        self._behind: dict[LinkedClient, int] = {}
        """Client → the number of the last change that it was told."""
        self._catching_up: set[LinkedClient] = set()

    def __len__(self) -> int:
        return len(self._behind)

    def is_behind(self, client: LinkedClient) -> bool:
        """Whether it is told nothing for now."""
        return client in self._behind

    def tell(self, client: LinkedClient, frames: Sequence[bytes], since: int) -> None:
        """Tell a client a round's news, of the changes after `since`."""
        if client in self._behind:
            return
        if len(frames) > FRAMES or not client.writable:
            self.fell_behind(client, since)
            return
        for frame in frames:
            client.send(frame)

    def fell_behind(self, client: LinkedClient, since: int = 0) -> None:
        """A client was told nothing after that change."""
        if not self._owner.serves(client):
            return
        self._behind[client] = min(since, self._behind.get(client, since))
        self.has_room(client)

    def has_room(self, client: LinkedClient) -> None:
        """Have a client catch up, if it is behind and its link takes something."""
        if client in self._behind and client.writable and client not in self._catching_up:
            self._catching_up.add(client)
            self._owner.in_turn(self._catch_up(client))

    def forget(self, client: LinkedClient) -> None:
        """It is told nothing from here any more."""
        self._behind.pop(client, None)

    def _catch_up(self, client: LinkedClient) -> Task:
        yield
        try:
            while client in self._behind and client.writable:
                newest, cursor = self._owner.newest, self._behind[client]
                entries = self._owner.missed(client, cursor)
                for at in range(0, len(entries), ENTRIES):
                    if self._behind.get(client) != cursor or not client.writable:
                        break  # it is gone, has missed more, or is full
                    cursor = self._behind[client] = self._send(client, entries[at : at + ENTRIES])
                    yield
                else:
                    self._all_sent(client, cursor, newest)
        finally:
            self._catching_up.discard(client)

    def _send(self, client: LinkedClient, entries: Sequence[ServedEntry]) -> int:
        """The number of the last of them."""
        now = self._owner.now()
        for frame in pack(self._owner.list_name, (entry.item(now) for entry in entries)):
            client.send(frame)
        client.flush()
        return entries[-1].sequence

    def _all_sent(self, client: LinkedClient, cursor: int, newest: int) -> None:
        """Up to the change `newest`; a round that came meanwhile has told others more."""
        if self._behind.get(client) != cursor:
            return
        if newest < self._owner.last_round:
            self._behind[client] = newest
            return
        del self._behind[client]
        self._owner.caught_up(client)
