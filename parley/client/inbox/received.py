"""Which messages were received already: at-least-once on the wire, once before a person's eyes.

A message is recognised by what it is (message_keys.py), with a secret of this object: another with the same number
is another message.
"""

from __future__ import annotations

import secrets
from collections import deque
from typing import Final

from parley.shared.addresses import Group, Recipient, User
from parley.shared.wire.message_keys import SECRET, MessageKeys
from parley.shared.wire.messages import pb

REMEMBERED: Final = 100_000
"""Messages by which a duplicate is recognised: more than a mailbox drained over a flaky link brings twice.

One takes 99 bytes (CPython 3.11), so all of them take 10 MB; tests/unit/test_received_messages.py measures it.
"""


class ReceivedMessages:
    """The last `limit` messages, each as the 16 bytes of its key."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._message_keys = MessageKeys(secrets.token_bytes(SECRET))
        self._keys: set[bytes] = set()
        self._order: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, message: pb.ChatMessage) -> bytes:
        """By what a message is recognised; empty where it is recognised by nothing."""
        which = message.WhichOneof("recipient")
        group = Group.of(message.userOfGroup.group) if which == "userOfGroup" else None
        recipient: Recipient = Group.of(message.group) if which == "group" else User.of(message.user)
        if group is not None:
            recipient = User.of(message.userOfGroup.user)
        return self._message_keys.of(User.of(message.author), recipient, group, message)

    def has(self, key: bytes) -> bool:
        """Whether it came before; no duplicate is recognised by number 0 (protocol.md)."""
        return key in self._keys

    def add(self, key: bytes) -> None:
        """Remember a message, and forget the oldest where it is one too many."""
        if not key or key in self._keys:
            return
        self._keys.add(key)
        self._order.append(key)
        if len(self._order) > self._limit:
            self._keys.discard(self._order.popleft())
