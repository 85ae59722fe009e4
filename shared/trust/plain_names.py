"""Names that programs without a key used of late. Pure; times are ages of the store in seconds (ages.py).

For HELD seconds such a name is *plain-held*: no key takes it silently, so nobody locks an existing program out by
being quicker. A use is noted once a day.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from parley.shared.names import fold
from parley.shared.trust.ages import DAY

HELD: Final = 30 * DAY
"""Seconds after its last use for which a name is plain-held."""
MOST: Final = 10_000
"""Names that are remembered: a further one is not, until one of these lapses."""


@dataclass(slots=True)
class PlainNames:
    """Folded name → the age at which it was last used."""

    used: dict[str, float] = field(default_factory=dict)

    def is_held(self, name: str, age: float) -> bool:
        """Whether a program without a key used that name of late."""
        last = self.used.get(fold(name))
        return last is not None and age - last < HELD

    def is_noted(self, name: str, age: float) -> bool:
        """Whether this day's use of the name is known already."""
        last = self.used.get(fold(name))
        return last is not None and age - last < DAY

    def note(self, name: str, age: float) -> bool:
        """A program without a key uses that name. False: there is no room to remember it."""
        key = fold(name)
        if key not in self.used and len(self.used) >= MOST:
            self.forget_lapsed(age)
            if len(self.used) >= MOST:
                return False
        self.used[key] = age
        return True

    def forget(self, name: str) -> None:
        """That name is held in plain no longer."""
        self.used.pop(fold(name), None)

    def forget_lapsed(self, age: float) -> None:
        """Forget what is held no longer."""
        self.used = {name: last for name, last in self.used.items() if age - last < HELD}
