"""Lines of standard input as they come, whatever it is: a terminal, a pipe, a file, closed, left non-blocking.

A thread reads: a descriptor that an event loop waits for is made non-blocking for everybody who has it, and a
terminal would stay so.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from queue import SimpleQueue
from typing import Final

from parley.shared.errors import ConfigError, ParleyError
from parley.shared.sockets.descriptors import read_some

PIECE: Final = 1 << 16


class LineRefused(ParleyError):
    """A line that cannot be sent as a message; no part of it is."""

    reason = "line"


class Splitter:
    """Bytes in, lines out; of one that is longer than `longest` (bytes) nothing is kept. Pure."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._pieces: list[bytes] = []
        self._size = 0
        self.number = 0
        """Of the last line that came out."""

    def feed(self, data: bytes) -> list[bytes | LineRefused]:
        """The lines that end in these bytes, without their ends."""
        *ended, rest = data.split(b"\n")
        lines = [self._end(piece) for piece in ended]
        self._add(rest)
        return lines

    def end(self) -> list[bytes | LineRefused]:
        """The last line, which has no end of its own."""
        return [self._end(b"")] if self._size else []

    def _add(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._longest:
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def _end(self, piece: bytes) -> bytes | LineRefused:
        self._add(piece)
        self.number += 1
        size, line = self._size, b"".join(self._pieces)
        self._pieces, self._size = [], 0
        if size > self._longest:
            return LineRefused(
                f"line {self.number} is too long for a message: {size} bytes, and at most {self._longest} can be; "
                "nothing of it was sent; send it as a file"
            )
        return line


class InputLines:
    """The lines of a descriptor; it is read no further than it is asked for."""

    def __init__(self, descriptor: int, longest: int, encoding: str = "utf-8") -> None:
        """`encoding`: that of lines that are not UTF-8."""
        self._descriptor = descriptor
        self._encoding = encoding
        self._splitter = Splitter(longest)
        self._lines: deque[bytes | LineRefused] = deque()
        self._wanted: SimpleQueue[asyncio.Future[bytes]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ended = False
        self._number = 0

    async def next(self) -> str | None:
        """The next line; None at the end.

        Raises:
            LineRefused: it is too long, or no text.
            ConfigError: nothing can be read there.

        """
        while not self._lines and not self._ended:
            data = await self._read()
            self._ended = not data
            self._lines.extend(self._splitter.feed(data) if data else self._splitter.end())
        if not self._lines:
            return None
        self._number += 1
        line = self._lines.popleft()
        if isinstance(line, LineRefused):
            raise line
        return self._text(line)

    def _text(self, line: bytes) -> str:
        for encoding in ("utf-8", self._encoding):
            try:
                return line.decode(encoding)
            except UnicodeDecodeError:
                continue
        raise LineRefused(f"line {self._number} is no text in UTF-8, and was not sent; send it as a file")

    async def _read(self) -> bytes:
        if self._thread is None:  # a daemon: one that waits for a line holds up no end
            self._thread = threading.Thread(target=self._serve, daemon=True)
            self._thread.start()
        wanted: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._wanted.put(wanted)
        try:
            return await wanted
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigError(f"standard input cannot be read: {reason}") from None

    def _serve(self) -> None:
        """Read once for each that is wanted."""
        while True:
            wanted = self._wanted.get()
            loop = wanted.get_loop()
            try:
                data = read_some(self._descriptor, PIECE)
            except OSError as error:
                _hand_over(loop, wanted, error)
                return
            if not _hand_over(loop, wanted, data) or not data:
                return


def _hand_over(loop: asyncio.AbstractEventLoop, wanted: asyncio.Future[bytes], outcome: bytes | OSError) -> bool:
    """Hand over what was read; False where the loop is over."""

    def finish() -> None:
        if wanted.done():
            return
        if isinstance(outcome, OSError):
            wanted.set_exception(outcome)
        else:
            wanted.set_result(outcome)

    try:
        loop.call_soon_threadsafe(finish)
    except RuntimeError:
        return False
    return True
