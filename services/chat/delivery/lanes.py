"""Lanes: a large message holds up nobody but its own pair of author and recipient. Pure; seconds, monotonic.

A link carries one thing after the other. So what takes long, or cannot pass at all (a path with a smaller packet
size that nobody tells of, a line that breaks before it is through), would hold up everything behind it, and after
each loss again. Therefore a pair has a lane of its own beside the destination's queue

- while something large of it travels in pieces (shared/wire/pieces.py), to a server that takes them: what follows
  within the pair waits until all of it is there, and all others go in between the pieces;
- while its next message bears a number of which another is on its way and unanswered (in_flight.py, `must_wait`);
- once a link was lost with something large of it unanswered: it goes out behind all others, whole or in pieces, one
  at a time, and later each time that it is lost without having come any further.

Within a pair nothing overtakes anything. What has not passed for `stuck_ttl`, since it was lost first or last came
further, is given up while there is a link, or with the next one; of each time without a link only the first minute
counts (`GAP`). Lanes are not written down: after a restart all waits in one queue again, in the same order.

    ready     its turn has come, or will when there is room: out it goes, until something large is at its head
    active    its head travels in pieces; what follows waits
    held      its head waits for the answer to another message of its pair
    suspect   its head was on a link that was lost: it waits for its turn, behind all others
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush
from itertools import count, islice
from typing import Final

from parley.services.chat.delivery.paths import NO_ROOM_WAIT, Lane, Path
from parley.services.chat.message.life import Envelope
from parley.services.chat.message.model import Destination, Pair
from parley.services.chat.roster import ChatLink, Roster
from parley.services.chat.storage.mailbox import Mailbox
from parley.shared.wire.messages import encode, pb
from parley.shared.wire.pieces import SUSPECT, WHOLE, Sending, Whole

TRANSFERS: Final = 4
"""Transfers to one destination that share its window; the others wait for their turn."""
SLACK: Final = 1000
"""Wakings held beyond one for each destination."""

Stuck = Callable[[Destination, Envelope, bool], bool]
"""Gives a message up; whether it is refused there (and not only stuck) is said. False: not just now."""


class Lanes:
    """The lanes of all destinations. `send_next` sends what waits first in a lane, where there is room for it."""

    def __init__(
        self,
        roster: Roster,
        mailbox: Mailbox,
        *,
        stuck_ttl: float,
        send_next: Callable[[Destination, Pair, float], Envelope | None],
        stuck: Stuck,
    ) -> None:
        self._roster = roster
        self._mailbox = mailbox
        self._stuck_ttl = stuck_ttl
        self._send_next = send_next
        self._stuck = stuck
        self.paths: dict[Destination, Path] = {}
        self._wakings: list[tuple[float, int, Destination]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self.paths)

    def lane_of(self, destination: Destination, envelope: Envelope) -> Lane | None:
        """The lane that an envelope has to wait in."""
        path = self.paths.get(destination)
        return path.lanes.get(envelope.pair) if path is not None else None

    def is_held(self, destination: Destination, envelope: Envelope) -> bool:
        """Whether a pair's next message waits for the answer to another of the pair."""
        path = self.paths.get(destination)
        return path is not None and envelope.pair in path.held

    def carries(self, destination: Destination, envelope: Envelope, links: Sequence[ChatLink]) -> bool:
        """Whether an envelope goes over these links in pieces: it is large, or was lost whole before."""
        if (
            envelope.size <= (SUSPECT if envelope.attempts else WHOLE)
            or len(links) != 1
            or not links[0].takes_pieces
        ):
            return False
        path = self.paths.get(destination)
        if path is not None and path.link not in (None, links[0]):
            return False
        return isinstance(destination, str) or len(self._roster.clients(destination)) == 1

    # Out ------------------------------------------------------------------------------------

    def begin(self, destination: Destination, envelope: Envelope, link: ChatLink, now: float) -> None:
        """An envelope is to go in pieces, now or when its turn comes; what follows in its pair waits."""
        path = self.paths.setdefault(destination, Path())
        path.link = link
        lane = self._open(destination, path, envelope.pair, [])
        lane.begin(envelope)
        path.move(lane, path.active)
        self._send_pieces(path, now)

    def _open(self, destination: Destination, path: Path, pair: Pair, envelopes: list[Envelope]) -> Lane:
        lane = path.lanes.get(pair)
        if lane is None:
            lane = path.lanes[pair] = Lane(pair)
        self._mailbox.open_lane(destination, pair, envelopes)
        return lane

    def pump(self, destination: Destination, now: float) -> None:
        """Send what may go out: whole where its turn has come, and pieces."""
        path = self.paths.get(destination)
        if path is None:
            return
        if self._mailbox.is_clear(destination) and self._has_link(destination):  # all others first
            has_room = self._empty_ready(destination, path, now)
            while has_room and path.suspects and path.may_try(now):
                path.move(next(iter(path.suspects.values())), path.ready)
                has_room = self._empty_ready(destination, path, now, is_suspect=True)
        self._send_pieces(path, now)
        self._look_after(destination, path, now)

    def _has_link(self, destination: Destination) -> bool:
        if isinstance(destination, str):
            return self._roster.server(destination) is not None
        return bool(self._roster.clients(destination))

    def _empty_ready(self, destination: Destination, path: Path, now: float, *, is_suspect: bool = False) -> bool:
        """Send what waits in these lanes, and close those that are empty; False where there was no room."""
        for lane in list(path.ready.values()):
            while (
                lane.pair in path.ready and (envelope := self._send_next(destination, lane.pair, now)) is not None
            ):
                if is_suspect and envelope.size > SUSPECT and lane.head is None:
                    path.trying = envelope
            if lane.head is not None or lane.pair not in path.ready:
                continue
            if not self._mailbox.lane_is_empty(destination, lane.pair):
                return False
            del path.lanes[lane.pair], path.ready[lane.pair]
            self._mailbox.close_lane(destination, lane.pair)
        return True

    @staticmethod
    def _send_pieces(path: Path, now: float) -> None:
        if path.link is None or not path.active:
            return
        going = list(islice((lane for lane in path.active.values() if lane.not_before <= now), TRANSFERS))
        for lane in going:
            if lane.sending is None and lane.head is not None:
                lane.sending = Sending(_payload(lane.head.raw), path.window)
                path.sendings[lane.sending.whole] = lane
                path.link.send(encode("PIECE", lane.sending.question()))
        while going and path.link.writable:
            going = [lane for lane in going if _send_piece(path.link, lane, now)]

    def hold(self, destination: Destination, envelope: Envelope) -> None:
        """An envelope that was taken has to wait for the answer to another of its pair: `may_go_on`."""
        path = self.paths.setdefault(destination, Path())
        path.move(self._open(destination, path, envelope.pair, [envelope]), path.held)

    def may_go_on(self, destination: Destination, envelope: Envelope) -> None:
        """A message was answered, or holds up nobody any more."""
        path = self.paths.get(destination)
        if path is not None and (lane := path.held.get(envelope.pair)) is not None:
            path.move(lane, path.ready)

    # Back -----------------------------------------------------------------------------------------

    def received(self, destination: Destination, answer: pb.PieceReceived, now: float) -> None:
        """Somebody says how much of something they have.

        Raises:
            UnexpectedMessage: it has what was never sent to it.

        """
        path, whole = self.paths.get(destination), Whole.read(answer.whole)
        lane = path.sendings.get(whole) if path is not None else None
        if path is None or lane is None or lane.sending is None or lane.head is None:
            return  # it was given up meanwhile
        if answer.result == pb.PieceReceived.REFUSED:
            self._stuck(destination, lane.head, True)
        elif answer.result == pb.PieceReceived.LATER:  # others first
            path.halt(lane)
            path.move(lane, path.active)
            lane.not_before = path.ask_at = now + NO_ROOM_WAIT
        else:
            is_more = lane.sending.answer(answer.offset, now)
            self._came(path, lane, lane.sending, now, is_more=is_more)

    @staticmethod
    def _came(path: Path, lane: Lane, sending: Sending, now: float, *, is_more: bool) -> None:
        """So much of a lane's head is there; `is_more`: than before, over this link.

        A server that was restarted has less than it had. It need not wait for the rest; but one that loses it again
        and again never gets all of it.
        """
        is_most = sending.received > lane.best
        if is_more or is_most:
            path.passed()
        if is_most:
            lane.best = sending.received
            if lane.head in path.stuck:
                path.stuck[lane.head] = now
        if sending.is_done:
            path.finish(lane)

    def answered(self, destination: Destination, envelope: Envelope) -> None:
        """An envelope was answered, or given up."""
        path = self.paths.get(destination)
        if path is None:
            return
        path.stuck.pop(envelope, None)
        if path.trying is envelope:
            path.trying = None
            path.passed()
        lane = path.lanes.get(envelope.pair)
        if lane is not None and lane.head is envelope:
            path.finish(lane)
        self.may_go_on(destination, envelope)
        if path.is_over:
            del self.paths[destination]

    # Links ----------------------------------------------------------------------------------------

    def connected(self, destination: Destination, now: float) -> None:
        """There is a link: what has been stuck for too long by now is given up before anything goes out."""
        if (path := self.paths.get(destination)) is not None:
            path.connected(now)
            path.look_at = self._next_look(path)
            self._give_up(destination, path, now)
            self._look_after(destination, path, now)

    def forget(self, destination: Destination) -> None:
        """There are no lanes there any more."""
        self.paths.pop(destination, None)

    def lost(
        self, destination: Destination, link: ChatLink, envelopes: list[Envelope], now: float, *, cleanly: bool
    ) -> list[Envelope]:
        """A link was lost with these unanswered, in order. Some wait in lanes now; the others are returned.

        `cleanly`: somebody ended it who had no fault to find with what was on it.
        """
        pairs = set() if cleanly else {envelope.pair for envelope in envelopes if envelope.size > SUSPECT}
        path = self.paths.get(destination)
        if path is not None:
            pairs |= path.lanes.keys() & {envelope.pair for envelope in envelopes}
            path.lost(link, envelopes, now, cleanly=cleanly)
        elif pairs:
            path = self.paths[destination] = Path()
        if path is not None and not self._has_link(destination):
            path.lost_at = now
        if path is None or not pairs:
            return envelopes
        apart: dict[Pair, list[Envelope]] = {}
        for envelope in envelopes:
            if envelope.pair in pairs:
                apart.setdefault(envelope.pair, []).append(envelope)
        for pair, mine in apart.items():
            self._set_apart(destination, path, pair, mine, now, cleanly=cleanly)
        if path.suspects and not path.failures and not path.has_passed:
            path.failed(now)
        return [envelope for envelope in envelopes if envelope.pair not in pairs]

    def _set_apart(
        self,
        destination: Destination,
        path: Path,
        pair: Pair,
        envelopes: list[Envelope],
        now: float,
        *,
        cleanly: bool,
    ) -> None:
        lane = self._open(destination, path, pair, envelopes)
        lane.is_kept = True
        path.move(lane, path.ready if cleanly else path.suspects)
        large = next((envelope for envelope in envelopes if envelope.size > SUSPECT), None)
        if large is not None and not cleanly and large not in path.stuck:
            path.stuck[large] = now
            path.look_at = self._next_look(path)

    # Time -----------------------------------------------------------------------------------------

    def retry(self, destination: Destination) -> None:
        """Try at once what would be tried later."""
        if (path := self.paths.get(destination)) is not None:
            path.retry_at = path.ask_at = 0.0
            for lane in path.active.values():
                lane.not_before = 0.0

    def due(self) -> list[float]:
        """When `handle_timeout` must be called."""
        while self._wakings and not self._counts(self._wakings[0]):
            heappop(self._wakings)
        return [self._wakings[0][0]] if self._wakings else []

    def handle_timeout(self, now: float) -> list[Destination]:
        """Give up what has not passed for too long; the destinations that are to be pumped."""
        woken = []
        while (due := self.due()) and due[0] <= now:
            _at, _number, destination = heappop(self._wakings)
            path = self.paths[destination]
            path.wake = None
            if self._has_link(destination):
                self._give_up(destination, path, now)
                self._look_after(destination, path, now)  # the dispatcher pumps only where something waits
                woken.append(destination)
        return woken

    def _give_up(self, destination: Destination, path: Path, now: float) -> None:
        if not path.stuck or path.look_at > now:
            return
        for envelope in [envelope for envelope, since in path.stuck.items() if since + self._stuck_ttl <= now]:
            if self._stuck(destination, envelope, False):
                path.stuck.pop(envelope, None)
            else:  # it is being read just now
                path.stuck[envelope] = now + 1.0 - self._stuck_ttl
        path.look_at = self._next_look(path)

    def _next_look(self, path: Path) -> float:
        return min(path.stuck.values(), default=0.0) + self._stuck_ttl

    def _look_after(self, destination: Destination, path: Path, now: float) -> None:
        """Have it looked after again when that is due, or with the next link; forget it when it is over."""
        if path.is_over:
            self.paths.pop(destination, None)
            return
        at = path.next_wake(now) if self._has_link(destination) else None
        if at is None or (path.wake is not None and path.wake <= at):
            return
        path.wake = at
        heappush(self._wakings, (at, next(self._numbers), destination))
        if len(self._wakings) > 2 * len(self.paths) + SLACK:
            self._wakings = [waking for waking in self._wakings if self._counts(waking)]
            heapify(self._wakings)

    def _counts(self, waking: tuple[float, int, Destination]) -> bool:
        path = self.paths.get(waking[2])
        return path is not None and path.wake == waking[0]


def _send_piece(link: ChatLink, lane: Lane, now: float) -> bool:
    """Send a lane's next piece, if one may go out."""
    piece = lane.sending.next_piece(now) if lane.sending is not None else None
    if piece is None or lane.sending is None or lane.head is None:
        return False
    link.send(encode("PIECE", piece))
    if lane.sending.is_sent:
        lane.head.all_was_sent()
    return True


def _payload(raw: bytes) -> memoryview:
    """The payload of a frame."""
    start = raw.index(b" ", raw.index(b" ") + 1) + 1
    return memoryview(raw)[start:-1]
