"""Frames as existing programs take them: no field of ours, no 0x0A at the end, statuses as they count. Pure.

Works on the encoded payload: what an existing program says to another goes through unchanged, its own fields too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import Message

from parley.shared.dialects.dialect import Dialect
from parley.shared.wire.framing import Frame, FrameReader, encode_frame
from parley.shared.wire.messages import pb
from parley.shared.wire.varints import varint

OURS: Final = 100
"""Field numbers from here up are Parley's (docs/protocol.md)."""
STRIPPED: Final = frozenset({"MESSAGE", "MESSAGE_ACK", "CONNECT_SERVER", "CONNECT_CLIENT", "CONNECTED"})
"""Frames that are sent unasked, and so have to be without fields of ours; who asks in ours is answered in ours."""
EDIT: Final = pb.ChatMessage.DESCRIPTOR.fields_by_name["edit"].number
END: Final = b"\xc0\x07\x01"
"""Field 120, a varint: 1. It stands last where no other field can."""
_MAY_DIFFER: Final = re.compile(rb"\n\n|[\x80-\xff](?:[\x06-\x0f]|[\x86-\x8f]\x80*\x00)")
"""A payload that ends in 0x0A, or the tag of a field from 96 to 255, however long; or bytes that look so."""
_LINE_FEED: Final = 0x0A
_VARINT, _FIXED64, _DELIMITED, _GROUP, _GROUP_END, _FIXED32 = 0, 1, 2, 3, 4, 5
_Field = tuple[int, bytes]


def rewrite(dialect: Dialect, raw: bytes) -> list[bytes]:
    """The frames for a program that speaks that dialect; `raw` holds whole frames."""
    return [_rewrite(dialect, frame) for frame in FrameReader(sys.maxsize).feed(raw)]


def for_stream(dialect: Dialect, not_taken: Callable[[Frame], None]) -> Callable[[bytes], bytes]:
    """The same, for who reads a stream: most frames are as they have to be, which one look tells.

    `not_taken` hears of each message that is not written, as it is for Parleys alone.
    """

    def for_one(raw: bytes) -> bytes:
        if not _MAY_DIFFER.search(raw):
            return raw
        frames = []
        for frame in FrameReader(sys.maxsize).feed(raw):
            if is_for_parleys(frame):
                not_taken(frame)
            else:
                frames.append(_rewrite(dialect, frame))
        return b"".join(frames)

    return for_one


def is_for_parleys(frame: Frame) -> bool:
    """Whether a message has a content that only Parleys know: without it, it would be an empty one."""
    return frame.name == "MESSAGE" and any(number == EDIT for number, _field in _fields(frame.payload))


def _rewrite(dialect: Dialect, frame: Frame) -> bytes:
    payload = before = frame.payload
    if frame.name == "MESSAGE_ACK" and dialect.first_status:
        payload = _count_statuses(payload, dialect.first_status)
    if frame.name in STRIPPED:
        fields = _fields(payload)
        kept = [field for field in fields if field[0] < OURS]
        if len(kept) < len(fields):
            payload = b"".join(field for _number, field in kept)
    if dialect.strips_line_feed:
        payload = end_otherwise(payload)
    return frame.raw if payload is before else encode_frame(frame.name, payload)


def _count_statuses(payload: bytes, first: int) -> bytes:
    """The statuses of a MESSAGE_ACK, from `first` up."""
    ack = pb.ChatMessageResponse.FromString(payload)
    for entry in ack.statuses:
        entry.status = entry.status + first  # type: ignore[assignment] # an open enumeration
    return ack.SerializeToString()


def read_status(dialect: Dialect, status: int) -> int:
    """A status that a program wrote, as Parley counts.

    A client that says nothing of ours may count from 0 or from 1: both its 1 and its 2 are DELIVERED.
    """
    delivered = pb.ChatMessageResponse.DeliveryStatus.DELIVERED
    if not dialect.is_parley and not dialect.is_server and status in (delivered, delivered + 1):
        return delivered
    return status - dialect.first_status if status >= dialect.first_status else status


def plain(message: Message) -> bytes:
    """A payload without any field of ours, however deep, and with another end than 0x0A.

    Fields below 100 that we do not know are an existing program's, and stay.
    """
    payload = _without_ours(message.SerializeToString(), message.DESCRIPTOR)
    if payload is None:
        known = type(message)()
        known.CopyFrom(message)
        known.DiscardUnknownFields()
        payload = _without_ours(known.SerializeToString(), known.DESCRIPTOR) or b""
    return end_otherwise(payload)


def _without_ours(payload: bytes, descriptor: Any) -> bytes | None:
    """The fields below OURS, and of those that are messages the same; None: not all of them can be read."""
    fields = _fields(payload)
    if payload and not fields:
        return None
    kept = []
    for number, field in fields:
        known = descriptor.fields_by_number.get(number)
        if number >= OURS:
            continue
        if _varint(field, 0)[0] & 7 == _GROUP:  # what is in it, nobody here looks at
            return None
        if known is not None and known.message_type is not None:
            tag, at = _varint(field, 0)
            inner = _without_ours(field[_varint(field, at)[1] :], known.message_type)
            if inner is None:
                return None
            field = varint(tag) + varint(len(inner)) + inner  # noqa: PLW2901 - the same field, shorter
        kept.append(field)
    return b"".join(kept)


def end_otherwise(payload: bytes) -> bytes:
    """The same fields, in an order in which 0x0A is not the last byte.

    Only a field that stands once is moved to the end: of others the order counts.
    """
    if not payload.endswith(b"\n"):
        return payload
    fields = _fields(payload)
    numbers = [number for number, _field in fields]
    for at, (number, field) in enumerate(fields[:-1]):
        if field[-1] != _LINE_FEED and numbers.count(number) == 1:
            rest = [other for place, (_number, other) in enumerate(fields) if place != at]
            return b"".join([*rest, field])
    return payload + END


def _fields(payload: bytes) -> list[_Field]:
    """The fields of a payload: number, and bytes with the tag; none where it is no message."""
    found: list[_Field] = []
    at, size = 0, len(payload)
    start = groups = number = 0
    while at < size:
        if not groups:
            start = at
        tag, at = _varint(payload, at)
        kind = tag & 7
        number = number if groups else tag >> 3
        if kind == _VARINT:
            _value, at = _varint(payload, at)
        elif kind == _DELIMITED:
            length, at = _varint(payload, at)
            at += length
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        elif kind == _GROUP:  # one that nobody makes any more, and every reader passes by
            groups += 1
        elif kind == _GROUP_END and groups:
            groups -= 1
        else:
            return []
        if at > size:
            return []
        if not groups:
            found.append((number, payload[start:at]))
    return [] if groups else found


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends; beyond the payload where it does not."""
    number = shift = 0
    while at < len(payload):
        byte = payload[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - seven bits a byte
            return number, at
    return number, at + 1
