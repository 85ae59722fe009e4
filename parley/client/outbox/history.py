"""Questions to one's own server about the conversations of before, sent again until they are answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from parley.client.outbox.outbox import Outbox
from parley.client.outbox.questions import Questions, RequestFailed
from parley.shared.addresses import Group, Recipient, User
from parley.shared.link.link import Link
from parley.shared.names import spell
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, encode, pb

NAMES: Final = frozenset({"CONVERSATIONS", "HISTORY", "SEARCH_HISTORY", "CLEAR_HISTORY", "SYNC"})
TIMEOUT: Final = 15.0
"""Seconds for which an answer is waited for."""
LATEST: Final = 250_000_000_000.0
"""Unix time, in the year 9892: calendars go little further."""
_Answer = pb.HistoryAnswer | pb.ConversationsAnswer | pb.SyncAnswer
_Result = pb.HistoryAnswer


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One message of one's own list of a conversation."""

    conversation: Recipient
    sequence: int
    at: float
    """Unix seconds, when it came to the server."""
    received: bool
    message: pb.ChatMessage | None
    """The message as it was sent; None: it is gone, or too large to be sent again."""
    status: str
    """Of one that was sent to a user, such as DELIVERED; else empty."""
    edit: pb.Edit | None = None
    """The last change of its author; None: it is as it was sent."""
    group_number: int = 0
    """Of a group's: its lines are in the order of this, and then of `sequence`, in which they came."""

    @property
    def is_deleted(self) -> bool:
        """Whether its author deleted it."""
        return self.edit is not None and self.edit.deletes

    @property
    def text(self) -> str:
        """Its text now; empty where it is none, or is gone."""
        if self.edit is not None:
            return "" if self.edit.deletes else self.edit.text
        return self.message.textContent if self.message is not None else ""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Lines, and whether there are more."""

    lines: tuple[HistoryLine, ...]
    more: bool
    next: int
    """Of a search: to go on with, as `before`."""
    kept_days: float
    read: int
    """Of a conversation: the sequence up to which it was read."""


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """One conversation: its last line, how many are unread (at most 1000), and up to where it was read."""

    conversation: Recipient
    last: HistoryLine
    unread: int
    read: int


class History:
    """One user's questions about their conversations."""

    def __init__(self, outbox: Outbox, user: User, next_number: Callable[[], int]) -> None:
        self._home = user.server_id
        self._next_number = next_number
        self.questions: Questions[_Answer] = Questions(outbox, self._home, self._not_offered)
        self._link: Link | None = None
        self.on_news: Callable[[], None] = lambda: None
        """Hears that the server has something new for who follows."""

    async def conversations(self, limit: int = 50, timeout: float = TIMEOUT) -> list[ConversationSummary]:
        """One's conversations, the latest first; at most 200.

        Raises:
            RequestFailed: the server keeps nothing, is no Parley, or does not answer.

        """
        number = self._next_number()
        ask = pb.QueryConversations(handle=number, limit=limit)
        answer = await self.questions.ask("CONVERSATIONS", number, ask, pb.ConversationsAnswer, timeout)
        self._check(answer)
        return [
            ConversationSummary(named(each), line_of(each.last), each.unread, each.read)
            for each in answer.conversations
        ]

    async def lines(
        self,
        other: Recipient,
        *,
        before: int = 0,
        after: int | None = None,
        limit: int = 50,
        since: float = 0.0,
        timeout: float = TIMEOUT,
    ) -> HistoryPage:
        """Lines of one conversation, the newest first; with `after` those behind that sequence, the oldest first.

        `since`: only what came since then (Unix seconds). At most 200 at once. Raises as `conversations` does.
        """
        number = self._next_number()
        ask = pb.QueryHistory(handle=number, before=before, after=after, limit=limit, since=since)
        _address(ask, other)
        return await self._page("HISTORY", number, ask, timeout)

    async def search(
        self, query: str, *, before: int = 0, limit: int = 50, timeout: float = TIMEOUT
    ) -> HistoryPage:
        """Lines of all one's conversations that have all these words, the newest first. Raises as above."""
        number = self._next_number()
        ask = pb.QueryText(handle=number, query=query, before=before, limit=limit)
        return await self._page("SEARCH_HISTORY", number, ask, timeout)

    async def clear(self, other: Recipient | None, timeout: float = TIMEOUT) -> None:
        """Remove one's own copy of a conversation from one's server; None: of all. Raises as `conversations` does.

        The other side's copy is the other side's.
        """
        number = self._next_number()
        ask = pb.ClearHistory(handle=number)
        if other is not None:
            _address(ask, other)
        self._check(await self.questions.ask("CLEAR_HISTORY", number, ask, pb.HistoryAnswer, timeout))

    async def sync(
        self, cursor: bytes, *, follow: bool, limit: int = 200, timeout: float = TIMEOUT
    ) -> pb.SyncAnswer:
        """Everything new since a cursor, a page of it; `follow`: `on_news` is called when there is more later.

        Raises as `conversations` does.
        """
        number = self._next_number()
        ask = pb.QuerySync(handle=number, cursor=cursor, follow=follow, limit=limit)
        answer = await self.questions.ask("SYNC", number, ask, pb.SyncAnswer, timeout)
        self._check(answer)
        return answer

    def mark_read(self, other: Recipient, sequence: int) -> None:
        """Tell the server, and so one's other devices, that a conversation was read so far; forward only."""
        if self._link is not None and self._link.is_parley:
            receipt = pb.ReadReceipt(sequence=sequence)
            if isinstance(other, Group):
                receipt.group.CopyFrom(other.to_pb())
            else:
                receipt.user.CopyFrom(other.to_pb())
            self._link.send(encode("READ_RECEIPT", receipt))

    def _check(self, answer: _Answer) -> None:
        if answer.result != _Result.SUCCESS:
            is_for_now = answer.result in (_Result.BUSY, _Result.UNKNOWN_ERROR)
            raise RequestFailed("busy" if is_for_now else "refused", self._why(answer))

    def _why(self, answer: _Answer) -> str:
        home = spell(self._home)
        if answer.result == _Result.OFF:
            return f"{home} keeps no history: its operator turned it off (history.keep)"
        if answer.result == _Result.BUSY:
            return f"{home} has too many such questions just now; try again"
        return answer.reason or f"{home} could not look; try again later"

    async def _page(
        self, name: str, number: int, ask: pb.QueryHistory | pb.QueryText, timeout: float
    ) -> HistoryPage:
        answer = await self.questions.ask(name, number, ask, pb.HistoryAnswer, timeout)
        self._check(answer)
        lines = tuple(map(line_of, answer.lines))
        return HistoryPage(lines, answer.more, answer.next, answer.kept_days, answer.read)

    # The link ---------------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        """An existing server is told nothing of what was read."""
        self._link = link
        self.questions.link_opened(link)

    def link_lost(self) -> None:
        """Questions wait for the next link."""
        self._link = None
        self.questions.link_lost()

    def handle(self, frame: Frame) -> bool:
        """Take an answer; False where the message is none."""
        if frame.name in ("HISTORY_RESP", "SEARCH_HISTORY_RESP", "CLEAR_HISTORY_RESP"):
            self._took(decode(frame, pb.HistoryAnswer))
        elif frame.name == "CONVERSATIONS_RESP":
            self._took(decode(frame, pb.ConversationsAnswer))
        elif frame.name == "SYNC_RESP":
            self._took(decode(frame, pb.SyncAnswer))
        elif frame.name == "SYNC_NEWS":
            self.on_news()
        elif frame.name != "READ_RECEIPT_ACK":
            return False
        return True

    def _took(self, answer: _Answer) -> None:
        self.questions.answered(answer.handle, answer)

    def _not_offered(self, _name: str) -> RequestFailed:
        return RequestFailed("unsupported", f"the server {spell(self._home)} keeps no history")


def _address(ask: pb.QueryHistory | pb.ClearHistory, other: Recipient) -> None:
    if isinstance(other, Group):
        ask.group.CopyFrom(other.to_pb())
    else:
        ask.user.CopyFrom(other.to_pb())


def named(what: pb.HistoryLine | pb.ConversationSummary | pb.ReadReceiptAck) -> Recipient:
    """The user or group of a conversation."""
    return Group.of(what.group) if what.HasField("group") else User.of(what.user)


def line_of(line: pb.HistoryLine) -> HistoryLine:
    """A line as the server told it."""
    message, changed = _message(line.message), _message(line.edit)
    edit = changed.edit if changed is not None and changed.HasField("edit") else None
    status, known = "", pb.ChatMessageResponse.DeliveryStatus.Status
    if line.HasField("status") and line.status in known.values():  # a newer server may know more
        status = known.Name(line.status)
    at, number = time_of(line), line.groupNumber
    return HistoryLine(named(line), line.sequence, at, line.received, message, status, edit, number)


def time_of(line: pb.HistoryLine) -> float:
    """When a line came (Unix seconds); 0: the server tells no time that there is."""
    return line.at if 0.0 <= line.at <= LATEST else 0.0


def _message(payload: bytes) -> pb.ChatMessage | None:
    try:
        return pb.ChatMessage.FromString(payload) if payload else None
    except DecodeError:
        return None
