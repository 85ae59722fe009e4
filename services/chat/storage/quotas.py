"""Quotas: the shares of one author, one server and one destination in the room for mail. Pure.

Of what the others leave of a room, one may have `share`, and the less they leave the less of it: alone half of
the room, say; where half of it is taken, an eighth of it. So each name more is worth less than the one before, and
a few hundred of them leave something. Whoever has nothing there yet may have a little while there is any room.

Who has how much is counted in tables of a fixed size, whoever writes whatever. Two who have the same two places in
them count as one: with few senders that does not happen, and with very many it makes the room a little smaller.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Final

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination
from parley.services.chat.storage.mailbox import Moved
from parley.shared.addresses import User

WIDTH: Final = 1 << 16
"""Places in each of two tables: 2 MiB in all."""

FEW: Final = 4
"""Messages: where there is room for fewer, there is nothing to be shared."""

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


class Tally:
    """Messages and bytes by key: never less than there are, and hardly ever more."""

    def __init__(self) -> None:
        self._counts = array("q", bytes(16 * WIDTH))
        self._sizes = array("q", bytes(16 * WIDTH))

    def add(self, key: Hashable, count: int, size: int) -> None:
        """Count so much, or less."""
        one, other = slots_of(key)
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


def slots_of(key: Hashable) -> tuple[int, int]:
    """The two places of a key in the tables."""
    number = hash(key)
    return number & (WIDTH - 1), WIDTH + (number >> 32 & (WIDTH - 1))


class Quotas:
    """The mail that waits, by author and server, and whether there may be more."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tally = Tally()
        self._before: Tally | None = None
        """The mail that waited at the start: counted beside everything else (`found_at_start`)."""

    def found_at_start(self, tally: Tally) -> None:
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
        slots = slots_of(key)
        found = [self._tally.at(slot) for slot in slots]
        if self._before is not None:
            earlier = map(self._before.at, slots)
            found = [(a + c, b + d) for (a, b), (c, d) in zip(found, earlier, strict=True)]
        return max(0, min(count for count, _ in found)), max(0, min(size for _, size in found))

    def why_full(self, destination: Destination, envelope: Envelope, more: int, used: Amount, there: Amount) -> str:
        """Why an envelope may not wait: no "messages" or "bytes" are left for it; empty: it may.

        `used` is what waits in all, `there` what does for the destination, `more` the bytes that it adds to all.
        """
        limits = self._limits
        room = limits.messages, limits.size
        if why := _why_over(room, used, (1, more)):
            return why
        shares: list[tuple[float, Hashable]] = [(limits.author_share, ("by", envelope.author))]
        if envelope.origin:
            shares.append((limits.server_share, ("from", envelope.origin)))
        if not isinstance(destination, User):
            shares.append((limits.server_share, ("to", destination)))
        if why := self._why_over_share(shares, room, used, more):
            return why
        if not isinstance(destination, User):
            return ""
        room = limits.user_messages, limits.user_size
        shares = [(limits.author_share, (destination, envelope.author))]
        if envelope.origin:
            shares.append((limits.server_share, (destination, envelope.origin)))
        return _why_over(room, there, (1, envelope.size)) or self._why_over_share(
            shares, room, there, envelope.size
        )

    def _why_over_share(self, shares: list[tuple[float, Hashable]], room: Amount, used: Amount, more: int) -> str:
        for share, key in shares:
            if share >= 1.0:
                continue
            count, size = self.of(key)
            if room[0] >= FEW and not _is_within(share, room[0], used[0], count, 1, first=1):
                return "messages"
            first = max(0, room[1] - used[1]) * (share if used[1] else 1.0)
            if not _is_within(share, room[1], used[1], size, more, first=first if count == 0 else 0):
                return "bytes"
        return ""


def count(
    tally: Tally, destination: Destination, author: User, origin: str, messages: int, size: int, own: int
) -> None:
    """Count messages of one author for one destination: `size` bytes of them for it, `own` of them of the whole."""
    tally.add(("by", author), messages, own)
    if origin:
        tally.add(("from", origin), messages, own)
    if not isinstance(destination, User):
        tally.add(("to", destination), messages, own)
        return
    tally.add((destination, author), messages, size)
    if origin:
        tally.add((destination, origin), messages, size)


def _why_over(room: Amount, used: Amount, more: Amount) -> str:
    if used[0] + more[0] > room[0]:
        return "messages"
    return "bytes" if used[1] + more[1] > room[1] else ""


def _is_within(share: float, room: int, used: int, mine: int, more: int, *, first: float) -> bool:
    """Whether somebody who has `mine` may have `more`; who has nothing may have `first` in any case."""
    left = room - max(0, used - mine)
    return mine + more <= max(first, share * left * left / room)
