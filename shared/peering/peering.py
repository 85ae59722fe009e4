"""Peering: the links of one process with the other servers, a connector each, and exactly one link each.

`update` and `change` follow the directory: a connector starts for each server that offers the feature and may be
dialled, and stops when the server is forgotten, unless it is linked. Others are only known, until they dial us. A
link that a server dialled is judged by tie_break.py beside the link that stands: one of the two is hung up. Of two
servers of one name (`rivals`) the linked one stays; a young link yields once, where its server does not know the
user to whom somebody writes (`yield_to_rival`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from parley.shared.addresses import Endpoint, Server
from parley.shared.config import LinkConfig
from parley.shared.dialects.dialect import WRITE_GAP
from parley.shared.link.events import Closed, Identity
from parley.shared.link.link import Link
from parley.shared.names import fold
from parley.shared.peering import tie_break
from parley.shared.peering.connector import Connector
from parley.shared.peering.dead_links import DeadLinks
from parley.shared.peering.dial_limits import Dials
from parley.shared.peering.peer import Peer
from parley.shared.runtime.backoff import Backoff
from parley.shared.runtime.supervised import Faults
from parley.shared.spellings import ByName
from parley.shared.wire.messages import pb

ConnectResult = pb.ConnectResponse
ENDINGS: Final = ("exit", "timeout", "lost", "malformed", "too_large", "unknown")
"""How a link that stood can end."""
SETTLED: Final = 60.0
"""Seconds for which a link must have stood to be nobody else's."""
AVOIDED: Final = 15.0
"""Seconds for which the other server of a name has the way to itself."""
MOST_UNKNOWN: Final = 64
"""Servers that dialled us before the directory had them, and are remembered."""
MOST_RIVALS: Final = 8
"""Addresses of other servers of one name that are remembered."""


class PeeringOwner(Protocol):
    """The part of a process that its links need."""

    server_id: str
    faults: Faults

    @property
    def feature(self) -> str:
        """The feature that the links are for."""

    def may_be_dialled(self, server_id: str) -> bool:
        """Whether our CONNECT_SERVER does that server no harm."""

    def make_peer_link(self, server_id: str, endpoint: Endpoint) -> Link:
        """A link that will dial that server."""

    def peer_connected(self, link: Link) -> None:
        """A server is linked."""

    def peer_disconnected(self, link: Link) -> None:
        """A server is linked no longer."""

    def dial_failed(self, peer: Peer) -> None:
        """A round of dials brought no link."""

    def name_is_contested(self, server_id: str, here: str, there: str) -> None:
        """Two servers of one name live: that at `here` is linked, that at `there` is refused."""

    def discover_now(self) -> None:
        """A server dialled us that the directory does not have yet, or has elsewhere."""


class Peering:
    """All other servers that a process deals with."""

    def __init__(self, owner: PeeringOwner, config: LinkConfig, local_host: str, dead_links: DeadLinks) -> None:
        self._owner = owner
        self._dead_links = dead_links
        self._config = config
        self._local_host = local_host
        self._peers: ByName[Peer] = ByName()
        self._dials = Dials(config.backoff_min)
        self._dialled_unknown: ByName[float] = ByName()
        """Existing servers that dialled us, and are not in the directory yet → when that was."""
        self._ending: set[asyncio.Task[None]] = set()
        self._is_stopped = False
        self.reconnects: dict[str, int] = dict.fromkeys(ENDINGS, 0)
        """How the link before ended → how many servers were linked again after that."""
        self.duplicates = {"dialled": 0, "accepted": 0}
        """Which of two links was kept, the one that we dialled or accepted → how often that was decided here."""

    @property
    def links(self) -> list[Link]:
        """The link that stands to each linked server."""
        return [peer.link for peer in self._peers.values() if peer.link is not None]

    @property
    def peers(self) -> list[Peer]:
        """Every server dealt with, linked or not."""
        return list(self._peers.values())

    def link_to(self, server_id: str) -> Link | None:
        """The link to a server, or None."""
        peer = self._peers.get(server_id)
        return peer.link if peer is not None else None

    def expects(self, server_id: str) -> bool:
        """Whether the directory has that server."""
        peer = self._peers.get(server_id)
        return peer is not None and bool(peer.endpoints)

    # Who is to be linked ----------------------------------------------------------------

    def update(self, servers: Sequence[Server]) -> None:
        """Dial each server that offers the feature and may be dialled; forgotten ones no more, unless linked."""
        offering = {fold(s.server_id) for s in servers}
        self.change(servers, [server_id for server_id in self._peers if fold(server_id) not in offering])

    def change(self, servers: Sequence[Server], gone: Sequence[str]) -> None:
        """The same for those that are new or different, and those that are forgotten: all others are as before."""
        for server in servers:
            endpoints = server.endpoints(self._owner.feature)
            if not endpoints:
                self._offers_no_more(server.server_id)
            elif fold(server.server_id) != fold(self._owner.server_id):
                self._connect(server.server_id, endpoints)
        for server_id in gone:
            self._offers_no_more(server_id)

    def _offers_no_more(self, server_id: str) -> None:
        peer = self._peers.get(server_id)
        if peer is None:
            return
        peer.is_gone = True
        if peer.link is None:
            self._forget(peer)

    def _connect(self, server_id: str, endpoints: tuple[Endpoint, ...]) -> None:
        peer = self._peers.setdefault(server_id, Peer(server_id))
        if (dialled := self._dialled_unknown.pop(server_id, None)) is not None:
            peer.refusals.has_dialled(dialled)
        peer.endpoints = endpoints
        peer.is_gone = False
        self._dial(peer)

    def _dial(self, peer: Peer) -> None:
        """Dial a server from now on, if it is known where it is, and our CONNECT does it no harm."""
        if self._is_stopped or not peer.endpoints or peer.is_gone or not self._may_dial(peer):
            return
        if peer.connector is None:
            peer.connector = self._make_connector(peer)
            peer.connector.start()
        elif peer.link is None:
            peer.connector.heard_from()

    def _may_dial(self, peer: Peer) -> bool:
        return self._owner.may_be_dialled(peer.server_id)

    def _make_connector(self, peer: Peer) -> Connector:
        async def find_endpoints() -> Sequence[Endpoint]:
            return [e for e in peer.endpoints if not peer.avoids(e.host)]

        return Connector(
            find_endpoints=find_endpoints,
            make_link=lambda endpoint: self._make_dial(peer, endpoint),
            backoff=Backoff(self._config.backoff_min, self._config.backoff_max),
            local_host=self._local_host,
            dial_timeout=self._config.dial_timeout,
            is_needed=lambda: peer.link is None and self._may_dial(peer),
            not_before=lambda: peer.refusals.until,
            before_dial=lambda: self._dead_links.clear(peer.server_id),
            failed=lambda _error: self._owner.dial_failed(peer),
            what=f"dialling {peer.server_id[:64]!r}",
            faults=self._owner.faults,
            dials=self._dials,
        )

    def _make_dial(self, peer: Peer, endpoint: Endpoint) -> Link:
        peer.dial = self._owner.make_peer_link(peer.server_id, endpoint)
        return peer.dial

    def _forget(self, peer: Peer) -> None:
        del self._peers[peer.server_id]
        if peer.connector is not None:
            task = asyncio.get_running_loop().create_task(peer.connector.stop())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def pause(self) -> None:
        """Dial nobody until the next `update`; the links are their owner's to hang up."""
        for peer in list(self._peers.values()):
            connector, peer.connector = peer.connector, None
            peer.endpoints = ()
            if peer.link is None:
                del self._peers[peer.server_id]
            if connector is not None:
                await connector.stop()

    async def stop(self) -> None:
        """End all connectors; the links are their owner's to hang up."""
        self._is_stopped = True
        for peer in list(self._peers.values()):
            if peer.connector is not None:
                await peer.connector.stop()
        if self._ending:
            await asyncio.wait(self._ending)

    # Which link stands ---------------------------------------------------------------------

    def admits(self, identity: Identity, host: str) -> bool:
        """Whether a CONNECT_SERVER from that address may stand, given what there is to that server already."""
        peer = self._peers.get(identity.server_id)
        standing = _standing(peer, identity, host) if peer is not None else None
        if peer is not None and peer.avoids(host):
            return False
        stays = tie_break.incoming_stays(self._owner.server_id, identity.server_id, standing)
        if not stays and peer is not None and standing is not None and standing.is_open and standing.is_elsewhere:
            self._note_rival(peer, host)
        elif not stays:
            self.duplicates["dialled"] += 1
        if not stays and peer is not None and peer.link is not None:
            peer.link.probe()  # its dialler has lost it: if it is dead, we learn it before the next try
        return stays

    def _note_rival(self, peer: Peer, host: str) -> None:
        """Another server of a linked one's name: it is that once the linked one was heard again.

        Else it may be the same one after a restart at another address, whose old link is not known to be dead yet.
        """
        link, now = peer.link, asyncio.get_running_loop().time()
        if link is None:
            return
        if len(peer.rivals) < MOST_RIVALS:
            peer.rivals.setdefault(host, now)
        if link.heard_since(peer.rivals.get(host, now)):
            self._owner.name_is_contested(peer.server_id, link.remote_host, host)

    def may_yield(self, server_id: str) -> bool:
        """Whether the link to a server would yield if another one of its name asked to be linked."""
        peer = self._peers.get(server_id)
        return (
            peer is not None
            and peer.link is not None
            and peer.link.identity.is_parley
            and not peer.has_yielded
            and peer.link.age <= SETTLED
        )

    def is_contested(self, server_id: str) -> bool:
        """Whether one does, and the linked one answers."""
        peer = self._peers.get(server_id)
        return peer is not None and peer.is_contested

    def yield_to_rival(self, server_id: str) -> bool:
        """The linked one of two servers of one name does not know whom people write to there: try the other, once.

        Only a link that is young yields. One that has stood for longer was there first, whoever says what.
        """
        peer = self._peers.get(server_id)
        if peer is None or peer.link is None or not peer.is_contested or not self.may_yield(server_id):
            return False
        peer.has_yielded = True
        peer.avoided, peer.avoided_until = peer.link.remote_host, asyncio.get_running_loop().time() + AVOIDED
        peer.link.hang_up()
        return True

    def link_opened(self, link: Link, server_id: str) -> None:
        """A link was opened, by either side: it stands, or the one before does."""
        peer = self._peers.setdefault(server_id, Peer(server_id))
        before = peer.link
        if before is not None and self._keeps(before, link, link.identity.server_id or server_id):
            self.duplicates["accepted"] += 1
            link.hang_up()
            return
        peer.link = link
        self._dead_links.stood(server_id, link)
        peer.refusals.accepted()
        peer.rivals.clear()
        if peer.connector is not None:
            peer.connector.forget_error()
        if before is not None:
            self.duplicates["dialled" if link.dialled else "accepted"] += 1
            self._owner.peer_disconnected(before)
            before.hang_up()
        elif peer.lost_because:
            reason = peer.lost_because if peer.lost_because in self.reconnects else "unknown"
            self.reconnects[reason] += 1
        self._owner.peer_connected(link)
        if peer.connector is not None:
            peer.connector.wake()
        elif peer.endpoints:
            self._dial(peer)
        else:
            self._owner.discover_now()

    def _keeps(self, before: Link, link: Link, server_id: str) -> bool:
        """Whether the link before stays, and the new one is closed."""
        if before.is_open and not before.is_silent and _is_elsewhere(before, link.identity, link.remote_host):
            return True
        return link.dialled and not before.dialled and tie_break.smaller(server_id, self._owner.server_id)

    def refuse_deaf(self, link: Link) -> None:
        """An existing server dialled: such a link is deaf and mute. Hang up, and dial it ourselves from now on.

        HANGUP comes apart from CONNECTED: not every existing program reads two frames that come together.
        """
        loop = asyncio.get_running_loop()
        self._note_dialler(link.identity.server_id, loop.time() + WRITE_GAP)
        loop.call_later(WRITE_GAP, self._hang_up_deaf, link)

    def _note_dialler(self, server_id: str, hung_up_at: float) -> None:
        """It is dialled when it has read our HANGUP; it may come into the directory before that."""
        peer = self._peers.get(server_id)
        if peer is None:
            self._dialled_unknown[server_id] = hung_up_at
            if len(self._dialled_unknown) > MOST_UNKNOWN:
                del self._dialled_unknown[next(iter(self._dialled_unknown))]
        elif peer.link is None:
            peer.refusals.has_dialled(hung_up_at)

    def _hang_up_deaf(self, link: Link) -> None:
        link.hang_up()
        peer = self._peers.get(link.identity.server_id)
        if peer is None or not peer.is_at(link.remote_host):
            self._owner.discover_now()
        if peer is not None and peer.link is not None:
            peer.link.probe()  # it may have lost it
        elif peer is not None:
            self._dial(peer)

    def closed(self, link: Link, server_id: str, closed: Closed) -> None:
        """A link is over: dial again."""
        self._dead_links.closed(link, closed)
        peer = self._peers.get(server_id)
        if peer is None:
            return
        if peer.connector is not None and not closed.by_us and peer.link in {None, link}:
            peer.connector.note_error(f"closed: {closed.reason}")
        if link.dialled and closed.reason == "refused" and not link.is_parley:
            peer.refusals.refused(asyncio.get_running_loop().time())
        if peer.link is not link:
            return
        peer.link = None
        peer.lost_because = closed.reason
        self._owner.peer_disconnected(link)
        if peer.is_gone:
            self._forget(peer)
        elif peer.connector is not None:
            peer.connector.wake()
        elif not peer.endpoints:
            self._owner.discover_now()
            if not peer.has_yielded:
                del self._peers[server_id]


def _is_elsewhere(link: Link, identity: Identity, host: str) -> bool:
    """Whether a link leads to another process than one of `identity` at `host`, and to another address."""
    instances = {link.identity.instance_id, identity.instance_id}
    return len(instances) > 1 and "" not in instances and link.remote_host != host


def _standing(peer: Peer, identity: Identity, host: str) -> tie_break.Standing | None:
    """The link beside which a new one from that server would stand."""
    link = peer.link or peer.standing_dial
    if link is None:
        return None
    return tie_break.Standing(
        dialled_by_us=link.dialled,
        is_open=link.is_open,
        is_silent=link.is_silent,
        same_instance=link.identity.instance_id == identity.instance_id,
        is_elsewhere=_is_elsewhere(link, identity, host),
    )
