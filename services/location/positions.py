"""Positions: one stream per author and recipient, the newest wins, nothing is stored. Pure.

Two clocks meet here. An author says until when a location may be seen, by a clock of their own that may be minutes
wrong. How far it is off is estimated from the timestamp of what just came (`wall` is our clock's Unix time), and
from then on only our monotonic clock counts (`now`, seconds). Angles are degrees, WGS 84.

A stream that expired or was stopped is told as such, without a place. It is remembered for a while, so that what
comes late does not revive it. Every change has a number (`sequence`), so that changes can be told, and told again.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace

from parley.shared.addresses import Group, User
from parley.shared.limits.shares import Shares
from parley.shared.recipients import Recipient
from parley.shared.soft_state.datagram_lists import TimedItem, fits
from parley.shared.soft_state.lifetimes import MAX_LIFETIME, MAX_SKEW, lifetime, skew
from parley.shared.wire.messages import pb

LIST = "LIVE_LOCATIONS"
MAX_LATITUDE = 90.0
MAX_LONGITUDE = 180.0
REMEMBERED = 60.0
"""Seconds for which a stream that is over is known, at least."""
LOGGED = 10.0
"""Seconds for which it is known what changed."""
MOST_STREAMS = 256
"""Streams of one author."""
MOST_MEMBERS = 8192
"""Streams of one author to single members of groups."""
MOST = 200_000
"""Streams in all."""
SHARE = 0.5
"""The part of them that one address, or the users of one other server, may have."""

_LIST_FIELD = pb.LiveLocations.DESCRIPTOR.fields_by_name["extended_live_locations"].number
_REMAINING_FIELD = pb.ExtendedLiveLocation.DESCRIPTOR.fields_by_name["remaining"].number

Key = tuple[User, Recipient]


@dataclass(frozen=True, slots=True)
class Position:
    """The last that an author told a recipient."""

    author: User
    recipient: Recipient
    timestamp: float
    expires: float
    """By our clock."""
    is_over: bool
    skew: float
    """Seconds that our clock is ahead of the author's, at most: the delay on the way is in it."""
    forget_at: float
    """The latest end of its stream so far. A late fix of a stream that was cut short must not revive it."""
    source: Hashable
    """Which of our links it came over; None: another server's, or made here."""
    is_copy: bool
    """Whether it was made here for one member of the group that its author addressed."""
    sequence: int
    entry: pb.ExtendedLiveLocation
    timed_item: TimedItem
    origin: Hashable = None
    """The source that it counts to: an address, or a server."""

    def item(self, now: float) -> bytes:
        """The entry as a list of one (shared/soft_state/datagram_lists.py)."""
        return self.timed_item.at(0.0 if self.is_over else max(self.expires - now, 0.0))

    def gone(self) -> bytes:
        """The entry as a list of one, for somebody who is not to see it any more."""
        return _item(_over(self.entry)).at(0.0)

    def back(self, now: float) -> bytes:
        """The same for whoever was told that it is gone, and may see it again."""
        entry = pb.ExtendedLiveLocation()
        entry.CopyFrom(self.entry)
        entry.live_location.timestamp = math.nextafter(self.timestamp, math.inf)
        return _item(entry).at(max(self.expires - now, 0.0))

    @property
    def key(self) -> Key:
        """The key of its stream."""
        return self.author, self.recipient

    @property
    def audience(self) -> frozenset[User]:
        """The users who may see it: the addressed one, and the author's own clients.

        The members of a group have copies of their own, which the author's clients need not see.
        """
        user = self.recipient.user
        if user is None:
            return frozenset({self.author})
        return frozenset({user}) if self.is_copy else frozenset({self.author, user})


class Positions:
    """Every stream, and the memory of those that are over.

    `begin(location)` is called when one begins that came from a subscriber; it returns the number of the message
    that tells so, or 0. `forgotten(key)`: nothing is known of one any more.
    """

    def __init__(
        self,
        begin: Callable[[pb.LiveLocation], int] = lambda _location: 0,
        forgotten: Callable[[Key], None] = lambda _key: None,
    ) -> None:
        self.sequence = 0
        """The number of the last change."""
        self._begin = begin
        self._forgotten = forgotten
        self._shares = Shares(MOST, SHARE)
        self.refused = 0
        """How many there was no room for."""
        self._streams: dict[Key, Position] = {}
        self._counts: Counter[tuple[User, bool]] = Counter()
        self._spread: dict[tuple[User, Group], set[User]] = {}
        """To which members a group's stream was copied."""
        self._authors: dict[Group, dict[User, None]] = {}
        """The authors who have a stream to a group."""
        self._due: list[tuple[float, int, Key]] = []
        """A heap with the stream that is to be looked at next first."""
        self._scheduled: dict[Key, float] = {}
        """When each stream is looked at: the one element of the heap that counts."""
        self._tie = itertools.count()
        self._log: deque[tuple[int, float, Key]] = deque()

    def __len__(self) -> int:
        return len(self._streams)

    # In ---------------------------------------------------------------------------------------

    def take(
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
        recipient = Recipient.of_location(location)
        if recipient is None:
            return "no_recipient"
        if not math.isfinite(location.timestamp) or location.timestamp > wall + MAX_SKEW:
            return "out_of_range"
        self.expire(now)
        key = User.of(location.author), recipient
        known = self._streams.get(key)
        ahead = skew(location.timestamp, known.skew if known is not None else None, wall)
        lasts = lifetime(entry, ahead, wall)
        if not location.stopped and not (_is_on_earth(location) and lasts > 0):
            return "out_of_range"
        if known is None and self._is_too_many(key, origin):
            return "unexpected"
        if known is not None and not _is_news(known, location):
            return ""
        return self._take(key, entry, now, lasts, ahead, source, origin)

    def _is_too_many(self, key: Key, origin: Hashable) -> bool:
        """Whether there is no room for another stream; if so, it counts as refused."""
        most = MOST_MEMBERS if key[1].is_member else MOST_STREAMS
        is_full = self._counts[key[0], key[1].is_member] >= most or not self._shares.has_room(origin)
        self.refused += is_full
        return is_full

    def _take(
        self,
        key: Key,
        entry: pb.ExtendedLiveLocation,
        now: float,
        lasts: float,
        ahead: float,
        source: Hashable,
        origin: Hashable,
    ) -> str:
        is_over = entry.live_location.stopped
        kept = _over(entry) if is_over else _kept(entry)
        if not fits(LIST, _item(kept)):
            return "too_large"
        kept.messageSnowflake = self._snowflake(key, entry, source)
        expires = now if is_over else now + lasts
        self._put(key, kept, expires, now, is_over=is_over, ahead=ahead, source=source, origin=origin)
        return ""

    def _snowflake(self, key: Key, entry: pb.ExtendedLiveLocation, source: Hashable) -> int:
        """The message that began the stream; where one begins, there is one to be sent."""
        known, location = self._streams.get(key), entry.live_location
        if source is None or location.stopped:
            return entry.messageSnowflake or (known.entry.messageSnowflake if known is not None else 0)
        if known is not None and not known.is_over and known.entry.messageSnowflake:
            return known.entry.messageSnowflake
        return location.messageSnowflake or self._begin(_kept(entry).live_location)

    def _put(
        self,
        key: Key,
        entry: pb.ExtendedLiveLocation,
        expires: float,
        now: float,
        *,
        is_over: bool,
        ahead: float,
        source: Hashable = None,
        is_copy: bool = False,
        origin: Hashable = None,
    ) -> None:
        known = self._streams.get(key)
        forget_at = expires if known is None else max(expires, known.forget_at)
        if is_over:
            forget_at = max(forget_at, now + REMEMBERED)
        if known is None:
            self._counts[key[0], key[1].is_member] += 1
            self._shares.add(origin)
        else:
            origin = known.origin
        timestamp, item = entry.live_location.timestamp, _item(entry)
        self._set(
            Position(*key, timestamp, expires, is_over, ahead, forget_at, source, is_copy, 0, entry, item, origin),
            now,
        )

    def _set(self, position: Position, now: float) -> None:
        self.sequence += 1
        self._streams[position.key] = replace(position, sequence=self.sequence)
        if position.recipient.is_group and position.recipient.group is not None:
            self._authors.setdefault(position.recipient.group, {})[position.author] = None
        self._schedule(position)
        self._log.append((self.sequence, now, position.key))

    # Groups -------------------------------------------------------------------------------------

    def spread(self, author: User, group: Group, members: Iterable[User], now: float) -> Iterator[None]:
        """Have each of the members see what the author shares with the group, and nobody else: a step each."""
        self.expire(now)
        source = self._streams.get((author, Recipient(None, group)))
        if source is None:
            return
        members = set(members) - {author}
        told = self._spread.get((author, group), set())
        self._spread[author, group] = members | told if source.is_over else members
        for member in told - members:
            self._end_copy((author, Recipient(member, group)), now, None)
            yield
        for member in members:
            if source.is_over:
                self._end_copy((author, Recipient(member, group)), now, source)
            else:
                self._copy(source, Recipient(member, group), now)
            yield

    def _copy(self, source: Position, recipient: Recipient, now: float) -> None:
        known = self._streams.get((source.author, recipient))
        timestamp = source.timestamp
        if known is not None and known.is_over and known.is_copy:  # a member again, before anything new was shared
            timestamp = max(timestamp, math.nextafter(known.timestamp, math.inf))
        if known is not None and timestamp <= known.timestamp:
            return
        if known is None and self._is_too_many((source.author, recipient), source.origin):
            return
        entry = pb.ExtendedLiveLocation()
        entry.CopyFrom(source.entry)
        recipient.write_location(entry.live_location)
        entry.live_location.timestamp = timestamp
        if fits(LIST, _item(entry)):
            key = source.author, recipient
            self._put(
                key,
                entry,
                source.expires,
                now,
                is_over=False,
                ahead=source.skew,
                is_copy=True,
                origin=source.origin,
            )

    def _end_copy(self, key: Key, now: float, source: Position | None) -> None:
        """A member's copy is over: with its group's stream (`source`), or because they are no member any more."""
        known = self._streams.get(key)
        if known is None and source is not None:  # a stop of a stream that was forgotten here, but not there
            self._copy_stop(source, key, now)
        elif known is not None and not known.is_over:
            self._end(known, now, source.timestamp if source is not None else known.timestamp)

    def _copy_stop(self, source: Position, key: Key, now: float) -> None:
        entry = pb.ExtendedLiveLocation()
        entry.CopyFrom(source.entry)
        key[1].write_location(entry.live_location)
        if not self._is_too_many(key, source.origin):
            self._put(key, entry, now, now, is_over=True, ahead=source.skew, is_copy=True, origin=source.origin)

    def authors_in(self, group: Group) -> list[User]:
        """The authors who share with a group, or have just stopped."""
        return list(self._authors.get(group, ()))

    # Time ---------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When to call `expire`."""
        return self._due[0][0] if self._due else None

    def expire(self, now: float) -> None:
        """End what has expired, and forget what has long been over."""
        while self._due and self._due[0][0] <= now:
            when, _, key = heapq.heappop(self._due)
            if self._scheduled.get(key) != when:
                continue
            del self._scheduled[key]
            position = self._streams[key]
            if _due(position) > now:
                self._schedule(position)
            elif position.is_over:
                self._forget(position)
            else:
                self._end(position, now, position.timestamp)
        while self._log and self._log[0][1] < now - LOGGED:
            self._log.popleft()

    def _schedule(self, position: Position) -> None:
        due = _due(position)
        if due < self._scheduled.get(position.key, math.inf):
            self._scheduled[position.key] = due
            heapq.heappush(self._due, (due, next(self._tie), position.key))

    def _end(self, position: Position, now: float, timestamp: float) -> None:
        entry = _over(position.entry)
        location = entry.live_location
        location.timestamp = timestamp
        location.expiry_at = min(location.expiry_at, timestamp)
        forget_at = max(position.forget_at, now + REMEMBERED)
        ended = replace(
            position, timestamp=timestamp, is_over=True, expires=now, forget_at=forget_at, source=None, entry=entry
        )
        self._set(replace(ended, timed_item=_item(entry)), now)

    def _forget(self, position: Position) -> None:
        author, recipient = position.key
        del self._streams[position.key]
        self._shares.remove(position.origin)
        self._forgotten(position.key)
        self._counts[author, recipient.is_member] -= 1
        if not self._counts[author, recipient.is_member]:
            del self._counts[author, recipient.is_member]
        if recipient.is_group and recipient.group is not None:
            self._spread.pop((author, recipient.group), None)
            del self._authors[recipient.group][author]
            if not self._authors[recipient.group]:
                del self._authors[recipient.group]

    # Out ----------------------------------------------------------------------------------------

    def changed(self, since: int) -> list[Position]:
        """The entries that changed after the change of that number, newest first."""
        found: dict[Key, Position] = {}
        for sequence, _, key in reversed(self._log):
            if sequence <= since:
                break
            if key not in found and key in self._streams:
                found[key] = self._streams[key]
        return list(found.values())

    def get(self, author: User, recipient: Recipient) -> Position | None:
        """One stream, which may be over."""
        return self._streams.get((author, recipient))

    def snowflake(self, author: User, recipient: Recipient) -> int:
        """The number of the message that began a stream; 0: there is none."""
        position = self.get(author, recipient)
        return position.entry.messageSnowflake if position is not None else 0

    def all(self) -> Iterator[Position]:
        """Every stream, those that are over as well."""
        return iter(self._streams.values())

    def current(self, now: float) -> Iterator[Position]:
        """Every stream's position, unless it is over; those of members of groups apart from the group's."""
        self.expire(now)
        return (position for position in self._streams.values() if not position.is_over)


def _due(position: Position) -> float:
    """When it is to be looked at: to end it, or to forget it."""
    return position.forget_at if position.is_over else position.expires


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
    return TimedItem(_LIST_FIELD, _REMAINING_FIELD, entry.SerializeToString())


def _is_news(known: Position, location: pb.LiveLocation) -> bool:
    """Newer; or the end of what is known, at the same moment."""
    if location.timestamp == known.timestamp:
        return location.stopped and not known.is_over
    return location.timestamp > known.timestamp


def _is_on_earth(location: pb.LiveLocation) -> bool:
    """Whether it names a place; NaN is nowhere."""
    place = location.location
    return (
        location.HasField("location")
        and abs(place.latitude) <= MAX_LATITUDE
        and abs(place.longitude) <= MAX_LONGITUDE
    )
