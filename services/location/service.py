"""The location process: LIVE_LOCATION from subscribers and LIVE_LOCATIONS from servers in, LIVE_LOCATIONS out.

A location goes to the clients of the user that it is addressed to, here and at that user's server, and to its
author's own other clients here. What is for a group becomes, here at its author's server, one stream per member,
and the members are asked from chat for as long as somebody shares. A user of any server may subscribe here, but to
the other servers we speak for our own users only: what alice@alpha, connected here at beta, shares is told to
subscribers here and to no other server, which would have to refuse it from us.

Existing servers send every location to everyone; what they send us for others goes no further than to those
whom it is addressed to.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar, Final

from parley.services.location.devices import Devices, Told
from parley.services.location.positions import LIST, REMEMBERED, Position, Positions
from parley.shared.addresses import Group, User
from parley.shared.config import Config
from parley.shared.link.io import SEND_LIMIT
from parley.shared.link.link import Link
from parley.shared.recipients import Recipient
from parley.shared.runtime.supervised import SupervisedThrottle
from parley.shared.soft_state.datagram_lists import pack, parts
from parley.shared.soft_state.datagram_service import REPEAT_INTERVAL, DatagramServiceBase
from parley.shared.wire.framing import Frame, encode_frame
from parley.shared.wire.messages import LIVE_LOCATION, decode, pb
from parley.shared.wire.snowflake import FIRSTS, MAKERS, Snowflakes

TELLINGS: Final = 4
"""How often a subscriber is told that somebody is blocked, or no longer."""


class LocationService(DatagramServiceBase):
    """Tells where people are, to those whom they chose."""

    feature: ClassVar[str] = LIVE_LOCATION
    section: ClassVar[str] = "location"

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self.devices = Devices()
        self.positions = Positions(self._begin, self.devices.forget)
        self.metrics.watch_value("parley_location_streams", "Locations shared", self._stream_count)
        self._snowflakes = Snowflakes(secrets.randbelow(MAKERS), lambda: secrets.randbelow(FIRSTS))
        self._unblocked: dict[tuple[User, User], int] = {}
        """(user, other): the block that was made or ended, and how often that is still to be told."""
        self._retell = SupervisedThrottle("telling of blocks", REPEAT_INTERVAL, self._tell_of_blocks, self.faults)
        self._behind: set[Link] = set()
        """Servers that were too slow to be told something."""

    # In -------------------------------------------------------------------------------------------

    def handle_datagram_for_feature(self, link: Link, frame: Frame) -> bool:
        """A subscriber shares where they are."""
        if frame.name != "LIVE_LOCATION":
            return False
        location = decode(frame, pb.LiveLocation)
        self.spellings.correct(location)
        if User.of(location.author) != link.identity.user:
            self.datagram_dropped(link, "foreign_user")
        elif reason := self._take_from(link, location):
            self.datagram_dropped(link, reason)
        return True

    def _take_from(self, link: Link, location: pb.LiveLocation) -> str:
        """Take what a device of our subscriber's says; tell a group's members as well, and confirm."""
        author, recipient = User.of(location.author), Recipient.of_location(location)
        if recipient is None:
            return "no_recipient"
        said, age = location.timestamp, location.age
        ahead = self.ahead(link, said, age)
        location.timestamp += ahead
        location.expiry_at += ahead
        location.ClearField("age")
        known = self.positions.get(author, recipient)
        told = Told(known.timestamp, known.is_over) if known is not None else None
        key, now = (author, recipient), self._now()
        tell = self.devices.take(key, location, link.link_id, now, time.time(), told)
        if reason := self._take(tell.entry, tell.source, link.remote_host):
            if known is None:
                self.devices.forget(key)
            return reason
        if recipient.is_group and recipient.group is not None:
            self._spread(author, recipient.group)
        if location.confirm:
            self.confirm(link, said, self.positions.snowflake(author, recipient))
        return ""

    def subscriber_disconnected(self, link: Link) -> None:
        """A subscriber's streams go on until their end, or until another device of the user's is heard."""
        super().subscriber_disconnected(link)
        self.devices.left(link.link_id)

    def handle_server_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """Users of another server share; it may only speak for its own."""
        if frame.name != LIST:
            return False
        self.take_in_turn(link, self._take_list(link, frame))
        return True

    def _take_list(self, link: Link, frame: Frame) -> Iterator[None]:
        """Take a server's list of its users' entries: a step for each."""
        for part in parts(frame):
            message = decode(part, pb.LiveLocations)
            for entry in message.extended_live_locations:
                self.spellings.correct(entry)
                author = User.of(entry.live_location.author)
                own = author.server_id == link.peer_id and author.is_complete
                if reason := self._take(entry, None, link.peer_id) if own else "foreign_user":
                    self.message_rejected(link, reason, LIST)
                yield

    def _take(self, entry: pb.ExtendedLiveLocation, source: Hashable, origin: str) -> str:
        reason = self.positions.take(entry, self._now(), time.time(), source, origin)
        self.changed()
        return reason

    def _begin(self, location: pb.LiveLocation) -> int:
        """The first fix of one of our users' streams is a message, too; chat takes those of our own users only."""
        if location.author.serverId != self.server_id:
            return 0
        message = pb.ChatMessage(
            messageSnowflake=self._snowflakes.next(time.time()), author=location.author, live_location=location
        )
        which = location.WhichOneof("recipient")
        if which is not None:
            getattr(message, which).CopyFrom(getattr(location, which))
        self.chat.post(message)
        return message.messageSnowflake

    # Groups -----------------------------------------------------------------------------------------

    def _spread(self, author: User, group: Group) -> None:
        """Tell the members of a group; of those whom we do not know yet we hear soon."""
        position = self.positions.get(author, Recipient(None, group))
        if position is not None:
            self.chat.want(author, group, self._now() + REMEMBERED if position.is_over else position.expires)
            self.spreads.ask(author, group)

    def spread(self, author: User, group: Group) -> Iterator[None]:
        """Tell those who are members now."""
        return self.positions.spread(author, group, self.chat.members(author, group), self._now())

    def members_changed(self, group: Group) -> None:
        """Some learn where the others are, others no longer do."""
        for author in self.positions.authors_in(group):
            self.spreads.ask(author, group)

    # Time ---------------------------------------------------------------------------------------------

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def last_change(self) -> int:
        """The number of the last change."""
        return self.positions.sequence

    def next_expiry(self) -> float | None:
        """When a stream expires next."""
        return self.positions.next_timeout()

    def refused(self) -> int:
        """How many streams there was no room for."""
        return self.positions.refused

    def expire(self) -> None:
        """End what has expired."""
        self.positions.expire(self._now())

    # Out ------------------------------------------------------------------------------------------

    def fan_out(self, since: int, *, again: bool) -> Iterator[None]:  # noqa: ARG002 - what is told again is the same
        """Tell what changed to those who may see it, and did not say it themselves: a step each."""
        now = self._now()
        items: dict[Link, list[bytes]] = defaultdict(list)
        for position in self.positions.changed(since):
            yield
            item = position.item(now)
            for user in position.audience & self.subscribers.keys():
                hidden = self.hidden_from(user)
                if hidden is None or position.author in hidden:
                    continue
                for link in self.subscribers[user]:
                    if link.link_id != position.source:
                        items[link].append(item)
        for link, each in items.items():
            self.send_datagrams(link, pack(LIST, each))
            yield

    def state_for(self, link: Link) -> Iterator[bytes]:
        """Everything that this subscriber may see, and what is over that it may have seen."""
        user, now = link.identity.user, self._now()
        hidden = self.hidden_from(user)
        if hidden is None:
            return iter(())
        seen = (p for p in self.positions.all() if user in p.audience and p.author not in hidden)
        return pack(LIST, (p.item(now) for p in seen))

    # Blocks ---------------------------------------------------------------------------------------

    def blocks_changed(self, user: User, others: AbstractSet[User]) -> None:
        """Take blocked users off the user's map at once, and bring back those who no longer are blocked."""
        super().blocks_changed(user, others)
        self._unblocked.update(dict.fromkeys(((user, other) for other in others - {user}), TELLINGS))
        self._retell.ask()

    def _tell_of_blocks(self) -> None:
        """Say so a few times: a datagram may be lost."""
        now, items = self._now(), defaultdict[Link, list[bytes]](list)
        for position in self.positions.current(now):
            for user in position.audience & self.subscribers.keys():
                if (user, position.author) in self._unblocked:
                    hidden = self.hidden_from(user)
                    if hidden is None:
                        continue
                    item = position.gone() if position.author in hidden else position.back(now)
                    for link in self.subscribers[user]:
                        items[link].append(item)
        for link, each in items.items():
            self.send_datagrams(link, pack(LIST, each))
        self._unblocked = {pair: times - 1 for pair, times in self._unblocked.items() if times > 1}
        if self._unblocked:
            self._retell.ask_later()

    async def stop(self) -> None:
        """Tell no more, then end as any service of datagrams."""
        self._retell.cancel()
        await super().stop()

    def tell_servers(self, since: int) -> None:
        """Tell the other servers what is for their users."""
        for server_id, positions in self._by_server(self.positions.changed(since)).items():
            link = self.peering.link_to(server_id)
            if link is not None:
                self._tell(link, positions)

    def _by_server(self, positions: Iterable[Position]) -> dict[str, list[Position]]:
        """The entries for each other server: our own authors' locations for its users."""
        found: dict[str, list[Position]] = defaultdict(list)
        for position in positions:
            user = position.recipient.user
            if user is not None and position.author.server_id == self.server_id != user.server_id:
                found[user.server_id].append(position)
        return found

    def _tell(self, link: Link, positions: Sequence[Position]) -> None:
        """Send to a server as much as it takes; the rest, as it is then, when it reads again."""
        now, payload = self._now(), bytearray()
        for position in positions:
            payload += position.item(now)
            if len(payload) > SEND_LIMIT:
                link.send(encode_frame(LIST, bytes(payload)))
                payload.clear()
            if not link.writable:
                self._behind.add(link)
                return
        if payload:
            link.send(encode_frame(LIST, bytes(payload)))

    def link_writable(self, link: Link) -> None:
        """A server that was too slow is told everything again: the newest wins."""
        super().link_writable(link)
        if link in self._behind:
            self._behind.discard(link)
            self._tell_all(link)

    def peer_connected(self, link: Link) -> None:
        """A server that is linked learns at once what is for its users."""
        super().peer_connected(link)
        self._tell_all(link)

    def peer_disconnected(self, link: Link) -> None:
        """Forget that it was behind: over the next link it learns all."""
        super().peer_disconnected(link)
        self._behind.discard(link)

    def _tell_all(self, link: Link) -> None:
        self.expire()
        self._tell(link, self._by_server(self.positions.all()).get(link.peer_id, ()))

    def status(self) -> dict[str, object]:
        """Adds how many streams there are."""
        return super().status() | {"streams": self._stream_count()}

    def _stream_count(self) -> int:
        return sum(1 for position in self.positions.current(self._now()) if not position.is_copy)
