"""Who sent what, what they were told of it, and where it was shown; and what is wrong with that. Pure.

A message is known by a number of the test's own that stands in its text, whatever numbers the programs give it.
A client object is named PERSON/NUMBER and lives on across its connections, as the memory of who sits there. One
that is gone for ever hears and repeats nothing any more: what it was promised has to be kept all the same.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

INTERIM: Final = frozenset({"USER_AWAY", "OTHER_SERVER_TIMEOUT"})
PROMISES: Final = INTERIM | {"DELIVERED"}
"""Whoever was told one of these may rely on it: the message is received."""
REFUSALS: Final = frozenset({"OTHER_ERROR", "USER_NOT_FOUND", "OTHER_SERVER_NOT_FOUND", "USER_BLOCKED"})
"""Whoever was told one of these may rely on it: the message is not received."""
IMPOSSIBLE: Final = frozenset({"USER_NOT_FOUND", "OTHER_SERVER_NOT_FOUND", "USER_BLOCKED"})
"""Untrue in a run, where everyone has connected once and every server is known before the first fault."""

KINDS: Final = {
    "lost": "promised (DELIVERED, USER_AWAY or OTHER_SERVER_TIMEOUT), and never shown",
    "twice": "shown twice to one client object",
    "out of order": "shown to a client object after a later one of the same author's client object",
    "unfinished": "its author knows no final status",
    "misdelivered": "shown to another person than its recipient",
    "untrue": "refused and shown all the same, or refused for a reason that was not so",
}


@dataclass(slots=True)
class Message:
    """One message. `author` is a client object, `recipient` a person; times are seconds of the run."""

    number: int
    author: str
    recipient: str
    sent: float
    statuses: list[tuple[float, str]] = field(default_factory=list)
    shown: list[tuple[float, str]] = field(default_factory=list)
    snowflake: int = 0
    """The number that the author's client object gave it; for whoever looks into a chat.db. Told, not judged."""
    is_abandoned: bool = False
    """Whether its author's client object is gone for ever and had heard no final status."""

    @property
    def final(self) -> str:
        """The first final status that was heard; empty: none."""
        return next((status for _, status in self.statuses if status not in INTERIM), "")

    @property
    def is_promised(self) -> bool:
        """Whether its author may rely on its being received."""
        return any(status in PROMISES for _, status in self.statuses)

    def __str__(self) -> str:
        heard = ", ".join(f"{status} at {at:.2f}" for at, status in self.statuses) or "nothing"
        shown = ", ".join(f"to {client} at {at:.2f}" for at, client in self.shown) or "never"
        number = f" ({self.snowflake})" if self.snowflake else ""
        gone = "; its author's client is gone" if self.is_abandoned else ""
        return (
            f"{self.number} {self.author} → {self.recipient}, sent {self.sent:.2f}; "
            f"heard {heard}; shown {shown}{gone}{number}"
        )


@dataclass(frozen=True)
class Wrong:
    """A message and what is wrong with it: one of KINDS."""

    kind: str
    message: Message
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.message}{'; ' if self.detail else ''}{self.detail}"


class Ledger:
    """The record of a run."""

    def __init__(self) -> None:
        self.messages: dict[int, Message] = {}
        self.strangers: list[str] = []
        """Texts that nobody sent, and who was shown them."""
        self._newest: dict[tuple[str, str], int] = {}
        self._late: list[Wrong] = []
        self._by_author: dict[str, list[Message]] = {}

    def sent(self, author: str, recipient: str, at: float) -> int:
        """Note a message that is being sent; its number."""
        number = len(self.messages) + 1
        self.messages[number] = message = Message(number, author, recipient, at)
        self._by_author.setdefault(author, []).append(message)
        return number

    def gone(self, author: str) -> None:
        """A client object is gone for ever."""
        for message in self._by_author.get(author, ()):
            message.is_abandoned = not message.final

    def heard(self, number: int, status: str, at: float) -> None:
        """Its author was told."""
        self.messages[number].statuses.append((at, status))

    def shown(self, number: int, client: str, at: float) -> None:
        """A client object showed it to who sits there."""
        message = self.messages.get(number)
        if message is None:
            self.strangers.append(f"{number} to {client} at {at:.2f}")
            return
        is_first = all(each != client for _, each in message.shown)
        message.shown.append((at, client))
        stream = message.author, client
        newest = self._newest.get(stream, 0)
        if number > newest:
            self._newest[stream] = number
        elif is_first:
            self._late.append(Wrong("out of order", message, f"{client} had {newest} before"))

    # What came of it ------------------------------------------------------------------------------

    def missing(self) -> Iterator[Message]:
        """What is promised and not shown yet."""
        return (each for each in self.messages.values() if not each.shown and each.is_promised)

    def unfinished(self) -> Iterator[Message]:
        """What has no final status yet, and somebody who is to hear of it."""
        return (each for each in self.messages.values() if not each.final and not each.is_abandoned)

    def wrong(self) -> list[Wrong]:
        """All that must not be, once everything is quiet."""
        found = [Wrong("lost", each) for each in self.missing()]
        found += [Wrong("unfinished", each) for each in self.unfinished()]
        found += self._late
        for message in self.messages.values():
            found += self._wrongly_shown(message)
            found += self._untrue(message)
        return found

    @staticmethod
    def _wrongly_shown(message: Message) -> Iterator[Wrong]:
        clients = [client for _, client in message.shown]
        for client in dict.fromkeys(clients):
            if clients.count(client) > 1:
                yield Wrong("twice", message, f"{clients.count(client)} times to {client}")
            if person(client) != message.recipient:
                yield Wrong("misdelivered", message, f"to {client}")

    @staticmethod
    def _untrue(message: Message) -> Iterator[Wrong]:
        told = {status for _, status in message.statuses}
        if told & IMPOSSIBLE:
            yield Wrong("untrue", message, "everyone is known here")
        elif told & REFUSALS and message.shown:
            yield Wrong("untrue", message, "refused, and shown")

    # Figures ----------------------------------------------------------------------------------------

    def finals(self) -> Counter[str]:
        """How many messages have each final status."""
        return Counter(
            each.final or ("none, its author is gone" if each.is_abandoned else "none")
            for each in self.messages.values()
        )

    def interims(self) -> Counter[str]:
        """How many messages had each interim status at some time."""
        return Counter(s for m in self.messages.values() for s in {s for _, s in m.statuses} if s in INTERIM)

    def delays(self) -> list[float]:
        """Seconds from each message's sending to its first showing, sorted."""
        return sorted(each.shown[0][0] - each.sent for each in self.messages.values() if each.shown)

    def median_and_worst(self) -> tuple[float, float]:
        """Of the delays; 0 where nothing was shown."""
        delays = self.delays()
        return (statistics.median(delays), delays[-1]) if delays else (0.0, 0.0)


def person(client: str) -> str:
    """Who sits at a client object."""
    return client.partition("/")[0]
