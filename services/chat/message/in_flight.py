"""Messages in flight to one destination: written to its links and not answered yet. Pure.

A destination is answered by number, author and recipient, so two messages that answers cannot tell apart are never
in flight together: the second one waits (`must_wait`). A message is on each link of the destination that could be
written to; it is lost when the last of these links has gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from math import inf

from parley.services.chat.message.life import Envelope
from parley.services.chat.roster import ChatLink
from parley.services.chat.state import InFlightTable
from parley.shared.addresses import User

WINDOW = 4096
"""Unanswered messages per user; beyond it the rest waits in the mailbox."""
WINDOW_BYTES = 8 * 1024 * 1024
"""The same in bytes: what is begun below it may end above it by one message."""
BURST = 8
"""So many windows may be in flight at once while they are answered within `persist_delay`."""
LOOKED_AT = 64
"""Messages that are looked through for those that were sent before one with an answer: mostly it is the first."""
SERVER_WINDOWS = 16
"""How many such windows there are to a server: a user of it who never answers fills one, and holds up nobody."""


class InFlight(InFlightTable):
    """The unanswered messages of one destination, in the order in which they were sent."""

    __slots__ = ("sent_at",)

    def __init__(self, windows: int = 1) -> None:
        super().__init__(WINDOW * windows, BURST * WINDOW * windows, WINDOW_BYTES * windows)
        self.sent_at = -inf
        """When the last of them was sent (seconds, monotonic)."""

    def set_window(self, window: int) -> None:
        """A user's client asks for at most so many messages, in a burst, too; 0: for no less than others."""
        self.window = min(window, WINDOW) or WINDOW
        self.burst_window = min(window, WINDOW) or BURST * WINDOW

    def __len__(self) -> int:
        return len(self.held)

    @property
    def envelopes(self) -> Iterable[Envelope]:
        """All of them, in that order."""
        return self.held

    def before(self, envelope: Envelope) -> list[Envelope]:
        """The messages of its pair that were sent before it, of the oldest LOOKED_AT."""
        author, recipient = envelope.pair
        found: list[Envelope] = []
        for each in islice(self.held, LOOKED_AT):
            if each is envelope:
                break
            if each.author == author and each.recipient == recipient:
                found.append(each)
        return found

    def must_wait(self, envelope: Envelope) -> bool:
        """Whether the author's message of this number to the same recipient, another one, is to be answered first.

        An answer names number, author and recipient, or less; and some programs number by the second. One that is
        overdue holds up nobody; 0 is nobody's number, and is answered in the order in which it came.
        """
        same = self.by_number.get(envelope.snowflake)
        if same is None or not envelope.key:
            return False
        return any(
            other.recipient == envelope.recipient
            and other.author == envelope.author
            and other.key != envelope.key
            and other.last_status is other.promised is None
            for other in same
        )

    def send(self, envelope: Envelope, links: Sequence[ChatLink], deadline: float) -> None:
        """Write an envelope to its links; an answer is due at `deadline`."""
        for link in links:
            link.send(envelope.raw)
        self.hold(envelope, links, deadline, True)

    def hold(self, envelope: Envelope, links: Sequence[ChatLink], deadline: float, whole: bool = False) -> None:
        """An envelope was written to these links, or goes there in pieces."""
        envelope.sent(tuple(links), deadline, whole)
        self.held[envelope] = None
        self.size += envelope.size
        self.by_number.setdefault(envelope.snowflake, []).append(envelope)

    def catch_up(self, link: ChatLink) -> None:
        """Write all that is unanswered, in order, to a link that does not have it yet."""
        for envelope in self.held:
            if link not in envelope.sent_to:
                link.send(envelope.raw)
                envelope.sent_also_to(link)

    def send_again(self) -> int:
        """Write what is unanswered to its links once more, while they have room; how many messages."""
        count = 0
        for envelope in self.held:
            if envelope.in_pieces:
                continue
            links = [link for link in envelope.sent_to if link.writable]
            if not links:
                break
            for link in links:
                link.send(envelope.raw)
            count += 1
        return count

    def find(self, snowflake: int, recipient: User | None = None, author: User | None = None) -> Envelope | None:
        """The oldest unanswered message with that snowflake, of those who are named."""
        for envelope in self.by_number.get(snowflake, ()):
            is_for = recipient is None or recipient == envelope.recipient
            if is_for and (author is None or author == envelope.author):
                return envelope
        return None

    def holds(self, envelope: Envelope) -> bool:
        """Whether it is still unanswered."""
        return envelope in self.held

    def remove(self, envelope: Envelope) -> None:
        """An envelope was answered."""
        del self.held[envelope]
        self.size -= envelope.size
        envelope.returned()
        same = self.by_number[envelope.snowflake]
        same.remove(envelope)
        if not same:
            del self.by_number[envelope.snowflake]

    def remove_link(self, link: ChatLink) -> list[Envelope]:
        """A link is gone: what was on it and on no other, no longer on its way, in order."""
        lost = []
        for envelope in list(self.held):
            if link in envelope.sent_to:
                envelope.lost_link(link)
                if not envelope.sent_to:
                    self.remove(envelope)
                    lost.append(envelope)
        return lost
