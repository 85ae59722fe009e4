"""Typing indicators, by author and recipient: soft state, the newest wins, nothing is stored. Pure.

Two clocks meet here. What a person's event says (`timestamp`, Unix seconds of their clock) only orders
that person's events; how long an entry lasts is counted by our clock (`now`, seconds, monotonic), from when it
came, or from its age where a server tells that.

Every change has a number (`sequence`), so that what changed since a moment can be told, and told again.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from parley.shared.addresses import Group, User
from parley.shared.limits.shares import Shares
from parley.shared.recipients import Recipient
from parley.shared.soft_state.datagram_lists import TimedItem, fits
from parley.shared.wire.messages import pb

LIST = "TYPING_EVENTS"
FAR_FUTURE = 3600.0
"""Seconds that an event's clock may be ahead of ours."""
MOST_STREAMS = 64
"""Conversations in which one person may be typing at once."""
MOST_MEMBERS = 4096
"""Members of groups to whom one person may be typing at once."""
MOST = 100_000
"""Entries in all."""
SHARE = 0.5
"""The part of them that one address, or the users of one other server, may have."""
REMEMBERED = 10.0
"""Seconds for which it is known who was concerned by a change."""

_LIVE_FIELD = pb.TypingEvents.DESCRIPTOR.fields_by_name["typing_events"].number
_STOPPED_FIELD = pb.TypingEvents.DESCRIPTOR.fields_by_name["stopped"].number
_AGE_FIELD = pb.TypingEvent.DESCRIPTOR.fields_by_name["age"].number


class State(Enum):
    """The state of an entry."""

    TYPING = 1
    STOPPED = 2


@dataclass(frozen=True, slots=True)
class Indicator:
    """One person's typing in one conversation."""

    user: User
    recipient: Recipient
    timestamp: float
    heard: float
    """When it was heard first, by our clock."""
    state: State
    sequence: int
    until: float
    """When it is over: typing expires; what has ended is forgotten."""
    timed_item: TimedItem
    event: pb.TypingEvent
    origin: Hashable = None
    """The source that it counts to: an address, or a server."""

    def item(self, now: float) -> bytes:
        """The entry as a list of one (shared/soft_state/datagram_lists.py)."""
        return self.timed_item.at(max(now - self.heard, 0.0))


Key = tuple[User, Recipient]


class _View:
    """The entries that are for one audience: everyone, or one user."""

    def __init__(self) -> None:
        self.live: OrderedDict[Key, Indicator] = OrderedDict()
        self.ended: OrderedDict[Key, Indicator] = OrderedDict()
        """Stopped ones, for as long as they are remembered."""

    @property
    def is_empty(self) -> bool:
        return not self.live and not self.ended


class Indicators:
    """Everyone who typed within `expiry` seconds, in the order in which they did."""

    def __init__(self, expiry: float) -> None:
        self.sequence = 0
        """The number of the last change."""
        self._expiry = expiry
        self._shares = Shares(MOST, SHARE)
        self.refused = 0
        """How many there was no room for."""
        self._entries: dict[Key, Indicator] = {}
        self._views: dict[User | None, _View] = {None: _View()}
        self._streams: Counter[tuple[User, bool]] = Counter()
        """How many entries a person has: of their own, and for single members of groups."""
        self._spread: dict[tuple[User, Group], set[User]] = {}
        """To which members a group's entry was copied."""
        self._authors: dict[Group, dict[User, None]] = {}
        """The authors who have an entry for a group."""
        self._due: list[tuple[float, int, Key]] = []
        self._tie = itertools.count()
        self._log: deque[tuple[int, float, User | None]] = deque()

    def __len__(self) -> int:
        return sum(entry.state is State.TYPING for entry in self._entries.values())

    # In ---------------------------------------------------------------------------------------

    def take(self, event: pb.TypingEvent, now: float, wall: float, origin: Hashable = None) -> str:
        """Take an event whose user may send it; return the `reason` why not, empty where all is well.

        `wall` is our clock's Unix time, `origin` the source that it counts to. What is not newer than what we
        know is well, and changes nothing.
        """
        recipient = Recipient.of_typing(event)
        if recipient is None:
            return "no_recipient"
        if not math.isfinite(event.timestamp) or event.timestamp > wall + FAR_FUTURE or not event.age >= 0.0:
            return "out_of_range"
        self.expire(now)
        user = User.of(event.user)
        if self._is_too_many(user, recipient, origin):
            return "unexpected"
        return self._update(user, recipient, event, now, origin)

    def _is_too_many(self, user: User, recipient: Recipient, origin: Hashable) -> bool:
        """Whether there is no room for another entry; if so, it counts as refused."""
        if (user, recipient) in self._entries:
            return False
        most = MOST_MEMBERS if recipient.is_member else MOST_STREAMS
        is_full = self._streams[user, recipient.is_member] >= most or not self._shares.has_room(origin)
        self.refused += is_full
        return is_full

    def _update(self, user: User, recipient: Recipient, event: pb.TypingEvent, now: float, origin: Hashable) -> str:
        known = self._entries.get((user, recipient))
        if known is not None and not _is_news(known, event):
            return ""
        if event.age >= self._expiry and not event.stopped:
            return ""
        state = State.STOPPED if event.stopped else State.TYPING
        entry = self._make(user, recipient, event, state, now, known.origin if known is not None else origin)
        if not fits(LIST, entry.timed_item):
            return "too_large"
        self._put(entry, now)
        return ""

    def _make(
        self, user: User, recipient: Recipient, event: pb.TypingEvent, state: State, now: float, origin: Hashable
    ) -> Indicator:
        kept = pb.TypingEvent()
        kept.CopyFrom(event)
        for transient in ("confirm", "age", "stopped"):
            kept.ClearField(transient)
        heard = now if state is State.STOPPED else now - event.age
        field = _STOPPED_FIELD if state is State.STOPPED else _LIVE_FIELD
        item = TimedItem(field, _AGE_FIELD, kept.SerializeToString())
        self.sequence += 1
        return Indicator(
            user, recipient, event.timestamp, heard, state, self.sequence, heard + self._expiry, item, kept, origin
        )

    def _put(self, entry: Indicator, now: float) -> None:
        key = entry.user, entry.recipient
        if key not in self._entries:
            self._streams[entry.user, entry.recipient.is_member] += 1
            self._shares.add(entry.origin)
        self._entries[key] = entry
        heapq.heappush(self._due, (entry.until, next(self._tie), key))
        if entry.recipient.is_group and entry.recipient.group is not None:
            self._authors.setdefault(entry.recipient.group, {})[entry.user] = None
            return
        view = self._views.setdefault(entry.recipient.user, _View())
        view.live.pop(key, None)
        view.ended.pop(key, None)
        if entry.state is State.TYPING:
            view.live[key] = entry
        else:
            view.ended[key] = entry
        self._log.append((entry.sequence, now, entry.recipient.user))

    # Groups -------------------------------------------------------------------------------------

    def spread(self, author: User, group: Group, members: Iterable[User], now: float) -> Iterator[None]:
        """Have each of the members see what the author types in the group, and nobody else: a step each."""
        self.expire(now)
        source = self._entries.get((author, Recipient(None, group)))
        if source is None:
            return
        wanted = set(members) - {author} if source.state is State.TYPING else set()
        told = self._spread.get((author, group), set())
        self._spread[author, group] = wanted
        for member in told - wanted:
            self._copy_for(source, Recipient(member, group), now, stopped=True)
            yield
        for member in wanted:
            self._copy_for(source, Recipient(member, group), now, stopped=False)
            yield

    def _copy_for(self, source: Indicator, recipient: Recipient, now: float, *, stopped: bool) -> None:
        event = pb.TypingEvent()
        event.CopyFrom(source.event)
        recipient.write_typing(event)
        event.stopped = stopped
        if self._is_too_many(source.user, recipient, source.origin):
            return
        known = self._entries.get((source.user, recipient))
        if known is not None and known.state is State.STOPPED and not stopped:  # a member again
            event.timestamp = max(event.timestamp, math.nextafter(known.timestamp, math.inf))
        elif known is not None and stopped:
            event.timestamp = max(event.timestamp, known.timestamp)
        event.age = 0.0 if stopped else max(now - source.heard, 0.0)
        self._update(source.user, recipient, event, now, source.origin)

    def authors_in(self, group: Group) -> list[User]:
        """The authors who type in a group, or have just stopped."""
        return list(self._authors.get(group, ()))

    # Time ---------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When to call `expire`."""
        return self._due[0][0] if self._due else None

    def expire(self, now: float) -> None:
        """End what was typed too long ago; forget what ended long ago."""
        while self._due and self._due[0][0] <= now:
            key = heapq.heappop(self._due)[2]
            entry = self._entries.get(key)
            if entry is None or entry.until > now:
                continue
            view = self._views.get(entry.recipient.user)
            if view is not None and not entry.recipient.is_group:
                view.live.pop(key, None)
                view.ended.pop(key, None)
                self._note_expired(entry, now)
                if view.is_empty and entry.recipient.user is not None:
                    del self._views[entry.recipient.user]
            self._forget(entry)
        while self._log and self._log[0][1] < now - REMEMBERED:
            self._log.popleft()

    def _forget(self, entry: Indicator) -> None:
        user, recipient = entry.user, entry.recipient
        del self._entries[user, recipient]
        self._shares.remove(entry.origin)
        self._streams[user, recipient.is_member] -= 1
        if not self._streams[user, recipient.is_member]:
            del self._streams[user, recipient.is_member]
        if recipient.is_group and recipient.group is not None:
            self._spread.pop((user, recipient.group), None)
            del self._authors[recipient.group][user]
            if not self._authors[recipient.group]:
                del self._authors[recipient.group]

    def _note_expired(self, entry: Indicator, now: float) -> None:
        """Those who were told of an entry are to get a list without it."""
        if entry.state is State.TYPING:
            self.sequence += 1
            self._log.append((self.sequence, now, entry.recipient.user))

    # Out ----------------------------------------------------------------------------------------

    def audience(self, since: int) -> tuple[bool, set[User]]:
        """The audience of the changes after that number: whether everyone, and which users by name."""
        everyone, users = False, set()
        for sequence, _, user in reversed(self._log):
            if sequence <= since:
                break
            if user is None:
                everyone = True
            else:
                users.add(user)
        return everyone, users

    def has_own(self, user: User) -> bool:
        """Whether there is anything for that user by name."""
        return user in self._views

    def live(self, user: User | None) -> Iterator[Indicator]:
        """Everyone else who types, as that user may see it, newest first; None: to everyone."""
        public = reversed(self._views[None].live.values())
        own = self._views.get(user) if user is not None else None
        if own is None:
            return (entry for entry in public if entry.user != user)
        both = heapq.merge(public, reversed(own.live.values()), key=lambda entry: -entry.sequence)
        return (entry for entry in both if entry.user != user)

    def stopped(self, user: User | None, since: int) -> list[Indicator]:
        """The entries that stopped after that change, as that user may see it."""
        views = [self._views[None]]
        if user is not None and user in self._views:
            views.append(self._views[user])
        found = []
        for view in views:
            for entry in reversed(view.ended.values()):
                if entry.sequence <= since:
                    break
                if entry.user != user:
                    found.append(entry)
        return found

    def changed_of(self, server_id: str, since: int) -> list[Indicator]:
        """One server's entries that changed after that number, to be told to others; groups apart."""
        everyone, users = self.audience(since)
        found: list[Indicator] = []
        for user in [*users, None] if everyone else users:
            view = self._views.get(user)
            if view is not None:
                found += _newer(view.live, since, server_id)
                found += _newer(view.ended, since, server_id)
        return found

    def all_of(self, server_id: str) -> list[Indicator]:
        """Everything there is of the users of one server, for others to be told."""
        return [e for e in self._entries.values() if e.user.server_id == server_id and not e.recipient.is_group]


def _is_news(known: Indicator, event: pb.TypingEvent) -> bool:
    """Newer; or a stop at the same moment, which counts more than an event."""
    if event.timestamp == known.timestamp:
        return event.stopped and known.state is State.TYPING
    return event.timestamp > known.timestamp


def _newer(entries: OrderedDict[Key, Indicator], since: int, server_id: str) -> list[Indicator]:
    newer = itertools.takewhile(lambda entry: entry.sequence > since, reversed(entries.values()))
    return [entry for entry in newer if entry.user.server_id == server_id]
