"""One user's cache, kept as the server's lists are: it asks for what is new, and is told when there is more.

The file is touched on a thread alone. Where it cannot be used the client goes on without, and the log says so once.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from google.protobuf.message import DecodeError

from parley.client.cache.cache_file import CacheFile
from parley.client.outbox.history import History, HistoryLine, line_of
from parley.client.outbox.questions import RequestFailed
from parley.shared.addresses import Recipient
from parley.shared.telemetry.logs import Log
from parley.shared.wire.messages import pb

DAY: Final = 86400.0
LEFT: Final = 7 * DAY
"""Seconds after which a message that no server took is given up: as long as one waits at a server."""
AGAIN: Final = 5.0
"""Seconds until a server that was busy, or gave no answer, is asked again."""
T = TypeVar("T")


class HistoryCache:
    """From its making to `close`. `line_came(line)` hears, once caught up, of each line that is new.

    Lines of this client are among them, and those that another device of the user's sent or was given.
    """

    def __init__(self, history: History, path: Path, log: Log, line_came: Callable[[HistoryLine], object]) -> None:
        self._history = history
        self._path = path
        self._log = log
        self._line_came = line_came
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history-cache")
        self._file: CacheFile | None = None
        self._cursor: bytes | None = None
        """How far this client has come; None: not begun. Another program of the user's may write the file, too."""
        self._last: dict[Recipient, int] = {}
        """The last sequence of each conversation so far."""
        self._is_live = False
        """Whether it has caught up: what comes now is new."""
        self._is_due = self._is_closed = False
        self._task: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._caught_up = asyncio.Event()
        history.on_news = self.wake

    def wake(self) -> None:
        """There may be something new: a link opened, or the server says so."""
        if self._is_closed:
            return
        self._is_due = True
        if self._again is not None:
            self._again.cancel()
        if self.is_idle:
            self._task = asyncio.get_running_loop().create_task(self._follow())

    @property
    def is_idle(self) -> bool:
        """Whether it asks for nothing now."""
        return self._task is None or self._task.done()

    async def caught_up(self) -> None:
        """Wait until all is here that the server had; not for ever: until it refused, or failed."""
        await self._caught_up.wait()

    async def close(self) -> None:
        """Ask nothing more, and let go of the file. A second time it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._again is not None:
            self._again.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    # Questions ----------------------------------------------------------------------------------

    async def lines(
        self, other: Recipient, *, before: int = 0, limit: int = 50, since: float = 0.0
    ) -> list[HistoryLine]:
        """Lines of a conversation that are on this machine, the newest first. OSError, sqlite3.Error."""
        return await self._on_thread(lambda file: file.lines(other, before=before, limit=limit, since=since))

    async def latest(self, limit: int = 50) -> list[tuple[HistoryLine, int]]:
        """The last line of each conversation, and how many are unread; the latest first. Errors as above."""
        return await self._on_thread(lambda file: file.latest(limit))

    # What no server has yet -----------------------------------------------------------------------

    def keep(self, message: pb.ChatMessage) -> None:
        """Have a message of ours outlive this program until a server has it: `sent`."""
        self._later(lambda file: file.keep(message))

    def sent(self, snowflake: int) -> None:
        """A server has it."""
        self._later(lambda file: file.sent(snowflake))

    async def unsent(self) -> list[pb.ChatMessage]:
        """Messages that an earlier program left, of the last LEFT seconds; none where the file cannot be used."""
        since = int((time.time() - LEFT) * 1000) << 22
        try:
            return await self._on_thread(lambda file: file.unsent(since))
        except (OSError, sqlite3.Error, DecodeError) as error:
            self._log.warning("history_cache_unusable", error=str(error))
            return []

    # Following ----------------------------------------------------------------------------------

    async def _follow(self) -> None:
        try:
            while self._is_due:
                self._is_due = False
                await self._try()
        except (OSError, sqlite3.Error, DecodeError) as error:
            self._log.warning("history_cache_unusable", error=str(error))
        finally:
            self._caught_up.set()

    async def _try(self) -> None:
        try:
            await self._catch_up()
        except RequestFailed as error:  # a server that keeps nothing is asked again over the next link
            self._log.debug("history_not_synced", reason=error.reason)
            if error.reason in ("busy", "timeout"):
                self._again = asyncio.get_running_loop().call_later(AGAIN, self.wake)

    async def _catch_up(self) -> None:
        if self._cursor is None:
            self._cursor, self._last = await self._on_thread(CacheFile.read)
        cursor: bytes = self._cursor or b""
        more = True
        while more:
            page = await self._history.sync(cursor, follow=True)
            floor = time.time() - page.kept_days * DAY if page.kept_days else 0.0
            await self._on_thread(partial(CacheFile.take, answer=page, floor=floor))
            self._tell(page)
            self._cursor = cursor = page.cursor
            more = page.more
        self._is_live = True
        if page.kept_days:
            oldest = time.time() - (page.kept_days + 1) * DAY
            await self._on_thread(partial(CacheFile.remove_before, at=oldest))

    def _tell(self, page: pb.SyncAnswer) -> None:
        if page.startOver:
            self._last.clear()
            self._is_live = False
        for line in map(line_of, page.lines):
            if line.sequence > self._last.get(line.conversation, 0):
                self._last[line.conversation] = line.sequence
                if self._is_live:
                    self._line_came(line)

    # The thread -----------------------------------------------------------------------------------

    def _open(self) -> CacheFile:
        """The file; on the thread alone. OSError, sqlite3.Error."""
        if self._file is None:
            self._file = CacheFile(self._path)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    async def _on_thread(self, work: Callable[[CacheFile], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(self._open()))

    def _later(self, change: Callable[[CacheFile], None]) -> None:
        """Change the file soon, in the order of the calls; one that fails, or comes behind `close`, is not made."""
        if not self._is_closed:
            self._thread.submit(self._changed, change)

    def _changed(self, change: Callable[[CacheFile], None]) -> None:
        try:
            change(self._open())
        except (OSError, sqlite3.Error) as error:
            self._log.warning("history_cache_unusable", error=str(error))
