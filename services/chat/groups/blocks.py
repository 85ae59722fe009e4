"""Blocks: authors whose messages our users do not take. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, KeysView
from typing import Final

from parley.shared.addresses import User
from parley.shared.wire.messages import pb

BYTES: Final = 1024 * 1024
"""Of the names that one user blocks: whoever asks is told all of them in one message."""
ENCODED_BYTES: Final = 8 * BYTES
"""Of answers that are kept for who asks again."""


class Blocks:
    """Per user of this server: whom they block, in the order in which they did.

    At most `of_user` each, `most` in all, and `share` of that by all who come from one address (`source`).
    """

    def __init__(
        self,
        *,
        most: int = 100_000_000,
        of_user: int = 1_000_000,
        share: float = 1.0,
        source: Callable[[str], str] = lambda _user_id: "",
    ) -> None:
        self._most = most
        self._of_user = of_user
        self._share = max(1, int(most * share))
        self._source = source
        self._blocked: dict[str, dict[User, None]] = {}
        self._encoded: dict[str, bytes] = {}
        """Per user who asked lately: whom they block, encoded."""
        self._encoded_size = 0
        self._sizes: Counter[str] = Counter()
        self._of_source: Counter[str] = Counter()
        self._coming: Counter[str] = Counter()
        """The users of whom a block is being written."""
        self._all_coming = 0
        self._count = 0
        self.changed: Callable[[], None] = lambda: None
        """Called when somebody is blocked, or no longer."""

    def __len__(self) -> int:
        return self._count

    def blocks(self, user: User, author: User) -> bool:
        """Whether a user here takes nothing from an author."""
        return author in self._blocked.get(user.user_id, ())

    def of(self, user: User) -> KeysView[User]:
        """The users whom a user here blocks."""
        return self._blocked.get(user.user_id, {}).keys()

    def encoded(self, user: User) -> bytes:
        """The same as the field `users` of a BlockedUsers: who asks time and again has it made once."""
        encoded = self._encoded.get(user.user_id)
        if encoded is None:
            encoded = pb.BlockedUsers(users=[each.to_pb() for each in self.of(user)]).SerializeToString()
            self._encoded_size += len(encoded)
            if self._encoded_size > ENCODED_BYTES:
                self._encoded.clear()
                self._encoded_size = len(encoded)
            self._encoded[user.user_id] = encoded
        return encoded

    def has_room(self, user_id: str) -> bool:
        """Whether a user may block somebody else."""
        coming, source = self._all_coming, self._source(user_id)
        return (
            len(self._blocked.get(user_id, ())) + self._coming[user_id] < self._of_user
            and self._sizes[user_id] < BYTES
            and self._count + coming < self._most
            and (not source or self._of_source[source] + coming < self._share)
        )

    def comes(self, user_id: str) -> None:
        """Somebody is about to be blocked: it counts before it is on disk."""
        self._coming[user_id] += 1
        self._all_coming += 1

    def came(self, user_id: str) -> None:
        """A block is on disk, or could not be written."""
        self._coming[user_id] -= 1
        self._all_coming -= 1
        if not self._coming[user_id]:
            del self._coming[user_id]

    def add(self, user_id: str, other: User) -> None:
        """Somebody is blocked."""
        others = self._blocked.setdefault(user_id, {})
        if other not in others:
            others[other] = None
            self._add(user_id, other, 1)
        self.changed()

    def remove(self, user_id: str, other: User) -> None:
        """Somebody is not blocked any more."""
        others = self._blocked.get(user_id, {})
        if other in others:
            del others[other]
            self._add(user_id, other, -1)
            if not others:
                self._blocked.pop(user_id, None)
        self.changed()

    def _add(self, user_id: str, other: User, sign: int) -> None:
        self._encoded_size -= len(self._encoded.pop(user_id, b""))
        self._count += sign
        size = sign * (len(other.user_id.encode()) + len(other.server_id.encode()) + 8)
        for counter, key, more in (
            (self._sizes, user_id, size),
            (self._of_source, self._source(user_id), sign),
        ):
            counter[key] += more
            if not counter[key]:
                del counter[key]
