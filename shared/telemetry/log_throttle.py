"""Lines about what others do wrong: a few of each kind in a minute, then one with the number of the others. Pure.

Whoever means harm writes nothing into our log but that. Each is counted all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MINUTE: Final = 60.0


class _Window:
    """The lines of one minute: those that were written, and the number of those that were not."""

    __slots__ = ("began", "left_out", "said")

    def __init__(self, began: float) -> None:
        self.began = began
        self.said = 0
        self.left_out = 0


class LogThrottle:
    """`most`: kind → lines in a minute. Times are seconds, monotonic."""

    def __init__(self, most: Mapping[str, int]) -> None:
        self._most = most
        self._windows: dict[str, _Window] = {}

    def allows(self, kind: str, now: float) -> bool:
        """Whether another line may be written; if not, it is counted as left out."""
        window = self._windows.setdefault(kind, _Window(now))
        if now >= window.began + MINUTE and not window.left_out:
            window = self._windows[kind] = _Window(now)
        if window.said < self._most[kind]:
            window.said += 1
            return True
        window.left_out += 1
        return False

    def due(self) -> float | None:
        """When `left_out` has something to tell, or None."""
        return min((each.began + MINUTE for each in self._windows.values() if each.left_out), default=None)

    def left_out(self, now: float) -> dict[str, int]:
        """Kind → how many lines were left out in a minute that is over; it is told once."""
        over = {kind: each for kind, each in self._windows.items() if each.left_out and now >= each.began + MINUTE}
        for kind in over:
            self._windows[kind] = _Window(now)
        return {kind: each.left_out for kind, each in over.items()}
