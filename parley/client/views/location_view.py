"""Where others are, as one person may see it: the newest wins, and what is over is gone. Pure.

`now` is in seconds, monotonic; `wall` is our clock's Unix time, for servers that do not say what remains.
"""

from __future__ import annotations

from dataclasses import dataclass

from parley.shared.addresses import User
from parley.shared.recipients import Recipient
from parley.shared.soft_state.lifetimes import lifetime, skew
from parley.shared.wire.messages import pb

REMEMBERED = 60.0
"""Seconds for which a stream that is over is known, so that what comes late does not revive it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody was when they last told."""

    author: User
    recipient: Recipient
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


@dataclass(slots=True)
class _Stream:
    place: Place | None
    timestamp: float
    until: float
    skew: float


class Places:
    """Every stream that one person may see."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._streams: dict[tuple[User, Recipient], _Stream] = {}

    def take(self, entry: pb.ExtendedLiveLocation, now: float, wall: float) -> bool:
        """Take an entry; whether it changes anything. What is neither for us nor ours is nothing to us."""
        location = entry.live_location
        author, recipient = User.of(location.author), Recipient.of_location(location)
        if recipient is None or not self._concerns_us(author, recipient):
            return False
        known = self._streams.get((author, recipient))
        if known is not None and not _is_news(known, location):
            return False
        ahead = skew(location.timestamp, known.skew if known is not None else None, wall)
        lasts = lifetime(entry, ahead, wall)
        is_live = not location.stopped and lasts > 0 and location.HasField("location")
        place = _place(entry, recipient, now + lasts) if is_live else None
        until = now + (lasts if is_live else REMEMBERED)
        self._streams[author, recipient] = _Stream(place, location.timestamp, until, ahead)
        return is_live or (known is not None and known.place is not None)

    def _concerns_us(self, author: User, recipient: Recipient) -> bool:
        """Existing servers send every location to everyone; of a group we cannot know whether we are in it."""
        return self._user.is_same(author) or recipient.is_group or self._user.is_same(recipient.user)

    def expire(self, now: float) -> bool:
        """End what has expired; whether anything did."""
        ended = False
        for key, stream in list(self._streams.items()):
            if stream.until > now:
                continue
            if stream.place is None:
                del self._streams[key]
            else:
                stream.place, stream.until, ended = None, now + REMEMBERED, True
        return ended

    def next_timeout(self) -> float | None:
        """When to call `expire`."""
        return min((stream.until for stream in self._streams.values()), default=None)

    def current(self, now: float) -> list[Place]:
        """Every place that may be seen now."""
        return [s.place for s in self._streams.values() if s.place is not None and s.until > now]


def _place(entry: pb.ExtendedLiveLocation, recipient: Recipient, expires: float) -> Place:
    location = entry.live_location
    return Place(
        User.of(location.author),
        recipient,
        location.location.latitude,
        location.location.longitude,
        location.timestamp,
        expires,
        location.expiry_at,
        entry.messageSnowflake,
    )


def _is_news(known: _Stream, location: pb.LiveLocation) -> bool:
    """Newer; or the end of what is known, at the same moment."""
    if location.timestamp == known.timestamp:
        return location.stopped and known.place is not None
    return location.timestamp > known.timestamp
