"""A service whose clients speak to it by UDP as well: typing indicators and live locations.

A subscriber is its TCP link; its datagrams come from that link's address and the `udpPort` that its CONNECT
named, and are sent there. What changes is gathered, so that no more than one round of datagrams goes
out per `fanout_interval`. Nobody asks for a datagram that is lost: what changed within REPEATED_FOR is told again
every REPEAT_INTERVAL, with what is newest, so that one of seven datagrams is enough. Other servers are told by TCP,
once, and sooner: each hop would otherwise wait out an interval of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Protocol, cast

from parley.shared.addresses import Group, SocketAddress, User
from parley.shared.config import Config
from parley.shared.discovery.server_lists import ServerListChange
from parley.shared.errors import RemoteProtocolError
from parley.shared.limits.rates import DatagramRates
from parley.shared.link.link import Link
from parley.shared.link.turn import turn_of
from parley.shared.runtime.steps import LOOK_EVERY, Steps, Task
from parley.shared.runtime.supervised import SupervisedThrottle, SupervisedTimer
from parley.shared.runtime.timer import clock
from parley.shared.service.service_base import ServiceBase
from parley.shared.sockets.datagrams import UdpSocket
from parley.shared.soft_state.block_lists import NOBODY
from parley.shared.soft_state.clock_offsets import Clocks
from parley.shared.soft_state.group_entries import Spreads
from parley.shared.soft_state.node_chat import Chat, NodeChat
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import encode, pb

REPEAT_INTERVAL = 0.25
"""Seconds between two tellings of the same change."""
REPEATED_FOR = 1.7
"""Seconds for which a change is told again."""
GREETINGS = (0.4, 1.2)
"""Seconds after a subscriber came at which it is told the present state again."""
SERVER_SHARE = 10
"""Servers are told that many times as often as subscribers, at most."""


class DatagramSettings(Protocol):
    """The keys that the feature's part of the configuration has."""

    @property
    def udp_port(self) -> int:
        """For the clients' datagrams."""

    @property
    def fanout_interval(self) -> float:
        """Seconds between two rounds of datagrams, at least."""


class DatagramServiceBase(ServiceBase):
    """A ServiceBase with the feature's UDP port."""

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self._settings = cast("DatagramSettings", getattr(self.config, self.section))
        self._udp: UdpSocket | None = None
        self._addresses: dict[Link, SocketAddress] = {}
        self._links_at: dict[SocketAddress, list[Link]] = {}
        self._clocks = Clocks()
        self._rates = DatagramRates()
        self._refused = 0
        interval = self._settings.fanout_interval
        self._for_servers = SupervisedThrottle(
            "telling servers", interval / SERVER_SHARE, self._tell_servers, self.faults
        )
        self._for_subscribers = SupervisedThrottle("telling clients", interval, self._run_round, self.faults)
        self._repeat = SupervisedThrottle("telling clients again", REPEAT_INTERVAL, self._run_repeat, self.faults)
        self._expiry = SupervisedTimer("expiring", self._expired, self.faults)
        self._told_servers = self._told_subscribers = 0
        """The numbers of the last changes that they were told."""
        self._marks: deque[tuple[float, int]] = deque([(float("-inf"), 0)])
        """Which change was the last one at which time."""
        self.node_chat = NodeChat(self, self.config)
        self.chat: Chat = self.node_chat
        self.metrics.expect_datagrams()
        self._datagrams = self.metrics.datagrams

    # Life ---------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Take the TCP port and the UDP port."""
        super().bind()
        self._udp = UdpSocket(
            self.config.bind_host,
            self._settings.udp_port,
            self.feature,
            received=self._datagram_received,
            dropped=self.metrics.dropped,
        )

    @property
    def udp_port(self) -> int:
        """The port for our clients' datagrams."""
        return self._udp.port if self._udp is not None else 0

    async def stop(self) -> None:
        """Receive and send no more datagrams, then end as any service."""
        for timer in (self._for_servers, self._for_subscribers, self._repeat, self._expiry):
            timer.cancel()
        await self.node_chat.stop()
        if self._udp is not None:
            self._udp.close()
        await super().stop()

    async def server_list_received(self, change: ServerListChange, own: Sequence[pb.Endpoint]) -> None:
        """The directory changed; or where our node's chat process is."""
        self.node_chat.endpoints_changed(own)
        await super().server_list_received(change, own)

    def hidden_from(self, user: User | None) -> AbstractSet[User] | None:
        """The users that a user blocks, and gets no news of; None: that is about to be known, so nobody's news yet.

        A user of another server's blocks are known there.
        """
        if user is None or user.server_id != self.server_id:
            return NOBODY
        return self.chat.blocked(user)

    def blocks_changed(self, user: User, others: AbstractSet[User]) -> None:  # noqa: ARG002 - a feature may tell more
        """A user's blocks are known: tell the user what they may see."""
        for link in self.subscribers.get(user, ()):
            self._greet(link)

    def members_changed(self, group: Group) -> None:
        """The members of a group that is addressed here are others than before."""

    @cached_property
    def spreads(self) -> Spreads:
        """Entries for groups, on their way to the members."""
        loop = asyncio.get_running_loop()
        turn, queue = turn_of(loop)
        return Spreads(
            queue,
            clock(loop),
            turn.is_over,
            call_later=loop.call_later,
            spread=self.spread,
            done=self.changed,
        )

    def spread(self, author: User, group: Group) -> Iterator[None]:  # noqa: ARG002 - a seam
        """Tell the members of a group what an author says to it, a step for each."""
        return iter(())

    # Subscribers ----------------------------------------------------------------------------------

    def subscriber_connected(self, link: Link) -> None:
        """Know it by its address, and tell it the present state, once CONNECTED is written."""
        user = link.identity.user
        if user is not None and user.server_id == self.server_id:
            self.chat.watch_blocks(user)
        if not link.identity.udp_port:
            return
        address = (link.remote_host, link.identity.udp_port)
        self._addresses[link] = address
        self._links_at.setdefault(address, []).append(link)
        loop = asyncio.get_running_loop()
        loop.call_soon(self._greet, link)
        for delay in GREETINGS:
            loop.call_later(delay, self._greet, link)

    def subscriber_disconnected(self, link: Link) -> None:
        """The link's datagrams no longer count; those of an older link at that address do again."""
        self._clocks.forget(link)
        if link.identity.user is not None and link.identity.user not in self.subscribers:
            self.chat.unwatch_blocks(link.identity.user)
        address = self._addresses.pop(link, None)
        if address is None:
            return
        self._links_at[address].remove(link)
        if not self._links_at[address]:
            del self._links_at[address]

    def _greet(self, link: Link) -> None:
        if link in self._addresses:
            self.send_datagrams(link, self.state_for(link))

    def state_for(self, link: Link) -> Iterable[bytes]:  # noqa: ARG002 - a seam
        """The datagrams that tell a subscriber that is new what there is."""
        return ()

    # Servers' lists -------------------------------------------------------------------------------

    def take_in_turn(self, link: Link, entries: Iterator[None]) -> None:
        """Take a list that came, a step for each entry: at once, or where it is long in turn with all others.

        What follows it on that link waits until it is taken.
        """
        for count, _ in enumerate(entries, start=1):
            if count % LOOK_EVERY == 0 and link.had_its_turn:
                break
        else:
            return
        link.hold()
        loop = asyncio.get_running_loop()
        turn, queue = turn_of(loop)
        steps = Steps(queue, clock(loop), turn.is_over, lambda _size: link.release())
        steps.add(self._take_on(link, entries))

    def _take_on(self, link: Link, entries: Iterator[None]) -> Task:
        yield
        try:
            for _ in entries:
                if not link.is_open:
                    return
                yield
        except RemoteProtocolError as error:
            self.message_rejected(link, error.reason, str(error))

    # Datagrams in ---------------------------------------------------------------------------------

    def _datagram_received(self, frame: Frame, address: SocketAddress) -> None:
        """A datagram counts only if it comes from a subscriber; at one address the newest link is meant."""
        self._datagrams["received"] += 1
        links = self._links_at.get(address)
        if links is None:
            self.metrics.dropped("not_a_subscriber")
            return
        if not self._rates.allows(*address, asyncio.get_running_loop().time()):
            self.metrics.limited("datagrams", self.section)
            return
        link = links[-1]
        try:
            handled = self.handle_datagram_for_feature(link, frame)
        except RemoteProtocolError as error:
            self.datagram_dropped(link, error.reason)
            return
        if not handled:
            self.datagram_dropped(link, "unknown_name")
            return
        link.note_alive()

    def ahead(self, link: Link, timestamp: float, age: float = 0.0) -> float:
        """Seconds to be added to a subscriber's timestamp, where its clock is far off; said once per link.

        NaN where it is no time: that is out of range to whoever looks at it.
        """
        ahead = self._clocks.ahead(link, timestamp, time.time(), age)
        if ahead and "clock" not in link.told:
            link.told |= {"clock"}
            self.log.warning("clock_is_off", seconds=-ahead, link_id=link.link_id)
        return ahead

    def handle_datagram_for_feature(self, link: Link, frame: Frame) -> bool:  # noqa: ARG002 - a seam
        """Handle a subscriber's datagram; False when it is not one of this feature's."""
        return False

    def datagram_dropped(self, link: Link, reason: str) -> None:
        """Count a subscriber's datagram that is not taken; say so once per link and reason."""
        self.metrics.dropped(reason)
        told = f"datagram {reason}"
        if told not in link.told:
            link.told |= {told}
            self.log.warning("datagram_dropped", reason=reason, link_id=link.link_id)

    # Datagrams out --------------------------------------------------------------------------------

    def send_datagrams(self, link: Link, datagrams: Iterable[bytes]) -> None:
        """Send to a subscriber; what its network or ours does not take is lost."""
        address = self._addresses.get(link)
        if address is None or self._udp is None:
            return
        sent = 0
        for datagram in datagrams:
            if self._udp.send(datagram, address) is None:
                sent += 1
        self._datagrams["sent"] += sent

    def confirm(self, link: Link, timestamp: float, snowflake: int = 0) -> None:
        """Tell a subscriber that its datagram came."""
        self.send_datagrams(link, [encode("HEARD", pb.Heard(timestamp=timestamp, messageSnowflake=snowflake))])

    # What changes ------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Something may have: have it told, and know when the next thing expires."""
        if self._stopping:
            return
        if self.last_change() != self._told_servers:
            self._for_servers.ask()
        if self.last_change() != self._told_subscribers:
            self._for_subscribers.ask()
        self._expiry.set(self.next_expiry())
        if (refused := self.refused()) != self._refused:
            self.metrics.limited("names", self.section, refused - self._refused)
            self._refused = refused

    def last_change(self) -> int:
        """The number of the last change."""
        return 0

    def next_expiry(self) -> float | None:
        """When something expires next (the loop's seconds)."""
        return None

    def refused(self) -> int:
        """How many of what is told here there was no room for, since the process began."""
        return 0

    def expire(self) -> None:
        """Forget what has expired."""

    def _expired(self) -> None:
        self.expire()
        self.changed()

    def _tell_servers(self) -> None:
        since, self._told_servers = self._told_servers, self.last_change()
        self.tell_servers(since)

    @cached_property
    def _rounds(self) -> Steps:
        """Rounds of datagrams, one after another, a subscriber at a time: their turns are as long as anybody's."""
        loop = asyncio.get_running_loop()
        turn, queue = turn_of(loop)
        return Steps(queue, clock(loop), turn.is_over, self._round_is_over)

    def _round(self, since: int, *, again: bool) -> Task:
        yield
        for _ in self.fan_out(since, again=again):
            yield

    def _round_is_over(self, _size: int) -> None:
        self._repeat.ask_later()
        self.changed()

    def _run_round(self) -> None:
        if len(self._rounds):
            return  # what changed is told when this one is over
        self.expire()
        since, self._told_subscribers = self._told_subscribers, self.last_change()
        self._marks.append((asyncio.get_running_loop().time(), self._told_subscribers))
        self._rounds.add(self._round(since, again=False))

    def _run_repeat(self) -> None:
        """Tell again what changed of late; stop when that was told often enough."""
        if len(self._rounds):
            self._repeat.ask_later()
            return
        if self.last_change() != self._told_subscribers:
            self._run_round()  # what is told again may be cut short: what was never told would come behind it
        self.expire()
        horizon = asyncio.get_running_loop().time() - REPEATED_FOR
        while len(self._marks) > 1 and self._marks[1][0] <= horizon:
            self._marks.popleft()
        since = self._marks[0][1]
        if since < self._told_subscribers:
            self._rounds.add(self._round(since, again=True))

    def tell_servers(self, since: int) -> None:
        """Tell the other servers what changed after that change."""

    def fan_out(self, since: int, *, again: bool) -> Iterator[None]:  # noqa: ARG002 - a seam
        """Tell each subscriber, a step each, what changed after that change; `again`: it was told before."""
        return iter(())
