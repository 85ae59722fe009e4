"""Both programs of code base 2 read one frame per recv(1500), and number messages by the second."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tests.support import plain_wire as wire
from tests.support.plain_link import Link
from tests.support.plain_program import PlainProgram

PORT = 65433
AT_ONCE = 1500
PART = "(part of a frame)"
ALL_NAMES = {**wire.NAMES, **wire.SHEET}
STATUSES = {number + 1: name for number, name in enumerate(wire.ENUMS["Status"])}
"""The sheet's status numbers."""
NUMBERS = {name: number for number, name in STATUSES.items()}


def number_now() -> int:
    """The number of a message that is sent now."""
    return int(time.time())


def status_of(entry: wire.Fields) -> str:
    """A status by the sheet's numbers, where the codec read code base 1's."""
    said = entry.get("status", 0)
    number = wire.ENUMS["Status"].index(said) if isinstance(said, str) else said
    return STATUSES.get(number, f"status {number}")


class CodeTwoProgram(PlainProgram):
    """`lost` names the frames that came and that it did not see; PART stands for what is no whole frame."""

    names = ALL_NAMES
    at_once = AT_ONCE

    def __init__(self, address: str, broadcast: str, discovery_port: int) -> None:
        super().__init__(address, broadcast, discovery_port)
        self.lost: list[str] = []

    def cut(self, _link: Link, data: bytes) -> Iterator[tuple[str, bytes]]:
        """The frame at the beginning, if it is there whole; what comes behind it is lost."""
        header = wire.FrameReader.HEADER.match(data)
        end = header.end() + int(header[2]) if header else 0
        if header is None or data[end : end + 1] != b"\n":
            self.lost.append(PART)
            return
        self.lost += _names(data[end + 1 :])
        yield header[1].decode("ascii"), data[header.end() : end]

    def on_malformed(self, _link: Link, _error: wire.MalformedError) -> None:
        """It is lost."""
        self.lost.append(PART)

    def on_unsupported(self, _link: Link, name: str) -> None:
        """It is lost."""
        self.lost.append(name)


def _names(data: bytes) -> list[str]:
    """The names of the frames that begin there."""
    reader = wire.FrameReader()
    try:
        names = [name for name, _ in reader.feed(data)]
    except wire.MalformedError:
        return [PART]
    return [*names, PART] if reader.pending else names
