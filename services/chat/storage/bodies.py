"""A group message's body, which its copies share: in memory and on disk it is there once. Pure."""

from __future__ import annotations

from typing import Final
from weakref import WeakValueDictionary

from parley.services.chat.message.life import Envelope, File, digest_of
from parley.services.chat.message.model import Key
from parley.shared.addresses import Group, User
from parley.shared.wire.messages import pb

LARGE: Final = 64 * 1024
"""Bytes from which a message, or a body that copies share, is a file of its own (body_files.py)."""
_NAME: Final = b"MESSAGE"


class Body:
    """All of a group message but its recipient: the end of each copy's payload."""

    __slots__ = ("__weakref__", "data", "file", "number", "size")

    def __init__(self, data: bytes, *, number: int = 0, size: int | None = None) -> None:
        self.data = data
        self.number = number
        """By which its copies refer to it on disk; the store gives it."""
        self.size = len(data) if size is None else size
        """Bytes, also where the data was not read."""
        self.file: File | None = None

    @property
    def digest(self) -> bytes:
        """The SHA-256 of its data, as far as it is known."""
        return digest_of(self.file, self.data)

    def in_file(self, content: bytes, digest: bytes) -> None:
        """Its data is in a file."""
        self.file = content, digest


Known = WeakValueDictionary[int, Body]
"""Bodies in memory, by number: each is read once, as long as some copy of it is there."""


class Copy(Envelope):
    """A member's copy of a group message: its own recipient before what it shares with the others.

    The bytes are put together when they are written to a link.
    """

    __slots__ = ("body", "head")

    def __init__(
        self,
        author: User,
        snowflake: int,
        member: User,
        *,
        key: Key,
        origin: str,
        group: Group,
        head: bytes,
        body: Body,
        arrived: float = 0.0,
        is_retried_by_origin: bool = False,
    ) -> None:
        self.head = head
        self.body: Body = body
        super().__init__(
            author,
            snowflake,
            member,
            b"",
            key=key,
            origin=origin,
            group=group,
            arrived=arrived,
            is_retried_by_origin=is_retried_by_origin,
        )
        self.size = len(head) + body.size + 1

    @property
    def content(self) -> bytes:
        """The data that it shares."""
        return self.body.data

    @property
    def digest(self) -> bytes:
        """The SHA-256 of that, as far as it is known."""
        return self.body.digest

    def in_file(self, content: bytes, digest: bytes) -> None:
        """That data is in a file."""
        self.body.in_file(content, digest)

    def reworded(self, raw: bytes, body: Body | None = None) -> None:
        """It waits, and shares another body from now on; `raw` is how its frame begins."""
        self.head, self.body = raw, body or self.body
        self.size = len(self.head) + self.body.size + 1

    @property
    def raw(self) -> bytes:
        """The frame."""
        return b"%b%b\n" % (self.head, self.body.data)

    @raw.setter
    def raw(self, _raw: bytes) -> None:
        """The frame is made of its parts."""


def head_of(member: User, group: Group, body: Body, *, in_effect: bool = False) -> bytes:
    """How a copy's frame begins; `in_effect`: it is an edit, and what it changes is changed already."""
    recipient = pb.UserOfGroup(user=member.to_pb(), group=group.to_pb())
    head = pb.ChatMessage(userOfGroup=recipient, inEffect=in_effect).SerializeToString()
    return b"%b %d %b" % (_NAME, len(head) + body.size, head)
