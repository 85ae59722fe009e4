"""The mailbox: messages that wait, by destination. The interface. Pure.

A destination is a user of this server or another server. What waits goes out in the order it came, and
before what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import NamedTuple, Protocol

from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination, HandedOver, Key, Name, Pair
from parley.services.chat.shared_copies.in_flight import SharedCopy
from parley.services.chat.state import ChatState
from parley.services.chat.storage.bodies import Body
from parley.shared.addresses import User


class Kept(Enum):
    """The outcome for an envelope that was to be kept."""

    SAFE = auto()
    """The message would survive this process."""
    SOON = auto()
    """The message is being written; the mailbox's owner is told when that is done."""
    FULL = auto()
    """There is no room."""


class Moved(NamedTuple):
    """The messages of one author that were moved to one destination."""

    destination: Destination
    author: User
    origin: str
    messages: int
    size: int
    own: int
    """The bytes that they do not share."""


class Moves(NamedTuple):
    """The messages that were moved at once."""

    moved: list[Moved]
    left: list[Envelope]
    """The outlines of messages for groups of a server: they are no user's, and stay where they are."""
    is_last: bool
    """Whether nothing else waited there."""


class Mailbox(Protocol):
    """The messages that wait, by destination, and those in flight that are written."""

    @property
    def state(self) -> ChatState:
        """The state that the fast path shares: messages that wait, by destination, and the next number."""

    def put(self, destination: Destination, envelope: Envelope) -> Kept:
        """Keep an envelope behind all that waits there."""

    def save(self, destination: Destination, envelope: Envelope) -> Kept:
        """Write an envelope that is on its way and was not answered soon: it would survive us."""

    def save_shared(self, shared: SharedCopy) -> None:
        """Write a shared copy that is on its way and was not answered soon."""

    def over_shared(self, shared: SharedCopy) -> None:
        """A shared copy that is written, or being written, is answered, or its copies are written."""

    def over(self, envelope: Envelope, status: int) -> None:
        """A message that is written, or being written, was answered finally: nothing of it needs to be kept."""

    def accepted(self, envelopes: Iterable[Envelope]) -> None:
        """These came before one that is kept, or has a status."""

    def handed_over(self, envelope: Envelope, status: int) -> None:
        """Another server has it, and its author was told so: that is known after a restart, too."""

    def put_back(self, destination: Destination, envelopes: Iterable[Envelope]) -> None:
        """Keep envelopes, in order, before all that waits there: they had been taken. There is always room."""

    def pop(self, destination: Destination, pair: Pair | None = None) -> Envelope | None:
        """The first that waits, or that waits in a pair's lane, no longer waiting.

        None when nothing does, or it has to be read first.
        """

    def messages_in_memory(self, destination: Destination) -> Iterable[Envelope]:
        """All that waits and is in memory, in order."""

    def is_empty(self, destination: Destination) -> bool:
        """Whether nothing waits there, and no pair has a lane."""

    def is_clear(self, destination: Destination) -> bool:
        """Whether nothing waits there but what pairs have in lanes of their own."""

    def open_lane(self, destination: Destination, pair: Pair, envelopes: Iterable[Envelope]) -> None:
        """Have what waits of a pair wait apart, from now on; first of it these, that had been taken."""

    def lane_is_empty(self, destination: Destination, pair: Pair) -> bool:
        """Whether nothing waits in a lane."""

    def close_lane(self, destination: Destination, pair: Pair) -> None:
        """The pair's messages wait among all others again: its lane is empty."""

    def has_messages_on_disk(self, destination: Destination) -> bool:
        """Whether some of what waits there is not in memory."""

    def clear(self, destination: Destination) -> list[Envelope]:
        """Take all that waits and is in memory."""

    def remove(self, destination: Destination, envelope: Envelope, *, is_written: bool = True) -> bool:
        """Take one envelope from what waits, wherever it is; False when it does not, or is being read just now."""

    def look_through(
        self, destination: Destination, pair: Pair, target: int, then: Callable[[list[Envelope]], None]
    ) -> None:
        """Read what waits last of a pair, bears this number or seems to be an edit of it; `then` is given that."""

    def rewrite(self, destination: Destination, envelope: Envelope, raw: bytes, body: Body | None = None) -> bool:
        """Have a message that waits say something else; False when it does not wait, or is being read just now.

        `raw` and `body` as Envelope.reworded takes them. What it said before is erased.
        """

    def erase(self, envelope: Envelope) -> None:
        """No byte of what a message said is to be left once it is over."""

    def move(self, source: Destination, then: Callable[[set[User], list[Envelope]], None]) -> None:
        """Have some of what waits at a server wait at its users, or what waits at a user at their server.

        All of it is on disk. `then` hears of users that something was moved to, and is given what can be moved
        nowhere, which waits no more.
        """

    def find(self, key: Key) -> int | None:
        """The status of a message that is, or lately was, on disk; None: there is no such message."""

    def find_handed_over(self, name: Name) -> HandedOver | None:
        """A message that another server has and has not said the last of, by what its statuses say of it."""

    def answered_late(self, envelope: Envelope, status: int) -> None:
        """Another server says the last of a message that it has had for some time."""

    def delivered(self, envelope: Envelope) -> None:
        """One of our users has it."""

    def when_safe(self, then: Callable[[], None]) -> None:
        """Call when all that was written so far would survive us."""
