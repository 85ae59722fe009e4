"""Typing indicators for one user: tell that we type, hear who does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from client.datagram_feature import DatagramFeature
from shared.addresses import User
from shared.config import Config
from shared.discovery import DiscoveryService
from shared.framing import Frame
from shared.messages import TYPING_INDICATOR, decode, encode, pb


class TypingFeature(DatagramFeature):
    """`on_typing` is called with everyone who types now: user → Unix seconds of their last key."""

    feature: ClassVar[str] = TYPING_INDICATOR

    def __init__(
        self,
        user: str | User = "",
        config: Config | None = None,
        *,
        on_typing: Callable[[dict[User, float]], None] = lambda _typing: None,
        discovery: DiscoveryService | None = None,
    ) -> None:
        super().__init__(user, config, discovery=discovery)
        self._on_typing = on_typing

    @property
    def preferred_udp_port(self) -> int:
        """7779 by default."""
        return self.config.client.typing_udp_port

    def send_typing(self) -> bool:
        """Tell that our user types; whether the datagram went out."""
        event = pb.TypingEvent(user=self.user.to_pb(), timestamp=time.time())
        return self.send_datagram(encode("TYPING_EVENT", event))

    def handle_message(self, frame: Frame) -> bool:
        """The newest list is who types now."""
        if frame.name != "TYPING_EVENTS":
            return False
        events = decode(frame, pb.TypingEvents).typing_events
        self._on_typing({User.of(event.user): event.timestamp for event in events})
        return True
