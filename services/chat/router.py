"""Where a message goes, and what its author is told. Pure: links are sinks, time is an argument (seconds).

A server answers for a message only when it is safe: delivered (the recipient's client acknowledged it),
or kept. DELIVERED, USER_NOT_FOUND, OTHER_SERVER_NOT_FOUND, USER_BLOCKED, OTHER_ERROR and UNKNOWN_STATUS
("handed over, unconfirmed") are final; USER_AWAY and OTHER_SERVER_TIMEOUT are followed by a final one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from services.chat.mailbox import Destination, Item, Kept, Mailbox
from services.chat.outbound import SERVER_WINDOWS, Outbound
from services.chat.roster import Roster, Sink
from services.chat.statuses import FINAL, INTERIM, Key, Memory, Status, Statuses
from shared.addresses import User
from shared.errors import UnexpectedMessage
from shared.messages import pb

PATIENCE: Final = 1.0
"""Seconds for which an unlinked or unknown server is looked for before the author is answered."""


class Router:
    """Routes the messages of one server's users. `look_for` has the network asked for a server."""

    def __init__(
        self,
        server_id: str,
        roster: Roster,
        mailbox: Mailbox,
        *,
        ack_timeout: float,
        custody_delay: float = 0.05,
        count: Callable[[str, int], None] = lambda _scope, _status: None,
        look_for: Callable[[str], None] = lambda _server_id: None,
    ) -> None:
        self._server_id = server_id
        self._roster = roster
        self._mailbox = mailbox
        self._ack_timeout = ack_timeout
        self._custody_delay = custody_delay
        self._look_for = look_for
        self._outbound: dict[Destination, Outbound] = {}
        self._unanswered: deque[tuple[float, Destination, Item]] = deque()
        self._unsaved: deque[tuple[float, Destination, Item]] = deque()
        """What is on its way and not written yet, and when it will be, unanswered."""
        self._missing: dict[str, float] = {}
        """Servers with waiting messages and no link → when their authors are answered."""
        self._memory = Memory()
        self._statuses = Statuses(server_id, roster, mailbox, self._memory, count)

    # Messages -------------------------------------------------------------------------------

    def message_from_client(self, user: User, message: pb.ChatMessage, raw: bytes, now: float) -> None:
        """Route what one of our users sent; raises UnexpectedMessage after answering what may not be."""
        author = User.of(message.author)
        recipient = _recipient(message)
        if author != user:
            self._statuses.answer(user, message.messageSnowflake, recipient, Status.OTHER_ERROR)
            raise UnexpectedMessage(f"{user} speaks for {author}", "foreign_user")
        if recipient is None:
            self._statuses.answer(user, message.messageSnowflake, None, Status.OTHER_ERROR)
            raise UnexpectedMessage("a message without a recipient", "no_recipient")
        self._accept(
            Item(author, message.messageSnowflake, recipient, raw), now, is_group=message.HasField("group")
        )

    def message_from_server(self, server_id: str, message: pb.ChatMessage, raw: bytes, now: float) -> None:
        """Route what another server's user sent to one of ours.

        Raises:
            UnexpectedMessage: it speaks for others than its own users and groups, or to others than ours.

        """
        author = User.of(message.author)
        recipient = _recipient(message)
        of_its_group = (
            message.WhichOneof("recipient") == "userOfGroup" and message.userOfGroup.group.serverId == server_id
        )
        if not author.is_complete or (author.server_id != server_id and not of_its_group):
            raise UnexpectedMessage(f"{server_id} speaks for {author}", "foreign_user")
        if recipient is None:
            raise UnexpectedMessage(f"{server_id} sends a message without a recipient", "no_recipient")
        if recipient.server_id != self._server_id:
            raise UnexpectedMessage(f"{server_id} sends us what is for {recipient}", "foreign_user")
        self._accept(
            Item(author, message.messageSnowflake, recipient, raw), now, is_group=message.HasField("group")
        )

    def _accept(self, item: Item, now: float, *, is_group: bool) -> None:
        """Take a message once; one that comes again is answered with its present status."""
        if self._memory.knows(item.key) and not self._is_handed_over(item):
            self._statuses.repeat(item)
            return
        self._memory.note(item.key, None)
        if is_group and item.recipient.server_id == self._server_id:
            self._statuses.tell(item, Status.USER_NOT_FOUND)  # no group lives here yet
        elif item.recipient.server_id == self._server_id:
            self._to_user(item, now)
        else:
            self._to_server(item, now)

    def _is_handed_over(self, item: Item) -> bool:
        """Whether another server has this message: what has become of it is asked by sending it again."""
        remote = item.recipient.server_id != self._server_id
        return remote and self._memory.status(item.key) == Status.USER_AWAY

    def _to_user(self, item: Item, now: float) -> None:
        user = item.recipient
        if not self._roster.knows(user):
            self._statuses.tell(item, Status.USER_NOT_FOUND)
        elif self._send_or_keep(user, item, now) and not item.deadline:
            self._statuses.tell_when_safe(item, Status.USER_AWAY)  # away, or too slow a reader: kept in any case

    def _to_server(self, item: Item, now: float) -> None:
        server_id = item.recipient.server_id
        if self._send_or_keep(server_id, item, now) and self._roster.server(server_id) is None:
            self._miss(server_id, now)

    def _send_or_keep(self, destination: Destination, item: Item, now: float) -> bool:
        """Send at once where nothing waits; else keep. False, and the author told, where there is no room."""
        if self._mailbox.is_empty(destination) and (sinks := self._sinks(destination)):
            outbound = self._outbound_to(destination)
            if outbound.has_room:
                self._send(destination, outbound, item, sinks, now + self._ack_timeout)
                return True
        if self._mailbox.is_empty(destination):
            self._save_before(destination, [])
        if self._mailbox.put(destination, item) is not Kept.FULL:
            self._pump(destination, now)
            return True
        self._statuses.tell(item, Status.OTHER_ERROR)
        return False

    def _save_before(self, destination: Destination, items: list[Item]) -> None:
        """Write what is on its way, with these items, in order, before what comes after it is written.

        Else the later one would survive us, and the earlier one, sent again by its author, would come after it.
        """
        outbound = self._outbound.get(destination)
        for item in sorted([*items, *(outbound.items if outbound is not None else ())], key=lambda item: item.id):
            self._mailbox.save(destination, item)

    def _miss(self, server_id: str, now: float) -> None:
        """Look for a server before its messages' authors are answered."""
        if server_id not in self._missing:
            self._missing[server_id] = now + PATIENCE
            self._look_for(server_id)

    # Sending -----------------------------------------------------------------------------------

    def _outbound_to(self, destination: Destination) -> Outbound:
        outbound = self._outbound.get(destination)
        if outbound is None:
            outbound = Outbound(1 if isinstance(destination, User) else SERVER_WINDOWS)
            self._outbound[destination] = outbound
        return outbound

    def _sinks(self, destination: Destination) -> list[Sink]:
        """The links to a destination that have room."""
        if isinstance(destination, User):
            return [sink for sink in self._roster.clients(destination) if sink.writable]
        server = self._roster.server(destination)
        return [server.sink] if server is not None and server.sink.writable else []

    def _pump(self, destination: Destination, now: float) -> None:
        """Send what waits, in order, while there is room."""
        if self._mailbox.is_empty(destination):
            return
        outbound = self._outbound_to(destination)
        deadline = now + self._ack_timeout
        while outbound.has_room and (sinks := self._sinks(destination)):
            item = self._mailbox.take(destination)
            if item is None:
                break
            self._send(destination, outbound, item, sinks, deadline)

    def _send(
        self, destination: Destination, outbound: Outbound, item: Item, sinks: Sequence[Sink], deadline: float
    ) -> None:
        self._mailbox.number(item)
        outbound.send(item, sinks, deadline)
        self._unanswered.append((deadline, destination, item))
        if not item.is_saved:
            self._unsaved.append((deadline - self._ack_timeout + self._custody_delay, destination, item))

    def _remove(self, outbound: Outbound, item: Item) -> None:
        """It was answered; deadlines that no longer matter are dropped as they come to the front."""
        outbound.remove(item)
        self._drop_deadlines()

    def _drop_deadlines(self) -> None:
        unanswered = self._unanswered
        while unanswered and unanswered[0][0] != unanswered[0][2].deadline:
            unanswered.popleft()
        unsaved = self._unsaved
        while unsaved and not unsaved[0][2].deadline:
            unsaved.popleft()

    def _unsend(self, destination: Destination, sink: Sink, now: float, *, at_most: int | None = None) -> None:
        """A link is gone: what was on it alone waits again, before what is new.

        `at_most`: how often a message is written in all before it is given up. One that the other server took
        without saying whose it was can no longer be answered: it is unconfirmed, too.
        """
        outbound = self._outbound.get(destination)
        again = []
        for item in outbound.take_from(sink) if outbound is not None else ():
            if item.answered or (at_most is not None and item.attempts >= at_most):
                self._statuses.tell(item, Status.UNKNOWN_STATUS)
            else:
                again.append(item)
        self._drop_deadlines()
        if again:
            self._save_before(destination, again)
            self._mailbox.put_back(destination, again)
        self._pump(destination, now)

    def _confirms(self, server_id: str) -> bool:
        server = self._roster.server(server_id)
        return server is None or server.confirms

    # Who comes and goes ------------------------------------------------------------------------------

    def client_connected(self, user: User, now: float) -> None:
        """A user's client is in the roster: what waits for them goes out."""
        self._statuses.deliver_owed(user)
        self._catch_up(user)
        self._pump(user, now)

    def _catch_up(self, user: User) -> None:
        """Whoever of a user's clients can be written to has all that is unanswered.

        Else it would get what is new before what another client, perhaps a dead one, leaves unanswered.
        """
        if user in self._outbound:
            for sink in self._sinks(user):
                self._outbound[user].catch_up(sink)

    def client_disconnected(self, user: User, sink: Sink, now: float) -> None:
        """It is out of the roster: what it did not acknowledge waits again."""
        self._unsend(user, sink, now)
        if not self._roster.clients(user):
            for item in self._mailbox.waiting(user):
                self._statuses.tell_when_safe(item, Status.USER_AWAY)

    def server_connected(self, server_id: str, now: float) -> None:
        """A server is in the roster."""
        self._missing.pop(server_id, None)
        self._statuses.deliver_owed(server_id)
        self._pump(server_id, now)

    def server_disconnected(self, server_id: str, sink: Sink, now: float, *, confirms: bool) -> None:
        """It is out of the roster: what it did not answer waits again.

        An existing server (not `confirms`) recognises no duplicates: it gets a message at most twice.
        """
        self._unsend(server_id, sink, now, at_most=None if confirms else 2)
        if not self._mailbox.is_empty(server_id):
            self._miss(server_id, now)

    def writable(self, destination: Destination, now: float) -> None:
        """A link to a destination has room again."""
        if isinstance(destination, User):
            self._catch_up(destination)
        self._pump(destination, now)

    # Acknowledgements ----------------------------------------------------------------------------------

    def ack_from_client(self, user: User, ack: pb.ChatMessageResponse, now: float) -> None:
        """A recipient's client acknowledged; it names nobody: we fill in who it was.

        Whatever it answers, it has the message: a status that is not final is a client's only by mistake.
        """
        outbound = self._outbound.get(user)
        item = outbound.find(ack.messageSnowflake) if outbound is not None else None
        if outbound is None or item is None or not ack.statuses:
            return
        self._remove(outbound, item)
        status = ack.statuses[0].status
        self._statuses.tell(item, status if status in FINAL else Status.UNKNOWN_STATUS)
        self._pump(user, now)

    def ack_from_server(self, server_id: str, ack: pb.ChatMessageResponse, now: float) -> None:
        """Another server answered for its users.

        Raises:
            UnexpectedMessage: it answers for others.

        """
        for status in ack.statuses:
            user = User.of(status.user) if status.HasField("user") else None
            if user is not None and user.server_id != server_id:
                raise UnexpectedMessage(f"{server_id} answers for {user}", "foreign_user")
            is_known = status.status in FINAL or status.status in INTERIM
            self._answered(server_id, ack, user, status.status if is_known else Status.UNKNOWN_STATUS)
        self._pump(server_id, now)

    def _answered(self, server_id: str, ack: pb.ChatMessageResponse, user: User | None, status: int) -> None:
        outbound = self._outbound.get(server_id)
        author = User.of(ack.author) if ack.HasField("author") else None
        item = outbound.find(ack.messageSnowflake, user, author) if outbound is not None else None
        if outbound is not None and item is not None:
            if status in INTERIM and author is None:
                item.answered = True  # it names no author: we have to remember who it was
            else:
                self._remove(outbound, item)
            self._statuses.tell(item, status)
            if item.deadline == 0.0 and status in INTERIM:
                self._mailbox.over(item, status)  # the other server has it now
        elif user is not None and author is not None and author.server_id == self._server_id:
            late = Item(author, ack.messageSnowflake, user, b"")
            self._statuses.tell(late, status)

    # What the mailbox tells ------------------------------------------------------------------------------

    def kept(self, items: Iterable[Item]) -> None:
        """These are safe now: their authors may be told."""
        for item in items:
            item.is_safe = True
            if item.pending is not None and not item.is_over:
                self._statuses.tell_once(item, item.pending)

    def not_kept(self, items: Iterable[Item]) -> None:
        """These could not be written: what is on its way goes on, the rest was not taken."""
        for item in items:
            item.is_saved = False
            if not item.deadline and not item.is_over:
                self._mailbox.remove(self._destination(item), item)
                # One that was on a link before may have arrived.
                self._statuses.tell(item, Status.UNKNOWN_STATUS if item.attempts else Status.OTHER_ERROR)

    def loaded(self, destination: Destination, now: float) -> None:
        """More of what waits for a destination can go out."""
        if isinstance(destination, str) and not self._roster.knows_server(destination):
            self._still_missing(destination)
        self._pump(destination, now)

    def recall(
        self,
        settled: Iterable[tuple[User, int, User, int]],
        waiting: Iterable[Key],
        owed: Iterable[tuple[Destination, bytes]],
    ) -> None:
        """What this server's last process knew: final statuses, what waits, and statuses that could not be told."""
        for author, snowflake, recipient, status in settled:
            self._memory.note((author, snowflake, recipient), status)
        for key in waiting:
            local = key[2].server_id == self._server_id
            self._memory.note(key, Status.USER_AWAY if local else Status.OTHER_SERVER_TIMEOUT)
        for destination, raw in owed:
            self._statuses.owe(destination, raw)

    def _destination(self, item: Item) -> Destination:
        local = item.recipient.server_id == self._server_id
        return item.recipient if local else item.recipient.server_id

    # Time ----------------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` must be called, or None."""
        due = [queue[0][0] for queue in (self._unanswered, self._unsaved) if queue]
        return min([*due, *self._missing.values()], default=None)

    def handle_timeout(self, now: float) -> None:
        """Write what was not answered soon; answer for what has been unanswered for too long."""
        while self._unsaved and self._unsaved[0][0] <= now:
            _due, destination, item = self._unsaved.popleft()
            if item.deadline:
                self._mailbox.save(destination, item)
        while self._unanswered and self._unanswered[0][0] <= now:
            deadline, destination, item = self._unanswered.popleft()
            outbound = self._outbound.get(destination)
            if item.deadline == deadline and outbound is not None and outbound.holds(item):
                self._overdue(destination, outbound, item)
                self._pump(destination, now)
        for server_id in [s for s, due in self._missing.items() if due <= now]:
            del self._missing[server_id]
            self._still_missing(server_id)

    def _overdue(self, destination: Destination, outbound: Outbound, item: Item) -> None:
        if isinstance(destination, User):
            self._statuses.tell_when_safe(item, Status.USER_AWAY)
        elif self._confirms(destination):
            self._statuses.tell_when_safe(item, Status.OTHER_SERVER_TIMEOUT)
        elif not item.answered:
            self._remove(outbound, item)
            self._statuses.tell(item, Status.UNKNOWN_STATUS)

    def _still_missing(self, server_id: str) -> None:
        if self._roster.knows_server(server_id):
            for item in self._mailbox.waiting(server_id):
                self._statuses.tell_when_safe(item, Status.OTHER_SERVER_TIMEOUT)
        else:
            for item in self._mailbox.clear(server_id):
                self._statuses.tell(item, Status.OTHER_SERVER_NOT_FOUND)


def _recipient(message: pb.ChatMessage) -> User | None:
    """Who is to get it: a user, a member of a group, or a group (as a user of its server); None: nobody."""
    which = message.WhichOneof("recipient")
    if which == "user":
        recipient = User.of(message.user)
    elif which == "userOfGroup":
        recipient = User.of(message.userOfGroup.user)
    elif which == "group":
        recipient = User(message.group.groupId, message.group.serverId)
    else:
        return None
    return recipient if recipient.is_complete else None
