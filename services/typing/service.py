"""The typing process: TYPING_EVENT from subscribers and TYPING_EVENTS from servers in, TYPING_EVENTS out.

A user of any server may subscribe here. To the other servers we speak for our own users only: that alice@alpha,
connected here at beta, types is alpha's to tell, and passed on to alpha. Where alpha takes no visitors it is told
to the subscribers here and to nobody else. A server that is no Parley is told only what is for everyone: it tells
no less.

Existing clients keep only the newest list that they received, so a list holds everyone who types, not only who
began to. Where that is more than one datagram holds (about 30 people), the datagrams go out that hold
changes, and the one with the newest people goes last, so that it is the one they keep.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Hashable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import ClassVar, NamedTuple

from parley.services.typing.indicators import LIST, Indicator, Indicators
from parley.shared.addresses import User
from parley.shared.audiences import Audience
from parley.shared.config import Config
from parley.shared.link.link import Link
from parley.shared.soft_state.block_lists import NOBODY
from parley.shared.soft_state.datagram_lists import pack
from parley.shared.soft_state.linked_clients import LinkedClient
from parley.shared.soft_state.soft_state_service import SoftStateService
from parley.shared.soft_state.subscriber import Subscriber
from parley.shared.wire.framing import Frame, encode_frame
from parley.shared.wire.messages import TYPING_INDICATOR, decode, pb

MOST_AGAIN = 60
"""People, newest first, who are told again: a list of more is no news to anyone, and the next event repeats it."""
FILL = 45
"""More entries than a datagram ever holds."""
EMPTY = encode_frame(LIST)
"""The list where nobody types any more."""


class _News:
    """The entries to tell: `needed` ones that are news, and some that fill the last datagram. In both dialects."""

    def __init__(self, entries: Sequence[Indicator], needed: int, now: float) -> None:
        self._entries = entries
        self._needed = needed
        self._now = now
        self._items: dict[bool, _Items] = {}
        self.users = {entry.author for entry in entries}

    def datagrams(self, user: User | None, *, is_parley: bool) -> Sequence[bytes]:
        """The datagrams for that user, whose own entries are left out; the newest last.

        Where nothing is news, as where an entry expired, there is one as well: it says who is left.
        """
        if user in self.users:
            return self._packed(user, is_parley=is_parley)
        return self.for_most_parleys if is_parley else self.for_most_others

    @cached_property
    def for_most_parleys(self) -> Sequence[bytes]:
        """The same for everybody who is not in them."""
        return self._packed(None, is_parley=True)

    @cached_property
    def for_most_others(self) -> Sequence[bytes]:
        """The same for programs that are no Parley."""
        return self._packed(None, is_parley=False)

    def changes(self, user: User | None) -> Sequence[bytes]:
        """The frames for that user on a link: the news, and nothing else."""
        return self._changes(user) if user in self.users else self.for_most_on_links

    @cached_property
    def for_most_on_links(self) -> Sequence[bytes]:
        """The same for everybody who is not in it."""
        return self._changes(None)

    def _changes(self, user: User | None) -> Sequence[bytes]:
        news = self._entries[: self._needed]
        return list(pack(LIST, (entry.item(self._now) for entry in news if entry.author != user)))

    def _packed(self, user: User | None, *, is_parley: bool) -> Sequence[bytes]:
        found = self._items.get(is_parley)
        if found is None:
            found = self._items[is_parley] = self._for_parley() if is_parley else self._for_others()
        items = [item for other, item in found.all if other != user]
        own = sum(other == user for other, _ in found.all[: found.needed])
        return (list(pack(LIST, items, max(found.needed - own, 1))) or [EMPTY])[::-1]

    def _for_parley(self) -> _Items:
        return _Items([(entry.author, entry.item(self._now)) for entry in self._entries], self._needed)

    def _for_others(self) -> _Items:
        """Each person once, and of who stopped nothing: an existing client sees that they are missing."""
        found: dict[User, bytes] = {}
        needed = 0
        for count, entry in enumerate(self._entries, start=1):
            if entry.plain:
                found.setdefault(entry.author, entry.plain)
            if count <= self._needed:
                needed = len(found)
        return _Items(list(found.items()), needed)


class _Items(NamedTuple):
    """Items with their authors, the needed ones first."""

    all: list[tuple[User, bytes]]
    needed: int


class TypingService(SoftStateService):
    """Tells who is typing."""

    feature: ClassVar[str] = TYPING_INDICATOR
    section: ClassVar[str] = "typing"
    list_name: ClassVar[str] = LIST
    event_name: ClassVar[str] = "TYPING_EVENT"

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self.state = self.indicators = Indicators(self.config.typing.typing_expiry)
        self.metrics.watch_value("parley_typing_active", "People who type", lambda: len(self.indicators))

    # In -------------------------------------------------------------------------------------------

    def handle_datagram_for_feature(self, client: Subscriber, frame: Frame) -> bool:
        """A client's user types."""
        if frame.name != self.event_name:
            return False
        event = decode(frame, pb.TypingEvent)
        self.spellings.correct(event)
        event.ClearField("age")
        said = event.timestamp
        event.timestamp += self.ahead(client, said)
        mine = User.of(event.user) == client.identity.user
        if reason := self.update(event, client.link_id, client.remote_host) if mine else "foreign_user":
            self.datagram_dropped(client, reason)
            return True
        if event.confirm:
            self.confirm(client, said)
        audience = Audience.of_typing(event)
        if audience is not None and audience.is_group and audience.group is not None:
            self.fan_out_to_group(User.of(event.user), audience.group)
        return True

    def entries_in(self, frame: Frame) -> Iterator[pb.TypingEvent]:
        """Those who type, and those who stopped."""
        message = decode(frame, pb.TypingEvents)
        for event in message.stopped:
            event.stopped = True
        return itertools.chain(message.typing_events, message.stopped)

    def refusal(self, link: Link, event: pb.TypingEvent) -> str:
        """Why a server may not say that; the members of a group are asked for at the author's server."""
        user = User.of(event.user)
        if user.server_id != link.peer_id or not user.is_complete:
            return "foreign_user"
        return "no_recipient" if event.HasField("to_group") else ""

    def update(self, event: pb.TypingEvent, _source: Hashable, origin: str) -> str:
        """Somebody types."""
        reason = self.indicators.update(event, self.now(), time.time(), origin)
        self.changed()
        return reason

    # Out to subscribers ---------------------------------------------------------------------------

    def send_to_subscribers(self, since: int, *, again: bool) -> Iterator[None]:
        """Tell each subscriber what others did, if it concerns them: a step each."""
        most = MOST_AGAIN if again else None
        everyone, users = self.indicators.concerned(since)
        if not everyone:
            for user in users & self.clients.keys():
                hidden = self.hidden_from(user)
                if hidden is not None:
                    self._send(user, self._news(user, since, most, hidden), since, again=again)
                yield
            return
        public = self._news(None, since, most)
        for_parleys, send, any_on_links = public.for_most_parleys, self.send_datagrams, self.client_counts["link"]
        for user in list(self.clients):
            yield
            hidden = self.hidden_from(user)
            if hidden is None:
                continue
            if self.indicators.has_own(user) or not public.users.isdisjoint(hidden):
                self._send(user, self._news(user, since, most, hidden), since, again=again)
            elif any_on_links or user in public.users:
                self._send(user, public, since, again=again)
            else:  # nearly everybody, where all use datagrams
                for client in self.clients.get(user, ()):
                    send(client, for_parleys if client.is_parley else public.for_most_others)

    def _send(self, user: User, news: _News, since: int, *, again: bool) -> None:
        for client in self.clients.get(user, ()):
            if not client.identity.events_on_link:
                self.send_datagrams(client, news.datagrams(user, is_parley=client.is_parley))
            elif not again:
                self.tell_on_link(client, news.changes(user), since)

    def _news(self, user: User | None, since: int, most: int | None, hidden: AbstractSet[User] = NOBODY) -> _News:
        """The changes after `since`, as that user may see them, and other typists besides; None: to everyone.

        `hidden`: whom they block.
        """
        live = (entry for entry in self.indicators.seen_by(user) if entry.author not in hidden)
        fresh: list[Indicator] = []
        rest: Iterator[Indicator] = iter(())
        for entry in live:
            if entry.sequence <= since or len(fresh) == most:
                rest = itertools.chain([entry], live)
                break
            fresh.append(entry)
        fresh += [entry for entry in self.indicators.stopped(user, since) if entry.author not in hidden]
        shown = itertools.chain(fresh, itertools.islice(rest, FILL))
        return _News(list(shown), len(fresh), self.now())

    def state_for(self, client: Subscriber) -> Sequence[bytes]:
        """Everyone else who types, if anybody does."""
        user = client.identity.user
        hidden = self.hidden_from(user)
        if hidden is None:
            return ()
        lists = self._news(user, 0, None, hidden).datagrams(user, is_parley=client.is_parley)
        return () if lists == [EMPTY] else lists

    def missed(self, client: LinkedClient, since: int) -> Sequence[Indicator]:
        """The others who type, and who stopped."""
        user = client.identity.user if isinstance(client, Link) else None
        hidden = self.hidden_from(user)
        if hidden is None:
            return ()
        stopped = self.indicators.stopped(user, since) if since else ()  # who is new has seen nobody start
        shown = itertools.chain(self.indicators.seen_by(user), stopped)
        found = [entry for entry in shown if entry.sequence > since and entry.author not in hidden]
        return sorted(found, key=lambda entry: entry.sequence)

    def knows_users(self, link: Link) -> bool:
        """A server that is no Parley would tell everyone."""
        return link.is_parley

    def status(self) -> dict[str, object]:
        """Adds how many are typing."""
        self.expire()
        return super().status() | {"typing": len(self.indicators)}
