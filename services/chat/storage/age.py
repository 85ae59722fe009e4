"""How old things are, in seconds in which the mailbox existed, whatever the machine's clock does.

While a process runs, only a monotonic clock counts. How long none ran is told by what was written last: by the
machine's own running time where it was not started again since, else by its clock, where that is plausible. A
machine without a battery begins in 1970, and is told the time by somebody, sometime: that is no gap of 50 years.
"""

from __future__ import annotations

import time
from typing import Final

from parley.shared.runtime.moments import Moment, moment, running

LONGEST: Final = 30 * 86400.0
"""Seconds: whoever says that no process ran for longer than this is not believed."""
STEP: Final = 3600.0
"""Seconds by which the clock may differ from the running time of the machine; beyond it, it was set meanwhile."""


def gap(before: Moment, now: Moment) -> float:
    """How many seconds passed between two moments, as far as that can be believed."""
    by_wall = now.wall - before.wall
    by_machine = now.running - before.running
    if before.boot and before.boot == now.boot and by_machine >= 0.0 and abs(by_wall - by_machine) > STEP:
        return by_machine
    return by_wall if 0.0 <= by_wall <= LONGEST else 0.0


class Ages:
    """The mailbox's own clock, from the age that it had when it was written last."""

    def __init__(self, age: float = 0.0, written: Moment | None = None) -> None:
        self._last = moment()
        self._age = age + (gap(written, self._last) if written is not None else 0.0)
        self._started = time.monotonic()

    @property
    def now(self) -> float:
        """Seconds since the mailbox was made."""
        return self._age + time.monotonic() - self._started

    def moment(self, age: float) -> float:
        """When that age was (seconds, monotonic)."""
        return age - self._age + self._started

    def to_write(self) -> tuple[float, float, float, str]:
        """The age, and the moment that it is of."""
        return (self.now, time.time(), running(), self._last.boot)
