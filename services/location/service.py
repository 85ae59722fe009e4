"""The location process: LIVE_LOCATION from subscribers and LIVE_LOCATIONS from servers in, LIVE_LOCATIONS out.

A location goes to the clients of the user that it is addressed to, here and at that user's server, and to
its author's own other clients here. (A location for a whole group reaches only its author's clients
until groups have members.) A user of any server may subscribe here, but to the other servers we speak for our
own users only: what alice@alpha, connected here at beta, shares is told to subscribers here and to no
other server, which would have to refuse it from us.

Existing servers send every location to everyone; what they send us for others goes no further than to those
whom it is addressed to.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import ClassVar

from services.location.positions import LIST, Position, Positions
from shared.addresses import User
from shared.config import Config
from shared.datagram_lists import pack
from shared.datagram_service import DatagramServiceBase
from shared.framing import Frame, encode_frame
from shared.link import Link
from shared.messages import LIVE_LOCATION, decode, pb


class LocationService(DatagramServiceBase):
    """Tells where people are, to those whom they chose."""

    feature: ClassVar[str] = LIVE_LOCATION
    section: ClassVar[str] = "location"

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self.positions = Positions()

    # In -------------------------------------------------------------------------------------------

    def handle_datagram_for_feature(self, link: Link, frame: Frame) -> bool:
        """A subscriber shares where they are."""
        if frame.name != "LIVE_LOCATION":
            return False
        entry = pb.ExtendedLiveLocation(live_location=decode(frame, pb.LiveLocation))
        mine = User.of(entry.live_location.author) == link.identity.user
        if reason := self._take(entry, link.link_id) if mine else "foreign_user":
            self.datagram_dropped(link, reason)
        return True

    def handle_server_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """Users of another server share; it may only speak for its own."""
        if frame.name != LIST:
            return False
        for entry in decode(frame, pb.LiveLocations).extended_live_locations:
            author = User.of(entry.live_location.author)
            own = author.server_id == link.peer_id and author.is_complete
            if reason := self._take(entry) if own else "foreign_user":
                self.message_rejected(link, reason, LIST)
        return True

    def _take(self, entry: pb.ExtendedLiveLocation, source: int | None = None) -> str:
        reason = self.positions.take(entry, time.time(), source)
        if self.positions.has_changes:
            self.changed()
        return reason

    # Out ------------------------------------------------------------------------------------------

    def fan_out(self) -> None:
        """Tell what changed to those who may see it."""
        changes = self.positions.take_changes(time.time())
        for link, items in self._by_link(changes).items():
            self.send_datagrams(link, pack(LIST, items))
        for server_id, items in self._by_server(changes).items():
            peer = self.peering.link_to(server_id)
            if peer is not None:
                _send(peer, items)

    def _by_link(self, positions: Iterable[Position]) -> dict[Link, list[bytes]]:
        """What each subscriber here may see, and did not say itself."""
        items: dict[Link, list[bytes]] = defaultdict(list)
        for position in positions:
            for user in position.audience:
                for link in self.subscribers.get(user, ()):
                    if link.link_id != position.source:
                        items[link].append(position.item)
        return items

    def _by_server(self, positions: Iterable[Position]) -> dict[str, list[bytes]]:
        """What each other server is told: our own authors' locations for its users."""
        items: dict[str, list[bytes]] = defaultdict(list)
        for position in positions:
            user = position.recipient.user
            if user is not None and position.author.server_id == self.server_id != user.server_id:
                items[user.server_id].append(position.item)
        return items

    def state_for(self, link: Link) -> Iterator[bytes]:
        """Everything that this subscriber may see."""
        user = link.identity.user
        current = self.positions.current(time.time())
        return pack(LIST, (position.item for position in current if user in position.audience))

    def peer_connected(self, link: Link) -> None:
        """A server that is linked learns at once what is for its users."""
        super().peer_connected(link)
        items = self._by_server(self.positions.current(time.time())).get(link.peer_id)
        if items:
            _send(link, items)

    def status(self) -> dict[str, object]:
        """Adds how many streams there are."""
        return super().status() | {"streams": sum(1 for _ in self.positions.current(time.time()))}


def _send(link: Link, items: list[bytes]) -> None:
    link.send(encode_frame(LIST, b"".join(items)))
