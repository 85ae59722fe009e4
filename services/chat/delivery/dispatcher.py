"""Sends what is for a destination, in order and within its window, and keeps what is unanswered. Pure.

What is on its way is held in memory; it is written to disk when its answer does not come soon.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from parley.services.chat.delivery.fast_path_interface import NoQuickWay, QuickWay, Sent
from parley.services.chat.delivery.lanes import Lanes, Stuck
from parley.services.chat.delivery.persist_timer import Custody, Watched
from parley.services.chat.delivery.retries import Offers
from parley.services.chat.message.in_flight import SERVER_WINDOWS, Outbound
from parley.services.chat.roster import Roster, Sink, offers_again
from parley.services.chat.storage.mailbox import Destination, Item, Kept, Mailbox, Pair
from parley.shared.addresses import User
from parley.shared.wire.messages import pb
from parley.shared.wire.pieces import SUSPECT, WHOLE

ON_THEIR_WAY: Final = 50_000
"""Messages that are on their way to all destinations: beyond it each has a small share only."""
BYTES_ON_THEIR_WAY: Final = 64 * 1024 * 1024
SHARE: Final = 64
"""Messages of that share, to one destination."""
SHARE_BYTES: Final = 256 * 1024
SLACK: Final = 1000
"""Deadlines of messages that were answered meanwhile, held at most beyond as many as are on their way."""

Due = tuple[float, Destination, Item]


class Dispatcher:
    """One window per destination. `overdue` hears of what is unanswered for `ack_timeout` seconds.

    `stuck` gives up what did not pass for `stuck_ttl` seconds (lanes.py).
    """

    def __init__(
        self,
        roster: Roster,
        mailbox: Mailbox,
        *,
        ack_timeout: float,
        custody_delay: float,
        stuck_ttl: float,
        overdue: Callable[[Destination, Item], None],
        stuck: Stuck,
    ) -> None:
        self._roster = roster
        self._mailbox = mailbox
        self._ack_timeout = ack_timeout
        self._custody_delay = custody_delay
        self._overdue = overdue
        self._outbound: dict[Destination, Outbound] = {}
        self._unanswered: deque[Due] = deque()
        self._custody = Custody(
            self._outbound,
            delay=custody_delay,
            retry=ack_timeout,
            save=mailbox.save,
            save_all=lambda destination: self._save_before(destination, []),
        )
        self._offers = Offers(ack_timeout)
        self._lanes = Lanes(roster, mailbox, stuck_ttl=stuck_ttl, send_next=self._send_next, stuck=stuck)
        self.count = 0
        """How many messages are on their way, and how many bytes of them; not those of the quick way."""
        self.size = 0
        self.quick: QuickWay = NoQuickWay()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return len(self.quick) == 0 and not any(map(len, self._outbound.values()))

    # Out ------------------------------------------------------------------------------------

    def dispatch(self, destination: Destination, item: Item, now: float) -> bool:
        """Send at once where nothing waits; else keep. False where there is no room."""
        if len(self.quick):
            self.adopt(self.quick.settle(destination))
        lane = self._lanes.lane_of(destination, item) if self._lanes.paths else None
        is_clear = lane is None and self._mailbox.is_clear(destination)
        if is_clear and (sinks := self.ways(destination)):
            outbound = self.outbound_to(destination)
            if self._has_room(outbound) and not (item.snowflake in outbound.numbers and outbound.must_wait(item)):
                self._send(destination, outbound, item, sinks, now + self._ack_timeout)
                return True
        if is_clear or (lane is not None and not lane.is_kept) or self._custody.is_behind(destination):
            self._save_before(destination, [])
        if lane is not None:
            lane.is_kept = True
        if self._mailbox.put(destination, item) is Kept.FULL:
            return False
        self.pump(destination, now)
        return True

    def pump(self, destination: Destination, now: float) -> None:
        """Send what waits, in order, while there is room."""
        if self._mailbox.is_empty(destination):
            return
        if destination not in self._outbound and not self.ways(destination):
            return  # nothing is remembered of who is away
        outbound = self.outbound_to(destination)
        deadline = now + self._ack_timeout
        while self._has_room(outbound) and (sinks := self.ways(destination)):
            item = self._mailbox.take(destination)
            if item is None:
                break
            if outbound.must_wait(item):
                self._lanes.hold(destination, item)
            else:
                self._send(destination, outbound, item, sinks, deadline)
        self._lanes.pump(destination, now)

    def _send_next(self, destination: Destination, pair: Pair, now: float) -> Item | None:
        """Send what waits first in a pair's lane, if there is room; what that was."""
        outbound = self.outbound_to(destination)
        sinks = self.ways(destination) if self._has_room(outbound) else []
        item = self._mailbox.take(destination, pair) if sinks else None
        if item is None:
            return None
        if outbound.must_wait(item):
            self._lanes.hold(destination, item)
            return None
        self._send(destination, outbound, item, sinks, now + self._ack_timeout)
        return item

    def _has_room(self, outbound: Outbound) -> bool:
        if self.count + len(self.quick) < ON_THEIR_WAY and self.size + self.quick.size < BYTES_ON_THEIR_WAY:
            return outbound.has_room
        return len(outbound) == 0 or (len(outbound) < SHARE and outbound.size < SHARE_BYTES)

    def catch_up(self, user: User) -> None:
        """Whoever of a user's clients can be written to has all that is unanswered.

        Else it would get what is new before what another client, perhaps a dead one, leaves unanswered.
        """
        outbound = self._unanswered_by(user)
        if outbound is not None:
            for sink in self.ways(user):
                outbound.catch_up(sink)

    def outbound_to(self, destination: Destination) -> Outbound:
        """What is on its way there, but for what the quick way still has."""
        outbound = self._outbound.get(destination)
        if outbound is None:
            outbound = Outbound(1 if isinstance(destination, User) else SERVER_WINDOWS)
            self._outbound[destination] = outbound
        return outbound

    def leave(self, user: User) -> None:
        """A user is away: where nothing is on its way to them, nothing is to be remembered of them."""
        outbound = self._outbound.get(user)
        if outbound is not None and len(outbound) == 0:
            del self._outbound[user]

    def _unanswered_by(self, destination: Destination) -> Outbound | None:
        """All that is on its way there, if anything ever was."""
        if len(self.quick):
            self.adopt(self.quick.settle(destination))
        return self._outbound.get(destination)

    def adopt(self, sent: Iterable[Sent]) -> None:
        """Take over what the quick way sent: from now on it is as if it had been sent here."""
        adopted: list[Watched] = []
        for destination, author, snowflake, recipient, raw, origin, at, number, sinks, key in sent:
            item = Item(author, snowflake, recipient, raw, key=key, origin=origin)
            item.arrived, item.id = at, number
            item.is_offered_again = bool(origin) and offers_again(self._roster, origin)
            outbound = self.outbound_to(destination)
            # Deadlines ascend. What came another way meanwhile was sent PATIENCE times custody_delay later at most.
            last = self._unanswered[-1][0] if self._unanswered else 0.0
            deadline = max(at + self._ack_timeout, last)
            outbound.hold(item, sinks, deadline)
            self.count += 1
            self.size += item.size
            self._unanswered.append((item.deadline, destination, item))
            adopted.append((at, destination, item))
        self._custody.watch_earlier(adopted)

    def ways(self, destination: Destination) -> list[Sink]:
        """The links to a destination that have room."""
        if isinstance(destination, User):
            return [sink for sink in self._roster.clients(destination) if sink.writable]
        server = self._roster.server(destination)
        return [server.sink] if server is not None and server.sink.writable else []

    def _send(
        self, destination: Destination, outbound: Outbound, item: Item, sinks: Sequence[Sink], deadline: float
    ) -> None:
        self._mailbox.number(item)
        is_in_pieces = item.size > SUSPECT and self._lanes.carries(destination, item, sinks)
        if is_in_pieces:
            outbound.hold(item, sinks, deadline)
        else:
            outbound.send(item, sinks, deadline)
        self.count += 1
        self.size += item.size
        self._unanswered.append((item.deadline, destination, item))
        if not item.is_saved:
            self._custody.watch(destination, item, deadline - self._ack_timeout)
        if is_in_pieces:
            self._lanes.begin(destination, item, sinks[0], deadline - self._ack_timeout)

    def _may_offer(self, destination: Destination, item: Item) -> bool:
        """Whether it may be written there twice: clients and Parleys take it once, existing servers do not.

        What is large has a lane of its own to a server.
        """
        if isinstance(destination, User):
            return True
        if item.size > WHOLE:
            return False
        server = self._roster.server(destination)
        return server is not None and server.confirms

    def is_open(self, destination: Destination) -> bool:
        """Whether a message would be sent there at once: nothing waits, and there is a link with room."""
        return self._mailbox.is_empty(destination) and bool(self.ways(destination))

    # Back -----------------------------------------------------------------------------------------

    def find(
        self, destination: Destination, snowflake: int, recipient: User | None = None, author: User | None = None
    ) -> Item | None:
        """The oldest unanswered message with that snowflake, of those who are named."""
        outbound = self._outbound.get(destination)
        item = outbound.find(snowflake, recipient, author) if outbound is not None else None
        if item is None and len(self.quick):  # what is there was sent later
            outbound = self._unanswered_by(destination)
            item = outbound.find(snowflake, recipient, author) if outbound is not None else None
        return item

    def answered(self, destination: Destination, item: Item, now: float | None = None) -> None:
        """It is no longer on its way: its destination answered at `now`, or (None) it is given up."""
        outbound = self._outbound[destination]
        outbound.remove(item)
        if now is not None:
            outbound.answered_at = now
        self.count -= 1
        self.size -= item.size
        if self._lanes.paths:
            self._lanes.answered(destination, item)

    def lost(self, destination: Destination, sink: Sink) -> list[Item]:
        """A link is gone: what was on it alone, in order, is no longer on its way."""
        outbound = self._unanswered_by(destination)
        items = outbound.take_from(sink) if outbound is not None else []
        self.count -= len(items)
        self.size -= sum(item.size for item in items)
        return items

    def given_up(self, destination: Destination, item: Item) -> None:
        """It was lost, and is not to be sent again."""
        self._lanes.answered(destination, item)

    def put_back(
        self, destination: Destination, sink: Sink, items: list[Item], now: float, *, cleanly: bool
    ) -> None:
        """What was lost with a link waits again, before what is new; what may not have passed behind all others.

        `cleanly`: the link was ended, and not lost.
        """
        if items:
            self._save_before(destination, items)
        self._mailbox.put_back(destination, self._lanes.lost(destination, sink, items, now, cleanly=cleanly))

    def connected(self, destination: Destination, now: float) -> None:
        """There is a link: what waits goes out."""
        self._lanes.connected(destination, now)
        self.pump(destination, now)

    def piece_received(self, source: Destination, answer: pb.PieceReceived, now: float) -> None:
        """Another server says how much there is of what goes there in pieces."""
        self._lanes.received(source, answer, now)
        self.pump(source, now)

    def send_again(self, destination: Destination) -> int:
        """Write what is unanswered to its links once more; how many messages."""
        outbound = self._unanswered_by(destination)
        self._lanes.retry(destination)
        if outbound is None:
            return 0
        return outbound.send_again()

    def not_saved(self, destination: Destination) -> None:
        """Something on its way there could not be written."""
        self._custody.not_saved(destination)

    def _save_before(self, destination: Destination, items: list[Item]) -> None:
        """Write what is on its way, with these items, in order, before what comes after it is written.

        Else the later one would survive us, and the earlier one, sent again by its author, would come after it.
        """
        self._custody.saving_all(destination)
        outbound = self._unanswered_by(destination)
        for item in sorted([*items, *(outbound.items if outbound is not None else ())], key=lambda item: item.id):
            self._mailbox.save(destination, item)

    def drop_deadlines(self) -> None:
        """At the end of a batch: drop those that matter no more, as they come to the front."""
        unanswered = self._unanswered
        while unanswered and unanswered[0][0] != unanswered[0][2].deadline:
            unanswered.popleft()
        self._custody.drop_answered(is_idle=self.count == 0)
        if self._offers:
            self._offers.drop_answered(self.count)
        if len(unanswered) > 2 * self.count + SLACK:  # one at the front would hold all that were sent after it
            self._unanswered = deque(due for due in unanswered if due[0] == due[2].deadline)

    # Time ----------------------------------------------------------------------------------------------

    def due(self) -> Iterable[float]:
        """When `handle_timeout` must be called at the latest."""
        due = [*self._custody.due(), *self._offers.due(), *self._lanes.due()]
        if self._unanswered:
            due.append(self._unanswered[0][0])
        quick = self.quick.due(self._custody_delay)
        return due if quick is None else [*due, quick]

    def handle_timeout(self, now: float) -> None:
        """Write what was not answered soon; tell of what has been unanswered for too long."""
        self.adopt(self.quick.settle_due(now, self._custody_delay))
        self._custody.handle_timeout(now)
        while self._unanswered and self._unanswered[0][0] <= now:
            deadline, destination, item = self._unanswered.popleft()
            if item.deadline == deadline:
                self._mailbox.save(destination, item)  # again, where the disk was full
                self._overdue(destination, item)
                self._lanes.may_go_on(destination, item)
                if item.deadline and self._may_offer(destination, item):
                    self._offers.add(item, now, at_once=isinstance(destination, User))
                self.pump(destination, now)
        self._offers.handle_timeout(now)
        for destination in self._lanes.handle_timeout(now):
            self.pump(destination, now)
