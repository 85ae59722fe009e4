"""The pins of a node or of a user: read from memory, written on a thread, shared with other processes.

Nobody who asks waits for a disk. A new pin counts at once, and is written then; where another process of the node
was first, its pin counts, and `changed` hears of the name. The thread looks every LOOK seconds whether another
process, or `parley trust`, has written, and then reads all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from parley.shared.limits.token_buckets import TokenBucket
from parley.shared.names import fold
from parley.shared.runtime.moments import Moment, moment
from parley.shared.trust.ages import HOUR, passed
from parley.shared.trust.pins import How, Pin, Verdict
from parley.shared.trust.refusals import Refused
from parley.shared.trust.server_trust import REASONS, ServerTrust
from parley.shared.trust_storage.pins_file import PinsFile

LOOK: Final = 1.0
"""Seconds between two looks at whether another process has written."""
MOST_UNWRITTEN: Final = 1000
"""Writes that wait for the disk: what comes beyond is known until this process ends."""
REFUSALS_RATE, REFUSALS_BURST = 1.0, 50.0
"""Refused keys a second that are written."""


@dataclass(frozen=True, slots=True)
class _Write:
    """One write: to the file, and to a state that was read from it before the write was done."""

    work: Callable[[PinsFile], None]
    again: Callable[[ServerTrust], object]


class PinStore:
    """The pins in `directory`. Open it on the event loop's thread; `close` writes what is left.

    `changed(names)` hears on the loop of folded names whose keys are others now, for a reason outside of this
    process. `failed(error)` hears that the disk cannot be used, `well()` that it can: without a disk all goes on in
    memory. `limited(what)` hears of the names, plain names, refusals and writes that there was no room for;
    `refused(name, key, what, host)` of each refusal.
    """

    def __init__(
        self,
        directory: Path,
        *,
        changed: Callable[[frozenset[str]], None] = lambda _names: None,
        failed: Callable[[Exception], None] = lambda _error: None,
        well: Callable[[], None] = lambda: None,
        limited: Callable[[str], None] = lambda _what: None,
        refused: Callable[[str, bytes, str, str], None] = lambda *_: None,
    ) -> None:
        self.directory = directory
        self.trust = ServerTrust()
        self._changed = changed
        self._failed = failed
        self._well = well
        self._limited = limited
        self._refused = refused
        self._written: tuple[float, Moment] = 0.0, moment()
        self._file: PinsFile | None = None
        self._version = -1
        self._ticked = 0.0
        self._queue: SimpleQueue[_Write | None] = SimpleQueue()
        self._unwritten: deque[_Write] = deque()
        """The writes that are not done yet, in their order."""
        self._refusals = TokenBucket(REFUSALS_RATE, REFUSALS_BURST, moment().running)
        self._loop = asyncio.get_running_loop()
        self._ending = threading.Event()
        self._is_failing = False
        self._open()
        self._thread = threading.Thread(target=self._run, name="pins", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, and let go of the file."""
        if not self._ending.is_set():
            self._ending.set()
            self._queue.put(None)
            self._thread.join(timeout=5.0)

    @property
    def age(self) -> float:
        """The age of the store (seconds): the time that all of its times are of."""
        return self._written[0] + passed(self._written[1], moment())

    # Asking, on the loop -----------------------------------------------------------------------------------

    def judge(self, name: str, key: bytes, host: str, *, is_linked: bool = False) -> Verdict:
        """The verdict on a proven key that says to be `name`; a new one is pinned, a known one noted as used.

        `is_linked`: a link is made of it. NEW stays NEW where there is no room to pin it.
        """
        age = self.age
        verdict = self.trust.judge(name, key, age)
        if verdict is Verdict.NEW:
            self._claim(name, key, host, age, is_linked=is_linked)
        elif verdict is Verdict.SAME:
            self._use(name, age, is_linked=is_linked)
        else:
            self.refuse(name, key, REASONS[verdict], host)
        return verdict

    def _claim(self, name: str, key: bytes, host: str, age: float, *, is_linked: bool) -> None:
        if not self.trust.may_claim(host, age):
            self._limited("names")
            return
        pin = Pin(name, key, How.SEEN, moment().wall, age, is_linked)
        self.trust.pins.put(pin)
        self.trust.claims.note(host, age)

        def write(file: PinsFile) -> None:
            there = file.claim(pin, host)
            if there is None or there.key != key:
                is_plain = there is None and file.is_held_in_plain(name)
                self._tell(self._lost, pin, there, is_plain)

        def again(trust: ServerTrust) -> None:
            if trust.pins.of(name) is None:
                trust.pins.put(pin)

        self._put(write, again)

    def _lost(self, pin: Pin, there: Pin | None, is_plain: bool) -> None:
        """Another process was first, saw the name used in plain, or let that address claim the last that it may."""
        if self.trust.key_of(pin.name) != pin.key:
            return
        if there is not None:
            self.trust.pins.put(there)
        else:
            self.trust.pins.drop(pin.name)
            if not is_plain or not self.trust.plain.note(pin.name, self.age):
                self._limited("names")
        self._changed(frozenset([fold(pin.name)]))

    def _use(self, name: str, age: float, *, is_linked: bool) -> None:
        pin = self.trust.used(name, age, is_linked=is_linked)
        if pin is not None:
            self.trust.pins.put(pin)
            self._put(lambda file: file.use(pin), _nothing)

    def used_in_plain(self, name: str) -> None:
        """A program without a key uses that name."""
        age, plain = self.age, self.trust.plain
        if plain.is_noted(name, age):
            return
        if plain.note(name, age):
            self._put(lambda file: file.use_in_plain(name), lambda trust: trust.plain.note(name, age))
        else:
            self._limited("plain_names")

    def refuse(self, name: str, key: bytes, what: str, host: str) -> None:
        """A key, or a program without one, was refused that name: remember it for people."""
        self._refused(name, key, what, host)
        refusals = self.trust.refusals
        if refusals.is_known(name, key, what):
            return
        if not self._refusals.consume(moment().running):
            self._limited("refusals")
            return
        refused = Refused(name, key, what, host, moment().wall)
        gone = refusals.note(refused)
        self._put(lambda file: file.refuse(refused, gone), lambda trust: trust.refusals.note(refused))

    # What people decide ------------------------------------------------------------------------------------

    def accept(self, name: str, key: bytes, how: How = How.APPROVED) -> Pin:
        """People decided that this name is that key's."""
        pin = self.trust.accepted(name, key, moment().wall, self.age, how)
        self._decide(lambda file: file.put(pin), lambda trust: trust.accept(pin))
        return pin

    def revoke(self, key: bytes) -> None:
        """That key never returns. A name that has it is nobody else's until people accept another key."""
        self._decide(lambda file: file.revoke(key), lambda trust: trust.revoke(key))

    def drop(self, name: str) -> None:
        """People decided that this name has no key."""
        self._decide(lambda file: file.drop(name), lambda trust: trust.drop(name))

    def _decide(self, work: Callable[[PinsFile], None], again: Callable[[ServerTrust], object]) -> None:
        again(self.trust)
        self._put(work, again)

    # The thread --------------------------------------------------------------------------------------------

    def _put(self, work: Callable[[PinsFile], None], again: Callable[[ServerTrust], object]) -> None:
        if len(self._unwritten) >= MOST_UNWRITTEN:
            self._limited("writes")
            return
        write = _Write(work, again)
        self._unwritten.append(write)
        self._queue.put(write)

    def _tell(self, what: Callable[..., None], *arguments: object) -> None:
        """Have something done on the loop; nobody hears it where that has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *arguments)

    def _open(self) -> None:
        """Open the file and read it, on the loop's thread at first: nobody is judged before."""
        try:
            self._file = PinsFile(self.directory)
            self._version = self._file.version
            self.trust = self._file.read()
            self._written = self._file.written
        except (OSError, sqlite3.Error, ValueError) as error:
            self._close_file()
            self._failed(error)

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _run(self) -> None:
        """Write what is to be written, in order, until the store is closed; look for others' writes between."""
        while (write := self._next()) is not None:
            while not self._attempt(write.work):
                if self._ending.wait(LOOK) or self._loop.is_closed():
                    return
            if write is not _NO_WRITE:
                self._tell(self._was_written)
            self._attempt(self._look)
        self._close_file()

    def _was_written(self) -> None:
        self._unwritten.popleft()

    def _next(self) -> _Write | None:
        """The next write, or one of nothing where none comes for a while; None: store or loop are closed."""
        try:
            return self._queue.get(timeout=LOOK)
        except Empty:
            return None if self._loop.is_closed() else _NO_WRITE

    def _attempt(self, work: Callable[[PinsFile], None]) -> bool:
        """Do something with the file; False: the disk does not let us."""
        try:
            work(self._usable_file())
        except (OSError, sqlite3.Error, ValueError) as error:
            self._close_file()
            self._is_failing = True
            self._tell(self._failed, error)
            return False
        if self._is_failing:
            self._is_failing = False
            self._tell(self._well)
        return True

    def _usable_file(self) -> PinsFile:
        """The file; one that is gone is made again, with all that is known."""
        if self._file is not None and not self._file.is_there:
            self._close_file()
        if self._file is None:
            self._file = PinsFile(self.directory)
            for pin in list(self.trust.pins.by_name.values()):
                self._file.put_back(pin)
            for key in list(self.trust.pins.revoked):
                self._file.revoke(key)
            self._version = -1
        return self._file

    def _look(self, file: PinsFile) -> None:
        running = moment().running
        if running - self._ticked >= HOUR:
            self._ticked = running
            file.tick()
            self._version = -1
        version = file.version
        if version != self._version:
            self._version = version
            self._tell(self._read, file.read(), file.written)

    def _read(self, trust: ServerTrust, written: tuple[float, Moment]) -> None:
        """Another process has written: its state counts. Ours that is not written yet stays."""
        before, self.trust = self.trust, trust
        self._written = written
        for write in self._unwritten:
            write.again(trust)
        names = before.pins.by_name.keys() | trust.pins.by_name.keys()
        revoked = before.pins.revoked ^ trust.pins.revoked
        changed = {
            name for name in names if before.key_of(name) != trust.key_of(name) or trust.key_of(name) in revoked
        }
        if changed or revoked:
            self._changed(frozenset(changed))


def _nothing(_: object) -> None:
    """Stands for no work."""


_NO_WRITE: Final = _Write(_nothing, _nothing)
