"""Lists in datagrams: TYPING_EVENTS and LIVE_LOCATIONS of at most MAX_DATAGRAM bytes each. Pure.

Both messages are one repeated field and nothing else, so the bytes of a list are the bytes of lists of
one, joined: an *item* here is such a list of one, serialized once and written as often as needed.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator
from typing import Final

from google.protobuf.message import Message

from parley.shared.dialects.rewriting import OURS, plain
from parley.shared.errors import MalformedMessage
from parley.shared.wire.framing import MAX_DATAGRAM, Frame, encode_frame, read_datagram
from parley.shared.wire.varints import varint

PART: Final = 4096
"""Bytes of a list that came which are taken at a time; a part may be longer by one entry."""

_FRAMING = len(" 1024 ") + len("\n")


_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5
"""Protobuf's wire types (protobuf.dev, "Encoding")."""
_FLOAT = struct.Struct("<f")


class TimedItem:
    """An item in its two forms: a Parley's, and that of all others.

    A Parley's ends in a field that is another number each time it is sent: an age, what remains.
    """

    __slots__ = ("_head", "_list_field", "_message", "_plain")

    def __init__(self, list_field: int, field: int, message: Message) -> None:
        """`message` is the entry without that field, `list_field` the entry's number in its list."""
        body = message.SerializeToString()
        tag = varint(field << 3 | _FIXED32)
        size = len(body) + len(tag) + _FLOAT.size
        self._head = varint(list_field << 3 | _LENGTH_DELIMITED) + varint(size) + body + tag
        self._list_field = list_field
        self._message = message
        self._plain: bytes | None = None

    def __len__(self) -> int:
        return len(self._head) + _FLOAT.size

    def at(self, value: float) -> bytes:
        """The item with that number in it."""
        return self._head + _FLOAT.pack(value)

    @property
    def plain(self) -> bytes:
        """The item for who is no Parley, made when somebody is; empty where the list is one of ours."""
        if self._plain is None:
            self._plain = b""
            if self._list_field < OURS:
                body = plain(self._message)
                self._plain = varint(self._list_field << 3 | _LENGTH_DELIMITED) + varint(len(body)) + body
        return self._plain


def room(name: str) -> int:
    """Bytes of items that a datagram of that name holds at most."""
    return MAX_DATAGRAM - len(name) - _FRAMING


def fits(name: str, item: bytes | TimedItem) -> bool:
    """Whether an item can be sent in a datagram at all."""
    return len(item) <= room(name)


def pack(name: str, items: Iterable[bytes], needed: int | None = None) -> Iterator[bytes]:
    """Frame items, in their order, as few datagrams; each item must fit in one.

    With `needed`, nothing is sent beyond the datagram that holds the item of that number: the items
    behind it only fill up what is sent anyway.
    """
    most = room(name)
    page: list[bytes] = []
    size = 0
    for count, item in enumerate(items):
        if size + len(item) > most:
            yield encode_frame(name, b"".join(page))
            page, size = [], 0
            if needed is not None and count >= needed:
                return
        page.append(item)
        size += len(item)
    if page:
        yield encode_frame(name, b"".join(page))


def pack_plain(name: str, live: Iterable[bytes], ended: Iterable[bytes] = ()) -> Iterator[bytes]:
    """The same of plain items, for who is no Parley.

    An existing client loses what stands behind an entry that has ended: such a one is the last of its list.
    """
    ended = iter(ended)
    yield from pack(name, itertools.chain(live, itertools.islice(ended, 1)))
    for item in ended:
        yield encode_frame(name, item)


def parts(frame: Frame) -> Iterator[Frame]:
    """A list that came as the shorter lists that it is made of: whoever takes them can pause between two.

    Raises:
        MalformedMessage: it is no list; what came before that was yielded.

    """
    payload = frame.payload
    start = at = 0
    while at < len(payload):
        if at - start >= PART:
            yield read_datagram(encode_frame(frame.name, payload[start:at]))
            start = at
        at = _after_field(payload, at)
    if at > len(payload):
        raise MalformedMessage(f"a {frame.name} that ends within an entry")
    yield read_datagram(encode_frame(frame.name, payload[start:]))


def _after_field(payload: bytes, at: int) -> int:
    """Where the field ends that begins there."""
    tag, at = _read_varint(payload, at)
    kind = tag & 0x7
    if kind == _LENGTH_DELIMITED:
        size, at = _read_varint(payload, at)
        return at + size
    if kind == _VARINT:
        return _read_varint(payload, at)[1]
    if kind in (_FIXED32, _FIXED64):
        return at + (4 if kind == _FIXED32 else 8)
    raise MalformedMessage("a list with a field of no kind that there is in one")


def _read_varint(payload: bytes, at: int) -> tuple[int, int]:
    """A number of up to ten bytes, and where it ends."""
    number = 0
    for shift, byte in enumerate(payload[at : at + 10]):
        number |= (byte & 0x7F) << 7 * shift
        if byte <= 0x7F:  # noqa: PLR2004 - seven bits a byte
            return number, at + shift + 1
    raise MalformedMessage("a list with a number that does not end")
