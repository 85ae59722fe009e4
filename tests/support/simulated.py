"""An event loop whose clock is a number and whose network is a dictionary: no socket is opened, nothing sleeps.

Time stands still while anything can run and then jumps to the next timer, so minutes of a link's life
take milliseconds. Connections deliver what is written in order, each piece after a latency of its own;
they can be reset, cut without a word (half-open), or left by a process that was killed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

Protocols = Callable[[], asyncio.BaseProtocol]


class _Selector:
    """What the loop waits in: the wait is over at once, and the time is later."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "nothing is left that could happen"
        self._loop.now += timeout
        return []


class SimulatedLoop(asyncio.BaseEventLoop):
    """asyncio's own loop, on simulated time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self._selector = _Selector(self)
        self._clock_resolution = 1e-6
        self.network = Network(self)
        self.faults: list[dict[str, Any]] = []
        """What escaped from a callback or a task: always a bug of ours."""
        self.set_exception_handler(lambda _loop, context: self.faults.append(context))

    def time(self) -> float:
        return self.now

    def _process_events(self, event_list: list[Any]) -> None:
        """No descriptor is watched."""

    def _write_to_self(self) -> None:
        """No other thread wakes this loop."""

    async def create_connection(
        self, protocol_factory: Protocols, host: str, port: int, local_addr: Any = None, **_: Any
    ) -> Any:
        return await self.network.connect(protocol_factory, host, port, local_addr[0] if local_addr else host)

    def run_for(self, seconds: float) -> None:
        """Let that much time pass; raise what escaped meanwhile."""
        end = self.create_future()
        self.call_later(seconds, end.set_result, None)
        self.run_until_complete(end)
        assert not self.faults, self.faults

    def run(self, doing: Any) -> Any:
        """Run a coroutine to its end."""
        return self.run_until_complete(doing)


class Network:
    """Who listens where, and every connection there ever was."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.loop = loop
        self.latency: Callable[[], float] = lambda: 0.001
        """Seconds that the next piece takes."""
        self.connections: list[Connection] = []
        self.unreachable: set[str] = set()
        """Hosts that answer nothing, not even that nobody listens."""
        self._listeners: dict[tuple[str, int], Protocols] = {}

    def listen(self, host: str, port: int, make_protocol: Protocols) -> None:
        self._listeners[host, port] = make_protocol

    def close_listener(self, host: str, port: int) -> None:
        self._listeners.pop((host, port), None)

    async def connect(self, make_protocol: Protocols, host: str, port: int, source: str = "") -> Any:
        """Connect as TCP does: there and back, or refused, or no answer at all. `source`: who dials."""
        await self.delay()
        if host in self.unreachable:
            await self.loop.create_future()
        make_other = self._listeners.get((host, port))
        if make_other is None:
            await self.delay()
            raise ConnectionRefusedError(111, "Connection refused")
        connection = Connection(self, host, source or host)
        accepted, dialled = connection.accepted, connection.dialled
        accepted.begin(make_other())
        try:
            await self.delay()
        except asyncio.CancelledError:
            dialled.give_up()
            raise
        if dialled.is_closing():
            raise ConnectionResetError(104, "Connection reset by peer")
        dialled.begin(make_protocol())
        return dialled, dialled.protocol

    async def delay(self) -> None:
        passed = self.loop.create_future()
        self.loop.call_later(self.latency(), lambda: passed.done() or passed.set_result(None))
        await passed


class Connection:
    """Two transports and what is on its way between them."""

    def __init__(self, network: Network, host: str, source: str) -> None:
        self.dialled = SimulatedTransport(network, host)
        self.accepted = SimulatedTransport(network, source)
        self.dialled.other, self.accepted.other = self.accepted, self.dialled
        network.connections.append(self)

    @property
    def is_alive(self) -> bool:
        """Whether both ends still hold it."""
        return not (self.dialled.is_closing() or self.accepted.is_closing())

    def reset(self) -> None:
        """Break it; each side learns of it a latency later."""
        for end in (self.dialled, self.accepted):
            end.other.send_to_other("reset")

    def cut(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self.dialled.is_cut = self.accepted.is_cut = True


class SimulatedTransport(asyncio.Transport):
    """One end of a connection."""

    other: SimulatedTransport

    def __init__(self, network: Network, host: str) -> None:
        super().__init__({"peername": (host, 0), "sockname": ("10.0.0.0", 0)})
        self._network = network
        self._loop = network.loop
        self.protocol: Any = None
        self.is_cut = False
        self._is_closing = False
        self._arrivals: deque[bytes | str] = deque()
        self._last_arrival = 0.0
        self.written = bytearray()
        """Everything that went out here, for a test to look at."""

    def begin(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol
        protocol.connection_made(self)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Buffers have no end here."""

    def pause_reading(self) -> None:
        """What arrives meanwhile comes all the same: a link has to bear that, too."""

    def resume_reading(self) -> None:
        """There is nothing to resume."""

    def is_closing(self) -> bool:
        return self._is_closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_closing:
            self.written += data
            self.send_to_other(bytes(data))

    def close(self) -> None:
        self._end("end", None)

    def abort(self) -> None:
        self._end("reset", None)

    def vanish(self) -> None:
        """Its process was killed, or its host lost power: nobody is told here, nor there."""
        self._is_closing = True

    def give_up(self) -> None:
        """Whoever dialled does not want it any more, before it was theirs."""
        self._is_closing = True
        self.send_to_other("reset")

    def _end(self, word: str, error: Exception | None) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self.send_to_other(word)
        self._loop.call_soon(self.protocol.connection_lost, error)

    def send_to_other(self, piece: bytes | str) -> None:
        """Have it arrive there after what was sent before."""
        there = self.other
        there._arrivals.append(piece)
        there._last_arrival = max(there._last_arrival, self._loop.now + self._network.latency())
        self._loop.call_at(there._last_arrival, there._arrive)

    def _arrive(self) -> None:
        piece = self._arrivals.popleft()
        if self.is_cut:
            return
        if self.protocol is None:
            self._is_closing = True
        elif piece == "reset":
            if not self._is_closing:
                self._is_closing = True
                self.protocol.connection_lost(ConnectionResetError())
        elif self._is_closing:
            if piece != "end":
                self.send_to_other("reset")
        elif piece == "end":
            self.protocol.eof_received()
            self.close()
        else:
            self.protocol.data_received(piece)
