"""The hot half of a link: from a read to the owner, from what is sent to one write.

Most reads are messages on an open link and nothing else: their frames go to the owner at once. All else is the
other half's, link.py. What is sent while a read is handled goes out at its end (turn.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from parley.shared.compiled import core
from parley.shared.errors import RemoteProtocolError
from parley.shared.link.session import Session
from parley.shared.link.turn import SEND_LIMIT, TURN, Turn
from parley.shared.telemetry.tallies import Counts
from parley.shared.wire.framing import Frame, count_frames, count_sent

__all__ = ["SEND_LIMIT", "TURN", "LinkIO"]


class Owner(Protocol):
    """The object that gets a link's messages."""

    def messages_received(self, link: Any, frames: list[Frame]) -> int | None:
        """One read's messages; how many were handled before the turn was over (turn.py), or None for all.

        Raise RemoteProtocolError to have the link hung up.
        """


class LinkIO:
    """Reads and writes for a Link, which is a subclass. The core has the same class (shared/core/io/link.c).

    There the owner can have messages take a fast path first (`use_fast_path`); what is left of a read comes to
    `owner.messages_left(link, frames, index, now)`.
    """

    __slots__ = (
        "_again",
        "_descriptor",
        "_has_backlog",
        "_is_paused",
        "_is_performing",
        "_is_plain",
        "_is_plain_tcp",
        "_is_scheduled",
        "_now",
        "_out",
        "_owner",
        "_queued",
        "_received",
        "_sent",
        "_translate",
        "_translates_all",
        "_transport",
        "_turn",
        "bytes_received",
        "bytes_sent",
        "frames_received",
        "session",
    )

    def __init__(
        self,
        owner: Owner,
        session: Session,
        turn: Turn,
        now: Callable[[], float],
        received: Counts | None,
        sent: Counts | None,
    ) -> None:
        """`received` and `sent` count frames by name."""
        self._owner: Any = owner
        self.session = session
        self._turn = turn
        self._now = now
        self._received = received
        self._sent = sent
        self._transport: Any = None
        """None: not connected."""
        self._descriptor = -1
        """The connection's."""
        self._is_plain_tcp = False
        """Whether the compiled class may write to the descriptor past the transport what would only wait there."""
        self.frames_received = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        self._is_paused = False
        self._is_plain = False
        """Whether the link is open and nothing waits to be told: messages go to the owner as they come."""
        self._has_backlog = False
        self._is_performing = False
        self._again = False
        """Whether something happened meanwhile that `_perform` has to see."""
        self._out: list[bytes] = []
        self._queued = 0
        """Bytes sent in this turn of the loop and not written yet."""
        self._is_scheduled = False
        self._translate: Callable[[bytes], bytes] | None = None
        """Gives the bytes for another dialect, and nothing where they are written later."""
        self._translates_all = False
        """Whether the compiled class leaves all that is sent to it, and has nothing for a fast path."""

    def use_fast_path(self, taker: object, source: object) -> None:
        """Have what this source sends take a fast path first: only the compiled class has one."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what waits to be written, and of the fast path: the link is over."""
        self._out = []

    # What the other half does ----------------------------------------------------------------

    def _hold(self, frames: list[Frame]) -> None:
        """Have frames wait: this turn is over."""
        raise NotImplementedError

    def _read_on(self, data: bytes) -> None:
        """Take a read that has to wait, or of which a part has to."""
        raise NotImplementedError

    def _take_frames(self, frames: list[Frame]) -> None:
        """Take frames that are not for the owner alone."""
        raise NotImplementedError

    def _perform(self) -> None:
        """Do what the session says."""
        raise NotImplementedError

    def _failed(self, error: BaseException) -> bool:
        """The owner raised this; whether it is the other side's fault, and has been answered."""
        raise NotImplementedError

    def _flushed(self, was_full: bool) -> None:
        """Frames were written to a link that is or was full."""
        raise NotImplementedError

    # Reading --------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Handle a read, no more than TURN bytes a turn: others have their turns, too."""
        now = self._now()
        if self._has_backlog or len(data) > TURN or self._turn.is_busy(now):
            self._read_on(data)
        else:
            self.bytes_received += len(data)
            self._turn.begin(now)
            self.receive(data)

    def receive(self, data: bytes) -> None:
        """Handle a read, or a part of one."""
        reader = self.session.reader
        reader.fed_at = self._now()
        frames = reader.feed(data)
        if reader.buffered:
            self._turn.held += len(data)
        if self._received is not None:
            count_frames(frames, self._received)
        self._turn.is_reading = True
        try:
            if not self._is_plain or reader.has_control or reader.error is not None:
                self._take_frames(frames)
            elif frames:
                self._pass_on(frames)
        finally:
            self._turn.end()
            self._turn.last = self._now()

    def _pass_on(self, frames: list[Frame]) -> None:
        """Hand messages to the owner; what has to wait is held."""
        outer, self._is_performing = self._is_performing, True  # whoever performs goes on with it
        at: int | None = 1
        try:
            at = self._owner.messages_received(self, frames)
        except RemoteProtocolError as error:
            self._failed(error)
        else:
            if at is not None and at < len(frames):
                self._hold(frames[at:])
        finally:
            self._is_performing = outer
            self.frames_received += len(frames) if at is None else at
        if self._again and not outer:
            self._again = False
            self._perform()

    # Writing ----------------------------------------------------------------------------------------

    @property
    def writable(self) -> bool:
        """Whether there is room for more: in the connection's buffer, and in what this turn writes to it."""
        return not self._is_paused and self._queued < SEND_LIMIT

    def send(self, raw: bytes) -> None:
        """Queue a frame; it goes out at the end of the read that is handled, or of this turn of the loop.

        Nothing goes out on a link that is over.
        """
        transport, turn = self._transport, self._turn
        if transport is None or transport.is_closing():
            return
        if self._translate is not None and not (raw := self._translate(raw)):
            return
        size = len(raw)
        self._out.append(raw)
        self._queued += size
        turn.produced += size
        if not self._is_scheduled:
            self._is_scheduled = True
            turn.flush_later(self)

    def send_run(self, raw: bytes, name: str, count: int) -> None:
        """The same for several frames of one name, which follow each other."""
        if count > 1 and self._sent is not None:
            self._sent.add(name, count - 1)  # it counts once when it is written
        self.send(raw)

    def flush(self) -> None:
        """One write for all that was sent in this turn."""
        self._is_scheduled = False
        out, self._out = self._out, []
        if not out:
            return
        if self._transport is not None:
            data = out[0] if len(out) == 1 else b"".join(out)
            self.bytes_sent += len(data)
            if self._sent is not None:
                count_sent(out, self._sent)
            self._transport.write(data)
            self._turn.held += len(data)
        was_full, self._queued = self._queued >= SEND_LIMIT, 0
        if was_full or self._is_paused:
            self._flushed(was_full)


if not TYPE_CHECKING and core is not None:
    LinkIO = core.LinkIO
