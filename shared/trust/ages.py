"""How much time passed for a file of ours, whatever the machine's clock says. Pure.

Names are held for 30 days, claims lapse after 7: that time must pass, not a clock be set. While a machine runs,
only its running time counts. Across a start the clock is asked, and believed for a day at most: a machine that
begins in 1970, or is told that it is 2106, has not lived through years. So things last longer, never shorter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from parley.shared.runtime.moments import Moment

DAY: Final = 86400.0
HOUR: Final = 3600.0
STEP: Final = DAY
"""Seconds that the clock is believed to have passed across a start of the machine."""


def passed(before: Moment, now: Moment) -> float:
    """Seconds between two moments, as far as they can be believed; never below zero."""
    if before.boot and before.boot == now.boot:
        return max(0.0, now.running - before.running)
    return min(max(0.0, now.wall - before.wall), STEP)
