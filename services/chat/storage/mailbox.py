"""The mailbox: messages that wait, by destination. The interface. Pure.

A destination is a user of this server or another server. What waits goes out in the order it came, and
before what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from parley.services.chat.roster import ChatLink
from parley.services.chat.state import ChatState
from parley.shared.addresses import Group, Recipient, User

if TYPE_CHECKING:
    from parley.services.chat.storage.bodies import Body

Destination = User | str
"""A user of this server, or another server's serverId."""

Key = bytes
"""By which a message is recognised when it comes again (message_keys.py); empty: by nothing."""


Pair = tuple[User, Recipient]
"""Author and recipient: what one sent to the other stays in order, whatever happens."""


class Envelope:
    """One message on its way to one recipient."""

    __slots__ = (
        "answered",
        "arrived",
        "attempts",
        "author",
        "deadline",
        "group",
        "id",
        "in_pieces",
        "is_again",
        "is_over",
        "is_retried_by_origin",
        "is_safe",
        "is_saved",
        "key",
        "origin",
        "pending",
        "raw",
        "recipient",
        "sent_to",
        "size",
        "snowflake",
        "told",
        "waited",
        "was_whole",
    )  # fmt: skip

    body: Body | None = None
    """The body that it shares with other copies of a group message (bodies.py)."""

    def __init__(
        self,
        author: User,
        snowflake: int,
        recipient: Recipient,
        raw: bytes,
        *,
        key: Key = b"",
        origin: str = "",
        group: Group | None = None,
    ) -> None:
        self.author = author
        self.snowflake = snowflake
        self.recipient = recipient
        self.key = key
        """By which it is recognised when it comes again."""
        self.raw = raw
        self.size = len(raw)
        self.origin = origin
        """The server that gave it to us and hears its statuses; empty: its author, one of our users."""
        self.group = group
        """The group that it is a copy for."""
        self.is_again = False
        """Whether its author sent it before, and another server has it or had it."""
        self.is_retried_by_origin = False
        """Whether the server that gave it to us keeps it, and offers it again, until we answer."""
        self.arrived = 0.0
        """When it came (seconds, monotonic)."""
        self.waited = False
        """Whether it ever lay in the mailbox: what is only written there while it is on its way did not."""
        self.attempts = 0
        """How often it was written to a link."""
        self.in_pieces = False
        """Whether it travels in pieces just now, and is not to be written whole."""
        self.was_whole = False
        """Whether all of it was ever written to a link: it may have arrived."""
        self.sent_to: list[ChatLink] = []
        """The links that it is on now."""
        self.deadline = 0.0
        """When an answer is due (seconds, monotonic)."""
        self.told: int | None = None
        """The status that its author was given last."""
        self.answered = False
        """Whether an interim status came from the other server."""
        self.id = 0
        """The message's place in the order in which messages came; the mailbox gives it."""
        self.is_saved = False
        """Whether it is on disk, or on its way there."""
        self.is_safe = False
        """Whether it would survive us."""
        self.pending: int | None = None
        """The interim status that its author is given once it is safe."""
        self.is_over = False
        """Whether it was answered finally, or another server has it."""

    @property
    def pair(self) -> Pair:
        """Within what it keeps its place."""
        return self.author, self.recipient

    @property
    def own_size(self) -> int:
        """The message's bytes without those that it shares."""
        return self.size if self.body is None else self.size - self.body.size

    @property
    def reply_to(self) -> Destination:
        """The side that is told its statuses: the author, or the server that gave it to us."""
        return self.origin or self.author


class Name(NamedTuple):
    """The name of a message in other servers' statuses, which identify it by nothing else."""

    author: User
    snowflake: int
    recipient: Recipient
    kind: int
    """TO_USER, COPY or TO_GROUP: a user may be called like a group."""


class HandedOver(NamedTuple):
    """A message that another server has, as far as it is known here."""

    key: Key
    status: int
    """The status that its author was told last."""


TO_USER: Final = 0
COPY: Final = 1
TO_GROUP: Final = 2
"""Kinds of messages: for a user; a copy for a member of a group; for a group of another server."""


def kind_of(recipient: Recipient, group: Group | None) -> int:
    """The kind of a message to somebody, as a copy for a member of a group if there is one."""
    return TO_GROUP if isinstance(recipient, Group) else COPY if group is not None else TO_USER


def name_of(envelope: Envelope) -> Name:
    """The name that another server's statuses have for an envelope."""
    return Name(
        envelope.author, envelope.snowflake, envelope.recipient, kind_of(envelope.recipient, envelope.group)
    )


class Kept(Enum):
    """The outcome for an envelope that was to be kept."""

    SAFE = auto()
    """The message would survive this process."""
    SOON = auto()
    """The message is being written; the mailbox's owner is told when that is done."""
    FULL = auto()
    """There is no room."""


class Mailbox(Protocol):
    """The messages that wait, by destination, and those in flight that are written."""

    @property
    def state(self) -> ChatState:
        """The state that the fast path shares: messages that wait, by destination, and the next number."""

    def number(self, envelope: Envelope) -> None:
        """Give an envelope its place among all: when it is taken, whether it is kept or not."""

    def put(self, destination: Destination, envelope: Envelope) -> Kept:
        """Keep an envelope behind all that waits there."""

    def save(self, destination: Destination, envelope: Envelope) -> Kept:
        """Write an envelope that is on its way and was not answered soon: it would survive us."""

    def over(self, envelope: Envelope, status: int) -> None:
        """A message was answered finally: nothing of it needs to be kept."""

    def handed_over(self, envelope: Envelope, status: int) -> None:
        """Another server has it, and its author was told so: that is known after a restart, too."""

    def put_back(self, destination: Destination, envelopes: Iterable[Envelope]) -> None:
        """Keep envelopes, in order, before all that waits there: they had been taken. There is always room."""

    def pop(self, destination: Destination, pair: Pair | None = None) -> Envelope | None:
        """The first that waits, or that waits in a pair's lane, no longer waiting.

        None when nothing does, or it has to be read first.
        """

    def waiting(self, destination: Destination) -> Iterable[Envelope]:
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

    def is_waiting_on_disk(self, destination: Destination) -> bool:
        """Whether some of what waits there is not in memory."""

    def clear(self, destination: Destination) -> list[Envelope]:
        """Take all that waits and is in memory."""

    def remove(self, destination: Destination, envelope: Envelope, *, is_written: bool = True) -> bool:
        """Take one envelope from what waits, wherever it is; False when it does not, or is being read just now."""

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
