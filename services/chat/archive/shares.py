"""Shares of the archive's room: who has much of it may have more only while others have little. Pure.

Each author has a level, by what is kept of theirs: none up to a fourth of what each would have if all had as much,
and from there on one more each time that it has doubled. That fourth is a 4096th of the room at least (4 MiB of
16 GiB), and a 16th at most. A group of another server is one author, and another server counts as sixteen.

    level     more is kept while of the room is free
    0         a 64th, or less in proportion
    1         a sixteenth
    2         two sixteenths
    …
    11        eleven sixteenths

The oldest day goes where less than a 32nd is free: before anybody is refused who has no level, and not for those
who have one. So whoever floods an archive, under however many names, stops before the room of those is touched who
send less than each of these names has. What is not kept is counted. Recipients have no share: whoever writes to
them would use it.

Who has how much is counted in tables of a fixed size (storage/quotas.py), whoever writes whatever.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, NamedTuple

from parley.services.chat.archive.entries import (
    COPY,
    FILED,
    HEAD,
    MESSAGE,
    NO_STATUS,
    READ,
    RECEIVED,
    SENT,
    STATUS,
    entry_bytes,
)
from parley.services.chat.archive.filed import filed_of
from parley.services.chat.archive.interface import Refused
from parley.services.chat.archive.lists import group_of, message_of
from parley.services.chat.archive.plain import Kept, read_entries
from parley.services.chat.storage.quotas import WIDTH, Tally, slots_of
from parley.shared.addresses import User
from parley.shared.wire.messages import pb

LEAST, MOST = 4096, 16
"""Between these parts of the room is what anybody may have without a level."""
PART: Final = 4
"""This part of what each would have if all had as much."""
SERVER: Final = 16
"""As so many authors another server counts."""
STEPS: Final = 16
"""Each level leaves this part of the room to those below it."""
DELETION: Final = 21
"""This part of the room has to be free for a deletion, whoever has how much."""
SPARE: Final = 32
"""Where less than this part of the room is free, the oldest day goes."""
SMALL: Final = 64
"""An author who has all that is without a level leaves this part of the room to those who have less."""
HIGHEST: Final = LEAST.bit_length()
"""The level of who has the whole room."""
LINE: Final = 50
"""Bytes that a message takes for each list in which it is, besides its own: line and words."""
PAIRS: Final = 65_536
"""Authors and recipients of which it is remembered who they are."""
REMEMBERED: Final = 65_536
"""Messages of which it is remembered that they were left out, at least; at most twice as many."""
NOTHING: Final = entry_bytes(STATUS, 0, NO_STATUS, 0.0, bytes(16))
"""An entry that says nothing, in place of a chunk of which nothing is kept."""


class Holder(NamedTuple):
    """Whoever a message in the archive counts for: keys of the tables. `server` is 0 for this one."""

    author: int
    server: int


class Sifted(NamedTuple):
    """A chunk, divided."""

    kept: bytes
    left_out: bytes
    held: dict[Holder, int]
    """The bytes of what is kept, by the one they count for."""
    entries: int
    """Of what is kept."""


class _Message(NamedTuple):
    """A message that others of the same chunk may have, too."""

    holder: Holder
    is_left_out: bool = False


_Groups = dict[bytes, _Message]
NOBODY: Final = Holder(0, 0)
_HEAD: Final = HEAD.size
_LINES: Final = SENT | RECEIVED


def without_level(people: int, room: int) -> int:
    """The bytes of the room that anybody may have without a level, where so many have something."""
    return max(1, room // LEAST, min(room // MOST, room // (PART * max(people, 1))))


def level_of(held: int, free: int) -> int:
    """The level of who has so many bytes, of which `free` are without."""
    return (held // free).bit_length() if held > free else 0


def needed(held: int, free: int, room: int) -> int:
    """The bytes of the room that have to be unused, so that more is kept of somebody who has so many."""
    level = level_of(held, free)
    return room * level // STEPS if level else room * held // (SMALL * free)


class Shares:
    """Counts what each has in the archive, and leaves out of chunks what is over somebody's share."""

    def __init__(self, server_id: str, seed: bytes) -> None:
        """`seed`: by it names are told apart, in a way that nobody who chooses names can know."""
        self._server_id = server_id
        self._seed = seed
        self.tally = Tally()
        self.people = LEAST
        """Of how many something is kept, about: as it was looked at last (`measure`)."""
        self._pairs: dict[bytes, Holder] = {}
        self._before: dict[Holder, tuple[int, int]] = {}
        """The bytes of authors and their servers when a chunk began."""
        self._left_out: tuple[set[bytes], set[bytes]] = set(), set()
        """Keys of the latest messages that were left out, and of those before: nothing is kept of them."""
        self.refused: dict[Refused, int] = dict.fromkeys(Refused, 0)
        """Entries that were left out, by whose share is used up; another thread may read it."""

    def sift(self, chunk: bytes, used: int, room: int) -> Sifted:
        """Divide a chunk into what is kept and what is left out, while so many bytes of the room are used."""
        found, size = read_entries(chunk)
        if size != len(chunk):
            return Sifted(chunk, b"", {}, len(found))  # cut off: whoever reads it counts it as broken
        groups: _Groups = {}
        held: dict[Holder, int] = {}
        left_out: list[Kept] = []
        self._before.clear()
        is_tight = (used + len(chunk)) * STEPS > room * (STEPS - HIGHEST) or self._left_out[0]
        pairs = self._pairs
        for entry in found:
            _offset, kind, _marks, _status, key, pair, _data = entry
            if not is_tight and kind == MESSAGE and pair is not None and (known := pairs.get(pair)) is not None:
                size = weight(entry)
                held[known] = held.get(known, 0) + size
                used += size
                continue
            holder, is_deletion = self._holder(entry, groups)
            more = held.get(holder, 0)
            if kind == COPY and key in groups:
                is_over = groups[key].is_left_out  # as its message is
            elif holder == NOBODY:
                is_over = kind == STATUS and (key in self._left_out[0] or key in self._left_out[1])
            else:
                is_over = bool(is_tight) and self._is_over(holder, more, used, room, is_deletion=is_deletion)
            if not is_over:
                size = weight(entry)
                held[holder] = more + size
                used += size
                continue
            left_out.append(entry)
            if kind in (MESSAGE, FILED):
                self._leave_out(key)
                if key in groups:
                    groups[key] = groups[key]._replace(is_left_out=True)
        held.pop(NOBODY, None)
        return Sifted(*_divided(chunk, left_out), held, len(found) - len(left_out))

    def _is_over(self, holder: Holder, more: int, used: int, room: int, *, is_deletion: bool) -> bool:
        """Whether somebody's share is used up, who has so much more than is counted; it is counted then."""
        before = self._before.get(holder)
        if before is None:
            before = self._before[holder] = self.of(holder.author), self.of(holder.server) if holder.server else 0
        free = without_level(self.people, room)
        of_author = needed(before[0] + more, free, room)
        of_server = needed((before[1] + more) // SERVER, free, room) if holder.server else 0
        if is_deletion:  # what its author deletes is to go, however much that is
            of_author, of_server = min(of_author, room // DELETION), min(of_server, room // DELETION)
        if used + max(of_author, of_server) <= room:
            return False
        self.refused[Refused.AUTHOR if of_author >= of_server else Refused.SERVER] += 1
        return True

    def _leave_out(self, key: bytes) -> None:
        self._left_out[0].add(key)
        if len(self._left_out[0]) > REMEMBERED:
            self._left_out = set(), self._left_out[0]

    def held_in(self, chunk: bytes) -> dict[Holder, int]:
        """The bytes of a chunk that is kept, by the one they count for."""
        groups: _Groups = {}
        held: dict[Holder, int] = {}
        for entry in read_entries(chunk)[0]:
            holder, _is_deletion = self._holder(entry, groups)
            held[holder] = held.get(holder, 0) + weight(entry)
        held.pop(NOBODY, None)
        return held

    def count(self, held: dict[Holder, int], sizes: array[int]) -> None:
        """Count bytes that were written, and in the table of their day, too."""
        add = self.tally.add_at
        for (author, server), size in held.items():
            for key in (author, server) if server else (author,):
                slots = one, other = slots_of(key)
                add(slots, 0, size)
                sizes[one] += size
                sizes[other] += size

    def of(self, key: int) -> int:
        """The bytes of a key: never less than there are, and hardly ever more."""
        return max(0, min(self.tally.at(slot)[1] for slot in slots_of(key)))

    def measure(self) -> None:
        """Look of how many something is kept: as many as have places in one of the tables, or a few more."""
        self.people = sum(size > 0 for size in self.tally.sizes[:WIDTH])

    def author(self, user: User) -> Holder:
        """The one for whom it counts that a user writes something."""
        is_local = user.server_id == self._server_id
        return Holder(self._key("user", *user), 0 if is_local else self._key("server", user.server_id))

    def _holder(self, entry: Kept, groups: _Groups) -> tuple[Holder, bool]:
        """The one for whom an entry counts, and whether it is a deletion."""
        _offset, kind, _marks, _status, key, pair, data = entry
        if kind == MESSAGE and pair is not None:
            found = self._pairs.get(pair)
            return (found or self._meet(pair, lambda: pb.ChatMessage.FromString(pair)), False)
        raw = data if isinstance(data, bytes) else data.encode()
        if kind == COPY:
            return groups[key].holder if key in groups else NOBODY, False
        if kind == READ:
            person = pb.ReadMark.FromString(raw).person
            return self.author(User(person, self._server_id)), False
        if kind == FILED:
            filed = filed_of(raw)
            raw = filed.about.outline if filed is not None else b""
        message = message_of(raw) if kind in (MESSAGE, FILED) else None
        if message is None:
            return NOBODY, False
        holder = self._of_message(message)
        groups[key] = _Message(holder)
        return holder, message.edit.deletes

    def _meet(self, pair: bytes, read: Callable[[], pb.ChatMessage]) -> Holder:
        if len(self._pairs) >= PAIRS:
            self._pairs.clear()
        found = self._pairs[pair] = self._of_message(read())
        return found

    def _of_message(self, message: pb.ChatMessage) -> Holder:
        """The author; of a copy from another server's group, which that server may say anybody wrote, the group."""
        author, group = User.of(message.author), group_of(message)
        if group is None or self._server_id in (author.server_id, group.server_id):
            return self.author(author)
        return Holder(self._key("group", *group), self._key("server", group.server_id))

    def _key(self, *names: str) -> int:
        name = "\0".join(names).encode(errors="surrogatepass")
        return int.from_bytes(blake2b(name, key=self._seed, digest_size=7).digest(), "little") or 1


def weight(entry: Kept) -> int:
    """Bytes that an entry takes, with its lines and words."""
    _offset, kind, marks, _status, _key, pair, data = entry
    size = _HEAD + len(data) + (len(pair) if pair is not None else 0)
    if kind == FILED and isinstance(data, bytes) and (filed := filed_of(data)) is not None:
        size += filed.about.size
    return size + LINE * (marks & _LINES).bit_count()


def empty_sizes() -> array[int]:
    """The table of a day of which nothing is counted."""
    return array("q", bytes(16 * WIDTH))


def _divided(chunk: bytes, left_out: list[Kept]) -> tuple[bytes, bytes]:
    """A chunk without these entries, and they."""
    if not left_out:
        return chunk, b""
    kept, others, at = [], [], 0
    for offset, *_ in left_out:
        end = offset + HEAD.size + int.from_bytes(chunk[offset : offset + 4], "little")
        kept.append(chunk[at:offset])
        others.append(chunk[offset:end])
        at = end
    return b"".join([*kept, chunk[at:]]) or NOTHING, b"".join(others)
