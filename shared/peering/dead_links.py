"""Links that an existing server keeps although they are dead: it is told from their own ports that they are over.

A process of ours that is killed says no HANGUP. A server that keeps dead links then refuses our dials for minutes,
each of which costs it a thread. It takes a HANGUP that comes from the port of the dead link for one over it: so
before each dial we bind to that port, connect, and say HANGUP.

So that the port can be had again, a link's socket is set to be reset when its process is killed (tcp.py): without
that the system keeps it for a minute where the other side does not close its end.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from parley.shared.link.events import Closed
from parley.shared.link.link import Link
from parley.shared.peering.source_ports import Ends, SourcePorts
from parley.shared.spellings import ByName
from parley.shared.telemetry.logs import Log
from parley.shared.wire.messages import encode, pb

CONNECTING: Final = 2.0
"""Seconds for a connection; a side that has the dead one yet may need a second SYN, a second later."""
READING: Final = 1.0
"""Seconds for the server to read HANGUP and close, before it is dialled."""
MOST_CLEARING: Final = 8
"""Servers that are told at a time."""
HANGUP: Final = encode("HANGUP", pb.HangUp(reason=pb.HangUp.EXIT))


class DeadLinks:
    """Notes the links of a process that may be kept when they are dead, and has those that are removed."""

    def __init__(self, ports: SourcePorts, log: Callable[[], Log]) -> None:
        self.ports = ports
        self._log = log
        self._standing: dict[Link, tuple[str, Ends]] = {}
        self._clearing: ByName[asyncio.Lock] = ByName()

    # Links that stand -----------------------------------------------------------------------------------

    def stood(self, server_id: str, link: Link) -> None:
        """A link that we dialled stands."""
        dialect = link.dialect
        if dialect.is_parley or not link.dialled:
            return
        ends = link.ends if dialect.keeps_dead_links else None
        if ends is not None:
            self._standing[link] = server_id, Ends(*ends)
        self.ports.stood(server_id, Ends(*ends) if ends is not None else None)

    def closed(self, link: Link, closed: Closed) -> None:
        """A link is over. Where we gave it up because it was silent, the server may not have heard of that."""
        server_id, ends = self._standing.pop(link, ("", None))
        if ends is not None and not (closed.by_us and closed.reason == "timeout"):
            self.ports.ended(server_id, ends)

    # Links that are dead --------------------------------------------------------------------------------

    async def clear_all(self) -> None:
        """Remove all that a process before this one left behind."""
        room = asyncio.Semaphore(MOST_CLEARING)

        async def clear(server_id: str) -> None:
            async with room:
                await self.clear(server_id)

        await asyncio.gather(*(clear(each) for each in self.ports.servers if self.ports.of(each)))

    async def clear(self, server_id: str) -> None:
        """Remove what a server has of links of ours that are dead, before it is dialled."""
        if not self._dead(server_id):
            return
        async with self._clearing.setdefault(server_id, asyncio.Lock()):
            await asyncio.gather(*(self._clear(server_id, ends) for ends in self._dead(server_id)))
        self._clearing.pop(server_id, None)

    def _dead(self, server_id: str) -> list[Ends]:
        standing = {ends for _, ends in self._standing.values()}
        return [ends for ends in self.ports.of(server_id) if ends not in standing]

    async def _clear(self, server_id: str, ends: Ends) -> None:
        why_not = await _hang_up_from(ends)
        if not why_not:
            self.ports.ended(server_id, ends)
        self._log().info("dead_link_cleared", peer_id=server_id, port=ends.local[1], error=why_not)


async def _hang_up_from(ends: Ends) -> str:
    """Say HANGUP from the port that a dead link had. Why that could not be; empty: there is nothing left of it."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(ends.local)
            async with asyncio.timeout(CONNECTING):
                await loop.sock_connect(sock, ends.remote)
        except ConnectionRefusedError:
            return ""  # the server is not there any more, and with it all that it kept
        except (OSError, TimeoutError) as error:
            return str(error) or "no answer"
        try:
            async with asyncio.timeout(READING):
                await loop.sock_sendall(sock, HANGUP)
                while await loop.sock_recv(sock, 4096):
                    pass
        except (OSError, TimeoutError):
            pass  # it was told, and need not close
        return ""
