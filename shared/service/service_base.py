"""The base of every service: a process of its node, with subscribers and one link per other server.

A server connects to a server exactly as a client connects to a server: the same Link, accepted here or
dialled by a connector. A feature is a subclass that handles its messages and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from google.protobuf.message import Message

from parley.shared.addresses import Endpoint, Server, ServerList, User
from parley.shared.config import Config
from parley.shared.dialects.clients import ClientDialects
from parley.shared.dialects.dialect import Recognized
from parley.shared.dialects.recognition import Operator
from parley.shared.dialects.servers import ServerDialects
from parley.shared.discovery.announcements import announce, encode_announcement, our_mark
from parley.shared.discovery.discovery import MOST_FROM_ONE, DiscoveryService
from parley.shared.discovery.interfaces import reachable_networks
from parley.shared.discovery.looks import Looks
from parley.shared.discovery.networks import Networks
from parley.shared.discovery.server_lists import ServerListChange
from parley.shared.link.credentials import Credentials
from parley.shared.link.events import Closed, Identity
from parley.shared.link.link import Link, Track
from parley.shared.link.session import Timeouts, unsupported
from parley.shared.names import fold, why_odd
from parley.shared.peering.dead_links import DeadLinks
from parley.shared.peering.peer import Peer
from parley.shared.peering.peering import Peering
from parley.shared.peering.source_ports import SourcePorts
from parley.shared.runtime.completed import completed
from parley.shared.runtime.supervised import SupervisedTimer, forever
from parley.shared.service.guard import Complaint
from parley.shared.service.health import export_links, link_states, peer_status, recognized
from parley.shared.service.node_process import NodeProcess
from parley.shared.service.node_trust import NAMED_REFUSALS
from parley.shared.service.siblings import Siblings
from parley.shared.service.user_admission import Judged, UserAdmission, wire_refusal
from parley.shared.spellings import ByName
from parley.shared.telemetry.troubles import OF_A_CLONE
from parley.shared.trust.names import Name
from parley.shared.version import version
from parley.shared.wire.capabilities import terms
from parley.shared.wire.framing import BEGAN_TLS, MAX_DATAGRAM, Frame
from parley.shared.wire.messages import MESSAGES, encode, pb

Result = pb.ConnectResponse

REPORT_EVERY = 0.02
REPORT_PER_PEER = 0.001
"""Seconds between two reports of our links, and as many more for each server that one tells of."""
ONE_LOOK, LOOK_EVERY = 0.5, 3.0
"""Seconds of a look for servers, where no discovery process asks the network; and how many of discovery's intervals
are between two: three services of a program ask as often as one discovery process."""
MOST_LOGGED = 100
"""Faults of one kind that are remembered as logged."""
FEW, LITTLE = 4, 64 * 1024
"""Frames, and bytes sent, in which a look at the clock is not worth what it takes."""


class ServiceBase(NodeProcess):
    """One process's links with its clients and with other servers."""

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        super().__init__(server_id, config)
        self._servers: ByName[Server] = ByName()
        self._looks = Looks(
            most=self.config.limits.servers,
            from_one=MOST_FROM_ONE,
            expiry=self.config.discovery.server_expiry,
        )
        """The servers that `handle_connections` finds where no discovery process tells of any."""
        self.dialects = ServerDialects(Operator(self.config.interop.peers, self.config.interop.dial))
        self.clients_dialects = ClientDialects()
        self.subscribers: dict[User, list[Link]] = {}
        ports = SourcePorts(lambda: self.log, lambda: self.metrics.limited("names", "link"))
        self.dead_links = DeadLinks(ports, lambda: self.log)
        self.peering = Peering(self, self.config.link, self.config.address, self.dead_links)
        self.siblings = Siblings(self, self.secret)
        self.user_admission = UserAdmission(self, writes=self.feature == MESSAGES)
        self._report = SupervisedTimer("reporting our links", self._report_links, self.faults)
        self._report_next = 0.0
        self._is_handling = False
        self._others_found: set[tuple[str, str]] = set()
        """Where another server was found than the one expected, as far as it was logged."""
        export_links(self)

    # Belonging to a node ----------------------------------------------------------------------------

    async def listen(self) -> None:
        """Know which servers may be dialled, and have those forget that kept links of a process before this one."""
        path = self.data_directory.path / self.server_id / f"{self.section}.links"
        if self.dead_links.ports.path != path and not self._stopping:
            self.dead_links.ports.open(path)
            self.dialects.linked_before(self.dead_links.ports.servers)
            self.spawn(self.dead_links.clear_all())
        if not self._stopping and self.user_admission.is_on:
            self.user_admission.open(self.data_directory.path / self.server_id)
        await super().listen()

    async def stop(self) -> None:
        """End; no server keeps a link that was hung up."""
        try:
            await super().stop()
        finally:
            self.dead_links.ports.close()
            self.user_admission.stop()

    async def dial_no_more(self) -> None:
        """Dial no other server from now on, and report nothing."""
        self._report.cancel()
        await self.peering.stop()

    async def stand_by(self) -> None:
        """Serve nobody, and dial nobody."""
        await self.peering.pause()
        self.dead_links.ports.close(write=False)  # the one that serves writes it now
        self.user_admission.close()
        await super().stand_by()

    def announce_to(self, to: pb.AnnounceTo) -> None:
        """Tell an asker where we are, from the address that we are at."""
        datagram = encode_announcement(
            self.server_id,
            self.own_endpoints(),
            {self.feature: sorted(link.peer_id for link in self.peering.links)},
            mark=our_mark(version(), self.instance_id),
            nonce=to.nonce,
            limit=min(to.limit or MAX_DATAGRAM, MAX_DATAGRAM),
            identity=self.trust.identity,
        )
        announce(datagram, (to.host, to.port), self.config.address)

    # Other servers ----------------------------------------------------------------------------------

    async def set_server_list_and_connect(self, server_list: Sequence[Server]) -> None:
        """Connect to every server in the list that offers our feature; stop no link that works.

        A client's `handle_connection(server_list)` is the same step. Where this server itself is in the list, its
        entry tells where its other features are.
        """
        self._must_not_be_over()
        await self._heard_of(server_list, is_whole=True)

    async def handle_connections(self) -> None:
        """Serve clients and servers until this is cancelled; then hang up on all of them, however often it is.

        Where no discovery process tells of servers, look for them again and again.

        Raises:
            ConfigError: a port is taken, or the data directory cannot be used.
            StorageError: the disk cannot be written any more.
            RuntimeError: it was called before: a service serves once.

        """
        self._must_not_be_over()
        if self._is_handling:
            raise RuntimeError(f"{type(self).__name__}.handle_connections() runs already")
        self._is_handling = True
        try:
            await self.start()
            if self.registration is None:
                self.spawn(forever("looking for servers", self._look_around, self.faults))
            await self.fatal_found.wait()
            if self.fatal is not None:
                raise self.fatal
        finally:
            await completed(self.stop())

    def _must_not_be_over(self) -> None:
        if self._stopping:
            raise RuntimeError(f"this {type(self).__name__} was stopped: make another one")

    async def _look_around(self) -> None:
        """Ask once, and deal with servers that are new or elsewhere; one that does not answer may only be slow."""
        found = await DiscoveryService(self.config, judge=self.trust.servers).discover_servers(ONE_LOOK)
        own, others = self._own_and_others(server for server in found if server.endpoints(self.feature))
        refused, now = self._looks.refused, asyncio.get_running_loop().time()
        others, gone = self._looks.heard(others, lambda name: self.peering.link_to(name) is not None, now)
        if self._looks.refused > refused:
            self.metrics.limited("names", "directory")
        await self._heard_of([*own, *others], is_whole=False, gone=gone)
        await asyncio.sleep(LOOK_EVERY * self.config.discovery.discovery_interval)

    def _own_and_others(self, servers: Iterable[Server]) -> tuple[list[Server], list[Server]]:
        own: list[Server] = []
        others: list[Server] = []
        for server in servers:
            (own if fold(server.server_id) == fold(self.server_id) else others).append(server)
        return own, others

    async def _heard_of(self, server_list: Sequence[Server], *, is_whole: bool, gone: Sequence[str] = ()) -> None:
        """Deal with servers as a process of a node does; where our own is among them, with its other features."""
        ours, others = self._own_and_others(server_list)
        change = ServerListChange(tuple(others), tuple(gone), is_whole)
        here = Networks(reachable_networks(self.config.address)).own
        own = [endpoint for server in ours for endpoint in _endpoints_of(server) if endpoint.host in here]
        if own:
            self.keep_secret()
            await self.server_list_received(change, own)
        elif not self._stands_by:
            await self.start()
            self.servers_changed(change)

    @property
    def server_list(self) -> ServerList:
        """All other servers, as discovery told of them last."""
        return tuple(self._servers.values())

    def servers_changed(self, change: ServerListChange) -> None:
        """Deal with the servers that there are now."""
        self.spellings.learn(server.server_id for server in change.servers)
        for server in change.servers:
            self.dialects.announced(server)
            if server.heard and server.is_unmarked:  # before the disk tells it: no key takes the name meanwhile
                self.trust.servers.used_in_plain(server.server_id)
        if change.is_whole:
            self._servers.clear()
        self._servers.update((server.server_id, server) for server in change.servers)
        for server_id in change.gone:
            self.dialects.forget(server_id)
            self._servers.pop(server_id, None)
        if change.is_whole:  # last: who may be dialled is asked with what is known now
            self.peering.update(change.servers)
        else:
            self.peering.change(change.servers, change.gone)
        self.servers_heard_of(change.servers)

    def servers_heard_of(self, servers: ServerList) -> None:
        """These servers are there, or have changed."""

    def trust_changed(self, names: frozenset[str]) -> None:
        """Forget who dialled as these names with fields of ours: it may have been somebody else."""
        for name in names:
            self.dialects.forget_proven(name)
        super().trust_changed(names)

    def broadcast_to_servers(self, message_name: str, payload: Message) -> None:
        """Send a message to every linked server that reads: what is broadcast is soft, and newer follows."""
        raw = encode(message_name, payload)
        for link in self.peering.links:
            if link.writable:
                link.send(raw)

    def may_be_dialled(self, server_id: str) -> bool:
        """Whether our CONNECT_SERVER does that server no harm, and a TLS handshake comes to who has that key."""
        server = self._servers.get(server_id)
        is_elses = server is not None and server.heard and not server.key and bool(self.trust.key_of(server_id))
        return self.dialects.may_be_dialled(server_id) and not is_elses

    def make_peer_link(self, server_id: str, endpoint: Endpoint) -> Link:
        """A link that will dial that server with CONNECT_SERVER."""
        recognized = self.dialects.of(server_id)
        hello = pb.ConnectServer(serverId=self.server_id, features=[self.feature])
        if recognized.dialect.is_parley:
            hello.endpoints.extend(self.own_endpoints())
            hello.instanceId = self.instance_id
            hello.terms.CopyFrom(terms(server_id))
        credentials = self._credentials(server_id, endpoint, hello)
        link = self._make_link(
            self.config.link.peer_ping_timeout,
            hello=encode("CONNECT_SERVER", hello) if credentials is None else None,
            is_wanted=lambda: self.peering.link_to(server_id) is None,
            security=credentials,
        )
        link.peer_id = server_id
        link.recognize(recognized, self.frame_not_taken)
        return link

    def _credentials(self, server_id: str, endpoint: Endpoint, hello: pb.ConnectServer) -> Credentials | None:
        """Ours, for a server that has a key; None: it is dialled in plain."""
        server = self._servers.get(server_id)
        key = self.trust.key_of(server_id) or (server.key if server is not None else b"")
        if not key or not self.trust.has_keys:
            return None
        expects = self.trust.expect_server(server_id, key, endpoint.host)
        return self.trust.credentials(hello, self.feature, expects)

    def make_accepted_link(self) -> Link:
        """A link for a connection that was accepted."""
        return self._make_link(self.config.link.ping_timeout, track=self.admission, security=self.trust.acceptor)

    def _make_link(self, ping_timeout: float, track: Track | None = None, **how: Any) -> Link:
        timeouts = Timeouts(self.config.link.connect_timeout, ping_timeout)
        how |= {"track": track or self._links, "tally": self.metrics.frames, "counts": self.guard.counts}
        return Link(self, timeouts=timeouts, limit=self.config.link.payload_limit, **how)

    # LinkOwner: the handshake -----------------------------------------------------------------------

    def connect_requested(self, link: Link, identity: Identity) -> None:
        """Let a client or a server in, or not."""
        if self._stands_by:
            link.hang_up()
            return
        if identity.expects and fold(identity.expects) != fold(self.server_id):
            self._not_meant(link)
            return
        if reason := self.trust.assess(link, identity):
            tells_why = identity.is_client and identity.is_parley
            refusal = Result.NO_PROOF if tells_why else Result.NO_REFUSAL
            self._refuse(link, Result.UNKNOWN_ERROR, reason, refusal)
            if reason == "bad_proof":  # each costs a signature, and nobody honest has a better one
                link.hang_up()
            return
        if identity.user is not None:
            self._client_asks(link, replace(identity, user=self.spellings.user(identity.user)))
            return
        link.recognize(self._recognize(identity), self.frame_not_taken)
        result = self.admit_server(link, identity)
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

    def _client_asks(self, link: Link, identity: Identity) -> None:
        """Let a client in, or not, once it is known whether the name is its user's."""
        link.identify(identity)
        link.recognize(self._recognize(identity), self.frame_not_taken)
        result = self.admit_client(identity)
        if result != Result.CONNECTED:
            self._refuse(link, result)
            return
        if identity.is_pairing:
            self.pairing_asked(link, identity)
            return
        self.user_admission.judge(link, identity, partial(self._client_judged, link))

    def _client_judged(self, link: Link, judged: Judged) -> None:
        """It is known who the client's user is; a password takes a moment, in which the link may have ended."""
        if not link.is_deciding:
            return
        is_visitor = link.identity.user is not None and link.identity.user.server_id != self.server_id
        token = link.identity.token if is_visitor else None  # its home is shown it
        identity = link.identify(replace(link.identity, token=token, password=""))
        if judged.refusal is not None and identity.user is not None:
            self.metrics.connected("listener", "unknown_error")
            self.user_admission.refused(link, identity.user, judged.refusal)
            refusal = wire_refusal(judged.refusal) if identity.is_parley else Result.NO_REFUSAL
            link.refuse(Result.UNKNOWN_ERROR, refusal=refusal)
        elif not self.has_room_for(link, identity):
            self._refuse(link, Result.UNKNOWN_ERROR)
        else:
            link.assurance = judged.assurance
            link.accept(
                server_id=self.server_id,
                instance_id=self.instance_id,
                token=judged.token,
                devices=judged.devices,
            )
        link.decided()

    def pairing_asked(self, link: Link, identity: Identity) -> None:  # noqa: ARG002 - a seam
        """A new device of a user wants to be paired with an earlier one."""
        self._refuse(link, Result.UNKNOWN_ERROR)

    def key_of_server(self, server_id: str) -> bytes:
        """The key that a server's name belongs to; empty: none is known."""
        server = self._servers.get(server_id)
        return self.trust.key_of(server_id) or (server.key if server is not None else b"")

    def mail_waits(self, user: User) -> bool:  # noqa: ARG002 - a seam
        """Whether mail waits for a user of ours."""
        return False

    def name_changed(self, name: Name) -> None:
        """The devices of a user of ours are others now: this process wrote that."""

    def visitors_changed(self, user: User) -> None:
        """The same of a user of ours whose clients may be at other servers."""

    def _recognize(self, identity: Identity) -> Recognized:
        """The dialect of who asks to be connected."""
        if identity.is_client:
            return self.clients_dialects.of(identity.user, has_our_fields=bool(identity.capabilities))
        return self.dialects.of_dialler(identity.server_id, has_our_fields=identity.is_parley)

    def _refuse(
        self,
        link: Link,
        result: pb.ConnectResponse.Result,
        reason: str = "bad_connect",
        refusal: pb.ConnectResponse.Refusal = Result.NO_REFUSAL,
    ) -> None:
        self.metrics.connected("listener", _name_of(result))
        if result == Result.UNKNOWN_ERROR:
            self.message_rejected(link, reason, link.identity.name[:64])
        link.refuse(result, refusal=refusal)

    def has_room_for(self, link: Link, identity: Identity) -> bool:
        """Whether somebody who may connect can be remembered, and have one client more."""
        user = identity.user
        links = self.subscribers.get(user, ()) if user is not None else ()
        return self.admission.has_room_for_another(links, link.remote_host)

    def is_sibling(self, identity: Identity) -> bool:  # noqa: ARG002 - a seam
        """Whether that server says to be a process of our own node, and so has to prove it."""
        return False

    def sibling_proven(self, link: Link) -> None:
        """A link is proven to be one of our node's."""

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
        self.admission.admitted(link)
        identity = link.identity
        if identity.user is not None:
            self.subscribers.setdefault(identity.user, []).append(link)
            self.subscriber_connected(link)
        else:
            self.server_link_opened(link)

    def server_link_opened(self, link: Link) -> None:
        """A link with another server: it stands, or another one does."""
        identity = link.identity
        if link.dialled:
            recognized = self.dialects.of(link.peer_id, fields=identity.is_parley)
            link.recognize(recognized, self.frame_not_taken)
        if self._is_another(link):
            self._log_another(link)
            link.hang_up()
        elif not link.dialled and link.dialect.dials_deaf:
            self.peering.refuse_deaf(link)
        else:
            self.peering.link_opened(link, link.peer_id)

    @staticmethod
    def _is_another(link: Link) -> bool:
        """Whether not the server that we dialled answered, but one that says who it is."""
        found = link.identity.server_id
        return link.dialled and bool(found) and fold(found) != fold(link.peer_id)

    def _log_another(self, link: Link) -> None:
        """Say it once for each: it is dialled again and again for as long as it is expected there."""
        pair = (link.peer_id, link.identity.server_id)
        if pair not in self._others_found:
            self._others_found = {*self._others_found, pair} if len(self._others_found) < MOST_LOGGED else {pair}
            self.log.warning("peer_is_another", expected=pair[0], found=pair[1])

    def peer_connected(self, link: Link) -> None:
        """A server is linked, both ways usable."""
        self.spellings.learn([link.peer_id])
        self.trust.linked(link)
        self._log_peer(link, "peer_connected", dialled=link.dialled)
        self._peers_changed()

    def peer_disconnected(self, link: Link) -> None:
        """A server's link is over, or another took its place."""
        self._log_peer(link, "peer_disconnected")
        self._peers_changed()

    def _log_peer(self, link: Link, event: Complaint, **fields: object) -> None:
        """Say all of servers that the directory has; of others, who may be anybody, little."""

        def write() -> None:
            self.log.info(event, peer_id=link.peer_id, link_id=link.link_id, **fields)

        if self.peering.expects(link.peer_id):
            write()
        else:
            self.guard.complain(event, write)

    def name_is_contested(self, server_id: str, here: str, there: str) -> None:
        """Say it for as long as it lasts."""
        kind, advice = "name_twice", "give one of the two another PARLEY_SERVER_ID"
        if self.trust.key_of(server_id):  # both have proven it
            kind, advice = "node_cloned", OF_A_CLONE
        self.troubles.note(
            kind,
            server_id,
            f"two servers are called {server_id[:64]!r}: the one at {here} is linked and answers, the one at "
            f"{there} is refused; {advice}",
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
            self.registration.report_linked(link_states(peers, self.dialects))

    @property
    def subscriber_count(self) -> int:
        """How many clients are connected."""
        return sum(map(len, self.subscribers.values()))

    def measure_links(self) -> None:
        """Measure the way to each other server and back, and tell discovery what it was last time."""
        for link in self.peering.links:
            self.trust.look_again(link)
            link.probe()
        self._peers_changed()

    def subscriber_connected(self, link: Link) -> None:
        """A client is connected."""

    def subscriber_disconnected(self, link: Link) -> None:
        """A subscriber is connected no longer."""

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
        if reason in NAMED_REFUSALS:  # key_refused says who, and what to do
            return
        if detail == BEGAN_TLS and not self.trust.has_keys:
            detail = f"{detail}; this node's security.mode is open"
        if reason not in link.logged_faults:
            link.logged_faults |= {reason}
            self.guard.complain(
                "frame_rejected",
                lambda: self.log.warning("frame_rejected", reason=reason, detail=detail, link_id=link.link_id),
            )

    def frame_not_taken(self, link: Link, frame: Frame) -> None:
        """A message was not written, as the program at the other end could never take it: say so."""
        longest = link.dialect.longest
        if not longest or len(frame.raw) <= longest:
            self.metrics.limited("edits", "dialects")
            return
        self.metrics.limited("bytes", "dialects")
        self.guard.complain(
            "frame_too_long",
            lambda: self.log.warning(
                "frame_too_long",
                dialect=link.dialect.name,
                bytes=len(frame.raw),
                longest=longest,
                link_id=link.link_id,
            ),
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
            self._log_closed(link, role, closed)
        else:
            self.guard.complain("link_closed", lambda: self._log_closed(link, role, closed))
        if not link.was_open and self._is_another(link):
            self._log_another(link)
        user = link.identity.user
        if user is not None and link in self.subscribers.get(user, ()):
            self._unsubscribe(user, link)
        elif user is None:  # a process that adopts our name has none in its CONNECT
            self.server_link_closed(link, closed)

    def _log_closed(self, link: Link, role: str, closed: Closed) -> None:
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

    def status(self) -> dict[str, object]:
        """Adds its links."""
        return super().status() | {
            "subscribers": self.subscriber_count,
            "peers": [peer_status(peer, recognized(peer, self.dialects)) for peer in self.peering.peers],
        }


def _endpoints_of(server: Server) -> list[pb.Endpoint]:
    """A server's endpoints as discovery tells a process of its node's."""
    return [
        pb.Endpoint(feature=feature, host=e.host, port=e.port, udpPort=e.udp_port)
        for feature, endpoints in server.features.items()
        for e in endpoints
    ]


def _name_of(result: int) -> str:
    return Result.Result.Name(result).lower()
