"""Which messages were received already: at-least-once on the wire, once before a person's eyes."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Final

from shared.addresses import User

REMEMBERED: Final = 100_000
"""Messages by which a duplicate is recognised: more than a mailbox drained over a flaky link brings twice.

One takes 99 bytes (CPython 3.11), so all of them take 10 MB; tests/unit/test_client_seen.py measures it.
"""


class Seen:
    """The last `limit` messages, each as 16 bytes of a hash of its author and snowflake."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._keys: set[bytes] = set()
        self._order: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._keys)

    def has(self, author: User, snowflake: int) -> bool:
        """Whether it came before; no duplicate is recognised by 0 (protocol.md)."""
        return snowflake != 0 and _key(author, snowflake) in self._keys

    def add(self, author: User, snowflake: int) -> None:
        """Remember a message, and forget the oldest where it is one too many."""
        key = _key(author, snowflake)
        if snowflake == 0 or key in self._keys:
            return
        self._keys.add(key)
        self._order.append(key)
        if len(self._order) > self._limit:
            self._keys.discard(self._order.popleft())


def _key(author: User, snowflake: int) -> bytes:
    """The length in front keeps ("ab", "c") and ("a", "bc") apart."""
    user_id, server_id = author.user_id.encode(), author.server_id.encode()
    text = b"%d %d %b%b" % (snowflake, len(user_id), user_id, server_id)
    return hashlib.blake2b(text, digest_size=16).digest()
