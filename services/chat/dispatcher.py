"""Sends what is for a destination, in order and within its window, and keeps what is unanswered. Pure.

What is on its way is held in memory; it is written to disk when its answer does not come soon.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush, merge
from operator import itemgetter
from typing import Final

from services.chat.mailbox import Destination, Item, Kept, Mailbox
from services.chat.outbound import SERVER_WINDOWS, Outbound
from services.chat.quick import NoQuickWay, QuickWay, Sent
from services.chat.roster import Roster, Sink
from shared.addresses import User

ON_THEIR_WAY: Final = 50_000
"""Messages that are on their way to all destinations: beyond it each has a small share only."""
BYTES_ON_THEIR_WAY: Final = 64 * 1024 * 1024
SHARE: Final = 64
"""Messages of that share, to one destination."""
SHARE_BYTES: Final = 256 * 1024
PATIENCE: Final = 10
"""So many times `custody_delay` has the answer of who answers just now (shared/core/items.c has the same)."""
SLACK: Final = 1000
"""Deadlines of messages that were answered meanwhile, held at most beyond as many as are on their way."""

Due = tuple[float, Destination, Item]


class Dispatcher:
    """One window per destination. `overdue` hears of what is unanswered for `ack_timeout` seconds."""

    def __init__(
        self,
        roster: Roster,
        mailbox: Mailbox,
        *,
        ack_timeout: float,
        custody_delay: float,
        overdue: Callable[[Destination, Item], None],
    ) -> None:
        self._roster = roster
        self._mailbox = mailbox
        self._ack_timeout = ack_timeout
        self._custody_delay = custody_delay
        self._overdue = overdue
        self._outbound: dict[Destination, Outbound] = {}
        self._unanswered: deque[Due] = deque()
        self._unsaved: deque[Due] = deque()
        """What is on its way and not written yet, and when it will be, unanswered."""
        self._about_to_be_answered: list[tuple[float, int, Destination, Item]] = []
        """A heap: the same, longer, of destinations that answer just now."""
        self._answering: set[Destination] = set()
        """These destinations; whether they still answer is looked at again at `_look_again`."""
        self._look_again = 0.0
        self._not_saved: set[Destination] = set()
        """Where something on its way could not be written: it has to be, before anything that is later."""
        self._save_again = 0.0
        """When that is tried, at the latest."""
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
        self.adopt(self.quick.settle(destination))
        is_empty = self._mailbox.is_empty(destination)
        if is_empty and (sinks := self.ways(destination)):
            outbound = self.outbound_to(destination)
            if self._has_room(outbound):
                self._send(destination, outbound, item, sinks, now + self._ack_timeout)
                return True
        if is_empty or destination in self._not_saved:
            self._save_before(destination, [])
        if self._mailbox.put(destination, item) is Kept.FULL:
            return False
        self.pump(destination, now)
        return True

    def pump(self, destination: Destination, now: float) -> None:
        """Send what waits, in order, while there is room."""
        if self._mailbox.is_empty(destination):
            return
        outbound = self.outbound_to(destination)
        deadline = now + self._ack_timeout
        while self._has_room(outbound) and (sinks := self.ways(destination)):
            item = self._mailbox.take(destination)
            if item is None:
                break
            self._send(destination, outbound, item, sinks, deadline)

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
        self.adopt(self.quick.settle(destination))
        return self._outbound.get(destination)

    def adopt(self, sent: Iterable[Sent]) -> None:
        """Take over what the quick way sent: from now on it is as if it had been sent here."""
        unsaved: list[Due] = []
        for destination, author, snowflake, recipient, raw, origin, at, number, sinks in sent:
            item = Item(author, snowflake, recipient, raw, origin=origin)
            item.arrived, item.id = at, number
            outbound = self.outbound_to(destination)
            # Deadlines ascend. What came another way meanwhile was sent PATIENCE times custody_delay later at most.
            last = self._unanswered[-1][0] if self._unanswered else 0.0
            deadline = max(at + self._ack_timeout, last)
            outbound.hold(item, sinks, deadline)
            self._watch(destination, item)
            unsaved.append((at + self._custody_delay, destination, item))
        if unsaved and self._unsaved:
            self._unsaved = deque(merge(self._unsaved, unsaved, key=itemgetter(0)))
        else:
            self._unsaved.extend(unsaved)

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
        outbound.send(item, sinks, deadline)
        self._watch(destination, item)
        if not item.is_saved:
            self._unsaved.append((deadline - self._ack_timeout + self._custody_delay, destination, item))

    def _watch(self, destination: Destination, item: Item) -> None:
        """It was sent: note when its answer is due."""
        self.count += 1
        self.size += item.size
        self._unanswered.append((item.deadline, destination, item))

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
        """It is no longer on its way: its destination answered at `now`, or (None) it is given up.

        Deadlines that matter no more are dropped as they come to the front.
        """
        outbound = self._outbound[destination]
        outbound.remove(item)
        if now is not None:
            outbound.answered_at = now
        self.count -= 1
        self.size -= item.size
        self._drop_deadlines()

    def lost(self, destination: Destination, sink: Sink) -> list[Item]:
        """A link is gone: what was on it alone, in order, is no longer on its way."""
        outbound = self._unanswered_by(destination)
        items = outbound.take_from(sink) if outbound is not None else []
        self.count -= len(items)
        self.size -= sum(item.size for item in items)
        self._drop_deadlines()
        return items

    def put_back(self, destination: Destination, items: list[Item]) -> None:
        """What was lost waits again, before what is new."""
        if items:
            self._save_before(destination, items)
            self._mailbox.put_back(destination, items)

    def send_again(self, destination: Destination) -> int:
        """Write what is unanswered to its links once more; how many messages."""
        outbound = self._unanswered_by(destination)
        return outbound.send_again() if outbound is not None else 0

    def not_saved(self, destination: Destination) -> None:
        """Something on its way there could not be written."""
        self._not_saved.add(destination)

    def _save_before(self, destination: Destination, items: list[Item]) -> None:
        """Write what is on its way, with these items, in order, before what comes after it is written.

        Else the later one would survive us, and the earlier one, sent again by its author, would come after it.
        """
        self._not_saved.discard(destination)
        outbound = self._unanswered_by(destination)
        for item in sorted([*items, *(outbound.items if outbound is not None else ())], key=lambda item: item.id):
            self._mailbox.save(destination, item)

    def _drop_deadlines(self) -> None:
        unanswered = self._unanswered
        while unanswered and unanswered[0][0] != unanswered[0][2].deadline:
            unanswered.popleft()
        unsaved = self._unsaved
        while unsaved and not unsaved[0][2].deadline:
            unsaved.popleft()
        if self.count == 0:
            self._about_to_be_answered.clear()
            self._answering.clear()
        if len(unanswered) > 2 * self.count + SLACK:  # one at the front would hold all that were sent after it
            self._unanswered = deque(due for due in unanswered if due[0] == due[2].deadline)

    # Time ----------------------------------------------------------------------------------------------

    def due(self) -> Iterable[float]:
        """When `handle_timeout` must be called at the latest."""
        due = [self._unanswered[0][0]] if self._unanswered else []
        if self._unsaved:
            due.append(self._unsaved[0][0])
        if self._answering:
            due.append(self._look_again)
        if self._not_saved:
            due.append(self._save_again)
        quick = self.quick.due(self._custody_delay)
        return due if quick is None else [*due, quick]

    def handle_timeout(self, now: float) -> None:
        """Write what was not answered soon; tell of what has been unanswered for too long."""
        self.adopt(self.quick.settle_due(now, self._custody_delay))
        if self._not_saved and self._save_again <= now:
            self._save_again = now + self._ack_timeout
            for destination in list(self._not_saved):
                self._save_before(destination, [])
        self._save_due(now)
        while self._unanswered and self._unanswered[0][0] <= now:
            deadline, destination, item = self._unanswered.popleft()
            if item.deadline == deadline:
                self._mailbox.save(destination, item)  # again, where the disk was full
                self._overdue(destination, item)
                self.pump(destination, now)

    def _save_due(self, now: float) -> None:
        """Write what was not answered soon; it is about to be answered where its destination answers just now.

        Of one destination the earlier are written before the later.
        """
        for destination in [each for each in self._answering if not self._is_answering(each, now)]:
            self._answering.discard(destination)
            for item in list(self._outbound[destination].items) if destination in self._outbound else ():
                self._save(destination, item)
        while self._about_to_be_answered and self._about_to_be_answered[0][0] <= now:
            _due, _number, destination, item = heappop(self._about_to_be_answered)
            self._save(destination, item)
        while self._unsaved and self._unsaved[0][0] <= now:
            due, destination, item = self._unsaved.popleft()
            due += (PATIENCE - 1) * self._custody_delay
            if item.deadline and due > now and self._is_answering(destination, now):
                heappush(self._about_to_be_answered, (due, item.id, destination, item))
                self._answering.add(destination)
            else:
                self._save(destination, item)
        self._look_again = now + self._custody_delay / 2

    def _is_answering(self, destination: Destination, now: float) -> bool:
        outbound = self._outbound.get(destination)
        return outbound is not None and len(outbound) > 0 and outbound.answered_at + self._custody_delay > now

    def _save(self, destination: Destination, item: Item) -> None:
        if item.deadline and destination in self._not_saved:
            self._save_before(destination, [])
        elif item.deadline:
            self._mailbox.save(destination, item)
