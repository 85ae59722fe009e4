"""Pacing: the frames for a program that loses what comes together, written one at a time.

Between two writes there is a pause. After a message, for a program that takes them one by one, the next message
follows once it has answered. All other frames go first. How many messages wait is bounded by the window of their
recipient, and one that is written again, because it was not answered, waits once; a program that does not take the
other frames either is given up.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections import deque
from collections.abc import Callable
from typing import Final

from parley.shared.dialects.dialect import Dialect
from parley.shared.dialects.rewriting import is_for_parleys, rewrite
from parley.shared.wire.framing import Frame, FrameReader

MOST: Final = 1024 * 1024
"""Bytes of frames that are no messages that may wait; beyond it the link is given up."""


class Pacing:
    """The frames that wait for one link."""

    def __init__(
        self,
        dialect: Dialect,
        write: Callable[[bytes], None],
        too_much: Callable[[], None],
        not_taken: Callable[[Frame], None],
    ) -> None:
        """`write` writes bytes as they are; `not_taken` hears, a little later, of a message that never arrives."""
        self._dialect = dialect
        self._write = write
        self._not_taken = not_taken
        self._too_much = too_much
        self._loop = asyncio.get_running_loop()
        self._others: deque[bytes] = deque()
        self._size = 0
        """Bytes of them."""
        self._messages: dict[bytes, None] = {}
        self._unanswered = b""
        self._gives_up_at = 0.0
        self._gives_up: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False
        """Whether no message is written any more."""
        self._done: Callable[[], None] | None = None
        """Called when the last frame is written, once the link is over."""

    def take(self, raw: bytes) -> bytes:
        """Have frames written one after the other; what may go out at once is returned."""
        for frame in FrameReader(sys.maxsize).feed(raw):
            if frame.name == "MESSAGE" and self._is_never_taken(frame):
                self._loop.call_soon(self._not_taken, frame)
            elif frame.name == "MESSAGE" and frame.raw != self._unanswered:
                self._messages.setdefault(frame.raw)
            else:
                self._others.append(frame.raw)
                self._size += len(frame.raw)
        if self._size > MOST:
            self.close()
            self._loop.call_soon(self._too_much)
        return self._next_or_wait() if self._timer is None else b""

    def _is_never_taken(self, frame: Frame) -> bool:
        return 0 < self._dialect.longest < len(frame.raw) or is_for_parleys(frame)

    def answered(self) -> None:
        """A message was acknowledged."""
        self._unanswered = b""
        if self._timer is None and (out := self._next()):
            self._write(out)

    def _next(self) -> bytes:
        """The next frame, whose pause begins; nothing where none may follow now."""
        if self._others:
            raw = self._others.popleft()
            self._size -= len(raw)
        elif self._may_write_message():
            raw = next(iter(self._messages))
            del self._messages[raw]
            if self._dialect.one_by_one:
                self._unanswered = raw
                self._gives_up_at = self._loop.time() + self._dialect.answers_within
        else:
            return b""
        self._timer = self._loop.call_later(self._dialect.write_gap, self._pause_over)
        return b"".join(rewrite(self._dialect, raw))

    def _may_write_message(self) -> bool:
        if self._is_over or not self._messages:
            return False
        return not self._unanswered or self._loop.time() >= self._gives_up_at

    def _next_or_wait(self) -> bytes:
        """The next frame; a message that may not follow yet waits for an answer as long as the dialect says."""
        out = self._next()
        is_bounded = self._dialect.answers_within < math.inf
        if not out and self._messages and not self._is_over and self._gives_up is None and is_bounded:
            self._gives_up = self._loop.call_at(self._gives_up_at, self._is_unanswered)
        return out

    def _pause_over(self) -> None:
        self._timer = None
        if out := self._next_or_wait():
            self._write(out)
        if self._done is not None and not self._others:
            self._done()

    def _is_unanswered(self) -> None:
        """No acknowledgement comes for the last message: go on with the next."""
        self._gives_up = None
        if self._timer is None:
            self._pause_over()

    def rest(self) -> bytes:
        """All that waits, as it was given; nothing is written any more."""
        frames = b"".join([*self._others, *self._messages])
        self.close()
        return frames

    def take_back(self, raw: bytes) -> bool:
        """Do not write a message that was handed over; False: it was written, and may have arrived."""
        if raw not in self._messages:
            return False
        del self._messages[raw]
        return True

    def end(self, done: Callable[[], None]) -> None:
        """Write the frames that wait and are no messages, then call `done`: the link is over.

        Messages can be taken back until it is closed.
        """
        self._is_over = True
        self._done = done
        if self._timer is None:
            self._pause_over()

    def close(self) -> None:
        """Write nothing more."""
        self._others.clear()
        self._messages.clear()
        self._size = 0
        self._done = None
        for timer in (self._timer, self._gives_up):
            if timer is not None:
                timer.cancel()
        self._timer = self._gives_up = None
