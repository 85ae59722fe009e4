"""Typing indicators, by author and audience: soft state, nothing is stored. Pure.

An indicator lasts `expiry` seconds from when it was heard first, here or by the server that tells of it; so long a
stop is remembered. What a person's event says (`timestamp`, Unix seconds of their clock) only orders that person's
events; `now` is ours (seconds, monotonic).
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Final

from parley.shared.addresses import User
from parley.shared.audiences import EVERYONE, Audience
from parley.shared.soft_state.datagram_lists import TimedItem, fits
from parley.shared.soft_state.served_state import Bounds, ServedEntry, ServedState
from parley.shared.soft_state.soft_state import Key, is_news
from parley.shared.wire.messages import pb

LIST: Final = "TYPING_EVENTS"
FAR_FUTURE: Final = 3600.0
"""Seconds that an event's clock may be ahead of ours."""
BOUNDS: Final = Bounds(of_author=64, to_members=4096, entries=100_000, share=0.5)

_LIVE_FIELD = pb.TypingEvents.DESCRIPTOR.fields_by_name["typing_events"].number
_STOPPED_FIELD = pb.TypingEvents.DESCRIPTOR.fields_by_name["stopped"].number
_AGE_FIELD = pb.TypingEvent.DESCRIPTOR.fields_by_name["age"].number


@dataclass(frozen=True, slots=True)
class Indicator(ServedEntry):
    """One person's typing in one conversation; where it is over, that they stopped."""

    heard: float
    """When it was heard first, by our clock."""
    event: pb.TypingEvent

    def item(self, now: float) -> bytes:
        """The entry as a list of one, for a Parley."""
        return self.timed_item.at(max(now - self.heard, 0.0))


class _View:
    """The indicators that are for one audience, everyone or one user, in the order in which they came."""

    def __init__(self) -> None:
        self.live: OrderedDict[Key, Indicator] = OrderedDict()
        self.stopped: OrderedDict[Key, Indicator] = OrderedDict()

    @property
    def is_empty(self) -> bool:
        return not self.live and not self.stopped

    def discard(self, key: Key) -> None:
        self.live.pop(key, None)
        self.stopped.pop(key, None)


class Indicators(ServedState[Indicator]):
    """Everyone who typed within `expiry` seconds."""

    def __init__(self, expiry: float) -> None:
        super().__init__(BOUNDS)
        self._expiry = expiry
        self._views: dict[User | None, _View] = {None: _View()}

    def __len__(self) -> int:
        return sum(not entry.is_over for entry in self.all())

    # In ---------------------------------------------------------------------------------------

    def update(self, event: pb.TypingEvent, now: float, wall: float, origin: Hashable = None) -> str:
        """Take an event whose user may send it; return the `reason` why not, empty where all is well.

        `wall` is our clock's Unix time, `origin` the source that it counts to. What is not newer than what we
        know is well, and changes nothing.
        """
        audience = Audience.of_typing(event)
        if audience is None:
            return "no_recipient"
        if not math.isfinite(event.timestamp) or event.timestamp > wall + FAR_FUTURE or not event.age >= 0.0:
            return "out_of_range"
        self.expire(now)
        key = User.of(event.user), audience
        known = self.get(*key)
        if known is None and not self.has_room(key, origin):
            return "unexpected"
        is_past = event.age >= self._expiry and not event.stopped
        if is_past or not is_news(known, event.timestamp, is_over=event.stopped):
            return ""
        heard = now if event.stopped else now - event.age
        origin = known.origin if known is not None else origin
        entry = self._made(key, event, heard, is_over=event.stopped, origin=origin)
        if not fits(LIST, entry.timed_item):
            return "too_large"
        self.change(entry, known, now)
        return ""

    def _made(
        self,
        key: Key,
        event: pb.TypingEvent,
        heard: float,
        *,
        is_over: bool,
        is_copy: bool = False,
        origin: Hashable,
    ) -> Indicator:
        kept = pb.TypingEvent()
        kept.CopyFrom(event)
        for transient in ("confirm", "age", "stopped"):
            kept.ClearField(transient)
        return Indicator(
            key,
            event.timestamp,
            is_over=is_over,
            due=heard + self._expiry,
            sequence=self.sequence + 1,
            origin=origin,
            is_copy=is_copy,
            timed_item=TimedItem(_STOPPED_FIELD if is_over else _LIVE_FIELD, _AGE_FIELD, kept),
            heard=heard,
            event=kept,
        )

    def copy(
        self,
        source: Indicator,
        known: Indicator | None,
        audience: Audience,
        timestamp: float,
        now: float,
        *,
        is_over: bool,
    ) -> Indicator | None:
        """A group's indicator, for one member; one who was not told of it is told of no stop."""
        if is_over and known is None:
            return None
        event = pb.TypingEvent()
        event.CopyFrom(source.event)
        audience.write_typing(event)
        event.timestamp = timestamp
        heard = now if is_over else source.heard
        key = source.author, audience
        copy = self._made(key, event, heard, is_over=is_over, is_copy=True, origin=source.origin)
        return copy if fits(LIST, copy.timed_item) else None

    # Views ------------------------------------------------------------------------------------

    def change(self, entry: Indicator, known: Indicator | None, now: float) -> None:
        """Those whom it is for see it; what is for a whole group only its members' copies show."""
        super().change(entry, known, now)
        if not entry.audience.is_group:
            view = self._views.setdefault(entry.audience.user, _View())
            view.discard(entry.key)
            (view.stopped if entry.is_over else view.live)[entry.key] = entry

    def ended(self, entry: Indicator, now: float) -> None:
        """Forget it; those who were told of it are to get a list without it."""
        self.forget(entry)
        if not entry.audience.is_group:
            self.note_change(entry.key, now)

    def forget(self, entry: Indicator) -> None:
        """Nobody sees it any more."""
        super().forget(entry)
        user = entry.audience.user
        view = self._views.get(user)
        if view is not None and not entry.audience.is_group:
            view.discard(entry.key)
            if view.is_empty and user is not None:
                del self._views[user]

    # Out ----------------------------------------------------------------------------------------

    def concerned(self, since: int) -> tuple[bool, set[User]]:
        """The audience of the changes after that number: whether everyone, and which users by name."""
        audiences = {audience for _, audience in self.changes(since)}
        return EVERYONE in audiences, {one.user for one in audiences if one.user is not None}

    def has_own(self, user: User) -> bool:
        """Whether there is anything for that user by name."""
        return user in self._views

    def seen_by(self, user: User | None) -> Iterator[Indicator]:
        """Everyone else who types, as that user may see it, newest first; None: to everyone."""
        public = reversed(self._views[None].live.values())
        own = self._views.get(user) if user is not None else None
        if own is None:
            return (entry for entry in public if entry.author != user)
        both = heapq.merge(public, reversed(own.live.values()), key=lambda entry: -entry.sequence)
        return (entry for entry in both if entry.author != user)

    def stopped(self, user: User | None, since: int) -> list[Indicator]:
        """The entries that stopped after that change, as that user may see it."""
        views = [self._views[None]]
        if user is not None and user in self._views:
            views.append(self._views[user])
        found = []
        for view in views:
            for entry in reversed(view.stopped.values()):
                if entry.sequence <= since:
                    break
                if entry.author != user:
                    found.append(entry)
        return found
