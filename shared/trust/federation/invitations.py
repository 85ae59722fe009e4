"""The inviter's side of an invitation: good once, and for a while.

Three things end it, whichever comes first, because no clock is to be trusted alone:

| ends it | good against |
|---|---|
| running time of this machine | a clock that is wrong, or stands in 1970 |
| the clock, a day later than it says | a machine that was switched off for long |
| 1,000 newer lists | both |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LISTS: Final = 1000
"""Newer lists that an invitation outlives."""
DAY: Final = 86400.0
"""Seconds by which a clock may be wrong."""
PLAUSIBLE: Final = 1_750_000_000.0
"""Seconds since 1970 (June 2025): a clock that says less was never set."""
LIFETIME: Final = 3 * 86400.0
"""Seconds for which an invitation is good where nobody says otherwise."""
LONGEST: Final = 90 * 86400.0
"""Seconds for which an invitation may be good."""
OPEN: Final = 100
"""Invitations that are open at a time at most."""
USED: Final = 1000
"""Used ones that are remembered, so that a second use is told from a wrong secret."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """One that is open, without its secret."""

    digest: bytes
    """The secret's hash."""
    made: float
    """Seconds since 1970 by this machine's clock."""
    lifetime: float
    """Seconds."""
    number: int
    """The newest list's then."""
    ran: float = 0.0
    """Seconds of running time that it has been open, as they were written last."""

    def is_expired(self, now: float, number: int) -> bool:
        """Whether it is over. `now`: seconds since 1970; `number`: the newest list's."""
        if self.ran >= self.lifetime or number > self.number + LISTS:
            return True
        is_dated = min(self.made, now) >= PLAUSIBLE
        return is_dated and abs(now - self.made) >= self.lifetime + DAY
