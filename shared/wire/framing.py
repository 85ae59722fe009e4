"""Bytes in, frames out: `NAME SP LENGTH SP PAYLOAD LF` (protocol.md, "Framing").

The same on TCP (`FrameReader`) and in a datagram (`read_datagram`). A frame keeps the bytes that it came
in, so that what is passed on is passed on as it came. Where the compiled core is there, its two classes stand for
these (shared/core/io/frames.c).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Protocol

from parley.shared.compiled import core, same_as_compiled
from parley.shared.errors import FrameTooLarge, MalformedMessage, RemoteProtocolError, bare

MAX_DATAGRAM = 1024
"""Bytes: existing programs receive datagrams into buffers of this size."""

LONGEST_NAME: Final = 64
MOST_DIGITS: Final = 20
same_as_compiled(LONGEST_NAME=LONGEST_NAME, MOST_DIGITS=MOST_DIGITS)

_NAME_IN = rb"[A-Z][A-Z0-9_]{0,%d}" % (LONGEST_NAME - 1)
_HEADER = re.compile(rb"(%b) ([0-9]{1,%d}) " % (_NAME_IN, MOST_DIGITS))
_HEADER_BEGUN = re.compile(rb"%b(?: [0-9]{0,%d})?" % (_NAME_IN, MOST_DIGITS))
_LONGEST_HEADER = LONGEST_NAME + 1 + MOST_DIGITS + 1
_LF = 0x0A
TLS: Final = 0x16
"""The first byte of TLS: a record of the handshake (RFC 8446, section 5.1). No frame begins so."""
BEGAN_TLS: Final = "began TLS"
"""The fault of a stream that does."""
_NAME = attrgetter("name")


class Frame:
    """One message as it came: its name, and its bytes whole (`raw`) and without framing (`payload`)."""

    __slots__ = ("_start", "name", "raw")

    def __init__(self, name: str, raw: bytes, start: int) -> None:
        self.name = name
        self.raw = raw
        self._start = start

    @property
    def payload(self) -> bytes:
        """The protobuf bytes."""
        return self.raw[self._start : -1]

    def __repr__(self) -> str:
        return f"<Frame {self.name}, {len(self.raw) - self._start - 1} bytes of payload>"


def encode_frame(name: str, payload: bytes = b"") -> bytes:
    """Frame a payload."""
    return b"%b %d %b\n" % (name.encode("ascii"), len(payload), payload)


class FrameReader:
    """Cuts a stream into frames.

    What was read before a fault is returned; the fault then stands in `error`, and nothing more is read.
    """

    __slots__ = ("_control", "_limit", "_rest", "_wanted", "allowed", "error", "fed_at", "has_control")

    def __init__(self, limit: int, control: frozenset[str] = frozenset()) -> None:
        """`limit` is the largest payload accepted, in bytes; `control` are names that are told apart."""
        self.error: RemoteProtocolError | None = None
        self.has_control = False
        """Whether any of the frames that `feed` returned last has such a name."""
        self.fed_at = 0.0
        """When it was fed last (seconds, monotonic): whoever feeds it notes it."""
        self.allowed = limit
        """The largest payload accepted just now. What is larger waits if it came in one read with what it follows,
        which may change this; else it is refused."""
        self._control = control
        self._limit = limit
        self._rest = bytearray()
        self._wanted = 0

    @property
    def buffered(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._rest)

    def close(self) -> None:
        """Let go of them: nothing more is read."""
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take what was read; return the frames that it completes."""
        frames = self._feed(data)
        self.has_control = not self._control.isdisjoint(map(_NAME, frames))
        return frames

    def _feed(self, data: bytes) -> list[Frame]:
        if self.error is not None:
            return []
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        frames: list[Frame] = []
        try:
            position = self._cut(data, frames)
        except RemoteProtocolError as error:
            self.error = bare(error)
            return frames
        if position < len(data):
            self._rest += data[position:] if position else data
        return frames

    def _cut(self, data: bytes, frames: list[Frame]) -> int:
        """Append each whole frame of `data` to `frames`; return where the first that is not whole begins."""
        position, size, allowed = 0, len(data), min(self.allowed, self._limit)
        while position < size:
            header = _HEADER.match(data, position)
            if header is None:
                _check_begun_header(data[position : position + _LONGEST_HEADER + 1])
                self._wanted = 0
                return position
            name, digits = header.groups()
            length, body = int(digits), header.end()
            if length > allowed:
                if not frames or length > self._limit:
                    raise FrameTooLarge(length, allowed)  # before any payload is waited for
                self._wanted = 0
                return position
            end = body + length + 1
            if end > size:
                self._wanted = end - position
                return position
            if data[end - 1] != _LF:
                raise MalformedMessage(f"byte {end - position} of a {name.decode()} is no line feed")
            frames.append(Frame(name.decode("ascii"), data[position:end], body - position))
            position = end
        return position


def _check_begun_header(start: bytes) -> None:
    """Refuse at once what can no longer become a header."""
    if not _HEADER_BEGUN.fullmatch(start):
        if start[0] == TLS:
            raise MalformedMessage(BEGAN_TLS)
        raise MalformedMessage(f"{start[:24]!r} begins no frame")


PureFrame, PureFrameReader = Frame, FrameReader


def find_fault(data: bytes, limit: int) -> RemoteProtocolError | None:
    """The fault of a stream, if it has one: the compiled reader leaves the words to us."""
    reader = PureFrameReader(limit)
    reader.feed(data)
    return reader.error


class Counted(Protocol):
    """Counts by name: tallies.py."""

    def add(self, name: str, more: int) -> None:
        """Count so many more of a name."""


def count_pure(frames: Iterable[Frame], counts: Counted) -> None:
    """Count frames by name."""
    names = list(map(_NAME, frames))
    for name in set(names):
        counts.add(name, names.count(name))


def count_sent_pure(raws: Iterable[bytes], counts: Counted) -> None:
    """The same of frames as bytes, each by the name that it begins with."""
    start, run = b"", 0
    for raw in raws:
        if start and raw.startswith(start):
            run += 1
        else:
            counts.add(start[:-1].decode(), run)
            start, run = raw[: raw.find(b" ") + 1], 1
    counts.add(start[:-1].decode(), run)


count_frames, count_sent = count_pure, count_sent_pure
if not TYPE_CHECKING and core is not None:
    Frame, FrameReader, count_frames, count_sent = core.Frame, core.FrameReader, core.count_frames, core.count_sent


def read_datagram(data: bytes) -> Frame:
    """Read the one frame that a datagram holds; MalformedMessage where it holds anything else."""
    header = _HEADER.match(data)
    if header is None or header.end() + int(header[2]) + 1 != len(data) or data[-1] != _LF:
        raise MalformedMessage(f"a datagram of {len(data)} bytes holds no single frame")
    return Frame(header[1].decode("ascii"), data, header.end())
