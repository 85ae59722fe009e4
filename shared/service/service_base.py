"""What every process of a node is: a listener, its subscribers, one link per other server.

A server connects to a server exactly as a client connects to a server: the same Link, accepted here or
dialled by a connector. A feature is a subclass that handles its messages and nothing else.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from parley.shared.addresses import Endpoint, Server, ServerList, User
from parley.shared.config import Config, load
from parley.shared.discovery.announcements import announce, encode_announcement, our_mark
from parley.shared.discovery.server_lists import ServerListChange
from parley.shared.errors import ConfigError, StorageError
from parley.shared.http.event_streams import Stream
from parley.shared.http.server import Answer
from parley.shared.link.events import Closed, Identity
from parley.shared.link.link import Link, Track
from parley.shared.link.session import Timeouts, unsupported
from parley.shared.names import fold, why_odd
from parley.shared.peering.peering import Peer, Peering
from parley.shared.runtime.supervised import Faults, LastingTimer
from parley.shared.service.admission import Admission
from parley.shared.service.data_directory import DataDirectory
from parley.shared.service.guard import Guard
from parley.shared.service.health import export_links, link_states, peer_status
from parley.shared.service.registration import Registration
from parley.shared.service.siblings import Siblings, read_secret
from parley.shared.sockets.listener import Listener
from parley.shared.spellings import ByName, Spellings
from parley.shared.telemetry import logs
from parley.shared.telemetry.metrics import Metrics, version
from parley.shared.telemetry.troubles import Troubles
from parley.shared.wire.capabilities import terms
from parley.shared.wire.framing import MAX_DATAGRAM, Frame
from parley.shared.wire.messages import encode, pb

Result = pb.ConnectResponse

REPORT_EVERY = 0.02
REPORT_PER_PEER = 0.001
"""Seconds between two reports of our links, and as many more for each server that one tells of."""
MOST_TOLD = 100
"""Faults of one kind that are remembered as logged."""
FEW, LITTLE = 4, 64 * 1024
"""Frames, and bytes sent, in which a look at the clock is not worth what it takes."""


class ServiceBase:
    """One process's links. `server_id` is the node's name; empty: the configured one, or one to adopt."""

    feature: ClassVar[str]
    section: ClassVar[str]
    """The feature's part of the configuration."""

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        self.config = config or load()
        self.server_id = server_id or self.config.server_id
        self._is_named = bool(self.server_id)
        self.instance_id = secrets.token_hex(8)
        self._servers: ByName[Server] = ByName()
        self.subscribers: dict[User, list[Link]] = {}
        self.log = logs.get(feature=self.feature, instance_id=self.instance_id, server_id=self.server_id)
        self.metrics = Metrics(CollectorRegistry(), self.feature, self.server_id)
        self.registration: Registration | None = None
        self.peering = Peering(self, self.config.link, self.config.address)
        self.listener: Listener | None = None
        self._links: set[Link] = set()
        self.guard = Guard(self, self.config.limits)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.faults = Faults(lambda: self.log, self.metrics.errors.inc)
        self.admission = Admission(self._links, self.metrics, lambda: self.log, self.faults)
        self.data_directory = DataDirectory(self.config.data_dir)
        self.spellings = Spellings()
        self.spellings.learn_own(self.server_id)
        self.siblings = Siblings(self, self.secret)
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
        self._report = LastingTimer("reporting our links", self._report_links, self.faults)
        self._report_next = 0.0
        self._others_found: set[tuple[str, str]] = set()
        """Where another server was found than the one expected, as far as it was logged."""
        self.fatal: ConfigError | StorageError | None = None
        """What makes it impossible to go on, found while running; `fatal_found` is set then."""
        self.fatal_found = asyncio.Event()
        settings = getattr(self.config, self.section)
        self._port: int = settings.tcp_port if hasattr(settings, "tcp_port") else settings.port
        self.metrics.ready.set_function(lambda: not self.reasons_not_ready())
        export_links(self)

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
        """Accept clients and servers."""
        if self.listener is not None and not self.listener.is_accepting and not self._stopping:
            self.guard.start()
            await self.listener.accept(self._make_accepted_link)
            self.log.info("listening", host=self.config.bind_host, port=self.listener.port)

    async def stop(self) -> None:
        """HANGUP(EXIT) to everyone; accept no more, close the links, then wait."""
        self._stopping = True
        self._report.cancel()
        server = self.listener.pause() if self.listener is not None else None
        await self.peering.stop()
        if self.registration is not None:
            await self.registration.hang_up()
        await self._hang_up_all()
        self.admission.stop()
        if server is not None:
            await server.wait_closed()
        for task in list(self._tasks):
            task.cancel()
        self.guard.stop()

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
        """What processes of our node know."""
        return read_secret(self.data_directory)

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
        await self.peering.pause()
        if self.listener is not None and self.listener.is_accepting:
            self.listener.pause()
        if self._links:
            await self._hang_up_all()

    async def server_list_received(self, change: ServerListChange, own: Sequence[pb.Endpoint]) -> None:  # noqa: ARG002 - for watchers
        """The directory changed."""
        async with self._belonging:
            if not self._stands_by:
                await self.start()
                self._servers_changed(change)

    def announce_to(self, to: pb.AnnounceTo) -> None:
        """Tell an asker where we are, from the address that we are at."""
        datagram = encode_announcement(
            self.server_id,
            self.own_endpoints(),
            {self.feature: sorted(link.peer_id for link in self.peering.links)},
            mark=our_mark(version(), self.instance_id),
            nonce=to.nonce,
            limit=min(to.limit or MAX_DATAGRAM, MAX_DATAGRAM),
        )
        announce(datagram, (to.host, to.port), self.config.address)

    def discover_now(self) -> None:
        """Have the network asked at once."""
        if self.registration is not None:
            self.registration.discover_now()

    # Other servers ----------------------------------------------------------------------------------

    async def set_server_list_and_connect(self, server_list: Sequence[Server]) -> None:
        """Connect to every server in the list that offers our feature; stop no link that works.

        A client's `handle_connection(server_list)` is the same step.
        """
        if self._stands_by:
            return
        await self.start()
        self._servers_changed(ServerListChange(tuple(server_list)))

    @property
    def server_list(self) -> ServerList:
        """All other servers, as discovery told of them last."""
        return tuple(self._servers.values())

    def _servers_changed(self, change: ServerListChange) -> None:
        self.spellings.learn(server.server_id for server in change.servers)
        if change.is_whole:
            self._servers.clear()
            self.peering.update(change.servers)
        else:
            self.peering.change(change.servers, change.gone)
        self._servers.update((server.server_id, server) for server in change.servers)
        for server_id in change.gone:
            self._servers.pop(server_id, None)
        self.servers_heard_of(change.servers)

    def servers_heard_of(self, servers: ServerList) -> None:
        """These servers are there, or have changed."""

    def broadcast_to_servers(self, message_name: str, payload: Message) -> None:
        """Send a message to every linked server that reads: what is broadcast is soft, and newer follows."""
        raw = encode(message_name, payload)
        for link in self.peering.links:
            if link.writable:
                link.send(raw)

    def make_peer_link(self, server_id: str, endpoint: Endpoint) -> Link:  # noqa: ARG002 - for the log of subclasses
        """A link that will dial that server with CONNECT_SERVER."""
        hello = pb.ConnectServer(
            serverId=self.server_id,
            features=[self.feature],
            endpoints=self.own_endpoints(),
            instanceId=self.instance_id,
            terms=terms(server_id),
        )
        link = self._make_link(
            self.config.link.peer_ping_timeout,
            hello=encode("CONNECT_SERVER", hello),
            is_wanted=lambda: self.peering.link_to(server_id) is None,
        )
        link.peer_id = server_id
        return link

    def _make_accepted_link(self) -> Link:
        return self._make_link(self.config.link.ping_timeout, track=self.admission)

    def _make_link(self, ping_timeout: float, track: Track | None = None, **how: Any) -> Link:
        timeouts = Timeouts(self.config.link.connect_timeout, ping_timeout)
        how |= {"track": track or self._links, "tally": self.metrics.frames, "counts": self.guard.counts}
        return Link(self, timeouts=timeouts, limit=self.config.link.payload_limit, **how)

    @property
    def links(self) -> Collection[Link]:
        """All that there are."""
        return self._links

    # LinkOwner: the handshake -----------------------------------------------------------------------

    def connect_requested(self, link: Link, identity: Identity) -> None:
        """Let a client or a server in, or not."""
        if self._stands_by:
            link.hang_up()
            return
        if identity.expects and fold(identity.expects) != fold(self.server_id):
            self._not_meant(link)
            return
        if identity.user is not None:
            identity = link.identify(replace(identity, user=self.spellings.user(identity.user)))
        result = self.admit_client(identity) if identity.is_client else self.admit_server(link, identity)
        if result == Result.CONNECTED and not self.has_room_for(link, identity):
            result = Result.UNKNOWN_ERROR
        if result != Result.CONNECTED:
            self._refuse(link, result)
            return
        proof = None
        if not identity.is_client:
            link.peer_id = self.spellings.of(identity.server_id)
            link.set_ping_timeout(self.config.link.peer_ping_timeout)
            if self.is_sibling(identity) and (proof := self.siblings.challenge(link, identity)) is None:
                self._refuse(link, Result.UNKNOWN_ERROR, "no_proof")
                return
        link.accept(server_id=self.server_id, instance_id=self.instance_id, proof=proof)

    def _refuse(self, link: Link, result: pb.ConnectResponse.Result, reason: str = "bad_connect") -> None:
        self.metrics.connected("listener", _words(result))
        if result == Result.UNKNOWN_ERROR:
            self.message_rejected(link, reason, link.identity.name[:64])
        link.refuse(result)

    def has_room_for(self, link: Link, identity: Identity) -> bool:
        """Whether somebody who may connect can be remembered, and have one client more."""
        user = identity.user
        links = self.subscribers.get(user, ()) if user is not None else ()
        return self.admission.has_room_for_another(links, link.remote_host)

    def is_sibling(self, identity: Identity) -> bool:  # noqa: ARG002 - a seam
        """Whether that server says to be a process of our own node, and so has to prove it."""
        return False

    def sibling_proven(self, link: Link) -> None:
        """It is."""

    def _not_meant(self, link: Link) -> None:
        """Refuse a dialler that expects another server here; our links with it are not touched."""
        self.metrics.connected("listener", "another_expected")
        link.refuse(Result.UNKNOWN_ERROR, server_id=self.server_id)

    def admit_client(self, identity: Identity) -> pb.ConnectResponse.Result:
        """Whether a user's client may subscribe."""
        user = identity.user
        if user is None or not user.is_complete:
            return Result.UNKNOWN_ERROR
        if self.config.limits.odd_names == "refuse" and why_odd(user.user_id):
            self.metrics.limited("names", "roster")
            return Result.UNKNOWN_ERROR
        return Result.CONNECTED

    def admit_server(self, link: Link, identity: Identity) -> pb.ConnectResponse.Result:
        """Whether another server may be linked."""
        if not identity.server_id or fold(identity.server_id) == fold(self.server_id):
            return Result.UNKNOWN_ERROR
        if identity.features and self.feature not in identity.features:
            return Result.UNKNOWN_ERROR
        return (
            Result.CONNECTED
            if self.peering.admits(identity, link.remote_host)
            else Result.IS_ALREADY_CONNECTED_ERROR
        )

    def link_opened(self, link: Link) -> None:
        """A client subscribed, or a server is linked."""
        self.metrics.connected("dialler" if link.dialled else "listener", "connected")
        self.admission.opened(link)
        identity = link.identity
        if identity.user is not None:
            self.subscribers.setdefault(identity.user, []).append(link)
            self.subscriber_connected(link)
        else:
            self.server_link_opened(link)

    def server_link_opened(self, link: Link) -> None:
        """A link with another server: it stands, or another one does."""
        identity = link.identity
        if self._is_another(link):
            self._tell_another(link)
            link.hang_up()
        elif not link.dialled and not identity.is_ours:
            self.peering.refuse_deaf(link)
        else:
            self.peering.opened(link, link.peer_id)

    @staticmethod
    def _is_another(link: Link) -> bool:
        """Whether not the server that we dialled answered, but one that says who it is."""
        found = link.identity.server_id
        return link.dialled and bool(found) and fold(found) != fold(link.peer_id)

    def _tell_another(self, link: Link) -> None:
        """Say it once for each: it is dialled again and again for as long as it is expected there."""
        pair = (link.peer_id, link.identity.server_id)
        if pair not in self._others_found:
            self._others_found = {*self._others_found, pair} if len(self._others_found) < MOST_TOLD else {pair}
            self.log.warning("peer_is_another", expected=pair[0], found=pair[1])

    def peer_connected(self, link: Link) -> None:
        """A server is linked, both ways usable."""
        self.spellings.learn([link.peer_id])
        self._tell_of_peer(link, "peer_connected", dialled=link.dialled)
        self._peers_changed()

    def peer_disconnected(self, link: Link) -> None:
        """A server's link is over, or another took its place."""
        self._tell_of_peer(link, "peer_disconnected")
        self._peers_changed()

    def _tell_of_peer(self, link: Link, event: str, **fields: object) -> None:
        """Say all of servers that the directory has; of others, who may be anybody, little."""

        def write() -> None:
            self.log.info(event, peer_id=link.peer_id, link_id=link.link_id, **fields)

        if self.peering.expects(link.peer_id):
            write()
        else:
            self.guard.complain(event, write)

    def name_is_contested(self, server_id: str, here: str, there: str) -> None:
        """Say it for as long as it lasts."""
        self.troubles.note(
            "name_twice",
            server_id,
            f"two servers are called {server_id[:64]!r}: the one at {here} is linked and answers, the one at "
            f"{there} is refused; give one of the two another PARLEY_SERVER_ID",
            peer_id=server_id,
            host=here,
            other=there,
        )

    def dial_failed(self, peer: Peer) -> None:
        """No link came of a dial; where not even a connection did, it is counted here."""
        if peer.dial is not None and not peer.dial.was_connected:
            self.metrics.connected("dialler", "unreachable")
        self._peers_changed()

    def _peers_changed(self) -> None:
        """Tell discovery: at once, and then no sooner than a report is worth, which tells of all of them."""
        if self.registration is not None and not self._stopping:
            loop = asyncio.get_running_loop()
            self._report.set(max(loop.time(), self._report_next))

    def _report_links(self) -> None:
        if self.registration is not None and not self._stopping:
            peers = self.peering.peers
            self._report_next = asyncio.get_running_loop().time() + REPORT_EVERY + REPORT_PER_PEER * len(peers)
            self.registration.report_linked(link_states(peers))

    @property
    def subscriber_count(self) -> int:
        """How many clients are connected."""
        return sum(map(len, self.subscribers.values()))

    def measure_links(self) -> None:
        """Measure the way to each other server and back, and tell discovery what it was last time."""
        for link in self.peering.links:
            link.probe()
        self._peers_changed()

    def subscriber_connected(self, link: Link) -> None:
        """A client is connected."""

    def subscriber_disconnected(self, link: Link) -> None:
        """It no longer is."""

    # LinkOwner: messages ------------------------------------------------------------------------------

    def messages_received(self, link: Link, frames: list[Frame]) -> int:
        """Hand each message of a read to the feature; what it does not handle is not supported.

        How many were handled in this link's turn.
        """
        handle = (
            self.handle_message_for_feature if link.identity.is_client else self.handle_server_message_for_feature
        )
        turn = link.turn
        for at, frame in enumerate(frames, start=1):
            if not handle(link, frame):
                link.answer(unsupported(frame.name))
                self.message_rejected(link, "unknown_name", frame.name)
            is_looked_at = at % FEW == 0 or turn.produced >= LITTLE
            if link.is_pausing or (is_looked_at and link.had_its_turn):
                return at
        return len(frames)

    def handle_message_for_feature(self, link: Link, frame: Frame) -> bool:  # noqa: ARG002 - a seam
        """Handle a client's message; False when it is not one of this feature's."""
        return False

    def handle_server_message_for_feature(self, link: Link, frame: Frame) -> bool:  # noqa: ARG002 - a seam
        """Handle a server's message; False when it is not one of this feature's."""
        return False

    def message_rejected(self, link: Link, reason: str, detail: str) -> None:
        """Count what was refused; say what, once per link and reason."""
        self.metrics.rejected(reason)
        self.guard.counts(link, "frames", 1)
        if reason not in link.told:
            link.told |= {reason}
            self.guard.complain(
                "frame_rejected",
                lambda: self.log.warning("frame_rejected", reason=reason, detail=detail, link_id=link.link_id),
            )

    def link_writable(self, link: Link) -> None:
        """A link that was full has room again."""

    def link_closed(self, link: Link, closed: Closed) -> None:
        """A client left, or a server is to be dialled again."""
        role = "dialler" if link.dialled else "listener"
        self.metrics.closed(role, closed.reason)
        if not link.was_open and link.dialled:
            self.metrics.connected(role, closed.reason)
        self.guard.ended(link, closed.reason)
        if link.was_open and link.peer_id and self.peering.expects(link.peer_id):
            self._tell_closed(link, role, closed)
        else:
            self.guard.complain("link_closed", lambda: self._tell_closed(link, role, closed))
        if not link.was_open and self._is_another(link):
            self._tell_another(link)
        user = link.identity.user
        if user is not None and link in self.subscribers.get(user, ()):
            self._unsubscribe(user, link)
        elif user is None:  # a process that adopts our name has none in its CONNECT
            self.server_link_closed(link, closed)

    def _tell_closed(self, link: Link, role: str, closed: Closed) -> None:
        self.log.info(
            "link_closed",
            link_id=link.link_id,
            role=role,
            peer_id=link.peer_id,
            duration=round(link.age, 3),
            frames=link.frames_received,
            bytes_received=link.bytes_received,
            bytes_sent=link.bytes_sent,
            reason=closed.reason,
            by_us=closed.by_us,
        )

    def server_link_closed(self, link: Link, closed: Closed) -> None:
        """A link with another server is over: it is dialled again."""
        self.siblings.closed(link)
        self.peering.closed(link, link.peer_id, closed)

    def _unsubscribe(self, user: User, link: Link) -> None:
        self.subscribers[user].remove(link)
        if not self.subscribers[user]:
            del self.subscribers[user]
        self.subscriber_disconnected(link)

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
        """What the HTTP port answers besides the pages of every process."""
        return {}

    def status(self) -> dict[str, object]:
        """What /status tells: identity and links."""
        reasons = self.reasons_not_ready()
        return {
            "server_id": self.server_id,
            "feature": self.feature,
            "instance_id": self.instance_id,
            "version": version(),
            "ready": not reasons,
            "reasons_not_ready": reasons,
            "troubles": self.troubles.status(),
            "subscribers": self.subscriber_count,
            "peers": [peer_status(peer) for peer in self.peering.peers],
        }


def _seconds() -> float:
    """The loop's time, which a test may set; outside of it, where metrics are read in tests, the machine's."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


def _words(result: int) -> str:
    return Result.Result.Name(result).lower()
