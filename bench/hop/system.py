"""A system that is measured: how it is started, and what it is when it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.hop.generator import Hop

ONE, TWO = "127.0.206.1", "127.0.206.2"
"""The addresses of the two servers."""


@dataclass
class Running:
    """A system whose two clients are connected."""

    hop: Hop
    servers: Sequence[int]
    """The ids of the processes whose CPU time and memory count."""
    whole: Sequence[int] = ()
    """The ids of all its processes, where there are more that belong to it."""


Start = Callable[[ExitStack, Path], Running]
"""Starts a system in a new directory; what must be stopped goes onto the stack.

Raises:
    UnavailableError: it cannot be measured here; says why.

"""
