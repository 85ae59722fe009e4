"""The archive's process as chat has it: started, fed and heard on the event loop, and started again."""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Callable
from typing import Final

import msgspec

from parley.services.chat.archive.changes import Change
from parley.services.chat.archive.process.forker import Forker
from parley.services.chat.archive.process.handover import Handover, Parts
from parley.services.chat.archive.process.messages import (
    Applied,
    Begin,
    Closed,
    FromProcess,
    Keys,
    KeysAsked,
    Logged,
)
from parley.shared.addresses import User
from parley.shared.runtime.backoff import Backoff
from parley.shared.runtime.supervised import Faults, SupervisedTimer
from parley.shared.telemetry.logs import Log
from parley.shared.trust.authors import KeysOf

PIECE: Final = 1 << 16
"""Bytes that are read in a turn of the loop."""
OF_TURN: Final = 1 << 20
"""Bytes that are written in one."""
BACKOFF: Final = 0.1, 30.0
STEADY: Final = 5.0
"""Seconds a process must have lived for its end not to count as one more failure in a row."""
END_WITHIN: Final = 10.0
"""Seconds for which the end of the process is waited for; it writes what it was handed without us."""
PATIENCE: Final = 15.0
"""Seconds for which a change may have no answer."""


class ChangeFailed(Exception):
    """A change could not be made, or nobody knows whether it was."""


class ArchiveProcess:
    """One after another, each with the same file."""

    def __init__(
        self,
        forker: Forker,
        begin: Begin,
        keys: KeysOf,
        log: Log,
        faults: Faults,
        heard: Callable[[FromProcess], None],
        handover: Handover | None = None,
    ) -> None:
        """Start it; `heard` is told of each message, on the loop, and `keys` asked for authors' devices."""
        self._keys = keys
        self._forker = forker
        self._log = log
        self._faults = faults
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._is_writing = False
        self._began = 0.0
        self._backoff = Backoff(*BACKOFF)
        self._again = SupervisedTimer("starting the archive's process", self._start, faults)
        self._answers: dict[int, asyncio.Future[int]] = {}
        self._why = ""
        self.handover = handover or Handover(begin)
        self.restarts = 0
        self._start()

    @property
    def is_down(self) -> bool:
        """Whether there is no process just now, or it cannot use the file."""
        return self._socket is None or bool(self._why)

    @property
    def lag(self) -> float:
        """Seconds for which the oldest message is not in the lists yet."""
        return self.handover.lag(time.monotonic())

    def put(self, number: int, entries: Parts, age: float, clock: float, at: float, now: float) -> bool:
        """Hand over a chunk; False: there is no room, it is dropped and counted."""
        is_taken = self.handover.put(number, entries, age, clock, at, now)
        self._write()
        return is_taken

    def ask(self, number: int) -> None:
        """Have the chunks up to that one put into lists soon."""
        self.handover.ask(number)
        self._write()

    async def change(self, change: Change) -> int:
        """Have a change made once all that was put is in lists; its count. ChangeFailed: it cannot be."""
        number = self.handover.change(change)
        done = self._answers[number] = self._loop.create_future()
        self._write()
        try:
            async with asyncio.timeout(PATIENCE):
                count: int = await done
        except TimeoutError:
            raise ChangeFailed("the archive has no answer") from None
        finally:
            del self._answers[number]
        return count

    # The process -------------------------------------------------------------------------------------

    def _start(self) -> None:
        try:
            self._socket = self._forker.start()
        except OSError as error:
            self._log.error("archive_process_not_started", error=str(error))
            self._again.set(time.monotonic() + self._backoff.next_delay())
            return
        self._began = time.monotonic()
        self._loop.add_reader(self._socket, self._readable)
        self.handover.begin()
        self._write()

    def _readable(self) -> None:
        if self._socket is None:
            return
        try:
            data = self._socket.recv(PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        try:
            for message in self.handover.receive(data):
                self._tell(message)
        except msgspec.DecodeError as error:
            self._faults.stray("reading from the archive's process", error)
            self._lost()
        self._write()  # one that is ready is given what was put before

    def _tell(self, message: FromProcess) -> None:
        match message:
            case Logged(level, event, fields):
                (self._log.error if level == "error" else self._log.info)(event, **fields)
            case Applied(number, count, error):
                self._answer(number, count, error)
            case KeysAsked(name, server_id):
                found = self._keys(User(name, server_id))
                is_known = found is not None
                self.handover.answer(Keys(is_known, *map(list, found or ())))
            case Closed(error):
                if not self._why:
                    self._log.warning("archive_unusable", detail="it is tried again", error=error)
                self._why = error
                return
        if not isinstance(message, Logged):
            self._why = ""
        self._heard(message)

    def _answer(self, number: int, count: int, error: str) -> None:
        done = self._answers.get(number)
        if done is None or done.done():
            return
        if error:
            done.set_exception(ChangeFailed(error))
        else:
            done.set_result(count)

    def _write(self) -> None:
        """Write what goes without waiting; the rest when there is room."""
        if self._socket is None:
            return
        left = OF_TURN
        try:
            while left > 0 and (data := self.handover.to_send()) is not None:
                size = self._socket.send(data)
                self.handover.sent(size)
                left -= size
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            return  # it died: what it told before is still to be read, and then the end
        self._watch(self.handover.to_send() is not None)

    def _watch(self, is_writing: bool) -> None:
        if self._socket is None or is_writing == self._is_writing:
            return
        self._is_writing = is_writing
        if is_writing:
            self._loop.add_writer(self._socket, self._write)
        else:
            self._loop.remove_writer(self._socket)

    def _lost(self) -> None:
        """It died: start another, later each time."""
        self._let_go()
        now, delay = time.monotonic(), 0.0
        if now - self._began >= STEADY:
            self._backoff.reset()
        else:
            delay = self._backoff.next_delay()
        self.restarts += 1
        if not self._why:
            self._log.error("archive_process_ended", detail="it is started again", seconds=round(delay, 3))
        self._again.set(now + delay)

    def _let_go(self) -> None:
        sock = self._socket
        if sock is None:
            return
        self._watch(is_writing=False)
        self._loop.remove_reader(sock)
        sock.close()
        self._socket = None
        for number in self.handover.lost():
            self._answer(number, 0, "the archive's process ended; ask again")

    # The end -----------------------------------------------------------------------------------------

    def close(self) -> None:
        """Hand over all that was put, and wait for the end of the process; one that dies is replaced once."""
        self._again.cancel()
        until = time.monotonic() + END_WITHIN
        for _ in range(2):
            if self._socket is None:
                self._start()
                self._again.cancel()
            self._drain(until)
            self._let_go()
            if self.handover.is_empty or time.monotonic() >= until:
                break
        if not self.handover.is_empty:
            self._log.error("archive_left_behind", bytes=self.handover.backlog)

    def _drain(self, until: float) -> None:
        """Write the rest, and read until the process ends."""
        sock = self._socket
        if sock is None:
            return
        self._watch(is_writing=False)
        self._loop.remove_reader(sock)
        has_ended = False
        events = select.poll()
        while (left := until - time.monotonic()) > 0:
            data = None if has_ended else self.handover.to_send()
            try:
                if data is None and self.handover.is_ready and not has_ended:
                    sock.shutdown(socket.SHUT_WR)
                    has_ended = True
                events.register(sock, select.POLLIN | (select.POLLOUT if data is not None else 0))
                found = events.poll(1000 * left)
                if data is not None and any(event & select.POLLOUT for _, event in found):
                    self.handover.sent(sock.send(data))
                if any(event & ~select.POLLOUT for _, event in found):
                    if not (heard := sock.recv(PIECE)):
                        return
                    for message in self.handover.receive(heard):
                        self._tell(message)
            except BlockingIOError:
                continue
            except (OSError, msgspec.DecodeError):
                return
