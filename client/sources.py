"""Where positions come from: a fixed point, a file or a pipe, gpsd. Never the Internet.

Each source is an asynchronous iterator of fixes, in the time in which they are to be told.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

from client.fixes import Fix, paces, parse_gpsd, parse_gpx, parse_line
from shared.config import split_host_port
from shared.errors import ConfigError, PeerUnreachable

GPSD = "gpsd"
GPSD_PORT = 2947
"""gpsd's (IANA)."""
_WATCH = b'?WATCH={"enable":true,"json":true};\n'
_LARGEST_LINE = 1 << 16


def positions(name: str, *, every: float = 1.0, speed: float = 1.0) -> AsyncIterator[Fix]:
    """The source of that name: LAT,LON · gpsd[://HOST[:PORT]] · a file · - for standard input.

    A track of a file is told in the time in which it was recorded, divided by `speed`; where it has no times, one
    position `every` seconds. What comes from a pipe is told as it comes.

    Raises:
        ConfigError: there is no such source; PeerUnreachable: no gpsd answers. Both when iterated.

    """
    fixed = parse_line(name)
    if fixed is not None:
        return _fixed(fixed)
    if name == GPSD or name.startswith(f"{GPSD}://"):
        return _gpsd(name.removeprefix(GPSD).removeprefix("://"))
    return _file(name, every, speed)


async def _fixed(fix: Fix) -> AsyncIterator[Fix]:
    yield fix
    await asyncio.Event().wait()


async def _gpsd(place: str) -> AsyncIterator[Fix]:
    host, port = split_host_port(place, GPSD_PORT)
    try:
        reader, writer = await asyncio.open_connection(host or "127.0.0.1", port, limit=_LARGEST_LINE)
    except OSError:
        raise PeerUnreachable(f"no gpsd answers at {host or '127.0.0.1'}:{port}") from None
    try:
        writer.write(_WATCH)
        while line := await reader.readline():
            fix = parse_gpsd(line.decode(errors="replace"))
            if fix is not None:
                yield fix
    except (OSError, ValueError):
        return
    finally:
        writer.close()


async def _file(name: str, every: float, speed: float) -> AsyncIterator[Fix]:
    try:
        file: BinaryIO = sys.stdin.buffer if name == "-" else await asyncio.to_thread(Path(name).open, "rb")
    except OSError as error:
        raise ConfigError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from None
    try:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            for delay, fix in paces(_whole(await asyncio.to_thread(file.read), name), every, speed):
                await asyncio.sleep(delay)
                yield fix
        else:
            async for fix in _pipe(file, every, speed):
                yield fix
    finally:
        if name != "-":
            file.close()


def _whole(data: bytes, name: str) -> list[Fix]:
    """All fixes of a file."""
    text = data.decode(errors="replace")
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return parse_gpx(text)
    fixes = [fix for fix in map(parse_line, text.splitlines()) if fix is not None]
    if not fixes:
        raise ConfigError(f"{name} holds no position: neither GPX, nor NMEA, nor lines of LAT,LON")
    return fixes


async def _pipe(file: BinaryIO, every: float, speed: float) -> AsyncIterator[Fix]:
    """Lines as they come; a GPX document is whole only at its end."""
    reader = asyncio.StreamReader(limit=_LARGEST_LINE)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    try:
        while line := await reader.readline():
            if line.lstrip().startswith(b"<"):
                for delay, fix in paces(
                    parse_gpx((line + await reader.read()).decode(errors="replace")), every, speed
                ):
                    await asyncio.sleep(delay)
                    yield fix
                return
            found = parse_line(line.decode(errors="replace"))
            if found is not None:
                yield found
    except ValueError:
        raise ConfigError(f"a line of more than {_LARGEST_LINE} bytes is no position") from None
    finally:
        transport.close()
