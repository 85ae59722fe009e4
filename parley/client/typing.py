"""Typing indicators for one user: tell that we type, and to whom; hear who does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from parley.client.event_feature import EventFeature
from parley.client.views.typing_view import TypingView, Typist
from parley.shared.addresses import Group, User
from parley.shared.audiences import EVERYONE, Audience
from parley.shared.config import Config
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import TYPING_INDICATOR, decode, encode, pb

EVENT_INTERVAL = 3.0
"""Seconds between two events of somebody who goes on typing, at least."""
PAUSE = 4.0
"""Seconds without a key after which somebody no longer types."""
CONFIRMED_WITHIN = 1.8
"""Seconds for which an event or a stop is sent again."""


class TypingFeature(EventFeature):
    """`on_typing` is called with everyone who types now: user → Unix seconds of their last key.

    `on_change` is called as well, with the same as a list that tells to whom. Both whenever that changes.
    """

    feature: ClassVar[str] = TYPING_INDICATOR

    def __init__(
        self,
        user: str | User = "",
        config: Config | None = None,
        *,
        on_typing: Callable[[dict[User, float]], None] = lambda _typing: None,
        on_change: Callable[[list[Typist]], None] = lambda _typists: None,
        discovery: DiscoveryService | None = None,
    ) -> None:
        super().__init__(user, config, discovery=discovery)
        self._on_typing = on_typing
        self._on_change = on_change
        self.view = self._view = TypingView(self.user, self.config.typing.typing_expiry)
        self._sent_at: dict[Audience, float] = {}
        """Where we type, and when that was told last (the loop's seconds)."""
        self._pauses: dict[Audience, asyncio.TimerHandle] = {}

    @property
    def preferred_udp_port(self) -> int:
        """7779 by default."""
        return self.config.client.typing_udp_port

    @property
    def typists(self) -> list[Typist]:
        """Everyone who types now."""
        return self._view.current(self.now())

    async def close(self) -> None:
        """Tell of no more."""
        for handle in self._pauses.values():
            handle.cancel()
        await super().close()

    # Telling ----------------------------------------------------------------------------------------

    def send_typing(self, recipient: str | User | Group | None = None) -> bool:
        """Call this with each key: tell the recipient, or everyone, that our user types.

        An event goes out once per EVENT_INTERVAL, and a stop after a PAUSE without a call. Whether it is told.
        """
        to = Audience.to(recipient)
        now = self.now()
        self._await_pause(to)
        if now - self._sent_at.get(to, float("-inf")) < EVENT_INTERVAL:
            return True
        sent = self._send(to, stopped=False)
        if sent:
            self._sent_at[to] = now
        return sent

    def stop_typing(self, recipient: str | User | Group | None = None) -> bool:
        """Tell that our user no longer types, as they sent or gave up; whether that went out."""
        to = Audience.to(recipient)
        pause = self._pauses.pop(to, None)
        if pause is not None:
            pause.cancel()
        return self._sent_at.pop(to, None) is not None and self._send(to, stopped=True)

    def _await_pause(self, to: Audience) -> None:
        pause = self._pauses.pop(to, None)
        if pause is not None:
            pause.cancel()
        self._pauses[to] = asyncio.get_running_loop().call_later(PAUSE, self._paused, to)

    def _paused(self, to: Audience) -> None:
        del self._pauses[to]
        if self._sent_at.pop(to, None) is not None:
            self._send(to, stopped=True)

    def _send(self, to: Audience, *, stopped: bool) -> bool:
        """A server that is no Parley would tell everyone, and take a stop for an event."""
        if self.is_plain and (stopped or to != EVERYONE):
            return False
        event = pb.TypingEvent(
            user=self.user.to_pb(), timestamp=self.next_timestamp(), stopped=stopped, confirm=not self.is_on_link
        )
        to.write_typing(event)
        return self.retransmissions.send(to, event.timestamp, encode("TYPING_EVENT", event), CONFIRMED_WITHIN)

    # Hearing ----------------------------------------------------------------------------------------

    def handle_list(self, frame: Frame) -> bool:
        """A list of who types, or of some of them."""
        if frame.name != "TYPING_EVENTS":
            return False
        if self._view.update(decode(frame, pb.TypingEvents), self.now()):
            self.view_changed()
        self.watch_expiry()
        return True

    def view_changed(self) -> None:
        """Everyone who types now."""
        typists = self.typists
        self._on_typing({typist.user: typist.timestamp for typist in typists})
        self._on_change(typists)
