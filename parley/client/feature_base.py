"""The base of a client's features: one link to a server that offers the feature, kept alive.

The same Link and Dialler as between servers and within a node; only the CONNECT differs.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Self

from parley.client.trust.dial_trust import DialTrust
from parley.client.trust.refusals import TrustError, UserRefused
from parley.client.trust.user_trust import UserTrust
from parley.shared.addresses import Endpoint, Mark, Server, User
from parley.shared.config import Config, host_name, load
from parley.shared.dialects.dialect import Recognized
from parley.shared.dialects.recognition import NOBODY, Signs, of_server, ports_of
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.errors import ConfigError, PeerError, PeerUnreachable, ServerNotFound, UnexpectedMessage
from parley.shared.link.credentials import Credentials
from parley.shared.link.events import Closed
from parley.shared.link.link import Link
from parley.shared.names import fold, spell
from parley.shared.peering.dialler import Dialler
from parley.shared.telemetry import logs
from parley.shared.trust.devices import LONGEST
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.capabilities import terms
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import MESSAGES, encode, pb


class FeatureBase(Dialler):
    """One feature for one user. `user`: USER@SERVER, or the configured one."""

    feature: ClassVar[str]
    asks_for_link: ClassVar[bool] = False
    """Whether it asks for its events on the link, and not in datagrams."""
    home_only: ClassVar[bool] = False
    """Whether only the user's home server will do."""
    longest_silence: ClassVar[float] = math.inf
    """Seconds of silence before we ask the server for a sign of life, where `link.ping_timeout` is longer."""

    def __init__(
        self,
        user: str | User = "",
        config: Config | None = None,
        *,
        discovery: DiscoveryService | None = None,
    ) -> None:
        super().__init__(config or load(), lambda: self.log)
        self.user = user if isinstance(user, User) else User.parse(user or self.config.client.user)
        self.trust = UserTrust.of(self.user, self.config)
        """All that proves the user: shared with the user's other features here."""
        self._dials = DialTrust(self.feature, self.trust, self.config.security, self._dial_again)
        self.discovery = discovery or DiscoveryService(self.config)
        self.log = logs.get(feature=self.feature, user_server=self.user.server_id)
        self._server_list: Sequence[Server] = ()
        self._chosen = ""
        """The server that is dialled: its address may be another's by then."""
        self.mark: Mark | None = None
        """That of its announcement, if it is a Parley that was heard."""
        self._signs = Signs(is_named=True)
        self._connected = asyncio.Event()
        self._first_result: asyncio.Future[PeerError | None] | None = None
        self.is_closing = False
        """Whether we end the connection ourselves, for good."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def device(self) -> PrivateKey | None:
        """This device's key, by which the user is known; None: mode `open`, or there is nowhere to keep one."""
        return self._dials.device

    @property
    def is_connected(self) -> bool:
        """Whether messages go out now."""
        return self._connected.is_set()

    async def wait_connected(self) -> None:
        """Wait until there is a link, again."""
        await self._connected.wait()

    async def handle_connection(self, server_list: Sequence[Server]) -> None:
        """Connect to the server in the list that is ours for this feature, and stay connected.

        A server's `set_server_list_and_connect(server_list)` is the same step.

        Raises:
            ServerNotFound: no server in the list offers the feature.
            PeerUnreachable: it cannot be reached.
            HandshakeTimeout: it does not answer.
            TrustError: keys speak against it: the server shows another one, or does not let this device in.

        """
        self._server_list = server_list
        self._choose(server_list)
        self._dials.begin_anew()
        loop = asyncio.get_running_loop()
        self._first_result = loop.create_future()
        self.dial("connecting", self.config.link.backoff_max)
        error = await self._first_result
        if error is not None:
            await self.close()
            raise error

    def dial_failed(self, error: PeerError) -> None:
        """The first failure is the caller's; later ones are tried again."""
        error = self._dials.explain(error)
        is_first = self._first_result is not None and not self._first_result.done()
        self._dials.failed(error, asyncio.get_running_loop().time(), is_reported=is_first)
        if isinstance(error, UserRefused) and error.is_final and not is_first:
            self.refused_for_ever(error)
        self._answer_caller(error)

    def refused_for_ever(self, error: UserRefused) -> None:
        """Hear that the user's server took this device's key from the user, while we were connected."""

    def not_before(self) -> float:
        """Where keys speak against it, it is tried again slowly."""
        return self._dials.rest_until

    def _dial_again(self) -> None:
        if self._connector is not None:
            self._connector.wake()

    def _answer_caller(self, error: PeerError | None) -> None:
        if self._first_result is not None and not self._first_result.done():
            self._first_result.set_result(error)

    def _choose(self, server_list: Sequence[Server]) -> Server:
        """The user's home server, or for features that any server serves the first that offers it."""
        offering = [server for server in server_list if server.endpoints(self.feature)]
        for server in offering:
            if fold(server.server_id) == fold(self.user.server_id):
                return server
        if offering and not self.home_only:
            return offering[0]
        found = ", ".join(spell(server.server_id) for server in offering) or "none"
        wanted = spell(self.user.server_id) if self.home_only else "any server"
        raise ServerNotFound(
            f"{wanted} was not found to offer {self.feature} (found: {found})",
            self.user.server_id if self.home_only else "",
        )

    async def find_endpoints(self) -> Sequence[Endpoint]:
        """Where to dial: from the list that we were given, later from a discovery of our own."""
        if not self._server_list:
            self._server_list = await self.find_servers()
        server_list, self._server_list = self._server_list, ()  # the next look is a new one, whatever comes of this
        server = self._choose(server_list)
        self._chosen = server.server_id
        self.mark = server.mark
        self._signs = Signs(is_marked=server.mark is not None, is_named=not server.heard, ports=ports_of(server))
        self._dials.begin(server)
        if self._dials.needs_session:
            await self._begin_session(server_list)
        return server.endpoints(self.feature)

    async def _begin_session(self, server_list: Sequence[Server]) -> None:
        """Have the user's own chat begin a session, which is shown to the other processes."""
        async with Login(self.user, self.config, discovery=self.discovery) as login:
            try:
                await login.handle_connection(server_list)
            except TrustError:
                raise
            except PeerError:
                self.log.info("session_not_begun")  # it may do without

    async def find_servers(self) -> Sequence[Server]:
        """Ask the network, no longer than until the user's own server answers.

        Raises:
            PeerUnreachable: there is no network: our address is not there, as while a cable is out.

        """
        try:
            return await self.discovery.discover_servers(until=self._is_enough)
        except ConfigError as error:
            raise PeerUnreachable(str(error)) from None

    def _is_enough(self, server_list: Sequence[Server]) -> bool:
        home = fold(self.user.server_id)
        return any(fold(s.server_id) == home and s.endpoints(self.feature) for s in server_list)

    @property
    def ping_timeout(self) -> float:
        """Seconds of silence before we ask the server for a sign of life."""
        return min(self.config.link.ping_timeout, self.longest_silence)

    def connect_message(self, endpoint: Endpoint) -> bytes:
        """Our user subscribes."""
        self.endpoint = endpoint
        return encode("CONNECT_CLIENT", self.connect_client())

    def credentials(self, endpoint: Endpoint) -> Credentials | None:
        """Ours, for a server that has a key."""
        self.endpoint = endpoint
        hello = self.connect_client()
        if self.home_only:  # its server lists the device; others need not know the name
            hello.deviceName = host_name()[:LONGEST]
        return self._dials.credentials(hello)

    def connect_client(self) -> pb.ConnectClient:
        """Our CONNECT to who is dialled."""
        hello = pb.ConnectClient(user=self.user.to_pb(), udpPort=self.udp_port)
        if self.recognized.dialect.is_parley:
            hello.terms.CopyFrom(terms(self._chosen))
            hello.eventsOnLink = self.asks_for_link
        return hello

    @property
    def recognized(self) -> Recognized:
        """The dialect of the server that is dialled."""
        return of_server(NOBODY, self._chosen, self._signs)

    @property
    def udp_port(self) -> int:
        """Where we listen for datagrams; 0: nowhere."""
        return 0

    async def close(self) -> None:
        """HANGUP(EXIT), and wait for the connection to be gone."""
        self.is_closing = True
        await self.hang_up(timeout=2.5)
        self._dials.end()

    # LinkOwner -----------------------------------------------------------------------------

    def link_opened(self, link: Link) -> None:
        """We are connected."""
        self._signs = replace(self._signs, fields=link.identity.is_parley)
        link.recognize(self.recognized)
        super().link_opened(link)
        self._dials.link_opened(link)
        self._connected.set()
        self._answer_caller(None)

    def handle_message(self, frame: Frame) -> bool:
        """Handle a server's message; False when it is not one of this feature's."""
        raise UnexpectedMessage(f"{frame.name} for {self.feature}")

    def link_lost(self, closed: Closed) -> None:
        """Nothing goes out until the connector has dialled again."""
        self._connected.clear()
        self.log.info("link_closed", reason=closed.reason)


class Login(FeatureBase):
    """A moment at the user's own chat: it begins a session, and takes no messages."""

    feature = MESSAGES
    home_only = True

    def messages_received(self, link: Link, frames: list[Frame]) -> None:
        """Leave what waits for the user to a client that shows it."""
