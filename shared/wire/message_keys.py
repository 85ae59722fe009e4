"""By what a message is recognised when it comes again: 128 bits of what it is. Pure.

A keyed hash over author, number, recipient, group and content. The secret is the data directory's (a client's: its
process's), so nobody can make a message that is taken for another's: two that differ have the same key with a
probability of one in 2^120 at most, whoever chooses them.

The hash is multilinear: a start that is of who writes to whom, and each eight bytes times a secret number of their
place, modulo a prime. For the few dozen bytes of most messages nothing of that strength is quicker, compiled and in
Python alike (shared/core/deduplication/keys.c has the same). Start and numbers are BLAKE2b of the secret. That they
serve many messages is safe, because nobody is shown a message's key (Carter and Wegman, "New hash functions and
their use in authentication and set equality", 1981).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from operator import mul
from struct import Struct
from typing import TYPE_CHECKING, Final

from parley.shared.addresses import Group, Recipient, User
from parley.shared.compiled import core, same_as_compiled
from parley.shared.wire.messages import pb

SECRET: Final = 32
"""Bytes of a secret."""
LONG: Final = 1024
"""Bytes of content beyond which its BLAKE2b stands for it, which is compiled everywhere."""
IS_LONG: Final = 0x80
PAIRS: Final = 1 << 14
"""So many pairs of author and recipient are known at a time."""

_DIGEST: Final = 32
"""Bytes of that."""
_TO_PRIME: Final = 159
_PRIME: Final = (1 << 128) - _TO_PRIME
_WORD: Final = 8
_HEAD: Final = 2
"""Words in front of the content: the number; and the kind, with the content's length."""
_MULTIPLIER: Final = 16
"""Bytes of one; the last does not count, so that a sum of them fits into 192 bits (keys.c)."""
_STRUCTS: Final = [Struct(f"<{count}Q") for count in range(LONG // _WORD + 1)]
_FIELDS: Final = {name: field.number for name, field in pb.ChatMessage.DESCRIPTOR.fields_by_name.items()}

_TEXT: Final = _FIELDS["textContent"]
same_as_compiled(KEY_LONG=LONG, KEY_IS_LONG=IS_LONG, KEY_DIGEST=_DIGEST, KEY_HEAD=_HEAD, KEY_TO_PRIME=_TO_PRIME)


@lru_cache(maxsize=4)
def _numbers(multipliers: bytes) -> tuple[int, ...]:
    parts = range(0, len(multipliers), _MULTIPLIER)
    return tuple(int.from_bytes(multipliers[at : at + _MULTIPLIER - 1], "little") for at in parts)


@lru_cache(maxsize=PAIRS)
def _start(pair: bytes) -> int:
    return int.from_bytes(pair, "little")


def key_of_pure(multipliers: bytes, pair: bytes, number: int, kind: int, content: bytes) -> bytes:
    """The key of a message: `pair` is of who writes to whom; `kind` tells one sort of content from another."""
    if len(content) > LONG:
        kind, content = kind | IS_LONG, blake2b(content, digest_size=_DIGEST).digest()
    size = len(content)
    struct = _STRUCTS[-(-size // _WORD)]
    parts = number, kind | size << 8, *struct.unpack(content.ljust(struct.size, b"\0"))
    total = sum(map(mul, parts, _numbers(multipliers)), _start(pair))
    key: int = total % _PRIME
    return key.to_bytes(16, "little")


key_of: Callable[[bytes, bytes, int, int, bytes], bytes] = key_of_pure
if not TYPE_CHECKING and core is not None:
    key_of = core.key_of


class MessageKeys:
    """Makes the keys of one secret (SECRET bytes)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        hashes = -(-(_HEAD + LONG // _WORD) * _MULTIPLIER // 64)
        self.multipliers = b"".join(self._hash(b"numbers", n.to_bytes(4, "little"), 64) for n in range(hashes))
        """The numbers that words are multiplied by, each _MULTIPLIER bytes."""
        self.pair = lru_cache(maxsize=PAIRS, typed=True)(self._pair)  # a user and a group are equal as tuples
        """pair(author, recipient, group): 16 bytes, the same for all that one writes to the other."""

    def _pair(self, author: User, recipient: Recipient, group: Group | None) -> bytes:
        kind = b"g" if isinstance(recipient, Group) else b"u"
        parts = [kind, *(part.encode() for part in (*author, *recipient, *(group or ())))]
        text = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
        return self._hash(b"parley message", text, 16)

    def _hash(self, purpose: bytes, text: bytes, size: int) -> bytes:
        return blake2b(text, key=self._secret, digest_size=size, person=purpose).digest()

    def of(self, author: User, recipient: Recipient, group: Group | None, message: pb.ChatMessage) -> bytes:
        """The key of a message from one to the other, as a copy for a member of `group` if there is one.

        Empty where its number is 0, by which nothing is recognised (protocol.md).
        """
        number, text = message.messageSnowflake, message.textContent
        if number == 0:
            return b""
        kind, content = (_TEXT, text.encode()) if text else content_of(message)
        return key_of(self.multipliers, self.pair(author, recipient, group), number, kind, content)

    def of_each(
        self, author: User, recipients: Sequence[Recipient], group: Group | None, message: pb.ChatMessage
    ) -> list[bytes]:
        """The same of one message to each of several, in their order."""
        return list(self.each(author, recipients, group, message))

    def each(
        self, author: User, recipients: Sequence[Recipient], group: Group | None, message: pb.ChatMessage
    ) -> Iterator[bytes]:
        """The same, made one by one."""
        number = message.messageSnowflake
        if number == 0:
            yield from [b""] * len(recipients)
            return
        kind, content = content_of(message)
        if len(content) > LONG:
            kind, content = kind | IS_LONG, blake2b(content, digest_size=_DIGEST).digest()
        multipliers, pair, make = self.multipliers, self.pair, key_of
        for recipient in recipients:
            yield make(multipliers, pair(author, recipient, group), number, kind, content)


def content_of(message: pb.ChatMessage) -> tuple[int, bytes]:
    """The content of a message: the number of its field, and its bytes; 0 and none where it has none."""
    name = message.WhichOneof("content")
    if name is None:
        return 0, b""
    if name == "textContent":
        return _TEXT, message.textContent.encode()
    return _FIELDS[name], getattr(message, name).SerializeToString(deterministic=True)
