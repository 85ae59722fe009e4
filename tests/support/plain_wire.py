"""Frames as the programs already in use write and read them.

A codec of its own, transcribed from protocol.md: it shares no code and no generated schema with
Parley, so that a mistake in one is not repeated in the other. It knows no field from 100 up. The tables
are in plain_tables.py.

Values: s=str, u32/u64/i32=int, f64=float, b=bytes, an enum its name (its number where it has none),
a message a dict, a repeated field a list.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tests.support.plain_tables import ENUMS, NAMES, SHEET, TYPES

Fields = dict[str, Any]

VARINT, FIXED64, LENGTH_DELIMITED, FIXED32 = 0, 1, 2, 5
PAYLOAD_LIMIT = 1 << 24  # bytes
HEADER_LIMIT = 80  # bytes; the longest name and the longest length are far below


class MalformedError(ValueError):
    """What was received is no frame, or its payload does not parse."""


class TooLargeError(MalformedError):
    """The header announces more payload than the reader takes."""


class Field(NamedTuple):
    """One line of a payload's table; `mark` is "repeated", "optional", a oneof's name or empty."""

    number: int
    name: str
    kind: str
    mark: str

    @property
    def wire_type(self) -> int:
        if self.kind == "f64":
            return FIXED64
        return LENGTH_DELIMITED if self.kind in ("s", "b") or self.kind in TYPES else VARINT


def _table(line: str) -> tuple[Field, ...]:
    rows = [(*row.split(), "")[:4] for row in line.split(";") if row.strip()]
    return tuple(Field(int(number), *rest) for number, *rest in sorted(rows, key=lambda row: int(row[0])))


FIELDS = {name: _table(line) for name, line in TYPES.items()}


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _integer(kind: str, value: int) -> bytes:
    low, high = {"u32": (0, 1 << 32), "u64": (0, 1 << 64)}.get(kind, (-(1 << 31), 1 << 31))
    if not low <= value < high:
        raise ValueError(f"{value} does not fit into {kind}")
    return _varint(value % (1 << 64))  # a negative i32 or enum takes ten bytes


def _encode_value(kind: str, value: Any) -> bytes:
    if kind == "f64":
        return struct.pack("<d", value)
    if kind in ENUMS:
        return _integer("enum", ENUMS[kind].index(value) if isinstance(value, str) else value)
    if kind in ("u32", "u64", "i32"):
        return _integer(kind, value)
    data = value.encode() if kind == "s" else value if kind == "b" else encode_payload(kind, value)
    return _varint(len(data)) + data


def encode_payload(kind: str, fields: Fields) -> bytes:
    """Write a payload of type `kind`, fields in ascending order; ValueError for an unknown field."""
    known = {field.name for field in FIELDS[kind]}
    if not known.issuperset(fields):
        raise ValueError(f"{kind} has no {sorted(set(fields) - known)}")
    out = bytearray()
    for field in FIELDS[kind]:
        if field.name not in fields:
            continue
        value = fields[field.name]
        for each in value if field.mark == "repeated" else [value]:
            encoded = _encode_value(field.kind, each)
            # A default of each kind is all zero bytes; proto3 leaves it out where nothing tracks presence.
            if field.mark or field.kind in TYPES or any(encoded):
                out += _varint(field.number << 3 | field.wire_type) + encoded
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for count, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value % (1 << 64), at + count + 1
    raise MalformedError(f"no varint at byte {at}")


def _read_value(wire_type: int, data: bytes, at: int) -> tuple[Any, int]:
    if wire_type == VARINT:
        return _read_varint(data, at)
    size = {FIXED64: 8, FIXED32: 4}.get(wire_type)
    if wire_type == LENGTH_DELIMITED:
        size, at = _read_varint(data, at)
    if size is None or at + size > len(data):
        raise MalformedError(f"wire type {wire_type} at byte {at} of {len(data)}")
    return data[at : at + size], at + size


def walk(data: bytes) -> Iterator[tuple[int, int, Any, int]]:
    """Each field of a payload: number, wire type, value as it stands there, where it ends. MalformedError."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        raw, at = _read_value(key & 7, data, at)
        if key < 8:
            raise MalformedError("field number 0")
        yield key >> 3, key & 7, raw, at


def _decode_value(kind: str, raw: Any, before: Any) -> Any:
    if kind in TYPES:
        return decode_payload(kind, raw, before)  # a repeated occurrence is merged into the first
    if kind == "f64":
        return struct.unpack("<d", raw)[0]
    if kind == "s":
        return raw.decode()
    if kind in ("b", "u64"):
        return raw
    number = raw % (1 << 32)
    if kind != "u32" and number >= 1 << 31:
        number -= 1 << 32
    names = ENUMS.get(kind, [])
    return names[number] if 0 <= number < len(names) else number


def decode_payload(kind: str, data: bytes, into: Fields | None = None) -> Fields:
    """Read the fields of a payload of type `kind`, skipping unknown ones. Raises MalformedError."""
    fields: Fields = {} if into is None else into
    for number, wire_type, raw, _ in walk(data):
        for field in FIELDS[kind]:
            if (field.number, field.wire_type) == (number, wire_type):
                try:
                    _store(FIELDS[kind], field, raw, fields)
                except UnicodeDecodeError as error:
                    raise MalformedError(f"{field.name} is not UTF-8") from error
    return fields


def _store(table: Iterable[Field], field: Field, raw: Any, fields: Fields) -> None:
    if field.mark == "repeated":
        fields.setdefault(field.name, []).append(_decode_value(field.kind, raw, None))
        return
    for other in table:
        if field.mark not in ("", "optional") and other.mark == field.mark and other != field:
            fields.pop(other.name, None)
    fields[field.name] = value = _decode_value(field.kind, raw, fields.get(field.name))
    if not field.mark and field.kind not in TYPES and not any(_encode_value(field.kind, value)):
        del fields[field.name]


def frame(name: str, payload: bytes = b"") -> bytes:
    """One frame around a payload, of any name."""
    return b"%s %d %s\n" % (name.encode("ascii"), len(payload), payload)


def encode(name: str, fields: Fields | None = None) -> bytes:
    """One frame; KeyError for a name that neither table of the protocol has."""
    return frame(name, encode_payload(NAMES.get(name) or SHEET[name], fields or {}))


def only_frame(data: bytes) -> tuple[str, bytes]:
    """Name and payload of the one frame that `data` is, a datagram for instance. Raises MalformedError."""
    reader = FrameReader()
    frames = list(reader.feed(data))
    if len(frames) != 1 or reader.pending:
        raise MalformedError(f"{len(frames)} frames and {len(reader.pending)} bytes")
    return frames[0]


def decode(data: bytes) -> tuple[str, Fields]:
    """Read the one frame that `data` is. Raises MalformedError."""
    name, payload = only_frame(data)
    return name, parse(name, payload)


def parse(name: str, payload: bytes, names: Mapping[str, str] = NAMES) -> Fields:
    """Read the fields of a frame's payload; none for a name that is not among `names`. Raises MalformedError."""
    return decode_payload(names[name], payload) if name in names else {}


class FrameReader:
    """Cuts a stream of bytes, in whatever pieces it comes, into (name, payload)."""

    HEADER = re.compile(rb"([A-Z][A-Z0-9_]*) ([0-9]+) ")
    BEGINNING = re.compile(rb"([A-Z][A-Z0-9_]*( [0-9]*)?)?")

    def __init__(self, limit: int = PAYLOAD_LIMIT) -> None:
        self.limit = limit
        self.pending = b""

    def feed(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield every complete frame. Raises MalformedError; TooLargeError from the header alone."""
        self.pending += data
        while header := self.HEADER.match(self.pending[:HEADER_LIMIT]):
            size = int(header[2])
            if size > self.limit:
                raise TooLargeError(f"{size} bytes announced, at most {self.limit} taken")
            start, end = header.end(), header.end() + size
            if len(self.pending) <= end:
                return
            if self.pending[end : end + 1] != b"\n":
                raise MalformedError("no line feed after the payload")
            payload, self.pending = self.pending[start:end], self.pending[end + 1 :]
            yield header[1].decode("ascii"), payload
        if len(self.pending) >= HEADER_LIMIT or not self.BEGINNING.fullmatch(self.pending):
            raise MalformedError("no frame header")
