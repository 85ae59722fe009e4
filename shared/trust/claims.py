"""Claims: names that a key took because nobody else had them, by the address that they came from. Pure.

An address may claim PER_HOUR names an hour, all together MOST that were never used again; one that was not used
again for LAPSE seconds is nobody's any more. Times are ages of the store in seconds (ages.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from parley.shared.trust.ages import DAY, HOUR

PER_HOUR: Final = 5
MOST: Final = 10_000
LAPSE: Final = 7 * DAY
AGAIN: Final = HOUR
"""Seconds after its claim from which a use of a name is another one."""


@dataclass(slots=True)
class Claims:
    """The claims of the last hour: address → the ages at which it made them."""

    by_address: dict[str, list[float]] = field(default_factory=dict)

    def may_claim(self, address: str, age: float, unused: int) -> bool:
        """Whether one more name may be claimed from there; `unused`: claims in all that were not used again."""
        of_late = [at for at in self.by_address.get(address, ()) if age - at < HOUR]
        return unused < MOST and len(of_late) < PER_HOUR

    def note(self, address: str, age: float) -> None:
        """A name was claimed from there."""
        if len(self.by_address) >= MOST:
            self.forget_old(age)
        self.by_address.setdefault(address, []).append(age)

    def forget_old(self, age: float) -> None:
        """Forget what is more than an hour old."""
        of_late = {address: [at for at in ages if age - at < HOUR] for address, ages in self.by_address.items()}
        self.by_address = {address: ages for address, ages in of_late.items() if ages}
