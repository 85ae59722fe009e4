"""The mailbox that survives its process: what waits is on disk, and in memory only what goes out soon. Pure.

The disk itself is behind `Disk` (store.py): it writes in order, and tells when something is safe.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Final, Protocol

from parley.services.chat.message.life import MEMORY, SAFE, Envelope, Input
from parley.services.chat.message.model import Destination, HandedOver, Key, Name, Pair, name_of
from parley.services.chat.shared_copies.in_flight import SharedCopy
from parley.services.chat.state import ChatState, number
from parley.services.chat.storage.bodies import LARGE, Body
from parley.services.chat.storage.mailbox import Kept, Moves
from parley.services.chat.storage.quotas import Limits, MailTally, Quotas
from parley.shared.addresses import User

IN_MEMORY: Final = 512
"""Waiting messages of one destination in memory; more are read when those go out."""
FIRST_READ: Final = 32
"""Of them read at first: those of a thousand users who come at once are read in turn."""
ALL_IN_MEMORY: Final = 50_000
"""Waiting messages of all destinations in memory: beyond it what comes waits on disk alone."""
ALL_BYTES_IN_MEMORY: Final = 32 * 1024 * 1024
RECENT: Final = 50_000
"""Messages handed over to other servers that are known without a look at the disk."""


class Disk(Protocol):
    """The disk: writes and reads."""

    def keep(self, destination: Destination, envelope: Envelope) -> None:
        """Write a message."""

    def keep_shared(self, shared: SharedCopy) -> None:
        """Write a shared copy: its copies wait in its place, if nobody says before that it is over."""

    def forget_shared(self, shared: SharedCopy) -> None:
        """A shared copy that was written is over."""

    def forget(self, envelope: Envelope, status: int, *, erases: bool = False) -> None:
        """A message that was written is over; `erases`: none of its bytes is to be left."""

    def rewrite(self, envelope: Envelope, before: Body | None) -> None:
        """A message that was written says something else, and shared that body before: none of it is to be left."""

    def look_through(
        self, destination: Destination, pair: Pair, target: int, found: Callable[[list[Envelope]], None]
    ) -> None:
        """Read what waits last of a pair, bears this number or seems to be an edit of it."""

    def hand_over(self, envelope: Envelope, status: int) -> None:
        """Another server has a message, whether it was written or not."""

    def find_handed_over(self, name: Name) -> HandedOver | None:
        """A message that another server has, by what its statuses say of it."""

    def answered_late(self, envelope: Envelope, status: int) -> None:
        """Another server says the last of one that it has."""

    def load(
        self,
        destination: Destination,
        after: int,
        limit: int,
        found: Callable[[list[Envelope]], None],
        pair: Pair | None = None,
    ) -> None:
        """Read the next messages with ids greater than `after`: all, or those of a pair."""

    def move(self, source: Destination, found: Callable[[Moves], None]) -> None:
        """Move what waits at a server to its recipients, or at a user to their server."""

    def find(self, key: Key) -> int | None:
        """The status of a message that is, or lately was, on disk."""

    def delivered(self, envelope: Envelope) -> None:
        """A message that was never kept was delivered."""

    def when_safe(self, then: Callable[[], None]) -> None:
        """Call when all that was written so far is safe."""


class _Queue:
    """The messages that wait for one destination: first those in memory, then those only on disk.

    A pair's lane is another, beside it. What is only on disk and has not been come to is counted by the
    destination's queue, whoever sent it; reading on, that finds what belongs into lanes.
    """

    __slots__ = ("count", "is_loading", "lanes", "last_id", "next_read", "on_disk", "ready", "size")

    def __init__(self, on_disk: int = 0, size: int = 0, last_id: int = 0) -> None:
        self.ready: deque[Envelope] = deque()
        self.on_disk = on_disk
        self.last_id = last_id
        """Messages with greater ids than this are only on disk."""
        self.is_loading = False
        self.next_read = FIRST_READ
        """How many are read next; twice as many each time."""
        self.count = on_disk
        """How many wait, and their bytes: in the lanes, too."""
        self.size = size
        self.lanes: dict[Pair, _Queue] = {}

    @property
    def is_clear(self) -> bool:
        """Whether nothing waits here."""
        return not self.ready and not self.on_disk and not self.is_loading

    @property
    def all(self) -> Iterable[_Queue]:
        """This one, and its lanes."""
        return (self, *self.lanes.values())


class DiskMailbox:
    """The messages that wait, within limits.

    `next_id` and `next_body` are greater than those of any message and body on disk. `loaded(destination)` is
    called when more of what waits there is in memory; `limited` hears of what there was no room, `gone` of a
    message whose bytes the disk does not have any more.
    """

    def __init__(
        self,
        disk: Disk,
        limits: Limits,
        *,
        state: ChatState,
        next_id: int,
        next_body: int = 1,
        loaded: Callable[[Destination], None],
        limited: Callable[[str], None] = lambda _what: None,
        gone: Callable[[Envelope], None] = lambda _envelope: None,
        accepted: Callable[[Envelope, bool], None] = lambda _envelope, _has_status: None,
    ) -> None:
        self._disk = disk
        self._gone = gone
        self._accepted = accepted
        self.find = disk.find
        """find(key): the status of a message that is, or lately was, on disk."""
        self._quotas = Quotas(limits)
        self._limited = limited
        self._state: Final = state
        state.next_id = next_id
        self._next_body = next_body
        self._copies: dict[int, int] = {}
        """Bodies of group messages → how many copies of each wait: a body counts once."""
        self._loaded = loaded
        self._count = 0
        self._bytes = 0
        self._ready = 0
        """How many messages are in memory."""
        self._ready_bytes = 0
        self._handed_over: OrderedDict[Name, HandedOver] = OrderedDict()
        """Messages that were handed over lately: on disk they may not be found yet."""
        self._erased: set[int] = set()
        """Numbers of messages that are to be erased with their final status, which follows at once."""

    def __len__(self) -> int:
        return self._count

    def found_at_start(self, destination: Destination, count: int, size: int) -> None:
        """So much waits on disk from before."""
        self._state.queues[destination] = _Queue(count, size)
        self._count += count
        self._bytes += size

    def shared_at_start(self, body: int, copies: int, size: int) -> None:
        """So many of them share a body of that size."""
        self._copies[body] = copies
        self._bytes -= (copies - 1) * size

    def counted_at_start(self, tally: MailTally) -> None:
        """Add the authors of what waited at the start: counting them takes a while."""
        self._quotas.found_at_start(tally)

    @property
    def state(self) -> ChatState:
        """The state that the fast path shares: messages that wait, by destination, and the next number."""
        return self._state

    # Mailbox ----------------------------------------------------------------------------------

    def put(self, destination: Destination, envelope: Envelope) -> Kept:
        """Keep an envelope behind all that waits there."""
        queue = self._state.queues.get(destination)
        if self._is_full(destination, queue, envelope):
            return Kept.FULL
        number(self._state, envelope)
        if queue is None:  # what is on disk with smaller numbers is on its way
            queue = self._state.queues[destination] = _Queue(last_id=envelope.id - 1)
        envelope.kept()
        self._add(destination, queue, envelope, 1)
        lane = queue.lanes.get(envelope.pair) if queue.lanes else None
        if lane is None or queue.on_disk or queue.is_loading:
            self._append(queue, envelope)
        else:
            self._append(lane, envelope)
            queue.last_id = envelope.id
        return self.save(destination, envelope)

    def _append(self, queue: _Queue, envelope: Envelope) -> None:
        if queue.on_disk or queue.is_loading or not self._has_memory(queue, envelope):
            if not queue.on_disk and not queue.is_loading:  # what is on disk with smaller numbers is on its way
                queue.last_id = envelope.id - 1
            queue.on_disk += 1
        else:
            queue.ready.append(envelope)
            queue.last_id = envelope.id
            self._remember([envelope])

    def _has_memory(self, queue: _Queue, envelope: Envelope) -> bool:
        return (
            len(queue.ready) < IN_MEMORY
            and envelope.size < LARGE  # what is a file waits on disk alone
            and self._ready < ALL_IN_MEMORY
            and self._ready_bytes < ALL_BYTES_IN_MEMORY
        )

    def _is_full(self, destination: Destination, queue: _Queue | None, envelope: Envelope) -> bool:
        more = envelope.own_size if envelope.body and envelope.body.number in self._copies else envelope.size
        there = (0, 0) if queue is None else (queue.count, queue.size)
        why = self._quotas.why_full(destination, envelope, more, (self._count, self._bytes), there)
        if why:
            self._limited(why)
        return bool(why)

    def _number_body(self, body: Body | None) -> None:
        if body is not None and not body.number:
            body.number = self._next_body
            self._next_body += 1

    def accepted(self, envelopes: Iterable[Envelope]) -> None:
        """These came before one that is kept, or has a status: so their author's list has them first."""
        for envelope in envelopes:
            self._accepted(envelope, False)

    def save(self, destination: Destination, envelope: Envelope) -> Kept:
        """Write an envelope, once."""
        if envelope.persist():
            self._accepted(envelope, False)
            self._number_body(envelope.body)
            self._disk.keep(destination, envelope)
        return Kept.SAFE if envelope.durability is SAFE else Kept.SOON

    def save_shared(self, shared: SharedCopy) -> None:
        """Write a shared copy, once."""
        if not shared.is_written:
            shared.is_written = True
            self._number_body(shared.body)
            self._disk.keep_shared(shared)

    def over_shared(self, shared: SharedCopy) -> None:
        """Nothing of it needs to be kept any more."""
        self._disk.forget_shared(shared)

    def over(self, envelope: Envelope, status: int) -> None:
        """Nothing of it needs to be kept any more."""
        self._disk.forget(envelope, status, erases=envelope.id in self._erased)
        self._erased.discard(envelope.id)

    def handed_over(self, envelope: Envelope, status: int) -> None:
        """Another server has it: that is known after a restart, too."""
        envelope.advance(Input.HANDED_OVER)
        self._accepted(envelope, True)
        self._disk.hand_over(envelope, status)
        self._handed_over[name_of(envelope)] = HandedOver(envelope.key, status)
        if len(self._handed_over) > RECENT:
            self._handed_over.popitem(last=False)

    def find_handed_over(self, name: Name) -> HandedOver | None:
        """A message that another server has and has not said the last of."""
        return self._handed_over.get(name) or self._disk.find_handed_over(name)

    def answered_late(self, envelope: Envelope, status: int) -> None:
        """Another server has told the last status of a message that it has."""
        self._handed_over.pop(name_of(envelope), None)
        self._disk.answered_late(envelope, status)

    def put_back(self, destination: Destination, envelopes: Iterable[Envelope]) -> None:
        """Keep envelopes, in order, before all that waits there."""
        batch = list(envelopes)
        if not batch:
            return
        queue = self._state.queues.get(destination)
        if queue is None:  # all others of it that are on disk are on their way, too
            queue = self._state.queues[destination] = _Queue(last_id=self._state.next_id - 1)
        self._return(destination, queue, queue, batch)

    def _return(self, destination: Destination, queue: _Queue, part: _Queue, envelopes: list[Envelope]) -> None:
        part.ready.extendleft(reversed(envelopes))
        self._remember(envelopes)
        for envelope in envelopes:
            envelope.kept()
            self._add(destination, queue, envelope, 1)
            self.save(destination, envelope)

    def pop(self, destination: Destination, pair: Pair | None = None) -> Envelope | None:
        """The first that waits, or that waits in a lane; None when nothing does, or it has to be read first."""
        queue = self._state.queues.get(destination)
        part = queue if queue is None or pair is None else queue.lanes.get(pair)
        if queue is None or part is None:
            return None
        if not part.ready:
            self._load(destination, queue, pair)
            return None
        envelope: Envelope = part.ready.popleft()
        self._forget([envelope])
        self._add(destination, queue, envelope, -1)
        if len(part.ready) < part.next_read // 4:
            self._load(destination, queue, pair)
        self._tidy(destination, queue)
        return envelope

    def messages_in_memory(self, destination: Destination) -> Iterable[Envelope]:
        """All that waits and is in memory, in order; each lane's behind the rest."""
        queue = self._state.queues.get(destination)
        return chain.from_iterable(part.ready for part in queue.all) if queue is not None else ()

    def is_empty(self, destination: Destination) -> bool:
        """Whether nothing waits there, and no pair has a lane."""
        return destination not in self._state.queues

    def clear(self, destination: Destination) -> list[Envelope]:
        """Take all that waits and is in memory."""
        queue = self._state.queues.get(destination)
        if queue is None:
            return []
        envelopes = list(self.messages_in_memory(destination))
        self._forget(envelopes)
        for envelope in envelopes:
            self._add(destination, queue, envelope, -1)
        for pair in (None, *queue.lanes):
            part = queue if pair is None else queue.lanes[pair]
            part.ready.clear()
            self._load(destination, queue, pair)  # the rest follows, and `loaded` tells
        self._tidy(destination, queue)
        return envelopes

    def has_messages_on_disk(self, destination: Destination) -> bool:
        """Whether some of what waits there is not in memory."""
        queue = self._state.queues.get(destination)
        return queue is not None and any(part.on_disk > 0 for part in queue.all)

    # Lanes ------------------------------------------------------------------------------------

    def is_clear(self, destination: Destination) -> bool:
        """Whether nothing waits there but what pairs have in lanes of their own."""
        queue = self._state.queues.get(destination)
        return queue is None or queue.is_clear

    def open_lane(self, destination: Destination, pair: Pair, envelopes: Iterable[Envelope]) -> None:
        """Have what waits of a pair wait apart, from now on; first of it these, that had been taken."""
        queue = self._state.queues.get(destination)
        if queue is None:
            queue = self._state.queues[destination] = _Queue(last_id=self._state.next_id - 1)
        lane = queue.lanes.get(pair)
        if lane is None:
            lane = queue.lanes[pair] = _Queue(last_id=queue.last_id)
            lane.ready.extend(envelope for envelope in queue.ready if envelope.pair == pair)
            if lane.ready:
                queue.ready = deque(envelope for envelope in queue.ready if envelope.pair != pair)
        self._return(destination, queue, lane, list(envelopes))

    def lane_is_empty(self, destination: Destination, pair: Pair) -> bool:
        """Whether nothing waits in a lane."""
        queue = self._state.queues.get(destination)
        return queue is None or pair not in queue.lanes or queue.lanes[pair].is_clear

    def close_lane(self, destination: Destination, pair: Pair) -> None:
        """The pair's messages wait among all others again: its lane is empty."""
        queue = self._state.queues.get(destination)
        if queue is not None and queue.lanes.pop(pair, None) is not None:
            self._tidy(destination, queue)

    def remove(self, destination: Destination, envelope: Envelope, *, is_written: bool = True) -> bool:
        """Take one envelope from what waits; False when it does not, or is being read just now."""
        queue = self._state.queues.get(destination)
        if queue is None:
            return False
        part = _part_of(queue, envelope)
        if envelope.id > part.last_id:
            if not part.on_disk or (part.is_loading and is_written):
                return False
            part.on_disk -= 1
        elif (found := next((each for each in part.ready if each.id == envelope.id), None)) is not None:
            part.ready.remove(found)
            self._forget([found])
            found.advance(Input.DROPPED)  # it may still be on its way to the disk
        else:
            return False
        self._add(destination, queue, envelope, -1)
        self._tidy(destination, queue)
        return True

    # Changing -----------------------------------------------------------------------------------

    def look_through(
        self, destination: Destination, pair: Pair, target: int, then: Callable[[list[Envelope]], None]
    ) -> None:
        """Read what waits last of a pair, bears this number or seems to be an edit of it."""
        self._disk.look_through(destination, pair, target, then)

    def rewrite(self, destination: Destination, envelope: Envelope, raw: bytes, body: Body | None = None) -> bool:
        """Have a message that waits say something else; False when it does not wait, or is being read just now."""
        queue = self._state.queues.get(destination)
        if queue is None:
            return False
        part, ready = _part_of(queue, envelope), None
        if envelope.id <= part.last_id:
            ready = next((each for each in part.ready if each.id == envelope.id), None)
            if ready is None:
                return False
            self._forget([ready])
        elif not part.on_disk or part.is_loading:
            return False
        changed = ready or envelope
        before = changed.body
        self._add(destination, queue, changed, -1)
        changed.reworded(raw, body)
        self._add(destination, queue, changed, 1)
        if ready is not None:
            self._remember([ready])
        self._disk.rewrite(changed, before)
        return True

    def erase(self, envelope: Envelope) -> None:
        """No byte of what a message said is to be left once it is over."""
        self._erased.add(envelope.id)

    def delivered(self, envelope: Envelope) -> None:
        """A message came and went at once: it is recognised after a restart all the same."""
        if envelope.durability is MEMORY:
            self._disk.delivered(envelope)

    def when_safe(self, then: Callable[[], None]) -> None:
        """Call when all that was written so far is safe."""
        self._disk.when_safe(then)

    # Moving -------------------------------------------------------------------------------------

    def move(self, source: Destination, then: Callable[[set[User], list[Envelope]], None]) -> None:
        """Have some of what waits at a server wait at its users, or what waits at a user at their server.

        All of it is on disk. `then` hears of users that something was moved to, and is given what can be moved
        nowhere, which waits no more. Until then nothing of the source can be taken.
        """
        queue = self._set_aside(source)
        queue.is_loading = True
        asked = queue.count

        def moved(found: Moves) -> None:
            for each in found.moved:
                self._quotas.move(source, each)
                there = self._set_aside(each.destination)
                there.count, there.on_disk = there.count + each.messages, there.on_disk + each.messages
                there.size += each.size
                queue.count, queue.size = queue.count - each.messages, queue.size - each.size
            for envelope in found.left:
                self._add(source, queue, envelope, -1)
            if found.is_last and (missing := asked - sum(each.messages for each in found.moved) - len(found.left)):
                self._count, queue.count = self._count - missing, queue.count - missing  # it could not be written
            if not queue.count:
                self._bytes, queue.size = self._bytes - queue.size, 0
            queue.is_loading, queue.on_disk = False, queue.count
            self._tidy(source, queue)
            then({each.destination for each in found.moved if isinstance(each.destination, User)}, found.left)

        self._disk.move(source, moved)

    def _set_aside(self, destination: Destination) -> _Queue:
        """Have all that waits there wait on disk alone, where it is."""
        before = self._state.queues.get(destination)
        queue = self._state.queues[destination] = _Queue() if before is None else _Queue(before.count, before.size)
        for part in before.all if before is not None else ():
            self._forget(list(part.ready))
        return queue

    # Reading ------------------------------------------------------------------------------------

    def _load(self, destination: Destination, queue: _Queue, pair: Pair | None = None) -> None:
        """Read on: what belongs to nobody's lane, or to this pair's."""
        part = queue if pair is None else queue.lanes[pair]
        if part.is_loading or not part.on_disk:
            return
        part.is_loading = True

        def found(envelopes: list[Envelope]) -> None:
            if self._state.queues.get(destination) is not queue:
                return  # all of it is read from the beginning, where it waits now
            part.is_loading = False
            gone = [each for each in envelopes if not each.content]
            self._take_in(queue, part, [each for each in envelopes if each.content] if gone else envelopes)
            part.on_disk -= len(envelopes)  # none: what it was asked for could not be written; more may have come
            if envelopes:
                part.last_id = envelopes[-1].id
            for each in gone:
                self._add(destination, queue, each, -1)
            self._tidy(destination, queue)
            for each in gone:
                self._gone(each)
            self._loaded(destination)

        count = min(part.next_read, IN_MEMORY)
        if self._ready >= ALL_IN_MEMORY or self._ready_bytes >= ALL_BYTES_IN_MEMORY:
            count = min(FIRST_READ, IN_MEMORY)
        part.next_read = min(2 * part.next_read, IN_MEMORY)
        if pair is None:
            self._disk.load(destination, part.last_id, count, found)
        else:  # what is beyond is still the queue's
            self._disk.load(destination, part.last_id, min(count, part.on_disk), found, pair)

    def _take_in(self, queue: _Queue, part: _Queue, envelopes: list[Envelope]) -> None:
        """These were read: they are a lane's, or the queue's but for what belongs into lanes."""
        mine = envelopes
        if part is queue and queue.lanes:
            mine = [envelope for envelope in envelopes if envelope.pair not in queue.lanes]
            for envelope in envelopes:
                if (lane := queue.lanes.get(envelope.pair)) is not None:
                    self._append(lane, envelope)
        part.ready.extend(mine)
        self._remember(mine)

    def _tidy(self, destination: Destination, queue: _Queue) -> None:
        if queue.is_clear and not queue.lanes:
            self._state.queues.pop(destination, None)

    def _remember(self, envelopes: list[Envelope]) -> None:
        self._ready += len(envelopes)
        self._ready_bytes += sum(envelope.size for envelope in envelopes)

    def _forget(self, envelopes: list[Envelope]) -> None:
        self._ready -= len(envelopes)
        self._ready_bytes -= sum(envelope.size for envelope in envelopes)

    def _add(self, destination: Destination, queue: _Queue, envelope: Envelope, sign: int) -> None:
        """Count what came (1) or went (-1)."""
        shared = self._add_body(envelope, sign)
        self._count += sign
        self._bytes += sign * (envelope.own_size + shared)
        queue.count += sign
        queue.size += sign * envelope.size
        self._quotas.add(destination, envelope, sign, shared)

    def _add_body(self, envelope: Envelope, sign: int) -> int:
        """The bytes of the body that the first copy brings, and the last takes with it."""
        if envelope.body is None:
            return 0
        self._number_body(envelope.body)
        number = envelope.body.number
        copies = self._copies.get(number, 0)
        if copies + sign:
            self._copies[number] = copies + sign
        else:
            self._copies.pop(number, None)
        return envelope.body.size if min(copies, copies + sign) == 0 else 0


def _part_of(queue: _Queue, envelope: Envelope) -> _Queue:
    """The part of a queue in which a message waits, if it does."""
    lane = queue.lanes.get(envelope.pair)
    return queue if lane is None or envelope.id > queue.last_id else lane
