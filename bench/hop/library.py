"""Parley with the library's own clients, as programs use it: in plain, or with TLS, signed and verified.

Both clients are in one process, in place of the compiled generator: it sends, counts and times the same. A message
is timed from before `send`, which signs it, until `on_message` has it, which is after its author's signature was
verified and found to be of a device that the author's own server has signed.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import structlog

from bench.hop.generator import ACKNOWLEDGED, PATIENCE, RECEIVED, LoadError, Run, text
from bench.hop.processes import READY, UnavailableError
from bench.hop.system import Place, Running
from parley import ChatFeature
from parley.shared.addresses import User
from parley.shared.config import load
from parley.shared.runtime.event_loop import run_loop
from parley.shared.wire.messages import pb
from tests.support.nodes import Node, wait_linked

PLAIN: Final = User("ann", "three"), User("bob", "four")
SIGNED: Final = User("ann", "five"), User("bob", "six")
"""Names of their own: systems run beside one another."""
TURN: Final = 64
"""Messages that are sent in one turn of the loop where no number is asked for."""


def library(stack: ExitStack, directory: Path, place: Place, *, is_signed: bool = False) -> Running:
    """Start two nodes, and a process with a client at each; all with keys, or all in plain."""
    users = SIGNED if is_signed else PLAIN
    settings = {"PARLEY_SECURITY__MODE": "mixed" if is_signed else "open", "PARLEY_HISTORY__KEEP": "0"}
    places = zip(users, (place.one, place.two), strict=True)
    nodes = [Node(user.server_id, address, directory, settings=settings) for user, address in places]
    for node in nodes:
        stack.enter_context(node)
    try:
        wait_linked(nodes)
    except TimeoutError as error:
        raise UnavailableError(str(error)) from error
    environments = [node.environment | {"PARLEY_ADDRESS": place.end} for node in nodes]
    clients = Clients(stack, environments, users)
    chats = [node.pid("chat") for node in nodes]
    return Running(None, chats, [node.pid(s) for node in nodes for s in node.services], clients, [clients.pid])


class Clients:
    """The process with both clients, for who measures: it runs as a Generator does (generator.py)."""

    is_told = True

    def __init__(self, stack: ExitStack, environments: list[dict[str, str]], users: tuple[User, User]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, environments, users)
        self._process = context.Process(target=process, args=arguments, daemon=True)
        self._process.start()
        stack.callback(self._end)
        theirs.close()
        self._answer(READY)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid or 0

    def run(
        self, total: int, *, window: int = 0, batch: int = 0, until: int = RECEIVED, timed: bool = False
    ) -> Run:
        """Send `total` messages, as Generator.run does. LoadError where not each came once, in order and whole."""
        self._pipe.send((total, window, batch, until, timed))
        return self._answer(None)

    def _answer(self, limit: float | None) -> Run:
        try:
            answer = self._pipe.recv() if self._pipe.poll(limit) else LoadError("the clients do not answer")
        except EOFError:
            answer = LoadError("the clients' process has ended")
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return] # of our own process

    def _end(self) -> None:
        with suppress(OSError):
            self._pipe.send(None)
        self._process.join(READY)
        if self._process.is_alive():
            self._process.kill()


# The clients' process -------------------------------------------------------------------------------------


def process(pipe: Connection, environments: list[dict[str, str]], users: tuple[User, User]) -> None:
    """Connect both; each task is a run, whose outcome is told."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    os.environ.pop("XDG_DATA_HOME", None)
    with suppress(EOFError):
        run_loop(serve(pipe, environments, users))


async def serve(pipe: Connection, environments: list[dict[str, str]], users: tuple[User, User]) -> None:
    """Until there is no more to do."""
    pair = Pair(*users)
    configs = [load(environ=environment) for environment in environments]
    async with (
        ChatFeature(users[0], configs[0], on_status=pair.told) as author,
        ChatFeature(users[1], configs[1], on_message=pair.received) as recipient,
    ):
        for each in (recipient, author):
            await each.handle_connection(await each.discovery.discover_servers())
        pair.begin(author, "mixed" in (config.security.mode for config in configs))
        await pair.know_each_other()
        pipe.send(None)
        while task := await asyncio.to_thread(pipe.recv):
            try:
                pipe.send(await pair.run(*task))
            except LoadError as error:
                pipe.send(error)


class Pair:
    """An author and a recipient, and what one run counts of them."""

    def __init__(self, author: User, recipient: User) -> None:
        self._users = author, recipient
        self._author: ChatFeature | None = None
        self._wanted = pb.ChatMessage.UNSIGNED
        self._first = self._sent = self._received = self._acknowledged = 0
        self._wrong: list[str] = []
        self._changed = asyncio.Event()
        self._sent_at = 0.0
        self._latencies: list[float] | None = None

    def begin(self, author: ChatFeature, is_signed: bool) -> None:
        """The author is connected."""
        self._author = author
        self._wanted = pb.ChatMessage.SIGNED if is_signed else pb.ChatMessage.UNSIGNED

    async def know_each_other(self) -> None:
        """Send until one comes whose author is known as far as can be: keys are asked for by then."""
        deadline = time.monotonic() + READY
        while True:
            try:
                await self.run(1, 1, 0, RECEIVED | ACKNOWLEDGED, False)
            except LoadError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return

    def received(self, message: pb.ChatMessage) -> None:
        """The recipient was given a message."""
        number = self._first + self._received
        if message.textContent != text(number).decode():
            self._wrong.append(f"{message.textContent[:8]} in place of {number}")
        elif message.assurance != self._wanted:
            self._wrong.append(pb.ChatMessage.Assurance.Name(message.assurance))
        if self._latencies is not None:
            self._latencies.append(time.monotonic() - self._sent_at)
        self._received += 1
        self._changed.set()

    def told(self, _delivery: object, _whose: object, status: str) -> None:
        """The author was told a status."""
        if status == "DELIVERED":
            self._acknowledged += 1
            self._changed.set()
        elif status not in ("USER_AWAY", "OTHER_SERVER_TIMEOUT"):
            self._wrong.append(status)

    def _finished(self, until: int) -> int:
        counts = (self._received, RECEIVED), (self._acknowledged, ACKNOWLEDGED)
        return min(count for count, kind in counts if until & kind)

    async def run(self, total: int, window: int, batch: int, until: int, timed: bool) -> Run:
        """Send so many; see Generator.run."""
        self._first += self._sent
        self._sent = self._received = self._acknowledged = 0
        self._latencies, self._wrong = [] if timed else None, []
        began, cpu = time.monotonic(), time.process_time()
        while self._finished(until) < total and not self._wrong:
            if not self._send(total, window, batch, until):
                await self._wait()
            elif not window:
                await asyncio.sleep(0)
        seconds, used = time.monotonic() - began, time.process_time() - cpu
        while self._finished(RECEIVED | ACKNOWLEDGED) < total and not self._wrong:
            await self._wait()
        if self._wrong:
            raise LoadError(f"of {total} messages {self._received} came; wrong: {', '.join(self._wrong[:3])}")
        return Run(total, seconds, used, self._latencies or [])

    def _send(self, total: int, window: int, batch: int, until: int) -> int:
        """Send what may go now; how many that was."""
        room = window - (self._sent - self._finished(until)) if window else batch or TURN
        count = min(room, total - self._sent)
        for _ in range(count):
            self._sent_at = time.monotonic()
            assert self._author is not None
            self._author.send(self._users[1], text(self._first + self._sent).decode())
            self._sent += 1
        return count

    async def _wait(self) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._changed.wait()
        except TimeoutError:
            came = f"{self._received} came, {self._acknowledged} were acknowledged"
            raise LoadError(f"nothing came for {PATIENCE:g} s; of {self._sent} messages {came}") from None
