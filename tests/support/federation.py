"""Typing or location processes of several servers inside of the test's own process, linked over loopback.

    async with Federation(TypingService, "127.0.60", ["alpha", "beta"]) as federation:
        async with federation.client(TypingFeature, "bob@beta") as bob: …

Real sockets and real links; only discovery is left out: each service is handed the list of the others.
"""

import asyncio
import itertools
from contextlib import AsyncExitStack

import msgspec

from parley.shared.addresses import Endpoint, Server
from parley.shared.config import Config

TIMEOUT = 15.0
"""Seconds until a wait counts as failed."""


async def until(predicate, timeout=TIMEOUT, what=""):
    """Return the predicate's first true value."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while not (value := predicate()):
        if loop.time() > deadline:
            raise TimeoutError(f"not within {timeout} s: {what or predicate}")
        await asyncio.sleep(0.005)
    return value


def configuration(address, **sections):
    """The defaults at an address of loopback, with every port chosen by the system."""
    config = Config(address=address)
    for section in ("chat", "typing", "location", "discovery"):
        names = {field.name for field in msgspec.structs.fields(getattr(config, section))}
        ports = dict.fromkeys(names & {"port", "udp_port", "http_port"}, 0) | sections.get(section, {})
        changed = msgspec.structs.replace(getattr(config, section), **ports)
        config = msgspec.structs.replace(config, **{section: changed})
    client = msgspec.structs.replace(config.client, typing_udp_port=0, location_udp_port=0)
    return msgspec.structs.replace(config, client=client)


class Federation:
    """One service per server, each at `NETWORK.n`, all linked; clients get addresses from `NETWORK.100` on."""

    def __init__(self, kind, network, names, **sections):
        self.kind = kind
        self.network = network
        self.services = {}
        self._sections = sections
        self._names = names
        self._addresses = itertools.count(100)
        self._stack = AsyncExitStack()

    async def __aenter__(self):
        for number, name in enumerate(self._names, 1):
            config = configuration(f"{self.network}.{number}", **self._sections)
            self.services[name] = await self._stack.enter_async_context(self.kind(name, config))
        for service in self.services.values():
            await service.set_server_list_and_connect(self.servers)
        everyone = len(self._names) - 1
        await until(lambda: all(len(s.peering.links) == everyone for s in self.services.values()), what="links")
        return self

    async def __aexit__(self, *error):
        return await self._stack.__aexit__(*error)

    def address_of(self, name):
        """A server's address."""
        return self.services[name].config.address

    @property
    def servers(self):
        """All servers, as discovery would find them."""
        return tuple(
            Server(name, {self.kind.feature: (Endpoint(s.config.address, s.listener.port, s.udp_port),)})
            for name, s in self.services.items()
        )

    def dropped(self, name, reason):
        """How many datagrams a server has dropped for that reason."""
        return self.services[name].metrics.datagrams_dropped.labels(self.kind.feature, reason)._value.get()

    def fresh_address(self):
        """An address for a client."""
        return f"{self.network}.{next(self._addresses)}"

    def client(self, kind, user, relay=None, at="", **how):
        """A feature of a user's client, connected to their server, or to that `at`, as soon as it is entered."""
        return _Client(self, kind, user, relay, at, how)


class _Client:
    def __init__(self, federation, kind, user, relay, at, how):
        self._federation, self._relay, self._at = federation, relay, at
        address = relay.client_address if relay is not None else federation.fresh_address()
        config = configuration(address, **federation._sections)
        if relay is not None:
            kind = type(kind.__name__, (_Relayed, kind), {"relay": relay})
        self.feature = kind(user, config, **how)

    async def __aenter__(self):
        servers = self._federation.servers
        if self._at:
            servers = [server for server in servers if server.server_id == self._at]
        if self._relay is not None:
            servers = self._relay.servers(servers)
        await self.feature.handle_connection(servers)
        return self.feature

    async def __aexit__(self, *_):
        await self.feature.close()


class _Relayed:
    """An EventFeature that uses datagrams, and names its relay's port for its own."""

    asks_for_link = False

    @property
    def udp_port(self):
        self.relay.client_port = super().udp_port
        return self.relay.port
