"""A whole node on one machine: one child process per feature, restarting what dies.

It registers with the node's own discovery as a watcher, over the same link as the other processes, and so
hears what the node offers and which servers come and go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from shared import logs
from shared.addresses import ServerList
from shared.backoff import Backoff
from shared.config import Config
from shared.listener import Listener
from shared.messages import pb
from shared.process import EXIT_CONFIG, SUPERVISED
from shared.registration import Registration

SERVICES = ("discovery", "chat", "typing", "location")
STOP_WITHIN = 2.5
"""Seconds for the children to hang up before they are killed."""
STEADY = 5.0
"""Seconds a child must have lived for its end not to count as one more failure in a row."""


SETTLE = 0.1
"""Seconds for which changes are gathered: a server's features are heard one after another."""


def check_ports(config: Config, services: Sequence[str]) -> None:
    """Raise ConfigError where a port that the node needs is taken: before anything is started."""
    for service in services:
        settings = getattr(config, service)
        tcp = settings.tcp_port if service == "discovery" else settings.port
        for port, what in ((tcp, service), (settings.http_port, f"{service}'s HTTP")):
            Listener(config.bind_host, port, what).pause()


class Child:
    """One process of the node, started again when it dies."""

    def __init__(self, name: str, environment: dict[str, str], tell: Callable[[str], None]) -> None:
        self.name = name
        self._environment = environment
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None
        self._backoff = Backoff(0.1, 5.0)

    async def run(self) -> int:
        """Keep the process running; its exit code once it cannot run (EXIT_CONFIG)."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            code = await self._run_once()
            if code == EXIT_CONFIG:
                return code
            if loop.time() - began >= STEADY:
                self._backoff.reset()
                delay = 0.0
            else:
                delay = self._backoff.next_delay()
            self._tell(f"{self.name} ended ({_words(code)}); starting it again")
            await asyncio.sleep(delay)

    async def _run_once(self) -> int:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"services.{self.name}",
            stdin=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        return await self._process.wait()

    async def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL when it takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class Node:
    """The supervisor: its children, and the watcher that prints what happens. `tell` prints a line."""

    def __init__(self, config: Config, services: Sequence[str], tell: Callable[[str], None]) -> None:
        self.config = config
        self.server_id = ""
        self.instance_id = secrets.token_hex(8)
        self.log = logs.get()
        self._tell = tell
        environment = os.environ | {SUPERVISED: "1"}
        self._children = [Child(name, environment, tell) for name in services]
        self._tasks: set[asyncio.Task[Any]] = set()
        self._known: dict[str, str] = {}
        self._offered = ""
        self._latest: tuple[ServerList, Sequence[pb.Endpoint]] = ((), ())
        self._settling = False

    async def run(self) -> int:
        """Run until told to stop; the exit code."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        runs = [loop.create_task(child.run()) for child in self._children]
        stopping = loop.create_task(stop.wait())
        watcher = Registration(self, self.config)
        watcher.start()
        done, _ = await asyncio.wait([*runs, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (*runs, stopping, *self._tasks):
            task.cancel()
        await watcher.stop()
        await asyncio.gather(*(child.stop() for child in self._children))
        return next((run.result() for run in done & set(runs)), 0)

    # Registrant: a watcher serves nothing ------------------------------------------------------

    def own_endpoints(self) -> list[pb.Endpoint]:
        """A watcher serves nothing."""
        return []

    @property
    def is_named(self) -> bool:
        """It has whatever name its discovery has."""
        return False

    async def registered(self, server_id: str) -> None:
        """Discovery is up, and this is the node's name."""
        if server_id != self.server_id:
            self.server_id = server_id
            where = self.config.address or "all addresses"
            self._tell(f"Parley node {server_id} on {where}, starting …")

    async def not_registered(self, *, taken: bool) -> None:
        """Discovery is starting, or starting again."""

    async def server_list_received(self, server_list: ServerList, own: Sequence[pb.Endpoint]) -> None:
        """Tell what changed, once it has settled: what we offer, who came, who went."""
        self._latest = server_list, own
        if not self._settling:
            self._settling = True
            asyncio.get_running_loop().call_later(SETTLE, self._tell_changes)

    def _tell_changes(self) -> None:
        self._settling = False
        server_list, own = self._latest
        self._tell_offer(own)
        now = {s.server_id: _offer((f, e[0].host, e[0].port) for f, e in s.features.items()) for s in server_list}
        for server_id, offer in now.items():
            if self._known.get(server_id) != offer:
                self._tell(f"+ {server_id} found: {offer}")
        for server_id in self._known.keys() - now.keys():
            self._tell(f"- {server_id} is gone")
        self._known = now

    def _tell_offer(self, own: Sequence[pb.Endpoint]) -> None:
        """Only when all is there: a process that is starting again has been told of."""
        wanted = sum(child.name != "discovery" for child in self._children)
        host = self.config.address or "*"
        offered = _offer((e.feature, e.host or host, e.port) for e in own)
        if len(own) >= wanted and offered != self._offered:
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

    def announce_to(self, host: str, port: int) -> None:
        """A watcher announces nothing."""

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _offer(places: Iterable[tuple[str, str, int]]) -> str:
    """What a server offers where, by port."""
    ordered = sorted(places, key=lambda place: place[2])
    return ", ".join(f"{feature} {host}:{port}" for feature, host, port in ordered) or "nothing yet"


def _words(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _command() -> str:
    """How this program was called, if it is the virtual environment's."""
    return sys.argv[0] if sys.argv and sys.argv[0].endswith("parley") else "parley"
