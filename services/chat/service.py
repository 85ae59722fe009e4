"""The chat process: feeds the router from the links, and the links from the router."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final, TypeVar

from parley.services.chat.archive import requests as history_requests
from parley.services.chat.archive.archive import Archive
from parley.services.chat.archive.process.forker import Forker
from parley.services.chat.authors.authors import Authors
from parley.services.chat.engine import ChatEngine
from parley.services.chat.federation.federation_metrics import FederationMetrics
from parley.services.chat.federation.joins import Joins
from parley.services.chat.federation.lists import FederationLists
from parley.services.chat.gateways.gateway_links import GatewayLinks
from parley.services.chat.gateways.gateway_metrics import GatewayMetrics
from parley.services.chat.groups.asks import ASKS, read_ask
from parley.services.chat.message.early_refusals import EarlyRefusals
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination
from parley.services.chat.metrics import ChatMetrics
from parley.services.chat.operator.user_commands import UserChange
from parley.services.chat.pairing.relay import PairingRelay
from parley.services.chat.read_receipts.relay import ReadReceiptRelay
from parley.services.chat.roster import LinkedServer, LocalRoster
from parley.services.chat.routing.router import Router
from parley.services.chat.runner import EngineRunner
from parley.services.chat.storage.schema import InUse
from parley.services.chat.users.devices import UserDevices
from parley.shared.addresses import ServerList, User
from parley.shared.config import Config
from parley.shared.dialects.dialect import Recognized
from parley.shared.dialects.recognition import by_number, by_search, by_status
from parley.shared.dialects.rewriting import read_status
from parley.shared.errors import ConfigError, LocalProtocolError, UnexpectedMessage
from parley.shared.link.events import Closed, Identity
from parley.shared.link.link import Link
from parley.shared.link.session import unsupported
from parley.shared.runtime.steps import Task
from parley.shared.runtime.supervised import SupervisedTimer
from parley.shared.service.service_base import ServiceBase
from parley.shared.trust.names import Name
from parley.shared.wire.framing import Frame, encode_frame, read_datagram
from parley.shared.wire.messages import LIVE_LOCATION, MESSAGES, TYPING_INDICATOR, decode, encode, pb
from parley.shared.wire.pieces import Limits, Partials, Whole

Result = pb.ConnectResponse
T = TypeVar("T")
PIECE_NAMES: Final = frozenset({"PIECE", "PIECE_RECEIVED"})
HISTORY: Final = history_requests.NAMES
BLOCKS: Final = frozenset({"BLOCK_USER", "UNBLOCK_USER", "ASK_BLOCKED_USERS"})

SIBLINGS: Final = {(LIVE_LOCATION,), (TYPING_INDICATOR,)}
"""The features of this node's other processes that have messages and questions for chat."""

TAKE_OVER, RETRY = 6.0, 0.2
"""Seconds in which a process that served before must let go of the mailbox, and between two tries to open it."""
CLAIMS: Final = 3600.0
"""Seconds between two looks for claims of names that were never used again."""
SERVERS: Final = 20
"""So many times as many servers are known as there may be at once: mail is kept for who is away."""


class ChatService(ServiceBase):
    """Chat for the users of one server."""

    feature: ClassVar[str] = MESSAGES
    section: ClassVar[str] = "chat"

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self.roster = self._new_roster()
        self._runner: EngineRunner | None = None
        self.forker = Forker()
        self.gateways = GatewayLinks(self)
        self.devices = UserDevices(self)
        self._claims = SupervisedTimer("ending claims", self._expire_claims, self.faults)
        self._early_refusals = EarlyRefusals(
            self.peering, report=self._refused, look_for=self.discover_now, decide_soon=self._decide_soon
        )
        self._settling = SupervisedTimer("reporting early refusals", self._links_settled, self.faults)
        self._partials = Partials(
            Limits(self.config.link.payload_limit), lambda what: self.metrics.limited(what, "pieces")
        )
        self.chat_metrics = ChatMetrics(
            self.metrics,
            messages=self._mailbox_messages,
            oldest=self._oldest_age,
            owed=self._owed,
            sizes=lambda: self._read(ChatEngine.sizes, {}),
        )
        self.chat_metrics.watch_files(self.metrics, "mailbox", self._mailbox_files)
        self.chat_metrics.watch_files(
            self.metrics, "archive", lambda: (0, 0, 0) if self._archive is None else self._archive.files
        )
        self.chat_metrics.watch_archive(self.metrics, lambda: self._archive)
        self.authors = Authors(self)
        self.federation = self.trust.servers.federation
        federation_metrics = FederationMetrics(
            self.metrics, state=lambda: self.federation.state, age=lambda: self.federation.age
        )
        self.joins = Joins(self, federation_metrics)
        self.federation_lists = FederationLists(self, federation_metrics)
        self.gateway_metrics = GatewayMetrics(
            self.metrics, open_links=lambda: self.gateways.open, away=lambda: self._read(_away, 0)
        )

        self.read_receipts = ReadReceiptRelay(
            lambda: self.server_id,
            lambda: self.roster,
            lambda: self.engine.blocks,
            lambda: self.metrics.limited("receipts", "chat"),
        )
        self.pairing = PairingRelay(
            self.metrics, self.faults, keys_of=self.user_admission.keys_of, links_of=self._links_of
        )

    def before_loop(self) -> None:
        """Fork what starts the archive's process."""
        if self.config.history.keep:
            self.forker.fork()

    def _links_of(self, user: User) -> Sequence[Link]:
        return self.subscribers.get(user, ())

    @property
    def runner(self) -> EngineRunner:
        """The running chat engine, which is there as soon as anybody can connect."""
        if self._runner is None:
            raise LocalProtocolError("the chat process has no name yet, and so no mailbox")
        return self._runner

    @property
    def open_runner(self) -> EngineRunner | None:
        """The running chat engine, if there is one."""
        return self._runner

    @property
    def engine(self) -> ChatEngine:
        """The chat engine."""
        return self.runner.engine

    async def listen(self) -> None:
        """Open the mailbox of our name before anybody is let in."""
        if self._runner is None:
            self._runner = await self._take_over_mailbox()
            self.gateways.begin()
            self.servers_heard_of(self.server_list)
            await self._runner.start()
            self._claims.set(self._now() + CLAIMS)
        await super().listen()

    async def _take_over_mailbox(self) -> EngineRunner:
        """The process that served before may have heard a moment later than we that it does not any more."""
        until = self._now() + TAKE_OVER
        while True:
            try:
                return self.open_mailbox()
            except InUse:
                if self._now() >= until:
                    raise
            await asyncio.sleep(RETRY)

    def open_mailbox(self) -> EngineRunner:
        """Open the mailbox with all that waits in it. ConfigError where the file cannot be used."""
        self.data_directory.check_name(self.server_id)
        return EngineRunner(self, self.data_directory.path / self.server_id)

    def close_mailbox(self) -> None:
        """Route nothing any more."""
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.close()

    async def stand_by(self) -> None:
        """The mailbox is the other process's now."""
        await self.gateways.end()
        await super().stand_by()
        self.close_mailbox()

    def mailbox_broken(self, error: BaseException) -> None:
        """Nothing can be kept any more: better no chat than one that forgets."""
        self.log.error("mailbox_broken", error=repr(error))
        if not isinstance(error, ConfigError):
            error = ConfigError(f"the mailbox cannot be written any more: {error!r}")
        self.fatal = error
        self.fatal_found.set()

    def expire_pieces(self) -> None:
        """Forget what began to come in pieces and has stopped."""
        self._partials.expire(self._now())

    def is_existing(self, server_id: str) -> bool:
        """Whether a server announced itself as no Parley."""
        return server_id in self._servers and not self.dialects.is_parley(server_id)

    def refusal_waits(self, server_id: str, envelope: Envelope) -> bool:
        """Whether a refusal over a young link is not told yet."""
        return self._early_refusals.waits(server_id, envelope)

    def adopt(self, server_id: str) -> None:
        """Another name has a mailbox of its own, and gateways."""
        self.spawn(self.gateways.close())
        self.close_mailbox()
        self.roster = self._new_roster()
        self.read_receipts.forget_all()
        super().adopt(server_id)

    async def stop(self) -> None:
        """End as any service, then close the mailbox."""
        try:
            await self.gateways.end()
        finally:
            try:
                await super().stop()
            finally:
                self._settling.cancel()
                self.authors.close()
                self._claims.cancel()
                self.close_mailbox()
                self.forker.close()

    def servers_heard_of(self, servers: ServerList) -> None:
        """Know whom messages may be for."""
        for server in servers:
            place = next((each[0].host for each in server.features.values() if each), "")
            if self._may_know(server.server_id, place):
                self._know(server.server_id, place)

    def _new_roster(self) -> LocalRoster:
        limits = self.config.limits
        return LocalRoster(users=limits.users, servers=SERVERS * limits.servers, share=limits.share)

    def _know(self, destination: Destination, source: str) -> None:
        """Remember whom messages may be for."""
        if self._runner is not None:
            self._runner.know(destination, source)

    def _may_know(self, destination: Destination, source: str) -> bool:
        """Whether there is room for somebody who is not known yet."""
        if self.roster.may_remember(destination, source):
            return True
        self.metrics.limited("names", "roster")
        return False

    # Users' devices ---------------------------------------------------------------------------------

    @property
    def server_links(self) -> Iterable[Link]:
        """The links with other servers."""
        return self.peering.links

    def do_in_steps(self, task: Task) -> None:
        """Do something long a step at a time."""
        if self._runner is not None:
            self._runner.fair_order.searches.add(task)

    def name_changed(self, name: Name) -> None:
        """A user of ours has other devices: one that is approved gets what waited."""
        user = User(name.user_id, self.server_id)
        self.devices.changed(name)
        self.pairing.devices_changed(user)
        for link in self.subscribers.get(user, ()):
            if link in self.roster.withheld and not self.user_admission.withholds_mail(link, user):
                self.roster.withheld.discard(link)
        if self._runner is not None and user in self.subscribers:
            self._runner.engine.router.writable(user, self._now())
            self._runner.turn_over()

    def change_user(self, request: UserChange) -> str:
        """Change who owns a name, as the operator asks."""
        return self.devices.change_by_operator(request)

    def _expire_claims(self) -> None:
        self.devices.expire()
        self._claims.set(self._now() + CLAIMS)

    # Who comes and goes ---------------------------------------------------------------------------

    def mail_waits(self, user: User) -> bool:
        """Whether mail waits for a user of ours: somebody without a key may come for it."""
        return self._runner is not None and not self._runner.engine.mailbox.is_empty(user)

    def admit_client(self, identity: Identity) -> pb.ConnectResponse.Result:
        """A client uses MESSAGES only at its user's home server."""
        if identity.user is None or identity.user.server_id != self.server_id:
            return Result.UNKNOWN_ERROR
        return super().admit_client(identity)

    def pairing_asked(self, link: Link, identity: Identity) -> None:
        """Let a new device show its code, and take part in nothing else."""
        refusal = self.pairing.refusal(link, identity)
        if refusal is not None:
            self.metrics.connected("listener", "unknown_error")
            link.refuse(Result.UNKNOWN_ERROR, refusal=refusal)
            return
        link.accept(server_id=self.server_id, instance_id=self.instance_id)

    def link_opened(self, link: Link) -> None:
        """A new device that waits to be paired is nobody's client."""
        if not link.identity.is_pairing:
            super().link_opened(link)
            return
        self.admission.admitted(link)
        self.pairing.link_opened(link, _user(link))

    def link_closed(self, link: Link, closed: Closed) -> None:
        """Its pairing ends with it."""
        super().link_closed(link, closed)
        if link.was_open and link.identity.user is not None:
            self.pairing.closed(link, link.identity.user)

    def has_room_for(self, link: Link, identity: Identity) -> bool:
        """A new user or server needs a place in the tables."""
        name: Destination = identity.user or identity.server_id
        is_known = name == self.server_id or self._may_know(name, link.remote_host)
        return is_known and super().has_room_for(link, identity)

    def admit_server(self, link: Link, identity: Identity) -> pb.ConnectResponse.Result:
        """Other processes of this node have messages and questions, too."""
        return Result.CONNECTED if self.is_sibling(identity) else super().admit_server(link, identity)

    def is_sibling(self, identity: Identity) -> bool:
        """Whether it says to be typing or location of this node; what it says counts once that is proven."""
        return identity.server_id == self.server_id and identity.is_parley and identity.features in SIBLINGS

    def server_link_opened(self, link: Link) -> None:
        """A process of this node is no peer."""
        if link.peer_id != self.server_id:
            super().server_link_opened(link)

    def server_link_closed(self, link: Link, closed: Closed) -> None:
        """Nor when it leaves."""
        if link.peer_id != self.server_id:
            super().server_link_closed(link, closed)
        else:
            self.siblings.closed(link)
            if self._runner is not None:
                self._runner.engine.requests.unwatch_blocks(link)

    def subscriber_connected(self, link: Link) -> None:
        """Send what waits for the user."""
        user = _user(link)
        self._know(user, link.remote_host)
        self.roster.add_client(user, link)
        if self.user_admission.withholds_mail(link, user):
            self.roster.withheld.add(link)
        self.pairing.device_connected(link, user)
        self.read_receipts.client_connected(user, link)
        self.engine.router.client_connected(user, self._now())
        if not link.dialect.write_gap:
            self._use_fast_path(link, user)
        self.runner.turn_over()

    def subscriber_disconnected(self, link: Link) -> None:
        """Have unacknowledged messages wait."""
        user = _user(link)
        self.roster.remove_client(user, link)
        self.roster.withheld.discard(link)
        self.runner.history.link_lost(link)
        cleanly = link.end is not None and link.end.reason == "exit"
        self.engine.router.client_disconnected(user, link, self._now(), cleanly=cleanly)
        self.runner.turn_over()

    def peer_connected(self, link: Link) -> None:
        """Send what waits for the server."""
        super().peer_connected(link)
        self.federation_lists.peer_connected(link)
        self.devices.server_linked(link)
        self._know(link.peer_id, link.remote_host)
        if link.dialect.needs_gateway:
            self.gateways.server_linked(link)
            self.engine.router.server_connected(link.peer_id, self._now())
            self.engine.requests.elsewhere.server_connected(link.peer_id)
            self.runner.turn_over()
        else:
            self.engine.router.remote_users.release(link.peer_id, lambda: self._messages_may_go_to(link))

    def _messages_may_go_to(self, link: Link) -> None:
        """A server is linked that takes what is for its users."""
        if self.peering.link_to(link.peer_id) is not link:
            return  # it took a while to have all that waits wait for it
        self.roster.add_server(link.peer_id, LinkedServer(link, confirms=link.identity.is_parley))
        if link.identity.is_parley:
            self._settling.set(self._early_refusals.connected(link.peer_id, self._now()))
        self.engine.router.server_connected(link.peer_id, self._now())
        self._use_fast_path(link, link.peer_id)
        self.engine.requests.elsewhere.server_connected(link.peer_id)
        self.read_receipts.server_connected(link.peer_id, link)
        self.runner.turn_over()

    def peer_disconnected(self, link: Link) -> None:
        """Have unanswered messages wait."""
        super().peer_disconnected(link)
        self.roster.remove_server(link.peer_id)
        self._early_refusals.disconnected(link.peer_id)
        cleanly = link.end is not None and link.end.reason == "exit"
        self.gateways.server_lost(link, cleanly=cleanly)
        self.engine.router.server_disconnected(
            link.peer_id, link, self._now(), confirms=link.identity.is_parley, cleanly=cleanly
        )
        self.runner.turn_over()

    def trust_changed(self, names: frozenset[str]) -> None:
        """The other members of the federation are told, too."""
        super().trust_changed(names)
        self.federation_lists.changed()

    def federation_seen(self) -> None:
        """Sign its list again where that is due."""
        self.federation_lists.sign_if_due()

    def name_is_contested(self, server_id: str, here: str, there: str) -> None:
        """The other of two servers may know a user whom the linked one does not."""
        super().name_is_contested(server_id, here, there)
        self._early_refusals.decide(server_id)

    def _decide_soon(self, server_id: str) -> None:
        asyncio.get_running_loop().call_soon(self._early_refusals.decide, server_id)

    def _links_settled(self) -> None:
        self._settling.set(self._early_refusals.handle_timeout(self._now()))

    def _refused(self, server_id: str, envelope: Envelope) -> None:
        if self._runner is not None:
            self._runner.engine.router.refused(server_id, envelope, self._now())
            self._runner.turn_over()

    def frame_not_taken(self, link: Link, frame: Frame) -> None:
        """Tell the author of a message that its recipient's program could never take it."""
        super().frame_not_taken(link, frame)
        if self._runner is not None and link.is_open:
            destination: Destination = _user(link) if link.identity.is_client else link.peer_id
            message = decode(frame, pb.ChatMessage)
            self._runner.engine.router.not_taken(destination, link, message, self._now())
            self._runner.turn_over()

    def link_writable(self, link: Link) -> None:
        """A reader caught up: go on where it was left."""
        destination: Destination = _user(link) if link.identity.is_client else link.peer_id
        self.engine.router.writable(destination, self._now())
        if link.dialect.needs_gateway:
            self.engine.router.remote_users.writable(link.peer_id, self._now())
        self.runner.turn_over()

    # Messages -----------------------------------------------------------------------------------------

    def messages_received(self, link: Link, frames: list[Frame]) -> int:
        """Handle a batch; statuses that it gathers are told at its end."""
        if link.identity.is_pairing:
            return self._pairing_received(link, frames)
        runner = self._runner
        if runner is not None:
            router = runner.engine.router
            router.batch_came = time.monotonic()
            if link.identity.is_client:
                router.heard_from(link)
        handled = super().messages_received(link, frames)
        if runner is not None:
            runner.turn_over()
        return handled

    def _pairing_received(self, link: Link, frames: list[Frame]) -> int:
        """A new device that shows a code says nothing but PAIR."""
        for frame in frames:
            self.guard.counts(link, "requests", 1)
            if frame.name != "PAIR" or not self.pairing.handle(link, _user(link), frame):
                link.answer(unsupported(frame.name))
                self.message_rejected(link, "unknown_name", frame.name)
        return len(frames)

    def messages_left(self, link: Link, frames: list[Frame], at: int, now: float) -> int:
        """Most of a link's messages take the fast path; from `at` on they do not: at the first, or all.

        They are handled as if there were no fast path: more at a time where that repeats. How many were handled in
        this link's turn, with those before `at`.
        """
        runner = self._runner
        if runner is None:
            return len(frames)
        router = runner.engine.router
        source: Destination = link.identity.user or link.peer_id
        count, step = len(frames), 1
        while at < count and runner is self._runner and not (at and link.had_its_turn):
            router.batch_came = now
            after = at
            at = router.route_fast(source, frames, at, now, link)
            if at == after:
                at += super().messages_received(link, frames[at : at + step])
                step = 2 * step
            else:
                step = 1
        runner.turn_over()
        return at

    def _use_fast_path(self, link: Link, source: Destination) -> None:
        """Have what comes over a link take the fast path first, where there is one."""
        fast_path = self.engine.router.fast_path
        if fast_path is not None:
            link.use_fast_path(fast_path.core, source)

    def handle_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """A user's client sends, acknowledges or asks."""
        try:
            return self._from_client(link, link.session.identity.user or _user(link), frame)
        except UnexpectedMessage as error:
            self.message_rejected(link, error.reason, str(error))
            return True

    def handle_server_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """Another server's user sends to ours, or it answers for one of its own."""
        try:
            if link.peer_id == self.server_id:
                proven = self.siblings.is_proven(link)
                return self._from_sibling(link, frame) if proven else self.siblings.handle(link, frame)
            return self._from_server(link, link.peer_id, frame)
        except UnexpectedMessage as error:
            self.message_rejected(link, error.reason, str(error))
            return True

    def _recognize_client(self, link: Link, recognized: Recognized) -> None:
        """A client has said by what it does which kind of program it is."""
        if recognized is link.recognized:
            return
        self.clients_dialects.recognized(_user(link), recognized)
        link.recognize(recognized, self.frame_not_taken)
        if not link.dialect.write_gap:
            self._use_fast_path(link, _user(link))

    def _from_client(self, link: Link, user: User, frame: Frame) -> bool:
        runner, name = self._runner or self.runner, frame.name
        engine = runner.engine
        if name == "MESSAGE":
            self._message_from_client(link, user, frame)
        elif name == "MESSAGE_ACK":
            answer = decode(frame, pb.ChatMessageResponse)
            known = frame if link.is_parley else self._read_acknowledgement(link, answer, frame)
            engine.router.ack_from_client(user, answer, self._now(), known, link=link)
        elif name in ASKS:
            self.guard.counts(link, "requests", 1)
            ask = read_ask(frame, ASKS[name], self.spellings)
            with link.answering():
                engine.requests.group_asked(user, name, ask, link, self._now())
        elif name in PIECE_NAMES and link.takes_pieces:
            self._piece(link, user, frame, self.handle_message_for_feature)
        elif name == "SEARCH_USERS":
            if not link.dialect.is_parley:
                self._recognize_client(link, by_search(link.recognized))
            self.guard.counts(link, "requests", 1)
            engine.search.asked(user, decode(frame, pb.QueryUsers), link, self._now())
        elif name in BLOCKS:
            self.guard.counts(link, "requests", 1)
            with link.answering():
                engine.requests.block_asked(user, name, read_ask(frame, pb.ChangeBlock, self.spellings), link)
        else:
            return self._about_history(link, user, frame) or self._about_devices(link, user, frame)
        return True

    def _message_from_client(self, link: Link, user: User, frame: Frame) -> None:
        runner = self._runner or self.runner
        router, now = runner.engine.router, self._now()
        if link.is_parley and router.plain_from_client(user, frame, now):
            return
        message = decode(frame, pb.ChatMessage)
        if not link.is_parley:
            self._recognize_client(link, by_number(link.recognized, message.messageSnowflake, time.time()))
        if message.HasField("edit"):
            self.guard.counts(link, "edits", 1)
        router.message_from_client(user, message, frame.raw, now)
        fanouts = runner.fair_order.fanouts
        if fanouts.sources and fanouts.holds(user):
            link.hold()

    def _about_history(self, link: Link, user: User, frame: Frame) -> bool:
        """A Parley client asks what was said before; others are told that the name is unknown."""
        if frame.name not in HISTORY or not link.is_parley:
            return False
        self.guard.counts(link, "requests", 1)
        if frame.name == "READ_RECEIPT" and (receipt := decode(frame, pb.ReadReceipt)).tellsAuthor:
            if link not in self.roster.withheld:
                self.spellings.correct(receipt)
                self.read_receipts.from_client(user, receipt, self._now())
            return True
        self.runner.history.handle(user, frame, link)
        return True

    def _about_devices(self, link: Link, user: User, frame: Frame) -> bool:
        """One of the user's devices speaks of the others."""
        if frame.name == "DEVICES_OF":
            return self.authors.asked(link, frame)
        if frame.name != "PAIR":
            return self.devices.handle(link, user, frame)
        self.guard.counts(link, "requests", 1)
        return self.pairing.handle(link, user, frame)

    def _read_acknowledgement(self, link: Link, answer: pb.ChatMessageResponse, frame: Frame) -> Frame | None:
        """Read the status of an existing client as Parley counts, and learn from it how that client counts.

        Returns the frame, where it says the same as it stands.
        """
        if answer.statuses:
            self._recognize_client(link, by_status(link.recognized, answer.statuses[0].status))
        for entry in answer.statuses[:1]:
            entry.status = read_status(link.dialect, entry.status)  # type: ignore[assignment] # an open enumeration
        asyncio.get_running_loop().call_soon(link.answered)
        return frame if link.dialect.first_status == 0 else None

    def _from_server(self, link: Link, server_id: str, frame: Frame) -> bool:
        runner, name = self._runner or self.runner, frame.name
        engine = runner.engine
        if name == "MESSAGE":
            self._message_from_server(link, server_id, frame, engine.router)
        elif name == "MESSAGE_ACK":
            answer = decode(frame, pb.ChatMessageResponse)
            known = frame if link.is_parley else _read_statuses(link, answer, frame)
            engine.router.ack_from_server(server_id, answer, self._now(), known)
        elif name in PIECE_NAMES and link.takes_pieces:
            self._piece(link, server_id, frame, self.handle_server_message_for_feature)
        elif name == "SEARCH_USERS":
            self.guard.counts(link, "requests", 1)
            engine.search.asked_by_server(server_id, decode(frame, pb.QueryUsers), link)
        elif name == "SEARCH_USERS_RESP":
            engine.search.answered(server_id, decode(frame, pb.QueryUsersResponse), self.spellings)
        elif name == "RELAY_READ_RECEIPT" and link.is_parley:
            relayed = decode(frame, pb.RelayReadReceipt)
            self.spellings.correct(relayed)
            self.read_receipts.from_server(server_id, relayed, self._now())
        elif name == "STATUS_RECEIVED":
            engine.router.statuses_received(server_id, decode(frame, pb.StatusReceived).receipt)
        elif name == "GROUP_MEMBERS":
            engine.requests.elsewhere.answered(server_id, decode(frame, pb.GroupMembers), self.spellings)
        elif name in ASKS:
            self._group_asked_by_server(link, server_id, frame)
        else:
            return self._about_trust(link, frame)
        return True

    def _message_from_server(self, link: Link, server_id: str, frame: Frame, router: Router) -> None:
        message, checks = decode(frame, pb.ChatMessage), self.authors.checks
        is_copy = message.HasField("userOfGroup") or message.HasField("members")
        if message.HasField("proof") and (is_copy or next(checks.samples)):
            checks.look_at(message, router.batch_came)
        if message.HasField("edit"):
            is_copy = message.HasField("userOfGroup")
            which = (User.of(message.author), message.messageSnowflake) if is_copy else None
            self.guard.counts(link, "edits", 1, copy_of=which)
        router.message_from_server(server_id, message, frame.raw, self._now(), is_retried=link.is_parley)
        if not link.is_parley:
            router.remote_users.heard(User.of(message.author), self._now())

    def _about_trust(self, link: Link, frame: Frame) -> bool:
        """A server tells of users' devices, or of the federation; or a server that is no member wants to be one."""
        if frame.name == "FEDERATION_LIST":
            return self.federation_lists.came(link, frame)
        if frame.name == "JOIN_FEDERATION":
            return self.joins.asked(link, frame)
        if frame.name == "DEVICES_OF":
            return self.authors.asked_by_server(link, frame)
        is_handled = self.devices.handle_from_server(link, frame)
        if is_handled:
            self.authors.listed(link, frame)
        return is_handled

    def _group_asked_by_server(self, link: Link, server_id: str, frame: Frame) -> None:
        """A Parley asks for its many users, as often as they do; of others each question is counted."""
        ask = read_ask(frame, ASKS[frame.name], self.spellings)
        asked_by_server = self.engine.requests.group_asked_by_server
        if link.is_parley:
            asked_by_server(server_id, frame.name, ask, link)
            return
        self.guard.counts(link, "requests", 1)
        with link.answering():
            asked_by_server(server_id, frame.name, ask, link)

    def _piece(self, link: Link, source: Destination, frame: Frame, handle: Callable[[Link, Frame], bool]) -> None:
        """A part of something large came, or of ours there; what is whole now is as if it had come whole."""
        if frame.name == "PIECE_RECEIVED":
            self.engine.router.piece_received(source, decode(frame, pb.PieceReceived), self._now())
            return
        piece = decode(frame, pb.Piece)
        whole = Whole.read(piece.whole)
        taken = self._partials.receive(source, link.link_id, whole, piece.offset, piece.data, self._now())
        if taken.data is not None:
            message = read_datagram(encode_frame("MESSAGE", taken.data))
            handle(link, message)
        result = pb.PieceReceived.Result.Name(taken.result)
        answer = pb.PieceReceived(whole=piece.whole, offset=taken.offset, result=result)
        link.send(encode("PIECE_RECEIVED", answer))

    def _from_sibling(self, link: Link, frame: Frame) -> bool:
        """Another process of this node speaks for its users: location sends a first fix, and asks for members."""
        if frame.name == "MESSAGE":
            message = decode(frame, pb.ChatMessage)
            author = self.spellings.user(User.of(message.author))
            self.engine.router.message_from_client(author, message, frame.raw, self._now())
        elif frame.name == "QUERY_GROUP_MEMBERS":
            ask = read_ask(frame, pb.QueryGroupMembers, self.spellings)
            self.engine.requests.group_asked(User.of(ask.user), frame.name, ask, link, self._now())
        elif frame.name == "ASK_BLOCKED_USERS":
            self.engine.requests.watch_blocks(decode(frame, pb.ChangeBlock), link)
        else:
            return False
        return True

    # Time -------------------------------------------------------------------------------------------------

    _now = staticmethod(time.monotonic)

    # For people ---------------------------------------------------------------------------------------------

    def _read(self, read: Callable[[ChatEngine], T], otherwise: T) -> T:
        """A figure of the engine, if there is one."""
        return read(self._runner.engine) if self._runner is not None else otherwise

    @property
    def _archive(self) -> Archive | None:
        return self._runner.archive if self._runner is not None else None

    def _mailbox_messages(self) -> int:
        return self._read(lambda engine: len(engine.mailbox), 0)

    def _mailbox_files(self) -> tuple[int, int, int]:
        return self._read(lambda engine: engine.store.files.figures, (0, 0, 0))

    def _owed(self) -> int:
        return self._read(lambda engine: len(engine.owed), 0)

    def _oldest_age(self) -> float:
        return self._read(lambda engine: engine.store.oldest_age(), 0.0)

    def reasons_not_ready(self) -> list[str]:
        """Adds a disk that takes nothing."""
        error = self._read(lambda engine: engine.store.error, "")
        return super().reasons_not_ready() + ([f"the mailbox cannot be written: {error}"] if error else [])

    def status(self) -> dict[str, object]:
        """Adds how many messages wait, and for how long."""
        return super().status() | {
            "waiting_messages": self._mailbox_messages(),
            "oldest_waiting_seconds": round(self._oldest_age(), 3),
            "owed_statuses": self._owed(),
            "gateways": self.gateways.status(),
        }


def _read_statuses(link: Link, answer: pb.ChatMessageResponse, frame: Frame) -> Frame | None:
    """Read the statuses of an existing server as Parley counts; the frame, where it says the same as it stands."""
    for entry in answer.statuses:
        entry.status = read_status(link.dialect, entry.status)  # type: ignore[assignment] # an open enumeration
    asyncio.get_running_loop().call_soon(link.answered)
    return frame if link.dialect.first_status == 0 else None


def _away(engine: ChatEngine) -> int:
    return sum(count for _server_id, count in engine.router.remote_users.away)


def _user(link: Link) -> User:
    user = link.identity.user
    if user is None:
        raise TypeError(f"{link} is no client's")
    return user
