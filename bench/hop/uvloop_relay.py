"""A relay as a uvloop Protocol, one way, one link: uvloop_relay.py length|parse ADDRESS PORT TO_ADDRESS PORT.

length: whole frames go on as the bytes that came. parse: each message is parsed and made anew. One write per read.
"""

from __future__ import annotations

import asyncio
import socket
import sys

import uvloop

from parley.shared.wire import messenger_pb2 as pb


class Out(asyncio.Protocol):
    """The link to the next one."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment] # set before anything happens
        self.source: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Made."""
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport = transport  # type: ignore[assignment] # a TCP transport

    def pause_writing(self) -> None:
        """Read no more than can go on."""
        if self.source:
            self.source.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        if self.source:
            self.source.resume_reading()


class In(asyncio.Protocol):
    """The link that frames come from."""

    def __init__(self, out: Out, over: asyncio.Event, *, parses: bool) -> None:
        self._out = out
        self._over = over
        self._pass = self._parsed if parses else self._whole
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Made."""
        self._out.source = transport  # type: ignore[assignment] # a TCP transport

    def connection_lost(self, _error: Exception | None) -> None:
        """Over."""
        self._over.set()

    def data_received(self, data: bytes) -> None:
        """Pass on what is whole."""
        data = self._rest + data if self._rest else data
        out, end = self._pass(data)
        self._rest = data[end:]
        if out:
            self._out.transport.write(out)

    def _whole(self, data: bytes) -> tuple[bytes, int]:
        at, size = 0, len(data)
        while (end := _frame_end(data, at)[1]) and end <= size:
            at = end
        return (data if at == size else data[:at]), at

    def _parsed(self, data: bytes) -> tuple[bytes, int]:
        at, size = 0, len(data)
        made: list[bytes] = []
        while True:
            start, end = _frame_end(data, at)
            if not end or end > size:
                return b"".join(made), at
            payload = pb.ChatMessage.FromString(data[start : end - 1]).SerializeToString()
            made.append(b"MESSAGE %d %b\n" % (len(payload), payload))
            at = end


def _frame_end(data: bytes, at: int) -> tuple[int, int]:
    """Where a frame's payload begins, and the frame ends; 0 where its header is not whole."""
    name = data.find(b" ", at)
    size = data.find(b" ", name + 1) if name >= 0 else -1
    return (size + 1, size + 2 + int(data[name + 1 : size])) if size >= 0 else (0, 0)


async def main(what: str, address: str, port: str, to: str, to_port: str) -> None:
    """Dial, listen, relay until the link is over."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    _, out = await loop.create_connection(Out, to, int(to_port))
    await loop.create_server(lambda: In(out, over, parses=what == "parse"), address, int(port))
    await over.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(*sys.argv[1:]))
