"""Live location for one user: share where we are with someone for a time, hear where others are."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from parley.client.event_feature import EventFeature
from parley.client.views.location_view import LocationView, SharedLocation
from parley.shared.addresses import Group, User
from parley.shared.audiences import Audience
from parley.shared.config import Config
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.link.link import Link
from parley.shared.soft_state.lifetimes import MAX_LIFETIME
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import LIVE_LOCATION, decode, encode, pb

CONFIRMED_WITHIN = 1.8
"""Seconds for which a position is sent again; the next one is not far."""
STOP_WITHIN = 60.0
"""Seconds for which a stop is sent again."""
REFRESH = 10.0
"""Seconds after which the last position is sent again, for a server that was started again."""


@dataclass(slots=True)
class _Shared:
    """A stream of ours."""

    location: pb.LiveLocation
    made: float
    """When, and until when it holds: seconds of `running_time`."""
    until: float


def running_time() -> float:
    """Seconds that go on whatever becomes of the clock, while the machine sleeps as well."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class LocationFeature(EventFeature):
    """`on_locations` is called with each list of LiveLocation that is for us or by us, and news.

    `on_change` is called with every location that may be seen now, whenever that changes: also where somebody
    stopped sharing, or their time is over.
    """

    feature: ClassVar[str] = LIVE_LOCATION

    def __init__(
        self,
        user: str | User = "",
        config: Config | None = None,
        *,
        on_locations: Callable[[Sequence[pb.LiveLocation]], None] = lambda _locations: None,
        on_change: Callable[[list[SharedLocation]], None] = lambda _locations: None,
        discovery: DiscoveryService | None = None,
    ) -> None:
        super().__init__(user, config, discovery=discovery)
        self._on_locations = on_locations
        self._on_change = on_change
        self._device = secrets.randbits(64) or 1
        """Which of our user's devices we are: another one's stop is not ours."""
        self.view = self._view = LocationView(self.user)
        self._shared: dict[Audience, _Shared] = {}
        self._snowflakes: dict[Audience, int] = {}
        """The messages that began our streams."""
        self._refresh: asyncio.TimerHandle | None = None

    @property
    def preferred_udp_port(self) -> int:
        """8890 by default."""
        return self.config.client.location_udp_port

    @property
    def locations(self) -> list[SharedLocation]:
        """Every location that may be seen now."""
        return self._view.current(self.now())

    async def close(self) -> None:
        """Send and hear no more. What is shared goes on until its end: `stop_sharing` ends it."""
        if self._refresh is not None:
            self._refresh.cancel()
        await super().close()

    # Sharing ----------------------------------------------------------------------------------------

    def send_location(
        self, recipient: str | User | Group, latitude: float, longitude: float, *, expiry_at: float
    ) -> bool:
        """Share a position (degrees, WGS 84) with a user or a group until `expiry_at` (Unix seconds).

        At most 8 hours from now. Whether it went out; it is sent again where it is lost on the way.
        """
        to = Audience.to(recipient)
        lasts = min(expiry_at - time.time(), MAX_LIFETIME)
        timestamp, now = self.next_timestamp(), running_time()
        location = pb.LiveLocation(
            author=self.user.to_pb(),
            timestamp=timestamp,
            expiry_at=timestamp + lasts,  # by the same clock, which may have been set back
            location=pb.Location(latitude=latitude, longitude=longitude),
        )
        to.write_location(location)
        self._shared[to] = _Shared(location, now, now + lasts)
        self._await_refresh()
        return self._send(to, location, CONFIRMED_WITHIN)

    def stop_sharing(self, recipient: str | User | Group) -> bool:
        """End a stream now; whether that went out. It is sent until the server has heard it."""
        to = Audience.to(recipient)
        last = self._shared.pop(to, None)
        location = pb.LiveLocation(author=self.user.to_pb(), timestamp=self.next_timestamp(), stopped=True)
        if self.is_plain and last is not None:  # a server that knows no stops knows ends
            location = pb.LiveLocation(
                author=self.user.to_pb(),
                timestamp=location.timestamp,
                expiry_at=location.timestamp,
                location=last.location.location,
            )
        to.write_location(location)
        sent = self._send(to, location, STOP_WITHIN)
        self._snowflakes.pop(to, None)
        return sent

    def _send(self, to: Audience, location: pb.LiveLocation, lasts: float) -> bool:
        location.messageSnowflake = self._snowflakes.get(to, 0)
        location.device = self._device
        location.confirm = not self.is_on_link or location.stopped or not location.messageSnowflake
        return self.retransmissions.send(to, location.timestamp, encode("LIVE_LOCATION", location), lasts)

    def heard(self, timestamp: float, snowflake: int) -> None:
        """The server has what we sent, and tells which message began the stream."""
        key = self.retransmissions.heard(timestamp) or self._stream_of(timestamp)
        if isinstance(key, Audience) and key in self._shared and snowflake:
            self._snowflakes[key] = snowflake

    def _stream_of(self, timestamp: float) -> Audience | None:
        """The stream that ends with what has this timestamp, if it is one's last."""
        return next((to for to, last in self._shared.items() if last.location.timestamp == timestamp), None)

    def link_opened(self, link: Link) -> None:
        """A server that was started again knows nothing of us."""
        super().link_opened(link)
        self._send_all()

    def _await_refresh(self) -> None:
        if self._refresh is None:
            self._refresh = asyncio.get_running_loop().call_later(REFRESH, self._refreshed)

    def _refreshed(self) -> None:
        self._refresh = None
        self._send_all()
        if self._shared:
            self._await_refresh()

    def _send_all(self) -> None:
        """The last position of each stream: the same again, which changes nothing where it is known."""
        for to, shared in list(self._shared.items()):
            now = running_time()
            if shared.until <= now:
                del self._shared[to]
                self._snowflakes.pop(to, None)
            else:
                shared.location.age = now - shared.made
                self._send(to, shared.location, CONFIRMED_WITHIN)

    # Hearing ----------------------------------------------------------------------------------------

    def handle_list(self, frame: Frame) -> bool:
        """Existing servers send every location to everyone: what is neither for us nor ours is dropped."""
        if frame.name != "LIVE_LOCATIONS":
            return False
        now, wall = self.now(), time.time()
        entries = decode(frame, pb.LiveLocations).extended_live_locations
        news = [entry.live_location for entry in entries if self._view.update(entry, now, wall)]
        live = [location for location in news if not location.stopped]
        if live:
            self._on_locations(live)
        if news:
            self.view_changed()
        self.watch_expiry()
        return True

    def view_changed(self) -> None:
        """Every location that may be seen now."""
        self._on_change(self.locations)
