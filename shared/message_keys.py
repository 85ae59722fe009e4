"""By what a message is recognised when it comes again: 128 bits of what it is. Pure.

A keyed hash over author, number, recipient, group and content. The secret is the data directory's (a client's: its
process's), so nobody can make a message that is taken for another's: two that differ have the same key with a
probability of less than one in 2^90, whoever chooses them.

The hash is Poly1305 (RFC 8439), because it is quick for the few dozen bytes of most messages, compiled and in
Python alike (shared/core/keys.c has the same). Its own key is BLAKE2b of the secret and of who writes to whom. That
one such key serves many messages is safe here, other than where Poly1305 authenticates: nobody is shown a message's
key.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from shared.addresses import Group, Recipient, User
from shared.compiled import core
from shared.messages import pb

SECRET: Final = 32
"""Bytes of a secret."""
LONG: Final = 4096
"""Bytes of content beyond which its BLAKE2b stands for it, which is compiled everywhere."""
IS_LONG: Final = 0x80
PAIRS: Final = 1 << 14
"""Who writes to whom: so many are known at a time."""

_PRIME: Final = (1 << 130) - 5
_CLAMP: Final = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
_128_BITS: Final = (1 << 128) - 1
_HEAD: Final = struct.Struct("<QB7x")
_FIELDS: Final = {name: field.number for name, field in pb.ChatMessage.DESCRIPTOR.fields_by_name.items()}


def poly1305(key: bytes, data: bytes) -> bytes:
    """The authenticator of RFC 8439, 16 bytes; the key has 32."""
    r, total = int.from_bytes(key[:16], "little") & _CLAMP, 0
    for at in range(0, len(data), 16):
        total = (total + int.from_bytes(data[at : at + 16] + b"\1", "little")) * r % _PRIME
    return ((total + int.from_bytes(key[16:32], "little")) & _128_BITS).to_bytes(16, "little")


def key_of_pure(pair: bytes, number: int, kind: int, content: bytes) -> bytes:
    """The key of a message: `pair` is of who writes to whom; `kind` tells one sort of content from another."""
    if len(content) > LONG:
        kind, content = kind | IS_LONG, blake2b(content, digest_size=32).digest()
    return poly1305(pair, _HEAD.pack(number, kind) + content)


key_of = key_of_pure
if not TYPE_CHECKING and core is not None:
    key_of = core.key_of


class MessageKeys:
    """Makes the keys of one secret (SECRET bytes)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.pair = lru_cache(maxsize=PAIRS, typed=True)(self._pair)  # a user and a group are equal as tuples
        """pair(author, recipient, group): 32 bytes, the same for all that one writes to the other."""

    def _pair(self, author: User, recipient: Recipient, group: Group | None) -> bytes:
        kind = b"g" if isinstance(recipient, Group) else b"u"
        parts = [kind, *(part.encode() for part in (*author, *recipient, *(group or ())))]
        text = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
        return blake2b(text, key=self._secret, digest_size=32, person=b"parley message").digest()

    def of(self, author: User, recipient: Recipient, group: Group | None, message: pb.ChatMessage) -> bytes:
        """The key of a message from one to the other, as a copy for a member of `group` if there is one.

        Empty where its number is 0, by which nothing is recognised (protocol.md).
        """
        return self.of_each(author, (recipient,), group, message)[0]

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
            kind, content = kind | IS_LONG, blake2b(content, digest_size=32).digest()
        for recipient in recipients:
            yield key_of(self.pair(author, recipient, group), number, kind, content)


def content_of(message: pb.ChatMessage) -> tuple[int, bytes]:
    """What a message says: the number of its field, and its bytes; 0 and none where it says nothing."""
    name = message.WhichOneof("content")
    if name is None:
        return 0, b""
    if name == "textContent":
        return _FIELDS[name], message.textContent.encode()
    return _FIELDS[name], getattr(message, name).SerializeToString(deterministic=True)
