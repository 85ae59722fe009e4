"""The standard streams of the command line: each line whole or not at all, in any encoding, and faults in words.

They take the place of Python's, whose writes may be short, and which tell of a fault when nobody can catch it.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from parley.shared.errors import ParleyError
from parley.shared.sockets.descriptors import write_all, write_ready, write_within

NAMES: Final = {1: "standard output", 2: "standard error"}
MOMENT: Final = 0.1
"""Seconds."""
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors that pass: there may be room later."""


class OutputError(ParleyError):
    """A standard stream takes nothing more. `is_gone`: who read it has gone, as in `parley servers | head -1`."""

    reason = "output"

    def __init__(self, name: str, error: OSError) -> None:
        self.is_gone = error.errno in (errno.EPIPE, errno.ECONNRESET)
        self.is_full = error.errno in FULL
        why = "it is closed" if error.errno == errno.EBADF else (error.strerror or str(error)).lower()
        super().__init__(f"nothing can be written to {name}: {why}")


class Output(io.TextIOBase):
    """A standard stream; each write is one line or several, and complete when it returns."""

    def __init__(self, descriptor: int, encoding: str = "utf-8", *, is_closed: bool = False) -> None:
        self._descriptor = descriptor
        self._encoding = encoding
        self._is_closed = is_closed
        self.fault: OutputError | None = None
        """The first fault; what is written after it is tried all the same."""

    @property
    def encoding(self) -> str:  # type: ignore[override] # a constant of the class there
        """The encoding of text; characters that it cannot hold are replaced."""
        return self._encoding

    @property
    def errors(self) -> str:  # type: ignore[override] # a constant of the class there
        """Others' words must not end a command: what cannot be encoded is replaced."""
        return "replace"

    @property
    def is_unicode(self) -> bool:
        """Whether it takes every character."""
        return self._encoding.lower().replace("-", "").startswith("utf")

    def fileno(self) -> int:
        """The stream's descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether people sit there."""
        return not self._is_closed and os.isatty(self._descriptor)

    def writable(self) -> bool:
        """The stream is written to."""
        return True

    def encoded(self, text: str) -> bytes:
        """A text as it is written."""
        return text.encode(self._encoding, "replace")

    def write(self, text: str) -> int:
        """Write all of it. OutputError where that cannot be."""
        with self._faults():
            write_all(self._descriptor, self.encoded(text))
        return len(text)

    def write_ready(self, data: bytes) -> int:
        """Write what it takes now; how many bytes. OutputError where it takes nothing for another reason."""
        with self._faults():
            return write_ready(self._descriptor, data)

    def write_soon(self, text: str) -> bool:
        """Write it, unless it is not taken within a moment; whether it was. OutputError where that cannot be."""
        with self._faults():
            return write_within(self._descriptor, self.encoded(text), MOMENT)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Faults as what is to be raised; the first is remembered."""
        if self._is_closed:
            raise self._failed(OSError(errno.EBADF, os.strerror(errno.EBADF)))
        try:
            yield
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> OutputError:
        fault = OutputError(NAMES.get(self._descriptor, "the output"), error)
        self.fault = self.fault or fault
        return fault


def take_over(closed: Collection[int]) -> None:
    """Put ours in the place of Python's; those of a test that catches what is printed stay."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        theirs = getattr(sys, name)
        if theirs is getattr(sys, f"__{name}__"):
            encoding = getattr(theirs, "encoding", None) or "utf-8"
            setattr(sys, name, Output(number, encoding, is_closed=number in closed))


def fault() -> OutputError | None:
    """The error of standard output, if there was one."""
    return sys.stdout.fault if isinstance(sys.stdout, Output) else None
