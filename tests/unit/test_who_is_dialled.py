"""The servers that a process dials, and those that it only knows: real classes on a simulated network."""

import random

import pytest
import structlog
from prometheus_client import generate_latest

from parley.shared.addresses import Endpoint, Mark, Server
from parley.shared.config import Config, InteropConfig
from parley.shared.dialects.dialect import CLIENTS, SERVERS
from parley.shared.discovery.server_lists import ServerListChange
from parley.shared.peering.refusals import FIRST
from parley.shared.service.health import link_states
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import encode, pb
from tests.support.joined import ACCEPTED, ALREADY
from tests.support.nodes import Samples
from tests.support.simulated import SimulatedLoop
from tests.support.simulated_servers import PORT, SimulatedServer

HERE, THERE = "10.0.0.1", "10.0.0.2"
MARK = Mark("1.0", "b1", 1)


@pytest.fixture(autouse=True, scope="module")
def _no_logs():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


class Existing:
    """An existing server: it keeps what each connection said to it, and may refuse, or dial."""

    def __init__(self, loop):
        self.loop = loop
        self.heard = []
        self.dials = []
        """When each CONNECT_SERVER came."""
        self.answer = ACCEPTED
        loop.network.listen(THERE, PORT, lambda: End(self))

    def dial(self):
        """Have it dial us; what it hears on that link."""
        _, end = self.loop.run(self.loop.network.connect(lambda: End(self, is_dialler=True), HERE, PORT, THERE))
        return end


class End:
    _owner = None

    def __init__(self, server, *, is_dialler=False):
        self.server = server
        self.is_dialler = is_dialler
        self.names = []
        self.reader = FrameReader(1 << 20)
        if not is_dialler:
            server.heard.append(self.names)

    def connection_made(self, transport):
        self.transport = transport
        if self.is_dialler:
            hello = pb.ConnectServer(serverId="beta", features=["MESSAGES"])
            transport.write(encode("CONNECT_SERVER", hello))

    def data_received(self, data):
        for frame in self.reader.feed(data):
            self.names.append(frame.name)
            if frame.name == "CONNECT_SERVER":
                self.server.dials.append(self.server.loop.now)
                self.transport.write(self.server.answer)
            elif frame.name == "PING":
                self.transport.write(encode("PONG"))

    def eof_received(self):
        pass

    def connection_lost(self, error):
        pass


class Place:
    """alpha, a Parley, and beta, an existing server at THERE."""

    def __init__(self):
        random.seed(11)
        self.loop = SimulatedLoop()
        self.beta = Existing(self.loop)
        self.alpha = None
        self.asked = 0

    def begin(self, **interop):
        async def make():
            config = Config(address=HERE, interop=InteropConfig(**interop))
            return SimulatedServer(self.loop, "alpha", HERE, config)

        self.alpha = self.loop.run(make())
        self.alpha.discover_now = self.note_asked
        return self.alpha

    def note_asked(self):
        self.asked += 1

    def announce(self, mark=None, host=THERE):
        """Discovery tells of beta."""
        beta = Server("beta", {"MESSAGES": (Endpoint(host, PORT),)}, mark, heard=True)
        self.loop.run(self.alpha.server_list_received(ServerListChange((beta,), is_whole=False), ()))

    @property
    def peer(self):
        [peer] = self.alpha.peering.peers
        return peer

    def is_linked(self):
        return self.alpha.peering.link_to("beta") is not None


@pytest.fixture
def place():
    it = Place()
    yield it
    it.loop.run(it.alpha.stop())
    it.loop.run_for(20.0)
    it.loop.close()


def test_a_server_without_a_mark_that_never_dialled_us_is_known_and_left_alone(place):
    place.begin()
    for _ in range(3):
        place.announce()
        place.loop.run_for(60.0)
    assert place.beta.heard == []
    assert (place.peer.server_id, place.peer.connector) == ("beta", None)
    assert place.alpha.peering.expects("beta")


def test_it_is_dialled_once_it_has_dialled_us_and_again_when_that_link_ends(place):
    place.begin()
    place.announce()
    place.loop.run_for(60.0)
    end = place.beta.dial()
    place.loop.run_for(0.5)
    assert end.names == ["CONNECTED", "HANGUP"]
    assert place.is_linked()
    assert place.beta.heard == [["CONNECT_SERVER"]]
    place.loop.network.connections[-1].reset()
    place.loop.run_for(1.0)
    assert place.is_linked()
    assert len(place.beta.dials) == 2


def test_it_is_dialled_at_the_place_that_it_announces_after_it_dialled(place):
    """Discovery is asked, since the directory does not have it yet."""
    place.begin()
    place.beta.dial()
    place.loop.run_for(5.0)
    assert (place.beta.dials, place.asked) == ([], 1)
    place.announce()
    place.loop.run_for(0.5)
    assert place.is_linked()


def test_the_network_is_asked_no_more_for_a_server_whose_place_is_known(place):
    """Each request that some existing servers hear has them dial everybody."""
    place.begin()
    place.announce()
    place.beta.dial()
    place.loop.run_for(0.5)
    assert (place.is_linked(), place.asked) == (True, 0)


@pytest.mark.parametrize("announced", [None, 0.01, 0.06])
def test_it_is_given_time_to_forget_the_link_that_it_dialled(place, announced):
    """It knows one link per server, and refuses ours until our HANGUP was read."""
    place.begin()
    if announced is None:
        place.announce()
    place.beta.dial()
    dialled = place.loop.now
    if announced is not None:
        place.loop.run_for(announced)
        place.announce()
    place.loop.run_for(1.0)
    assert place.beta.dials[0] - dialled >= 0.24


def test_a_mark_that_comes_later_begins_the_dials(place):
    place.begin()
    place.announce()
    place.loop.run_for(10.0)
    place.announce(MARK)
    place.loop.run_for(0.1)
    assert place.is_linked()


@pytest.mark.parametrize("how", [{"dial": ("Beta",)}, {"peers": {"BETA": "parley"}}])
def test_one_that_the_operator_names_is_dialled_at_once(place, how):
    place.begin(**how)
    place.announce()
    place.loop.run_for(0.1)
    assert place.is_linked()


def test_a_server_that_refuses_is_dialled_slowly_whatever_wakes_us(place):
    place.begin(dial=("beta",))
    place.beta.answer = ALREADY
    place.announce()
    for number in range(400):
        place.loop.run_for(0.25)
        place.announce(host=THERE if number % 2 else "10.0.0.3")  # each change wakes the connector
    gaps = [round(at - place.beta.dials[0]) for at in place.beta.dials]
    assert gaps == [0, 3, 13, 33, 73]


def test_a_server_that_refuses_and_dials_us_is_refused_no_more_than_twice_in_ten_seconds(place):
    place.begin()
    place.beta.answer = ALREADY
    place.announce()
    for _ in range(100):
        place.beta.dial()
        place.loop.run_for(0.3)
    dials = place.beta.dials
    assert len(dials) >= 4
    assert all(third - first >= FIRST for first, third in zip(dials, dials[2:], strict=False))


def test_a_parley_that_refuses_is_dialled_as_before(place):
    place.begin()
    place.beta.answer = ALREADY
    place.announce(MARK)
    place.loop.run_for(9.0)
    assert len(place.beta.dials) >= 4


def test_nobody_is_dialled_after_the_end(place):
    place.begin()
    place.announce()
    place.loop.run(place.alpha.peering.stop())
    place.beta.dial()
    place.loop.run_for(30.0)
    assert place.beta.dials == []


# What is told of them ---------------------------------------------------------------------------------


def samples(place):
    return Samples(generate_latest(place.alpha.metrics.registry).decode())


def test_a_server_that_is_only_known_is_told_so_with_its_dialect(place):
    place.begin()
    place.announce()
    [told] = place.alpha.status()["peers"]
    assert (told["state"], told["dialect"]) == ("known", "old-server")
    assert told["why"] == "its announcement has no mark of a Parley, and it never dialled us"
    [state] = link_states(place.alpha.peering.peers, place.alpha.dialects)
    assert (state.notDialled, state.linked, state.dialect, state.why) == (True, False, "old-server", told["why"])
    exported = [each.labels["state"] for each in samples(place).samples if each.name == "parley_peer_links"]
    assert exported == ["known"], "no link is missing"
    assert samples(place).value("parley_peer_dialects", dialect="old-server") == 1


def test_the_dialect_of_a_link_is_told_once_there_is_one(place):
    place.begin()
    place.announce()
    place.beta.dial()
    place.loop.run_for(1.0)
    [told] = place.alpha.status()["peers"]
    assert (told["state"], told["dialect"]) == ("linked", "linking-server")
    [state] = link_states(place.alpha.peering.peers, place.alpha.dialects)
    assert (state.notDialled, state.linked, state.dialect) == (False, True, "linking-server")
    counted = {name: samples(place).value("parley_peer_dialects", dialect=name) for name in SERVERS}
    assert counted == {"parley": 0, "old-server": 0, "linking-server": 1, "code2-server": 0}


def test_clients_are_counted_by_their_dialects(place):
    place.begin()
    hellos = [pb.ConnectClient(user=pb.User(userId=name, serverId="alpha")) for name in ("ann", "bob", "eve")]
    hellos[0].terms.capabilities = 1
    for hello in hellos:
        _, end = place.loop.run(place.loop.network.connect(lambda: End(place.beta), HERE, PORT))
        end.transport.write(encode("CONNECT_CLIENT", hello))
    place.loop.run_for(0.1)
    counted = {name: samples(place).value("parley_subscriber_dialects", dialect=name) for name in CLIENTS}
    assert counted == {"parley-client": 1, "plain-client": 2, "code1-client": 0, "code2-client": 0}
