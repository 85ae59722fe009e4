"""Who is where: one stream per author and recipient, the newest wins, nothing is stored. Pure.

All times here are Unix seconds: an author says until when a location may be seen (`expiry_at`), so our
own clock (`now`) is the wall's too. Angles are degrees, WGS 84.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from shared.addresses import User
from shared.datagram_lists import fits
from shared.messages import pb

LIST = "LIVE_LOCATIONS"
MAX_LATITUDE = 90.0
MAX_LONGITUDE = 180.0


class Group(NamedTuple):
    """A group at its server."""

    group_id: str
    server_id: str


class Recipient(NamedTuple):
    """Whom a stream is for: a user, a group, or (both) that user as a member of that group."""

    user: User | None
    group: Group | None

    @classmethod
    def of(cls, location: pb.LiveLocation) -> Recipient | None:
        """The payload's recipient; None where it names nobody."""
        match location.WhichOneof("recipient"):
            case "user":
                found = cls(User.of(location.user), None)
            case "group":
                found = cls(None, _group(location.group))
            case "userOfGroup":
                found = cls(User.of(location.userOfGroup.user), _group(location.userOfGroup.group))
            case _:
                return None
        return found if all(all(name) for name in found if name is not None) else None


def _group(message: pb.Group) -> Group:
    return Group(message.groupId, message.serverId)


@dataclass(frozen=True, slots=True)
class Position:
    """The last that an author told a recipient."""

    author: User
    recipient: Recipient
    timestamp: float
    expiry_at: float
    item: bytes
    """The entry as a list of one (shared/datagram_lists.py)."""
    source: Hashable
    """Which of our links it came over; None: another server's."""
    forget_at: float
    """The latest `expiry_at` of its stream so far. A late fix of a stream that was cut short must not revive it."""

    @property
    def audience(self) -> frozenset[User]:
        """Who may see it: the addressed user, and the author's own clients.

        Groups have no members yet, so a location for a whole group is seen by its author's clients only.
        """
        user = self.recipient.user
        return frozenset({self.author} if user is None else {self.author, user})


Key = tuple[User, Recipient]


class Positions:
    """Every stream that has not expired, and the memory of those that were cut short."""

    def __init__(self) -> None:
        self._streams: dict[Key, Position] = {}
        self._changed: dict[Key, None] = {}
        self._forgetting: list[tuple[float, int, Key]] = []
        """A heap with one element per stream, at its `forget_at` or before."""
        self._tie = itertools.count()

    def __len__(self) -> int:
        return len(self._streams)

    def take(self, entry: pb.ExtendedLiveLocation, now: float, source: Hashable = None) -> str:
        """Take a location whose author may send it; return the `reason` why not, empty where all is well.

        One that is not newer than what we know of its stream is well, and changes nothing.
        """
        location = entry.live_location
        recipient = Recipient.of(location)
        if recipient is None:
            return "no_recipient"
        if not _in_range(location, now):
            return "out_of_range"
        item = pb.LiveLocations(extended_live_locations=[entry]).SerializeToString()
        if not fits(LIST, item):
            return "too_large"
        self._forget(now)
        key = (User.of(location.author), recipient)
        known = self._streams.get(key)
        if known is None or known.timestamp < location.timestamp:
            self._put(key, location, item, source)
        return ""

    def _put(self, key: Key, location: pb.LiveLocation, item: bytes, source: Hashable) -> None:
        known = self._streams.get(key)
        expiry_at = location.expiry_at
        forget_at = expiry_at if known is None else max(expiry_at, known.forget_at)
        self._streams[key] = Position(*key, location.timestamp, expiry_at, item, source, forget_at)
        self._changed[key] = None
        if known is None:
            self._remember(key, forget_at)

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self._changed)

    def take_changes(self, now: float) -> list[Position]:
        """What changed since this was last asked and has not expired, in the order of the first change."""
        self._forget(now)
        changes = [self._streams[key] for key in self._changed if key in self._streams]
        self._changed.clear()
        return [position for position in changes if position.expiry_at > now]

    def current(self, now: float) -> Iterator[Position]:
        """Every stream's position, unless it has expired."""
        self._forget(now)
        return (position for position in self._streams.values() if position.expiry_at > now)

    def _remember(self, key: Key, until: float) -> None:
        heapq.heappush(self._forgetting, (until, next(self._tie), key))

    def _forget(self, now: float) -> None:
        """Forget what has expired for good; look again later at what was prolonged."""
        while self._forgetting and self._forgetting[0][0] <= now:
            key = heapq.heappop(self._forgetting)[2]
            forget_at = self._streams[key].forget_at
            if forget_at > now:
                self._remember(key, forget_at)
            else:
                del self._streams[key]


def _in_range(location: pb.LiveLocation, now: float) -> bool:
    """Whether it names a place on Earth, for a time that is not over; NaN is nowhere and never."""
    place = location.location
    return (
        location.HasField("location")
        and abs(place.latitude) <= MAX_LATITUDE
        and abs(place.longitude) <= MAX_LONGITUDE
        and math.isfinite(location.timestamp)
        and now < location.expiry_at < math.inf
    )
