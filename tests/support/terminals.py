r"""A command at a terminal of its own: keys in, and the screen as a person sees it out.

    with Terminal("chat", "--as", "alice@alpha", environment=environment) as terminal:
        terminal.wait("you are alice@alpha")
        terminal.type("bob@beta: hello\r")

The screen understands what line editors send: cursor movements, erasing, line ends. Colours are skipped.
"""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from tests.support.commands import PARLEY
from tests.support.nodes import ROOT, TIMEOUT, wait_until

COLUMNS, ROWS = 100, 50
_SEQUENCE = re.compile(r"\x1b\[([?>]?)([0-9;]*)([A-Za-z])|\x1b[()=>].?|\x1b\][^\x07]*\x07")


class Screen:
    """What a terminal shows after all that was written to it, as lines."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0

    @property
    def lines(self) -> list[str]:
        """The lines, without the spaces at their ends."""
        return ["".join(row).rstrip() for row in self.rows]

    def feed(self, text: str) -> None:
        """Take what a program wrote."""
        position = 0
        while position < len(text):
            if sequence := _SEQUENCE.match(text, position):
                position = sequence.end()
                if sequence[3] and not sequence[1]:
                    self._move(sequence[3], int(sequence[2].split(";")[0] or 0))
                continue
            self._character(text[position])
            position += 1

    def _move(self, kind: str, number: int) -> None:
        count = max(number, 1)
        if kind == "A":
            self.row = max(self.row - count, 0)
        elif kind == "B":
            self._go_down(count)
        elif kind == "C":
            self.column += count
        elif kind == "D":
            self.column = max(self.column - count, 0)
        elif kind == "K":
            del self.rows[self.row][self.column :]
        elif kind == "J":
            del self.rows[self.row][self.column :]
            del self.rows[self.row + 1 :]

    def _go_down(self, count: int) -> None:
        self.row += count
        while len(self.rows) <= self.row:
            self.rows.append([])

    def _character(self, character: str) -> None:
        if character == "\n":
            self._go_down(1)
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(self.column - 1, 0)
        elif character >= " ":
            row = self.rows[self.row]
            row.extend(" " * (self.column + 1 - len(row)))
            row[self.column] = character
            self.column += 1


class Terminal:
    """A command with a terminal; a context manager that leaves nothing behind."""

    def __init__(self, *arguments: str, environment: Mapping[str, str], term: str = "xterm") -> None:
        self._arguments = [PARLEY, *arguments]
        self._environment = dict(environment) | {"TERM": term}
        self._written = b""

    def __enter__(self) -> Self:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.settings = termios.tcgetattr(theirs)
        self.popen = subprocess.Popen(
            self._arguments,
            cwd=ROOT,
            env=self._environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        self.theirs = theirs
        """The end that the command has; its flags are shared with it."""
        os.set_blocking(self._ours, False)
        return self

    def __exit__(self, *_: object) -> None:
        self.popen.kill()
        self.popen.wait()
        os.close(self._ours)
        os.close(self.theirs)

    def type(self, keys: str) -> None:
        """Press keys; Enter is a carriage return."""
        os.write(self._ours, keys.encode())

    @property
    def lines(self) -> list[str]:
        """What the screen shows now."""
        with suppress(OSError):  # nothing new
            while data := os.read(self._ours, 65536):
                self._written += data
        screen = Screen()
        screen.feed(self._written.decode(errors="replace"))
        return [line for line in screen.lines if line]

    def wait(self, pattern: str, timeout: float = TIMEOUT) -> str:
        """Wait for a line that a regular expression is found in; return it."""

        def found() -> str | None:
            lines = self.lines
            line = next((line for line in lines if re.search(pattern, line)), None)
            if line is None and self.popen.poll() is not None:
                raise RuntimeError(f"ended with {self.popen.returncode}: {lines}")
            return line

        try:
            return str(wait_until(found, timeout, pattern))
        except TimeoutError as error:
            error.add_note("\n".join(self.lines))
            raise

    def wait_exit(self, timeout: float = TIMEOUT) -> int:
        """Wait for its end; the exit code."""
        wait_until(lambda: self.lines is not None and self.popen.poll() is not None, timeout, "the command's end")
        return self.popen.wait()

    def is_as_before(self) -> bool:
        """Whether the terminal has the settings that it had at first: echo, whole lines, signals."""
        return termios.tcgetattr(self.theirs) == self.settings
