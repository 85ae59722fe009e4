"""Messages that chat tells of become entries, each once for each person. Pure.

Of a message between two the fast path and `note` add one entry, with the marks of who has it. Of a message to a
group the author's is added with the first status of any copy, and then one for each member here: the message
itself once in a segment, and then only who has it, too. The group's server says with each copy, and with the
author's statuses, whether the group's history is off: then there is no entry, so the author's waits for that one.

A message is its author's as soon as it is accepted: about to be kept, or DELIVERED, or on its way and unconfirmed.
One that is refused at once is nobody's. Places (a MESSAGE with a `live_location`) are not kept.

All of them stand in the journal (journal/) as soon as they are told, so before a status is passed on.

A large message is put into a file first (`file`), and its entry has the digest of that. Until it is known, a chunk
ends before it, so that entries keep their order. Where there can be no file, the entry has the bytes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import inf
from typing import Final, NamedTuple

from parley.services.chat.archive.entries import (
    AGAIN,
    COPY,
    FILED,
    MESSAGE,
    NO_STATUS,
    READ,
    RECEIVED,
    SENT,
    STATUS,
    entry_bytes,
)
from parley.services.chat.archive.filed import About
from parley.services.chat.archive.journal.journal import Journal
from parley.services.chat.archive.unnumbered import Unnumbered
from parley.services.chat.message.life import SAFE, Envelope, File
from parley.services.chat.message.statuses import INTERIM, Status
from parley.services.chat.storage.bodies import LARGE
from parley.shared.addresses import Group, User
from parley.shared.errors import MalformedMessage
from parley.shared.wire.framing import encode_frame, read_datagram
from parley.shared.wire.messages import decode, pb

ACCEPTED: Final = INTERIM | {Status.DELIVERED, Status.UNKNOWN_STATUS}
"""Statuses with which a message is its author's."""
REMEMBERED: Final = 16_384
"""Messages to groups of which it is remembered that their authors have them."""
MOST_AGAIN: Final = 4096
"""Messages that came again and are noted."""
MOST: Final = 64 * 1024 * 1024
"""Bytes of entries that wait to be taken, and of files to come; beyond it entries are dropped, and counted."""
MUCH: Final = 256 * 1024
"""Bytes of entries that are handed over at once, and not at the next commit."""
_LOCATION: Final = bytes((0xB2, 0x01))
"""The tag of `live_location`, field 22."""
_EDIT: Final = pb.ChatMessage(edit=pb.Edit()).SerializeToString()[:-1]
"""The tag of `edit`."""
_DELIVERED: Final = Status.DELIVERED
_NOT_THERE: Final = Status.OTHER_SERVER_TIMEOUT
_UNKNOWN: Final = Status.UNKNOWN_STATUS
_OFF: Final = pb.ChatMessage(historyOff=True).SerializeToString()
"""The field by which a group's server says that nothing is to be kept of a copy."""


class _Awaited:
    """A large message whose file is not there yet."""

    __slots__ = ("entry", "make", "position", "size")

    def __init__(self, position: int, size: int, make: Callable[[], bytes]) -> None:
        self.position = position
        self.size = size
        self.make = make
        """Makes the entry with the bytes in it, if no file is to be waited for."""
        self.entry = b""
        """Empty: it is not known."""


class Chunk(NamedTuple):
    """Entries that were taken."""

    number: int
    """The position behind them in the journal."""
    entries: Sequence[bytes | memoryview]
    """In parts, some of which are the journal's: they are gone from there once they are released."""


class Collector:
    """Gathers entries until `take`."""

    def __init__(self, server_id: str, begun: Callable[[], None], journal: Journal | None = None) -> None:
        """`begun` hears of the first entry since `take`, and again once there are many."""
        self._server_id = server_id
        self.begun: Final = begun
        self.journal: Final = journal or Journal()
        self._fast_taken: Callable[[], int] = lambda: 0
        self.write_file: Callable[[File, Callable[[bytes | None], None]], None] | None = None
        """Puts a large content into a file, whether or not its digest is known; then calls with that, or with None:
        there can be no file."""
        self.dropped = 0
        """Entries for which there was no room."""
        self._awaited: deque[_Awaited] = deque()
        self._awaited_bytes = 0
        self._authored: OrderedDict[bytes, None] = OrderedDict()
        """Keys of messages to groups that are their authors' by now, or are nobody's: nothing is kept of them."""
        self._again: set[bytes] = set()
        """Keys of messages that came again, and were noted."""
        self._mark = 0
        """AGAIN while one of those is noted."""
        self._numbers: OrderedDict[bytes, int] = OrderedDict()
        """The numbers of the latest messages to groups, by their keys."""
        self._unnumbered = Unnumbered()
        self._in_chunk: set[bytes] = set()
        """Keys of messages to groups that stand in the chunk that is being gathered."""

    def share(self, into: Callable[[memoryview], None], taken: Callable[[], int]) -> None:
        """Have the fast path append, too: it is told `into` which segment, and that all was `taken`."""
        self._fast_taken = taken
        self.journal.moved = into

    def make_room(self, size: int) -> None:
        """Have another segment for the fast path, if there may be one."""
        if self._has_room(size):
            self.journal.make_room(size)

    def _has_room(self, size: int) -> bool:
        return self.journal.size + self._awaited_bytes + size <= MOST

    def accepted(self, envelope: Envelope, has_status: bool) -> None:
        """A message is about to be written, or another server has it: so it has its place in its author's list.

        Statuses are told later, and not always in the order in which an author wrote. An edit needs no place before
        it has a status: it changes a line, and may still be refused.
        """
        is_for_user = envelope.group is None and envelope.recipient.__class__ is not Group
        is_new = envelope.last_status is None and not envelope.was_accepted and not envelope.is_repeat
        if not is_for_user or not is_new or envelope.origin or not envelope.raw:
            return
        if not _has_no_line(envelope.raw) or (has_status and not _is_location(envelope.raw)):
            envelope.accepted()
            self._add_message(envelope, SENT, NO_STATUS, envelope.key)

    def note(self, envelope: Envelope, status: int) -> None:
        """Chat told, or is to tell, this status of a message."""
        recipient = envelope.recipient
        if envelope.group is not None or recipient.__class__ is Group:
            self._note_of_group(envelope, status)
            return
        is_authored_here = not envelope.origin
        is_here = recipient[1] == self._server_id
        if status not in ACCEPTED:
            # What waited when the last process ended may have had a status that this one does not know.
            had_one = envelope.last_status in ACCEPTED or envelope.durability is SAFE or envelope.is_repeat
            if is_authored_here and (had_one or envelope.was_accepted):
                self._add(entry_bytes(STATUS, SENT, status, envelope.arrived, envelope.key))
            return
        marks = SENT if is_authored_here else 0
        if is_here and status == _DELIVERED:
            marks |= RECEIVED
        if marks == SENT and (envelope.last_status in ACCEPTED or envelope.was_accepted):
            self._add(entry_bytes(STATUS, SENT, status, envelope.arrived, envelope.key))
        elif marks and envelope.raw and not _is_location(envelope.raw):
            self._add_message(envelope, marks | self._mark, status, envelope.key)

    def note_late(self, envelope: Envelope, status: int) -> None:
        """Another server told what became of a message that it has had for some time."""
        if not envelope.origin and envelope.group is None:
            self._add(entry_bytes(STATUS, SENT, status, envelope.arrived, envelope.key))

    def note_again(self, envelope: Envelope, status: int) -> None:
        """A message came again: once it is noted so, as the last process may have ended before that.

        In its author's list it has to be before what comes now, also where that changes it. The lists are looked
        through for it (AGAIN), which takes time: so that is done for the first MOST_AGAIN of a process alone.
        """
        if not envelope.key or envelope.key in self._again or len(self._again) >= MOST_AGAIN:
            return
        self._again.add(envelope.key)
        self._mark = AGAIN
        self.note(envelope, status)
        self._mark = 0

    def leave_out(self, author: User, snowflake: int, group: Group) -> None:
        """Keep nothing of a message to a group for its author; no entry of it was made yet."""
        self._has_author(key_of(author, snowflake, group))

    def numbered(self, author: User, snowflake: int, group: Group, number: int) -> None:
        """The group's server numbered a message: the author's frame, which has no number, is kept with it."""
        key = key_of(author, snowflake, group)
        self._numbers[key] = number
        if len(self._numbers) > REMEMBERED:
            self._numbers.popitem(last=False)
        if (envelope := self._unnumbered.pop(key)) is not None:
            self._note_of_group(envelope, _UNKNOWN)

    def _has_author(self, key: bytes) -> None:
        self._authored[key] = None
        if len(self._authored) > REMEMBERED:
            self._authored.popitem(last=False)

    def _note_of_group(self, envelope: Envelope, status: int) -> None:
        if status not in ACCEPTED or not envelope.raw:
            return
        group = envelope.group or Group(*envelope.recipient)
        is_elsewhere = envelope.group is None and group.server_id != self._server_id
        if is_elsewhere and status == _NOT_THERE:
            return  # the group's server does not have it yet, and says whether it may be kept
        key = key_of(envelope.author, envelope.snowflake, group)
        if len(self._unnumbered):
            self._list_overdue(envelope.arrived)
        has_place = key in self._numbers or key in self._authored
        if is_elsewhere and status == _UNKNOWN and not has_place and self._unnumbered.hold(key, envelope):
            return
        self._list_of_group(envelope, status, key)

    def _list_overdue(self, now: float) -> None:
        """List those without a number that has not come."""
        for envelope in self._unnumbered.overdue(now):
            group = Group(*envelope.recipient)
            self._list_of_group(envelope, _UNKNOWN, key_of(envelope.author, envelope.snowflake, group))

    def _list_of_group(self, envelope: Envelope, status: int, key: bytes) -> None:
        """Add what a message to a group is in its author's list, or in that of a member who has it."""
        marks = 0
        if envelope.author.server_id == self._server_id and not envelope.origin and key not in self._authored:
            marks = SENT
        is_copy = envelope.group is not None and envelope.recipient.server_id == self._server_id
        if is_copy and status == _DELIVERED:
            marks |= RECEIVED
        if not marks or _is_location(envelope.raw) or (envelope.group is not None and _is_off(envelope.raw)):
            return
        if marks & SENT:
            self._has_author(key)
        if key not in self._in_chunk or marks & SENT:  # an entry without the message is a recipient's alone
            number = self._numbers.get(key, 0) if envelope.group is None else 0  # a copy has it
            raw = numbered(envelope.raw, number) if number else b""
            self._add_message(envelope, marks | self._mark, NO_STATUS, key, raw)
            self._in_chunk.add(key)
        else:
            who = envelope.recipient[0].encode()
            self._add(entry_bytes(COPY, RECEIVED, NO_STATUS, envelope.arrived, key, who))

    def read(self, mark: pb.ReadMark, now: float) -> None:
        """Somebody has read a conversation so far."""
        self._add(entry_bytes(READ, 0, NO_STATUS, now, bytes(16), mark.SerializeToString()))

    def _add_message(self, envelope: Envelope, marks: int, status: int, key: bytes, raw: bytes = b"") -> None:
        """Add the entry of a message, or of another frame of it."""
        head = marks, status, envelope.arrived, key
        content = raw or envelope.content
        size = len(content)
        if self.write_file is None or size < LARGE or not self._has_room(size):
            self._add(entry_bytes(MESSAGE, *head, raw or envelope.raw))
            return
        position = self.journal.await_file(*head)
        if position is None:
            self.dropped += 1
            return
        about = About.of(envelope, size)
        awaited = _Awaited(position, size, lambda: entry_bytes(MESSAGE, *head, about.frame(content)))
        self._awaited.append(awaited)
        self._awaited_bytes += size
        self._in_chunk.clear()

        def filed(digest: bytes | None) -> None:
            if not awaited.entry:
                entry = entry_bytes(FILED, *head, about.data(digest)) if digest else awaited.make()
                self._found(awaited, entry)
                self.begun()

        self.write_file((content, b"" if raw else envelope.digest), filed)

    def _found(self, awaited: _Awaited, entry: bytes) -> None:
        """The entry of a large message is there."""
        awaited.entry = entry
        self._awaited_bytes -= awaited.size
        self.journal.put_in_place(awaited.position, entry)

    def _add(self, entry: bytes) -> None:
        was = self.journal.append_within(MOST - self._awaited_bytes, entry)
        if was < 0:
            self.dropped += 1
        elif was == 0 or was < MUCH <= was + len(entry):
            self.begun()

    def take(self) -> Chunk:
        """The entries so far, those of the fast path among them, as one chunk; but none behind a file to come."""
        self.dropped += self._fast_taken()
        parts: list[bytes | memoryview] = []
        while self._awaited and self._awaited[0].entry:
            awaited = self._awaited.popleft()
            parts += self.journal.take(awaited.position)
            parts.append(awaited.entry)
        if self._awaited:
            end = self._awaited[0].position
            parts += self.journal.take(end)
            self.journal.mark(is_whole=False)
            return Chunk(end, parts)
        parts += self.journal.take(self.journal.end)
        self.journal.mark(is_whole=True)
        self._in_chunk.clear()
        return Chunk(self.journal.end, parts)

    def end(self) -> None:
        """Wait for no number and no file any more: entries have the bytes."""
        self._list_overdue(inf)
        for awaited in self._awaited:
            if not awaited.entry:
                self._found(awaited, awaited.make())


def key_of(author: User, snowflake: int, group: Group) -> bytes:
    """By which a message to a group is one, whoever has a copy."""
    names = "\0".join((*author, *group)).encode(errors="surrogatepass")
    return blake2b(snowflake.to_bytes(8, "little") + names, digest_size=16).digest()


def numbered(raw: bytes, number: int) -> bytes:
    """A MESSAGE's frame with a group's number behind all that it says: of several the last one counts."""
    payload = raw[raw.find(b" ", raw.find(b" ") + 1) + 1 : -1]
    return encode_frame("MESSAGE", payload + pb.ChatMessage(groupNumber=number).SerializeToString())


def _is_location(raw: bytes) -> bool:
    """Whether a MESSAGE's frame has a place in it; most are told by their bytes."""
    if _LOCATION not in raw:
        return False
    message = _message(raw)
    return message is None or message.HasField("live_location")


def _has_no_line(raw: bytes) -> bool:
    """Whether a MESSAGE's frame has a place or an edit in it; most are told by their bytes."""
    if _EDIT not in raw:
        return _is_location(raw)
    message = _message(raw)
    return message is None or message.WhichOneof("content") in ("edit", "live_location")


def _is_off(raw: bytes) -> bool:
    """Whether a copy's frame says that nothing is to be kept of it; most are told by their bytes."""
    if _OFF not in raw:
        return False
    message = _message(raw)
    return message is None or message.historyOff


def _message(raw: bytes) -> pb.ChatMessage | None:
    try:
        return decode(read_datagram(raw), pb.ChatMessage)
    except MalformedMessage:
        return None
