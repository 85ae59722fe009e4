"""The typing process: TYPING_EVENT from subscribers and TYPING_EVENTS from servers in, TYPING_EVENTS out.

A user of any server may subscribe here. To the other servers we speak for our own users only: what
alice@alpha, connected here at beta, types is told to the subscribers here and to nobody else (alpha would
have to refuse it from us, and every third server too).

Existing clients keep only the newest list that they received, so a list holds everyone who types, not only who
began to. Where that is more than one datagram holds (about 30 people), the datagrams go out that hold
changes, and the one with the newest people goes last, so that it is the one they keep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import ClassVar

from services.typing.indicators import LIST, Indicator, Indicators
from shared.addresses import User
from shared.config import Config
from shared.datagram_lists import pack
from shared.datagram_service import DatagramServiceBase
from shared.framing import Frame
from shared.link import Link
from shared.messages import TYPING_INDICATOR, decode, encode, pb


class TypingService(DatagramServiceBase):
    """Tells who is typing."""

    feature: ClassVar[str] = TYPING_INDICATOR
    section: ClassVar[str] = "typing"

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self.indicators = Indicators(self.config.typing.typing_expiry)

    # In -------------------------------------------------------------------------------------------

    def handle_datagram_for_feature(self, link: Link, frame: Frame) -> bool:
        """A subscriber types."""
        if frame.name != "TYPING_EVENT":
            return False
        event = decode(frame, pb.TypingEvent)
        mine = User.of(event.user) == link.identity.user
        if reason := self._take(event) if mine else "foreign_user":
            self.datagram_dropped(link, reason)
        return True

    def handle_server_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """Users of another server type; it may only speak for its own."""
        if frame.name != LIST:
            return False
        for event in decode(frame, pb.TypingEvents).typing_events:
            user = User.of(event.user)
            own = user.server_id == link.peer_id and user.is_complete
            if reason := self._take(event) if own else "foreign_user":
                self.message_rejected(link, reason, LIST)
        return True

    def _take(self, event: pb.TypingEvent) -> str:
        reason = self.indicators.take(event, self._now())
        if self.indicators.has_changes:
            self.changed()
        return reason

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # Out ------------------------------------------------------------------------------------------

    def fan_out(self) -> None:
        """Tell the other servers what our users began, and each subscriber what others did."""
        changes = self.indicators.take_changes(self._now())
        ours = self._ours(changes)
        if ours.typing_events:
            self.broadcast_to_servers(LIST, ours)
        changed = {entry.user for entry in changes}
        for_most = self._datagrams(len(changed))
        for user, links in self.subscribers.items():
            datagrams = for_most
            if user in self.indicators:
                datagrams = self._datagrams(len(changed - {user}), without=user)
            for link in links:
                self.send_datagrams(link, datagrams)

    def _datagrams(self, needed: int | None, without: User | None = None) -> Sequence[bytes]:
        """The lists that tell the `needed` newest entries (None: all), the newest list last."""
        if needed == 0:
            return ()
        items = (entry.item for entry in self.indicators.newest_first(self._now()) if entry.user != without)
        return list(pack(LIST, items, needed))[::-1]

    def _ours(self, entries: Iterable[Indicator]) -> pb.TypingEvents:
        """Those that other servers are told: of our own users, whom no other server may speak for."""
        return pb.TypingEvents.FromString(
            b"".join(entry.item for entry in entries if entry.user.server_id == self.server_id)
        )

    def state_for(self, link: Link) -> Sequence[bytes]:
        """Everyone else who types."""
        return self._datagrams(None, without=link.identity.user)

    def peer_connected(self, link: Link) -> None:
        """A server that is linked learns at once which of our users type."""
        super().peer_connected(link)
        ours = self._ours(self.indicators.newest_first(self._now()))
        if ours.typing_events:
            link.send(encode(LIST, ours))

    def status(self) -> dict[str, object]:
        """Adds how many are typing."""
        return super().status() | {"typing": sum(1 for _ in self.indicators.newest_first(self._now()))}
