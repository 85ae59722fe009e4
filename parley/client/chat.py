"""Chat for one user: send and hear what became of it; receive and acknowledge; groups and blocking.

`on_message`, `on_status` and `on_connection` may raise: it is logged, and the link goes on.
"""

from __future__ import annotations

import mimetypes
import secrets
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final, Literal

from parley.client.authors.author_keys import AuthorKeys
from parley.client.authors.home_keys import HomeKeys
from parley.client.authors.signer import Signer
from parley.client.authors.status_judgement import StatusAssurance
from parley.client.authors.status_verification import StatusVerification
from parley.client.cache import cache_file
from parley.client.cache.cache import HistoryCache
from parley.client.contacts.contacts import Contacts
from parley.client.contacts.continuity import KeyChange
from parley.client.feature_base import FeatureBase
from parley.client.inbox.inbox import Application, Inbox, Refused
from parley.client.inbox.readers import FAILED, Messages, OnMessage
from parley.client.inbox.reading import ReadReceipts
from parley.client.outbox import history, searches
from parley.client.outbox.deliveries import Delivery, without_false_certainty, without_forged
from parley.client.outbox.edits import NotEditable, Revisions, edited_in
from parley.client.outbox.outbox import Outbox
from parley.client.outbox.requests import NAMES, TIMEOUT, GroupState, Requests
from parley.client.outbox.searches import FoundUsers, Searches
from parley.client.trust.devices import Devices
from parley.client.trust.received_numbers import ReceivedNumbers
from parley.client.trust.refusals import UserRefused
from parley.shared.addresses import Group, Recipient, Server, User, parse_recipient
from parley.shared.config import Config
from parley.shared.dialects.rewriting import read_status
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.errors import FrameTooLarge
from parley.shared.link.events import Closed
from parley.shared.link.link import Link
from parley.shared.names import spell
from parley.shared.wire.capabilities import READ_RECEIPTS
from parley.shared.wire.framing import Frame, encode_frame, read_datagram
from parley.shared.wire.messages import MESSAGES, decode, encode, pb
from parley.shared.wire.pieces import Limits, Partials, Whole
from parley.shared.wire.snowflake import FIRSTS, MAKERS, Snowflakes

ANY_BYTES: Final = "application/octet-stream"


class ChatFeature(FeatureBase):
    """Chat for one user.

    `on_message` is called with each message received, once; when it has returned, the message is acknowledged. It
    may return an awaitable, which is waited for first. Where it raises, or where there is none, the message is not
    acknowledged, and waits at the server for a client that takes it. A program that reads them in a loop has a
    `window` in its place (parley.connect gives it one): at most so many messages are here and not acknowledged; the
    others wait at the server.
    `on_status(delivery, whose, status)` is called with each status of a message that we sent; `whose` is the
    recipient, or a member of the group; `delivery.assurance_of(whose)` says whose word it is. A forged one is not
    believed, and given to `on_forged_status`. `on_connection(is_connected)` tells that the link came or went.
    `on_new_device(key)` tells that a device shows a code and asks to be added; `key` is its key in short.
    `message.assurance` of a received message says how far its author is known. A forged one is given to `on_forged`
    in place of `on_message`: nothing in it is its author's; one that its device passed long ago to `on_replayed`.
    `on_key_change(user, change)` is called once when somebody who wrote before, or was written to, is another
    device now, and before its first message is given to `on_message`.
    `on_edit(message)` is called with each message that changes an earlier one of the same author's: `message.edit`.
    Without it they are acknowledged and passed by.
    `on_line(line)` has a copy of the user's conversations kept on this machine (`cache`), and is called with each
    line that is new, those of the user's other devices among them; `client.cache: false` forbids it. With it, what
    no server took before the program ended goes out with the next one.
    `on_read(reader, snowflake)` is called when somebody has read what we wrote to them, up to that message;
    only with `client.read_receipts`, and of those who have it on, too.
    `on_refused(error)` is called when this device was revoked, or the name given away, while it was connected.
    """

    feature: ClassVar[str] = MESSAGES
    home_only: ClassVar[bool] = True
    longest_silence: ClassVar[float] = 15.0
    """A server that vanished without a word is noticed within twice that, and looked for again."""

    def __init__(
        self,
        user: str | User = "",
        config: Config | None = None,
        *,
        window: int = 0,
        on_message: OnMessage | None = None,
        on_status: Callable[[Delivery, Recipient, str], None] = lambda _delivery, _whose, _status: None,
        on_forged_status: Callable[[Delivery, Recipient, str], None] = lambda _delivery, _whose, _status: None,
        on_connection: Callable[[bool], None] = lambda _is_connected: None,
        on_new_device: Callable[[str], None] = lambda _key: None,
        on_forged: Callable[[pb.ChatMessage], None] = lambda _message: None,
        on_replayed: Callable[[pb.ChatMessage], None] = lambda _message: None,
        on_key_change: Callable[[User, KeyChange], None] = lambda _user, _change: None,
        on_refused: Callable[[UserRefused], None] = lambda _error: None,
        on_edit: Callable[[pb.ChatMessage], None] | None = None,
        on_line: Callable[[history.HistoryLine], None] | None = None,
        on_read: Callable[[User, int], None] = lambda _reader, _snowflake: None,
        discovery: DiscoveryService | None = None,
    ) -> None:
        super().__init__(user, config, discovery=discovery)
        self._on_status = on_status
        self._on_forged_status = on_forged_status
        self._on_connection = on_connection
        self._on_refused = on_refused
        self._snowflakes = Snowflakes(secrets.randbelow(MAKERS), lambda: secrets.randbelow(FIRSTS))
        self._deliveries: dict[int, Delivery] = {}
        self._outbox = Outbox(self._refused)
        self._partials = Partials(Limits(self.config.link.payload_limit))
        self._requests = Requests(self._outbox, self.user)
        self.devices = Devices(self, lambda key: self._call(on_new_device, key))
        """The devices that speak for the user, to look at and to change."""
        self.history = history.History(self._outbox, self.user, self._requests.next_number)
        """The conversations of before, as the server of the user has kept them."""
        self.cache = self._make_cache(on_line)
        """The copy of them on this machine; None: it is not wanted, or nothing is kept on it."""
        self._searches = Searches(self._outbox, self.user.server_id, self._requests.next_number)
        self._signer = Signer(self.user)
        self._homes = HomeKeys(self.trust, self.config.security, self.discovery, self.log)
        self._contacts = Contacts(self.log, lambda user, change: self._call(on_key_change, user, change))
        self._author_keys = AuthorKeys(self._homes, self._contacts)
        self._numbers = ReceivedNumbers(self.log)
        self._status_verification = StatusVerification(
            self._author_keys, self.user.server_id, self._statuses_judged
        )
        self._receipts = ReadReceipts(
            is_on=self.config.client.read_receipts,
            heard=lambda reader, number: self._call(on_read, reader, number),
        )
        self._revisions = Revisions()
        self._has_posted = False
        self._window = window
        self.refused = Refused()
        """How many messages and statuses were refused, because they are not whose they say they are."""
        application = Application(on_message, window > 0, on_edit, on_forged, on_replayed, self._call)
        self._inbox = Inbox(self, application, self._signer, self._author_keys, self._numbers, self.refused)

    def _make_cache(self, on_line: Callable[[history.HistoryLine], None] | None) -> HistoryCache | None:
        directory = self.trust.directory
        if directory is None:
            return None
        path = directory.history_file(self.user)
        if not self.config.client.cache:
            try:
                cache_file.remove(path)
            except OSError as error:
                self.log.warning("history_cache_not_removed", error=str(error))
        if on_line is None or not self.config.client.cache:
            return None
        return HistoryCache(self.history, path, self.log, lambda line: self._call(on_line, line))

    async def handle_connection(self, server_list: Sequence[Server]) -> None:
        """Connect, as every feature does; what an earlier program left unsent goes out first. Raises as there."""
        await self._post_unsent()
        await super().handle_connection(server_list)

    async def close(self) -> None:
        """Hang up, and verify nothing any more."""
        self._receipts.close()
        try:
            await super().close()  # first: what comes until then is shown in its place, or not at all
        finally:
            self._outbox.close()
            self._inbox.close()
            self._status_verification.close()
            self._author_keys.close()
            self._homes.end()
            await self._numbers.end()
            await self._contacts.end()
            if self.cache is not None:
                await self.cache.close()

    # Receiving -------------------------------------------------------------------------------

    def messages(self, ack: Literal["auto", "manual"] = "auto") -> Messages:
        """Read received messages, for `async for`: each is a `Message`, given until it is acknowledged.

        `auto`: a message is acknowledged when the next one is asked for, that is, where the loop's body ended.
        `manual`: when `message.ack()` is called. What `break`, `return` or an exception left unacknowledged comes
        again, first, from the next call of this, or from the server to the next program. One loop reads at a time.
        A link that is lost is no error: the loop waits for the next one. It ends when this is closed.

        Raises:
            RuntimeError: made without a `window`, or (from the loop) another call reads since.

        """
        if not self._window:
            raise RuntimeError("messages() is for parley.connect(…), or a ChatFeature with a window")
        return self._inbox.messages(acknowledges=ack == "auto")

    def was_read(self, message: pb.ChatMessage) -> None:
        """Say that a person has read a received message: its author is told soon, where both want that."""
        self._receipts.read(message)

    # Sending ---------------------------------------------------------------------------------

    @property
    def outbox(self) -> list[Delivery]:
        """The messages of ours that have no final status yet, in order."""
        return list(self._deliveries.values())

    def send(self, recipient: str | Recipient, text: str) -> Delivery:
        """Send a text to USER@SERVER or #GROUP@SERVER, now or on the next connection, until its status is final.

        Raises:
            FrameTooLarge: more than `link.payload_limit`; nothing is sent.

        """
        return self._send(recipient, pb.ChatMessage(textContent=_sendable(text)))

    async def send_written(self, recipient: str | Recipient, text: str) -> Delivery:
        """Send a text as `send` does, and wait until it was written to a link: for as long as there is none."""
        delivery = self.send(recipient, text)
        await self._outbox.wait_written(delivery.snowflake)
        return delivery

    def send_document(
        self, recipient: str | Recipient, filename: str, data: bytes, mime_type: str = ""
    ) -> Delivery:
        """Send a file's content, as `send` does; its type is guessed from its name where none is given.

        Raises:
            FrameTooLarge: more than 2 MiB, with the default `link.payload_limit`; nothing is sent.

        """
        mime_type = mime_type or mimetypes.guess_type(filename)[0] or ANY_BYTES
        name, number = _sendable(filename), secrets.token_hex(16)
        document = pb.Document(documentId=number, filename=name, mimeType=mime_type, data=data)
        return self._send(recipient, pb.ChatMessage(document=document))

    def send_location(
        self, recipient: str | Recipient, latitude: float, longitude: float, expiry_at: float
    ) -> Delivery:
        """Send a place (degrees, WGS 84), which holds until `expiry_at` (Unix seconds), as `send` does."""
        location = pb.LiveLocation(
            author=self.user.to_pb(),
            timestamp=time.time(),
            expiry_at=expiry_at,
            location=pb.Location(latitude=latitude, longitude=longitude),
        )
        _address(location, _recipient(recipient))
        return self._send(recipient, pb.ChatMessage(live_location=location))

    def edit(self, message: pb.ChatMessage, text: str) -> Delivery:
        """Give one of our messages another text, at all who have it, as `send` sends; existing programs take none.

        Raises:
            NotEditable: it is not ours, or an edit itself, or our server is no Parley.
            FrameTooLarge: more than `link.payload_limit`; nothing is sent.

        """
        return self._change(message, pb.Edit(text=_sendable(text)))

    def delete(self, message: pb.ChatMessage) -> Delivery:
        """Have one of our messages deleted at all who have it. Whoever saw it saw it. Raises as `edit` does."""
        return self._change(message, pb.Edit(deletes=True))

    def _change(self, message: pb.ChatMessage, edit: pb.Edit) -> Delivery:
        if self.link is not None and not self.link.is_parley:
            raise NotEditable(f"{spell(self.user.server_id)} is no Parley, and passes on no edits")
        edit.revision = self._revisions.next(message, time.time())
        return self._send(edited_in(message, edit, self.user), pb.ChatMessage(edit=edit))

    def _send(self, recipient: str | Recipient, message: pb.ChatMessage) -> Delivery:
        """Complete a message, and put it into the outbox."""
        now = time.time()
        message.messageSnowflake = self._snowflakes.next(now)
        message.author.CopyFrom(self.user.to_pb())
        _address(message, _recipient(recipient))
        message.tellRead = self._receipts.is_on and message.HasField("user")
        if self.device is not None:
            self._signer.sign(self.device, message, now)
        size, limit = message.ByteSize(), self.config.link.payload_limit
        if size > limit:
            raise FrameTooLarge(size, limit)
        delivery = Delivery(message)
        if self.cache is not None:
            self.cache.keep(message)
        self._post(delivery)
        return delivery

    def _post(self, delivery: Delivery) -> None:
        self._deliveries[delivery.snowflake] = delivery
        self._outbox.add(delivery.snowflake, "MESSAGE", delivery.message, delivery.recipient)

    async def _post_unsent(self) -> None:
        """Send what an earlier program wrote here and no server took, as it was: so it counts once."""
        if self.cache is None or self._has_posted:
            return
        self._has_posted = True
        for message in await self.cache.unsent():
            if message.messageSnowflake not in self._deliveries:
                self._post(Delivery(message))

    # Groups and blocking ----------------------------------------------------------------------

    async def join(self, group: str | Group, timeout: float = TIMEOUT) -> list[User]:
        """Become a member of a group, and hear who is in it; one that nobody is in is made.

        This and the seven below are sent again after a reconnect, and give up after `timeout` seconds.

        Raises:
            RequestFailed: refused, or not answered; one sentence that says why.

        """
        return list((await self._requests.group("JOIN_GROUP", _group(group), timeout)).members)

    async def leave(self, group: str | Group, timeout: float = TIMEOUT) -> None:
        """Be no member of a group any more."""
        await self._requests.group("LEAVE_GROUP", _group(group), timeout)

    async def members(self, group: str | Group, timeout: float = TIMEOUT) -> list[User]:
        """The members of a group that we are in."""
        return list((await self.group(group, timeout)).members)

    async def group(self, group: str | Group, timeout: float = TIMEOUT) -> GroupState:
        """A group that we are in: members, admins, and whether its history is off."""
        return await self._requests.group("QUERY_GROUP_MEMBERS", _group(group), timeout)

    async def set_history(self, group: str | Group, *, is_off: bool, timeout: float = TIMEOUT) -> None:
        """Have no server keep what is written in a group from now on, or again as their operators want.

        For its admins alone.
        """
        await self._requests.group("CHANGE_GROUP", _group(group), timeout, history_off=is_off)

    async def block(self, user: str | User, timeout: float = TIMEOUT) -> None:
        """Take no more messages from a user; they are told USER_BLOCKED."""
        await self._requests.block("BLOCK_USER", _user(user), timeout)

    async def unblock(self, user: str | User, timeout: float = TIMEOUT) -> None:
        """Take a user's messages again."""
        await self._requests.block("UNBLOCK_USER", _user(user), timeout)

    async def blocked(self, timeout: float = TIMEOUT) -> list[User]:
        """The users whom we have blocked."""
        return await self._requests.block("ASK_BLOCKED_USERS", None, timeout)

    async def search_users(self, query: str = "", timeout: float = searches.TIMEOUT) -> FoundUsers:
        """The users who are connected now, here and at linked Parleys, with `query` in their names; empty: all.

        A server tells of 100 at most. Raises as `join` does; ConfigError: more than 64 characters.
        """
        return await self._searches.search(query, timeout)

    # The link -----------------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        """Send again, in order, what has no final status yet; a server answers what it has with its status."""
        super().link_opened(link)
        self._requests.questions.link_opened(link)
        self._searches.link_opened(link)
        self.history.link_opened(link)
        self._homes.begin()
        if self._inbox.is_read and self.device is not None and self.trust.directory is not None:
            self._numbers.begin(self.trust.directory.received_file(self.user))
        if self.config.security.has_keys and self.trust.directory is not None:
            self._contacts.begin(self.trust.directory.contacts_file(self.user))
        self._author_keys.link_opened(link)
        self._receipts.link_opened(link)
        self._outbox.attach(link)
        if self.cache is not None and link.is_parley:
            self.cache.wake()
        self._call(self._on_connection, True)

    def connect_client(self) -> pb.ConnectClient:
        """Our CONNECT: a Parley keeps to the window, and others are told nothing."""
        hello = super().connect_client()
        if hello.HasField("terms"):
            hello.window = self._window
            if not self._receipts.is_on:
                hello.terms.capabilities &= ~READ_RECEIPTS
        return hello

    def link_writable(self, link: Link) -> None:
        """The server reads again: the next of what waits to go out."""
        if link is self.link:
            self._outbox.pump()

    def link_lost(self, closed: Closed) -> None:
        """Nothing goes out until the next link."""
        super().link_lost(closed)
        self._outbox.detach()
        self._requests.questions.link_lost()
        self._searches.link_lost()
        self.history.link_lost()
        self.devices.link_lost()
        self._receipts.link_lost()
        self._author_keys.link_lost()
        self._call(self._on_connection, False)

    def refused_for_ever(self, error: UserRefused) -> None:
        """Pass it on."""
        self._call(self._on_refused, error)

    @property
    def is_revoked(self) -> bool:
        """Whether the user's server has told that this device's key was taken from the user."""
        device, link_user = self.device, User(self.user.user_id, self._chosen or self.user.server_id)
        return device is not None and device.public in self._author_keys.revoked(link_user)

    def message_rejected(self, link: Link, reason: str, detail: str) -> None:
        """A server that does not know our requests says so."""
        super().message_rejected(link, reason, detail)
        if reason == "unsupported_there" and detail in NAMES:
            self._requests.questions.unsupported(detail)
        elif reason == "unsupported_there" and detail in history.NAMES:
            self.history.questions.unsupported(detail)
        elif reason == "unsupported_there" and detail == searches.NAME:
            self._searches.unsupported()
        elif reason == "unsupported_there" and detail in ("PAIR", "CHANGE_DEVICES"):
            self.devices.unsupported()

    def handle_message(self, frame: Frame) -> bool:
        """A message for us, a status of one of ours, or the answer to a request."""
        if frame.name == "MESSAGE":
            self._inbox.received(decode(frame, pb.ChatMessage))
        elif frame.name == "MESSAGE_ACK":
            self._answered(self._read_statuses(decode(frame, pb.ChatMessageResponse)))
        elif frame.name == "PIECE" and self.link is not None and self.link.takes_pieces:
            self._piece(self.link, decode(frame, pb.Piece))
        elif frame.name == "PIECE_RECEIVED":
            self._outbox.piece_answered(decode(frame, pb.PieceReceived))
        elif frame.name == "SEARCH_USERS_RESP":
            self._searches.answered(decode(frame, pb.QueryUsersResponse))
        elif frame.name == "RELAY_READ_RECEIPT":
            self._receipts.take(decode(frame, pb.RelayReadReceipt))
        elif frame.name == "DEVICE_LIST":
            self._author_keys.take(decode(frame, pb.DeviceList))
        else:
            return self._requests.handle(frame) or self.history.handle(frame) or self.devices.handle(frame)
        return True

    def _piece(self, link: Link, piece: pb.Piece) -> None:
        """A part of something large; what is whole now is as if it had come whole."""
        whole = Whole.read(piece.whole)
        piece_result = self._partials.receive("", link.link_id, whole, piece.offset, piece.data, time.monotonic())
        if piece_result.data is not None:
            self._inbox.received(decode(read_datagram(encode_frame("MESSAGE", piece_result.data)), pb.ChatMessage))
        result = pb.PieceReceived.Result.Name(piece_result.result)
        link.send(
            encode("PIECE_RECEIVED", pb.PieceReceived(whole=piece.whole, offset=piece_result.offset, result=result))
        )

    def _refused(self, number: int) -> None:
        """The server takes nothing so large: that is final."""
        ack = pb.ChatMessageResponse(messageSnowflake=number)
        ack.statuses.add(status=pb.ChatMessageResponse.DeliveryStatus.OTHER_ERROR)
        self._answered(ack)

    def _read_statuses(self, ack: pb.ChatMessageResponse) -> pb.ChatMessageResponse:
        """Read the statuses of a server that counts them from 1 as Parley counts."""
        dialect = self.recognized.dialect
        for entry in ack.statuses if dialect.first_status else ():
            entry.status = read_status(dialect, entry.status)  # type: ignore[assignment] # an open enumeration
        return ack

    def _answered(self, ack: pb.ChatMessageResponse) -> None:
        """Statuses of a message that is ours and has no final one yet; all others do nothing."""
        delivery = self._deliveries.get(ack.messageSnowflake)
        if delivery is None or (ack.HasField("author") and not self.user.is_same(User.of(ack.author))):
            return
        whose = [delivery.whose(entry, ack) for entry in ack.statuses]
        self._status_verification.add(delivery.message, ack, whose)

    def _statuses_judged(self, ack: pb.ChatMessageResponse, worth: Sequence[StatusAssurance]) -> None:
        """Their signatures were looked at: what is forged is not believed."""
        delivery = self._deliveries.get(ack.messageSnowflake)
        if delivery is None:
            return
        for whose, status in without_forged(delivery, ack, worth):
            self.refused.statuses += 1
            self.log.warning("status_forged", recipient_server=whose.server_id)
            self._call(self._on_forged_status, delivery, whose, status)
        if self._outbox.was_sent(delivery.snowflake):
            without_false_certainty(delivery, ack)
        heard = delivery.add_statuses(ack)
        delivery.is_history_off = delivery.is_history_off or ack.historyOff
        if self.cache is not None and delivery.first_status.done():
            self.cache.sent(delivery.snowflake)
        if delivery.final.done():
            del self._deliveries[delivery.snowflake]
            self._outbox.forget(delivery.snowflake)
        for whose, status in heard:
            self._call(self._on_status, delivery, whose, status)

    def _call(self, callback: Callable[..., object], *arguments: object) -> object:
        """Call what the application gave us; what it returned, or FAILED. Its errors are not the link's."""
        try:
            return callback(*arguments)
        except Exception:
            self.log.exception("callback_failed", callback=getattr(callback, "__name__", repr(callback)))
            return FAILED


def _recipient(recipient: str | Recipient) -> Recipient:
    return parse_recipient(recipient) if isinstance(recipient, str) else recipient


def _group(group: str | Group) -> Group:
    return Group.parse(group) if isinstance(group, str) else group


def _user(user: str | User) -> User:
    return User.parse(user) if isinstance(user, str) else user


def _address(message: pb.ChatMessage | pb.LiveLocation, to: Recipient) -> None:
    """Fill in the recipient."""
    if isinstance(to, Group):
        message.group.CopyFrom(to.to_pb())
    else:
        message.user.CopyFrom(to.to_pb())


def _sendable(text: str) -> str:
    """A command line and a file system may hand out what is no Unicode, which no payload can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")
