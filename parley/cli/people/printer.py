"""Prints messages as they come, each whole and in order; one counts as taken only once it is printed.

A reader that is slow, a terminal that was stopped with Ctrl-S and a disk that is full make nothing wait but what is
to be printed: it is tried again until there is room.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import Final

from parley.cli.output import Output, OutputError
from parley.cli.terminal import line, note, stop
from parley.shared.errors import ParleyError
from parley.shared.printable import printable
from parley.shared.sockets.descriptors import take_back

MOST: Final = 16 * 1024 * 1024
"""Bytes that wait to be printed; what comes beyond waits at the server, which offers it again."""
SOON: Final = 0.02
LATE: Final = 1.0
"""Seconds until it is tried again: at first, and at most, where none of it is taken."""


class Held(ParleyError):
    """A line that cannot be printed now, nor be kept until it can; its message is not acknowledged."""

    reason = "held"


class Printer:
    """Lines for standard output that are printed when it takes them."""

    def __init__(self, output: Output | None = None) -> None:
        """`output`: standard output, where it is ours."""
        ours = sys.stdout if isinstance(sys.stdout, Output) else None
        self._output = output if output is not None else ours
        self._unprinted: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._begun = 0
        """Bytes of the first that are printed already."""
        self._size = 0
        self._delay = SOON
        self._has_complained = False

    def say(self, text: str) -> asyncio.Future[None] | None:
        """Print a line; what is done when it is printed, where that is not now.

        Raises:
            OutputError: nothing can be printed any more; the command ends.
            Held: too much waits.

        """
        if self._output is None:
            line(text)
            return None
        self.require_room()
        printed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        data = self._output.encoded(printable(text) + "\n")
        self._unprinted.append((data, printed))
        self._size += len(data)
        if len(self._unprinted) == 1:
            self._print()
        if not printed.done():
            return printed
        printed.result()
        return None

    @property
    def has_unprinted(self) -> bool:
        """Whether something waits to be printed."""
        return bool(self._unprinted)

    def require_room(self) -> None:
        """Held where too much waits."""
        if self._size > MOST:
            raise Held("standard output takes too little")

    def _print(self) -> None:
        """Print what can be printed now; the rest later."""
        while self._unprinted:
            data, printed = self._unprinted[0]
            try:
                written = self._write(data[self._begun :])
            except OutputError as error:
                self._give_up(error)
                return
            self._begun += written
            if written:
                self._delay = SOON
            if self._begun < len(data):
                asyncio.get_running_loop().call_later(self._delay, self._print)
                self._delay = min(self._delay * 2, LATE)
                return
            self._unprinted.popleft()
            self._size -= len(data)
            self._begun, self._delay, self._has_complained = 0, SOON, False
            if not printed.done():
                printed.set_result(None)

    def _write(self, data: bytes) -> int:
        """How many of these bytes were written. OutputError where there will never be room."""
        if (output := self._output) is None:
            return 0
        try:
            return output.write_ready(data)
        except OutputError as error:
            if not error.is_full:
                raise
            self._wait_for_room(output, error)
            return 0

    def _wait_for_room(self, output: Output, error: OutputError) -> None:
        """A full disk passes: say so once, and leave no half of a line in the file meanwhile."""
        output.fault, self._delay = None, LATE
        if take_back(output.fileno(), self._begun):
            self._begun = 0
        if not self._has_complained:
            note(f"parley: {error}; what comes is not acknowledged, and tried again until there is room")
            self._has_complained = True

    def _give_up(self, error: OutputError) -> None:
        for _, printed in self._unprinted:
            if not printed.done():
                printed.set_exception(error)
                printed.exception()  # whoever waits has been told; where nobody does, nobody is missed
        self._unprinted.clear()
        stop()
