"""How long a location may still be seen, by our own clock, whatever its author's says. Pure."""

from __future__ import annotations

import math

from parley.shared.wire.messages import pb

MAX_SKEW = 600.0
"""Seconds by which an author's clock may differ from ours without harm."""
MAX_LIFETIME = 8 * 3600.0
"""Seconds that a stream may last from its last fix on."""


def skew(timestamp: float, known: float | None, wall: float) -> float:
    """Seconds that our clock (`wall`, Unix time) is ahead of the author's.

    Each observation has a delay in it, so the least one is the nearest (`known`: the least before).
    """
    seen = wall - timestamp
    if not abs(seen) <= MAX_SKEW:
        seen = 0.0
    return seen if known is None else min(seen, known)


def lifetime(entry: pb.ExtendedLiveLocation, ahead: float, wall: float) -> float:
    """Seconds until the stream expires, `ahead` being the skew; not above 0, or NaN, where it has."""
    if entry.HasField("remaining"):
        left: float = entry.remaining
    else:
        expiry_at = entry.live_location.expiry_at
        left = expiry_at + ahead - wall if math.isfinite(expiry_at) else 0.0
    return min(left, MAX_LIFETIME)
