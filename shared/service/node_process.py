"""A process of a node: the ports that it takes, the name that it has or adopts, its registration with discovery.

One process serves a feature for a node. A second one stands by: it serves nobody until discovery takes it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, Self

from prometheus_client import CollectorRegistry

from parley.shared.config import Config, check_server_id, load
from parley.shared.discovery.server_lists import ServerListChange
from parley.shared.errors import ConfigError, StorageError
from parley.shared.http.event_streams import Stream
from parley.shared.http.server import Answer
from parley.shared.link.link import Link
from parley.shared.runtime.supervised import Faults, SupervisedTimer
from parley.shared.service.admission import Admission
from parley.shared.service.data_directory import DataDirectory
from parley.shared.service.guard import Guard
from parley.shared.service.node_federation import LOOK
from parley.shared.service.node_trust import NodeTrust
from parley.shared.service.page_token import PageToken
from parley.shared.service.registration import Registration
from parley.shared.service.server_keys import ServerKeys
from parley.shared.service.siblings import read_secret
from parley.shared.sockets.listener import Listener
from parley.shared.spellings import Spellings
from parley.shared.telemetry import logs
from parley.shared.telemetry.metrics import Metrics
from parley.shared.telemetry.troubles import Troubles
from parley.shared.trust.assurance import Basis
from parley.shared.version import version
from parley.shared.wire.messages import pb


class NodeProcess:
    """`server_id` is the node's name; empty: the configured one, or one to adopt."""

    feature: ClassVar[str]
    section: ClassVar[str]
    """The feature's part of the configuration."""

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        self.config = config or load()
        self.server_id = check_server_id(server_id) if server_id else self.config.server_id
        self._is_named = bool(self.server_id)
        self.instance_id = secrets.token_hex(8)
        self.log = logs.get(feature=self.feature, instance_id=self.instance_id, server_id=self.server_id)
        self.metrics = Metrics(CollectorRegistry(), self.feature, self.server_id)
        self.registration: Registration | None = None
        self.listener: Listener | None = None
        self._links: set[Link] = set()
        self.guard = Guard(self, self.config.limits)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.faults = Faults(lambda: self.log, self.metrics.errors.inc)
        self.admission = Admission(self._links, self.metrics, lambda: self.log, self.faults)
        self.data_directory = DataDirectory(self.config.data_dir)
        self.trust = NodeTrust(self.config, self.feature, servers=ServerKeys(self, self.trust_changed))
        self.page_token = PageToken(self.config)
        self._federation_looks = SupervisedTimer("looking at the federation", self._look, self.faults)
        self.known_secret: bytes | None = None
        """The node's secret, where it is this process that keeps it for the others."""
        self.spellings = Spellings()
        self.spellings.learn_own(self.server_id)
        self._stands_by = False
        """Whether another process of our feature serves this node."""
        self._belonging = asyncio.Lock()
        """Whatever discovery decides about us is done whole before the next: it takes seconds to hang up on all."""
        self.troubles = Troubles(
            lambda: self.log,
            _seconds,
            lambda: self.metrics.limited("log_lines", "link"),
        )
        self.metrics.watch(
            "parley_troubles",
            "What is wrong around this process, by kind",
            lambda: [((self.feature, kind), count) for kind, count in self.troubles.count().items()],
            ["feature", "kind"],
        )
        self.fatal: ConfigError | StorageError | None = None
        """The error, found while running, after which it cannot go on; `fatal_found` is set then."""
        self.fatal_found = asyncio.Event()
        settings = getattr(self.config, self.section)
        self._port: int = settings.tcp_port if hasattr(settings, "tcp_port") else settings.port
        self.metrics.ready.set_function(lambda: not self.reasons_not_ready())

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # Life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind, and accept as soon as our name is known. ConfigError where a port is taken."""
        if self.listener is None:
            self.bind()
        if self.server_id:
            await self.listen()

    def bind(self) -> None:
        """Take our ports, so that a taken one is told at once."""
        self.listener = Listener(self.config.bind_host, self._port, self.feature)

    async def register(self) -> None:
        """Belong to the node whose discovery is configured: our name and the server list come from it.

        Nobody is let in before discovery was asked: another process may serve our feature already.
        """
        if self.listener is None:
            self.bind()
        self.registration = Registration(self, self.config)
        self.registration.start()

    async def listen(self) -> None:
        """Accept clients and servers. StorageError where our key cannot be kept."""
        if not self._stopping:
            self.trust.open(self.server_id)
            self.page_token.open(self.server_id)
            if self.trust.has_keys:
                self._federation_looks.set(asyncio.get_running_loop().time() + LOOK)
        if self.listener is not None and not self.listener.is_accepting and not self._stopping:
            self.guard.start()
            await self.listener.accept(lambda: self.make_accepted_link().protocol())
            self.log.info("listening", host=self.config.bind_host, port=self.listener.port)

    def _look(self) -> None:
        """Look whether the federation has changed, and again soon."""
        self.trust.servers.federation.look()
        self.federation_seen()
        self._federation_looks.set(asyncio.get_running_loop().time() + LOOK)

    def federation_seen(self) -> None:
        """The federation was just looked at."""

    def before_loop(self) -> None:
        """Do what cannot be done any more once there is an event loop: fork."""

    async def stop(self) -> None:
        """HANGUP(EXIT) to everyone; accept no more, close the links, then wait."""
        self._stopping = True
        self._federation_looks.close()
        server = self.listener.pause() if self.listener is not None else None
        try:
            await self.dial_no_more()
            if self.registration is not None:
                await self.registration.hang_up()
            await self._hang_up_all()
            self.admission.stop()
            if server is not None:
                await server.wait_closed()
        finally:  # cancelled, too, nothing goes on
            self.admission.stop()
            for task in list(self._tasks):
                task.cancel()
            self.guard.stop()
            self.trust.close()

    async def _hang_up_all(self) -> None:
        links = list(self._links)
        for link in links:
            link.hang_up()
        if links:
            await asyncio.wait([link.disconnected for link in links], timeout=2.5)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task of this process; an error in it is ours, and logged."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, (ConfigError, StorageError)):
            self.fatal = error
            self.fatal_found.set()
        else:
            self.faults.stray("a task", error)

    def trust_changed(self, names: frozenset[str]) -> None:  # noqa: ARG002 - for who keeps more than links
        """The keys of these names (folded) are others now, or a key was revoked: no link stays that should not."""
        for link in list(self._links):
            key = link.assurance.key
            if (
                link.peer_id
                and link.assurance.basis is not Basis.OWN
                and not self.trust.servers.may_stay(link.peer_id, key)
            ):
                link.hang_up()

    # Belonging to a node: what Registration calls -----------------------------------------------

    def own_endpoints(self) -> list[pb.Endpoint]:
        """Where we serve; the host is the address that our registration comes from."""
        port = self.listener.port if self.listener is not None else 0
        return [pb.Endpoint(feature=self.feature, port=port, udpPort=self.udp_port)]

    @property
    def udp_port(self) -> int:
        """The port for our clients' datagrams; 0: none."""
        return 0

    @property
    def is_named(self) -> bool:
        """Whether our serverId was given to us, and not adopted."""
        return self._is_named

    def secret(self) -> bytes | None:
        """The secret that processes of our node know."""
        return read_secret(self.data_directory)

    def keep_secret(self) -> None:
        """Have the node's secret in our data directory, also after that was emptied."""
        what = "keeping the node's secret"
        try:
            self.known_secret = self.data_directory.make_secret(self.known_secret)
        except OSError as error:
            self.faults.failed(what, error, may_be_bug=False)
        else:
            self.faults.well(what)

    async def registered(self, server_id: str) -> None:
        """This node's name is known: serve."""
        async with self._belonging:
            if server_id != self.server_id:
                await self._hang_up_all()  # they know us by an older name, if there are any
                self.adopt(server_id)
            self._stands_by = False
            await self.listen()

    def adopt(self, server_id: str) -> None:
        """Take the name that discovery gave us."""
        self.server_id = server_id
        self.spellings.learn_own(server_id)
        self.metrics.identify(server_id)
        self.log = self.log.bind(server_id=server_id)
        self.log.info("server_id_adopted")

    async def not_registered(self, *, taken: bool) -> None:
        """A standby serves nobody; without discovery a process that knows its name goes on."""
        async with self._belonging:
            if taken:
                self._stands_by = True
                await self.stand_by()
            elif self.server_id and not self._stands_by:
                await self.listen()

    async def stand_by(self) -> None:
        """Serve nobody, and let go of what the one that serves needs."""
        if self.server_id:
            self.page_token.open(self.server_id)
        if self.listener is not None and self.listener.is_accepting:
            self.listener.pause()
        if self._links:
            await self._hang_up_all()

    async def server_list_received(self, change: ServerListChange, own: Sequence[pb.Endpoint]) -> None:  # noqa: ARG002 - for watchers
        """The directory changed."""
        async with self._belonging:
            if not self._stands_by:
                await self.start()
                self.servers_changed(change)

    def discover_now(self) -> None:
        """Have the network asked at once."""
        if self.registration is not None:
            self.registration.discover_now()

    # For a subclass -------------------------------------------------------------------------------------

    def make_accepted_link(self) -> Link:
        """A link for a connection that was accepted."""
        raise NotImplementedError

    async def dial_no_more(self) -> None:
        """Dial nobody from now on."""

    def servers_changed(self, change: ServerListChange) -> None:
        """The directory changed."""

    def announce_to(self, to: pb.AnnounceTo) -> None:
        """Tell an asker where we are."""

    @property
    def links(self) -> Collection[Link]:
        """All that there are."""
        return self._links

    # For people and their tools ----------------------------------------------------------------------

    def reasons_not_ready(self) -> list[str]:
        """Why /readyz says no; empty when all is well."""
        reasons = []
        if self.listener is None or not self.listener.is_accepting:
            reasons.append("not accepting connections")
        if self.registration is not None and not self.registration.is_registered:
            reasons.append("not registered with discovery")
        reasons += self.faults.reasons
        return reasons

    def pages(self) -> Mapping[str, Callable[[], Answer | Stream]]:
        """The pages of the HTTP port besides those of every process."""
        return {}

    def status(self) -> dict[str, object]:
        """The content of /status: who this process is, and how it is."""
        reasons = self.reasons_not_ready()
        return {
            "server_id": self.server_id,
            "feature": self.feature,
            "instance_id": self.instance_id,
            "version": version(),
            "ready": not reasons,
            "reasons_not_ready": reasons,
            "troubles": self.troubles.status(),
        }


def _seconds() -> float:
    """The loop's time, which a test may set; outside of it, where metrics are read in tests, the machine's."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()
