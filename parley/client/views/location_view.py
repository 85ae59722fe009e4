"""Where others are, as one person may see it: the newest wins, and what is over is gone. Pure.

`now` is in seconds, monotonic; `wall` is our clock's Unix time, for servers that do not say what remains.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from parley.shared.addresses import User
from parley.shared.audiences import Audience
from parley.shared.soft_state.lifetimes import lifetime, skew
from parley.shared.soft_state.soft_state import Entry, SoftState, is_news
from parley.shared.wire.messages import pb

REMEMBERED = 60.0
"""Seconds for which a stream that is over is known, so that what comes late does not revive it."""


@dataclass(frozen=True, slots=True)
class SharedLocation:
    """Where somebody was when they last told."""

    author: User
    audience: Audience
    latitude: float
    """Degrees, WGS 84."""
    longitude: float
    timestamp: float
    """Unix seconds of their clock."""
    expires: float
    """By our clock (`now`)."""
    expiry_at: float
    """Unix seconds of their clock."""
    snowflake: int
    """The message that began it; 0: none is known."""


@dataclass(frozen=True, slots=True)
class _Stream(Entry):
    location: SharedLocation | None
    """None: it is over."""
    skew: float


class LocationView(SoftState[_Stream]):
    """Every stream that one person may see."""

    def __init__(self, user: User) -> None:
        super().__init__()
        self._user = user

    def update(self, entry: pb.ExtendedLiveLocation, now: float, wall: float) -> bool:
        """Take an entry; whether it changes anything. What is neither for us nor ours is nothing to us."""
        location = entry.live_location
        author, audience = User.of(location.author), Audience.of_location(location)
        if audience is None or not self._concerns_us(author, audience):
            return False
        known = self.get(author, audience)
        if not is_news(known, location.timestamp, is_over=location.stopped):
            return False
        ahead = skew(location.timestamp, known.skew if known is not None else None, wall)
        lasts = lifetime(entry, ahead, wall)
        is_live = not location.stopped and lasts > 0 and location.HasField("location")
        shared = _shared_location(entry, audience, now + lasts) if is_live else None
        due = now + (lasts if is_live else REMEMBERED)
        self.put(_Stream((author, audience), location.timestamp, not is_live, due, shared, ahead))
        return is_live or (known is not None and not known.is_over)

    def _concerns_us(self, author: User, audience: Audience) -> bool:
        """Existing servers send every location to everyone; of a group we cannot know whether we are in it."""
        return self._user.is_same(author) or audience.is_group or self._user.is_same(audience.user)

    def ended(self, stream: _Stream, now: float) -> None:
        """It is remembered for a while."""
        self.put(replace(stream, is_over=True, due=now + REMEMBERED, location=None))

    def current(self, now: float) -> list[SharedLocation]:
        """Every location that may be seen now."""
        return [stream.location for stream in self.live(now) if stream.location is not None]


def _shared_location(entry: pb.ExtendedLiveLocation, audience: Audience, expires: float) -> SharedLocation:
    location = entry.live_location
    return SharedLocation(
        User.of(location.author),
        audience,
        location.location.latitude,
        location.location.longitude,
        location.timestamp,
        expires,
        location.expiry_at,
        entry.messageSnowflake,
    )
