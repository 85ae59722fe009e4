"""The typists as one person sees them: lists merged, whatever comes late, twice or not at all. Pure.

An entry lasts `expiry` seconds by our clock (`now`, monotonic) from when its server heard it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

from parley.shared.addresses import User
from parley.shared.audiences import Audience
from parley.shared.soft_state.soft_state import Entry, SoftState, is_news
from parley.shared.wire.messages import pb


@dataclass(frozen=True, slots=True)
class Typist:
    """Somebody who types, to us by name, in a group (`audience`), or to everyone."""

    user: User
    audience: Audience
    timestamp: float
    """Unix seconds of their clock."""


class TypingView(SoftState[Entry]):
    """Everyone but ourselves who types now."""

    def __init__(self, user: User, expiry: float) -> None:
        super().__init__()
        self._user = user
        self._expiry = expiry

    def update(self, events: pb.TypingEvents, now: float) -> bool:
        """Take a list; whether it changes anything. Who is missing in it may be in another one."""
        before = self.current(now)
        for event in itertools.chain(events.typing_events, events.stopped):
            event.stopped = False
        for event in events.stopped:
            event.stopped = True
        for event in itertools.chain(events.typing_events, events.stopped):
            self._update(event, now)
        return self.current(now) != before

    def _update(self, event: pb.TypingEvent, now: float) -> None:
        user, audience = User.of(event.user), Audience.of_typing(event)
        if self._user.is_same(user) or audience is None or not self._is_for_us(audience):
            return
        if is_news(self.get(user, audience), event.timestamp, is_over=event.stopped):
            age = event.age if event.age >= 0.0 else math.inf
            due = now + (2 * self._expiry if event.stopped else self._expiry - age)
            self.put(Entry((user, audience), event.timestamp, event.stopped, due))

    def _is_for_us(self, audience: Audience) -> bool:
        return audience.user is None or self._user.is_same(audience.user)

    def ended(self, entry: Entry, now: float) -> None:  # noqa: ARG002 - it was due when it was due
        """It is remembered until nothing as old can come any more."""
        self.put(replace(entry, is_over=True, due=entry.due + self._expiry))

    def current(self, now: float) -> list[Typist]:
        """Everyone who types, the newest last."""
        return [Typist(entry.author, entry.audience, entry.timestamp) for entry in self.live(now)]
