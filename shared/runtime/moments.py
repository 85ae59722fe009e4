"""A moment by all the clocks that a machine has: for times that must outlast a process, whatever its clock says."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", None)


class Moment(NamedTuple):
    """A moment by all the clocks that there are."""

    wall: float
    """Seconds since 1970, as the machine has it."""
    running: float = 0.0
    """Seconds since the machine was started."""
    boot: str = ""
    """That start's name; empty: not known."""


def running() -> float:
    """Seconds since the machine was started; where the system does not tell, of a clock that only grows."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


@cache
def _boot() -> str:
    """The name of the machine's start: the same for as long as a process lives."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def moment() -> Moment:
    """Read the clocks."""
    return Moment(time.time(), running(), _boot())
