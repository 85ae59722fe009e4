"""A bad line between a dialler and a listener: slow, and cut now and then, without a word.

async with Line("127.0.9.1", ("127.0.9.2", 6666), rate=40_000) as line:
    ...  # dial line.endpoint
    line.cut()
"""

import asyncio
import socket
from typing import Self

from parley.shared.addresses import Endpoint

STEP = 0.02
"""Seconds between two portions."""
BUFFER = 4096
"""Bytes that the system may hold of each direction and end: more would make a slow line quick for a while."""


class Line:
    """Passes on what comes, `rate` bytes a second in each direction; `cuts` and `lives` tell what became of it."""

    def __init__(self, host: str, target: tuple[str, int], *, rate: float, every: float = 0.0) -> None:
        """`every` so many seconds of a connection's life it is cut; 0: only by `cut`."""
        self._target = target
        self._rate = rate
        self._every = every
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((host, 0))
        self._listener.listen()
        self._listener.setblocking(False)
        self.endpoint = Endpoint(*self._listener.getsockname())
        self.cuts = 0
        self.opened_at: list[float] = []
        """When each connection began (seconds, the loop's)."""
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._spawn(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.cut()
        self._listener.close()

    def cut(self) -> None:
        """End all connections as a cable that is pulled does, but for the RST that tells both ends."""
        for pair in list(self._pairs):
            self._end(pair)

    def _end(self, pair: tuple[socket.socket, socket.socket]) -> None:
        if pair not in self._pairs:
            return
        self._pairs.discard(pair)
        self.cuts += 1
        loop = asyncio.get_running_loop()
        for sock in pair:
            loop.remove_reader(sock)  # else the loop hears nothing of the next socket of this number
            loop.remove_writer(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()

    def _spawn(self, coroutine) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            here, _ = await loop.sock_accept(self._listener)
            there = socket.socket()
            there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            there.setblocking(False)
            for sock in (here, there):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            try:
                await loop.sock_connect(there, self._target)
            except OSError:
                here.close()
                there.close()
                continue
            pair = (here, there)
            self._pairs.add(pair)
            self.opened_at.append(loop.time())
            if self._every:
                loop.call_later(self._every, self._end, pair)
            self._spawn(self._pass_on(pair, here, there))
            self._spawn(self._pass_on(pair, there, here))

    async def _pass_on(self, pair, source: socket.socket, to: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        allowed, at = 0.0, loop.time()
        try:
            while pair in self._pairs:
                await asyncio.sleep(STEP)
                now = loop.time()
                allowed, at = min(allowed + (now - at) * self._rate, self._rate / 10), now
                if allowed >= 1:
                    data = await loop.sock_recv(source, int(allowed))
                    at = max(at, loop.time() - STEP)  # nothing is saved up while nothing comes
                    allowed -= len(data)
                    if not data:
                        break
                    await loop.sock_sendall(to, data)
        except OSError:
            pass
        self._end(pair)
