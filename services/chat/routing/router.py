"""Where a message goes, and what its author is told. Pure: links are links, time is an argument (seconds).

A server answers for a message only when it is safe: delivered (the recipient's client acknowledged it),
or kept. DELIVERED, USER_NOT_FOUND, OTHER_SERVER_NOT_FOUND, USER_BLOCKED, OTHER_ERROR and UNKNOWN_STATUS
("handed over, unconfirmed") are final; USER_AWAY and OTHER_SERVER_TIMEOUT are followed by a final one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from parley.services.chat.deduplication.unverified_copies import UnverifiedCopies
from parley.services.chat.delivery.author_windows import AuthorWindows
from parley.services.chat.delivery.dispatcher import Dispatcher
from parley.services.chat.delivery.fast_path import FastPath
from parley.services.chat.gateways import answers
from parley.services.chat.gateways.remote_users import RemoteUsers
from parley.services.chat.groups.blocks import Blocks
from parley.services.chat.groups.fanout import Fanouts
from parley.services.chat.groups.groups import Groups, body_of, copies
from parley.services.chat.hooks import Hooks, Timing
from parley.services.chat.message.acknowledgements import Acknowledgements
from parley.services.chat.message.life import TAKEN, WAITING, Effect, Envelope
from parley.services.chat.message.mailbox_edits import MailboxEdits
from parley.services.chat.message.model import Destination, Key
from parley.services.chat.message.owed_statuses import OwedStatuses
from parley.services.chat.message.statuses import FINAL, Status, Statuses
from parley.services.chat.roster import ChatLink, LocalRoster
from parley.services.chat.routing.awaited_servers import AwaitedServers
from parley.services.chat.routing.fair_order import AT_A_TIME
from parley.services.chat.shared_copies.frames import LARGEST, is_shared, portions
from parley.services.chat.shared_copies.in_flight import SharedCopy
from parley.services.chat.shared_copies.incoming import read_shared
from parley.services.chat.storage.mailbox import Mailbox
from parley.shared.addresses import Group, Recipient, User
from parley.shared.compiled import core
from parley.shared.errors import UnexpectedMessage
from parley.shared.runtime.steps import Task, run
from parley.shared.spellings import Spellings
from parley.shared.trust.authors import edit_in, signed_content
from parley.shared.wire.framing import Frame
from parley.shared.wire.message_keys import MessageKeys
from parley.shared.wire.messages import encode, pb
from parley.shared.wire.plain_messages import PlainMessages

LOOKUP_TIME: Final = 1.0
"""Seconds for which an unlinked or unknown server is looked for before the author is answered."""


KEYS: Final = 8
"""Members whose keys are looked up in one step."""


class Router:
    """Routes the messages of one server's users. `look_for` has the network asked for a server.

    After each batch of calls `flush` must be called: it tells what was gathered.
    """

    def __init__(
        self,
        server_id: str,
        roster: LocalRoster,
        mailbox: Mailbox,
        owed: OwedStatuses,
        groups: Groups,
        blocks: Blocks,
        keys: MessageKeys,
        timing: Timing,
        hooks: Hooks,
        number_of: Callable[[Key], int],
        *,
        fast_path: bool = core is not None,
        fan_out: Fanouts | None = None,
        in_turns: Callable[[Task], None] = lambda task: run(task, 0.0),
        spellings: Spellings | None = None,
    ) -> None:
        """`number_of`: the number of a message to a group of this server (groups/group_numbers.py).

        `fan_out` has tasks of authors' done in their turns, or refuses them; None: they are done at once.
        `in_turns` has our own tasks done a step at a time.
        """
        self._fan_out = fan_out
        self._in_turns = in_turns
        self._to_tell_away: set[User] = set()
        """Users who left, of whom nobody was told yet."""
        self._server_id = server_id
        self._roster = roster
        self._mailbox = mailbox
        self._owed = owed
        self._groups = groups
        self._number_of = number_of
        self._blocks = blocks
        self._keys = keys
        self._spellings = spellings or Spellings()
        self._exact = self._spellings.exact
        self._plain = PlainMessages(keys)
        self._unverified = UnverifiedCopies()
        self._doubted = hooks.doubted
        self._look_for = hooks.look_for
        self._ack_timeout = timing.ack_timeout
        self.batch_came = 0.0
        """When what is handled now came in (seconds, monotonic): what its messages say of their arrival."""
        self._limited = hooks.limited
        self._dispatcher = Dispatcher(
            roster,
            mailbox,
            ack_timeout=timing.ack_timeout,
            persist_delay=timing.persist_delay,
            stuck_ttl=timing.stuck_ttl,
            overdue=self._overdue,
            stuck=self._stuck,
            author_windows=AuthorWindows(hooks.hold, hooks.release, lambda: hooks.limited("messages", "link")),
            has_lists=hooks.collect is not None,
        )
        self._awaited = AwaitedServers()
        self._missing: dict[str, float] = {}
        """Servers with waiting messages and no link → when their authors are answered."""
        self._unconfirmed = mailbox.state.unconfirmed_statuses
        self._statuses = Statuses(server_id, roster, mailbox, owed, hooks)
        self._recent = self._statuses.recent
        self._mailbox_edits = MailboxEdits(
            mailbox, self._statuses, hooks.keys_of, lambda: hooks.limited("edits", "mailbox"), hooks.edit_refused
        )
        self._acknowledgements = Acknowledgements(
            server_id, roster, mailbox, self._dispatcher, self._statuses, self._spellings, hooks
        )
        self.remote_users: Final = RemoteUsers(
            server_id,
            roster,
            mailbox,
            self._dispatcher,
            self._statuses,
            hooks,
            ack_timeout=timing.ack_timeout,
        )
        self.fast_path: FastPath | None = None
        if fast_path:
            self.fast_path = FastPath(
                server_id, roster, mailbox, self._dispatcher, self._statuses, blocks, keys, self._plain, hooks
            )
            self._dispatcher.fast_path = self.fast_path

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way and nobody is looked for."""
        return self._dispatcher.is_idle and not self._missing

    @property
    def sizes(self) -> dict[str, int]:
        """How many servers are looked for, and of how many members of groups a status is expected."""
        return {"looked_for": len(self._missing), "expected": len(self._statuses.expected)}

    def route_fast(
        self, source: Destination, frames: list[Frame], at: int, now: float, link: ChatLink | None = None
    ) -> int:
        """Handle frames of a link from `at` on the fast path; the index of the first that it does not take."""
        if self.fast_path is None:
            return at
        after = self.fast_path.route(source, frames, at, now, link)
        if after == at and frames[at].name == "MESSAGE" and self.fast_path.introduce(source, frames[at]):
            after = self.fast_path.route(source, frames, at, now, link)
        return after

    # Messages -------------------------------------------------------------------------------

    def plain_from_client(self, user: User, frame: Frame, now: float) -> bool:
        """Route a plain message of one of our users; False: `message_from_client` has to."""
        plain = self._plain.read(user, frame)
        if plain is None:
            return False
        author, recipient, snowflake, key = plain
        if author != user or recipient[1] not in self._exact:
            return False
        self._accept_one(Envelope(author, snowflake, recipient, frame.raw, key, self.batch_came), now)
        if self._unverified.held:
            self._accept_held(author, now)
        return True

    def message_from_client(self, user: User, message: pb.ChatMessage, raw: bytes, now: float) -> None:
        """Route what one of our users sent; raises UnexpectedMessage after answering what may not be."""
        author, (recipient, group) = User.of(message.author), _addressed(message)
        is_spelt = author == user and (recipient is None or recipient[1] in self._exact)
        if not is_spelt and self._spellings.correct(message):
            author, (recipient, group) = User.of(message.author), _addressed(message)
            raw = encode("MESSAGE", message)
        if author != user:
            self._statuses.refuse(user, message.messageSnowflake, recipient, Status.OTHER_ERROR)
            raise UnexpectedMessage(f"{user} speaks for {author}", "foreign_user")
        if recipient is None:
            self._statuses.refuse(user, message.messageSnowflake, None, Status.OTHER_ERROR)
            raise UnexpectedMessage("a message without a recipient", "no_recipient")
        if group is not None:
            self._statuses.refuse(user, message.messageSnowflake, recipient, Status.OTHER_ERROR)
            raise UnexpectedMessage(f"{user} speaks for a group", "foreign_user")
        # `user` is the link's: all that it sends shares that name, and its hash.
        key = self._keys.of(user, recipient, None, message)
        envelope = Envelope(user, message.messageSnowflake, recipient, raw, key, self.batch_came)
        self._accept(envelope, message, now)

    def message_from_server(
        self, server_id: str, message: pb.ChatMessage, raw: bytes, now: float, *, is_retried: bool
    ) -> None:
        """Route what another server's user sent to one of ours.

        Raises:
            UnexpectedMessage: it speaks for others than its own users and groups, or to others than ours.

        """
        if message.HasField("members") and is_shared(message):
            self._shared_from_server(server_id, message, raw, now, is_retried=is_retried)
            return
        author, (recipient, group) = User.of(message.author), _addressed(message)
        if not self._is_spelt(author, recipient, group) and self._spellings.correct(message):
            author, (recipient, group) = User.of(message.author), _addressed(message)
            raw = encode("MESSAGE", message)
        speaks_for = author.server_id if group is None else group.server_id
        if not author.is_complete or speaks_for != server_id:
            raise UnexpectedMessage(f"{server_id} speaks for {group or author}", "foreign_user")
        if recipient is None:
            raise UnexpectedMessage(f"{server_id} sends a message without a recipient", "no_recipient")
        if recipient.server_id != self._server_id:
            raise UnexpectedMessage(f"{server_id} sends us what is for {recipient}", "foreign_user")
        key = self._keys.of(author, recipient, group, message)
        envelope = Envelope(
            author,
            message.messageSnowflake,
            recipient,
            raw,
            key=key,
            origin=server_id,
            group=group,
            arrived=self.batch_came,
            is_retried_by_origin=is_retried,
        )
        if group is not None and not self._is_original_known(author, group, message, [envelope]):
            return
        if group is not None and self._fan_out is not None and self._fan_out.is_busy(author, server_id):
            self._do_in_turn(self._copy_to_each([envelope], message), envelope, [envelope], now)
        else:
            self._accept(envelope, message, now)

    def _shared_from_server(
        self, server_id: str, message: pb.ChatMessage, raw: bytes, now: float, *, is_retried: bool
    ) -> None:
        """Route what a group's server sent for several members here: each has a copy."""
        if not is_retried:
            raise UnexpectedMessage(f"{server_id} is no Parley, and writes to many at once", "unexpected")
        self._spellings.correct(message)
        came = read_shared(message, raw, server_id, self._server_id, self.batch_came, is_retried=is_retried)
        original, made = came.original, came.copies(self._keys)
        if not self._is_original_known(original.author, came.group, message, made):
            return
        count = len(came.members)
        self._statuses.comes_for_many(server_id, original.author, original.snowflake, came.group, count)
        self._do_in_turn(self._copy_to_each(made, message), original, made, now)

    def _is_original_known(
        self, author: User, group: Group, message: pb.ChatMessage, made: Iterable[Envelope]
    ) -> bool:
        """Whether a group's copies are of what their author wrote; of one of ours that is not known, they wait."""
        if author.server_id != self._server_id:
            return True
        # One that was changed while it waited says no more what we gave; its author gave us the edit, too.
        known_by = edit_in(message) if message.HasField("revised") else message
        original = self._keys.of(author, group, None, known_by)
        if self._recent.knows(original):
            return True
        for copy in made:
            self._unverified.hold(copy, original)
        self._doubted()
        return False

    def _do_in_turn(self, task: Task, of: Envelope, copies: Iterable[Envelope], now: float) -> None:
        """Have these copies of another server's group taken in their author's turn; refuse each without room."""
        if self._fan_out is None:
            run(task, now)
        elif not self._fan_out.add(of.author, of.origin, task, of.size):
            self._limited("messages", "router")
            for copy in copies:
                self._refuse(copy)

    def _copy_to_each(self, made: Iterable[Envelope], message: pb.ChatMessage) -> Task:
        now = yield
        for copy in made:
            self._accept(copy, message, now)
            now = yield

    def _is_spelt(self, *names: Recipient | None) -> bool:
        """Whether these are at servers that are spelt as they spell themselves."""
        return all(name is None or name[1] in self._exact for name in names)

    def _accept(self, envelope: Envelope, message: pb.ChatMessage, now: float) -> None:
        if isinstance(envelope.recipient, Group) and envelope.recipient.server_id == self._server_id:
            self._to_group(envelope, envelope.recipient, message, now)
        else:
            self._accept_one(envelope, now)
            if envelope.state is WAITING and message.HasField("edit"):
                self._mailbox_edits.came(self._destination(envelope), envelope, message)
        if self._unverified.held:
            self._accept_held(envelope.author, now)

    def _accept_held(self, author: User, now: float) -> None:
        """Take the copies of an author's that are known by now."""
        for copy in self._unverified.known(author, self._recent.knows):
            self._accept_one(copy, now)

    def _accept_one(self, envelope: Envelope, now: float) -> None:
        """Take a message once; one that comes again is answered with its present status."""
        if self._recent.knows(envelope.key):
            if not self._is_asked_again(envelope):
                self._statuses.repeat(envelope)
                return
            envelope.repeated()
        self._recent.note(envelope.key, None)
        recipient = envelope.recipient
        server_id = recipient.server_id
        if server_id == self._server_id and isinstance(recipient, User):
            self._to_user(envelope, recipient, now)
        else:
            self._to_server(envelope, server_id, now)

    def _is_asked_again(self, envelope: Envelope) -> bool:
        """Whether another server has this message: what has become of it is asked by sending it again."""
        server_id = envelope.recipient.server_id
        if server_id == self._server_id or self._roster.is_reached_by_gateway(server_id):
            return False
        if self._mailbox_edits.has_changed(envelope.key):
            return False
        return isinstance(envelope.recipient, Group) or self._recent.status(envelope.key) == Status.USER_AWAY

    def _to_user(self, envelope: Envelope, user: User, now: float) -> None:
        if not self._roster.knows(user):
            self._statuses.report(envelope, Status.USER_NOT_FOUND)
        elif self._blocks.blocks(user, envelope.author):
            self._statuses.report(envelope, Status.USER_BLOCKED)
        elif not self._dispatcher.dispatch(user, envelope, now):
            self._refuse(envelope)
        else:
            self._roster.use(user, envelope.author)
            if envelope.state is WAITING and not self._dispatcher.is_held(user, envelope):
                # away, or too slow a reader: kept in any case
                self._statuses.report_when_safe(envelope, Status.USER_AWAY)

    def _to_server(self, envelope: Envelope, server_id: str, now: float) -> None:
        if self._roster.server(server_id) is None:
            self._to_absent_server(envelope, server_id, now)
        elif not self._dispatcher.dispatch(server_id, envelope, now):
            self._refuse(envelope)
        elif envelope.author in self._roster.users.unused:
            self._roster.use(envelope.author)

    def _to_absent_server(self, envelope: Envelope, server_id: str, now: float) -> None:
        """Its users may be reached by a gateway; else it is looked for."""
        if self._roster.is_reached_by_gateway(server_id):
            if not self.remote_users.accept(envelope, envelope.recipient, now):
                self._refuse(envelope)
        elif self._is_unknown(server_id):
            if self._awaited.hold(server_id, envelope):
                self._miss(server_id, now)
            else:
                self._limited("names", "router")
                self._refuse(envelope)
        elif not self._dispatcher.dispatch(server_id, envelope, now):
            self._refuse(envelope)
        else:
            self._roster.use(server_id, envelope.author)
            self._miss(server_id, now)
            if self._mailbox.has_messages_on_disk(server_id):
                # Nobody comes back to what is only on disk before it goes out.
                self._statuses.report_when_safe(envelope, Status.OTHER_SERVER_TIMEOUT)

    def _is_unknown(self, server_id: str) -> bool:
        """Whether nothing is known of a server without a link, or what waits for it was sent when nothing was."""
        is_new = not self._roster.knows_server(server_id) and self._mailbox.is_empty(server_id)
        return is_new or self._awaited.holds(server_id)

    def _refuse(self, envelope: Envelope, status: int = Status.OTHER_ERROR) -> None:
        """There is no room for it here. If it was only asked after, what its author was told still holds."""
        if envelope.is_repeat:
            self._recent.note(envelope.key, Status.USER_AWAY)
        else:
            self._statuses.report(envelope, status)

    def _miss(self, server_id: str, now: float) -> None:
        """Look for a server before its messages' authors are answered."""
        if server_id not in self._missing:
            self._missing[server_id] = now + LOOKUP_TIME
            self._look_for(server_id)

    def _to_group(self, envelope: Envelope, group: Group, message: pb.ChatMessage, now: float) -> None:
        """Send each member but the author a copy: those who are members now, each in their turn."""
        members, former = self._groups.members_now(group.group_id), self._groups.former(group.group_id)
        is_member, was_member = envelope.author in self._groups.members(group.group_id), envelope.author in former
        task = self._copy_to(envelope, group, message, (members, tuple(former)), (is_member, was_member))
        if self._fan_out is None:
            run(task, now)
        elif not self._fan_out.add(envelope.author, envelope.origin, task, envelope.size):
            self._refuse(envelope)

    def _copy_to(
        self,
        envelope: Envelope,
        group: Group,
        message: pb.ChatMessage,
        people: tuple[tuple[User, ...], tuple[User, ...]],
        author_is: tuple[bool, bool],
    ) -> Task:
        """A step for each of the `people`: the members, and who was one; `author_is` tells the author's place.

        Of a message that comes again, those too get a copy who have left since. One that we know gets nobody new;
        one that we do not, after a restart, may not have gone to all.
        """
        yield
        (members, former), (is_member, was_member) = people, author_is
        everybody, knows = (*members, *former), self._recent.knows
        sent: list[User] = []
        keys: dict[User, Key] = {}
        made = self._keys.each(envelope.author, everybody, group, message)
        for at in range(0, len(everybody), KEYS):
            some = dict(zip(everybody[at : at + KEYS], made, strict=False))
            sent += [each for each, key in some.items() if knows(key)]
            keys.update(some)
            yield
        others = sent
        if not sent or not knows(envelope.key):
            may_send = is_member or (sent and was_member)  # it was a member when the message was taken
            others = [each for each in members if each != envelope.author] if may_send else []
            if sent:
                others = list(dict.fromkeys([*others, *sent]))
        if not others and not is_member:
            self._statuses.report(envelope, Status.USER_BLOCKED if members else Status.USER_NOT_FOUND)
            return
        self._recent.note(envelope.key, None)
        is_off = self._groups.is_history_off(group.group_id) and not message.edit.deletes  # what was kept goes
        message.historyOff = is_off  # whatever its author wrote there
        message.groupNumber = self._number_of(self._first_key(envelope, group, message))
        if is_off:
            self._statuses.leave_out(envelope.author, envelope.snowflake, group)
        else:
            self._statuses.numbered(envelope.author, envelope.snowflake, group, message.groupNumber)
        if not others:
            self._statuses.report(envelope, Status.DELIVERED)
            return
        self._groups.spoke(group.group_id)
        self._statuses.expect(envelope.author, envelope.snowflake, group, others)
        yield from self._send_copies(envelope, group, message, others, keys, sent)

    def _send_copies(
        self,
        envelope: Envelope,
        group: Group,
        message: pb.ChatMessage,
        others: Sequence[User],
        keys: dict[User, Key],
        sent: Sequence[User],
    ) -> Task:
        """Send each of the others a copy, or several at one server one for them all; `keys`: the copies'."""
        now = yield
        apart, together = self._divide(others, sent)
        body = body_of(message, history_off=message.historyOff)
        for server_id, some in together:
            shared = SharedCopy(envelope, group, server_id, body, {each: keys[each] for each in some})
            if body.size <= LARGEST and self._send_shared(shared, now):
                now = yield
            else:
                apart += some
        made = copies(
            message, group, apart, [keys[each] for each in apart], envelope, history_off=message.historyOff
        )
        yield from self._copy_to_each(made, message)

    def _divide(
        self, others: Iterable[User], sent: Iterable[User]
    ) -> tuple[list[User], list[tuple[str, Sequence[User]]]]:
        """The members who get a copy each, and those at one server who may share one; of `sent` it is no news."""
        apart: list[User] = []
        by_server: dict[str, list[User]] = {}
        known = set(sent)
        takes: dict[str, list[User]] = {}
        for member in others:
            server_id = member[1]
            if (members := takes.get(server_id)) is None:
                is_elsewhere = server_id != self._server_id and self._dispatcher.takes_shared(server_id)
                members = takes[server_id] = by_server.setdefault(server_id, []) if is_elsewhere else apart
            (apart if known and member in known else members).append(member)
        return apart, [(name, some) for name, members in by_server.items() for some in portions(members)]

    def _send_shared(self, shared: SharedCopy, now: float) -> bool:
        """Send one MESSAGE for several members, where it can be sent at once."""
        keys = list(shared.missing.values())
        if not self._dispatcher.dispatch_shared(shared, now):
            return False
        note = self._recent.note
        for key in keys:
            note(key, None)
        if shared.author in self._roster.users.unused:
            self._roster.use(shared.author)
        return True

    def _first_key(self, envelope: Envelope, group: Group, message: pb.ChatMessage) -> Key:
        """By which a message to a group is one, also where it comes with the text of an edit."""
        first = pb.ChatMessage(messageSnowflake=envelope.snowflake, edit=pb.Edit(content=signed_content(message)))
        return self._keys.of(envelope.author, group, None, first)

    # Who comes and goes ------------------------------------------------------------------------------

    def client_connected(self, user: User, now: float) -> None:
        """A user's client is in the roster: what waits for them goes out."""
        self._owed.connected(user)
        self._dispatcher.set_window(user)
        self._dispatcher.catch_up(user)
        self._dispatcher.connected(user, now)

    def heard_from(self, link: ChatLink) -> None:
        """Something came over a client's link."""
        self._unconfirmed.pop(link, None)

    def client_disconnected(self, user: User, link: ChatLink, now: float, *, cleanly: bool = False) -> None:
        """A client is out of the roster: what it did not acknowledge waits again. `cleanly`: it or we said so."""
        self._statuses.link_lost(user, link, cleanly=cleanly)
        self._dispatcher.set_window(user)
        self._unsend(user, link, now, cleanly=cleanly)
        if not self._roster.clients(user):
            if self.fast_path is not None:
                self.fast_path.leave(user)
            self._dispatcher.leave(user)
            if user not in self._to_tell_away:
                self._to_tell_away.add(user)
                self._in_turns(self._tell_away(user))

    def _tell_away(self, user: User) -> Task:
        """Tell the authors of what waits for a user who left, a few in each step: there may be thousands."""
        yield
        self._to_tell_away.discard(user)
        envelopes = list(self._mailbox.messages_in_memory(user))
        for start in range(0, len(envelopes), AT_A_TIME):
            if self._roster.clients(user):
                return  # back again: what waits goes out
            for envelope in envelopes[start : start + AT_A_TIME]:
                if not (envelope.is_over or envelope.is_in_flight):
                    self._statuses.report_when_safe(envelope, Status.USER_AWAY)
            yield

    def server_connected(self, server_id: str, now: float) -> None:
        """A server is in the roster."""
        self._missing.pop(server_id, None)
        self._owed.connected(server_id)
        self._dispatcher.connected(server_id, now)
        for envelope in self._awaited.pop(server_id):
            self._to_server(envelope, server_id, now)

    def server_disconnected(
        self, server_id: str, link: ChatLink, now: float, *, confirms: bool, cleanly: bool = False
    ) -> None:
        """A server is out of the roster: what it did not answer waits again. `cleanly`: it or we said so.

        An existing server (not `confirms`) recognises no duplicates: it gets a message at most twice.
        """
        self._unsend(server_id, link, now, at_most=None if confirms else 2, cleanly=cleanly)
        if not self._mailbox.is_empty(server_id):
            self._miss(server_id, now)

    def writable(self, destination: Destination, now: float) -> None:
        """A link to a destination has room again."""
        if isinstance(destination, User):
            self._dispatcher.catch_up(destination)
        self._owed.send(destination)
        self._dispatcher.pump(destination, now)

    def _unsend(
        self, destination: Destination, link: ChatLink, now: float, *, at_most: int | None = None, cleanly: bool
    ) -> None:
        """A link is gone: what was on it alone waits again, before what is new.

        `at_most`: how often a message is written in all before it is given up. One that the other server took
        without saying whose it was can no longer be answered: it is unconfirmed, too.
        """
        again = []
        for envelope in self._dispatcher.lost(destination, link):
            if at_most is not None and link.take_back(envelope.raw):
                envelope.never_left()
            if envelope.state is TAKEN or (at_most is not None and envelope.attempts >= at_most):
                self._dispatcher.given_up(destination, envelope)
                self._statuses.report(envelope, Status.UNKNOWN_STATUS)
            else:
                again.append(envelope)
        self._dispatcher.put_back(destination, link, again, now, cleanly=cleanly)
        if not isinstance(destination, User):
            self._acknowledgements.lost(again)
        self._dispatcher.pump(destination, now)

    # Answers -------------------------------------------------------------------------------------------------

    def ack_from_client(
        self,
        user: User,
        ack: pb.ChatMessageResponse,
        now: float,
        frame: Frame | None = None,
        *,
        link: ChatLink | None = None,
    ) -> None:
        """A recipient's client acknowledged over its link; `frame` is what it sent."""
        delivered = self._acknowledgements.from_client(user, ack, now, link)
        if delivered is not None and self.fast_path is not None and frame is not None:
            self.fast_path.learn_answer(delivered, frame.payload)
        self._dispatcher.pump(user, now)

    def ack_from_server(
        self, server_id: str, ack: pb.ChatMessageResponse, now: float, frame: Frame | None = None
    ) -> None:
        """Another server answered for its users, or for the members of one of its groups.

        Raises:
            UnexpectedMessage: it answers for others.

        """
        payload = b"" if frame is None else frame.payload
        delivered = self._acknowledgements.from_server(server_id, ack, now, payload)
        if delivered is None:
            if self._roster.is_reached_by_gateway(server_id):
                self._of_remote_user(answers.of_server(server_id, ack, self._spellings), now)
        elif self.fast_path is not None and frame is not None:
            self.fast_path.learn_answer(delivered, frame.payload)
        self._dispatcher.pump(server_id, now)

    def ack_from_gateway(self, server_id: str, ack: pb.ChatMessageResponse, now: float) -> None:
        """An acknowledgement of a client of another server came over our gateway there."""
        self._of_remote_user(answers.of_client(server_id, ack, self._spellings), now)

    def _of_remote_user(self, answer: answers.Answer | None, now: float) -> None:
        if answer is not None:
            self.remote_users.answered(answer, now)

    def refused(self, server_id: str, envelope: Envelope, now: float) -> None:
        """Another server does not know the recipient of a message: that is certain by now."""
        self._acknowledgements.refused(server_id, envelope, now)
        self._dispatcher.pump(server_id, now)

    def not_taken(self, destination: Destination, link: ChatLink, message: pb.ChatMessage, now: float) -> None:
        """A message was not written to a link whose program could never take it.

        An edit may be in effect there all the same, as the message that it changes had waited.
        """
        recipient, _group = _addressed(message)
        user = recipient if isinstance(recipient, User) else None
        envelope = self._dispatcher.find(destination, message.messageSnowflake, user, User.of(message.author))
        if envelope is not None and all(other is link for other in envelope.sent_to):
            self._dispatcher.answered(destination, envelope)
            is_in_effect = message.HasField("edit") and message.inEffect
            self._statuses.report(envelope, Status.DELIVERED if is_in_effect else Status.OTHER_ERROR)
            self._dispatcher.pump(destination, now)

    def piece_received(self, source: Destination, answer: pb.PieceReceived, now: float) -> None:
        """Another server says how much there is of what goes there in pieces.

        Raises:
            UnexpectedMessage: more than was sent.

        """
        self._dispatcher.piece_received(source, answer, now)

    def statuses_received(self, server_id: str, receipt: int) -> None:
        """Another server has all statuses safe that we owed it, up to this receipt.

        Raises:
            UnexpectedMessage: there is no such receipt.

        """
        if receipt >= 1 << 63:
            raise UnexpectedMessage(f"{server_id} has received what was never sent", "out_of_range")
        self._owed.received(server_id, receipt)

    def flush(self) -> None:
        """Tell what was gathered, and say what came, once that is safe."""
        self._statuses.flush()
        self._acknowledgements.confirm()
        self._dispatcher.drop_deadlines()

    # What the mailbox tells ------------------------------------------------------------------------------

    def persisted(self, envelopes: Iterable[Envelope]) -> None:
        """These are safe now: their authors may be told."""
        for envelope in envelopes:
            if envelope.persisted() is Effect.TELL and envelope.promised is not None:
                self._statuses.report_once(envelope, envelope.promised, envelope.promised_proof)

    def handed_over(self, envelopes: Iterable[Envelope]) -> None:
        """That other servers have these is on disk, or could not be written: their authors are told either way."""
        for envelope in envelopes:
            if envelope.promised is not None:
                self._statuses.report_once(envelope, envelope.promised, envelope.promised_proof)

    def not_persisted(self, envelopes: Iterable[Envelope], now: float | None = None) -> None:
        """These could not be written: what is on its way goes on, the rest was not taken.

        Who waits for what is overdue, and can neither be confirmed nor kept, is told so.
        """
        for envelope in envelopes:
            effect, destination = envelope.not_persisted(), self._destination(envelope)
            if effect is Effect.PERSIST_AGAIN:
                self._dispatcher.not_saved(destination)
                if (
                    envelope.promised is not None
                    and now is not None
                    and now - envelope.arrived >= self._ack_timeout
                ):
                    self._statuses.report_unconfirmed(envelope)
            elif effect is Effect.REFUSE:
                self._mailbox.remove(destination, envelope, is_written=False)
                # One that was on a link before may have arrived.
                self._refuse(envelope, Status.UNKNOWN_STATUS if envelope.attempts else Status.OTHER_ERROR)

    def loaded(self, destination: Destination, now: float) -> None:
        """More of what waits for a destination can go out."""
        if isinstance(destination, str) and not self._roster.knows_server(destination):
            self._still_missing(destination, now)
        self._dispatcher.pump(destination, now)

    def expired(self, envelopes: Iterable[tuple[Destination, Envelope]]) -> int:
        """These have waited for too long; what is on its way just now is left to go on. How many are given up."""
        return sum(self.drop(destination, envelope) for destination, envelope in envelopes)

    def drop(self, destination: Destination, envelope: Envelope) -> bool:
        """Give up a message that waits, and tell its author so; False where it does not wait any more."""
        if self._recent.status(envelope.key) in FINAL or not self._mailbox.remove(destination, envelope):
            return False  # it was given up already, or is on its way
        self._statuses.report(envelope, Status.OTHER_ERROR)
        return True

    def gone(self, envelope: Envelope) -> None:
        """The disk does not have the bytes of a message that waited: it is given up, and its author told so."""
        if self._recent.status(envelope.key) not in FINAL:
            self._statuses.report(envelope, Status.OTHER_ERROR)

    def retry(self, destination: Destination, now: float) -> int:
        """Try at once what is tried at times: look for a server, write again what is unanswered; how many."""
        if isinstance(destination, str) and self._roster.server(destination) is None:
            self._look_for(destination)
            return 0
        if isinstance(destination, User):
            self.remote_users.heard(destination, now)
        written = self._dispatcher.send_again(destination)
        self._dispatcher.pump(destination, now)
        return written

    def _destination(self, envelope: Envelope) -> Destination:
        server_id = envelope.recipient.server_id
        is_a_user = server_id == self._server_id or self._roster.is_reached_by_gateway(server_id)
        return User(*envelope.recipient) if is_a_user else server_id

    def timer_is_set(self, is_set: bool) -> None:
        """Whether a timer is set for `next_timeout`."""
        if self.fast_path is not None:
            self.fast_path.timer_is_set(is_set)

    def close(self) -> None:
        """Nothing is routed any more."""
        self.remote_users.close()
        if self.fast_path is not None:
            self.fast_path.close()

    # Time ----------------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` must be called, or None."""
        first_missing = list(islice(self._missing.values(), 1))  # all are looked for as long: in order
        due = [*self._dispatcher.due(), *first_missing]
        if self._statuses.together.missing:
            due += self._statuses.together.due()
        return min(due, default=None)

    def handle_timeout(self, now: float) -> None:
        """Write what was not answered soon; answer for what has been unanswered for too long."""
        self._dispatcher.handle_timeout(now)
        while self._missing and next(iter(self._missing.values())) <= now:
            server_id = next(iter(self._missing))
            del self._missing[server_id]
            self._still_missing(server_id, now)

    def _overdue(self, destination: Destination, envelope: Envelope) -> None:
        if isinstance(destination, User):
            for each in (envelope, *self._dispatcher.held_by(destination, envelope)):
                self._statuses.report_when_safe(each, Status.USER_AWAY)
            return
        server = self._roster.server(destination)
        if server is None or server.confirms:
            self._statuses.report_when_safe(envelope, Status.OTHER_SERVER_TIMEOUT)
        elif envelope.state is not TAKEN:
            self._dispatcher.answered(destination, envelope)
            self._statuses.report(envelope, Status.UNKNOWN_STATUS)

    def _stuck(self, destination: Destination, envelope: Envelope, is_refused: bool) -> bool:
        """A message did not pass for too long, or is too large there: its author is told; False: not just now."""
        if envelope.is_over:
            return True
        if envelope.is_in_flight:
            self._dispatcher.answered(destination, envelope)
        elif not self._mailbox.remove(destination, envelope):
            return False
        may_have_arrived = envelope.was_whole and not is_refused
        self._statuses.report(envelope, Status.UNKNOWN_STATUS if may_have_arrived else Status.OTHER_ERROR)
        self._limited("bytes" if is_refused else "time", "lanes")
        return True

    def _still_missing(self, server_id: str, now: float) -> None:
        for envelope in self._awaited.pop(server_id):
            if not self._roster.knows_server(server_id):
                self._statuses.report(envelope, Status.OTHER_SERVER_NOT_FOUND)
            elif not self._dispatcher.dispatch(server_id, envelope, now):
                self._refuse(envelope)
            else:
                self._roster.use(server_id, envelope.author)
                self._statuses.report_when_safe(envelope, Status.OTHER_SERVER_TIMEOUT)
        if self._roster.knows_server(server_id):
            for envelope in self._mailbox.messages_in_memory(server_id):
                self._statuses.report_when_safe(envelope, Status.OTHER_SERVER_TIMEOUT)
        else:
            for envelope in self._mailbox.clear(server_id):
                self._statuses.report(envelope, Status.OTHER_SERVER_NOT_FOUND)


def _addressed(message: pb.ChatMessage) -> tuple[Recipient | None, Group | None]:
    """The recipient (a user, a member, a group; None: nobody), and the group that the message is a copy for."""
    which = message.WhichOneof("recipient")
    recipient: Recipient
    group = None
    if which == "user":
        recipient = User.of(message.user)
    elif which == "userOfGroup":
        recipient, group = User.of(message.userOfGroup.user), Group.of(message.userOfGroup.group)
    elif which == "group":
        recipient = Group.of(message.group)
    else:
        return None, None
    return recipient if recipient.is_complete else None, group
