"""Servers that nobody here knows and that are looked for; what is for them waits in memory, and not for long. Pure.

Whoever makes up names of servers leaves nothing behind: no row on disk, and no entry that stays. What waits here
has no status yet: if this process dies, its author sends it again.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from parley.services.chat.message.life import Envelope
from parley.shared.addresses import User

MESSAGES: Final = 4096
"""Messages that wait for the outcome, at most."""
OF_AUTHOR: Final = 512
"""Of them, one author's."""
BYTES: Final = 16 * 1024 * 1024


class AwaitedServers:
    """Messages for servers that are being looked for."""

    def __init__(self) -> None:
        self._envelopes: dict[str, list[Envelope]] = {}
        self._count = 0
        self._size = 0
        self._of_author: Counter[User] = Counter()

    def __len__(self) -> int:
        return self._count

    @property
    def servers(self) -> int:
        """How many servers are looked for that something waits for."""
        return len(self._envelopes)

    def holds(self, server_id: str) -> bool:
        """Whether something waits for a server."""
        return server_id in self._envelopes

    def hold(self, server_id: str, envelope: Envelope) -> bool:
        """Have an envelope wait; False where there is no room."""
        if (
            self._count >= MESSAGES
            or self._size + envelope.size > BYTES
            or self._of_author[envelope.author] >= OF_AUTHOR
        ):
            return False
        self._envelopes.setdefault(server_id, []).append(envelope)
        self._count += 1
        self._size += envelope.size
        self._of_author[envelope.author] += 1
        return True

    def pop(self, server_id: str) -> list[Envelope]:
        """The outcome is known: all that waited for a server, in order."""
        envelopes = self._envelopes.pop(server_id, [])
        for envelope in envelopes:
            self._count -= 1
            self._size -= envelope.size
            self._of_author[envelope.author] -= 1
            if not self._of_author[envelope.author]:
                del self._of_author[envelope.author]
        return envelopes
