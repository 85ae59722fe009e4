"""Where positions come from: a fixed point, a file or a pipe, gpsd. Never the Internet.

Each source is an asynchronous iterator of fixes, in the time in which they are to be told.
"""

from __future__ import annotations

import asyncio
import select
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

from client.fixes import Fix, fault_of, numbers_of, paces, parse_gpsd, parse_gpx, parse_line
from shared.config import split_host_port
from shared.errors import ConfigError, PeerUnreachable

GPSD = "gpsd"
GPSD_PORT = 2947
"""gpsd's (IANA)."""
_WATCH = b'?WATCH={"enable":true,"json":true};\n'
_LARGEST_LINE = 1 << 16

Tell = Callable[[str], None]


def is_awaitable(file: BinaryIO) -> bool:
    """Whether a loop can wait for its input: a pipe, a terminal. Files and /dev/null never let anybody wait."""
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
    opened: Callable[[], None] = lambda: None,
    complain: Tell = lambda _text: None,
) -> AsyncIterator[Fix]:
    """The source of that name: LAT,LON · gpsd[://HOST[:PORT]] · a file · - for standard input.

    A track of a file is told in the time in which it was recorded, divided by `speed`; where it has no times, one
    position `every` seconds. What comes from a pipe is told as it comes. `opened` is called when the source
    could be read, `complain` once with the first line that is no position.

    Raises:
        ConfigError: there is no such source, or no position in it.
        PeerUnreachable: no gpsd answers. Both when iterated.

    """
    fixed = parse_line(name)
    if fixed is not None:
        return _fixed(fixed, opened)
    if name == GPSD or name.startswith(f"{GPSD}://"):
        return _gpsd(name.removeprefix(GPSD).removeprefix("://"), opened)
    return _file(name, every, speed, opened, complain)


async def _fixed(fix: Fix, opened: Callable[[], None]) -> AsyncIterator[Fix]:
    opened()
    yield fix
    await asyncio.Event().wait()


async def _gpsd(place: str, opened: Callable[[], None]) -> AsyncIterator[Fix]:
    host, port = split_host_port(place, GPSD_PORT)
    try:
        reader, writer = await asyncio.open_connection(host or "127.0.0.1", port, limit=_LARGEST_LINE)
    except OSError:
        raise PeerUnreachable(f"no gpsd answers at {host or '127.0.0.1'}:{port}") from None
    opened()
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


async def _file(
    name: str, every: float, speed: float, opened: Callable[[], None], complain: Tell
) -> AsyncIterator[Fix]:
    try:
        file = await _open(name)
    except OSError as error:
        if numbers_of(name) is not None:
            raise ConfigError(fault_of(name)) from None
        raise ConfigError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from None
    if file is None:
        raise _nothing(name)
    lines = _Lines(complain)
    try:
        if is_awaitable(file):
            opened()
            async for fix in _pipe(file, every, speed, lines):
                yield fix
            if not lines.any:
                raise _nothing(name)
        else:
            fixes = _whole(await asyncio.to_thread(file.read), name, lines)
            opened()
            for delay, fix in paces(fixes, every, speed):
                await asyncio.sleep(delay)
                yield fix
    finally:
        if name != "-":
            file.close()


async def _open(name: str) -> BinaryIO | None:
    """The file; None: our standard input is closed."""
    if name == "-":
        return sys.stdin.buffer if sys.stdin is not None else None
    return await asyncio.to_thread(Path(name).open, "rb")


def _nothing(name: str) -> ConfigError:
    what = "standard input" if name == "-" else name
    return ConfigError(f"{what} holds no position: neither GPX, nor NMEA, nor lines of LAT,LON")


class _Lines:
    """Reads lines; complains once, of the first that is none."""

    def __init__(self, complain: Tell) -> None:
        self._complain: Tell | None = complain
        self._number = 0
        self.any = False
        """Whether there was a position."""

    def read(self, text: str) -> Fix | None:
        """The position of the next line, if it has one."""
        self._number += 1
        fix = parse_line(text)
        self.any = self.any or fix is not None
        if fix is None and self._complain is not None and (fault := fault_of(text)):
            self._complain(f"line {self._number}: {fault}; such lines are skipped")
            self._complain = None
        return fix


def _whole(data: bytes, name: str, lines: _Lines) -> list[Fix]:
    """All fixes of a file."""
    text = data.decode(errors="replace")
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return parse_gpx(text)
    fixes = [fix for fix in map(lines.read, text.splitlines()) if fix is not None]
    if not fixes:
        raise _nothing(name)
    return fixes


async def _pipe(file: BinaryIO, every: float, speed: float, lines: _Lines) -> AsyncIterator[Fix]:
    """Lines as they come; a GPX document is whole only at its end."""
    reader = asyncio.StreamReader(limit=_LARGEST_LINE)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
    try:
        while line := await reader.readline():
            if line.lstrip().startswith(b"<"):
                fixes = parse_gpx((line + await reader.read()).decode(errors="replace"))
                lines.any = True
                for delay, fix in paces(fixes, every, speed):
                    await asyncio.sleep(delay)
                    yield fix
                return
            found = lines.read(line.decode(errors="replace"))
            if found is not None:
                yield found
    except ValueError:
        raise ConfigError(f"a line of more than {_LARGEST_LINE} bytes is no position") from None
    finally:
        transport.close()
