"""Positions: one stream per author and audience, soft state, nothing is stored. Pure.

An author says until when a location may be seen, by a clock of their own that may be minutes wrong. How far it is
off is estimated from the timestamp of what just came (`wall` is our clock's Unix time), and from then on only our
monotonic clock counts (`now`, seconds). Angles are degrees, WGS 84.

A stream that expired or was stopped is told as such, without a place, and remembered for a while.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from parley.shared.addresses import User
from parley.shared.audiences import Audience
from parley.shared.soft_state.datagram_lists import TimedItem, fits
from parley.shared.soft_state.lifetimes import MAX_LIFETIME, MAX_SKEW, lifetime, skew
from parley.shared.soft_state.served_state import Bounds, ServedEntry, ServedState
from parley.shared.soft_state.soft_state import Key, is_news
from parley.shared.wire.messages import pb

LIST: Final = "LIVE_LOCATIONS"
MAX_LATITUDE: Final = 90.0
MAX_LONGITUDE: Final = 180.0
REMEMBERED: Final = 60.0
"""Seconds for which a stream that is over is known, at least."""
BOUNDS: Final = Bounds(of_author=256, to_members=8192, entries=200_000, share=0.5)

_LIST_FIELD = pb.LiveLocations.DESCRIPTOR.fields_by_name["extended_live_locations"].number
_REMAINING_FIELD = pb.ExtendedLiveLocation.DESCRIPTOR.fields_by_name["remaining"].number


@dataclass(frozen=True, slots=True)
class Position(ServedEntry):
    """The last that an author told an audience."""

    expires: float
    """By our clock."""
    skew: float
    """Seconds that our clock is ahead of the author's, at most: the delay on the way is in it."""
    forget_at: float
    """The latest end of its stream so far. A late fix of a stream that was cut short must not revive it."""
    source: Hashable
    """Which of our links it came over; None: another server's, or made here."""
    entry: pb.ExtendedLiveLocation

    def item(self, now: float) -> bytes:
        """The entry as a list of one, for a Parley."""
        return self.timed_item.at(self.remaining(now))

    def remaining(self, now: float) -> float:
        """Seconds for which it may still be seen."""
        return 0.0 if self.is_over else max(self.expires - now, 0.0)

    def gone(self) -> Position:
        """The position for somebody who is not to see it any more."""
        return replace(self, is_over=True, timed_item=_item(_over(self.entry)))

    def back(self) -> Position:
        """The same for whoever was told that it is gone, and may see it again."""
        entry = pb.ExtendedLiveLocation()
        entry.CopyFrom(self.entry)
        entry.live_location.timestamp = math.nextafter(self.timestamp, math.inf)
        return replace(self, timed_item=_item(entry))

    @property
    def viewers(self) -> frozenset[User]:
        """The users who may see it: the addressed one, and the author's own clients.

        The members of a group have copies of their own, which the author's clients need not see.
        """
        user = self.audience.user
        if user is None:
            return frozenset({self.author})
        return frozenset({user}) if self.is_copy else frozenset({self.author, user})


class Positions(ServedState[Position]):
    """Every stream, and the memory of those that are over.

    `begin(location)` is called when one begins that came from a subscriber; it returns the number of the message
    that tells so, or 0. `forgotten(key)`: nothing is known of one any more.
    """

    def __init__(
        self,
        begin: Callable[[pb.LiveLocation], int] = lambda _location: 0,
        forgotten: Callable[[Key], None] = lambda _key: None,
    ) -> None:
        super().__init__(BOUNDS)
        self._begin = begin
        self._forgotten = forgotten

    def update(
        self,
        entry: pb.ExtendedLiveLocation,
        now: float,
        wall: float,
        source: Hashable = None,
        origin: Hashable = None,
    ) -> str:
        """Take a location whose author may send it; return the `reason` why not, empty where all is well.

        One that is not newer than what we know of its stream is well, and changes nothing. `source` is the link
        that it came over, `origin` the source that it counts to.
        """
        location = entry.live_location
        audience = Audience.of_location(location)
        if audience is None:
            return "no_recipient"
        self.expire(now)
        key = User.of(location.author), audience
        known = self.get(*key)
        ahead = skew(location.timestamp, known.skew if known is not None else None, wall)
        lasts = lifetime(entry, ahead, wall)
        is_in_time = math.isfinite(location.timestamp) and location.timestamp <= wall + MAX_SKEW
        if not is_in_time or not (location.stopped or (_is_on_earth(location) and lasts > 0)):
            return "out_of_range"
        if known is None and not self.has_room(key, origin):
            return "unexpected"
        if not is_news(known, location.timestamp, is_over=location.stopped):
            return ""
        kept = _over(entry) if location.stopped else _kept(entry)
        if not fits(LIST, _item(kept)):
            return "too_large"
        kept.messageSnowflake = self._snowflake(known, entry, source)
        position = self._made(key, known, kept, now, now + lasts, ahead=ahead, source=source, origin=origin)
        self.change(position, known, now)
        return ""

    def _snowflake(self, known: Position | None, entry: pb.ExtendedLiveLocation, source: Hashable) -> int:
        """The message that began the stream; where one begins, there is one to be sent."""
        location = entry.live_location
        if source is None or location.stopped:
            return entry.messageSnowflake or (known.entry.messageSnowflake if known is not None else 0)
        if known is not None and not known.is_over and known.entry.messageSnowflake:
            return known.entry.messageSnowflake
        return location.messageSnowflake or self._begin(_kept(entry).live_location)

    def _made(
        self,
        key: Key,
        known: Position | None,
        entry: pb.ExtendedLiveLocation,
        now: float,
        expires: float,
        *,
        ahead: float,
        source: Hashable = None,
        is_copy: bool = False,
        origin: Hashable = None,
    ) -> Position:
        is_over = entry.live_location.stopped
        expires = now if is_over else expires
        forget_at = max(now + REMEMBERED if is_over else expires, known.forget_at if known is not None else expires)
        return Position(
            key,
            entry.live_location.timestamp,
            is_over=is_over,
            due=forget_at if is_over else expires,
            sequence=self.sequence + 1,
            origin=known.origin if known is not None else origin,
            is_copy=is_copy,
            timed_item=_item(entry),
            expires=expires,
            skew=ahead,
            forget_at=forget_at,
            source=source,
            entry=entry,
        )

    def copy(
        self,
        source: Position,
        known: Position | None,
        audience: Audience,
        timestamp: float,
        now: float,
        *,
        is_over: bool,
    ) -> Position | None:
        """A group's position, for one member."""
        entry = pb.ExtendedLiveLocation()
        entry.CopyFrom(source.entry)
        audience.write_location(entry.live_location)
        entry.live_location.timestamp = timestamp
        if is_over:
            entry = _over(entry)
        if not fits(LIST, _item(entry)):
            return None
        key = source.author, audience
        return self._made(
            key, known, entry, now, source.expires, ahead=source.skew, is_copy=True, origin=source.origin
        )

    def ended(self, position: Position, now: float) -> None:
        """It is told that it is over, and remembered."""
        over = _over(position.entry)
        ended = self._made(position.key, position, over, now, now, ahead=position.skew, is_copy=position.is_copy)
        self.change(ended, position, now)

    def forget(self, position: Position) -> None:
        """A stream that is over is nothing to anybody any more."""
        super().forget(position)
        self._forgotten(position.key)

    def snowflake(self, author: User, audience: Audience) -> int:
        """The number of the message that began a stream; 0: there is none."""
        position = self.get(author, audience)
        return position.entry.messageSnowflake if position is not None else 0

    def current(self, now: float) -> Iterator[Position]:
        """Every stream's position, unless it is over; those of members of groups apart from the group's."""
        self.expire(now)
        return self.live(now)


def _kept(entry: pb.ExtendedLiveLocation) -> pb.ExtendedLiveLocation:
    """An entry without what is between a client and its server, and with an end within reason."""
    kept = pb.ExtendedLiveLocation()
    kept.CopyFrom(entry)
    kept.ClearField("remaining")
    location = kept.live_location
    for transient in ("age", "confirm", "device", "messageSnowflake", "stopped"):
        location.ClearField(transient)
    location.expiry_at = min(location.expiry_at, location.timestamp + MAX_LIFETIME)
    return kept


def _over(entry: pb.ExtendedLiveLocation) -> pb.ExtendedLiveLocation:
    """The last word of a stream: no place, and an end that has passed for those who know no `stopped`."""
    over = _kept(entry)
    location = over.live_location
    location.ClearField("location")
    location.stopped = True
    ends = location.expiry_at if math.isfinite(location.expiry_at) else 0.0
    location.expiry_at = min(ends, location.timestamp)
    return over


def _item(entry: pb.ExtendedLiveLocation) -> TimedItem:
    return TimedItem(_LIST_FIELD, _REMAINING_FIELD, entry)


def _is_on_earth(location: pb.LiveLocation) -> bool:
    """Whether it names a place; NaN is nowhere."""
    place = location.location
    return (
        location.HasField("location")
        and abs(place.latitude) <= MAX_LATITUDE
        and abs(place.longitude) <= MAX_LONGITUDE
    )
