"""Live location for one user: share where we are with someone for a time, hear where others are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from client.datagram_feature import DatagramFeature
from shared.addresses import User
from shared.config import Config
from shared.discovery import DiscoveryService
from shared.framing import Frame
from shared.messages import LIVE_LOCATION, decode, encode, pb


class LocationFeature(DatagramFeature):
    """`on_locations` is called with each list of LiveLocation that is for us or by us."""

    feature: ClassVar[str] = LIVE_LOCATION

    def __init__(
        self,
        user: str | User = "",
        config: Config | None = None,
        *,
        on_locations: Callable[[Sequence[pb.LiveLocation]], None] = lambda _locations: None,
        discovery: DiscoveryService | None = None,
    ) -> None:
        super().__init__(user, config, discovery=discovery)
        self._on_locations = on_locations

    @property
    def preferred_udp_port(self) -> int:
        """8890 by default."""
        return self.config.client.location_udp_port

    def send_location(self, recipient: str | User, latitude: float, longitude: float, *, expiry_at: float) -> bool:
        """Share a position (degrees, WGS 84) with a user until `expiry_at` (Unix seconds); whether it went out."""
        to = recipient if isinstance(recipient, User) else User.parse(recipient)
        location = pb.LiveLocation(
            author=self.user.to_pb(),
            user=to.to_pb(),
            timestamp=time.time(),
            expiry_at=expiry_at,
            location=pb.Location(latitude=latitude, longitude=longitude),
        )
        return self.send_datagram(encode("LIVE_LOCATION", location))

    def handle_message(self, frame: Frame) -> bool:
        """Existing servers send every location to everyone: what is neither for us nor ours is dropped."""
        if frame.name != "LIVE_LOCATIONS":
            return False
        entries = decode(frame, pb.LiveLocations).extended_live_locations
        ours = [e.live_location for e in entries if self._concerns_us(e.live_location)]
        if ours:
            self._on_locations(ours)
        return True

    def _concerns_us(self, location: pb.LiveLocation) -> bool:
        if User.of(location.author) == self.user:
            return True
        which = location.WhichOneof("recipient")
        if which == "userOfGroup":
            return User.of(location.userOfGroup.user) == self.user
        return which == "group" or (which == "user" and User.of(location.user) == self.user)
