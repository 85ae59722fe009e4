"""Wrong passwords, by address or by user: who guesses waits, longer each time. Pure; times are monotonic."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

FREE_TRIES: Final = 3
"""Wrong passwords before the next one has to wait."""
FIRST_WAIT: Final = 1.0
"""Seconds to wait after them, doubled with each more."""
LONGEST_WAIT: Final = 3600.0
"""Seconds that an address waits at most."""
LONGEST_OF_USER: Final = 60.0
"""Seconds that a user waits at most: others' guesses must not lock an owner out for long."""
TRACKED: Final = 4096
"""Addresses, and users, of whom wrong passwords are counted."""


class Guesses:
    """Wrong passwords, by address or by user; of more than TRACKED the longest unused one is forgotten.

    `longest`: seconds that are waited at most.
    """

    def __init__(self, longest: float = LONGEST_WAIT, most: int = TRACKED) -> None:
        self._longest = longest
        self._most = most
        self._wrong: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._wrong)

    def may_begin(self, key: Hashable, under_way: int, free: int) -> bool:
        """Whether one more is looked at beside those `under_way`: `free` at once, and after wrong ones one."""
        wrong, _ = self._wrong.get(key, (0, 0.0))
        return under_way < (free if wrong < FREE_TRIES else 1)

    def wait(self, key: Hashable, now: float) -> float:
        """Seconds until the next try is looked at; 0: now."""
        wrong, last = self._wrong.get(key, (0, now))
        if wrong < FREE_TRIES:
            return 0.0
        due = last + min(self._longest, FIRST_WAIT * 2.0 ** min(wrong - FREE_TRIES, 32))
        return max(0.0, due - now)

    def failed(self, key: Hashable, now: float) -> None:
        """A wrong password more."""
        wrong, _ = self._wrong.pop(key, (0, now))
        self._wrong[key] = (wrong + 1, now)
        if len(self._wrong) > self._most:
            self._wrong.popitem(last=False)

    def succeeded(self, key: Hashable) -> None:
        """The right password."""
        self._wrong.pop(key, None)
