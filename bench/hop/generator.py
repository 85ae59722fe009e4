"""The two clients of a system as one compiled thread (generator.c), the same for every system.

A system says how its author's messages look (`Hop.message`), what its recipient gets (`Records`), and what the
recipient answers (`Answer`); `Generator.run` sends, takes, answers and times. That each message came once, in order
and whole is looked at for every one.
"""

from __future__ import annotations

import ctypes
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = ("-O2", "-Wall", "-Wextra")
FILL = b"x" * 92
"""What follows a message's number of eight digits in its text of 100 bytes."""
FIXED, DELIMITED, NATS, PARLEY_ACK = range(4)
RECEIVED, ACKNOWLEDGED = 1, 2
PATIENCE = 10.0
"""Seconds without anything that comes, after which what is missing will not come."""


class LoadError(Exception):
    """A system lost, doubled, reordered or spoiled messages, or stopped passing them on."""


def text(number: int) -> bytes:
    """A message's text: 100 bytes."""
    return b"%08d" % number + FILL


@dataclass
class Records:
    """How what comes at one end looks: which fields matter depends on `kind`, see generator.c."""

    kind: int
    is_numbered: bool = True
    pattern: bytes = b""
    holes: Sequence[tuple[int, int]] = ()
    """FIXED: from and until where the bytes may differ from the pattern."""
    offset: int = 0
    marker: bytes = b""
    end: bytes = b""
    first: int = 0

    @property
    def mask(self) -> bytes:
        """FIXED: 0xFF for each byte that must be as in the pattern."""
        mask = bytearray(b"\xff" * len(self.pattern))
        for start, stop in self.holes:
            mask[start:stop] = bytes(stop - start)
        return bytes(mask)


@dataclass
class Answer:
    """What the recipient answers to each record: `template`, or nothing where that is empty.

    `length` bytes of the record, from `start` on, are put in at `to`.
    """

    template: bytes = b""
    start: int = 0
    length: int = 0
    to: int = 0
    is_reply: bool = False
    """To the record's own reply subject, as NATS does."""


@dataclass
class Hop:
    """Two connected clients, and what they speak."""

    author: socket.socket
    recipient: socket.socket
    message: Callable[[int], bytes]
    """The bytes with which the author sends the message of that number: always of the same length."""
    comes: Records
    told: Records = field(default_factory=lambda: Records(DELIMITED, is_numbered=False, marker=b"\n", end=b"\n"))
    answer: Answer = field(default_factory=Answer)
    is_told: bool = False
    """Whether the author is told of each message, by `told`."""
    author_tls: int | None = None
    recipient_tls: int | None = None
    """Their TLS, as tls.py began it; None: they speak in plain."""


@dataclass
class Run:
    """What came of one run. Times in seconds; `cpu` is that of the generating thread."""

    messages: int
    seconds: float
    cpu: float
    latencies: list[float]


class _Records(ctypes.Structure):
    _fields_ = [
        ("kind", ctypes.c_int32),
        ("number", ctypes.c_int32),
        ("pattern", ctypes.c_char_p),
        ("mask", ctypes.c_char_p),
        ("length", ctypes.c_uint64),
        ("offset", ctypes.c_uint64),
        ("marker", ctypes.c_char_p),
        ("end", ctypes.c_char_p),
        ("marker_length", ctypes.c_uint64),
        ("end_length", ctypes.c_uint64),
        ("fill", ctypes.c_char_p),
        ("fill_length", ctypes.c_uint64),
        ("first", ctypes.c_uint64),
    ]


class _Answer(ctypes.Structure):
    _fields_ = [
        ("bytes", ctypes.c_char_p),
        ("size", ctypes.c_uint64),
        ("from", ctypes.c_uint64),
        ("length", ctypes.c_uint64),
        ("to", ctypes.c_uint64),
        ("reply", ctypes.c_int32),
    ]


class _Hop(ctypes.Structure):
    _fields_ = [
        ("author", ctypes.c_int32),
        ("recipient", ctypes.c_int32),
        ("author_tls", ctypes.c_void_p),
        ("recipient_tls", ctypes.c_void_p),
        ("told", _Records),
        ("comes", _Records),
        ("answer", _Answer),
        ("is_told", ctypes.c_int32),
    ]


class _Task(ctypes.Structure):
    _fields_ = [
        ("stream", ctypes.c_char_p),
        ("length", ctypes.c_uint64),
        ("first", ctypes.c_uint64),
        ("total", ctypes.c_uint64),
        ("window", ctypes.c_uint64),
        ("batch", ctypes.c_uint64),
        ("until", ctypes.c_int32),
        ("patience", ctypes.c_double),
        ("limit", ctypes.c_double),
        ("latencies", ctypes.POINTER(ctypes.c_double)),
        ("seconds", ctypes.c_double),
        ("cpu", ctypes.c_double),
        ("received", ctypes.c_uint64),
        ("acknowledged", ctypes.c_uint64),
        ("wrong", ctypes.c_uint64),
        ("aside", ctypes.c_uint64),
    ]


def _records(records: Records) -> _Records:
    return _Records(
        kind=records.kind,
        number=records.is_numbered,
        pattern=records.pattern,
        mask=records.mask,
        length=len(records.pattern),
        offset=records.offset,
        marker=records.marker,
        end=records.end,
        marker_length=len(records.marker),
        end_length=len(records.end),
        fill=FILL,
        fill_length=len(FILL),
        first=records.first,
    )


def _hop(hop: Hop) -> _Hop:
    answer = hop.answer
    return _Hop(
        hop.author.fileno(),
        hop.recipient.fileno(),
        hop.author_tls,
        hop.recipient_tls,
        _records(hop.told),
        _records(hop.comes),
        _Answer(answer.template, len(answer.template), answer.start, answer.length, answer.to, answer.is_reply),
        hop.is_told,
    )


def compiled(directory: Path, source: str, target: str, *flags: str, after: Sequence[str] = ()) -> Path:
    """Compile one of the C files here into a directory. RuntimeError where that cannot be."""
    path = directory / target
    if not path.exists():
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise RuntimeError("there is no C compiler: install gcc and libc6-dev")
        command = [compiler, *FLAGS, *flags, "-o", str(path), str(HERE / source), *after]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{source} could not be compiled: {done.stderr}")
    return path


def library(directory: Path, *, is_secure: bool) -> ctypes.CDLL:
    """The compiled generator; `is_secure`: with OpenSSL."""
    if not is_secure:
        return ctypes.CDLL(str(compiled(directory, "generator.c", "generator.so", "-shared", "-fPIC")))
    flags = ("-shared", "-fPIC", "-DTLS")
    return ctypes.CDLL(
        str(compiled(directory, "generator.c", "generator-tls.so", *flags, after=("-lssl", "-lcrypto")))
    )


class Generator:
    """The compiled thread, for one connected pair of clients. Numbers go on from run to run."""

    def __init__(self, directory: Path, hop: Hop, limit: float = 60.0) -> None:
        """`directory` takes what is compiled; `limit`: seconds from now until the last run must be over."""
        self.hop = hop
        self._deadline = time.monotonic() + limit
        self._run = library(directory, is_secure=hop.author_tls is not None).run
        self._first = 0
        for sock in (hop.author, hop.recipient):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def stream(self, first: int, total: int) -> bytes:
        """The author's bytes for that many messages."""
        return b"".join(map(self.hop.message, range(first, first + total)))

    def run(
        self, total: int, *, window: int = 0, batch: int = 0, until: int = RECEIVED, timed: bool = False
    ) -> Run:
        """Send `total` messages; take the time until all are received, or acknowledged too.

        `window`: so many of them unfinished at most (0: no limit). `batch`: so many in one send (0: as many as may
        go). `timed`: note each message's time from the send to having come whole; for a window of 1.

        Raises:
            LoadError: not every message came once, in order and whole.

        """
        times = (ctypes.c_double * total)() if timed else None
        stream = self.stream(self._first, total)
        task = _Task(
            stream=stream,
            length=len(stream) // total,
            first=self._first,
            total=total,
            window=window,
            batch=batch,
            until=until,
            patience=PATIENCE,
            limit=self._deadline - time.monotonic(),
            latencies=times,
        )
        result = self._run(ctypes.byref(_hop(self.hop)), ctypes.byref(task))
        self._first += total
        if result or task.wrong:
            ended = {
                -1: "a link was closed; ",
                -2: f"nothing came for {PATIENCE:g} s; ",
                -3: "it took too long; ",
            }.get(result, "")
            raise LoadError(
                f"{ended}of {total} messages {task.received} came, {task.acknowledged} were acknowledged, "
                f"{task.wrong} were wrong"
            )
        return Run(total, task.seconds, task.cpu, list(times) if times else [])
