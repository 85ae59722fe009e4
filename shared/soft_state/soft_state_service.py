"""A service of soft state: typing indicators and live locations.

What changes is gathered, so that no more than one round goes out per `fanout_interval`. A client on its link is
told once (linked_clients.py). Nobody asks for a datagram that is lost: what changed within REPEATED_FOR is told
again every REPEAT_INTERVAL, with what is newest, so that one of seven datagrams is enough. Other servers are told
by TCP, once, and sooner: each hop would otherwise wait out an interval of its own.

To other servers we speak for our own users only, and tell each of them what is for its users. What is for a group
becomes, here at its author's server, one entry for each member.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any, Final

from parley.shared.addresses import Group, User
from parley.shared.audiences import Audience
from parley.shared.config import Config
from parley.shared.discovery.server_lists import ServerListChange
from parley.shared.link.io import SEND_LIMIT
from parley.shared.link.link import Link
from parley.shared.link.turn import turn_of
from parley.shared.runtime.steps import Steps, Task
from parley.shared.runtime.supervised import SupervisedThrottle, SupervisedTimer
from parley.shared.runtime.timer import clock
from parley.shared.soft_state.block_lists import NOBODY
from parley.shared.soft_state.datagram_lists import pack_plain, parts
from parley.shared.soft_state.group_fan_out import GroupFanOut
from parley.shared.soft_state.linked_clients import LinkedClient, LinkedClients
from parley.shared.soft_state.node_chat import NodeChat
from parley.shared.soft_state.served_state import ServedEntry, ServedState
from parley.shared.soft_state.subscriber import Subscriber
from parley.shared.soft_state.visitors.service import VisitedServiceBase
from parley.shared.wire.framing import Frame, encode_frame
from parley.shared.wire.messages import pb

REPEAT_INTERVAL: Final = 0.25
"""Seconds between two tellings of the same change."""
REPEATED_FOR: Final = 1.7
"""Seconds for which a change is told again."""
SERVER_SHARE: Final = 10
"""Servers are told that many times as often as subscribers, at most."""
ASKED: Final = 60.0
"""Seconds, at most, for which a group's members are asked for once its entry is over."""
EVERYONE = ""
"""Stands for all servers."""

Entries = list[ServedEntry]


class SoftStateService(VisitedServiceBase):
    """A subclass makes `state`, reads what comes, and says what a subscriber is told."""

    state: ServedState[Any]

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self._refused = 0
        interval = self._settings.fanout_interval
        self._for_servers = SupervisedThrottle(
            "telling servers", interval / SERVER_SHARE, self._send_to_servers, self.faults
        )
        self._for_subscribers = SupervisedThrottle("telling clients", interval, self._run_round, self.faults)
        self._repeat = SupervisedThrottle("telling clients again", REPEAT_INTERVAL, self._run_repeat, self.faults)
        self._expiry = SupervisedTimer("expiring", self._expired, self.faults)
        self._sent_to_servers = self._sent_to_subscribers = 0
        """The numbers of the last changes that they were told."""
        self._marks: deque[tuple[float, int]] = deque([(float("-inf"), 0)])
        """Which change was the last one at which time."""
        self.chat = self.node_chat = NodeChat(self, self.config)
        self.linked = LinkedClients(self)
        self.metrics.watch(
            "parley_event_clients",
            "Clients that are told from here, over their links or in datagrams; and those that are too slow now",
            lambda: [((way,), count) for way, count in (self.client_counts | {"behind": len(self.linked)}).items()],
            ["way"],
        )

    async def stop(self) -> None:
        """Tell no more, then end as any service of datagrams."""
        for timer in (self._for_servers, self._for_subscribers, self._repeat, self._expiry):
            timer.cancel()
        await self.node_chat.stop()
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
        for client in self.clients.get(user, ()):
            self.greet(client)

    # Groups -----------------------------------------------------------------------------------------

    def fan_out_to_group(self, author: User, group: Group) -> None:
        """Tell the members of a group what its author said last; of those whom we do not know yet we hear soon."""
        entry = self.state.get(author, Audience(None, group))
        if entry is not None:
            self.chat.want(author, group, min(entry.due, self.now() + ASKED) if entry.is_over else entry.due)
            self.group_fan_out.ask(author, group)

    def members_changed(self, group: Group) -> None:
        """Some are to learn what is shared with the group, others no longer."""
        for author in self.state.authors_in(group):
            self.group_fan_out.ask(author, group)

    @cached_property
    def group_fan_out(self) -> GroupFanOut:
        """Entries for groups, on their way to the members."""
        loop = asyncio.get_running_loop()
        turn, queue = turn_of(loop)
        return GroupFanOut(
            queue,
            clock(loop),
            turn.is_over,
            call_later=loop.call_later,
            copy=self._copy_to_members,
            done=self.changed,
        )

    def _copy_to_members(self, author: User, group: Group) -> Iterator[None]:
        return self.state.fan_out(author, group, self.chat.members(author, group), self.now())

    # Clients --------------------------------------------------------------------------------------

    def add_client(self, client: Subscriber) -> None:
        """Know whom our user blocks."""
        user = client.identity.user
        if user is not None and user.server_id == self.server_id:
            self.chat.watch_blocks(user)
        super().add_client(client)

    def remove_client(self, client: Subscriber) -> None:
        """Forget a user's blocks once their last client is gone."""
        super().remove_client(client)
        if isinstance(client, Link):
            self.linked.forget(client)
        if client.identity.user is not None and client.identity.user not in self.clients:
            self.chat.unwatch_blocks(client.identity.user)

    # Clients on links -----------------------------------------------------------------------------

    def greet(self, client: Subscriber) -> None:
        """Tell a client what there is; on its link it has missed all that."""
        if isinstance(client, Link) and client.identity.events_on_link:
            self.linked.fell_behind(client)
        else:
            super().greet(client)

    def tell_on_link(self, client: Subscriber, frames: Sequence[bytes], since: int) -> None:
        """Tell a client on a link, here or at another server, what changed after that change."""
        if isinstance(client, Link):
            self.linked.tell(client, frames, since)
        elif frames:
            self.send_datagrams(client, frames)

    def link_writable(self, link: Link) -> None:
        """A client that was behind catches up."""
        super().link_writable(link)
        self.linked.has_room(link)

    @property
    def newest(self) -> int:
        """The number of the last change."""
        return self.state.sequence

    @property
    def last_round(self) -> int:
        """The number of the last change that a round has told, or is telling."""
        return self._sent_to_subscribers

    def serves(self, client: LinkedClient) -> bool:
        """Whether a client is still here, and told from here."""
        user = client.identity.user if isinstance(client, Link) else None
        return user is not None and client in self.clients.get(user, ())

    def in_turn(self, task: Task) -> None:
        """Have a client catch up in turn with all others."""
        self._catching_up.add(task)

    @cached_property
    def _catching_up(self) -> Steps:
        loop = asyncio.get_running_loop()
        turn, queue = turn_of(loop)
        return Steps(queue, clock(loop), turn.is_over, lambda _size: None)

    def missed(self, client: LinkedClient, since: int) -> Sequence[ServedEntry]:
        """The entries that changed after that change, as a client may see them, in the order of their numbers."""
        raise NotImplementedError

    def caught_up(self, client: LinkedClient) -> None:
        """A client that was too slow is told each change again."""

    # Servers' lists -------------------------------------------------------------------------------

    def handle_server_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """A server tells of its users; it may only speak for its own, and for ours who visit it."""
        if frame.name != self.list_name:
            return super().handle_server_message_for_feature(link, frame)
        self.handle_in_turn(link, self._update_each(link, frame))
        return True

    def _update_each(self, link: Link, frame: Frame) -> Iterator[None]:
        """A step for each entry."""
        for part in parts(frame):
            for entry in self.entries_in(part):
                self.spellings.correct(entry)
                if reason := self.refusal(link, entry) or self.update(entry, None, link.peer_id):
                    self.message_rejected(link, reason, frame.name)
                yield

    def entries_in(self, frame: Frame) -> Iterable[Any]:
        """The payloads in a list."""
        raise NotImplementedError

    def refusal(self, link: Link, entry: Any) -> str:
        """Why a server may not say that; empty: it may."""
        raise NotImplementedError

    def update(self, entry: Any, source: int | None, origin: str) -> str:
        """Take what somebody said who may; return the `reason` why it does not count, empty where all is well.

        `source` is the subscriber's link, `origin` in whose share of the table it is.
        """
        raise NotImplementedError

    def _send_to_servers(self) -> None:
        """Tell the other servers what changed, as far as it is for their users."""
        since, self._sent_to_servers = self._sent_to_servers, self.state.sequence
        entries = self._by_server(self.state.changed(since))
        for link in self.peering.links if entries else ():
            self._send_entries(link, entries)

    def peer_connected(self, link: Link) -> None:
        """A server that is linked learns at once what is for its users."""
        super().peer_connected(link)
        self.send_all(link)

    def send_all(self, link: Link) -> None:
        """Tell a server all that is for its users."""
        self.expire()
        self._send_entries(link, self._by_server(self.state.all()))

    def _by_server(self, entries: Iterable[ServedEntry]) -> Mapping[str, Entries]:
        """The entries for each server: our own authors', and for members of groups one by one."""
        found: dict[str, Entries] = defaultdict(list)
        for entry in entries:
            if entry.author.server_id == self.server_id and not entry.audience.is_group:
                user = entry.audience.user
                found[user.server_id if user is not None else EVERYONE].append(entry)
        return found

    def _send_entries(self, link: Link, entries: Mapping[str, Entries]) -> None:
        """Send to a server as much as it takes, in frames that it takes."""
        own = entries.get(link.peer_id, ()) if self.knows_users(link) else ()
        everything = itertools.chain(entries.get(EVERYONE, ()), own)
        for frame in self._lists(everything) if link.is_parley else self._plain_lists(everything):
            if not link.writable:
                self.is_too_slow(link)
                return
            link.send(frame)

    def _lists(self, entries: Iterable[ServedEntry]) -> Iterator[bytes]:
        now, payload = self.now(), bytearray()
        for entry in entries:
            payload += entry.item(now)
            if len(payload) > SEND_LIMIT:
                yield encode_frame(self.list_name, bytes(payload))
                payload.clear()
        if payload:
            yield encode_frame(self.list_name, bytes(payload))

    def _plain_lists(self, entries: Iterable[ServedEntry]) -> Iterator[bytes]:
        """The same for a server that is no Parley: as datagrams, since it may pass them on as they are."""
        entries = list(entries)
        live, ended = ([entry.plain for entry in entries if entry.is_over is over] for over in (False, True))
        return pack_plain(self.list_name, live, filter(None, ended))

    def knows_users(self, link: Link) -> bool:  # noqa: ARG002 - a seam
        """Whether a server tells what is for one user to nobody else."""
        return True

    def is_too_slow(self, link: Link) -> None:
        """A server was not told something."""

    # What changes ------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Something may have: have it told, and know when the next thing expires."""
        if self._stopping:
            return
        if self.state.sequence != self._sent_to_servers:
            self._for_servers.ask()
        if self.state.sequence != self._sent_to_subscribers:
            self._for_subscribers.ask()
        self._expiry.set(self.state.next_timeout())
        if (refused := self.state.refused) != self._refused:
            self.metrics.limited("names", self.section, refused - self._refused)
            self._refused = refused

    def expire(self) -> None:
        """End and forget what has expired."""
        self.state.expire(self.now())

    def _expired(self) -> None:
        self.expire()
        self.changed()

    @cached_property
    def _rounds(self) -> Steps:
        """Rounds of datagrams, one after another, a subscriber at a time: their turns are as long as anybody's."""
        loop = asyncio.get_running_loop()
        turn, queue = turn_of(loop)
        return Steps(queue, clock(loop), turn.is_over, self._round_is_over)

    def _round(self, since: int, *, again: bool) -> Task:
        yield
        for _ in self.send_to_subscribers(since, again=again):
            yield

    def _round_is_over(self, _size: int) -> None:
        if self.client_counts["datagrams"]:
            self._repeat.ask_later()
        self.changed()

    def _run_round(self) -> None:
        if len(self._rounds):
            return  # what changed is told when this one is over
        self.expire()
        since, self._sent_to_subscribers = self._sent_to_subscribers, self.state.sequence
        self._marks.append((self.now(), self._sent_to_subscribers))
        self._forget_marks()
        self._rounds.add(self._round(since, again=False))

    def _forget_marks(self) -> None:
        horizon = self.now() - REPEATED_FOR
        while len(self._marks) > 1 and self._marks[1][0] <= horizon:
            self._marks.popleft()

    def _run_repeat(self) -> None:
        """Tell again what changed of late; stop when that was told often enough."""
        if len(self._rounds):
            self._repeat.ask_later()
            return
        if self.state.sequence != self._sent_to_subscribers:
            self._run_round()  # what is told again may be cut short: what was never told would come behind it
        self.expire()
        self._forget_marks()
        since = self._marks[0][1]
        if since < self._sent_to_subscribers:
            self._rounds.add(self._round(since, again=True))

    def send_to_subscribers(self, since: int, *, again: bool) -> Iterator[None]:  # noqa: ARG002 - a seam
        """Tell each subscriber, a step each, what changed after that change.

        `again`: it was told before, and those on links are told nothing.
        """
        return iter(())
