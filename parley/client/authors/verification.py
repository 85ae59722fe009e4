"""Verifies received messages off the event loop, in the order in which they came.

A message without a proof waits only behind those with one that came before it. A small one that comes alone is
verified at once, unless its author's keys are being asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from parley.client.authors.author_keys import AuthorKeys
from parley.client.authors.judgement import judge, keys_in
from parley.client.authors.off_loop import OffLoop
from parley.shared.addresses import User
from parley.shared.trust.authors import is_message_signed
from parley.shared.wire.messages import pb

SMALL: Final = 4096
"""Bytes of a message that is verified at once: hashing more of them would keep the event loop."""

_Tagged = tuple[pb.ChatMessage, bytes]


class Verification:
    """Messages that wait to be verified. `judged` gets each in the event loop, in order, its assurance set."""

    def __init__(self, keys: AuthorKeys, judged: Callable[[pb.ChatMessage, bytes], object]) -> None:
        self._keys = keys
        self._judged = judged
        self._queue: OffLoop[_Tagged, bool] = OffLoop(_are_valid, self._verified)

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, message: pb.ChatMessage, tag: bytes) -> bool:
        """Verify a message; False where too much waits: it is to be dropped, unacknowledged, and is offered again.

        `tag` is for `judged`.
        """
        author, size, keys = User.of(message.author), message.ByteSize(), keys_in(message)
        for key in keys or [b""]:
            self._keys.want(author, key)
        if not keys:
            is_valid = False if self._queue.is_idle else None
        elif size <= SMALL and all(self._keys.is_settled(author, key) for key in keys):
            is_valid = self._queue.work_now((message, tag))
        else:
            is_valid = None
        if is_valid is None:
            return self._queue.add((message, tag), size)
        self._judge(message, tag, is_valid=is_valid)
        return True

    def _verified(self, tagged: _Tagged, is_valid: bool) -> Awaitable[None] | None:
        """Judge it when its author's keys are known, or will not be."""
        message, tag = tagged
        author, keys = User.of(message.author), keys_in(message) if is_valid else []
        if not all(self._keys.is_settled(author, key) for key in keys):
            return self._judge_later(tagged, author, keys)
        self._judge(message, tag, is_valid=is_valid)
        return None

    async def _judge_later(self, tagged: _Tagged, author: User, keys: Sequence[bytes]) -> None:
        for key in keys:
            await self._keys.find(author, key)
        self._judge(*tagged, is_valid=True)

    def _judge(self, message: pb.ChatMessage, tag: bytes, *, is_valid: bool) -> None:
        author = User.of(message.author)
        keys, revoked = self._keys.known(author), self._keys.revoked(author)
        message.assurance = judge(message, is_valid=is_valid, keys=keys, revoked=revoked)
        self._judged(message, tag)

    def close(self) -> None:
        """Drop what waits, unacknowledged. It may be used again."""
        self._queue.close()


def _are_valid(messages: Sequence[_Tagged]) -> list[bool]:
    return [message.HasField("proof") and is_message_signed(message) for message, _ in messages]
