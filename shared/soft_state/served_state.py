"""Soft state as a service holds it: bounded, its changes numbered, a group's entry copied to each member. Pure.

Each author's entries are bounded, those of one origin (an address, or the users of another server), and all. Full,
the table refuses what is new; what is there goes on being there. Every change has a number (`sequence`), so that
what changed since a moment can be told, and told again.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from parley.shared.addresses import Group, User
from parley.shared.audiences import Audience
from parley.shared.limits.shares import Shares
from parley.shared.soft_state.datagram_lists import TimedItem
from parley.shared.soft_state.soft_state import Entry, Key, SoftState, is_news

LOGGED: Final = 10.0
"""Seconds for which it is known what changed."""


class Bounds(NamedTuple):
    """How many entries there may be."""

    of_author: int
    """Of one author, to users and whole groups."""
    to_members: int
    """Of one author, to single members of groups."""
    entries: int
    """In all."""
    share: float
    """The part of them that one origin may have."""


@dataclass(frozen=True, slots=True)
class ServedEntry(Entry):
    """An entry, and how it is told."""

    sequence: int
    """The number of the change that made it."""
    origin: Hashable
    """The source that it counts to: an address, or a server."""
    is_copy: bool
    """Whether it was made here for one member of the group that its author addressed."""
    timed_item: TimedItem

    def item(self, now: float) -> bytes:
        """The entry as a list of one, for a Parley (datagram_lists.py)."""
        raise NotImplementedError

    @property
    def plain(self) -> bytes:
        """The same for all others; empty where they are told nothing of it."""
        return self.timed_item.plain


EntryT = TypeVar("EntryT", bound=ServedEntry)


class ServedState(SoftState[EntryT]):
    """The entries of one service."""

    def __init__(self, bounds: Bounds) -> None:
        super().__init__()
        self.sequence = 0
        """The number of the last change."""
        self.refused = 0
        """How many there was no room for."""
        self._bounds = bounds
        self._shares = Shares(bounds.entries, bounds.share)
        self._counts: Counter[tuple[User, bool]] = Counter()
        """How many entries an author has: of their own, and for single members of groups."""
        self._copied_to: dict[tuple[User, Group], set[User]] = {}
        """The members to whom a group's entry was copied."""
        self._authors: dict[Group, dict[User, None]] = {}
        """The authors who have an entry for a group."""
        self._changes: deque[tuple[int, float, Key]] = deque()

    # Entries --------------------------------------------------------------------------------

    def has_room(self, key: Key, origin: Hashable) -> bool:
        """Whether there is room for one entry more; if not, it counts as refused."""
        author, audience = key
        most = self._bounds.to_members if audience.is_member else self._bounds.of_author
        has_room = self._counts[author, audience.is_member] < most and self._shares.has_room(origin)
        self.refused += not has_room
        return has_room

    def change(self, entry: EntryT, known: EntryT | None, now: float) -> None:
        """Take it for the newest, in the place of the one that is known, if any: that is a change."""
        if known is None:
            self._counts[entry.author, entry.audience.is_member] += 1
            self._shares.add(entry.origin)
        if entry.audience.is_group and entry.audience.group is not None:
            self._authors.setdefault(entry.audience.group, {})[entry.author] = None
        self.put(entry)
        self.note_change(entry.key, now)

    def note_change(self, key: Key, now: float) -> None:
        """Number a change."""
        self.sequence += 1
        self._changes.append((self.sequence, now, key))

    def forget(self, entry: EntryT) -> None:
        """Nothing is known of it any more, and there is room for another."""
        super().forget(entry)
        author, (_, group) = entry.key
        kind = author, entry.audience.is_member
        self._shares.remove(entry.origin)
        self._counts[kind] -= 1
        if not self._counts[kind]:
            del self._counts[kind]
        if entry.audience.is_group and group is not None:
            self._copied_to.pop((author, group), None)
            del self._authors[group][author]
            if not self._authors[group]:
                del self._authors[group]

    def expire(self, now: float) -> bool:
        """End what is due, and forget what has been over, or changed, long ago."""
        has_ended = super().expire(now)
        while self._changes and self._changes[0][1] < now - LOGGED:
            self._changes.popleft()
        return has_ended

    # Groups ---------------------------------------------------------------------------------

    def authors_in(self, group: Group) -> list[User]:
        """The authors who have an entry for a group, be it over."""
        return list(self._authors.get(group, ()))

    def fan_out(self, author: User, group: Group, members: Iterable[User], now: float) -> Iterator[None]:
        """Have each of the members see the author's entry for the group, and nobody else: a step each."""
        self.expire(now)
        source = self.get(author, Audience(None, group))
        if source is None:
            return
        members = set(members) - {author}
        before = self._copied_to.get((author, group), set())
        self._copied_to[author, group] = members | before if source.is_over else members
        for member in itertools.chain(before - members, members):
            self._copy(source, Audience(member, group), now, is_over=source.is_over or member not in members)
            yield

    def _copy(self, source: EntryT, audience: Audience, now: float, *, is_over: bool) -> None:
        """A member sees what is shared with the group, or no more: with the group, or as no member any more."""
        known, timestamp = self.get(source.author, audience), source.timestamp
        if known is not None and is_over:
            if known.is_over:
                return
            timestamp = max(timestamp, known.timestamp)
        elif known is not None and known.is_over and known.is_copy:  # a member again
            timestamp = max(timestamp, math.nextafter(known.timestamp, math.inf))
        if not is_news(known, timestamp, is_over=is_over):
            return
        if known is None and not self.has_room((source.author, audience), source.origin):
            return
        copy = self.copy(source, known, audience, timestamp, now, is_over=is_over)
        if copy is not None:
            self.change(copy, known, now)

    def copy(
        self,
        source: EntryT,
        known: EntryT | None,
        audience: Audience,
        timestamp: float,
        now: float,
        *,
        is_over: bool,
    ) -> EntryT | None:
        """The group's entry for one member, who has `known` of it; None: there is nothing to be told."""
        raise NotImplementedError

    # Changes --------------------------------------------------------------------------------

    def changes(self, since: int) -> Iterator[Key]:
        """The keys of the changes after that number, newest first; an entry may be forgotten by now."""
        log = itertools.takewhile(lambda change: change[0] > since, reversed(self._changes))
        return (key for _, _, key in log)

    def changed(self, since: int) -> list[EntryT]:
        """The entries that changed after that number, as they are now, newest first."""
        return [self._entries[key] for key in dict.fromkeys(self.changes(since)) if key in self._entries]
