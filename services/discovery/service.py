"""The discovery process: the announcer, the directory, the registry, and who is told what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import ClassVar, cast

from parley.services.discovery.announcing.announcer import Announcer
from parley.services.discovery.announcing.answering import Request
from parley.services.discovery.announcing.server_discovery import ServerDiscoveryService
from parley.services.discovery.announcing.server_limits import Limits
from parley.services.discovery.directory.diagnosis import Diagnosis
from parley.services.discovery.directory.directory import Directory, Hearing
from parley.services.discovery.directory.link_times import LinkingTimes
from parley.services.discovery.directory.registry import Registrant, Registry, reply_to
from parley.services.discovery.metrics import Counters, Report
from parley.services.discovery.status_page import page
from parley.services.discovery.status_page.keys import ShownKey, shown_keys
from parley.services.discovery.status_page.view import View, view
from parley.shared.addresses import Server
from parley.shared.config import Config, host_name, load
from parley.shared.discovery.announced_keys import AnnouncedKeys
from parley.shared.discovery.announcements import Announcement, encode_announcement, our_mark
from parley.shared.discovery.server_lists import ServerListChange, encode_change
from parley.shared.http.event_streams import Events, Stream
from parley.shared.http.server import Answer
from parley.shared.link.events import Closed, Identity
from parley.shared.link.link import Link
from parley.shared.runtime.supervised import SupervisedTimer, forever
from parley.shared.service.service_base import ServiceBase
from parley.shared.version import version
from parley.shared.wire.framing import MAX_DATAGRAM, Frame
from parley.shared.wire.messages import decode, encode, pb

Result = pb.ConnectResponse

REFRESH = 5.0
"""Seconds after which who watches the status page is told the present ages."""
GATHER = 0.1
"""Seconds for which changes are gathered for them."""
TELL_EVERY = 0.05
"""Seconds between two lists of what changed: the first goes at once."""


class DirectoryService(ServiceBase):
    """Finds servers and tells this node's processes of them."""

    feature: ClassVar[str] = "DISCOVERY"
    section: ClassVar[str] = "discovery"

    def __init__(self, server_id: str = "", config: Config | None = None) -> None:
        config = config or load()
        super().__init__(server_id or config.server_id or host_name(), config)
        settings = self.config.discovery
        limits = Limits(servers=self.config.limits.servers)
        self.directory = Directory(settings.server_expiry, settings.discovery_interval, limits)
        self.registry = Registry()
        self.metrics.expect_datagrams()
        self._counters = Counters(self.metrics, self.directory, self.registry)
        self._times = LinkingTimes(self._counters.measured)
        self._reports: dict[Link, Report] = {}
        self._linked: dict[str, list[str]] = {}
        """Feature → the servers that our process of it is linked with: what we announce."""
        self._mark = our_mark(version(), self.instance_id)
        self._events = Events(self._live)
        self._refresh = SupervisedTimer("telling the status page", self._send_live, self.faults)
        self._announcer: Announcer | None = None
        self._diagnosis = Diagnosis(self.troubles)
        self._keys = AnnouncedKeys(self.trust.servers, lambda: self.metrics.limited("signatures", "discovery"))
        self._synced: set[object] = set()
        """Links of processes that were told the whole directory."""
        self._tell_later = SupervisedTimer("telling our processes of the directory", self._tell, self.faults)
        self._tell_next = 0.0

    # Life -------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Take the registration port and the discovery port."""
        self.data_directory.check_name(self.server_id)
        super().bind()
        self._announcer = Announcer(
            self.config,
            ServerDiscoveryService(self.server_id, self.config),
            asked=self._asked,
            heard=self._heard,
            namesake=self._namesake,
            peer_answered=lambda host: self._diagnosis.silences.answered(host, self._now()),
            interval=lambda: self.directory.interval,
            is_useful=self.directory.is_useful,
            metrics=self.metrics,
            counters=self._counters,
            log=self.log,
        )

    async def register(self) -> None:
        """Discovery registers with nobody: it begins to ask the network."""
        self.keep_secret()
        await self.start()
        if self._announcer is not None:
            self.spawn(self._announcer.run(self.faults))
        self.spawn(forever("forgetting servers", self._expire, self.faults))

    async def stop(self) -> None:
        """Hear no more, then end as any service."""
        self._refresh.cancel()
        self._tell_later.cancel()
        if self._announcer is not None:
            self._announcer.close()
        await super().stop()

    async def _expire(self) -> None:
        """Forget servers, once an interval."""
        await asyncio.sleep(self.config.discovery.discovery_interval)
        self.keep_secret()
        self._diagnose()
        if self.directory.expire(self._now()):
            self._times.keep(entry.server_id for entry in self.directory.entries)
            self._directory_changed()

    def secret(self) -> bytes | None:
        """The secret that our processes have to know."""
        return self.known_secret

    def _diagnose(self) -> None:
        """Say what is wrong around us."""
        now, announcer = self._now(), self._announcer
        if announcer is not None:
            self._diagnosis.unanswered(announcer.is_reached, now)
            peers = announcer.lookups.hosts - announcer.networks.own
            self._diagnosis.static_peers(peers, announcer.lookups.errors, self.directory.interval, now)
        if not self.config.server_id:
            data = self.data_directory
            others = [name for name in data.names() if name != self.server_id and not data.is_in_use(name)]
            self._diagnosis.data_of_others(str(data.path), others, self.server_id)

    def discover_now(self) -> None:
        """Ask the network at once."""
        if self._announcer is not None:
            self._announcer.ask_now()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # Datagrams ----------------------------------------------------------------------------------

    def _asked(self, request: Request) -> None:
        """Answer for what is at our address; have the others answer from theirs.

        An announcement without features asks in turn where nothing is at our address.
        """
        announcer = self._announcer
        if announcer is None:
            return
        reply = reply_to(self.registry, request.asker[0], announcer.gateways)
        announces = bool(reply.announce or (request.ask and reply.pass_on))
        count = announces + len(reply.pass_on)
        if not count:
            return
        limit = min(request.limit // count or MAX_DATAGRAM, MAX_DATAGRAM)
        announcement = encode_announcement(
            self.server_id,
            reply.announce,
            self._linked,
            mark=self._mark,
            nonce=request.nonce,
            ask=request.ask,
            limit=limit,
            identity=self.trust.identity,
        )
        if not announcer.may_answer(request, count * len(announcement)):
            return
        if announces:
            announcer.answer(request, announcement)
            if request.ask and request.is_near:
                self._diagnosis.silences.asked(request.asker, self._now())
        to = pb.AnnounceTo(host=request.asker[0], port=request.asker[1], nonce=request.nonce, limit=limit)
        self._counters.announcements["sent"] += len(reply.pass_on)
        for link in reply.pass_on:
            cast("Link", link).send(encode("ANNOUNCE_TO", to))

    def _heard(self, heard: Announcement, source: str, answered: bool, pinned: bool) -> None:
        now = self._now()
        server = self._believed(heard, source, now, answered=answered)
        if server is None:
            return
        relayed = self._announcer is not None and source in self._announcer.gateways
        hearing = self.directory.heard(
            server, now, relayed=relayed, linked=heard.linked, source=source, answered=answered, pinned=pinned
        )
        if hearing is Hearing.REFUSED:
            self.metrics.limited("endpoints" if server.server_id in self.directory else "names", "directory")
            return
        if hearing is Hearing.NEW:
            self._tell_of(server, source)
        if hearing:
            self._directory_changed()
        self._times.heard(server.server_id, server.features, now)
        self._show()

    def _believed(self, heard: Announcement, source: str, now: float, *, answered: bool) -> Server | None:
        """The server as it may be spoken to; without keys here as it says."""
        if not self.config.security.has_keys:
            return replace(heard.server, key=b"")
        server = self._keys.believed(heard, source, now, answered=answered)
        if server is not None and server.is_unmarked:  # it may never link, and its name is its own all the same
            self.trust.servers.used_in_plain(server.server_id)
        return server

    def trust_changed(self, names: frozenset[str]) -> None:
        """Forget whoever has a key that is theirs no longer, and ask at once who is there."""
        super().trust_changed(names)
        self._keys.forget()
        if self.directory.distrust(lambda name, key: not self.trust.servers.may_stay(name, key)):
            self._directory_changed()
        if self._announcer is not None:
            self._announcer.ask_now(always=True)

    def _tell_of(self, server: Server, source: str) -> None:
        """Say that a server was found: not as often as anybody likes."""

        def write() -> None:
            self.log.info("server_discovered", peer_id=server.server_id, host=source)

        self.guard.complain("server_discovered", write)

    def _namesake(self, heard: Announcement, source: str, answered: bool) -> None:
        """Another server has our name, unless a gateway or a process of ours relayed it; perhaps our key, too."""
        gateways = self._announcer.gateways if self._announcer is not None else frozenset()
        if source in gateways or source in self.registry.hosts:
            return
        now, identity = self._now(), self.trust.identity
        has_our_key = identity is not None and answered
        if identity is not None and has_our_key and self._keys.is_proven(heard, source, now, identity.public):
            instance = heard.server.mark.instance_id if heard.server.mark is not None else ""
            self._diagnosis.clone(self.server_id, instance, source, now)
        else:
            self._diagnosis.namesake(self.server_id, source, now)

    # Registration ---------------------------------------------------------------------------------

    def admit_client(self, identity: Identity) -> pb.ConnectResponse.Result:  # noqa: ARG002 - nobody's client
        """Discovery has no subscribers."""
        return Result.UNKNOWN_ERROR

    def admit_server(self, link: Link, identity: Identity) -> pb.ConnectResponse.Result:
        """Only this node's processes register here: those that agree on its name, or adopt it."""
        if identity.server_id not in ("", self.server_id):
            return Result.UNKNOWN_ERROR
        if not self.registry.admits(_registrant(link, identity)):
            return Result.IS_ALREADY_CONNECTED_ERROR
        return Result.CONNECTED

    def is_sibling(self, identity: Identity) -> bool:  # noqa: ARG002 - nobody else is admitted
        """A process that registers proves that it knows the secret of our data directory."""
        return True

    def server_link_opened(self, link: Link) -> None:
        """A process is linked; its proof is on its way."""

    def sibling_proven(self, link: Link) -> None:
        """A process is registered, unless another one was faster."""
        if not self.registry.admits(_registrant(link, link.identity)):
            link.hang_up()
            return
        for old in self.registry.add(link, _registrant(link, link.identity)):
            cast("Link", old).hang_up()
        features = [e.feature for e in link.identity.endpoints]
        self.log.info("process_registered", features=features, host=link.remote_host)
        self._directory_changed()
        if features and self._announcer is not None:  # a node that started with ours had nothing to announce then
            self._announcer.ask_now(always=True)

    def server_link_closed(self, link: Link, closed: Closed) -> None:
        """A process is gone: its feature is no longer announced."""
        self.siblings.closed(link)
        self.directory.set_linked(link, ())
        self._reports.pop(link, None)
        self._linked = {report.feature: report.linked for report in self._reports.values()}
        if self.registry.remove(link):
            self.log.info("process_gone", host=link.remote_host, reason=closed.reason)
            self._directory_changed()

    def handle_server_message_for_feature(self, link: Link, frame: Frame) -> bool:
        """Handle the reports of our processes, once they have proven to be that."""
        if not self.siblings.is_proven(link):
            return self.siblings.handle(link, frame)
        if frame.name == "LINKED_SERVERS":
            self._links_reported(link, decode(frame, pb.LinkedServers))
            return True
        if frame.name == "DISCOVER_SERVER":
            self.discover_now()
            return True
        return False

    def _links_reported(self, link: Link, message: pb.LinkedServers) -> None:
        """Take a report of the servers that one of our processes is linked with."""
        self.directory.set_linked(link, message.serverIds)
        now = self._now()
        for feature in (e.feature for e in link.identity.endpoints):
            self._times.linked(feature, message.serverIds, now)
            self._reports[link] = Report(feature, tuple(message.links), now)
        self._linked = {report.feature: report.linked for report in self._reports.values()}
        self._show()

    def _directory_changed(self) -> None:
        """Tell all processes, once for all that changed in this turn; where much changes, for all of a while."""
        self._show()
        self._tell_later.set(max(self._now(), self._tell_next))

    def _tell(self) -> None:
        """Tell the processes what is different; a process that is new is told all there is."""
        self._tell_next = self._now() + TELL_EVERY
        own = self.registry.all()
        difference = self.directory.take_difference()
        changes = encode_change(ServerListChange(difference.servers, tuple(difference.gone), is_whole=False), own)
        keys = self.registry.keys
        new = [key for key in keys if key not in self._synced]
        whole = encode_change(ServerListChange(self.directory.servers), own) if new else []
        for link in keys:
            for raw in changes if link in self._synced else whole:
                cast("Link", link).send(raw)
        self._synced = set(keys)

    # For people ---------------------------------------------------------------------------------------

    def pages(self) -> Mapping[str, Callable[[], Answer | Stream]]:
        """The status page, what it loads, and what keeps it up to date."""
        files = {f"/{name}": partial(_file, name) for name in page.FILES}
        return {"/": self._page, "/events": self._event_stream, **files}

    def _view(self) -> View:
        reports = tuple(self._reports.values())
        return view(self.server_id, self.directory, self.registry.features, reports, self._now(), self._shown_keys)

    def _shown_keys(self, server_ids: Iterable[str]) -> tuple[ShownKey, ...]:
        """The keys of these servers, for people; none in mode `open`."""
        servers = self.trust.servers
        if not self.config.security.has_keys:
            return ()
        return shown_keys(self.server_id, self.trust.key, servers.known, server_ids, servers.age)

    def _page(self) -> Answer:
        return 200, "text/html; charset=utf-8", page.page(self._view(), version())

    def _event_stream(self) -> Answer | Stream:
        if self._events.is_full:
            return 503, "text/plain; charset=utf-8", b"too many readers\n"
        if not len(self._events):
            self._refresh.set(self._now() + REFRESH)
        return self._events.stream()

    def _live(self) -> str:
        return page.live(self._view())

    def _show(self) -> None:
        """Something is to be seen: soon, with all that comes until then."""
        if len(self._events):
            self._refresh.set(self._now() + GATHER)

    def _send_live(self) -> None:
        """Tell who watches; ages change even where nothing else does."""
        if len(self._events):
            self._events.send(self._live())
            self._refresh.set(self._now() + REFRESH)

    def status(self) -> dict[str, object]:
        """Adds the directory, what this node offers, and its processes' links."""
        now, seen = self._now(), self._view()
        return super().status() | {
            "pairs": [
                {"one": edge.one, "other": edge.other, "state": edge.state, "missing": edge.missing}
                for edge in seen.edges
            ],
            "security_mode": self.config.security.mode,
            "keys": [key.as_json() for key in seen.keys],
            "links": {report.feature: report.as_json(now) for report in self._reports.values()},
            "offers": [
                {"feature": e.feature, "host": e.host, "port": e.port, "udp_port": e.udpPort}
                for e in self.registry.all()
            ],
            "directory": [
                {
                    "server_id": entry.server_id,
                    "last_heard_seconds": round(now - entry.last_heard, 3),
                    "linked": self.directory.is_linked(entry.server_id),
                    "features": {
                        feature: [str(e) for e in endpoints]
                        for feature, endpoints in entry.server().features.items()
                    },
                }
                for entry in self.directory.entries
            ],
        }


def _file(name: str) -> Answer:
    return 200, page.FILES[name], page.file(name)


def _registrant(link: Link, identity: Identity) -> Registrant:
    """A process at our own address has the address that its link reached us at."""
    remote = link.remote_host
    host = "" if remote == link.local_host else remote
    return Registrant(identity.instance_id, host, identity.endpoints)
