"""This server's users as a process of the node knows them: read from memory, written on a thread.

The chat process writes (`put`); typing, location and whoever else reads hear of it within LOOK seconds. A change
counts in memory at once, so nobody who connects waits for the disk; without a disk all goes on in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from parley.shared.addresses import User
from parley.shared.runtime.moments import moment
from parley.shared.trust.ages import HOUR, passed
from parley.shared.trust.claims import Claims
from parley.shared.trust.devices import DeviceLists, ListVerdict
from parley.shared.trust.names import Name, is_fresh, is_needed, is_plain
from parley.shared.trust_storage.users_file import News, UsersFile
from parley.shared.wire.messages import pb

LOOK: Final = 0.25
"""Seconds between two looks at whether another process has written."""
RETRY: Final = 2.0
"""Seconds between two tries to use a disk that cannot be used."""
BATCH: Final = 1000
"""Names of one transaction."""
PLAIN: Final = 2
"""The part of all names that those may be which programs without a key alone used: one of so many."""
MOST_UNWRITTEN: Final = 100_000
"""Names that wait for the disk; the newest of each name counts."""


class UserStore:
    """The users in `directory`. Open it on the event loop's thread; `close` writes what is left.

    `changed(users)` hears on the loop of users whom another process changed. `failed(error)` hears that the disk
    cannot be used, `well()` that it can again. `most`: names that are remembered.
    """

    def __init__(
        self,
        directory: Path,
        *,
        most: int = 100_000,
        changed: Callable[[frozenset[str], list[pb.DeviceList]], None] = lambda _users, _lists: None,
        failed: Callable[[Exception], None] = lambda _error: None,
        well: Callable[[], None] = lambda: None,
    ) -> None:
        self.directory = directory
        self._most = most
        self._changed = changed
        self._failed = failed
        self._well = well
        self.names: dict[str, Name] = {}
        """All that is known, by userId."""
        self.lists = DeviceLists()
        """The newest device lists of other servers' users."""
        self.claims = Claims()
        self._fresh: set[str] = set()
        self._plain: set[str] = set()
        self._unwritten: dict[str, Name] = {}
        self._unwritten_lists: dict[User, pb.DeviceList] = {}
        self._unwritten_claims: list[str] = []
        self._gone: list[str] = []
        self._lock = threading.Lock()
        """Guards what is not written, for as long as it takes to take it."""
        self._wake: SimpleQueue[bool] = SimpleQueue()
        self._file: UsersFile | None = None
        self._version = self._change = -1
        self._ticked = moment().running
        self._written = 0.0, moment()
        self._is_failing = False
        self._loop = asyncio.get_running_loop()
        self._ending = threading.Event()
        self._open()
        self._thread = threading.Thread(target=self._run, name="users", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is left, and let go of the file."""
        if not self._ending.is_set():
            self._ending.set()
            self._wake.put(False)
            self._thread.join(timeout=5.0)

    # Asked on the loop --------------------------------------------------------------------------------------

    @property
    def age(self) -> float:
        """The age of the file (seconds): the time that all of its times are of."""
        return self._written[0] + passed(self._written[1], moment())

    def of(self, user_id: str) -> Name:
        """All that is known of a name."""
        return self.names.get(user_id) or Name(user_id)

    @property
    def fresh(self) -> int:
        """The names with claims that were not used again yet."""
        return len(self._fresh)

    def put(self, name: Name) -> bool:
        """A name has changed: that counts at once, and is written. False: there is no room to remember one more.

        Names that are used in plain alone have half of the room: whoever uses very many leaves some for keys.
        """
        is_full = len(self.names) >= self._most or (is_plain(name) and len(self._plain) >= self._most / PLAIN)
        if name.user_id not in self.names and is_full:
            return False
        self._take(name)
        with self._lock:
            if len(self._unwritten) < MOST_UNWRITTEN or name.user_id in self._unwritten:
                self._unwritten[name.user_id] = name
        self._wake.put(True)
        return True

    def put_list(self, message: pb.DeviceList, home: bytes) -> ListVerdict:
        """Another server's user has other devices: taken where the home signed it and nobody told a newer one."""
        verdict = self.lists.take(message, home)
        if verdict is ListVerdict.NEW:
            with self._lock:
                self._unwritten_lists[User.of(message.user)] = message
            self._wake.put(True)
        return verdict

    def note_claim(self, address: str) -> None:
        """A name was claimed from that address."""
        self.claims.note(address, self.age)
        with self._lock:
            self._unwritten_claims.append(address)
        self._wake.put(True)

    def _take(self, name: Name) -> None:
        self.names[name.user_id] = name
        (self._fresh.add if is_fresh(name) else self._fresh.discard)(name.user_id)
        (self._plain.add if is_plain(name) else self._plain.discard)(name.user_id)

    def forget_unneeded(self) -> None:
        """Forget names of which nothing is to be remembered."""
        age = self.age
        gone = [user_id for user_id, name in self.names.items() if not is_needed(name, age)]
        for user_id in gone:
            del self.names[user_id]
            self._fresh.discard(user_id)
            self._plain.discard(user_id)
            self._unwritten.pop(user_id, None)
        with self._lock:
            self._gone += gone
        self._wake.put(True)

    # On the thread ------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._file = UsersFile(self.directory)
            self._version = self._file.version
            news = self._file.news(self._change)
            for address, age in self._file.claims():
                self.claims.note(address, age)
        except (OSError, sqlite3.Error, ValueError) as error:
            self._close_file()
            self._is_failing = True
            self._failed(error)
            return
        self._read(news, self._file.written, tell=False)

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(sqlite3.Error):
                file.close()

    def _run(self) -> None:
        while True:
            with contextlib.suppress(Empty):
                self._wake.get(timeout=LOOK)
            is_last = self._ending.is_set() or self._loop.is_closed()
            is_well = self._attempt()
            if is_last:
                break
            if not is_well:
                self._ending.wait(RETRY)
        self._close_file()

    def _attempt(self) -> bool:
        """Write what waits, and look for what others wrote; False: the disk does not let us."""
        try:
            file = self._usable_file()
            while self._write(file):
                pass
            self._look(file)
        except (OSError, sqlite3.Error, ValueError) as error:
            self._close_file()
            if not self._is_failing:
                self._is_failing = True
                self._tell(self._failed, error)
            return False
        if self._is_failing:
            self._is_failing = False
            self._tell(self._well)
        return True

    def _usable_file(self) -> UsersFile:
        """The file; one that is gone is made again, with all that is known."""
        if self._file is not None and not self._file.is_there:
            self._close_file()
            with self._lock:
                self._unwritten = dict(self.names) | self._unwritten
            self._change = -1
        if self._file is None:
            self._file = UsersFile(self.directory)
            self._version = -1
        return self._file

    def _write(self, file: UsersFile) -> bool:
        """Write some of what waits; whether there was any."""
        with self._lock:
            names = {user_id: self._unwritten[user_id] for user_id in list(self._unwritten)[:BATCH]}
            lists, claims = dict(self._unwritten_lists), self._unwritten_claims
            gone = [user_id for user_id in self._gone if user_id not in self.names]
            self._unwritten_claims, self._gone = [], []
        for address in claims:
            file.note_claim(address)
        if gone:
            file.drop(gone)
        if not names and not lists:
            return False
        file.put(names.values(), lists.values())
        with self._lock:
            _drop(self._unwritten, names)
            _drop(self._unwritten_lists, lists)
        return True

    def _look(self, file: UsersFile) -> None:
        running = moment().running
        if running - self._ticked >= HOUR:
            self._ticked = running
            file.tick()
            self._tell(self._ticked_to, file.written)
        version = file.version
        if version != self._version:
            self._version = version
            news = file.news(self._change)
            self._change = max(self._change, news.change)
            self._tell(self._read, news, file.written)

    def _ticked_to(self, written: Any) -> None:
        self._written = written

    def _read(self, news: News, written: Any, *, tell: bool = True) -> None:
        """Another process has written; ours that is not written yet stays."""
        self._written = written
        self._change = max(self._change, news.change)
        changed = set()
        for name in news.names:
            known = self.of(name.user_id)
            is_newer = name.user_id not in self._unwritten and name.number >= known.number
            if is_newer and known != name:
                self._take(name)
                changed.add(name.user_id)
        lists = [each for each in news.lists if self.lists.read(each)]
        if tell and (changed or lists):
            self._changed(frozenset(changed), lists)

    def _tell(self, what: Callable[..., None], *arguments: object) -> None:
        """Have something done on the loop; nobody hears it where that has ended."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what, *arguments)


def _drop(unwritten: dict[Any, Any], written: dict[Any, Any]) -> None:
    """Keep nothing that was written, unless something newer came."""
    for key, value in written.items():
        if unwritten.get(key) is value:
            del unwritten[key]
