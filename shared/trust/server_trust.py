"""All that a node or a user knows of servers' keys, in memory, and the rules of using it. Pure.

Pins, revoked keys, names that are held in plain, refusals and claims together; times are ages of the store in
seconds (ages.py). shared/trust_storage reads and writes them, and tells several processes of one another's changes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from parley.shared.trust import refusals
from parley.shared.trust.ages import DAY
from parley.shared.trust.claims import AGAIN, Claims
from parley.shared.trust.claims import MOST as MOST_CLAIMS
from parley.shared.trust.pins import MOST, How, Pin, Pins, Verdict
from parley.shared.trust.plain_names import PlainNames
from parley.shared.trust.refusals import Refusals

REASONS: Final = {
    Verdict.OTHER: refusals.OTHER_KEY,
    Verdict.REVOKED: refusals.REVOKED,
    Verdict.PLAIN_HELD: refusals.PLAIN_HELD,
}
"""Verdict that refuses a key → the reason, one of refusals.WHAT."""


@dataclass(slots=True)
class ServerTrust:
    """The state that the rules look at."""

    pins: Pins = field(default_factory=Pins)
    plain: PlainNames = field(default_factory=PlainNames)
    refusals: Refusals = field(default_factory=Refusals)
    claims: Claims = field(default_factory=Claims)

    def judge(self, name: str, key: bytes, age: float) -> Verdict:
        """The verdict on a proven key that says to be `name`; nothing is changed."""
        return self.pins.judge(name, key, is_plain_held=self.plain.is_held(name, age))

    def key_of(self, name: str) -> bytes:
        """The key of a name, which alone may use it; empty: it has none."""
        pin = self.pins.of(name)
        return pin.key if pin is not None else b""

    def may_claim(self, address: str, age: float) -> bool:
        """Whether a new name may be pinned for who comes from that address."""
        if len(self.pins.by_name) >= MOST:
            return False
        unused = self.pins.claims if len(self.pins.by_name) >= MOST_CLAIMS else 0
        return self.claims.may_claim(address, age, unused)

    def used(self, name: str, age: float, *, is_linked: bool) -> Pin | None:
        """The pin of a name as it is after one more use; None: the use changes nothing worth writing."""
        pin = self.pins.of(name)
        if pin is None:
            return None
        is_used = pin.is_used or is_linked or age - pin.used >= AGAIN
        if is_used == pin.is_used and age - pin.used < DAY:
            return None
        return replace(pin, used=age, is_used=is_used)

    def accepted(self, name: str, key: bytes, since: float, age: float, how: How = How.APPROVED) -> Pin:
        """The pin that people decided for."""
        before = self.pins.of(name)
        return Pin(before.name if before is not None else name, key, how, since, age, is_used=True)

    # What people decide ------------------------------------------------------------------------------------

    def accept(self, pin: Pin) -> None:
        """Have this pin, whoever held the name before; nothing is refused it any more."""
        self.pins.put(pin)
        self.plain.forget(pin.name)
        self.refusals.forget(pin.name)

    def revoke(self, key: bytes) -> None:
        """Have that key never return; its names stay its own, so that nobody takes them silently."""
        self.pins.revoked.add(key)
        self.refusals.forget_key(key)

    def drop(self, name: str) -> None:
        """Have no key for that name."""
        self.pins.drop(name)
        self.refusals.forget(name)
