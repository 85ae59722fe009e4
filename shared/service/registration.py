"""How a process of a node belongs to it: one link to the node's discovery process.

Over it the process learns its serverId (or adopts one), gets SERVER_LIST and ANNOUNCE_TO, and reports the
servers that it is linked with. It is the same link and the same connector as to any other server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

from parley.shared.addresses import Endpoint
from parley.shared.config import Config
from parley.shared.discovery.server_lists import ServerListChange, read_change
from parley.shared.errors import PeerError, PeerUnproven, PeerUnreachable
from parley.shared.link.credentials import Credentials
from parley.shared.link.events import Closed
from parley.shared.link.link import Link
from parley.shared.peering.connector import resolve
from parley.shared.peering.dialler import Dialler
from parley.shared.runtime.supervised import Faults
from parley.shared.service.data_directory import FILE, DataDirectory
from parley.shared.service.node_trust import expect_sibling
from parley.shared.service.proofs import Dialling
from parley.shared.telemetry.logs import Log
from parley.shared.trust.assurance import Assurance
from parley.shared.trust.proofs import SERVER, Channel
from parley.shared.trust.proofs import Dialler as Proving
from parley.shared.trust_storage.identity import find_identity
from parley.shared.wire.capabilities import terms
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, encode, pb

LOG_AFTER = 5.0
"""Seconds for which discovery may be away before that is worth a line: it may just be starting."""
RENAME_AFTER = 30.0
"""Seconds after which a process, whose discovery is gone or has another name now, may adopt again."""
STANDBY_RETRY = 1.0
"""Seconds, at most, between two looks of a standby, or of a process whose discovery is away."""

Result = pb.ConnectResponse


class Registrant(Protocol):
    """The part of a process that its registration needs."""

    server_id: str
    instance_id: str
    log: Log
    faults: Faults

    @property
    def is_named(self) -> bool:
        """Whether its serverId was given to it, and not adopted."""

    def own_endpoints(self) -> list[pb.Endpoint]:
        """Where this process serves; none for one that only watches."""

    async def registered(self, server_id: str) -> None:
        """Discovery took us: this is our name."""

    async def not_registered(self, *, taken: bool) -> None:
        """We are not registered: another process serves this feature (`taken`), or discovery is not reached."""

    async def server_list_received(self, change: ServerListChange, own: Sequence[pb.Endpoint]) -> None:
        """The directory, or what this node offers, changed."""

    def announce_to(self, to: pb.AnnounceTo) -> None:
        """Send our own announcement there."""

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task of the process."""


class Registration(Dialler):
    """Keeps this process registered for as long as it runs."""

    def __init__(self, registrant: Registrant, config: Config) -> None:
        super().__init__(config, lambda: registrant.log)
        self._registrant = registrant
        self._host, self._port = config.registration_address()
        self._taken = False
        self._disagrees = False
        self._data = DataDirectory(config.data_dir)
        self._secret = b""
        self._unproven = False
        """Whether discovery there could not prove to be of our node."""
        self._disagrees_since: float | None = None
        self._is_logged = False
        self._failing_since: float | None = None
        self._links: tuple[pb.LinkState, ...] = ()
        self._last_good: Endpoint | None = None

    @property
    def is_registered(self) -> bool:
        """Whether discovery knows us now."""
        return self.link is not None

    def start(self) -> None:
        """Begin to register, and go on trying."""
        self.dial("registering", STANDBY_RETRY, self._registrant.faults)

    def report_linked(self, links: Sequence[pb.LinkState]) -> None:
        """Tell discovery whom we deal with: the directory entries of linked servers live as long."""
        self._links = tuple(links)
        if self.link is not None:
            linked = [link.serverId for link in links if link.linked]
            self.link.send(encode("LINKED_SERVERS", pb.LinkedServers(serverIds=linked, links=links)))

    def discover_now(self) -> None:
        """Have discovery ask the network at once."""
        if self.link is not None:
            self.link.send(encode("DISCOVER_SERVER"))

    # Dialling ---------------------------------------------------------------------------

    async def find_endpoints(self) -> Sequence[Endpoint]:
        """Every address of discovery; the one that took us last first."""
        self._secret = _known_secret(self._data)
        found = await resolve(self._host, self._port)
        return sorted(found, key=lambda endpoint: endpoint != self._last_good)

    def connect_message(self, endpoint: Endpoint) -> bytes:
        """The CONNECT of a registration."""
        return encode("CONNECT_SERVER", self._connect(endpoint))

    def credentials(self, endpoint: Endpoint) -> Credentials | None:
        """Ours, where there are keys: discovery has the key in our data directory, and we have the same."""
        if not self.config.security.has_keys:
            return None
        hello = self._connect(endpoint)
        me = Proving(SERVER, "DISCOVERY", hello.serverId, hello.instanceId)
        return Credentials(hello, me, self._expect, find_identity(self._data.path, hello.serverId))

    def _expect(self, channel: Channel) -> Assurance:
        try:
            return expect_sibling(self._data.path, channel)
        except PeerUnproven:
            self._unproven = True
            raise

    def _connect(self, endpoint: Endpoint) -> pb.ConnectServer:
        """The content: our name, if we have one yet, and where we serve."""
        self._dialled = endpoint
        me = self._registrant
        endpoints = me.own_endpoints()
        server_id = "" if self._may_adopt_again() else me.server_id
        self._proving = Dialling(self._secret, server_id, me.instance_id)
        return pb.ConnectServer(
            serverId=server_id,
            proof=self._proving.nonce,
            features=[e.feature for e in endpoints],
            endpoints=endpoints,
            instanceId=me.instance_id,
            terms=terms(),
        )

    def _may_adopt_again(self) -> bool:
        """Whether every discovery there is has long been of other names than the one that we adopted."""
        since = self._disagrees_since
        return not self._registrant.is_named and since is not None and self._now() - since >= RENAME_AFTER

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def dial_failed(self, error: PeerError) -> None:
        """A round over all addresses brought nothing: say so once, until it works again."""
        me = self._registrant
        now = self._now()
        if self._disagrees and self._disagrees_since is None:
            self._disagrees_since = now
        if self._failing_since is None:
            self._failing_since = now
        if not self._is_logged and (
            self._taken or self._disagrees or self._unproven or now - self._failing_since >= LOG_AFTER
        ):
            self._is_logged = True
            self._log_failure(error)
        taken, self._taken = self._taken, False
        self._disagrees = self._unproven = False
        me.spawn(me.not_registered(taken=taken))

    def _log_failure(self, error: PeerError) -> None:
        log, where = self._registrant.log, f"{self._host}:{self._port}"
        if self._taken:
            log.info("standing_by", detail="another process serves this feature; we take over when it is gone")
        elif self._disagrees:
            detail = "discovery there is of another node: make server_id the same, or discovery.address right"
            log.warning("registration_refused", detail=detail, address=where)
        elif self._unproven:
            detail = "discovery there has another data directory than we have: make data_dir the same"
            log.warning("registration_refused", detail=detail, address=where)
        else:
            log.warning("discovery_unreachable", detail=f"{error}; waiting for it", address=where)

    # LinkOwner ---------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        """We are registered, if that is the discovery process of our node; and it is told that we are of it."""
        proof = self._proving.answer(link.identity)
        if proof is None:
            link.hang_up()
            self._unproven = True
            self.dial_failed(PeerUnreachable("it does not know the secret of our data directory"))
            return
        link.send(proof)
        super().link_opened(link)
        self._is_logged = False
        self._failing_since = self._disagrees_since = None
        self._last_good = self._dialled
        me = self._registrant
        me.log.debug("registered", discovery=str(self._dialled), as_server_id=link.identity.server_id)
        me.spawn(me.registered(link.identity.server_id))
        self.report_linked(self._links)

    def handle_message(self, frame: Frame) -> bool:
        """Discovery tells us something."""
        me = self._registrant
        if frame.name == "SERVER_LIST":
            message = decode(frame, pb.ServerList)
            me.spawn(me.server_list_received(read_change(message), tuple(message.own)))
        elif frame.name == "ANNOUNCE_TO":
            me.announce_to(decode(frame, pb.AnnounceTo))
        else:
            return False
        return True

    def link_closed(self, link: Link, closed: Closed) -> None:
        """Remember why we were refused; established links outlive this one."""
        if closed.reason == "refused":
            self._taken |= closed.result == Result.IS_ALREADY_CONNECTED_ERROR
            self._disagrees |= closed.result == Result.UNKNOWN_ERROR
        super().link_closed(link, closed)

    def link_lost(self, closed: Closed) -> None:
        """We are not registered any more."""
        self._registrant.log.debug("registration_lost", reason=closed.reason)


def _known_secret(directory: DataDirectory) -> bytes:
    """The secret that discovery has made. PeerUnreachable where it has not, or we may not read it."""
    try:
        secret = directory.secret()
    except OSError as error:
        raise PeerUnreachable(f"{directory.path / FILE} cannot be read: {error.strerror}") from None
    if secret is None:
        raise PeerUnreachable(f"discovery has not made {directory.path / FILE} yet, or has another data_dir")
    return secret
