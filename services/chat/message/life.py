"""The life of a message on this server as two tables: what is promised of it, and where it would survive. Pure.

Theory of operation. An envelope is one message on its way to one recipient. LIFE says which `State` follows which
`Input`, and what has to be done about it, its `Effect`. DURABILITY says the same of being written: only a message
that is SAFE may be promised, and `Envelope.persisted` makes it so, whoever writes it. The states are named
by what is promised, not by where the message lies.

A status is told at once when it is final. An interim one (USER_AWAY, OTHER_SERVER_TIMEOUT) says that the message is
kept: so it is `promised` first, and told when the message is SAFE.

Nothing outside of this module changes an envelope's state (tests/house/test_message_state.py). docs/architecture.md
has both tables as diagrams, drawn from here.
"""

from __future__ import annotations

from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING, Final

from parley.services.chat.message.model import Destination, Key, Pair
from parley.services.chat.roster import ChatLink
from parley.shared.addresses import Group, Recipient, User

if TYPE_CHECKING:
    from parley.services.chat.storage.bodies import Body


class State(IntEnum):
    """The promise that a message stands for. An IntEnum, whose hash is quick: it is looked up with each message."""

    ACCEPTED = auto()
    """It was taken; nothing is promised, and it is on no link."""
    IN_FLIGHT = auto()
    """It was written to a link, and its destination owes an answer."""
    TAKEN = auto()
    """In flight, and its destination said that it keeps it: an existing server, which may never say more."""
    WAITING = auto()
    """It is kept for its destination, and goes out before what is new."""
    ANSWERED = auto()
    """Over: its destination answered finally, another server answers for it, or it was refused."""
    EXPIRED = auto()
    """Over: it was given up while it waited."""


class Input(IntEnum):
    """An event in the life of a message."""

    SENT = auto()
    """It was written to links."""
    TAKEN = auto()
    """Its destination keeps it, and names no author: what it says later has to find the message in flight."""
    RETURNED = auto()
    """It is on no link any more: answered, lost with its links, or given up."""
    KEPT = auto()
    """It was put into the mailbox."""
    ANSWERED = auto()
    """Its author is told a final status."""
    HANDED_OVER = auto()
    """Another server has it safe, and will say what becomes of it."""
    DROPPED = auto()
    """It was taken out of the mailbox, to be given up."""
    PERSISTED = auto()
    """It is safe now."""
    NOT_PERSISTED = auto()
    """It could not be written."""


class Effect(Enum):
    """The consequence of a change."""

    NONE = auto()
    PERSIST = auto()
    """Have it written, unless it is."""
    FORGET = auto()
    """Nothing of it needs to be kept."""
    RECORD = auto()
    """Write that another server has it."""
    TELL = auto()
    """Tell its author what was promised, if anything was."""
    REFUSE = auto()
    """Tell its author that it was not taken."""
    PERSIST_AGAIN = auto()
    """Have the persist timer try again."""


class Durability(IntEnum):
    """The place where a message would survive."""

    MEMORY = auto()
    """Nowhere: it is gone with this process."""
    WRITING = auto()
    """It is being written."""
    SAFE = auto()
    """On disk."""


def _over(state: State, *, drops: Effect) -> dict[Input, tuple[State, Effect]]:
    """Lay out the rows of a message that is over: only its final status may still follow."""
    return dict.fromkeys(Input, (state, Effect.NONE)) | {Input.ANSWERED: (state, drops)}


# state × input → state, effect. What is missing cannot happen: KeyError.
LIFE: Final[dict[State, dict[Input, tuple[State, Effect]]]] = {
    State.ACCEPTED: {
        Input.SENT: (State.IN_FLIGHT, Effect.NONE),
        Input.KEPT: (State.WAITING, Effect.PERSIST),
        Input.ANSWERED: (State.ANSWERED, Effect.FORGET),
        Input.HANDED_OVER: (State.ANSWERED, Effect.RECORD),
        Input.PERSISTED: (State.ACCEPTED, Effect.TELL),
        Input.NOT_PERSISTED: (State.ACCEPTED, Effect.REFUSE),
    },
    State.IN_FLIGHT: {
        Input.TAKEN: (State.TAKEN, Effect.NONE),
        Input.RETURNED: (State.ACCEPTED, Effect.NONE),
        Input.ANSWERED: (State.ANSWERED, Effect.FORGET),
        Input.PERSISTED: (State.IN_FLIGHT, Effect.TELL),
        Input.NOT_PERSISTED: (State.IN_FLIGHT, Effect.PERSIST_AGAIN),
    },
    State.TAKEN: {
        Input.TAKEN: (State.TAKEN, Effect.NONE),
        Input.RETURNED: (State.TAKEN, Effect.NONE),
        Input.ANSWERED: (State.ANSWERED, Effect.FORGET),
        Input.HANDED_OVER: (State.ANSWERED, Effect.RECORD),
        Input.PERSISTED: (State.TAKEN, Effect.TELL),
        Input.NOT_PERSISTED: (State.TAKEN, Effect.PERSIST_AGAIN),
    },
    State.WAITING: {
        Input.SENT: (State.IN_FLIGHT, Effect.NONE),
        Input.KEPT: (State.WAITING, Effect.PERSIST),
        Input.ANSWERED: (State.ANSWERED, Effect.FORGET),
        Input.DROPPED: (State.EXPIRED, Effect.NONE),
        Input.PERSISTED: (State.WAITING, Effect.TELL),
        Input.NOT_PERSISTED: (State.WAITING, Effect.REFUSE),
    },
    State.ANSWERED: _over(State.ANSWERED, drops=Effect.FORGET),
    State.EXPIRED: _over(State.EXPIRED, drops=Effect.FORGET),
}


class Write(IntEnum):
    """An event while a message is written."""

    BEGUN = auto()
    DONE = auto()
    FAILED = auto()


# durability × write → durability, effect.
DURABILITY: Final[dict[Durability, dict[Write, tuple[Durability, Effect]]]] = {
    Durability.MEMORY: {
        Write.BEGUN: (Durability.WRITING, Effect.PERSIST),
        Write.DONE: (Durability.SAFE, Effect.NONE),
        Write.FAILED: (Durability.MEMORY, Effect.NONE),
    },
    Durability.WRITING: {
        Write.BEGUN: (Durability.WRITING, Effect.NONE),
        Write.DONE: (Durability.SAFE, Effect.NONE),
        Write.FAILED: (Durability.MEMORY, Effect.NONE),
    },
    Durability.SAFE: {
        Write.BEGUN: (Durability.SAFE, Effect.NONE),
        Write.DONE: (Durability.SAFE, Effect.NONE),
        Write.FAILED: (Durability.MEMORY, Effect.NONE),
    },
}

ACCEPTED: Final = State.ACCEPTED
TAKEN: Final = State.TAKEN
WAITING: Final = State.WAITING
MEMORY: Final = Durability.MEMORY
SAFE: Final = Durability.SAFE
_SENT: Final = {state: rows[Input.SENT][0] for state, rows in LIFE.items() if Input.SENT in rows}
_ANSWERED: Final = {state: rows[Input.ANSWERED][0] for state, rows in LIFE.items()}
_KEPT: Final = {state: rows[Input.KEPT] for state, rows in LIFE.items() if Input.KEPT in rows}
_PERSISTED: Final = {state: rows[Input.PERSISTED] for state, rows in LIFE.items() if Input.PERSISTED in rows}
_BEGUN: Final = {durability: rows[Write.BEGUN] for durability, rows in DURABILITY.items()}
_DONE: Final = {durability: rows[Write.DONE][0] for durability, rows in DURABILITY.items()}
_RETURNED: Final = {state: rows[Input.RETURNED][0] for state, rows in LIFE.items() if Input.RETURNED in rows}


File = tuple[bytes, bytes]
"""The content of a file, and its SHA-256."""


def digest_of(file: File | None, content: bytes) -> bytes:
    """The digest of this very content; empty: the file is none, or of what it was before."""
    return file[1] if file is not None and file[0] is content else b""


class Envelope:
    """One message on its way to one recipient, and what is known of it here."""

    __slots__ = (
        "arrived", "attempts", "author", "due", "durability", "file", "group", "id", "in_pieces", "is_repeat",
        "is_retried_by_origin", "key", "last_status", "origin", "promised", "promised_proof", "raw", "recipient",
        "reply_to", "sent_to", "size", "snowflake", "state", "was_accepted", "was_kept", "was_whole",
    )  # fmt: skip

    body: Body | None = None
    """The body that it shares with other copies of a group message (bodies.py)."""

    def __init__(
        self,
        author: User,
        snowflake: int,
        recipient: Recipient,
        raw: bytes,
        key: Key = b"",
        arrived: float = 0.0,
        *,
        origin: str = "",
        group: Group | None = None,
        is_retried_by_origin: bool = False,
    ) -> None:
        self.author = author
        self.snowflake = snowflake
        self.recipient = recipient
        self.key = key
        """By which it is recognised when it comes again."""
        self.raw = raw
        self.size = len(raw)
        self.origin = origin
        """The server that gave it to us and is told its statuses; empty: its author, one of our users."""
        self.reply_to: Destination = origin or author
        """The destination of its statuses: the author, or the server that gave it to us."""
        self.group = group
        """The group that it is a copy for."""
        self.arrived = arrived
        """When it came (seconds, monotonic)."""
        self.is_retried_by_origin = is_retried_by_origin
        """Whether the server that gave it to us keeps it, and sends it again, until we answer."""
        self.id = 0
        """Its place in the order in which messages came; the mailbox gives it."""
        self.state = ACCEPTED
        self.durability = MEMORY
        self.last_status: int | None = None
        """The status that its author was given last."""
        self.promised: int | None = None
        """The interim status that its author is given once it is safe."""
        self.promised_proof: bytes | None = None
        """The proof of that status, of the server that gave it; None: we do."""
        self.due = 0.0
        """While in flight: when an answer is due, or it is written to its links again (seconds, monotonic)."""
        self.sent_to: tuple[ChatLink, ...] = ()
        """The links that it is on now; a tuple, so that nobody else can change it."""
        self.attempts = 0
        """How often it was written to a link."""
        self.in_pieces = False
        """Whether it travels in pieces just now, and is not to be written whole."""
        self.was_whole = False
        """Whether all of it was written to a link at some time: it may have arrived."""
        self.file: File | None = None
        """The file that has its content (body_files.py), if one was written or read."""
        self.was_kept = False
        """Whether it ever waited in the mailbox: being written while it is in flight is not that."""
        self.was_accepted = False
        """Whether the archive has it in its author's list, with no status yet."""
        self.is_repeat = False
        """Whether its author sent it before, and another server has it or had it."""

    @property
    def pair(self) -> Pair:
        """Its author and its recipient: what one sent to the other stays in order."""
        return self.author, self.recipient

    @property
    def own_size(self) -> int:
        """Its bytes without those that it shares."""
        return self.size if self.body is None else self.size - self.body.size

    @property
    def content(self) -> bytes:
        """The part of it that is large, where any is: its frame, or the body that it shares."""
        return self.raw

    @property
    def digest(self) -> bytes:
        """The SHA-256 of its content, as far as it is known."""
        return digest_of(self.file, self.raw)

    def in_file(self, content: bytes, digest: bytes) -> None:
        """That content of it is in a file."""
        self.file = content, digest

    @property
    def is_in_flight(self) -> bool:
        """Whether it is on a link, and an answer is owed."""
        return self.due != 0.0

    @property
    def is_over(self) -> bool:
        """Whether nothing more is done for it."""
        return self.state >= State.ANSWERED

    # What changes it -----------------------------------------------------------------------

    def advance(self, event: Input) -> Effect:
        """Note that something happened; what has to be done about it. KeyError: that cannot happen now."""
        self.state, effect = LIFE[self.state][event]
        return effect

    def reworded(self, raw: bytes, body: Body | None = None) -> None:  # noqa: ARG002 - a copy has one
        """It waits, and says something else from now on: its frame, or its beginning and the body it shares."""
        self.raw, self.size = raw, len(raw)

    def repeated(self) -> None:
        """Its author has sent it before, and another server has it or had it."""
        self.is_repeat = True

    def sent(self, links: tuple[ChatLink, ...], due: float, whole: bool) -> None:
        """It was written to these links, or is to go there in pieces; an answer is due then."""
        self.state = _SENT[self.state]
        self.sent_to = links
        self.attempts += 1
        self.due = due
        if whole:
            self.was_whole = True

    def sent_also_to(self, link: ChatLink) -> None:
        """It was written to one link more."""
        self.sent_to = (*self.sent_to, link)

    def lost_link(self, link: ChatLink) -> None:
        """One of its links is gone."""
        self.sent_to = tuple(each for each in self.sent_to if each is not link)

    def never_left(self) -> None:
        """The only link that it was on ended before its turn to be written came."""
        self.attempts -= 1
        if not self.attempts:
            self.was_whole = False

    def retry(self, due: float) -> None:
        """It is written to its links again then."""
        self.due = due

    def returned(self) -> None:
        """It is on no link any more."""
        self.state = _RETURNED[self.state]
        self.due = 0.0

    def kept(self) -> Effect:
        """It waits in the mailbox."""
        self.was_kept = True
        self.state, effect = _KEPT[self.state]
        return effect

    def pieces(self, *, begin: bool) -> None:
        """It begins to travel in pieces, or ends."""
        self.in_pieces = begin

    def all_was_sent(self) -> None:
        """Each of its pieces was written to a link."""
        self.was_whole = True

    def promise(self, status: int, proof: bytes | None = None) -> None:
        """Have its author told an interim status once it is safe; `proof` as in Statuses.report."""
        self.promised, self.promised_proof = status, proof

    def accepted(self) -> None:
        """The archive has it from now on, whatever becomes of it."""
        self.was_accepted = True

    def reported(self, status: int) -> None:
        """Its author was given this status, and nothing ends by it."""
        self.last_status = status

    def ended(self, status: int) -> None:
        """Its author was given this final status."""
        self.last_status = status
        self.state = _ANSWERED[self.state]

    # Being written ---------------------------------------------------------------------------

    def persist(self) -> bool:
        """Whether it has to be written: from now on it is being written."""
        self.durability, effect = _BEGUN[self.durability]
        return effect is Effect.PERSIST

    def persisted(self) -> Effect:
        """It is safe: this alone makes it so."""
        self.durability = _DONE[self.durability]
        self.state, effect = _PERSISTED[self.state]
        return effect

    def not_persisted(self) -> Effect:
        """It could not be written."""
        self.durability = DURABILITY[self.durability][Write.FAILED][0]
        return self.advance(Input.NOT_PERSISTED)

    def found(self, number: int, size: int) -> None:
        """It was read from where it is safe, with its number and its size (bytes)."""
        self.id, self.size = number, size
        self.state, self.durability, self.was_kept = State.WAITING, Durability.SAFE, True

    def held_elsewhere(self) -> None:
        """The server that gave it to us would not tell its status again: that is ours to keep."""
        self.durability = Durability.SAFE
