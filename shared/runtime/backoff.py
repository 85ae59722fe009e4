"""Full-jitter exponential backoff: how long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Delays in seconds, each drawn from 0 … min(maximum, minimum · 2ⁿ); the first ones are short.

    Full jitter keeps many servers that lost the same peer from dialling it in step
    ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """

    def __init__(
        self, minimum: float, maximum: float, uniform: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._uniform = uniform
        self._failures = 0

    def next_delay(self) -> float:
        """Seconds to wait after one more failure."""
        ceiling = min(self._maximum, self._minimum * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return self._uniform(0.0, ceiling)

    def reset(self) -> None:
        """Forget the failures: the other side was heard from."""
        self._failures = 0
