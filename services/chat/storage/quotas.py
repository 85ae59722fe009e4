"""Quotas: the shares of one author, one server and one destination in the room for mail. Pure.

Of what the others leave of a room, one may have `share`, and the less they leave the less of it: alone half of
the room, say; where half of it is taken, an eighth of it. So each name more is worth less than the one before, and
a few hundred of them leave something. Whoever has nothing there yet may have a little while there is any room.

Who has how much is counted in tables of a fixed size, whoever writes whatever. Two who have the same two slots in
them count as one: with few senders that does not happen, and with very many it makes the room a little smaller.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination
from parley.services.chat.storage.mailbox import Moved
from parley.shared.addresses import User
from parley.shared.compiled import core

WIDTH: Final = 1 << 16
"""Places in each of two tables: 2 MiB in all."""

FEW: Final = 4
"""Messages: where there is room for fewer, there is nothing to be shared."""
KNOWN: Final = 1 << 12
"""Authors and destinations whose slots are known at a time."""

Amount = tuple[int, int]
"""Messages, bytes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many messages and bytes may wait, in all and for one user; and one author's share of that."""

    messages: int
    size: int
    user_messages: int
    user_size: int
    author_share: float = 1.0
    """Of what others leave, for one author: of all, and of each user's."""
    server_share: float = 1.0
    """The same for the users of one other server together, and for what waits for one."""


Slots = tuple[int, int]
"""The two of a key."""


class Part(NamedTuple):
    """Whoever a share of a room is for."""

    is_author: bool
    """One author; else one server."""
    slots: Slots


class Tally:
    """Messages and bytes by key: never less than there are, and hardly ever more."""

    def __init__(self, width: int = WIDTH) -> None:
        self._counts = array("q", bytes(16 * width))
        self._sizes = array("q", bytes(16 * width))

    def add(self, key: Hashable, count: int, size: int) -> None:
        """Count so much, or less."""
        self.add_at(slots_of(key), count, size)

    def add_at(self, slots: Slots, count: int, size: int) -> None:
        """Count so much in the places of a key, or less."""
        one, other = slots
        self._counts[one] += count
        self._counts[other] += count
        self._sizes[one] += size
        self._sizes[other] += size

    def add_sizes(self, sizes: Iterable[int], sign: int) -> None:
        """Count bytes for each place, or (-1) less."""
        for slot, size in enumerate(sizes):
            if size:
                self._sizes[slot] += sign * size

    @property
    def sizes(self) -> array[int]:
        """The bytes of each place."""
        return self._sizes

    def at(self, slot: int) -> Amount:
        """The amount that is counted in a place."""
        return self._counts[slot], self._sizes[slot]


class MailTally(Tally):
    """The same of the mail that waits. The compiled core has the same class (shared/core/quotas/mail_tally.c)."""

    def __init__(self, width: int = WIDTH, few: int = FEW) -> None:
        super().__init__(width)
        self._few = few

    def count(self, parts: tuple[Part, ...], count: int, size: int) -> None:
        """Count so much for each part, or less."""
        for _is_author, slots in parts:
            self.add_at(slots, count, size)

    def amount(self, slots: Slots, before: MailTally | None) -> Amount:
        """The amount of a key, with that of another tally."""
        found = [self.at(place) for place in slots]
        if before is not None:
            found = [(a + c, b + d) for (a, b), (c, d) in zip(found, map(before.at, slots), strict=True)]
        return max(0, min(count for count, _ in found)), max(0, min(size for _, size in found))

    def why_over_share(
        self,
        parts: tuple[Part, ...],
        author_share: float,
        server_share: float,
        room: Amount,
        used: Amount,
        more: int,
        before: MailTally | None,
    ) -> str:
        """Why one message more is too much for one of these: "messages" or "bytes"; empty: it is not.

        `more`: its bytes; `used`: what is there of the room.
        """
        for is_author, slots in parts:
            share = author_share if is_author else server_share
            if share >= 1.0:
                continue
            count, size = self.amount(slots, before)
            if room[0] >= self._few and not _is_within(share, room[0], used[0], count, 1, first=1.0):
                return "messages"
            first = max(0, room[1] - used[1]) * (share if used[1] else 1.0)
            if not _is_within(share, room[1], used[1], size, more, first=first if count == 0 else 0.0):
                return "bytes"
        return ""


def _is_within(share: float, room: int, used: int, mine: int, more: int, *, first: float) -> bool:
    """Whether somebody who has `mine` may have `more`; who has nothing may have `first` in any case."""
    left = room - max(0, used - mine)
    return mine + more <= max(first, share * left * left / room)


PureMailTally = MailTally
if not TYPE_CHECKING and core is not None:
    MailTally = core.MailTally


def new_tally() -> MailTally:
    """A tally of mail in which there is nothing."""
    return MailTally(WIDTH, FEW)


def slots_of(key: Hashable) -> Slots:
    """The two places of a key in the tables."""
    number = hash(key)
    return number & (WIDTH - 1), WIDTH + (number >> 32 & (WIDTH - 1))


class Parts(NamedTuple):
    """All that a message counts for."""

    of_all: tuple[Part, ...]
    """Of the room for all mail."""
    of_user: tuple[Part, ...]
    """Of the destination's, where that is a user."""


@lru_cache(maxsize=KNOWN)
def parts_of(destination: Destination, author: User, origin: str) -> Parts:
    """The parts that a message of this author counts for, which came from that server (empty: from the author)."""
    of_all, of_user = [Part(True, slots_of(("by", author)))], []
    if origin:
        of_all.append(Part(False, slots_of(("from", origin))))
    if not isinstance(destination, User):
        of_all.append(Part(False, slots_of(("to", destination))))
    else:
        of_user.append(Part(True, slots_of((destination, author))))
        if origin:
            of_user.append(Part(False, slots_of((destination, origin))))
    return Parts(tuple(of_all), tuple(of_user))


class Quotas:
    """The mail that waits, by author and server, and whether there may be more."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._room = limits.messages, limits.size
        self._user_room = limits.user_messages, limits.user_size
        self._tally = new_tally()
        self._before: MailTally | None = None
        """The mail that waited at the start: counted beside everything else (`found_at_start`)."""

    def found_at_start(self, tally: MailTally) -> None:
        """Take what waited when this process began; what went since is in ours."""
        self._before = tally

    def add(self, destination: Destination, envelope: Envelope, sign: int, shared: int = 0) -> None:
        """Count what comes (1) or goes (-1); `shared`: the bytes of a body that comes or goes with it."""
        own = envelope.own_size + shared
        count(self._tally, destination, envelope.author, envelope.origin, sign, sign * envelope.size, sign * own)

    def move(self, source: Destination, moved: Moved) -> None:
        """Count as another destination's what waits there now."""
        destination, author, origin, messages, size, own = moved
        count(self._tally, source, author, origin, -messages, -size, -own)
        count(self._tally, destination, author, origin, messages, size, own)

    def of(self, key: Hashable) -> Amount:
        """The amount of a key."""
        return self._tally.amount(slots_of(key), self._before)

    def why_full(self, destination: Destination, envelope: Envelope, more: int, used: Amount, there: Amount) -> str:
        """Why an envelope may not wait: no "messages" or "bytes" are left for it; empty: it may.

        `used` is what waits in all, `there` what does for the destination, `more` the bytes that it adds to all.
        """
        room = self._room
        if why := _why_over(room, used, more):
            return why
        parts = parts_of(destination, envelope.author, envelope.origin)
        if why := self._why_over_share(parts.of_all, room, used, more):
            return why
        if not parts.of_user:
            return ""
        room, size = self._user_room, envelope.size
        return _why_over(room, there, size) or self._why_over_share(parts.of_user, room, there, size)

    def _why_over_share(self, parts: tuple[Part, ...], room: Amount, used: Amount, more: int) -> str:
        limits = self._limits
        return self._tally.why_over_share(
            parts, limits.author_share, limits.server_share, room, used, more, self._before
        )


def count(
    tally: MailTally, destination: Destination, author: User, origin: str, messages: int, size: int, own: int
) -> None:
    """Count messages of one author for one destination: `size` bytes of them for it, `own` of them of the whole."""
    of_all, of_user = parts_of(destination, author, origin)
    tally.count(of_all, messages, own)
    if of_user:
        tally.count(of_user, messages, size)


def _why_over(room: Amount, used: Amount, more: int) -> str:
    if used[0] >= room[0]:
        return "messages"
    return "bytes" if used[1] + more > room[1] else ""
