"""The typists as one person sees them: lists merged, whatever comes late, twice or not at all. Pure.

An entry lasts `expiry` seconds by our clock (`now`, monotonic) from when its server heard it; its timestamp says
only whether it is news.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from parley.shared.addresses import User
from parley.shared.recipients import Recipient
from parley.shared.wire.messages import pb


@dataclass(frozen=True, slots=True)
class Typist:
    """Somebody who types, to us by name, in a group (`recipient`), or to everyone."""

    user: User
    recipient: Recipient
    timestamp: float
    """Unix seconds of their clock."""


@dataclass(slots=True)
class _Known:
    typist: Typist
    until: float
    is_typing: bool


class Typists:
    """Everyone but ourselves who types now."""

    def __init__(self, user: User, expiry: float) -> None:
        self._user = user
        self._expiry = expiry
        self._known: dict[tuple[User, Recipient], _Known] = {}

    def take(self, events: pb.TypingEvents, now: float) -> bool:
        """Take a list; whether it changes anything. Who is missing in it may be in another one."""
        before = self.current(now)
        for event in itertools.chain(events.typing_events, events.stopped):
            event.stopped = False
        for event in events.stopped:
            event.stopped = True
        for event in itertools.chain(events.typing_events, events.stopped):
            self._take(event, now)
        return self.current(now) != before

    def _take(self, event: pb.TypingEvent, now: float) -> None:
        user, recipient = User.of(event.user), Recipient.of_typing(event)
        if self._user.is_same(user) or recipient is None or not self._is_for_us(recipient):
            return
        known = self._known.get((user, recipient))
        if known is not None and not self._is_news(known, event):
            return
        age = event.age if event.age >= 0.0 else math.inf
        until = now + self._expiry - (0.0 if event.stopped else age)
        typist = Typist(user, recipient, event.timestamp)
        self._known[user, recipient] = _Known(typist, until, not event.stopped)

    def _is_for_us(self, recipient: Recipient) -> bool:
        return recipient.user is None or self._user.is_same(recipient.user)

    @staticmethod
    def _is_news(known: _Known, event: pb.TypingEvent) -> bool:
        if event.timestamp == known.typist.timestamp:
            return event.stopped and known.is_typing
        return event.timestamp > known.typist.timestamp

    def current(self, now: float) -> list[Typist]:
        """Everyone who types, the newest last."""
        for key, known in list(self._known.items()):
            if known.until + self._expiry <= now:  # nothing as old comes any more
                del self._known[key]
        return [known.typist for known in self._known.values() if known.is_typing and known.until > now]

    def next_timeout(self, now: float) -> float | None:
        """When the next entry is over."""
        return min((k.until for k in self._known.values() if k.is_typing and k.until > now), default=None)
