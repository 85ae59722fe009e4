"""Runs a chat engine: its file, its timers, its operator's socket. It exists while the mailbox is open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from structlog.typing import FilteringBoundLogger

from parley.services.chat.archive.archive import Archive, Policy, Unusable
from parley.services.chat.archive.journal.segment_files import discard
from parley.services.chat.archive.process.forker import Forker
from parley.services.chat.archive.requests import HistoryRequests
from parley.services.chat.authors.authors import Authors
from parley.services.chat.engine import ChatEngine
from parley.services.chat.gateways.gateway_metrics import GatewayMetrics
from parley.services.chat.hooks import Hooks
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination
from parley.services.chat.metrics import ChatMetrics
from parley.services.chat.operator.server import Operations, OperatorSocket
from parley.services.chat.operator.user_commands import UserChange
from parley.services.chat.roster import LocalRoster
from parley.services.chat.routing.fair_order import FairOrder
from parley.services.chat.storage.body_files import JOURNAL
from parley.services.chat.storage.store import Store
from parley.shared.addresses import User
from parley.shared.config import Config
from parley.shared.link.link import Link
from parley.shared.link.turn import turn_of
from parley.shared.runtime.supervised import Faults, SupervisedTimer
from parley.shared.spellings import Spellings
from parley.shared.telemetry.metrics import Metrics

EXPIRY_CHECKS: Final = 60.0
"""Seconds between two looks for messages that have waited too long, at most."""
EXPIRED_BATCH: Final = 1000
"""Messages that are looked at in one go."""
LATE, AGAIN = 0.005, 0.001
"""Seconds: a timer that comes so late tells that we ourselves were held up; it fires again so soon."""

T = TypeVar("T")


class EngineOwner(Protocol):
    """The process whose links the engine serves."""

    server_id: str
    config: Config
    roster: LocalRoster
    metrics: Metrics
    chat_metrics: ChatMetrics
    authors: Authors
    gateway_metrics: GatewayMetrics
    log: FilteringBoundLogger
    faults: Faults
    spellings: Spellings
    forker: Forker
    subscribers: dict[User, list[Link]]

    def discover_now(self) -> None:
        """Ask the network for servers."""

    def refusal_waits(self, server_id: str, envelope: Envelope, /) -> bool:
        """Whether a refusal is not told yet, because another server of that name may ask to be linked."""

    def mailbox_broken(self, error: BaseException, /) -> None:
        """Nothing can be kept any more."""

    def change_user(self, request: UserChange, /) -> str:
        """Change who owns a name, as the operator asks."""

    def is_existing(self, server_id: str) -> bool:
        """Whether a server announced itself as no Parley."""

    def expire_pieces(self) -> None:
        """Forget transfers that have stopped."""


class EngineRunner:
    """One engine from its opening to its end. ConfigError and InUse where its file cannot be used."""

    def __init__(self, owner: EngineOwner, directory: Path) -> None:
        self._owner = owner
        self._is_open = True
        self._is_late = False
        """Whether the timer came late: the answers that it asks for may wait to be read, and are read first."""
        self._timer = SupervisedTimer("answering in time", self._timer_fired, owner.faults)
        self._searching = SupervisedTimer("ending searches", self._end_searches, owner.faults)
        self._remote = SupervisedTimer("trying remote users", self._try_remote_users, owner.faults)
        self._expiry = SupervisedTimer("expiring messages", self._expire, owner.faults)
        turn, queue = turn_of(asyncio.get_running_loop())
        self.fair_order = FairOrder(
            queue,
            turn.is_over,
            now=time.monotonic,
            turn_over=self.turn_over,
            links_of=lambda user: owner.subscribers.get(user, ()),
            limited=owner.metrics.limited,
        )
        self._store = Store(
            directory,
            persisted=self._while_open(lambda done: self.fair_order.report(done, self.engine.persisted)),
            not_persisted=self._while_open(self._not_persisted),
            handed_over=self._while_open(self._handed_over),
            broken=owner.mailbox_broken,
            committed=owner.chat_metrics.committed,
            pressure=self.fair_order.pressure,
        )
        self.archive: Archive | None = None
        try:
            self.archive = self._open_archive(directory)
            self.engine: ChatEngine = self._make_engine()
        except BaseException:
            if self.archive is not None:
                self.archive.close()
            self._store.close()
            raise
        self.history = HistoryRequests(
            owner.server_id,
            self.archive,
            lambda user: owner.subscribers.get(user, ()),
            time.monotonic,
            owner.metrics.limited,
            owner.spellings,
            owner.roster.withheld,
        )
        owner.spellings.learn(owner.roster.server_ids)
        owner.log.info("mailbox_opened", messages=len(self.engine.mailbox))
        operations = Operations(directory, self.engine, owner.roster, self.turn_over)
        self._operator = OperatorSocket(directory, operations, owner.log, owner.change_user, self.archive)

    def _open_archive(self, directory: Path) -> Archive | None:
        """Open the archive, if anything is to be kept and its file can be used; else chat goes on without."""
        owner, settings = self._owner, self._owner.config.history
        if not settings.keep:
            discard(directory / JOURNAL)
            return None
        policy = Policy(settings.keep, settings.bytes)
        try:
            archive = Archive(
                directory,
                owner.server_id,
                policy,
                forker=owner.forker,
                age=lambda: self._store.age,
                keys=owner.authors.devices_of,
                log=owner.log,
                faults=owner.faults,
            )
        except Unusable as error:
            owner.log.warning("archive_unusable", detail="nothing is kept until it is repaired", error=str(error))
            owner.chat_metrics.archive_is_unusable = True
            return None
        archive.collector.write_file = self._store.file
        return archive

    def _make_engine(self) -> ChatEngine:
        owner, config = self._owner, self._owner.config
        return ChatEngine(
            owner.server_id,
            config.chat,
            owner.roster,
            self._store,
            Hooks(
                now=time.monotonic,
                wake=self._remote.set,
                collect=self.archive.collector if self.archive is not None else None,
                confirmed=owner.gateway_metrics.confirmed,
                loaded=self._while_open(self._loaded),
                hold=self.fair_order.hold,
                release=self.fair_order.release,
                count=owner.chat_metrics.count_status,
                limited=owner.metrics.limited,
                delivered=lambda done: owner.chat_metrics.delivered(done, owner.server_id, time.monotonic()),
                delivered_together=lambda arrived, count: owner.chat_metrics.delivered_together(
                    arrived, count, time.monotonic()
                ),
                delivered_run=owner.chat_metrics.fast_path,
                arm=lambda now: self._timer.set(now + config.chat.persist_delay),
                look_for=lambda _server_id: owner.discover_now(),
                search_until=self._searching.set,
                searched=owner.chat_metrics.searched,
                is_existing=owner.is_existing,
                doubted=lambda: owner.metrics.rejected("never_given"),
                refusal_waits=owner.refusal_waits,
                sign=owner.authors.sign,
                keys_of=owner.authors.devices_of,
                taken_for_forged=lambda each: owner.authors.taken_for_forged(each, self.engine.router.batch_came),
                edit_refused=owner.chat_metrics.edit_refused,
            ),
            caps=config.limits,
            fair_order=self.fair_order,
            spellings=owner.spellings,
        )

    async def start(self) -> None:
        """Expire messages from now on, and listen to the operator."""
        self._expire()
        await self._operator.open()

    def close(self) -> None:
        """Route nothing any more, and close the file."""
        self._is_open = False
        self._timer.cancel()
        self._searching.cancel()
        self._remote.cancel()
        self._expiry.cancel()
        self._operator.close()
        self.engine.router.close()
        self.engine.note_used()
        if self.archive is not None:
            self.archive.hand_over()
        self._store.close()  # what people wait for is first
        if self.archive is not None:
            self.archive.close()

    def turn_over(self) -> None:
        """Tell what was gathered; be woken when something is due."""
        if self._is_open:
            self.engine.router.flush()
            self._timer.set(self.engine.next_timeout())
            self.engine.router.timer_is_set(True)

    def know(self, destination: Destination, source: str) -> None:
        """Remember a user or server that messages may be for."""
        if self._owner.roster.remember([destination], source, self._store.age):
            self._store.know(destination, source)

    # What the mailbox tells -----------------------------------------------------------------------

    def _while_open(self, call: Callable[[T], None]) -> Callable[[T], None]:
        """The store may tell of something after it was asked to close."""

        def if_open(value: T) -> None:
            if self._is_open:
                call(value)

        return if_open

    def _handed_over(self, envelopes: list[Envelope]) -> None:
        self.engine.router.handed_over(envelopes)
        self.turn_over()

    def _not_persisted(self, envelopes: list[Envelope]) -> None:
        self._owner.log.error("mailbox_write_failed", messages=len(envelopes), error=self._store.error)
        self.fair_order.report(envelopes, self.engine.not_persisted)

    def _loaded(self, destination: Destination) -> None:
        self.engine.router.loaded(destination, time.monotonic())
        self.turn_over()

    # Time -----------------------------------------------------------------------------------------

    def _expire(self) -> None:
        """Look for what has waited too long, now and then."""
        ttl = self._owner.config.chat.mailbox_ttl
        self._owner.expire_pieces()
        self._expiry.set(time.monotonic() + min(EXPIRY_CHECKS, ttl / 10))
        self._expire_after(0)
        self.engine.note_used()
        self.engine.owed.expire(self._store.age - ttl)
        self._owner.roster.expire(self._store.age - self._owner.config.limits.unused_ttl)
        self.engine.router.remote_users.expire(time.monotonic())

    def _expire_after(self, number: int) -> None:
        """Look at messages after that number; those in flight are passed by."""
        ttl = self._owner.config.chat.mailbox_ttl
        self._store.expired(ttl, number, EXPIRED_BATCH, self._while_open(self._expired))

    def _expired(self, found: list[tuple[Destination, Envelope]]) -> None:
        if not found:
            return
        count = self.engine.router.expired(found)
        if count:
            self._owner.log.info("messages_expired", messages=count)
        self.turn_over()
        if len(found) == EXPIRED_BATCH:
            self._expire_after(found[-1][1].id)

    def _end_searches(self) -> None:
        self.engine.search.handle_timeout(time.monotonic())
        self._searching.set(self.engine.search.next_timeout())

    def _try_remote_users(self) -> None:
        self.engine.router.remote_users.handle_timeout(time.monotonic())
        self.turn_over()

    def _timer_fired(self) -> None:
        now = time.monotonic()
        if now - self._timer.due > LATE and not self._is_late:
            self._is_late = True
            self._timer.set(now + AGAIN)
            return
        self._is_late = False
        self.engine.router.timer_is_set(False)
        self.engine.router.handle_timeout(now)
        self.engine.requests.elsewhere.handle_timeout(now)
        self.turn_over()
