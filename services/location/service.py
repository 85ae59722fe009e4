"""The location process: LIVE_LOCATION from subscribers and LIVE_LOCATIONS from servers in, LIVE_LOCATIONS out.

A location goes to the clients of the user that it is addressed to, here and at that user's server, and to its
author's own other clients here. The members of a group are asked from chat for as long as somebody shares with it.
A user of any server may subscribe here, but to the other servers we speak for our own users only: what alice@alpha,
connected here at beta, shares is passed on to alpha, which tells it. Where alpha takes no visitors it is told to
subscribers here and to no other server, which would have to refuse it.

Existing servers send every location to everyone; what they send us for others goes no further than to those
whom it is addressed to.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Hashable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar, Final

from parley.services.location.devices import Devices
from parley.services.location.lists import Lists
from parley.services.location.positions import LIST, Position, Positions
from parley.shared.addresses import User
from parley.shared.audiences import Audience
from parley.shared.config import Config
from parley.shared.link.link import Link
from parley.shared.runtime.supervised import SupervisedThrottle
from parley.shared.soft_state.linked_clients import LinkedClient
from parley.shared.soft_state.soft_state_service import REPEAT_INTERVAL, SoftStateService
from parley.shared.soft_state.subscriber import Subscriber
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import LIVE_LOCATION, decode, pb
from parley.shared.wire.snowflake import FIRSTS, MAKERS, Snowflakes

TELLINGS: Final = 4
"""How often a subscriber is told that somebody is blocked, or no longer."""


class LocationService(SoftStateService):
    """Tells where people are, to those whom they chose."""

    feature: ClassVar[str] = LIVE_LOCATION
    section: ClassVar[str] = "location"
    list_name: ClassVar[str] = LIST
    event_name: ClassVar[str] = "LIVE_LOCATION"

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self.devices = Devices()
        self.state = self.positions = Positions(self._begin, self.devices.forget)
        self.metrics.watch_value("parley_location_streams", "Locations shared", self._stream_count)
        self._snowflakes = Snowflakes(secrets.randbelow(MAKERS), lambda: secrets.randbelow(FIRSTS))
        self._unblocked: dict[tuple[User, User], int] = {}
        """(user, other): the block that was made or ended, and how often that is still to be told."""
        self._retell = SupervisedThrottle("telling of blocks", REPEAT_INTERVAL, self._send_blocks, self.faults)
        self._untold_blocks: dict[LinkedClient, set[tuple[User, User]]] = {}
        """The same for clients on links that were too slow to be told."""
        self._behind: set[Link] = set()
        """Servers that were too slow to be told something."""

    # In -------------------------------------------------------------------------------------------

    def handle_datagram_for_feature(self, client: Subscriber, frame: Frame) -> bool:
        """A client's user shares where they are."""
        if frame.name != self.event_name:
            return False
        location = decode(frame, pb.LiveLocation)
        self.spellings.correct(location)
        if User.of(location.author) != client.identity.user:
            self.datagram_dropped(client, "foreign_user")
        elif reason := self._update_from(client, location):
            self.datagram_dropped(client, reason)
        return True

    def _update_from(self, client: Subscriber, location: pb.LiveLocation) -> str:
        """Take what a device of our subscriber's says; tell a group's members as well, and confirm."""
        author, audience = User.of(location.author), Audience.of_location(location)
        if audience is None:
            return "no_recipient"
        said, age = location.timestamp, location.age
        ahead = self.ahead(client, said, age)
        location.timestamp += ahead
        location.expiry_at += ahead
        location.ClearField("age")
        known = self.positions.get(author, audience)
        key, now = (author, audience), self.now()
        heard = self.devices.heard(key, location, client.link_id, now, time.time(), known)
        if reason := self.update(heard.entry, heard.source, client.remote_host):
            if known is None:
                self.devices.forget(key)
            return reason
        if audience.is_group and audience.group is not None:
            self.fan_out_to_group(author, audience.group)
        if location.confirm:
            self.confirm(client, said, self.positions.snowflake(author, audience))
        return ""

    def remove_client(self, client: Subscriber) -> None:
        """A client's streams go on until their end, or until another device of the user's is heard."""
        super().remove_client(client)
        self.devices.left(client.link_id)
        if isinstance(client, Link):
            self._untold_blocks.pop(client, None)

    def entries_in(self, frame: Frame) -> Iterable[pb.ExtendedLiveLocation]:
        """Where people are."""
        return decode(frame, pb.LiveLocations).extended_live_locations

    def refusal(self, link: Link, entry: pb.ExtendedLiveLocation) -> str:
        """Why a server may not say that."""
        author = User.of(entry.live_location.author)
        return "" if author.server_id == link.peer_id and author.is_complete else "foreign_user"

    def update(self, entry: pb.ExtendedLiveLocation, source: Hashable, origin: str) -> str:
        """Somebody is somewhere."""
        reason = self.positions.update(entry, self.now(), time.time(), source, origin)
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

    # Out ------------------------------------------------------------------------------------------

    def send_to_subscribers(self, since: int, *, again: bool) -> Iterator[None]:
        """Tell what changed to those who may see it, and did not say it themselves: a step each."""
        lists: Lists[Subscriber] = Lists(self.now())
        for position in self.positions.changed(since):
            yield
            for user in position.viewers & self.clients.keys():
                hidden = self.hidden_from(user)
                if hidden is None or position.author in hidden:
                    continue
                for client in self.clients[user]:
                    if client.link_id != position.source and not (again and client.identity.events_on_link):
                        lists.add(client, position)
        for client, datagrams in lists.datagrams():
            if client.identity.events_on_link:
                self.tell_on_link(client, list(datagrams), since)
            else:
                self.send_datagrams(client, datagrams)
            yield

    def missed(self, client: LinkedClient, since: int) -> Sequence[Position]:
        """The positions that this client may see, and those that are over that it may have seen."""
        if not isinstance(client, Link):
            return ()
        found = [position for position in self._shown_to(client) if position.sequence > since]
        return sorted(found, key=lambda position: position.sequence)

    def _shown_to(self, client: Subscriber) -> Iterator[Position]:
        """The positions that a client may see, and did not say itself."""
        user = client.identity.user
        hidden = self.hidden_from(user)
        if user is None or hidden is None:
            return
        for position in self.positions.all():
            is_shown = user in position.viewers and position.author not in hidden
            if is_shown and position.source != client.link_id:
                yield position

    def state_for(self, client: Subscriber) -> Iterable[bytes]:
        """Everything that this client may see, and what is over that it may have seen."""
        lists: Lists[Subscriber] = Lists(self.now())
        for position in self._shown_to(client):
            lists.add(client, position)
        return itertools.chain.from_iterable(datagrams for _, datagrams in lists.datagrams())

    # Blocks ---------------------------------------------------------------------------------------

    def blocks_changed(self, user: User, others: AbstractSet[User]) -> None:
        """Take blocked users off the user's map at once, and bring back those who no longer are blocked."""
        super().blocks_changed(user, others)
        self._unblocked.update(dict.fromkeys(((user, other) for other in others - {user}), TELLINGS))
        self._retell.ask()

    def _send_blocks(self) -> None:
        """Say so a few times: a datagram may be lost."""
        now = self.now()
        lists: Lists[Subscriber] = Lists(now)
        for position in self.positions.current(now):
            for user in position.viewers & self.clients.keys():
                if (user, position.author) in self._unblocked:
                    hidden = self.hidden_from(user)
                    if hidden is None:
                        continue
                    shown = position.gone() if position.author in hidden else position.back()
                    for client in self.clients[user]:
                        if self._shows_block_now(client, (user, position.author)):
                            lists.add(client, shown)
        for client, datagrams in lists.datagrams():
            self.send_datagrams(client, datagrams)
        self._unblocked = {pair: times - 1 for pair, times in self._unblocked.items() if times > 1}
        if self._unblocked:
            self._retell.ask_later()

    def _shows_block_now(self, client: Subscriber, pair: tuple[User, User]) -> bool:
        """Whether a client is told of a block now: on its link once, and later where that has no room."""
        if not client.identity.events_on_link:
            return True
        if self._unblocked[pair] < TELLINGS:
            return False
        if isinstance(client, Link) and (self.linked.is_behind(client) or not client.writable):
            self._untold_blocks.setdefault(client, set()).add(pair)
            self.linked.fell_behind(client, self.newest)
            return False
        return True

    def caught_up(self, client: LinkedClient) -> None:
        """Tell it of the blocks that were made or ended meanwhile."""
        if pairs := self._untold_blocks.pop(client, None):
            self._unblocked.update(dict.fromkeys(pairs, TELLINGS))
            self._retell.ask()

    async def stop(self) -> None:
        """Tell no more, then end as any service of datagrams."""
        self._retell.cancel()
        await super().stop()

    def is_too_slow(self, link: Link) -> None:
        """It is told the rest, as it is then, when it reads again."""
        self._behind.add(link)

    def link_writable(self, link: Link) -> None:
        """A server that was too slow is told everything again: the newest wins."""
        super().link_writable(link)
        if link in self._behind:
            self._behind.discard(link)
            self.send_all(link)

    def peer_disconnected(self, link: Link) -> None:
        """Forget that it was behind: over the next link it learns all."""
        super().peer_disconnected(link)
        self._behind.discard(link)

    def status(self) -> dict[str, object]:
        """Adds how many streams there are."""
        return super().status() | {"streams": self._stream_count()}

    def _stream_count(self) -> int:
        return sum(1 for position in self.positions.current(self.now()) if not position.is_copy)
