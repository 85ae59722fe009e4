"""Pins: which key a server's name belongs to, and the verdict on a key that somebody shows with a name.

The first proven key of a name is pinned. Another key never replaces it, and neither does a plain program: only
people do (`parley trust accept`). What is revoked never returns. Names are compared as names are (shared/names.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from parley.shared.names import fold
from parley.shared.trust.claims import LAPSE


class How(Enum):
    """How a pin came to be; the value is what people read."""

    SEEN = "seen first"
    INVITED = "invited"
    APPROVED = "approved"


class Verdict(Enum):
    """The meaning of a shown key for its name."""

    NEW = "new"
    """Nobody had this name: pin it."""
    SAME = "same"
    """It is the pinned one."""
    OTHER = "other"
    """Another key has this name: refused until people say otherwise."""
    REVOKED = "revoked"
    """This key was revoked: refused for ever."""
    STRANGER = "stranger"
    """No member of the federation, and in `strict` nobody else is linked."""
    PLAIN_HELD = "plain_held"
    """A program without a key used this name in the last 30 days: people say whether it is the same server."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One name's key."""

    name: str
    key: bytes
    how: How
    since: float
    """When it was pinned (seconds since 1970, by this machine's clock: for people only)."""
    used: float = 0.0
    """The age of the store at which it was used last (seconds, ages.py)."""
    is_used: bool = False
    """Whether it was linked, or used again after its claim: such a pin never lapses."""

    @property
    def is_claim(self) -> bool:
        """Whether it only claims its name, and lapses where it is not used again."""
        return self.how is How.SEEN and not self.is_used


MOST: Final = 20_000
"""Pins in all: a further name is not pinned until a claim lapses, or people forget one."""


@dataclass(slots=True)
class Pins:
    """The pins of a node or of a user, in memory. shared/trust_storage keeps them on disk."""

    by_name: dict[str, Pin] = field(default_factory=dict)
    """Folded name → pin."""
    revoked: set[bytes] = field(default_factory=set)
    """Keys that never return."""

    def of(self, name: str) -> Pin | None:
        """The pin of a name."""
        return self.by_name.get(fold(name))

    def judge(self, name: str, key: bytes, *, is_plain_held: bool = False) -> Verdict:
        """The verdict on a proven key that says to be `name`."""
        if key in self.revoked:
            return Verdict.REVOKED
        pin = self.of(name)
        if pin is not None:
            return Verdict.SAME if pin.key == key else Verdict.OTHER
        return Verdict.PLAIN_HELD if is_plain_held else Verdict.NEW

    def may_be_plain(self, name: str) -> bool:
        """Whether a program without a key may use that name: never one that has a key."""
        return fold(name) not in self.by_name

    def put(self, pin: Pin) -> None:
        """Have this pin, in place of any other of its name."""
        self.by_name[fold(pin.name)] = pin

    def drop(self, name: str) -> Pin | None:
        """Have no pin of that name; the one that there was."""
        return self.by_name.pop(fold(name), None)

    @property
    def claims(self) -> int:
        """How many pins only claim their names."""
        return sum(pin.is_claim for pin in self.by_name.values())

    def lapsed(self, age: float) -> list[Pin]:
        """The claims that were not used again for so long that their names are nobody's."""
        return [pin for pin in self.by_name.values() if pin.is_claim and age - pin.used >= LAPSE]

    def named_by(self, key: bytes) -> list[Pin]:
        """The pins that a key has."""
        return [pin for pin in self.by_name.values() if pin.key == key]
