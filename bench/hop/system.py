"""A system that is measured: how it is started, and what it is when it runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.cost import tree
from bench.hop.generator import RECEIVED, Generator, Hop, Run


@dataclass(frozen=True)
class Place:
    """Where a system is: the addresses of its two servers, and one more, for who listens without a server."""

    one: str = "127.0.206.1"
    two: str = "127.0.206.2"
    end: str = "127.0.206.3"

    @classmethod
    def number(cls, number: int) -> Place:
        """Places of numbers below 64 have nothing in common: systems can run beside one another."""
        return cls(*(f"127.0.206.{4 * number + each}" for each in (1, 2, 3)))


class Load(Protocol):
    """Two clients that send and take: Generator has what that means."""

    def run(
        self, total: int, *, window: int = 0, batch: int = 0, until: int = RECEIVED, timed: bool = False
    ) -> Run:
        """Send so many messages."""


@dataclass
class Running:
    """A system whose two clients are connected."""

    hop: Hop | None
    """None: it has clients of its own."""
    servers: Sequence[int]
    """The ids of the processes whose CPU time and memory count."""
    whole: Sequence[int] = ()
    """The ids of all its processes, where there are more that belong to it."""
    own: Load | None = None
    """Clients of its own, where the generator's compiled ones do not speak for it."""
    clients: Sequence[int] = ()
    """The ids of their processes."""

    @property
    def is_told(self) -> bool:
        """Whether the author is told of each message."""
        return self.hop.is_told if self.hop is not None else True

    def load(self, directory: Path, limit: float) -> Load:
        """The clients that send, take and time; `limit`: seconds until compiled ones must have done."""
        if self.own is not None:
            return self.own
        assert self.hop is not None, "there are no clients"
        return Generator(directory, self.hop, limit)

    def hold(self) -> None:
        """Stop all its processes where they are: it does nothing at all, and nobody sees it go."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    @contextmanager
    def going(self) -> Iterator[None]:
        """Let it go on for as long as this lasts."""
        self.go_on()
        try:
            yield
        finally:
            self.hold()

    def _signal(self, number: signal.Signals) -> None:
        for pid in tree([*(self.whole or self.servers), *self.clients]):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


Start = Callable[[ExitStack, Path, Place], Running]
"""Starts a system in a new directory, at a place; what must be stopped goes onto the stack.

Raises:
    UnavailableError: it cannot be measured here; says why.

"""
