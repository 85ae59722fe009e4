"""Numbers for messages: unique among makers, and increasing even when the clock steps back. Pure.

64 bits: milliseconds since 1970 (42), the maker (10), a sequence (12), as Twitter's Snowflake (2010). Two makers
with the same number are kept apart by where the sequence of each millisecond begins.
"""

from __future__ import annotations

from collections.abc import Callable

_MAKER_BITS = 10
_SEQUENCE_BITS = 12
MAKERS = 1 << _MAKER_BITS
FIRSTS = 1 << (_SEQUENCE_BITS - 1)


class Snowflakes:
    """Makes snowflakes. `maker`: 0 … 1023, drawn at random where nobody assigns it.

    `first` says where the sequence of a new millisecond begins: at random, below FIRSTS, where makers are.
    """

    def __init__(self, maker: int, first: Callable[[], int] = lambda: 0) -> None:
        self._maker = maker % MAKERS
        self._first = first
        self._last_ms = 0
        self._sequence = 0

    def next(self, unix_seconds: float) -> int:
        """One more, for that time; a clock that stands still or steps back is counted on from the last."""
        ms = int(unix_seconds * 1000)
        if ms > self._last_ms:
            self._last_ms, self._sequence = ms, self._first()
        else:
            self._sequence += 1
            if self._sequence >> _SEQUENCE_BITS:
                self._last_ms, self._sequence = self._last_ms + 1, 0
        return ((self._last_ms << _MAKER_BITS | self._maker) << _SEQUENCE_BITS) | self._sequence
