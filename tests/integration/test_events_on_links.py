"""Typing and locations over the clients' links: both ways, beside existing clients in datagrams, and no backlog."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from parley.client.location import LocationFeature
from parley.client.typing import TypingFeature
from parley.services.typing import TypingService
from parley.shared.addresses import Endpoint, Mark, Server, User
from parley.shared.limits.rates import RATES
from parley.shared.wire import capabilities
from parley.shared.wire.capabilities import EVENTS_ON_LINK, OURS, terms
from parley.shared.wire.framing import MAX_DATAGRAM, FrameReader
from parley.shared.wire.messages import LIVE_LOCATION, TYPING_INDICATOR, decode, encode, pb
from tests.support.attackers import dialled, resident
from tests.support.federation import Federation, configuration, until
from tests.support.nodes import Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient

SERVICES = ("discovery", "typing", "location")
ALPHA, BETA, CROWD = "127.0.111.1", "127.0.111.2", "127.0.111.200"
TYPING_PORT = 7777
KIB = 1024


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    with Node("alpha", ALPHA, directory, SERVICES) as alpha, Node("beta", BETA, directory, SERVICES) as beta:
        wait_linked([alpha, beta], SERVICES[1:])
        yield {"alpha": alpha, "beta": beta}


def found(node, ours=OURS):
    """A node as discovery finds it."""
    features = {
        TYPING_INDICATOR: (Endpoint(node.address, 7777, 7778),),
        LIVE_LOCATION: (Endpoint(node.address, 8888, 8889),),
    }
    return [Server(node.server_id, features, Mark("1", "an instance", ours))]


class Found:
    """Finds the one node, again and again."""

    def __init__(self, servers):
        self._servers = servers

    async def discover_servers(self, timeout=None, *, until=None):  # noqa: ARG002 - it takes no time
        return self._servers


class People:
    """Clients of ours at real nodes."""

    def __init__(self, stack):
        self._stack = stack
        self._hosts = iter(range(10, 100))

    async def client(self, kind, name, node, ours=OURS):
        servers = found(node, ours)
        person = kind(name, configuration(f"127.0.111.{next(self._hosts)}"), discovery=Found(servers))
        await self._stack.enter_async_context(person)
        await person.handle_connection(servers)
        return person


@asynccontextmanager
async def people():
    async with AsyncExitStack() as stack:
        yield People(stack)


def udp_sockets():
    """How many this process has."""
    mine = {str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}
    lines = Path("/proc/self/net/udp").read_text(encoding="ascii").splitlines()[1:]
    return sum(f"socket:[{line.split()[9]}]" in mine for line in lines)


def existing(user, address, node, feature):
    """An existing client, in datagrams."""
    client = PlainClient(*user.split("@"), address, broadcast=node.address, enough=1)
    client.__enter__()
    client.connect(feature)
    return client


def typists(person):
    return sorted(typist.user.user_id for typist in person.typists)


def test_who_types_is_seen_over_links_and_in_datagrams_and_no_client_of_ours_has_a_port(nodes):
    async def check():
        before = udp_sockets()
        async with people() as net:
            ann = await net.client(TypingFeature, "ann@alpha", nodes["alpha"])
            ben = await net.client(TypingFeature, "ben@beta", nodes["beta"])
            guest = await net.client(TypingFeature, "guest@alpha", nodes["beta"])
            assert (ann.is_on_link, ann.udp_port, udp_sockets()) == (True, 0, before)
            old = await asyncio.to_thread(existing, "old@alpha", "127.0.111.100", nodes["alpha"], TYPING_INDICATOR)
            try:
                assert ann.send_typing()
                await until(lambda: typists(ben) == ["ann"])
                await until(lambda: typists(guest) == ["ann"])
                await asyncio.to_thread(old.wait_typing, lambda names: "ann@alpha" in names)
                await asyncio.to_thread(old.send_typing)
                await until(lambda: typists(ann) == ["old"])
                await until(lambda: typists(guest) == ["ann", "old"])
                assert ben.send_typing("guest@alpha")
                await until(lambda: typists(guest) == ["ann", "ben", "old"])
                assert ann.stop_typing()
                await until(lambda: "ann" not in typists(ben))
                assert typists(ann) == ["old"]
            finally:
                await asyncio.to_thread(old.__exit__, None, None, None)

    asyncio.run(check())
    assert nodes["alpha"].metrics("typing").value("parley_event_clients", way="behind") == 0


def test_a_location_is_shared_followed_and_ended_over_links(nodes):
    async def check():
        async with people() as net:
            ann = await net.client(LocationFeature, "ann@alpha", nodes["alpha"])
            ben = await net.client(LocationFeature, "ben@beta", nodes["beta"])
            guest = await net.client(LocationFeature, "guest@alpha", nodes["beta"])
            ends = time.time() + 60

            def latitudes(person):
                return [shared.latitude for shared in person.locations]

            assert ann.send_location("ben@beta", 1.0, 2.0, expiry_at=ends)
            await until(lambda: latitudes(ben) == [1.0])
            assert ann.send_location("ben@beta", 1.5, 2.0, expiry_at=ends)
            await until(lambda: latitudes(ben) == [1.5])
            assert guest.send_location("ann@alpha", 3.0, 2.0, expiry_at=ends)
            await until(lambda: 3.0 in latitudes(ann))
            assert ann.stop_sharing("ben@beta")
            await until(lambda: latitudes(ben) == [])
            assert await ann.retransmissions.wait(5.0), "the end is heard"

    asyncio.run(check())


def test_after_a_restart_of_the_service_all_comes_back_over_new_links(nodes):
    alpha = nodes["alpha"]

    async def check():
        async with people() as net:
            ann = await net.client(LocationFeature, "ann2@alpha", alpha)
            ben = await net.client(LocationFeature, "ben2@alpha", alpha)
            assert ann.send_location("ben2@alpha", 1.0, 2.0, expiry_at=time.time() + 60)
            await until(lambda: ben.locations)
            await asyncio.to_thread(alpha.kill, "location")
            await until(lambda: not ann.is_connected and not ben.is_connected)
            late = []
            ben._on_change = late.append
            await asyncio.to_thread(alpha.start, "location")
            await until(lambda: ann.is_connected and ben.is_connected)
            assert ann.is_on_link
            assert ann.send_location("ben2@alpha", 4.0, 2.0, expiry_at=time.time() + 60)
            await until(lambda: [shared.latitude for shared in ben.locations] == [4.0])

    asyncio.run(check())
    wait_linked(nodes.values(), ["location"])


class OlderService(TypingService):
    """It does not know `eventsOnLink`."""

    def connect_requested(self, link, identity):
        super().connect_requested(link, link.identify(replace(identity, events_on_link=False)))


def test_a_server_that_announced_more_than_it_keeps_is_dialled_again_with_a_port(monkeypatch):
    async def check():
        async with Federation(OlderService, "127.0.112", ["alpha"]) as federation:
            monkeypatch.setattr("parley.shared.link.link.OURS", OURS & ~EVENTS_ON_LINK)
            [server] = federation.servers
            server = Server(server.server_id, server.features, Mark("1", "an instance", OURS))
            person = TypingFeature("ann@alpha", configuration("127.0.112.50"), discovery=Found([server]))
            async with person, federation.client(TypingFeature, "ben@alpha") as other:
                await person.handle_connection([server])
                assert not person.is_on_link
                assert not other.is_on_link
                assert person.udp_port > 0
                assert person.send_typing()
                await until(lambda: typists(other) == ["ann"])

    asyncio.run(check())


def test_a_server_that_says_so_in_connected_alone_is_asked_for_both_and_the_port_is_closed():
    async def check():
        async with (
            Federation(TypingService, "127.0.113", ["alpha"]) as federation,
            federation.client(TypingFeature, "ann@alpha") as ann,
        ):
            assert (ann.is_on_link, ann._socket, ann.udp_port) == (True, None, 0)
            assert federation.services["alpha"].client_counts == {"link": 1, "datagrams": 0}

    asyncio.run(check())
    assert capabilities.terms().capabilities & EVENTS_ON_LINK


# Who does not keep to it ---------------------------------------------------------------------------------


def hello(user_id, *, on_link=True):
    user = pb.User(userId=user_id, serverId="alpha")
    return encode("CONNECT_CLIENT", pb.ConnectClient(user=user, terms=terms("alpha"), eventsOnLink=on_link))


def typing_of(user_id, **fields):
    return encode("TYPING_EVENT", pb.TypingEvent(user=pb.User(userId=user_id, serverId="alpha"), **fields))


def linked(user_id, *, on_link=True, buffer=0, address=CROWD):
    """A client's link, as small as it can be; its CONNECTED has been read."""
    sock = socket.socket()
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.bind((address, 0))
    sock.settimeout(10)
    sock.connect((ALPHA, TYPING_PORT))
    sock.sendall(hello(user_id, on_link=on_link))
    name, size, _ = sock.recv(KIB, socket.MSG_PEEK).split(b" ", 2)
    assert name == b"CONNECTED"
    sock.recv(len(name) + len(size) + int(size) + 3)  # and nothing of what there is to be told
    return sock


def rejected(node, reason):
    return node.metrics("typing").value("parley_frames_rejected_total", reason=reason)


FAULTS = {
    "foreign_user": typing_of("else", timestamp=1.0),
    "out_of_range": typing_of("eve", timestamp=float("nan")),
    "too_large": typing_of("eve" + MAX_DATAGRAM * "e", timestamp=1.0),
    "malformed": b"TYPING_EVENT 3 abc\n",
    "unknown_name": encode("LIVE_LOCATION", pb.LiveLocation()),
}


def test_a_fault_is_counted_as_on_any_link_and_the_link_stays(nodes):
    before = {reason: rejected(nodes["alpha"], reason) for reason in FAULTS}
    with linked("eve") as sock:
        sock.sendall(b"".join(FAULTS.values()) + b"PING 0 \n")
        data = b""
        while b"PONG 0 \n" not in data:
            more = sock.recv(4096)
            assert more, "the link stays"
            data += more
    for reason, count in before.items():
        nodes["alpha"].wait_metric("typing", count + 1, "parley_frames_rejected_total", reason=reason)


def test_who_did_not_ask_for_it_is_answered_as_ever(nodes):
    before = rejected(nodes["alpha"], "unknown_name")
    with linked("eve", on_link=False) as sock:
        sock.sendall(typing_of("eve", timestamp=time.time()))
        assert sock.recv(4096).startswith(b"UNSUPPORTED_MESSAGE ")
    assert rejected(nodes["alpha"], "unknown_name") == before + 1


def test_above_its_rate_a_link_is_read_more_slowly_and_the_last_word_still_counts(nodes):
    alpha = nodes["alpha"]
    limited = "parley_limited_total"
    before = alpha.metrics("typing").value(limited, what="events", where="link")
    rate, burst = RATES["events"]
    began, now = time.monotonic(), time.time()
    with linked("watcher") as watcher, linked("loud") as loud:
        count = int(burst + rate / 2)
        loud.sendall(b"".join(typing_of("loud", timestamp=now + i * 1e-5) for i in range(count)))
        loud.sendall(typing_of("loud", timestamp=now + 1.0, stopped=True))
        reader, stopped = FrameReader(1 << 20), False
        while not stopped:
            for frame in reader.feed(watcher.recv(1 << 16)):
                if frame.name == "TYPING_EVENTS":
                    stopped |= any(event.user.userId == "loud" for event in decode(frame, pb.TypingEvents).stopped)
        assert time.monotonic() - began > 0.3
    assert alpha.metrics("typing").value(limited, what="events", where="link") > before


# Who does not read ---------------------------------------------------------------------------------------


class Crowd:
    """A server's users, who type all at once, each time with new timestamps."""

    def __init__(self, count):
        self._count = count
        self._sock = dialled(ALPHA, CROWD, TYPING_PORT)
        said = pb.ConnectServer(serverId="zeta", features=[TYPING_INDICATOR], instanceId="ab", terms=terms("alpha"))
        self._sock.sendall(encode("CONNECT_SERVER", said))
        assert self._sock.recv(4096).startswith(b"CONNECTED ")
        self.timestamp = 0.0

    def type(self):
        self.timestamp = time.time()
        events = pb.TypingEvents()
        for number in range(self._count):
            events.typing_events.add(user=User(f"u{number}", "zeta").to_pb(), timestamp=self.timestamp, age=0.0)
        self._sock.sendall(encode("TYPING_EVENTS", events))

    def close(self):
        self._sock.close()


def test_a_slow_reader_gets_the_newest_of_everybody_and_no_backlog(nodes):
    alpha, rounds = nodes["alpha"], 60
    with linked("swift") as swift, linked("slow", buffer=4 * KIB) as slow, closing(Crowd(500)) as crowd:
        for _ in range(rounds):
            crowd.type()
            newest_of(swift, crowd)  # so each is a round of its own
        alpha.wait_metric("typing", 1, "parley_event_clients", way="behind")
        came = newest_of(slow, crowd)
    one = 500 * 40
    assert came < 8 * one, f"{came} bytes of {rounds} rounds of {one} or so"


def newest_of(sock, crowd):
    """Read until the newest of everybody is there; how many bytes that took."""
    reader, newest, size = FrameReader(1 << 22), {}, 0
    while len(newest) < 500 or set(newest.values()) != {crowd.timestamp}:
        data = sock.recv(1 << 16)
        assert data, "hung up on"
        size += len(data)
        for frame in reader.feed(data):
            assert frame.name == "TYPING_EVENTS"
            assert len(frame.raw) <= MAX_DATAGRAM
            for event in decode(frame, pb.TypingEvents).typing_events:
                assert event.timestamp >= newest.get(event.user.userId, 0.0), "nothing older comes behind it"
                newest[event.user.userId] = event.timestamp
    return size


def test_a_thousand_who_do_not_read_cost_bounded_memory(nodes, figure):
    alpha, many = nodes["alpha"], 1000
    with linked("reads") as reads:
        socks = [
            linked(f"s{number}", buffer=4 * KIB, address=f"127.0.111.{210 + number % 10}") for number in range(many)
        ]
        try:
            before = resident(alpha, "typing")
            with closing(Crowd(500)) as crowd:
                for _ in range(20):
                    crowd.type()
                    newest_of(reads, crowd)
            wait_until(
                lambda: alpha.metrics("typing").value("parley_event_clients", way="behind") == many,
                what="nobody of them has room",
            )
            cost = (resident(alpha, "typing") - before) / many
        finally:
            for sock in socks:
                sock.close()
    figure(f"a subscriber on a link that does not read: {cost / KIB:.0f} KiB of the typing process")
    assert cost < 64 * KIB
