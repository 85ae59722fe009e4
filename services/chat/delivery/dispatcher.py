"""Sends what is for a destination, in order and within its window, and keeps what is unanswered. Pure.

Theory of operation. `dispatch` is asked for every new message, and has two answers:

    send   nothing waits for the destination, its pair has no lane, a link is writable, and the window has room
    keep   else: behind all that waits, in the mailbox; False where the mailbox has no room for it

A message that is kept must not be overtaken, nor come before what is in flight after a restart: so all that is in
flight to the destination is written to disk before it (`_save_before`), once.

`pump` sends what waits while there is room. It is called after each answer, with each new link, and when a link is
writable again. The window is one of messages and one of bytes, for each destination (in_flight.py); beyond
ON_THEIR_WAY of all destinations together each has a small share only, so that nobody starves.

Messages in flight are in memory. The persist timer writes those that are not answered soon; deadlines tell
`overdue` of those that are not answered within `ack_timeout`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from parley.services.chat.delivery.author_windows import MANY, AuthorWindows
from parley.services.chat.delivery.fast_path_interface import FastPathInterface, NoFastPath, Sent
from parley.services.chat.delivery.lanes import Lanes, Stuck
from parley.services.chat.delivery.persist_timer import ANSWERING_FACTOR, PersistTimer, Watched
from parley.services.chat.delivery.retries import Retries
from parley.services.chat.message.in_flight import SERVER_WINDOWS, InFlight
from parley.services.chat.message.life import MEMORY, Envelope
from parley.services.chat.message.model import Destination, Pair
from parley.services.chat.roster import ChatLink, Roster, retries_messages
from parley.services.chat.shared_copies.in_flight import SharedCopies, SharedCopy
from parley.services.chat.state import number
from parley.services.chat.storage.bodies import Copy
from parley.services.chat.storage.mailbox import Kept, Mailbox
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

Due = tuple[float, Destination, Envelope]


class Dispatcher:
    """One window per destination. `overdue` hears of what is unanswered for `ack_timeout` seconds.

    `stuck` gives up what did not pass for `stuck_ttl` seconds (lanes.py). `has_lists`: there is an archive.
    """

    def __init__(
        self,
        roster: Roster,
        mailbox: Mailbox,
        *,
        ack_timeout: float,
        persist_delay: float,
        stuck_ttl: float,
        overdue: Callable[[Destination, Envelope], None],
        stuck: Stuck,
        author_windows: AuthorWindows,
        has_lists: bool,
    ) -> None:
        self._roster = roster
        self._mailbox = mailbox
        self._ack_timeout = ack_timeout
        self._persist_delay = persist_delay
        self._overdue = overdue
        self._in_flight: dict[Destination, InFlight] = {}
        self._unanswered: deque[Due] = deque()
        self._persist_timer = PersistTimer(
            self._in_flight,
            delay=persist_delay,
            retry=ack_timeout,
            save=self._save_late,
            save_all=lambda destination: self._save_before(destination, []),
        )
        self.shared: Final = SharedCopies(
            persist_delay, ANSWERING_FACTOR * persist_delay, ack_timeout, self._persist_timer.has_answered
        )
        """The shared copies in flight: whatever happens to one but an answer, its copies are in flight here."""
        self._retries = Retries(ack_timeout)
        self._lanes = Lanes(roster, mailbox, stuck_ttl=stuck_ttl, send_next=self._send_next, stuck=stuck)
        self._state = mailbox.state
        self._author_windows = author_windows
        self.counted: Final = author_windows.of
        """The authors whose messages to other servers are counted, and these."""
        self._has_lists = has_lists
        self.fast_path: FastPathInterface = NoFastPath()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return len(self.fast_path) == 0 and not self.shared.sent and not any(map(len, self._in_flight.values()))

    # Out ------------------------------------------------------------------------------------

    def dispatch(self, destination: Destination, envelope: Envelope, now: float) -> bool:
        """Send at once where nothing waits; else keep. False where there is no room."""
        if len(self.fast_path):
            self.adopt(self.fast_path.settle(destination))
        lane = self._lanes.lane_of(destination, envelope) if self._lanes.paths else None
        is_clear = lane is None and self._mailbox.is_clear(destination)
        if is_clear and (links := self.writable_links(destination)):
            in_flight = self.in_flight_to(destination)
            if self._has_room(in_flight) and not self._must_wait(destination, in_flight, envelope):
                self._send(destination, in_flight, envelope, links, now)
                return True
        if is_clear or (lane is not None and not lane.is_kept) or self._persist_timer.is_behind(destination):
            self._save_before(destination, [])
        if lane is not None:
            lane.is_kept = True
        if self._mailbox.put(destination, envelope) is Kept.FULL:
            return False
        self.pump(destination, now)
        return True

    def pump(self, destination: Destination, now: float) -> None:
        """Send what waits, in order, while there is room."""
        if destination not in self._state.queues:
            return
        if destination not in self._in_flight and not self.writable_links(destination):
            return  # nothing is remembered of who is away
        in_flight = self.in_flight_to(destination)
        while self._has_room(in_flight) and (links := self.writable_links(destination)):
            envelope = self._mailbox.pop(destination)
            if envelope is None:
                break
            if self._must_wait(destination, in_flight, envelope):
                self._lanes.hold(destination, envelope)
            else:
                self._send(destination, in_flight, envelope, links, now)
        self._lanes.pump(destination, now)

    def _send_next(self, destination: Destination, pair: Pair, now: float) -> Envelope | None:
        """Send what waits first in a pair's lane, if there is room; what that was."""
        in_flight = self.in_flight_to(destination)
        links = self.writable_links(destination) if self._has_room(in_flight) else []
        envelope = self._mailbox.pop(destination, pair) if links else None
        if envelope is None:
            return None
        if self._must_wait(destination, in_flight, envelope):
            self._lanes.hold(destination, envelope)
            return None
        self._send(destination, in_flight, envelope, links, now)
        return envelope

    def _must_wait(self, destination: Destination, in_flight: InFlight, envelope: Envelope) -> bool:
        """Whether another message is to be answered first, with which answers would confuse it."""
        if self.shared.sent and self.shared.holds_number(destination, envelope):
            self._adopt_shared(self.shared.settle(destination))
        return envelope.snowflake in in_flight.by_number and in_flight.must_wait(envelope)

    # Shared copies ---------------------------------------------------------------------------

    def takes_shared(self, destination: Destination) -> bool:
        """Whether a shared copy could be sent there at once: it is taken there, and nothing waits."""
        links = self.writable_links(destination) if self._mailbox.is_empty(destination) else ()
        return bool(links) and all(link.takes_shared_copies for link in links)

    def dispatch_shared(self, shared: SharedCopy, now: float) -> bool:
        """Send it at once; False where that cannot be: nothing was done, and each copy is to be dispatched."""
        destination = shared.server_id
        if not shared.snowflake or not self.takes_shared(destination) or self.shared.clashes(shared):
            return False
        if len(self.fast_path):
            self.adopt(self.fast_path.settle(destination))
        in_flight, members = self.in_flight_to(destination), len(shared.missing)
        if shared.snowflake in in_flight.by_number or not self._has_room(in_flight):
            return False
        raw = shared.frame()
        if not self.shared.has_room(shared, len(raw)):
            return False
        shared.first_id = self._state.next_id
        shared.row_id = shared.first_id + members
        self._state.next_id = shared.row_id + 1
        [link] = self.writable_links(destination)
        link.send(raw)
        self.shared.hold(shared, link, len(raw), now)
        self._state.in_flight += members
        self._state.in_flight_bytes += len(raw)
        return True

    def answered_shared(self, shared: SharedCopy, members: int) -> None:
        """So many members of one have a status, and are in it no more."""
        self._state.in_flight -= members
        if self.shared.is_over(shared, members):
            self._end(shared)

    def take_out(self, shared: SharedCopy, member: User, now: float) -> None:
        """Have one member's copy in flight by itself, as something else happens to it."""
        copy = shared.copy_for(member)
        del shared.missing[member]
        is_last = self.shared.is_over(shared, 1)
        self._state.in_flight_bytes += copy.size
        self._hold(shared, copy)
        self._persist_timer.watch(shared.server_id, copy, now)
        if shared.is_written:
            self._mailbox.save(shared.server_id, copy)
        if is_last:
            self._end(shared)

    def _end(self, shared: SharedCopy) -> None:
        self._state.in_flight_bytes -= shared.size
        if shared.is_written:
            self._mailbox.over_shared(shared)

    def _adopt_shared(self, settled: Iterable[SharedCopy]) -> None:
        """From now on each member's copy is in flight as if it had been sent by itself."""
        for shared in settled:
            copies = list(shared.copies())
            self._state.in_flight_bytes += sum(copy.size for copy in copies)
            for copy in copies:
                self._hold(shared, copy)
                if shared.is_written:
                    self._mailbox.save(shared.server_id, copy)
            self._end(shared)
            self._persist_timer.watch_earlier([(shared.sent_at, shared.server_id, copy) for copy in copies])

    def _hold(self, shared: SharedCopy, copy: Copy) -> None:
        last = self._unanswered[-1][0] if self._unanswered else 0.0  # deadlines ascend
        deadline = max(shared.sent_at + self._ack_timeout, last)
        self.in_flight_to(shared.server_id).hold(copy, shared.links, deadline, whole=True)
        self._unanswered.append((copy.due, shared.server_id, copy))

    def heard(self, destination: Destination, now: float) -> None:
        """A destination answered something."""
        self.in_flight_to(destination).answered_at = now

    # Room ------------------------------------------------------------------------------------

    def _has_room(self, in_flight: InFlight) -> bool:
        if (
            self._state.in_flight + len(self.fast_path) < ON_THEIR_WAY
            and self._state.in_flight_bytes + self.fast_path.size < BYTES_ON_THEIR_WAY
        ):
            return len(in_flight.held) < in_flight.window and in_flight.size < in_flight.window_bytes
        return len(in_flight) == 0 or (len(in_flight) < SHARE and in_flight.size < SHARE_BYTES)

    def catch_up(self, user: User) -> None:
        """Write all that is unanswered to each of a user's clients that can be written to.

        Else it would get what is new before what another client, perhaps a dead one, leaves unanswered.
        """
        in_flight = self._unanswered_by(user)
        if in_flight is not None:
            for link in self.writable_links(user):
                in_flight.catch_up(link)

    def in_flight_to(self, destination: Destination) -> InFlight:
        """The messages in flight there, but for those that the fast path has."""
        in_flight = self._in_flight.get(destination)
        if in_flight is None:
            in_flight = InFlight(1 if isinstance(destination, User) else SERVER_WINDOWS)
            self._in_flight[destination] = in_flight
        return in_flight

    def set_window(self, user: User) -> None:
        """A user's clients are others than before: each gets all, so the narrowest window of them counts."""
        asked = [link.window for link in self._roster.clients(user) if link.window]
        if asked or user in self._in_flight:
            self.in_flight_to(user).set_window(min(asked, default=0))

    def leave(self, user: User) -> None:
        """A user is away: where nothing is on its way to them, nothing is to be remembered of them."""
        in_flight = self._in_flight.get(user)
        if in_flight is not None and len(in_flight) == 0:
            del self._in_flight[user]

    def _unanswered_by(self, destination: Destination) -> InFlight | None:
        """All that is on its way there, if anything ever was."""
        if len(self.fast_path):
            self.adopt(self.fast_path.settle(destination))
        if self.shared.sent:
            self._adopt_shared(self.shared.settle(destination))
        return self._in_flight.get(destination)

    def adopt(self, sent: Iterable[Sent]) -> None:
        """Take over what the fast path sent: from now on it is as if it had been sent here."""
        adopted: list[Watched] = []
        for destination, author, snowflake, recipient, raw, origin, at, place, links, key in sent:
            envelope = Envelope(
                author,
                snowflake,
                recipient,
                raw,
                key=key,
                origin=origin,
                arrived=at,
                is_retried_by_origin=bool(origin) and retries_messages(self._roster, origin),
            )
            envelope.id = place
            in_flight = self.in_flight_to(destination)
            # Deadlines ascend. The router's were sent ANSWERING_FACTOR times persist_delay later at most.
            last = self._unanswered[-1][0] if self._unanswered else 0.0
            deadline = max(at + self._ack_timeout, last)
            in_flight.hold(envelope, links, deadline, whole=True)
            self._state.in_flight += 1
            self._state.in_flight_bytes += envelope.size
            self._unanswered.append((envelope.due, destination, envelope))
            # It has the time of its read. What the router sent before it, of the same read, may have a later one.
            in_flight.sent_at = max(at, in_flight.sent_at)
            adopted.append((in_flight.sent_at, destination, envelope))
            if not origin and destination.__class__ is str:
                self._author_windows.add(envelope, at)
        self._persist_timer.watch_earlier(adopted)

    def writable_links(self, destination: Destination) -> list[ChatLink]:
        """The links to a destination that have room."""
        if isinstance(destination, User):
            links = [link for link in self._roster.clients(destination) if link.writable]
            return links if not self._roster.withheld else self._without_withheld(destination, links)
        server = self._roster.server(destination)
        return [server.link] if server is not None and server.link.writable else []

    def _without_withheld(self, user: User, links: list[ChatLink]) -> list[ChatLink]:
        """The links that may have what waits for a user, if anything does."""
        if self._mailbox.is_empty(user):
            return links
        withheld = self._roster.withheld
        return [link for link in links if link not in withheld]

    def _send(
        self,
        destination: Destination,
        in_flight: InFlight,
        envelope: Envelope,
        links: Sequence[ChatLink],
        now: float,
    ) -> None:
        number(self._state, envelope)
        in_flight.sent_at = now
        deadline = now + self._ack_timeout  # not the persist timer's time: that one counts from `now`
        is_in_pieces = envelope.size > SUSPECT and self._lanes.carries(destination, envelope, links)
        if is_in_pieces:
            in_flight.hold(envelope, links, deadline)
        else:
            in_flight.send(envelope, links, deadline)
        self._state.in_flight += 1
        self._state.in_flight_bytes += envelope.size
        self._unanswered.append((envelope.due, destination, envelope))
        if len(in_flight.held) >= MANY and not envelope.origin and isinstance(destination, str):
            self._author_windows.add(envelope, now)
        if envelope.durability is MEMORY:
            self._persist_timer.watch(destination, envelope, now)
        if is_in_pieces:
            self._lanes.begin(destination, envelope, links[0], now)

    def _may_retry(self, destination: Destination, envelope: Envelope) -> bool:
        """Whether it may be written there twice: clients and Parleys take it once, existing servers do not.

        What is large has a lane of its own to a server.
        """
        if isinstance(destination, User):
            return True
        if envelope.size > WHOLE:
            return False
        server = self._roster.server(destination)
        return server is not None and server.confirms

    def is_held(self, destination: Destination, envelope: Envelope) -> bool:
        """Whether it only waits for the answer to another message of its pair that bears its number."""
        return bool(self._lanes.paths) and self._lanes.is_held(destination, envelope)

    def held_by(self, destination: Destination, envelope: Envelope) -> Sequence[Envelope]:
        """The messages in memory that wait for the answer to that one."""
        if not self._lanes.paths or not self._lanes.is_held(destination, envelope):
            return ()
        return [each for each in self._mailbox.messages_in_memory(destination) if each.pair == envelope.pair]

    def is_open(self, destination: Destination) -> bool:
        """Whether a message would be sent there at once: nothing waits, and there is a link with room."""
        return self._mailbox.is_empty(destination) and bool(self.writable_links(destination))

    # Back -----------------------------------------------------------------------------------------

    def find(
        self, destination: Destination, snowflake: int, recipient: User | None = None, author: User | None = None
    ) -> Envelope | None:
        """The oldest unanswered message with that snowflake, of those who are named."""
        in_flight = self._in_flight.get(destination)
        envelope = in_flight.find(snowflake, recipient, author) if in_flight is not None else None
        if envelope is None and len(self.fast_path):  # what is there was sent later
            self.adopt(self.fast_path.settle(destination))
            in_flight = self._in_flight.get(destination)
            envelope = in_flight.find(snowflake, recipient, author) if in_flight is not None else None
        return envelope

    def answered(self, destination: Destination, envelope: Envelope, now: float | None = None) -> None:
        """An envelope is no longer in flight: its destination answered at `now`, or (None) it is given up."""
        in_flight = self._in_flight[destination]
        if now is not None:
            in_flight.answered_at = now
            if self._has_lists and not envelope.origin and next(iter(in_flight.held)) is not envelope:
                self._mailbox.accepted(in_flight.before(envelope))  # its author's list has those first
        in_flight.remove(envelope)
        if self.counted and envelope.author in self.counted:
            self._author_windows.remove(envelope)
        self._state.in_flight -= 1
        self._state.in_flight_bytes -= envelope.size
        if self._lanes.paths:
            self._lanes.answered(destination, envelope)

    def lost(self, destination: Destination, link: ChatLink) -> list[Envelope]:
        """A link is gone: what was on it alone, in order, is no longer on its way."""
        in_flight = self._unanswered_by(destination)
        envelopes = in_flight.remove_link(link) if in_flight is not None else []
        for envelope in envelopes if self.counted else ():
            self._author_windows.remove(envelope)
        self._state.in_flight -= len(envelopes)
        self._state.in_flight_bytes -= sum(envelope.size for envelope in envelopes)
        return sorted(envelopes, key=lambda envelope: envelope.id)  # those of shared copies came to it late

    def forget_lanes(self, destination: Destination) -> None:
        """All that waits there waits in one queue again."""
        self._lanes.forget(destination)

    def given_up(self, destination: Destination, envelope: Envelope) -> None:
        """An envelope was lost, and is not to be sent again."""
        self._lanes.answered(destination, envelope)

    def put_back(
        self, destination: Destination, link: ChatLink, envelopes: list[Envelope], now: float, *, cleanly: bool
    ) -> None:
        """Messages lost with a link wait again, before new ones; those that may not have passed behind all others.

        `cleanly`: the link was ended, and not lost.
        """
        if envelopes:
            self._save_before(destination, envelopes)
        self._mailbox.put_back(destination, self._lanes.lost(destination, link, envelopes, now, cleanly=cleanly))

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
        in_flight = self._unanswered_by(destination)
        self._lanes.retry(destination)
        if in_flight is None:
            return 0
        return in_flight.send_again()

    def _save_late(self, destination: Destination, envelope: Envelope) -> Kept:
        """Write what is not answered soon."""
        if not envelope.origin and isinstance(destination, str):
            self._author_windows.add(envelope, envelope.due - self._ack_timeout)
        return self._mailbox.save(destination, envelope)

    def not_saved(self, destination: Destination) -> None:
        """Something on its way there could not be written."""
        self._persist_timer.not_saved(destination)

    def _save_before(self, destination: Destination, envelopes: list[Envelope]) -> None:
        """Write what is on its way, with these envelopes, in order, before what comes after it is written.

        Else the later one would survive us, and the earlier one, sent again by its author, would come after it.
        """
        self._persist_timer.saving_all(destination)
        in_flight = self._unanswered_by(destination)
        for envelope in sorted(
            [*envelopes, *(in_flight.envelopes if in_flight is not None else ())], key=lambda envelope: envelope.id
        ):
            self._mailbox.save(destination, envelope)

    def drop_deadlines(self) -> None:
        """At the end of a batch: drop those that matter no more, as they come to the front."""
        if self.shared.sent:
            self.shared.drop_answered()
        unanswered = self._unanswered
        while unanswered:
            deadline, _destination, envelope = unanswered[0]
            if envelope.due == deadline:
                break
            unanswered.popleft()
        self._persist_timer.drop_answered(is_idle=self._state.in_flight == 0)
        if self._retries:
            self._retries.drop_answered(self._state.in_flight)
        if (
            len(unanswered) > 2 * self._state.in_flight + SLACK
        ):  # one at the front would hold all that were sent after it
            self._unanswered = deque(due for due in unanswered if due[0] == due[2].due)

    # Time ----------------------------------------------------------------------------------------------

    def due(self) -> Iterable[float]:
        """When `handle_timeout` must be called at the latest."""
        due = [*self._persist_timer.due(), *self._retries.due(), *self._lanes.due()]
        if self.shared.sent:
            due += self.shared.due()
        if self._author_windows.look_at:
            due.append(self._author_windows.look_at)
        if self._unanswered:
            due.append(self._unanswered[0][0])
        due_fast = self.fast_path.due(self._persist_delay)
        return due if due_fast is None else [*due, due_fast]

    def handle_timeout(self, now: float) -> None:
        """Write what was not answered soon; tell of what has been unanswered for too long."""
        self.adopt(self.fast_path.settle_due(now, self._persist_delay))
        if self.shared.sent:
            for shared in self.shared.write_due(now):
                self._mailbox.save_shared(shared)
            self._adopt_shared(self.shared.settle_due(now))
        self._persist_timer.handle_timeout(now)
        while self._unanswered and self._unanswered[0][0] <= now:
            deadline, destination, envelope = self._unanswered.popleft()
            if envelope.due == deadline:
                self._mailbox.save(destination, envelope)  # again, where the disk was full
                self._overdue(destination, envelope)
                self._lanes.may_go_on(destination, envelope)
                if envelope.is_in_flight and self._may_retry(destination, envelope):
                    self._retries.add(envelope, now, immediately=isinstance(destination, User))
                self.pump(destination, now)
        self._retries.handle_timeout(now)
        if self._author_windows.look_at:
            self._author_windows.handle_timeout(now)
        for destination in self._lanes.handle_timeout(now):
            self.pump(destination, now)
