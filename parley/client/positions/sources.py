"""Where positions come from: a fixed point, a file or a pipe, gpsd. Never the Internet.

Each source is an asynchronous iterator of positions, in the time in which they are to be told. Nothing is read
that is larger than a bound.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import select
import stat
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO, Final

from parley.client.positions.gpx import GpxDocument
from parley.client.positions.positions import LineReader, Playback, Position, fault_of, parse_gpsd, parse_position
from parley.shared.config import split_host_port
from parley.shared.errors import ConfigError, PeerUnreachable

GPSD: Final = "gpsd"
GPSD_PORT: Final = 2947
"""gpsd's (IANA)."""
_WATCH: Final = b'?WATCH={"enable":true,"json":true};\n'
_CHUNK: Final = 1 << 16
_LONGEST_LINE: Final = 1 << 16
_MOST_BLANKS: Final = 1 << 20
"""Bytes without a character in front of everything else."""
_WIDE: Final = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}
"""How what is not made of single bytes begins → how it is read."""
_OF_COORDINATES: Final = frozenset("0123456789+-.,;:=#° '\"\tNSEWOGU\N{MINUS SIGN}\N{PRIME}\N{DOUBLE PRIME}")
"""The characters that coordinates are written with, rightly or wrongly."""

Complain = Callable[[str], None]


def is_awaitable(file: BinaryIO) -> bool:
    """Whether a loop can wait for its input: a pipe, a terminal. Files and /dev/null never let anybody wait.

    A file is one by its kind: epoll takes those of FUSE and overlayfs for more than they are.
    """
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return False
    with select.epoll() as poll:
        try:
            poll.register(file.fileno(), select.EPOLLIN)
        except PermissionError:
            return False
    return True


def positions(
    name: str,
    *,
    every: float = 1.0,
    speed: float = 1.0,
    started: Callable[[], None] = lambda: None,
    complain: Complain = lambda _text: None,
) -> AsyncIterator[Position]:
    """The source of that name: LAT,LON · gpsd[://HOST[:PORT]] · a file · - for standard input.

    A track of a file is told in the time in which it was recorded, divided by `speed`; where it has no times, one
    position `every` seconds. What comes from a pipe is told as it comes; a GPX document is whole only at its end.
    `started` is called when the source could be read, `complain` once with the first line that is no position.

    Raises:
        ConfigError: there is no such source, or no position in it.
        PeerUnreachable: no gpsd answers. Both when iterated.

    """
    point = parse_position(name)
    if point is not None:
        return _point(point, started)
    if name == GPSD or name.startswith(f"{GPSD}://"):
        return _gpsd(name.removeprefix(GPSD).removeprefix("://"), started)
    return _file(name, Playback(every, speed), started, complain)


async def _point(position: Position, started: Callable[[], None]) -> AsyncIterator[Position]:
    started()
    yield position
    await asyncio.Event().wait()


async def _gpsd(where: str, started: Callable[[], None]) -> AsyncIterator[Position]:
    host, port = split_host_port(where, GPSD_PORT)
    try:
        reader, writer = await asyncio.open_connection(host or "127.0.0.1", port, limit=_LONGEST_LINE)
    except OSError:
        raise PeerUnreachable(f"no gpsd answers at {host or '127.0.0.1'}:{port}") from None
    started()
    try:
        writer.write(_WATCH)
        while line := await reader.readline():
            position = parse_gpsd(line.decode(errors="replace"))
            if position is not None:
                yield position
    except (OSError, ValueError):
        return
    finally:
        writer.close()


# Files and pipes ---------------------------------------------------------------------------------


async def _file(
    name: str, playback: Playback, started: Callable[[], None], complain: Complain
) -> AsyncIterator[Position]:
    try:
        file = await _open(name)
    except OSError as error:
        if _looks_like_coordinates(name):
            raise ConfigError(fault_of(name)) from None
        raise ConfigError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from None
    if file is None:
        raise _nothing(name)
    is_live = is_awaitable(file)
    chunks = _pipe(file) if is_live else _regular(file)
    try:
        if is_live:
            started()
        any_position = False
        async for position, delay in _track(chunks, playback, complain, is_live=is_live):
            if not any_position and not is_live:
                started()
            any_position = True
            await asyncio.sleep(delay)
            yield position
        if not any_position:
            raise _nothing(name)
    finally:
        await chunks.aclose()
        if name != "-":
            file.close()


async def _open(name: str) -> BinaryIO | None:
    """The file; None: our standard input is closed."""
    if name == "-":
        return sys.stdin.buffer if sys.stdin is not None else None
    return await asyncio.to_thread(Path(name).open, "rb")


def _looks_like_coordinates(name: str) -> bool:
    """Whether somebody meant it as coordinates, not as a file's name."""
    return any(map(str.isdigit, name)) and not set(name.upper()) - _OF_COORDINATES


def _nothing(name: str) -> ConfigError:
    what = "standard input" if name == "-" else name
    return ConfigError(f"{what} holds no position: neither GPX, nor NMEA, nor lines of LAT,LON")


async def _regular(file: BinaryIO) -> AsyncGenerator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk


async def _pipe(file: BinaryIO) -> AsyncGenerator[bytes]:
    """Yield bytes as they come. Other programs with this terminal or pipe get it back as it was."""
    reader = asyncio.StreamReader(limit=_CHUNK)
    was_blocking = os.get_blocking(file.fileno())
    own = os.fdopen(os.dup(file.fileno()), "rb", buffering=0)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), own)
    try:
        while chunk := await reader.read(_CHUNK):
            yield chunk
    except OSError:
        return  # a device that was unplugged
    finally:
        transport.close()
        os.set_blocking(file.fileno(), was_blocking)


# What they hold ----------------------------------------------------------------------------------


async def _track(
    chunks: AsyncGenerator[bytes], playback: Playback, complain: Complain, *, is_live: bool
) -> AsyncGenerator[tuple[Position, float]]:
    """Each position, and how many seconds to wait before it."""
    head, begun = b"", None
    while begun is None and (chunk := await anext(chunks, b"")):
        head += chunk
        begun = _beginning(head)
        if len(head) > _MOST_BLANKS:
            return
    if begun is None:
        return
    encoding, head, is_gpx = begun
    if is_gpx:
        for position in await _gpx(encoding, head, chunks, complain):
            yield position, playback.delay(position)
    else:
        async for position in _lines(encoding, head, chunks, complain):
            yield position, 0.0 if is_live else playback.delay(position)


def _beginning(head: bytes) -> tuple[str, bytes, bool] | None:
    """How something is encoded (empty: in single bytes), its beginning, and whether that is GPX's.

    None: there was nothing but a byte order mark and blanks so far.
    """
    for mark, encoding in _WIDE.items():
        if head.startswith(mark):
            text = codecs.getincrementaldecoder(encoding)("replace").decode(head).strip()
            return (encoding, head, text.startswith("<")) if text else None
    if len(head) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(head):
        return None
    head = head.removeprefix(codecs.BOM_UTF8).lstrip()
    return ("", head, head.startswith(b"<")) if len(head) > 1 else None


async def _gpx(encoding: str, head: bytes, chunks: AsyncIterator[bytes], complain: Complain) -> list[Position]:
    """All positions of a document; expat itself reads what single bytes stand for."""
    if not encoding:
        document = GpxDocument()
        document.feed(head)
        async for chunk in chunks:
            document.feed(chunk)
    else:
        document = GpxDocument("utf-8")
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        document.feed(decoder.decode(head).lstrip().encode())
        async for chunk in chunks:
            document.feed(decoder.decode(chunk).encode())
    track = document.close()
    if document.skipped:
        complain(f"{document.skipped} of its points have no latitude and longitude in degrees; they are skipped")
    return track


async def _lines(
    encoding: str, head: bytes, chunks: AsyncIterator[bytes], complain: Complain
) -> AsyncGenerator[Position]:
    """The positions of lines, each as soon as its line has ended."""
    decoder = codecs.getincrementaldecoder(encoding or "utf-8")("replace")
    lines, number, has_complained = LineReader(), 0, False
    rest = ""
    chunk, is_last = head, False
    while not is_last:
        is_last = not chunk
        rest += decoder.decode(chunk, final=is_last) + ("\n" if is_last else "")
        *whole, rest = rest.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in whole:
            number += 1
            position, fault = lines.read(line)
            if fault and not has_complained:
                complain(f"line {number}: {fault}; such lines are skipped")
                has_complained = True
            if position is not None:
                yield position
        if len(rest) > _LONGEST_LINE:
            raise ConfigError(f"a line of more than {_LONGEST_LINE} characters is no position")
        chunk = await anext(chunks, b"")
