"""The operator's door to a running chat process: a Unix socket beside the mailbox's file, speaking HTTP.

Who may write that file may open it (mode 0600), and nobody on the network can. `alone` is for when no process runs.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from parley.services.chat.archive.archive import Archive, ChangeFailed
from parley.services.chat.engine import ChatEngine
from parley.services.chat.hooks import Hooks
from parley.services.chat.operator import archive_commands, commands, inspection
from parley.services.chat.operator.archive_commands import Change, Changed
from parley.services.chat.operator.commands import Drop, Dropped, Retried, Retry
from parley.services.chat.operator.user_commands import UserChange, UserChanged
from parley.services.chat.roster import LocalRoster, Roster
from parley.services.chat.storage.store import Store
from parley.shared.config import Config
from parley.shared.errors import ConfigError
from parley.shared.http.server import Answer, HttpServer
from parley.shared.telemetry.logs import Log

NAME: Final = "chat.sock"
LONGEST: Final = 107
"""Bytes of a socket's path, unix(7)."""
BODY_LIMIT: Final = 64 * 1024


class Operations:
    """An operator's changes to an open chat engine, one at a time.

    Two reads of the same message, before the first is known to be dropped, would drop it twice.
    """

    def __init__(self, directory: Path, engine: ChatEngine, roster: Roster, turn_over: Callable[[], None]) -> None:
        self._directory = directory
        self._engine = engine
        self._roster = roster
        self._turn_over = turn_over
        self._one = asyncio.Lock()

    async def drop(self, request: Drop) -> Dropped:
        """Drop messages, and tell their authors; when it returns, that is on disk."""
        async with self._one:
            await self._safe()
            numbers = [number for number, _ in request.messages]
            found = await asyncio.to_thread(inspection.read_envelopes, self._directory, numbers)
            dropped = commands.drop(self._engine.router, request, found)
            self._turn_over()
            await self._safe()
        return dropped

    async def retry(self, request: Retry) -> list[Retried]:
        """Try destinations at once."""
        async with self._one:
            now = asyncio.get_running_loop().time()
            done = commands.retry(self._engine.router, self._roster, request, now)
            self._turn_over()
        return done

    async def _safe(self) -> None:
        """Wait until all that was put so far is on disk. ConfigError where nothing can be written."""
        if error := self._engine.store.error:
            raise ConfigError(f"the mailbox cannot be written: {error}")
        done = asyncio.Event()
        self._engine.store.when_safe(done.set)
        await done.wait()


class OperatorSocket:
    """Acknowledgements requests on a socket beside the file."""

    body_limit = BODY_LIMIT

    def __init__(
        self,
        directory: Path,
        operations: Operations,
        log: Log,
        change_user: Callable[[UserChange], str] = lambda _request: "",
        archive: Archive | None = None,
    ) -> None:
        """`change_user` does what is asked about a user's name, and returns what to say. ConfigError: it cannot."""
        self._path = directory / NAME
        self._operations = operations
        self._change_user = change_user
        self._archive = archive
        self._log = log
        self._server = HttpServer(self)

    async def open(self) -> None:
        """Replace what a process that died left: the file's lock is ours. Without a socket, chat goes on."""
        try:
            await self._server.start(bind(self._path))
        except OSError as error:
            self._log.warning("operator_socket_unavailable", path=str(self._path), error=str(error))

    def close(self) -> None:
        """Begin nothing more; before the file is closed."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._server.close()

    def answer(  # the file's mode says who may ask
        self,
        method: str,
        target: str,
        body: bytes | None = b"",
        asker: str = "",  # noqa: ARG002
        authorization: bytes = b"",  # noqa: ARG002
        host: bytes = b"",  # noqa: ARG002
    ) -> Answer | Awaitable[Answer]:
        """Answer one request."""
        act = {
            "/drop": self._drop,
            "/retry": self._retry,
            "/user": self._user,
            "/archive": self._change_archive,
        }.get(target)
        if act is None:
            return _refused(404, "not found")
        if method != "POST":
            return _refused(405, "POST only")
        if body is None:
            return _refused(413, f"a request has {BODY_LIMIT} bytes at most")
        return _answered(act(body))

    async def _drop(self, body: bytes) -> object:
        done = await self._operations.drop(commands.parse(body, Drop))
        self._log.info("operator_dropped", messages=done.dropped, left=done.left)
        return done

    async def _retry(self, body: bytes) -> object:
        done = await self._operations.retry(commands.parse(body, Retry))
        self._log.info("operator_retried", destinations=len(done), messages=sum(each.messages for each in done))
        return done

    async def _change_archive(self, body: bytes) -> object:
        request = commands.parse(body, Change)
        if self._archive is None:
            raise ConfigError("nothing is kept here (history.keep is 0), or the archive cannot be used")
        try:
            done = Changed(await self._archive.change(archive_commands.change_of(request)))
        except ChangeFailed as error:
            raise ConfigError(f"the archive cannot be changed: {error}") from None
        self._log.info("operator_changed_archive", action=request.action, count=done.count)
        return done

    async def _user(self, body: bytes) -> object:
        request = commands.parse(body, UserChange)
        said = self._change_user(request)
        self._log.info("operator_changed_user", action=request.action, user=request.user_id[:80])
        return UserChanged(said)


async def _answered(done: Awaitable[object]) -> Answer:
    try:
        return 200, "application/json", msgspec.json.encode(await done)
    except ConfigError as error:
        return _refused(400, str(error))


def _refused(status: int, why: str) -> Answer:
    return status, "text/plain; charset=utf-8", f"{why}\n".encode()


def bind(path: Path) -> socket.socket:
    """Bind a Unix socket that only its owner may connect to. OSError where that cannot be."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short(path) as name:
            sock.bind(name)
            Path(name).chmod(0o600)  # before it listens, nobody can connect
    except OSError:
        sock.close()
        raise
    return sock


@contextmanager
def short(path: Path) -> Iterator[str]:
    """The path of a socket as the system takes it: a long one goes by way of its directory's descriptor."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


@asynccontextmanager
async def alone(directory: Path, config: Config) -> AsyncIterator[Operations]:
    """Have the file without a chat process: the same router, without links. ConfigError where it is taken."""
    store = Store(directory, persisted=lambda _envelopes: None, not_persisted=lambda _envelopes: None)
    roster = LocalRoster()
    try:
        engine = ChatEngine(directory.name, config.chat, roster, store, Hooks())
        yield Operations(directory, engine, roster, engine.router.flush)
    finally:
        store.close()
