"""The discovery port on real sockets: who is believed, who is answered and how, and what a flood does."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest
from prometheus_client import CollectorRegistry

from parley.services.discovery.announcing.announcer import Announcer
from parley.services.discovery.announcing.server_discovery import ServerDiscoveryService
from parley.shared.config import Config, DiscoveryConfig
from parley.shared.discovery.announcements import encode_announcement, our_mark
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.discovery.interfaces import reachable_networks
from parley.shared.discovery.networks import EVERYONE
from parley.shared.discovery.nonces import encode_request
from parley.shared.sockets.datagrams import AddressedSocket, UdpSocket
from parley.shared.telemetry.metrics import Metrics
from parley.shared.wire.framing import MAX_DATAGRAM, read_datagram
from parley.shared.wire.messages import decode, pb
from tests.support import plain_wire
from tests.support.namespaces import Lan, ip, why_not
from tests.support.nodes import Node, wait_linked, wait_until
from tests.support.plain_program import DISCOVERY_PORT

ALPHA, ATTACKER, VICTIM, SERVER = (f"127.0.41.{n}" for n in (1, 66, 99, 50))
NONCE = b"0123456789abcdef"
FEATURES = [pb.Endpoint(feature="MESSAGES", port=6666), pb.Endpoint(feature="TYPING_INDICATOR", port=7777)]
LIMITED = "parley_limited_total"


@pytest.fixture(scope="module")
def alpha(tmp_path_factory):
    with Node("alpha", ALPHA, tmp_path_factory.mktemp("alpha")) as node:
        yield node


@contextlib.contextmanager
def udp(host, port=0):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.settimeout(5.0)
        yield sock


def receive(sock):
    return read_datagram(sock.recvfrom(4096)[0])


def of_parley(name, features):
    """A claim to be a Parley: no other server is dialled before it dials us."""
    return encode_announcement(name, features, mark=our_mark("1.0", "forged"), nonce=b"nobody's")


def directory(node):
    return {each["server_id"]: each for each in node.status("discovery")["directory"]}


# Answers ------------------------------------------------------------------------------------------


def test_an_answer_returns_the_nonce_and_bears_the_mark_of_a_parley(alpha):
    with udp(SERVER) as client:
        client.sendto(encode_request(NONCE), (ALPHA, DISCOVERY_PORT))
        frame = receive(client)
    announced = decode(frame, pb.ServerAnnounce)
    assert len(frame.raw) <= MAX_DATAGRAM
    assert announced.nonce == NONCE
    assert announced.mark.version
    assert announced.mark.instanceId == alpha.status("discovery")["instance_id"]
    assert announced.mark.capabilities
    assert not announced.ask, "a client is not asked in turn"


def test_an_existing_program_is_answered_without_a_field_of_ours(alpha, tmp_path):
    """Also by a node that is linked, and from the discovery port."""
    with Node("beta", "127.0.41.2", tmp_path) as beta:
        alpha.wait_linked("chat", "beta")
        beta.wait_linked("chat", "alpha")
        for port in (0, DISCOVERY_PORT):
            with udp("127.0.41.51", port) as program:
                program.sendto(b"DISCOVER_SERVER 0 \n", (ALPHA, DISCOVERY_PORT))
                frames = iter(lambda: receive(program), None)
                frame = next(each for each in frames if each.name == "SERVER_ANNOUNCE")
            fields = plain_wire.decode_payload("ServerAnnounce", frame.payload)
            assert plain_wire.encode_payload("ServerAnnounce", fields) == frame.payload, "nothing else is in it"
            assert fields["serverId"] == "alpha"
            offered = {each["featureName"] for each in fields["feature"]}
            assert offered == {"MESSAGES", "TYPING_INDICATOR", "LIVE_LOCATION"}


def test_a_parley_that_asks_is_asked_in_turn_by_the_answer_and_by_no_request(alpha):
    with udp(SERVER, DISCOVERY_PORT) as server:
        server.sendto(encode_request(NONCE), (ALPHA, DISCOVERY_PORT))
        announced = decode(receive(server), pb.ServerAnnounce)
        assert announced.ask
        assert "parley" not in directory(alpha)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(4096)
        server.settimeout(5.0)
        mark = our_mark("1.0", "abc")
        server.sendto(
            encode_announcement("parley", FEATURES, mark=mark, nonce=announced.ask), (ALPHA, DISCOVERY_PORT)
        )
        wait_until(lambda: "parley" in directory(alpha))
        server.sendto(encode_request(b"another"), (ALPHA, DISCOVERY_PORT))
        frames = iter(lambda: receive(server), None)  # who is known is asked now and then, too
        again = decode(next(each for each in frames if each.name == "SERVER_ANNOUNCE"), pb.ServerAnnounce)
        assert (again.nonce, again.ask) == (b"another", b""), "it is known now"


# Floods ----------------------------------------------------------------------------------------------------------


class Listening:
    """A third machine that counts who connects to it, and says nothing."""

    def __init__(self, host, port):
        self._sock = socket.create_server((host, port), backlog=1024)
        self.count = 0
        self._held = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                self._held.append(self._sock.accept()[0])
                self.count += 1

    def close(self):
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        for each in self._held:
            each.close()


def test_fifty_announcements_are_few_connections_to_a_third_machine(alpha):
    machine = Listening(VICTIM, 6666)
    limited = alpha.metrics("discovery").value(LIMITED, what="names", where="directory")
    with contextlib.closing(machine), udp(VICTIM) as forged:
        for n in range(100):
            forged.sendto(of_parley(f"forged{n}", FEATURES[:1]), (ALPHA, DISCOVERY_PORT))
        wait_until(lambda: machine.count)
        deadline = time.monotonic() + 3.0
        wait_until(lambda: time.monotonic() > deadline)
        assert machine.count <= 3
    alpha.wait_metric("discovery", limited + 1, LIMITED, what="names", where="directory")


def test_a_server_is_found_and_linked_beside_a_flood_of_announcements(alpha, tmp_path):
    stop = threading.Event()

    def flood():
        with udp(ATTACKER) as attacker:
            for n in range(10**9):
                if stop.is_set():
                    return
                features = [pb.Endpoint(feature="MESSAGES", port=1 + n % 60000)]
                attacker.sendto(of_parley(f"fake{n}", features), (ALPHA, DISCOVERY_PORT))
                attacker.sendto(of_parley("gamma", features), (ALPHA, DISCOVERY_PORT))
                if n % 20 == 0:
                    stop.wait(0.002)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        with Node("gamma", "127.0.41.2", tmp_path) as gamma:
            wait_linked([alpha, gamma])
            fakes = [name for name in directory(alpha) if name.startswith("fake")]
            assert len(fakes) <= 32
            wait_until(lambda: directory(alpha)["gamma"]["features"].get("MESSAGES", [""])[0] == "127.0.41.2:6666")
    finally:
        stop.set()
        thread.join()
    assert alpha.metrics("discovery").value(LIMITED, what="datagrams", where="discovery") > 0
    assert len(alpha.logged("discovery", "server_discovered")) <= 10


ODD = {
    "long": "x" * 255,
    "combining": "be\u0301ta",
    "right to left": "\u202eevil",
    "control": "a\x1b[31mb\nc",
    "emoji": "\U0001f469\u200d\U0001f680",
}


def test_odd_names_and_many_features_do_no_harm(alpha):
    many = [pb.Endpoint(feature=f"FEATURE_{n}", port=1 + n) for n in range(60)]
    with udp("127.0.41.67") as stranger:
        for name in ODD.values():
            stranger.sendto(encode_announcement(name, FEATURES), (ALPHA, DISCOVERY_PORT))
        stranger.sendto(encode_announcement("x" * 256, FEATURES), (ALPHA, DISCOVERY_PORT))
        stranger.sendto(encode_announcement("many", many), (ALPHA, DISCOVERY_PORT))
        known = wait_until(lambda: "many" in (found := directory(alpha)) and found)
    assert set(ODD.values()) <= known.keys()
    assert "x" * 256 not in known
    assert len(known["many"]["features"]) == 16


# Addresses --------------------------------------------------------------------------------------------------------


def run(story):
    return asyncio.run(asyncio.wait_for(story(), 15))


def test_a_reply_comes_from_the_address_that_was_asked():
    async def story():
        came = asyncio.Queue()
        sock = AddressedSocket("0.0.0.0", 0, "test", took=came.put_nowait, dropped=print, largest=2048)
        with contextlib.closing(sock), udp("127.0.41.8") as client:
            client.sendto(b"hello", ("127.0.41.7", sock.port))
            datagram = await came.get()
            assert (datagram.data, datagram.local) == (b"hello", "127.0.41.7")
            assert sock.send(b"here", datagram.source, source=datagram.local) is None
            assert client.recvfrom(100) == (b"here", ("127.0.41.7", sock.port))

    run(story)


def test_a_datagram_that_is_too_large_is_dropped_unread():
    async def story():
        came, dropped = asyncio.Queue(), asyncio.Queue()
        sock = AddressedSocket(
            "127.0.41.7", 0, "test", took=came.put_nowait, dropped=dropped.put_nowait, largest=2048
        )
        with contextlib.closing(sock), udp("127.0.41.8") as client:
            for size in (2049, 2048):
                client.sendto(b"x" * size, ("127.0.41.7", sock.port))
            assert len((await came.get()).data) == 2048
            assert dropped.get_nowait() == "malformed"

    run(story)


# Beyond our networks --------------------------------------------------------------------------------------------

FAR = "203.0.113.9"


@pytest.fixture(scope="module")
def lan():
    """A network, and behind the machine at its other end an address that is on no network of ours."""
    if reason := why_not():
        pytest.skip(reason)
    with Lan() as found:
        ip("route", "add", f"{FAR}/32", "via", found.client)
        ip("-n", found.name, "address", "add", f"{FAR}/32", "dev", "lo")
        yield found


class Port:
    """An Announcer at this machine's end, and what it heard and was asked."""

    def __init__(self, lan, *static_peers):
        self.config = Config(
            server_id="alpha",
            address=lan.host,
            discovery=DiscoveryConfig(static_peers=static_peers, discovery_interval=0.5),
        )
        self.metrics = Metrics(CollectorRegistry(), "DISCOVERY")
        self.metrics.expect_datagrams()
        self.asked = asyncio.Queue()
        self.heard = asyncio.Queue()
        self.announcer = Announcer(
            self.config,
            ServerDiscoveryService("alpha", self.config),
            asked=self._answer,
            heard=lambda *how: self.heard.put_nowait(how),
            namesake=print,
            peer_answered=print,
            interval=lambda: 0.5,
            is_useful=lambda _host: False,
            metrics=self.metrics,
            counters=_Counters(),
            log=_Quiet(),
        )

    def _answer(self, request):
        announcement = encode_announcement("alpha", FEATURES, nonce=request.nonce, ask=request.ask)
        if self.announcer.may_answer(request, len(announcement)):
            self.announcer.answer(request, announcement)
        self.asked.put_nowait(request)

    def dropped(self, reason):
        return self.metrics.datagrams_dropped.labels("DISCOVERY", reason)._value.get()

    def close(self):
        self.announcer.close()


class _Counters:
    def __init__(self):
        self.requests = {"sent": 0, "received": 0}
        self.announcements = {"sent": 0, "received": 0}


class _Quiet:
    def warning(self, *_, **__):
        """Nobody reads it."""


def there(lan, host, port=0):
    """A socket on the machine at the other end."""
    with lan.inside():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.setblocking(False)
    return sock


async def receive_soon(sock):
    return await asyncio.get_running_loop().sock_recv(sock, 4096)


def waits(sock):
    with contextlib.suppress(BlockingIOError):
        return sock.recv(4096)
    return None


def test_short_requests_from_elsewhere_are_no_weapon(lan):
    """A hundred of 19 bytes from an address that may be forged draw one answer; nobody is asked in turn."""

    async def story():
        port = Port(lan)
        with contextlib.closing(port), contextlib.closing(there(lan, FAR, DISCOVERY_PORT)) as asker:
            for _ in range(40):
                asker.sendto(b"DISCOVER_SERVER 0 \n", (lan.host, DISCOVERY_PORT))
            for _ in range(40):
                await port.asked.get()
            assert read_datagram(await receive_soon(asker)).name == "SERVER_ANNOUNCE"
            assert waits(asker) is None
            assert port.announcer.counters.requests["sent"] == 0

    run(story)


def test_a_request_from_elsewhere_that_is_as_long_as_its_answer_is_answered_each_time(lan):
    async def story():
        port = Port(lan)
        with contextlib.closing(port), contextlib.closing(there(lan, FAR)) as asker:
            for n in range(10):
                request = encode_request(b"nonce%d" % n, is_padded=True)
                asker.sendto(request, (lan.host, DISCOVERY_PORT))
                answer = await receive_soon(asker)
                assert decode(read_datagram(answer), pb.ServerAnnounce).nonce == b"nonce%d" % n
                assert len(answer) <= len(request)

    run(story)


def test_from_elsewhere_only_an_answer_is_believed(lan):
    async def story():
        port = Port(lan)
        with contextlib.closing(port), contextlib.closing(there(lan, FAR, DISCOVERY_PORT)) as server:
            server.sendto(encode_announcement("forged", FEATURES), (lan.host, DISCOVERY_PORT))
            server.sendto(encode_request(NONCE, is_padded=True), (lan.host, DISCOVERY_PORT))
            ask = decode(read_datagram(await receive_soon(server)), pb.ServerAnnounce).ask
            assert ask
            server.sendto(encode_announcement("asked", FEATURES, nonce=ask), (lan.host, DISCOVERY_PORT))
            heard, source, answered, pinned = await port.heard.get()
            assert (heard.server.server_id, source, answered, pinned) == ("asked", FAR, True, False)
            assert port.heard.empty()
            assert port.dropped("unasked") == 1

    run(story)


def test_on_a_network_of_ours_a_claim_counts_as_one(lan):
    """It may be an existing program's, which knows no nonce."""

    async def story():
        port = Port(lan)
        with contextlib.closing(port), contextlib.closing(there(lan, lan.client)) as server:
            server.sendto(encode_announcement("existing", FEATURES), (lan.host, DISCOVERY_PORT))
            heard, source, answered, pinned = await port.heard.get()
            assert (heard.server.server_id, source, answered, pinned) == ("existing", lan.client, False, False)

    run(story)


def test_a_configured_address_is_believed_without_a_nonce_and_asked_with_a_padded_request(lan):
    async def story():
        port = Port(lan, FAR)
        with contextlib.closing(port), contextlib.closing(there(lan, FAR, DISCOVERY_PORT)) as server:
            port.announcer._ask()
            request = await receive_soon(server)
            assert len(request) >= MAX_DATAGRAM - 2
            assert decode(read_datagram(request), pb.DiscoverServer).nonce
            server.sendto(encode_announcement("existing", FEATURES), (lan.host, DISCOVERY_PORT))
            _, source, answered, pinned = await port.heard.get()
            assert (source, answered, pinned) == (FAR, False, True)

    run(story)


def test_everyone_on_the_wire_hears_us_whatever_their_netmask(lan):
    async def story():
        sock = UdpSocket(lan.host, 0, "test")
        (wire,) = reachable_networks(lan.host)
        with contextlib.closing(there(lan, "0.0.0.0", 19999)) as other, contextlib.closing(sock):
            assert sock.send(b"all", (EVERYONE, 19999), source=wire.address, interface=wire.name) is None
            assert await receive_soon(other) == b"all"

    run(story)


def test_a_client_believes_answers_and_its_network(lan):
    """It asks by broadcast at once; who claims from elsewhere is not listed."""
    config = Config(address=lan.host)

    async def story():
        with contextlib.closing(there(lan, "0.0.0.0", DISCOVERY_PORT)) as server:
            looking = asyncio.ensure_future(
                DiscoveryService(config, servers=["no-such-name.invalid"]).discover_servers(
                    5.0, until=lambda found: len(found) == 2
                )
            )
            data, asker = await asyncio.get_running_loop().sock_recvfrom(server, 4096)
            nonce = decode(read_datagram(data), pb.DiscoverServer).nonce
            with contextlib.closing(there(lan, FAR)) as far:
                far.sendto(encode_announcement("forged", FEATURES), asker)
                far.sendto(encode_announcement("answering", FEATURES, nonce=nonce), asker)
            server.sendto(encode_announcement("near", FEATURES), asker)
            assert {each.server_id for each in await looking} == {"answering", "near"}

    run(story)
