"""The recorder between our nodes and existing programs: every frame, with its direction, as it is on the wire.

It sees the bytes before the program does, so that it has what the program loses, too; and it reads them by the
tables of protocol.md, with the tests' own codec.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from tests.interop.parley_only import parley_only
from tests.support import plain_wire as wire
from tests.support.plain_link import Endpoint, Link
from tests.support.plain_program import BUFFER

MOST: Final = 20_000
"""Frames that are kept."""


class Frame(NamedTuple):
    """One frame on a wire to or from an existing program."""

    at: float
    """time.monotonic()"""
    program: str
    other: Endpoint
    incoming: bool
    """To the program."""
    transport: str
    """tcp, udp, or broadcast."""
    name: str
    payload: bytes

    def __str__(self) -> str:
        arrow = "←" if self.incoming else "→"
        host, port = self.other
        return f"{self.program} {arrow} {host}:{port}/{self.transport} {self.name} {self.payload[:200].hex()}"


class Recorder:
    """All frames of a run; a program has a tap of it."""

    def __init__(self, nodes: Collection[str]) -> None:
        self.nodes = nodes
        """The addresses of our nodes."""
        self.frames: list[Frame] = []
        self._lock = threading.Lock()

    def tap(self, program: str, names: Collection[str], own: str) -> Tap:
        """What records for a program at the address `own`, which knows these names."""
        return Tap(self, program, names, own)

    def note(self, frame: Frame) -> None:
        """Keep it."""
        with self._lock:
            if len(self.frames) < MOST:
                self.frames.append(frame)

    def from_us(self) -> Iterator[Frame]:
        """What our nodes sent to existing programs, but for what they broadcast."""
        with self._lock:
            frames = list(self.frames)
        return (each for each in frames if each.incoming and each.other[0] in self.nodes)


class Tap:
    """One program's part of the recorder; `faults` are what no Parley may send to it."""

    def __init__(self, recorder: Recorder, program: str, names: Collection[str], own: str) -> None:
        self.faults: dict[str, Frame] = {}
        """What is wrong → the first frame with which it is."""
        self._recorder = recorder
        self._program = program
        self._names = names
        self._own = own
        self._readers: dict[tuple[Link, bool], wire.FrameReader] = {}

    def stream(self, link: Link, data: bytes, *, incoming: bool) -> None:
        """Bytes of a link."""
        reader = self._readers.setdefault((link, incoming), wire.FrameReader())
        try:
            for name, payload in reader.feed(data):
                self._note(link.remote, incoming, "tcp", name, payload)
        except wire.MalformedError:
            self._note(link.remote, incoming, "tcp", "(no frame)", data)

    def datagram(self, sock: socket.socket, other: Endpoint, data: bytes, *, incoming: bool) -> None:
        """A datagram; one for everybody comes to a socket that is bound to no address."""
        bound = sock.getsockname()[0]
        transport = "udp" if bound == self._own else "broadcast"
        try:
            name, payload = wire.only_frame(data)
        except wire.MalformedError:
            name, payload = "(no frame)", data
        self._note(other, incoming, transport, name, payload)
        if incoming and len(data) > BUFFER and other[0] in self._recorder.nodes:
            self._fault(f"{name}: a datagram of more than {BUFFER} bytes", self._recorder.frames[-1])

    def _note(self, other: Endpoint, incoming: bool, transport: str, name: str, payload: bytes) -> None:
        frame = Frame(time.monotonic(), self._program, other, incoming, transport, name, payload)
        self._recorder.note(frame)
        if incoming and transport != "broadcast" and other[0] in self._recorder.nodes:
            for fault in parley_only(name, payload, self._names):
                self._fault(fault, frame)

    def _fault(self, fault: str, frame: Frame) -> None:
        self.faults.setdefault(fault, frame)
