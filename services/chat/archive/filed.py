"""Large messages of the archive: a FILED entry has the digest of a file, and the table `filed` its place.

    mark 8 · digest 32 · size 4 · length of the outline 2 · outline · how the frame begins

What begins the frame is a copy's own; of all others nothing. The outline is a ChatMessage with author and recipient
alone, by which lists are made again without a look at the file.

Chat puts a file into the directory `new` and then tells of the message. Whoever writes the records takes the file
from there, makes its name safe, and commits record and row together; the file goes when the last row of its digest
does (files.py). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple, Self

from parley.services.chat.archive.entries import FILED, entries
from parley.services.chat.message.life import Envelope
from parley.services.chat.storage.bodies import Copy
from parley.shared.addresses import Group, User
from parley.shared.errors import StorageError
from parley.shared.wire.messages import encode, pb

MARK: Final = b"\xf1\x0b\x0d\x1e\x5f\x11\xed\x00"
"""Each has it, so that a chunk without is told by one look; what has it by chance is looked at in vain."""
_DATA: Final = Struct("<8s32sIH")


class About(NamedTuple):
    """All of an entry's contents but the digest."""

    size: int
    """Bytes of the file."""
    outline: bytes
    """A MESSAGE's frame with author and recipient alone."""
    head: bytes
    """How the frame begins, of a copy; of all others nothing."""

    @classmethod
    def of(cls, envelope: Envelope, size: int) -> Self:
        """Those of a message as it is now, with so many bytes in a file."""
        outline = pb.ChatMessage(author=envelope.author.to_pb())
        if envelope.group is not None:
            outline.userOfGroup.user.CopyFrom(User(*envelope.recipient).to_pb())
            outline.userOfGroup.group.CopyFrom(envelope.group.to_pb())
        elif isinstance(envelope.recipient, Group):
            outline.group.CopyFrom(envelope.recipient.to_pb())
        else:
            outline.user.CopyFrom(envelope.recipient.to_pb())
        head = envelope.head if isinstance(envelope, Copy) else b""
        return cls(size, encode("MESSAGE", outline), head)

    def data(self, digest: bytes) -> bytes:
        """Encode the contents."""
        return _DATA.pack(MARK, digest, self.size, len(self.outline)) + self.outline + self.head

    def frame(self, content: bytes) -> bytes:
        """The message's frame, with what is in the file."""
        return b"%b%b\n" % (self.head, content) if self.head else content


class Filed(NamedTuple):
    """The contents of a FILED entry."""

    digest: bytes
    about: About


def filed_of(data: bytes) -> Filed | None:
    """Read the contents of an entry; None: there are none."""
    if len(data) < _DATA.size:
        return None
    mark, digest, size, length = _DATA.unpack_from(data)
    begin = _DATA.size
    about = About(size, data[begin : begin + length], data[begin + length :])
    return Filed(digest, about) if mark == MARK else None


def filed_in(chunk: bytes) -> Iterator[tuple[int, Filed]]:
    """All of them in a chunk, with the offsets of their entries."""
    if MARK not in chunk:
        return
    try:
        for entry in entries(chunk):
            found = filed_of(entry.data) if entry.kind == FILED else None
            if found is not None:
                yield entry.offset, found
    except StorageError:
        return
