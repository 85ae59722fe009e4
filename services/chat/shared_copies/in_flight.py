"""Shared copies in flight: written to another Parley's link, with members who have no status yet. Pure.

An answer names author, number and group, and by these a shared copy is found. No two in flight to one server that
have all three in common are for the same member: which of them were answered? (`clashes`).

It is written to disk as any other message is: after the persist delay, and while its server answers just now after
ten times that (delivery/persist_timer.py). That is one row for all members (storage/shared_rows.py). What is
not answered within `ack_timeout` becomes copies.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from parley.services.chat.message.in_flight import SERVER_WINDOWS, WINDOW, WINDOW_BYTES
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination, Key
from parley.services.chat.roster import ChatLink
from parley.services.chat.shared_copies.frames import encode_shared
from parley.services.chat.storage.bodies import Body, Copy, head_of
from parley.shared.addresses import Group, User

MOST: Final = WINDOW * SERVER_WINDOWS
"""Members of shared copies in flight to one server: as many as messages."""
MOST_BYTES: Final = WINDOW_BYTES
"""Bytes of their frames."""

Subject = tuple[User, int, Group]
"""By which answers name a message to a group: author, number, group."""


class SharedCopy:
    """One message to a group for several members at one server, and what is known of all of them."""

    __slots__ = (
        "arrived",
        "author",
        "body",
        "first_id",
        "group",
        "is_noted",
        "is_retried_by_origin",
        "is_written",
        "link",
        "look_at",
        "missing",
        "origin",
        "recipient",
        "reply_to",
        "row_id",
        "sent_at",
        "server_id",
        "size",
        "snowflake",
    )  # fmt: skip

    was_kept = False
    """A shared copy never waits."""

    def __init__(self, original: Envelope, group: Group, server_id: str, body: Body, keys: dict[User, Key]) -> None:
        """`keys`: the members, each with the key of their copy."""
        self.author = original.author
        self.snowflake = original.snowflake
        self.origin = original.origin
        self.reply_to = original.reply_to
        self.arrived = original.arrived
        self.is_retried_by_origin = original.is_retried_by_origin
        self.group = group
        self.server_id = server_id
        self.recipient = User("", server_id)
        """Nobody: what all its members have in common."""
        self.body = body
        self.missing = keys
        """The members who have no status, with the keys of their copies."""
        self.first_id = 0
        """The place of the next copy that is made, in the order in which messages came; the others' follow."""
        self.size = 0
        """Bytes of its frame."""
        self.link: ChatLink | None = None
        self.sent_at = self.look_at = 0.0
        self.row_id = 0
        """The number of its own row on disk."""
        self.is_written = False
        """Whether it has one, or is to have one."""
        self.is_noted = False
        """Whether the archive was told of it."""

    @property
    def subject(self) -> Subject:
        """By which answers name it."""
        return self.author, self.snowflake, self.group

    @property
    def links(self) -> list[ChatLink]:
        """The link that it is on."""
        return [self.link] if self.link is not None else []

    def frame(self) -> bytes:
        """All of it, for the members who have no status."""
        return encode_shared(self.missing, self.group, self.body.data)

    def copies(self) -> Iterator[Copy]:
        """A copy for each member who has no status, in their order."""
        return map(self.copy_for, self.missing)

    def copy_for(self, member: User) -> Copy:
        """The copy of one of them; once it was sent, with its place in the order in which messages came."""
        copy = Copy(
            self.author,
            self.snowflake,
            member,
            key=self.missing[member],
            origin=self.origin,
            group=self.group,
            head=head_of(member, self.group, self.body),
            body=self.body,
            arrived=self.arrived,
            is_retried_by_origin=self.is_retried_by_origin,
        )
        if self.first_id:
            copy.id = self.first_id
            self.first_id += 1
        return copy


class _Sent:
    """The shared copies in flight to one server."""

    __slots__ = ("by_subject", "bytes", "members", "numbers")

    def __init__(self) -> None:
        self.by_subject: dict[Subject, list[SharedCopy]] = {}
        self.numbers: Counter[int] = Counter()
        """Snowflakes, and how many have each."""
        self.members = 0
        self.bytes = 0


class SharedCopies:
    """The shared copies in flight to all servers. `is_answering`: whether a server answered a moment ago."""

    def __init__(
        self,
        delay: float,
        patience: float,
        settled_after: float,
        is_answering: Callable[[Destination, float], bool],
    ) -> None:
        """`delay`, `patience`, `settled_after`: seconds until one is written, at the latest, and becomes copies."""
        self._delay = delay
        self._patience = patience
        self._settled_after = settled_after
        self._is_answering = is_answering
        self.sent: Final[dict[Destination, _Sent]] = {}
        """Server → what is in flight there; nobody asks for more where there is nothing."""
        self._looks: deque[SharedCopy] = deque()
        """Those that are not written, in the order of `look_at`."""
        self._unanswered: deque[SharedCopy] = deque()
        """All, in the order in which they were sent; those that are over are dropped at the front."""

    def has_room(self, shared: SharedCopy, size: int) -> bool:
        """Whether as much more may be in flight to its server."""
        sent = self.sent.get(shared.server_id)
        return sent is None or (sent.members + len(shared.missing) <= MOST and sent.bytes + size <= MOST_BYTES)

    def clashes(self, shared: SharedCopy) -> bool:
        """Whether an answer could not tell it from another one that is in flight."""
        return any(
            not shared.missing.keys().isdisjoint(other.missing)
            for other in self.find(shared.server_id, *shared.subject)
        )

    def hold(self, shared: SharedCopy, link: ChatLink, size: int, now: float) -> None:
        """One was written to a link just now, in so many bytes."""
        sent = self.sent.setdefault(shared.server_id, _Sent())
        sent.by_subject.setdefault(shared.subject, []).append(shared)
        sent.numbers[shared.snowflake] += 1
        sent.members += len(shared.missing)
        sent.bytes += size
        shared.link, shared.size, shared.sent_at, shared.look_at = link, size, now, now + self._delay
        self._looks.append(shared)
        self._unanswered.append(shared)

    def find(self, destination: Destination, author: User, snowflake: int, group: Group) -> list[SharedCopy]:
        """All in flight to a server that these name."""
        sent = self.sent.get(destination)
        return sent.by_subject.get((author, snowflake, group), []) if sent is not None else []

    def holds_number(self, destination: Destination, envelope: Envelope) -> bool:
        """Whether one in flight there is for the same member, from the same author, with the same number."""
        sent = self.sent.get(destination)
        return (
            sent is not None
            and envelope.snowflake in sent.numbers
            and any(
                (author, snowflake) == (envelope.author, envelope.snowflake)
                and any(envelope.recipient in shared.missing for shared in found)
                for (author, snowflake, _group), found in sent.by_subject.items()
            )
        )

    def is_over(self, shared: SharedCopy, members: int) -> bool:
        """So many members of one have a status, and are not in it any more; whether those were the last."""
        sent = self.sent[shared.server_id]
        sent.members -= members
        if shared.missing:
            return False
        sent.bytes -= shared.size
        sent.numbers -= Counter((shared.snowflake,))  # what none has goes
        found = sent.by_subject[shared.subject]
        found.remove(shared)
        if not found:
            del sent.by_subject[shared.subject]
        if not sent.by_subject:
            del self.sent[shared.server_id]
        if not self.sent:
            self._looks.clear()
            self._unanswered.clear()
        return True

    def settle(self, destination: Destination) -> list[SharedCopy]:
        """Hand over all that is in flight to a server, in order."""
        sent = self.sent.pop(destination, None)
        found = [shared for each in sent.by_subject.values() for shared in each] if sent is not None else []
        return sorted(found, key=lambda shared: shared.first_id)

    # Time ----------------------------------------------------------------------------------------------

    def due(self) -> Iterable[float]:
        """When `write_due` and `settle_due` must be called."""
        self.drop_answered()
        due = [self._looks[0].look_at] if self._looks else []
        return [*due, self._unanswered[0].sent_at + self._settled_after] if self._unanswered else due

    def drop_answered(self) -> None:
        """At the end of a batch: forget those that are over, as they come to the front."""
        for each in (self._looks, self._unanswered):
            while each and not self._is_held(each[0]):
                each.popleft()

    def write_due(self, now: float) -> list[SharedCopy]:
        """Those that are to be written to disk now; what its server is about to answer has more time."""
        found = []
        while self._looks and self._looks[0].look_at <= now:
            shared = self._looks.popleft()
            if not self._is_held(shared):
                continue
            if now < shared.sent_at + self._patience and self._is_answering(shared.server_id, now):
                shared.look_at = now + self._delay
                self._looks.append(shared)
            else:
                found.append(shared)
        return found

    def settle_due(self, now: float) -> list[SharedCopy]:
        """Hand over what was not answered in time."""
        found = []
        while self._unanswered and self._unanswered[0].sent_at + self._settled_after <= now:
            shared = self._unanswered.popleft()
            if self._is_held(shared):
                found.append(shared)
                self._take(shared)
        return found

    def _is_held(self, shared: SharedCopy) -> bool:
        return shared in self.find(shared.server_id, *shared.subject)

    def _take(self, shared: SharedCopy) -> None:
        kept, shared.missing = shared.missing, {}
        self.is_over(shared, len(kept))
        shared.missing = kept
