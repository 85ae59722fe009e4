"""Large messages travel in pieces, and go on where a link broke (protocol.md, "In pieces"). Pure.

`Sending` is one transfer at the side that has the whole, `Window` how much of all its transfers may be unanswered,
`Partials` what came so far at the other side. Both sides know a whole by its hash: so a transfer goes on over the
next link, and with another process of the sender. What is shared here knows nothing of chat: files travel so, too.
Times are seconds, monotonic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from typing import Final, NamedTuple

from parley.shared.errors import UnexpectedMessage
from parley.shared.wire.messages import pb

SUSPECT: Final = 1024
"""Bytes of a frame: what is larger may fill a packet, and be what could not pass."""
WHOLE: Final = 32 * 1024
"""Bytes of a frame: what is larger goes in pieces where the other side takes them."""
HASH: Final = 32
"""Bytes."""
FIRST: Final = 8 * 1024
"""Bytes that may be unanswered at first, and on each new link."""
LEAST: Final = 512
"""… and where nothing larger passes: with what is around it, less than any path's smallest packet."""
MOST: Final = 512 * 1024
PIECE: Final = 64 * 1024
"""Bytes of the largest piece."""
SHARE: Final = 4
"""A window is of so many pieces."""
WIDENS, NARROWS = 0.25, 1.0
"""Seconds: an answer within the first doubles the window, one beyond the second halves it. What others send waits
for what is on its way before it, so this is how long they wait at a slow line."""
STALLED: Final = 2.0
"""Seconds without an answer before a link was lost that tell of a piece that could not pass."""


class Whole(NamedTuple):
    """The message that the pieces are of."""

    digest: bytes
    size: int
    kind: int = pb.Whole.MESSAGE

    @classmethod
    def of(cls, data: bytes | memoryview, kind: int = pb.Whole.MESSAGE) -> Whole:
        """That of these bytes."""
        return cls(blake2b(data, digest_size=HASH).digest(), len(data), kind)

    @classmethod
    def read(cls, whole: pb.Whole) -> Whole:
        """The one that a frame names; UnexpectedMessage where that is none."""
        if len(whole.hash) != HASH or not whole.size:
            raise UnexpectedMessage("a piece of nothing that can be told", "out_of_range")
        return cls(whole.hash, whole.size, whole.kind)

    def to_pb(self) -> pb.Whole:
        """As a frame names it."""
        return pb.Whole(hash=self.digest, size=self.size, kind=pb.Whole.Kind.Name(self.kind))


class Window:
    """How many bytes may be on their way and unanswered, of all transfers over one link."""

    def __init__(self) -> None:
        self.size = FIRST
        self._ceiling = MOST
        self._in_flight = 0
        self._heard_at = 0.0
        self._changed_at = 0.0

    @property
    def piece(self) -> int:
        """Bytes of the next piece."""
        return min(PIECE, max(LEAST, self.size // SHARE))

    @property
    def has_room(self) -> bool:
        """Whether another piece may go out."""
        return self._in_flight == 0 or self._in_flight + self.piece <= self.size

    def sent(self, count: int, now: float) -> None:
        """So many bytes went out."""
        if self._in_flight == 0:
            self._heard_at = now
        self._in_flight += count

    def answered(self, count: int, sent_at: float, now: float) -> None:
        """So many bytes are there, that were sent at that time."""
        self._in_flight -= count
        self._heard_at = now
        if sent_at < self._changed_at:
            return  # it was on its way before the window was what it is
        if now - sent_at < WIDENS:
            self._resize(min(self._ceiling, 2 * self.size), now)
        elif now - sent_at > NARROWS:
            self._resize(max(LEAST, self.size // 2), now)

    def _resize(self, size: int, now: float) -> None:
        self.size, self._changed_at = size, now

    def forget(self, count: int) -> None:
        """So many bytes will not be answered."""
        self._in_flight -= count

    def lost(self, now: float) -> None:
        """The link is gone. Where it had stalled, a piece as large may be what cannot pass: half of it is tried."""
        if self._in_flight and now - self._heard_at > STALLED:
            self._ceiling = max(LEAST, min(self.size, self._ceiling) // 2)
        self._in_flight = 0
        self._resize(min(FIRST, self._ceiling), now)


class Sending:
    """One whole on its way, over one link: first it is asked how much of it is there."""

    def __init__(self, data: bytes | memoryview, window: Window, kind: int = pb.Whole.MESSAGE) -> None:
        self._data = memoryview(data)
        self._window = window
        self.whole = Whole.of(self._data, kind)
        self._named = self.whole.to_pb()
        self.is_asking = True
        self.received = 0
        """Bytes that are there, as the other side said."""
        self._sent = self._settled = 0
        self._on_their_way: deque[tuple[int, float]] = deque()
        """(offset behind a piece, when it was sent)."""

    @property
    def is_sent(self) -> bool:
        """Whether every byte has been sent."""
        return self._sent == self.whole.size

    @property
    def is_done(self) -> bool:
        """Whether the other side has taken it."""
        return not self.is_asking and self.received == self.whole.size

    def question(self) -> pb.Piece:
        """Ask how much is there."""
        return pb.Piece(whole=self._named)

    def ask_again(self) -> None:
        """There was no room: nothing is sent until it has been asked again how much is there."""
        self.stop()
        self.is_asking = True

    def next_piece(self, now: float) -> pb.Piece | None:
        """The next piece, if one may go out."""
        if self.is_asking or self.is_sent or not self._window.has_room:
            return None
        begin, end = self._sent, min(self.whole.size, self._sent + self._window.piece)
        self._sent = end
        self._window.sent(end - begin, now)
        self._on_their_way.append((end, now))
        return pb.Piece(whole=self._named, offset=begin, data=bytes(self._data[begin:end]))

    def answer(self, offset: int, now: float) -> bool:
        """So much is there; whether that is more than before.

        Less: the other side forgot some, and it is sent again from there.

        Raises:
            UnexpectedMessage: it says to have what was never sent.

        """
        if offset > (self.whole.size if self.is_asking else self._sent):
            raise UnexpectedMessage("more of a whole was received than was sent", "out_of_range")
        if self.is_asking or offset < self.received:
            self.stop()
            self.is_asking = False
            self._sent = self._settled = self.received = offset
            return False
        is_more, self.received = offset > self.received, offset
        while self._on_their_way and self._on_their_way[0][0] <= offset:
            end, at = self._on_their_way.popleft()
            self._window.answered(end - self._settled, at, now)
            self._settled = end
        return is_more

    def stop(self) -> None:
        """Stop: the pieces in flight will not be answered, or do not matter."""
        self._window.forget(self._sent - self._settled)
        self._settled = self._sent
        self._on_their_way.clear()


class Limits(NamedTuple):
    """Limits of what may lie half received."""

    size: int
    """Bytes of one whole."""
    peer_wholes: int = 32
    """Wholes of one peer."""
    peer_bytes: int = 16 * 1024 * 1024
    all_bytes: int = 64 * 1024 * 1024
    idle: float = 30.0
    """Seconds without a piece from which one makes room for another of the same peer."""
    expiry: float = 900.0
    """Seconds without a piece after which it is forgotten."""


class Partial:
    """One whole that is being received, from its beginning on."""

    __slots__ = ("_hash", "data", "handed_to", "touched")

    def __init__(self) -> None:
        self.data = bytearray()
        self._hash = blake2b(digest_size=HASH)
        self.touched = 0.0
        self.handed_to: object = None
        """Over which link it was whole and was handed on; None: it is not whole."""

    def append(self, data: bytes | memoryview) -> None:
        """The next bytes."""
        self.data += data
        self._hash.update(data)

    def is_whole(self, whole: Whole) -> bool:
        """Whether all is there, and is what was announced."""
        return len(self.data) == whole.size and self._hash.digest() == whole.digest


class Taken(NamedTuple):
    """The outcome of a piece."""

    offset: int
    result: int = pb.PieceReceived.OK
    data: bytes | None = None
    """All bytes, once they are there; and again where another link asks for what was whole before."""


class Partials:
    """The pieces that have come so far, by peer. `limited` is told what a limit stopped: bytes, or messages.

    A whole that was handed on stays for as long as there is room: who did not hear that it came asks over its next
    link, and it is handed on once more instead of being sent again.
    """

    def __init__(self, limits: Limits, limited: Callable[[str], None] = lambda _what: None) -> None:
        self._limits = limits
        self._limited = limited
        self._peers: dict[object, dict[Whole, Partial]] = {}
        self._sizes: dict[object, int] = {}
        self.size = 0
        """Bytes of them all."""
        self._swept = 0.0

    def __len__(self) -> int:
        return sum(map(len, self._peers.values()))

    def receive(self, peer: object, link: object, whole: Whole, offset: int, data: bytes, now: float) -> Taken:
        """A piece came from a peer over a link; without data: it asks."""
        if whole.size > self._limits.size:
            self._limited("bytes")
            return Taken(0, pb.PieceReceived.REFUSED)
        self.expire(now)
        partial = self._peers.get(peer, {}).get(whole)
        if partial is not None and partial.handed_to is not None:
            return self._again(partial, link, now)
        have = len(partial.data) if partial is not None else 0
        new = memoryview(data)[have - offset :] if offset <= have else memoryview(b"")
        if not new or have + len(new) > whole.size:
            return Taken(have)
        if partial is None and not self._has_place(peer, now):
            return Taken(0, pb.PieceReceived.LATER)
        if not self._has_room(peer, whole, len(new), now):
            return Taken(have, pb.PieceReceived.LATER)
        partial = self._begin(peer, whole) if partial is None else partial
        partial.touched = now
        partial.append(new)
        self._count(peer, len(new))
        return self._end(peer, link, whole, partial)

    def _begin(self, peer: object, whole: Whole) -> Partial:
        self._sizes.setdefault(peer, 0)
        return self._peers.setdefault(peer, {}).setdefault(whole, Partial())

    def _end(self, peer: object, link: object, whole: Whole, partial: Partial) -> Taken:
        """Hand it on where it is whole; what is not what it was announced as has to come again."""
        if len(partial.data) < whole.size:
            return Taken(len(partial.data))
        if not partial.is_whole(whole):
            self._drop(peer, whole)
            return Taken(0)
        partial.handed_to = link
        return Taken(whole.size, data=bytes(partial.data))

    @staticmethod
    def _again(partial: Partial, link: object, now: float) -> Taken:
        partial.touched = now
        if partial.handed_to is link:
            return Taken(len(partial.data))
        partial.handed_to = link
        return Taken(len(partial.data), data=bytes(partial.data))

    # Room -------------------------------------------------------------------------------------------

    def _has_place(self, peer: object, now: float) -> bool:
        """Whether another whole of this peer may begin; one that lies idle makes room."""
        mine = self._peers.get(peer, {})
        if len(mine) < self._limits.peer_wholes or self._make_room(peer, None, now):
            return True
        self._limited("messages")
        return False

    def _has_room(self, peer: object, whole: Whole, more: int, now: float) -> bool:
        limits = self._limits
        while self._sizes.get(peer, 0) + more > limits.peer_bytes:
            if not self._make_room(peer, whole, now):
                self._limited("bytes")
                return False
        while self.size + more > limits.all_bytes:
            largest = max(self._sizes, key=self._sizes.__getitem__, default=peer)
            is_larger = largest != peer and self._sizes[largest] > self._sizes.get(peer, 0) + more
            if not (self._take_from(largest) if is_larger else self._make_room(peer, whole, now)):
                self._limited("bytes")
                return False
        return True

    def _make_room(self, peer: object, but: Whole | None, now: float) -> bool:
        """Forget what of this peer was handed on, or else what lies idle: the longest untouched."""
        mine = self._peers.get(peer, {})
        spare = [
            (partial.handed_to is None, partial.touched, whole)
            for whole, partial in mine.items()
            if whole != but and (partial.handed_to is not None or partial.touched + self._limits.idle < now)
        ]
        if spare:
            self._drop(peer, min(spare)[2])
        return bool(spare)

    def _take_from(self, peer: object) -> bool:
        """The peer that has most makes room for one that has less, idle or not."""
        mine = self._peers[peer]
        self._limited("bytes")
        self._drop(peer, min(mine, key=lambda whole: (mine[whole].handed_to is None, mine[whole].touched)))
        return True

    def _drop(self, peer: object, whole: Whole) -> None:
        mine = self._peers[peer]
        self._count(peer, -len(mine.pop(whole).data))
        if not mine:
            del self._peers[peer], self._sizes[peer]

    def _count(self, peer: object, more: int) -> None:
        self._sizes[peer] += more
        self.size += more

    def expire(self, now: float) -> None:
        """Forget what nobody went on with."""
        if now < self._swept + self._limits.expiry / 10:
            return
        self._swept = now
        for peer, mine in list(self._peers.items()):
            for whole in [whole for whole, partial in mine.items() if partial.touched + self._limits.expiry < now]:
                self._drop(peer, whole)
