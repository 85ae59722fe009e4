"""Chat's side of handing chunks over: keeps each until it is in the file. Pure.

A chunk's number is its end's position in the journal. A process comes (`begin`), says what it has (Ready), is given
the rest, and may be lost at any time. The first one is given what the chat process before left, too. Changes go in
order with the chunks. One that a lost process was given may have been made or not: it fails, and may be asked for
again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from parley.services.chat.archive.changes import Change
from parley.services.chat.archive.entries import count
from parley.services.chat.archive.process.messages import (
    FROM_PROCESS,
    Applied,
    Apply,
    Asked,
    Begin,
    Frames,
    FromChat,
    FromProcess,
    Keys,
    Position,
    Put,
    Ready,
    frame,
)

MOST_UNWRITTEN: Final = 64 * 1024 * 1024
"""Bytes of entries that may wait to be written."""
Parts = Sequence[bytes | memoryview]
"""Entries, which may still be where they were appended."""


class _Kept(NamedTuple):
    """A chunk that is not in the file yet, as far as is known, or a change that no process was given."""

    number: int
    """0: a change."""
    begin: int
    """The number of the one before it."""
    size: int
    put: float
    frame: Callable[[], bytearray]
    """Makes its bytes for the process: until these are sent, what is in it is in the journal alone."""


class Handover:
    """All that is on its way to the archive's process."""

    def __init__(
        self, begin: Begin, base: int = 0, left: Callable[[int], Iterable[Put]] = lambda _written: ()
    ) -> None:
        """Begin behind position `base`; `left` tells the chunks up to there that are behind what is written."""
        self._begin = begin
        self._left: Callable[[int], Iterable[Put]] | None = left
        self._base = self._passed = base
        self._frames = Frames()
        self._kept: deque[_Kept] = deque()
        self._kept_bytes = 0
        self._unsent: deque[Callable[[], bytearray]] = deque()
        self._sending: bytearray | None = None
        self._sent = 0
        """Bytes of it that are sent."""
        self.is_ready = False
        """Whether the process has said what it has, and is given the rest."""
        self._changes: set[int] = set()
        """Numbers of changes that have no answer."""
        self._change = 0
        self._asked = 0
        self._before = 0
        """Entries that the processes before this one have written."""
        self._without_effect: Mapping[str, int] = {}
        """Edits that changed nothing there."""
        self._not_kept: Mapping[str, int] = {}
        """Entries that were not kept there."""
        self.put_so_far = 0
        """The number of the last chunk."""
        self.dropped = 0
        """Entries that nobody had room for."""
        self.position = Position()

    # Chat -------------------------------------------------------------------------------------------

    def put(self, number: int, entries: Parts, age: float, clock: float, at: float, now: float) -> bool:
        """Take a chunk, in parts; False: there is no room, it is dropped and counted."""
        before, self._passed = self._passed, number
        size = sum(map(len, entries))
        if self.position.is_full or self._kept_bytes + size > MOST_UNWRITTEN:
            self.dropped += count(b"".join(entries))
            return False
        self.put_so_far = number
        kept = _Kept(number, before, size, now, lambda: frame(Put(number, b"".join(entries), age, clock, at, now)))
        self._kept.append(kept)
        self._kept_bytes += size
        if self.is_ready:
            self._unsent.append(kept.frame)
        return True

    def ask(self, number: int) -> None:
        """Have the chunks up to that one put into lists soon."""
        if number > max(self._asked, self.position.listed):
            self._asked = number
            if self.is_ready:
                self._send(Asked(number))

    def _send(self, message: FromChat) -> None:
        data = frame(message)
        self._unsent.append(lambda: data)

    def change(self, change: Change) -> int:
        """Have a change made; the number of its answer."""
        self._change += 1
        self._changes.add(self._change)
        data = frame(Apply(self._change, change))
        if self.is_ready:
            self._unsent.append(lambda: data)
        else:
            self._kept.append(_Kept(0, 0, 0, 0.0, lambda: data))
        return self._change

    def answer(self, keys: Keys) -> None:
        """Say which devices a user has, before all that is not begun: the process waits for it."""
        data = frame(keys)
        if self._sending is not None and not self._sent:
            self._unsent.appendleft(partial(bytearray, self._sending))
            self._sending = None
        self._unsent.appendleft(lambda: data)

    @property
    def messages(self) -> int:
        """Entries that were written."""
        return self._before + self.position.messages

    @property
    def edits_without_effect(self) -> Mapping[str, int]:
        """How many edits changed nothing in a list, by why."""
        return _sum(self._without_effect, self.position.without_effect)

    @property
    def not_kept(self) -> Mapping[str, int]:
        """How many entries were not kept, by whose share is used up."""
        return _sum(self._not_kept, self.position.not_kept)

    @property
    def backlog(self) -> int:
        """Bytes of entries that are in no list yet."""
        return self._kept_bytes + self.position.backlog

    def lag(self, now: float) -> float:
        """Seconds for which the oldest message is not in the lists yet."""
        return max(0.0, now - (self.position.oldest or self.oldest or now))

    @property
    def is_empty(self) -> bool:
        """Whether the file has all that was put."""
        return not self._kept

    @property
    def done(self) -> int:
        """The position up to which all is in the file, or was dropped."""
        if self._left is not None:
            return 0
        return next((each.begin for each in self._kept if each.number), self._passed)

    @property
    def oldest(self) -> float | None:
        """When the oldest was put that is not in the file, as far as is known (seconds); None: there is none."""
        return next((each.put for each in self._kept if each.number), None)

    # The process --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """There is a process; it is told which file is its own."""
        self._frames = Frames()
        self._send(self._begin)

    def lost(self) -> list[int]:
        """There is none any more; the numbers of changes that it was given, and never answered."""
        self.is_ready = False
        self._unsent.clear()
        self._sending, self._sent = None, 0
        self._before, self._without_effect = self.messages, self.edits_without_effect
        self._not_kept = self.not_kept
        self.position = self._without_process()
        failed = sorted(self._changes)
        self._changes.clear()
        self._kept = deque(each for each in self._kept if each.number)
        return failed

    def _without_process(self) -> Position:
        found = self.position
        return Position(
            found.written,
            found.listed,
            size=found.size,
            is_full=found.is_full,
            files=found.files,
            files_size=found.files_size,
            torn=found.torn,
        )

    def to_send(self) -> memoryview | None:
        """Bytes for the process; None: there are none."""
        if self._sending is None:
            if not self._unsent:
                return None
            self._sending = self._unsent.popleft()()
        return memoryview(self._sending)[self._sent :]

    def sent(self, size: int) -> None:
        """Note that so many of them were sent."""
        self._sent += size
        if self._sending is not None and self._sent == len(self._sending):
            self._sending, self._sent = None, 0

    def receive(self, data: bytes) -> list[FromProcess]:
        """Hear from the process; its messages, of which those about chunks are noted here."""
        found = []
        for payload in self._frames.feed(data):
            message = FROM_PROCESS.decode(payload)
            match message:
                case Ready(written):
                    self._ready(written)
                case Position():
                    self._moved(message)
                case Applied(number):
                    self._changes.discard(number)
            found.append(message)
        return found

    def _ready(self, written: int) -> None:
        if self._left is not None:
            self._take_left(self._left(written))
        self._written(written)
        self.is_ready = True
        self._unsent.extend(each.frame for each in self._kept)
        self._kept = deque(each for each in self._kept if each.number)
        if self._asked > self.position.listed:
            self._send(Asked(self._asked))

    def _take_left(self, left: Iterable[Put]) -> None:
        """Give the process what the last chat process left, before all that is put by this one."""
        self._left = None
        kept = []
        begin = 0
        for put in left:
            kept.append(_Kept(put.number, begin, len(put.entries), put.put, partial(frame, put)))
            self._kept_bytes += len(put.entries)
            begin = put.number
        self._kept.extendleft(reversed(kept))

    def _moved(self, position: Position) -> None:
        self.position = position
        self._written(position.written)

    def _written(self, number: int) -> None:
        while self._kept and self._kept[0].number and self._kept[0].number <= number:
            self._kept_bytes -= self._kept.popleft().size


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {*one, *other}}
