"""Work for the disk, and the part of it that could not be written yet. Pure.

While nothing can be written (the disk is full), what concerns no message is tried again, and so is a message that
another server keeps and sends again until we answer. To refuse it would be wrong: its author may have been told
that it is kept. To forget it and take the next copy would be wrong, too: a later message could overtake it. All
other messages are refused, and their authors are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parley.services.chat.message.life import Envelope, File
from parley.services.chat.message.model import Destination, Pair
from parley.services.chat.shared_copies.in_flight import SharedCopy
from parley.services.chat.storage.rows import LOADED, Write

if TYPE_CHECKING:
    import sqlite3

MESSAGES: Final = 4096
"""That are tried again, at most."""
BYTES: Final = 16 * 1024 * 1024
"""Of them; what is begun below it may end above it by one message."""


@dataclass(slots=True)
class Work:
    """Something to write or to read, in order with all the rest."""

    writes: tuple[Write, ...] = ()
    envelope: Envelope | None = None
    """The message that is written."""
    destination: Destination | None = None
    """Where it waits."""
    shared: SharedCopy | None = None
    """The shared copy that is written; such work is not tried again."""
    handed_over: Envelope | None = None
    """The message that another server has."""
    done: Callable[[bool], None] | None = None
    """Called with whether it was written; such work is not tried again. Other work without a message is."""
    safe: Callable[[], None] | None = None
    """Hears that all before it was written."""
    filed: File | None = None
    """A large content, and its digest as far as it is known, for the archive; `found` hears the digest, or None."""
    read: Callable[[sqlite3.Connection], Any] | None = None
    """Reads, or changes what is there in a transaction of its own."""
    found: Callable[[Any], None] | None = None
    """Hears what `read` returned."""
    is_large: bool = False
    """Whether it takes something away that may be a file."""
    erases: bool = False
    """Whether what it takes away is to be in none of the file's bytes."""


class Unwritten:
    """Writes that could not be done, in order: before all that is asked for later."""

    def __init__(self) -> None:
        self._works: list[Work] = []

    def add(self, works: Iterable[Work], *, is_passing: bool) -> list[Work]:
        """Take over what is to be tried again; return the rest. `is_passing`: the reason may pass (a full disk)."""
        count = size = 0
        refused = []
        for work in works:
            envelope = work.envelope
            if envelope is None and work.shared is None and work.done is None:
                self._works.append(work)
            elif envelope is not None and is_passing and _is_held(envelope) and count < MESSAGES and size < BYTES:
                count, size = count + 1, size + envelope.size
                self._works.append(work)
            else:
                refused.append(work)
        return refused

    def drain(self) -> list[Work]:
        """All of it, to be tried again."""
        works, self._works = self._works, []
        return works

    def add_to(
        self, read: list[Envelope], destination: Destination, after: int, limit: int, pair: Pair | None
    ) -> list[Envelope]:
        """Messages read from disk, joined with those that could not be written: in order, as if they were there."""
        mine = [envelope for envelope in self._messages(destination, pair) if envelope.id > after]
        if not mine:
            return read
        if len(read) == limit or sum(envelope.size for envelope in read) >= LOADED:  # more may follow on disk
            mine = [envelope for envelope in mine if envelope.id < read[-1].id]
        return sorted([*read, *mine], key=lambda envelope: envelope.id)[:limit]

    def _messages(self, destination: Destination, pair: Pair | None) -> Iterable[Envelope]:
        """The messages that wait there, or a pair's."""
        for work in self._works:
            envelope = work.envelope
            if envelope is None or work.destination != destination or envelope.is_over:
                continue
            if pair in (None, envelope.pair):
                yield envelope


def _is_held(envelope: Envelope) -> bool:
    return envelope.is_retried_by_origin and not envelope.is_over
