"""The costs that a link may have in one turn of the loop: numbers, which the compiled core is given. Pure data."""

from __future__ import annotations

from typing import Final, NamedTuple

TURN: Final = 64 * 1024
"""Bytes of one link that are read in one turn."""
SEND_LIMIT: Final = 1024 * 1024
"""Bytes that may wait in a link's buffer before it stops being written to."""


class Bounds(NamedTuple):
    """The bounds of a turn. The compiled core is given these: none of them is written there."""

    read: int = TURN
    send: int = SEND_LIMIT
    produced: int = 4 * 1024 * 1024
    """Bytes that one link's frames may have sent to anybody."""
    slice: float = 0.0005
    """Seconds that one link has."""
    round: float = 0.002
    """Seconds for all that is handled as it comes."""
    pause: float = 0.00005
    """Seconds without anything to do after which a new round begins."""
    look: int = 16 * 1024 * 1024
    """Bytes that links were given to hold between two looks at all their buffers (buffers.py)."""
