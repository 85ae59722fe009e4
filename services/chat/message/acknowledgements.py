"""Acknowledgements of recipients' clients and other servers, and the outcome for their messages. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from parley.services.chat.delivery.dispatcher import Dispatcher
from parley.services.chat.hooks import Hooks
from parley.services.chat.message.life import Envelope, Input
from parley.services.chat.message.model import TO_GROUP, HandedOver, Name, kind_of, name_of
from parley.services.chat.message.statuses import FINAL, INTERIM, Status, Statuses
from parley.services.chat.roster import ChatLink, Roster
from parley.services.chat.shared_copies.in_flight import SharedCopy
from parley.services.chat.storage.mailbox import Mailbox
from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.spellings import Spellings
from parley.shared.trust.authors import proof_fields
from parley.shared.wire.messages import encode, pb
from parley.shared.wire.statuses import StatusesByUser, read_statuses, statuses_of, user_of

GIVEN: Final = 50_000
"""Messages that were on broken links and are remembered."""
MOST: Final = 20_000
"""Statuses in one answer: twice the members that a group has by default. An answer with more is refused whole."""
LONGEST: Final = 64 * 1024
"""Bytes of an answer for members of one shared copy that is passed on as it is; a longer one is read in parts."""
NO_STATUS: Final = -1
"""No status."""
_DELIVERED: Final = Status.DELIVERED
_OTHER_ERROR: Final = Status.OTHER_ERROR
_USER_NOT_FOUND: Final = Status.USER_NOT_FOUND


class Acknowledgements:
    """Takes MESSAGE_ACKs: ends what they answer, and has the author told."""

    def __init__(
        self,
        server_id: str,
        roster: Roster,
        mailbox: Mailbox,
        dispatcher: Dispatcher,
        statuses: Statuses,
        spellings: Spellings,
        hooks: Hooks,
    ) -> None:
        self._server_id = server_id
        self._roster = roster
        self._mailbox = mailbox
        self._dispatcher = dispatcher
        self._statuses = statuses
        self._spellings = spellings
        self._doubted = hooks.doubted
        self._refusal_waits = hooks.refusal_waits
        self._taken_for_forged = hooks.taken_for_forged
        self._receipts: dict[ChatLink, int] = {}
        """Links over which statuses came in this batch that want a receipt → the last one's number."""
        self._given: OrderedDict[Name, HandedOver] = OrderedDict()
        """Messages on links to servers that broke: an answer may come before they are written to the next link."""

    def lost(self, envelopes: Iterable[Envelope]) -> None:
        """A link to a server broke, and these were on it."""
        for envelope in envelopes:
            self._given[name_of(envelope)] = HandedOver(envelope.key, NO_STATUS)
            if len(self._given) > GIVEN:
                self._given.popitem(last=False)

    def from_client(
        self, user: User, ack: pb.ChatMessageResponse, now: float, link: ChatLink | None = None
    ) -> Envelope | None:
        """A recipient's client acknowledged; an existing one names nobody: we fill in who it was.

        Whatever it answers, it has the message: a status that is not final is a client's only by mistake.
        Returns what was delivered, if something was and the answer is as it came.

        Raises:
            UnexpectedMessage: that client's link (`link`) was never given the message.

        """
        author = _author(ack)
        is_spelt = author is None or author[1] in self._spellings.exact
        if not is_spelt:
            del ack.statuses[1:]  # the first alone is looked at
        was_misspelt = not is_spelt and self._spellings.correct(ack)
        if was_misspelt:
            author = _author(ack)
        envelope = self._dispatcher.find(user, ack.messageSnowflake, author=author)
        if envelope is None or not ack.statuses:
            return None
        if link is not None and link not in envelope.sent_to:
            raise UnexpectedMessage(f"a client of {user} answers a message that it was never given", "never_given")
        self._dispatcher.answered(user, envelope, now)
        status = ack.statuses[0].status
        if status == _OTHER_ERROR and envelope.origin and envelope.group is None:
            self._taken_for_forged(envelope)
        proof = proof_fields(ack)[0] if ack.proofs else b""
        self._statuses.report(envelope, status if status in FINAL else Status.UNKNOWN_STATUS, proof)
        return envelope if status == _DELIVERED and not was_misspelt else None

    def from_server(
        self, server_id: str, ack: pb.ChatMessageResponse, now: float, payload: bytes = b""
    ) -> Envelope | None:
        """Another server answered for its users, or for the members of one of its groups; `payload`: its bytes.

        Returns what was delivered, if the answer says that of one message and nothing else, and is as it came.

        Raises:
            UnexpectedMessage: it answers for others.

        """
        receipt = ack.receipt
        if receipt and (server := self._roster.server(server_id)) is not None and server.link.is_parley:
            self._receipts[server.link] = receipt
        author, group, statuses, is_spelt = _read(ack, self._spellings.exact, payload)
        if len(statuses) > MOST:
            raise UnexpectedMessage(f"{server_id} tells too many statuses at once", "too_large")
        was_misspelt = not is_spelt and self._spellings.correct(ack)
        if was_misspelt:
            author, group, statuses, _is_spelt = _read(ack, self._spellings.exact)
        if group is not None and group.server_id == server_id:
            self._for_members(server_id, group, ack, now)
            return None
        if group is not None and author is not None and self._dispatcher.shared.sent:
            statuses = self._for_shared(server_id, ack, author, group, statuses, now)
        envelope, proofs = None, proof_fields(ack) if ack.proofs else ()
        for at, (user, status) in enumerate(statuses):
            if user is not None and user[1] != server_id:
                raise UnexpectedMessage(f"{server_id} answers for {user}", "foreign_user")
            known_status = status if status in FINAL or status in INTERIM else Status.UNKNOWN_STATUS
            proof = proofs[at] if proofs else b""
            envelope = self._for_one(server_id, ack, author, user, known_status, now, proof)
        if len(statuses) != 1 or receipt or group is not None or was_misspelt:
            return None
        return envelope if status == _DELIVERED else None

    def _for_shared(
        self,
        server_id: str,
        ack: pb.ChatMessageResponse,
        author: User,
        group: Group,
        statuses: StatusesByUser,
        now: float,
    ) -> StatusesByUser:
        """Read what is said of members in shared copies in flight; the statuses that are left, as `ack` has them.

        What was read is taken out of `ack`. What is not DELIVERED is a copy's, which has a life of its own.
        """
        is_short = ack.ByteSize() <= LONGEST
        for shared in list(self._dispatcher.shared.find(server_id, author, ack.messageSnowflake, group)):
            self._dispatcher.heard(server_id, now)
            if is_short and (members := _all_delivered(statuses, shared)):  # as a rule
                self._shared_delivered(shared, members, ack)
                return []
            delivered: dict[User, int] = {}
            others: dict[User, None] = {}
            for at, (user, status) in enumerate(statuses):
                if user is not None and user in shared.missing and user not in delivered:
                    if status == _DELIVERED and is_short:
                        delivered[user] = at
                    else:
                        others[user] = None
            for user in others.keys() - delivered.keys():
                self._dispatcher.take_out(shared, user, now)
            if delivered:
                which = set(delivered.values())
                answer, left = _divided(ack, which)
                self._shared_delivered(shared, list(delivered), answer)
                statuses = [each for at, each in enumerate(statuses) if at not in which]
                ack.CopyFrom(left)
        return statuses

    def _shared_delivered(self, shared: SharedCopy, members: list[User], ack: pb.ChatMessageResponse) -> None:
        self._statuses.report_delivered(shared, members, ack)
        self._dispatcher.answered_shared(shared, len(members))

    def _for_one(
        self,
        server_id: str,
        ack: pb.ChatMessageResponse,
        author: User | None,
        user: User | None,
        status: int,
        now: float,
        proof: bytes,
    ) -> Envelope | None:
        """The message in flight that was answered, if there is one."""
        envelope = self._dispatcher.find(server_id, ack.messageSnowflake, user, author)
        if envelope is not None:
            if ack.historyOff and isinstance(envelope.recipient, Group):
                self._statuses.leave_out(envelope.author, envelope.snowflake, envelope.recipient)
            elif ack.groupNumber and isinstance(envelope.recipient, Group):
                self._statuses.numbered(envelope.author, envelope.snowflake, envelope.recipient, ack.groupNumber)
            if status in INTERIM and author is None:
                envelope.advance(Input.TAKEN)  # it names no author: we have to remember who it was
                self._statuses.report(envelope, status, proof)
            elif status in INTERIM:
                self._dispatcher.answered(server_id, envelope, now)
                # StatusesByUser once this is on disk: else a restart would make its final status unknown.
                envelope.promise(status, proof)
                self._mailbox.handed_over(envelope, status)
            elif status != _USER_NOT_FOUND or not self._refusal_waits(server_id, envelope):
                self._dispatcher.answered(server_id, envelope, now)
                self._statuses.report(envelope, status, proof)
        elif user is not None and author is not None and author.is_complete:
            self._late(ack, author, user, status, proof)
        return envelope

    def refused(self, server_id: str, envelope: Envelope, now: float) -> None:
        """A server does not know whom a message is for, and that is certain by now."""
        if envelope.is_in_flight:  # it is in flight: nothing else became of it
            self._dispatcher.answered(server_id, envelope, now)
            self._statuses.report(envelope, _USER_NOT_FOUND, b"")

    def _late(self, ack: pb.ChatMessageResponse, author: User, user: User, status: int, proof: bytes) -> None:
        """The other server has had the message for some time: its answer counts if we gave it that message.

        One that does not count may be made up. Or it comes again, because a receipt was lost; or we were restarted
        since: then the message is written once more, and answered once more.
        """
        group = Group.of(ack.group) if ack.HasField("group") else None
        name = Name(author, ack.messageSnowflake, user, kind_of(user, group))
        handed_over = self._mailbox.find_handed_over(name) or self._given.get(name)
        if handed_over is None:
            self._doubted()
            return
        origin = author.server_id if author.server_id != self._server_id else ""
        late = Envelope(author, name.snowflake, user, b"", key=handed_over.key, origin=origin, group=group)
        if origin:  # nobody but us would tell it again
            late.held_elsewhere()
        present = self._statuses.recent.status(late.key)
        present = handed_over.status if present is None else present
        if present == status or (present in FINAL and status in INTERIM):
            return  # told again, because a receipt was lost
        self._statuses.report_late(late, status, proof)
        if status in FINAL:
            self._mailbox.answered_late(late, status)

    def _for_members(self, server_id: str, group: Group, ack: pb.ChatMessageResponse, now: float) -> None:
        """The group's server tells our user its members' statuses; with `complete` it answers for the message."""
        author = User.of(ack.author)
        if author.server_id != self._server_id or not self._roster.knows(author):
            raise UnexpectedMessage(f"{server_id} answers {author}", "foreign_user")
        key = server_id, ack.messageSnowflake, User(*group), author
        name = Name(author, ack.messageSnowflake, group, TO_GROUP)
        found = self._dispatcher.find(*key)
        if found is None and self._mailbox.find_handed_over(name) is None:
            self._doubted()
            return
        if found is not None and ack.historyOff:
            self._statuses.leave_out(author, ack.messageSnowflake, group)
        elif found is not None:
            if ack.groupNumber:
                self._statuses.numbered(author, ack.messageSnowflake, group, ack.groupNumber)
            self._statuses.taken_by_group(found)
        self._statuses.relay(ack)
        while ack.complete and (envelope := self._dispatcher.find(*key)) is not None:
            self._dispatcher.answered(server_id, envelope, now)
            self._statuses.recent.note(
                envelope.key, Status.USER_AWAY
            )  # if the author asks again, the group's server is asked
            self._mailbox.handed_over(envelope, Status.USER_AWAY)

    def confirm(self) -> None:
        """At the end of a batch: say what came, once that is safe."""
        if not self._receipts:
            return
        receipts, self._receipts = self._receipts, {}

        def is_safe() -> None:
            for link, number in receipts.items():
                link.send(encode("STATUS_RECEIVED", pb.StatusReceived(receipt=number)))

        self._mailbox.when_safe(is_safe)


def _all_delivered(statuses: StatusesByUser, shared: SharedCopy) -> list[User]:
    """The members who are named, if each of these says DELIVERED of another member without a status; else none."""
    members = [user for user, status in statuses if status == _DELIVERED and user is not None]
    each = set(members)
    return members if len(each) == len(statuses) and shared.missing.keys() >= each else []


def _divided(ack: pb.ChatMessageResponse, which: set[int]) -> tuple[pb.ChatMessageResponse, pb.ChatMessageResponse]:
    """An acknowledgement of these statuses of another's, and one of the rest; proofs go with their statuses."""
    parts = pb.ChatMessageResponse(), pb.ChatMessageResponse()
    has_proofs = len(ack.proofs) == len(ack.statuses)
    parts[1].CopyFrom(ack)
    del parts[1].statuses[:], parts[1].proofs[:]
    for at, status in enumerate(ack.statuses):
        part = parts[at not in which]
        part.statuses.append(status)
        if has_proofs:
            part.proofs.append(ack.proofs[at])
    return parts


def _author(ack: pb.ChatMessageResponse) -> User | None:
    """The author of the message that it answers; existing clients do not say."""
    return User.of(ack.author) if ack.HasField("author") else None


def _read(
    ack: pb.ChatMessageResponse, exact: set[str], payload: bytes = b""
) -> tuple[User | None, Group | None, StatusesByUser, bool]:
    """The author of the message, its group, the statuses by recipient; whether all is in `exact`."""
    author = User.of(ack.author) if ack.HasField("author") else None
    group = Group.of(ack.group) if ack.HasField("group") else None
    is_spelt = (author is None or author[1] in exact) and (group is None or group[1] in exact)
    entries = ack.statuses
    if len(entries) == 1:  # as a rule
        user = user_of(entries[0])
        return author, group, [(user, entries[0].status)], is_spelt and (user is None or user[1] in exact)
    statuses = read_statuses(payload, ack, MOST + 1) if payload else statuses_of(ack, MOST + 1)
    is_spelt = is_spelt and exact.issuperset([user[1] for user, _status in statuses if user is not None])
    return author, group, statuses, is_spelt
