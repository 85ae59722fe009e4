"""Clients' questions about their own conversations, and the answers. Whose they are is known from the link.

Only Parley's own clients are answered: others are told UNSUPPORTED_MESSAGE, as of any name that is none of
theirs.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable, Iterable
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple, Protocol

from parley.services.chat.archive.archive import Archive, ChangeFailed
from parley.services.chat.archive.changes import clearing
from parley.services.chat.archive.followers import Followers
from parley.services.chat.archive.lists import RECEIVED_LINE, Conversation, conversation
from parley.services.chat.archive.reader import Line, Lines, Summary
from parley.services.chat.archive.sync import Read, SyncReader
from parley.services.chat.archive.texts import query_of
from parley.services.chat.message.statuses import Status
from parley.services.chat.roster import ChatLink
from parley.shared.addresses import Group, Recipient, User
from parley.shared.errors import ConfigError, UnexpectedMessage
from parley.shared.limits.queues import SharedQueue
from parley.shared.spellings import Spellings
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, encode, pb

NAMES: Final = frozenset({"CONVERSATIONS", "HISTORY", "SEARCH_HISTORY", "CLEAR_HISTORY", "SYNC", "READ_RECEIPT"})
OF_USER: Final = 4
"""Questions of one user that may wait for an answer."""
UNMADE: Final = 64
"""Changes that may wait to be made; the addresses that ask for them share these places."""
_Result = pb.HistoryAnswer
_NEWS: Final = encode("SYNC_NEWS", pb.SyncNews())


class AskingLink(ChatLink, Protocol):
    """A link over which a client asks."""

    @property
    def remote_host(self) -> str:
        """The address that it comes from."""


class _Change(NamedTuple):
    """A change that waits for its turn."""

    make: Callable[[], Coroutine[None, None, None]]
    busy: Callable[[], None]
    """Called instead, where there is no place for it."""


class HistoryRequests:
    """Answers the questions of this server's users."""

    def __init__(
        self,
        server_id: str,
        archive: Archive | None,
        links_of: Callable[[User], Iterable[ChatLink]],
        now: Callable[[], float],
        limited: Callable[[str, str], None],
        spellings: Spellings,
        withheld: AbstractSet[ChatLink],
    ) -> None:
        """`links_of`: a user's links; `now`: seconds, monotonic; `limited` counts what was refused, and where.

        `withheld`: the links that get no mail, because nobody approved them; nor are they told of mail of before.
        """
        self._spellings = spellings
        self._withheld = withheld
        self._archive = archive
        self._links_of = links_of
        self._now = now
        self._limited = limited
        self._asked: Counter[User] = Counter()
        self._server_id = server_id
        self._unmade: SharedQueue[_Change] = SharedQueue(UNMADE)
        """By the address that asks for them."""
        self._change: asyncio.Task[None] | None = None
        self._followers = Followers()
        if archive is not None:
            archive.news = self._news

    def handle(self, user: User, frame: Frame, link: AskingLink) -> None:
        """Answer one question, now or soon.

        Raises:
            UnexpectedMessage: it names nobody.

        """
        if frame.name == "READ_RECEIPT":
            self._read_so_far(user, decode(frame, pb.ReadReceipt), link)
        elif frame.name == "CONVERSATIONS":
            self._conversations(user, decode(frame, pb.QueryConversations), link)
        elif frame.name == "CLEAR_HISTORY":
            self._clear(user, decode(frame, pb.ClearHistory), link)
        elif frame.name == "SYNC":
            self._sync(user, decode(frame, pb.QuerySync), link)
        elif frame.name == "HISTORY":
            self._history(user, decode(frame, pb.QueryHistory), link)
        else:
            self._search(user, decode(frame, pb.QueryText), link)

    # Questions --------------------------------------------------------------------------------

    def _conversations(self, user: User, ask: pb.QueryConversations, link: AskingLink) -> None:
        def question(reader: SyncReader) -> bytes:
            found, more = reader.conversations(user.user_id, ask.limit)
            answer = pb.ConversationsAnswer(handle=ask.handle, result=_Result.SUCCESS, more=more)
            answer.conversations.extend(map(_summary, found))
            return encode("CONVERSATIONS_RESP", answer)

        def refusal(result: pb.HistoryAnswer.Result) -> bytes:
            return encode("CONVERSATIONS_RESP", pb.ConversationsAnswer(handle=ask.handle, result=result))

        self._ask(user, link, question, refusal)

    def _history(self, user: User, ask: pb.QueryHistory, link: AskingLink) -> None:
        each = conversation(user.user_id, self._other(ask))
        after = ask.after if ask.HasField("after") else None

        def question(reader: SyncReader) -> bytes:
            found = reader.history(each, before=ask.before, after=after, since=ask.since, limit=ask.limit)
            return self._answer("HISTORY_RESP", ask.handle, found)

        self._ask(user, link, question, lambda result: _refusal("HISTORY_RESP", ask.handle, result))

    def _search(self, user: User, ask: pb.QueryText, link: AskingLink) -> None:
        name = "SEARCH_HISTORY_RESP"
        try:
            query = query_of(ask.query)
        except ConfigError as error:
            link.send(_refusal(name, ask.handle, _Result.REFUSED, str(error)))
            return

        def question(reader: SyncReader) -> bytes:
            found = reader.search(user.user_id, query, before=ask.before, limit=ask.limit)
            return self._answer(name, ask.handle, found)

        self._ask(user, link, question, lambda result: _refusal(name, ask.handle, result))

    def _clear(self, user: User, ask: pb.ClearHistory, link: AskingLink) -> None:
        archive, name = self._archive, "CLEAR_HISTORY_RESP"
        other = self._other(ask) if ask.WhichOneof("conversation") else None
        if not self._may_ask(user, link, lambda result: _refusal(name, ask.handle, result)) or archive is None:
            return

        async def change() -> None:
            result = _Result.SUCCESS
            try:
                await archive.change(clearing(user.user_id, other))
            except ChangeFailed:
                result = _Result.UNKNOWN_ERROR
            except Exception as error:  # noqa: BLE001 - whatever it is, who asks is not to wait for ever
                archive.failed("clearing history", error)
                result = _Result.UNKNOWN_ERROR
            self._answered(user, link, _refusal(name, ask.handle, result))
            self._news({user.user_id})

        def busy() -> None:
            self._limited("requests", "archive")
            self._answered(user, link, _refusal(name, ask.handle, _Result.BUSY))

        without = self._unmade.add(link.remote_host, _Change(change, busy))
        if without is not None:
            without.busy()
        self._make_next()

    def _make_next(self) -> None:
        """Have the next change made: one after another, addresses in turn."""
        if self._change is None and (found := self._unmade.take()) is not None:
            origin, change = found
            self._change = asyncio.get_running_loop().create_task(change.make())
            self._change.add_done_callback(lambda _task: self._made(origin))

    def _made(self, origin: Hashable) -> None:
        self._change = None
        self._unmade.done(origin)
        self._make_next()

    def _sync(self, user: User, ask: pb.QuerySync, link: AskingLink) -> None:
        archive = self._archive
        if archive is not None and link not in self._withheld:
            self._followers.asked(link, follows=ask.follow)

        def question(reader: SyncReader) -> bytes:
            found = reader.sync(user.user_id, ask.cursor, limit=ask.limit)
            answer = pb.SyncAnswer(
                handle=ask.handle,
                result=_Result.SUCCESS,
                more=found.more,
                cursor=found.cursor,
                startOver=found.starts_over,
                kept_days=archive.policy.days if archive is not None else 0.0,
            )
            answer.lines.extend(map(_line, found.lines))
            answer.read.extend(map(_read, found.read))
            return encode("SYNC_RESP", answer)

        def refusal(result: pb.HistoryAnswer.Result) -> bytes:
            return encode("SYNC_RESP", pb.SyncAnswer(handle=ask.handle, result=result))

        self._ask(user, link, question, refusal)

    def _news(self, people: set[str]) -> None:
        """Tell the links of these people that follow."""
        if not len(self._followers):
            return
        for person in people:
            for link in self._links_of(User(person, self._server_id)):
                if self._followers.is_to_tell(link):
                    link.send(_NEWS)

    def link_lost(self, link: ChatLink) -> None:
        """A client's link is over."""
        self._followers.forget(link)

    def _ask(
        self,
        user: User,
        link: AskingLink,
        question: Callable[[SyncReader], bytes],
        refusal: Callable[[pb.HistoryAnswer.Result], bytes],
    ) -> None:
        """Have the file asked, and the link answered; at once, where that cannot be."""
        if not self._may_ask(user, link, refusal) or self._archive is None:
            return

        def answer(found: bytes | None) -> None:
            self._answered(user, link, refusal(_Result.UNKNOWN_ERROR) if found is None else found)

        def busy() -> None:
            self._limited("requests", "archive")
            self._answered(user, link, refusal(_Result.BUSY))

        if not self._archive.ask(question, answer, origin=link.remote_host, displaced=busy):
            busy()

    def _may_ask(self, user: User, link: ChatLink, refusal: Callable[[pb.HistoryAnswer.Result], bytes]) -> bool:
        """Count a question, or refuse it."""
        if self._archive is None:
            link.send(refusal(_Result.OFF))
            return False
        if link in self._withheld:
            link.send(refusal(_Result.REFUSED))
            return False
        if self._asked[user] >= OF_USER:
            self._limited("requests", "archive")
            link.send(refusal(_Result.BUSY))
            return False
        self._asked[user] += 1
        return True

    def _answered(self, user: User, link: ChatLink, raw: bytes) -> None:
        self._asked[user] -= 1
        if not self._asked[user]:
            del self._asked[user]
        if link in self._links_of(user):
            link.send(raw)

    def _answer(self, name: str, handle: int, found: Lines) -> bytes:
        answer = pb.HistoryAnswer(handle=handle, result=_Result.SUCCESS, more=found.more, next=found.next)
        answer.read = found.read
        answer.kept_days = self._archive.policy.days if self._archive is not None else 0.0
        answer.lines.extend(map(_line, found.lines))
        return encode(name, answer)

    # Reading ----------------------------------------------------------------------------------

    def _read_so_far(self, user: User, receipt: pb.ReadReceipt, reader: ChatLink) -> None:
        """Note how far somebody has read, and tell all their devices."""
        other = self._other(receipt)
        if self._archive is None or reader in self._withheld:
            return
        is_group = isinstance(other, Group)
        mark = pb.ReadMark(
            person=user.user_id,
            user=None if is_group else pb.User(userId=other[0], serverId=other[1]),
            group=pb.Group(groupId=other[0], serverId=other[1]) if is_group else None,
            sequence=receipt.sequence,
        )
        self._archive.collector.read(mark, self._now())
        receipt_back = pb.ReadReceiptAck(
            messageSnowflake=receipt.messageSnowflake,
            user=mark.user if not is_group else None,
            group=mark.group if is_group else None,
            sequence=receipt.sequence,
        )
        raw = encode("READ_RECEIPT_ACK", receipt_back)
        for link in self._links_of(user):
            if link.is_parley and link not in self._withheld:
                link.send(raw)

    def _other(self, ask: pb.QueryHistory | pb.ReadReceipt | pb.ClearHistory) -> Recipient:
        """The user or group of a conversation, at a server that is spelt as in the lists.

        Raises:
            UnexpectedMessage: there is none.

        """
        self._spellings.correct(ask)
        other: Recipient = Group.of(ask.group) if ask.HasField("group") else User.of(ask.user)
        if not other.is_complete:
            raise UnexpectedMessage("a question about a conversation with nobody", "no_recipient")
        return other


def _refusal(name: str, handle: int, result: pb.HistoryAnswer.Result, reason: str = "") -> bytes:
    return encode(name, pb.HistoryAnswer(handle=handle, result=result, reason=reason))


def _read(read: Read) -> pb.ReadReceiptAck:
    found = pb.ReadReceiptAck(sequence=read.sequence)
    _named(read.conversation, found)
    return found


def _named(each: Conversation, message: pb.HistoryLine | pb.ConversationSummary | pb.ReadReceiptAck) -> None:
    if each.is_group:
        message.group.groupId, message.group.serverId = each.name, each.server_id
    else:
        message.user.userId, message.user.serverId = each.name, each.server_id


def _line(line: Line) -> pb.HistoryLine:
    found = pb.HistoryLine(
        sequence=line.sequence, at=line.at, message=line.message, edit=line.edit, groupNumber=line.number
    )
    _named(line.conversation, found)
    if line.status == RECEIVED_LINE:
        found.received = True
    elif line.status in Status.Status.values():
        found.status = line.status  # type: ignore[assignment] # an open enumeration
    return found


def _summary(summary: Summary) -> pb.ConversationSummary:
    found = pb.ConversationSummary(unread=summary.unread, read=summary.read)
    _named(summary.conversation, found)
    if summary.last is not None:
        found.last.CopyFrom(_line(summary.last))
    return found
