"""The typing process: TYPING_EVENT from subscribers and TYPING_EVENTS from servers in, TYPING_EVENTS out.

A user of any server may subscribe here. To the other servers we speak for our own users only: what
alice@alpha, connected here at beta, types is told to the subscribers here and to nobody else (alpha would
have to refuse it from us, and every third server too). What is for a user goes to that user's server only. What
is for a group becomes, here at its author's server, one entry per member. A server that is no Parley is told only
what is for everyone: it would tell everyone.

Existing clients keep only the newest list that they received, so a list holds everyone who types, not only who
began to. Where that is more than one datagram holds (about 30 people), the datagrams go out that hold
changes, and the one with the newest people goes last, so that it is the one they keep.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar

from parley.services.typing.indicators import LIST, Indicator, Indicators
from parley.shared.addresses import Group, User
from parley.shared.config import Config
from parley.shared.link.io import SEND_LIMIT
from parley.shared.link.link import Link
from parley.shared.recipients import EVERYONE, Recipient
from parley.shared.soft_state.block_lists import NOBODY
from parley.shared.soft_state.datagram_lists import pack, parts
from parley.shared.soft_state.datagram_service import DatagramServiceBase
from parley.shared.wire.framing import Frame, encode_frame
from parley.shared.wire.messages import TYPING_INDICATOR, decode, pb

MOST_AGAIN = 60
"""People, newest first, who are told again: a list of more is no news to anyone, and the next event repeats it."""
FILL = 45
"""More entries than a datagram ever holds."""
EMPTY = encode_frame(LIST)
"""The list where nobody types any more."""


class _News:
    """The entries to tell: `needed` ones that are news, and some that fill the last datagram."""

    def __init__(self, items: list[tuple[User, bytes]], needed: int) -> None:
        self._items = items
        self._needed = needed
        self.users = {user for user, _ in items}

    def without(self, user: User | None) -> Sequence[bytes]:
        """The datagrams for that user, whose own entries are left out; the newest last.

        Where nothing is news, as where an entry expired, there is one as well: it says who is left.
        """
        items = [item for other, item in self._items if other != user]
        own = sum(other == user for other, _ in self._items[: self._needed])
        return (list(pack(LIST, items, max(self._needed - own, 1))) or [EMPTY])[::-1]


class TypingService(DatagramServiceBase):
    """Tells who is typing."""

    feature: ClassVar[str] = TYPING_INDICATOR
    section: ClassVar[str] = "typing"

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self.indicators = Indicators(self.config.typing.typing_expiry)
        self.metrics.watch_value("parley_typing_active", "People who type", lambda: len(self.indicators))

    # In -------------------------------------------------------------------------------------------

    def handle_datagram_for_feature(self, link: Link, frame: Frame) -> bool:
        """A subscriber types."""
        if frame.name != "TYPING_EVENT":
            return False
        event = decode(frame, pb.TypingEvent)
        self.spellings.correct(event)
        event.ClearField("age")
        said = event.timestamp
        event.timestamp += self.ahead(link, said)
        mine = User.of(event.user) == link.identity.user
        if reason := self._take(event, link.remote_host) if mine else "foreign_user":
            self.datagram_dropped(link, reason)
            return True
        if event.confirm:
            self.confirm(link, said)
        recipient = Recipient.of_typing(event)
        if recipient is not None and recipient.is_group and recipient.group is not None:
            self._spread(User.of(event.user), recipient.group)
        return True

    def handle_server_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """Users of another server type; it may only speak for its own."""
        if frame.name != LIST:
            return False
        self.take_in_turn(link, self._take_list(link, frame))
        return True

    def _take_list(self, link: Link, frame: Frame) -> Iterator[None]:
        """Take a server's list of its users' entries: a step for each."""
        for part in parts(frame):
            message = decode(part, pb.TypingEvents)
            for event in message.stopped:
                event.stopped = True
            for event in itertools.chain(message.typing_events, message.stopped):
                self.spellings.correct(event)
                if reason := self._refusal(link, event) or self._take(event, link.peer_id):
                    self.message_rejected(link, reason, LIST)
                yield

    @staticmethod
    def _refusal(link: Link, event: pb.TypingEvent) -> str:
        """Why a server may not say that; the members of a group are asked for at the author's server."""
        user = User.of(event.user)
        if user.server_id != link.peer_id or not user.is_complete:
            return "foreign_user"
        return "no_recipient" if event.HasField("to_group") else ""

    def _take(self, event: pb.TypingEvent, origin: str) -> str:
        reason = self.indicators.take(event, self._now(), time.time(), origin)
        self.changed()
        return reason

    def _spread(self, author: User, group: Group) -> None:
        """Tell the members of a group; of those whom we do not know yet we hear soon."""
        self.chat.want(author, group, self._now() + self.config.typing.typing_expiry)
        self.spreads.ask(author, group)

    def spread(self, author: User, group: Group) -> Iterator[None]:
        """Tell those who are members now."""
        return self.indicators.spread(author, group, self.chat.members(author, group), self._now())

    def members_changed(self, group: Group) -> None:
        """Some learn who types, others no longer do."""
        for author in self.indicators.authors_in(group):
            self.spreads.ask(author, group)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def last_change(self) -> int:
        """The number of the last change."""
        return self.indicators.sequence

    def next_expiry(self) -> float | None:
        """When an entry expires next."""
        return self.indicators.next_timeout()

    def refused(self) -> int:
        """How many entries there was no room for."""
        return self.indicators.refused

    def expire(self) -> None:
        """Forget who typed too long ago."""
        self.indicators.expire(self._now())

    # Out to subscribers ---------------------------------------------------------------------------

    def fan_out(self, since: int, *, again: bool) -> Iterator[None]:
        """Tell each subscriber what others did, if it concerns them: a step each."""
        most = MOST_AGAIN if again else None
        everyone, users = self.indicators.audience(since)
        if not everyone:
            for user in users & self.subscribers.keys():
                hidden = self.hidden_from(user)
                if hidden is not None:
                    self._send(user, self._news(user, since, most, hidden).without(user))
                yield
            return
        public = self._news(None, since, most)
        for_most, named = public.without(None), public.users
        for user in list(self.subscribers):
            yield
            hidden = self.hidden_from(user)
            if hidden is None:
                continue
            if self.indicators.has_own(user) or not named.isdisjoint(hidden):
                self._send(user, self._news(user, since, most, hidden).without(user))
            else:
                self._send(user, public.without(user) if user in named else for_most)

    def _send(self, user: User, datagrams: Sequence[bytes]) -> None:
        for link in self.subscribers.get(user, ()):
            self.send_datagrams(link, datagrams)

    def _news(self, user: User | None, since: int, most: int | None, hidden: AbstractSet[User] = NOBODY) -> _News:
        """The changes after `since`, as that user may see them, and other typists besides; None: to everyone.

        `hidden`: whom they block.
        """
        now = self._now()
        live = (entry for entry in self.indicators.live(user) if entry.user not in hidden)
        fresh: list[Indicator] = []
        rest: Iterator[Indicator] = iter(())
        for entry in live:
            if entry.sequence <= since or len(fresh) == most:
                rest = itertools.chain([entry], live)
                break
            fresh.append(entry)
        fresh += [entry for entry in self.indicators.stopped(user, since) if entry.user not in hidden]
        shown = itertools.chain(fresh, itertools.islice(rest, FILL))
        return _News([(entry.user, entry.item(now)) for entry in shown], len(fresh))

    def state_for(self, link: Link) -> Sequence[bytes]:
        """Everyone else who types, if anybody does."""
        user = link.identity.user
        hidden = self.hidden_from(user)
        lists = self._news(user, 0, None, hidden).without(user) if hidden is not None else [EMPTY]
        return () if lists == [EMPTY] else lists

    # Out to servers -------------------------------------------------------------------------------

    def tell_servers(self, since: int) -> None:
        """Tell the other servers what our users did, as far as it is for theirs."""
        changes = self.indicators.changed_of(self.server_id, since)
        for link in self.peering.links if changes else ():
            self._tell(link, changes)

    def _tell(self, link: Link, entries: Iterable[Indicator]) -> None:
        """Send to a server as much as it takes, in frames that it takes; the rest is soon over."""
        now, payload = self._now(), bytearray()
        for entry in entries:
            if not link.writable:
                return
            if _is_for(link, entry.recipient):
                payload += entry.item(now)
            if len(payload) > SEND_LIMIT:
                link.send(encode_frame(LIST, bytes(payload)))
                payload.clear()
        if payload and link.writable:
            link.send(encode_frame(LIST, bytes(payload)))

    def peer_connected(self, link: Link) -> None:
        """A server that is linked learns at once which of our users type."""
        super().peer_connected(link)
        self.expire()
        self._tell(link, self.indicators.all_of(self.server_id))

    def status(self) -> dict[str, object]:
        """Adds how many are typing."""
        self.expire()
        return super().status() | {"typing": len(self.indicators)}


def _is_for(link: Link, recipient: Recipient) -> bool:
    """Whether a server is told what is for that recipient."""
    if recipient == EVERYONE:
        return True
    return link.identity.is_parley and recipient.user is not None and recipient.user.server_id == link.peer_id
