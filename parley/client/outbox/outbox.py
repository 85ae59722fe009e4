"""Frames that must reach the server: sent in order, as fast as the link takes them, again until answered.

A link that is given more than it can carry is given up (link.py, BUFFER_LIMIT), and an outbox of documents
is more than that: so what goes out waits here, and the link's buffer is never filled beyond its mark.

What is large holds up only what is for the same recipient. To a server that takes them it goes in pieces
(shared/wire/pieces.py), among which all else goes; to another it goes behind all else once it was lost with a link.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from google.protobuf.message import Message

from parley.shared.addresses import Recipient
from parley.shared.link.link import Link
from parley.shared.wire.messages import encode, pb
from parley.shared.wire.pieces import SUSPECT, WHOLE, Sending, Whole, Window

NO_ROOM_WAIT: Final = 5.0
"""Seconds until a server is asked again that had no room."""


class UnansweredFrame:
    """One without an answer yet. `to`: the recipient, for its order; None: a request, which has none."""

    __slots__ = ("is_written", "name", "payload", "size", "to", "was_sent", "written")

    def __init__(self, name: str, payload: Message, to: Recipient | None) -> None:
        self.name = name
        self.payload = payload
        self.to = to
        self.size = payload.ByteSize()
        self.was_sent = False
        """Whether it was on a link that was lost before it was answered."""
        self.is_written = False
        """Whether it was ever given to a link."""
        self.written: asyncio.Future[None] | None = None
        """Done when it is, or need not be any more; made when somebody waits for that."""

    def settle(self) -> None:
        """It was given to a link, or need not be."""
        self.is_written = True
        if self.written is not None and not self.written.done():
            self.written.set_result(None)


class Outbox:
    """Numbered messages without an answer yet, in the order in which they were added.

    `refused` hears the number of one that is too large for the server.
    """

    def __init__(self, refused: Callable[[int], None] = lambda _number: None) -> None:
        self._refused = refused
        self._unanswered: dict[int, UnansweredFrame] = {}
        self._unsent: deque[int] = deque()
        """The numbers of those that the present link has not been given yet."""
        self._apart: dict[Recipient, deque[int]] = {}
        """The same of recipients to whom something large goes: behind all others, one recipient after another."""
        self._link: Link | None = None
        self._sending: tuple[int, Sending] | None = None
        self._window = Window()

    def add(self, number: int, name: str, payload: Message, to: Recipient | None = None) -> None:
        """Send it now where there is a link, and over each link to come, until `forget`."""
        frame = self._unanswered[number] = UnansweredFrame(name, payload, to)
        if self._link is not None:
            if to is not None and (to in self._apart or self._goes_apart(frame)):
                self._apart.setdefault(to, deque()).append(number)
            else:
                self._unsent.append(number)
            self.pump()

    def forget(self, number: int) -> None:
        """Forget a frame: it need not be sent again."""
        frame = self._unanswered.pop(number, None)
        if frame is not None:
            frame.settle()
        if self._sending is not None and self._sending[0] == number:
            self._stop()
            self.pump()

    def was_sent(self, number: int) -> bool:
        """Whether a frame was on a link that was lost before it was answered."""
        frame = self._unanswered.get(number)
        return frame is not None and frame.was_sent

    async def wait_written(self, number: int) -> None:
        """Wait until a frame was given to a link: the first, or the next where there is none now."""
        frame = self._unanswered.get(number)
        if frame is not None and not frame.is_written:
            frame.written = frame.written or asyncio.get_running_loop().create_future()
            await asyncio.shield(frame.written)

    def close(self) -> None:
        """Let go of those who wait: nothing is written any more."""
        for frame in self._unanswered.values():
            frame.settle()

    def attach(self, link: Link) -> None:
        """Everything goes out again over a new link; what is large, and what follows it to the same, last."""
        self._link = link
        apart = {frame.to for frame in self._unanswered.values() if self._goes_apart(frame)}
        for number, frame in self._unanswered.items():
            if frame.to is not None and frame.to in apart:
                self._apart.setdefault(frame.to, deque()).append(number)
            else:
                self._unsent.append(number)
        self.pump()

    def detach(self) -> None:
        """Keep what has no answer for the next link."""
        self._link = self._sending = None
        unsent = {*self._unsent, *(number for numbers in self._apart.values() for number in numbers)}
        for number, frame in self._unanswered.items():
            frame.was_sent = frame.was_sent or number not in unsent
        self._unsent.clear()
        self._apart.clear()
        self._window.lost(time.monotonic())

    @property
    def _takes_pieces(self) -> bool:
        return self._link is not None and self._link.takes_pieces

    def _goes_apart(self, frame: UnansweredFrame) -> bool:
        """Whether it may hold up others: it was lost before, and fills a packet, or is large and goes in pieces."""
        if frame.to is None:
            return False
        if frame.was_sent:
            return frame.size > SUSPECT
        return self._takes_pieces and frame.size > WHOLE

    # Out ----------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Give the link what it has room for."""
        link = self._link
        while self._unsent and link is not None and link.writable:
            self._send(link, self._unsent.popleft())
        while self._apart and self._sending is None and link is not None and link.writable and not self._unsent:
            to, numbers = next(iter(self._apart.items()))
            if numbers:
                self._send(link, numbers.popleft())
            else:
                del self._apart[to]
        self._send_pieces()

    def _send(self, link: Link, number: int) -> None:
        frame = self._unanswered.get(number)
        if frame is None:
            return
        if self._takes_pieces and self._goes_apart(frame):
            sending = Sending(frame.payload.SerializeToString(), self._window)
            self._sending = number, sending
            link.send(encode("PIECE", sending.question()))
        else:
            link.send(encode(frame.name, frame.payload))
        frame.settle()

    def _send_pieces(self) -> None:
        while self._sending is not None and self._link is not None and self._link.writable:
            piece = self._sending[1].next_piece(time.monotonic())
            if piece is None:
                break
            self._link.send(encode("PIECE", piece))

    def _stop(self) -> None:
        if self._sending is not None:
            self._sending[1].stop()
            self._sending = None

    def piece_answered(self, answer: pb.PieceReceived) -> None:
        """The server says how much it has of what goes there in pieces.

        Raises:
            UnexpectedMessage: more than was sent.

        """
        if self._sending is None or self._sending[1].whole != Whole.read(answer.whole):
            return
        number, sending = self._sending
        if answer.result == pb.PieceReceived.REFUSED:
            self._stop()
            self._refused(number)
        elif answer.result == pb.PieceReceived.LATER:
            asyncio.get_running_loop().call_later(NO_ROOM_WAIT, self._ask_again, sending)
        else:
            sending.answer(answer.offset, time.monotonic())
            if sending.is_done:
                self._stop()
        self.pump()

    def _ask_again(self, sending: Sending) -> None:
        if self._sending is not None and self._sending[1] is sending and self._link is not None:
            sending.ask_again()
            self._link.send(encode("PIECE", sending.question()))
