"""The lines of `parley serve` for people: what the node offers, and which servers come and go.

It registers with the node's own discovery as a watcher, over the same link as the other processes, and so hears
both. A process of its own: the supervisor itself runs no event loop, because it forks.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from parley.shared.addresses import Server
from parley.shared.compiled import core, is_outdated, is_unwanted
from parley.shared.config import Config
from parley.shared.discovery.server_lists import ServerListChange
from parley.shared.names import spell
from parley.shared.runtime.supervised import Faults
from parley.shared.service.process import stop_with_parent
from parley.shared.service.registration import Registration
from parley.shared.telemetry import logs
from parley.shared.wire.messages import pb

LINES = 20
"""Servers that are told of at once: whoever announces does not decide how much is printed."""
SETTLE = 0.1
"""Seconds for which changes are gathered: a server's features are heard one after another."""


class Watcher:
    """Prints what happens: `tell` prints a line, `services` are the processes that the node has."""

    def __init__(self, config: Config, services: Sequence[str], tell: Callable[[str], None]) -> None:
        self.config = config
        self.server_id = ""
        self.instance_id = secrets.token_hex(8)
        self.log = logs.get()
        self.faults = Faults()
        self._tell = tell
        self._wanted = sum(service != "discovery" for service in services)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._known: dict[str, str] = {}
        self._offered = ""
        self._servers: dict[str, Server] = {}
        self._own: Sequence[pb.Endpoint] = ()
        self._settling = False

    async def run(self) -> None:
        """Watch until told to stop."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        stop_with_parent(loop, stop)
        registration = Registration(self, self.config)
        registration.start()
        await stop.wait()
        for task in self._tasks:
            task.cancel()
        await registration.hang_up()

    # Registrant: a watcher serves nothing ------------------------------------------------------

    def own_endpoints(self) -> list[pb.Endpoint]:
        """A watcher serves nothing."""
        return []

    @property
    def is_named(self) -> bool:
        """The watcher has whatever name its discovery has."""
        return False

    async def registered(self, server_id: str) -> None:
        """Discovery is up, and this is the node's name."""
        if server_id != self.server_id:
            self.server_id = server_id
            where = self.config.address or "all addresses"
            self._tell(f"Parley node {server_id} on {where}, starting …")
            if core is None:
                why = " (PARLEY_PURE is set)" if is_unwanted() else ""
                why = " (it is of other sources: `make -B setup` builds it again)" if is_outdated else why
                self._tell(f"without its compiled core{why}: a message between servers costs tens of times as much")

    async def not_registered(self, *, taken: bool) -> None:
        """Discovery is starting, or starting again."""

    async def server_list_received(self, change: ServerListChange, own: Sequence[pb.Endpoint]) -> None:
        """Tell what changed, once it has settled: what we offer, who came, who went."""
        if change.is_whole:
            self._servers.clear()
        self._servers.update((server.server_id, server) for server in change.servers)
        for server_id in change.gone:
            self._servers.pop(server_id, None)
        self._own = own
        if not self._settling:
            self._settling = True
            asyncio.get_running_loop().call_later(SETTLE, self._tell_changes)

    def _tell_changes(self) -> None:
        self._settling = False
        self._tell_offer(self._own)
        now = {
            spell(s.server_id): _offer((f, e[0].host, e[0].port) for f, e in s.features.items())
            for s in self._servers.values()
        }
        lines = [f"+ {name} found: {offer}" for name, offer in now.items() if self._known.get(name) != offer]
        lines += [f"- {name} is gone" for name in self._known.keys() - now.keys()]
        for line in lines[:LINES]:
            self._tell(line)
        if len(lines) > LINES:
            self._tell(f"… and {len(lines) - LINES} more servers that came or went")
        self._known = now

    def _tell_offer(self, own: Sequence[pb.Endpoint]) -> None:
        """Only when all is there: a process that is starting again has been told of."""
        host = self.config.address or "*"
        offered = _offer((e.feature, e.host or host, e.port) for e in own)
        if len(own) >= self._wanted and offered != self._offered:
            self._offered = offered
            self._tell(f"ready: {self.server_id} offers {offered}")
            self._tell(f"join it: {self._join_command()}")
            if self.config.discovery.http_port:  # else the system chooses one, and does not tell us
                self._tell(f"see it: {self._page()}")

    def _join_command(self) -> str:
        prefix = f"PARLEY_ADDRESS={self.config.address} " if self.config.address.startswith("127.") else ""
        return f"{prefix}{_command()} chat --as YOU@{self.server_id}"

    def _page(self) -> str:
        host = self.config.address
        command = f"{_command()} status {host}".rstrip()
        return f"http://{host or '127.0.0.1'}:{self.config.discovery.http_port}/ or {command}"

    def announce_to(self, to: pb.AnnounceTo) -> None:
        """A watcher announces nothing."""

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _offer(endpoints: Iterable[tuple[str, str, int]]) -> str:
    """The features of a server and their places, by port."""
    ordered = sorted(endpoints, key=lambda endpoint: endpoint[2])
    return ", ".join(f"{spell(feature)} {host}:{port}" for feature, host, port in ordered) or "nothing yet"


def _command() -> str:
    """How this program was called, if it is the virtual environment's."""
    return sys.argv[0] if sys.argv and sys.argv[0].endswith("parley") else "parley"
