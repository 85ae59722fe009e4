"""Rates and shares: what one sender may have, so that others have theirs. Pure; times are seconds, monotonic.

A token bucket fills at a rate and holds a burst. `Buckets` has one for each key (an address, a link, an author) in
a table with a cap: who means harm has as many keys as they like.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class TokenBucket:
    """`rate` tokens a second, at most `burst` of them at once; full at first."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def consume(self, now: float, amount: float = 1.0) -> bool:
        """Take so many tokens if they are there."""
        self._fill(now)
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True

    def spend(self, now: float, amount: float = 1.0) -> float:
        """Take them in any case, on credit where they are not there; the seconds until it is paid back."""
        self._fill(now)
        self._tokens -= amount
        return max(0.0, -self._tokens / self._rate)

    def is_full(self, now: float) -> bool:
        """Whether nothing was taken lately: it need not be remembered."""
        self._fill(now)
        return self._tokens >= self._burst

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now


class Buckets:
    """A bucket for each key; of more than `keys` of them the longest unused one is forgotten.

    Forgetting gives a sender nothing that a new key would not have given: what all keys together may have is a
    bucket of its own, beside this.
    """

    def __init__(self, rate: float, burst: float, keys: int = 4096) -> None:
        self._rate = rate
        self._burst = burst
        self._keys = keys
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, key: Hashable, now: float) -> TokenBucket:
        """The bucket of a key."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now)
            if len(self._buckets) > self._keys:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket

    def consume(self, key: Hashable, now: float, amount: float = 1.0) -> bool:
        """Take tokens from a key's bucket, if they are there."""
        return self.of(key, now).consume(now, amount)
