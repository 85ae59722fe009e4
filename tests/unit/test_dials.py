"""How often a process dials, and how many places at once: on a simulated network, where nothing sleeps."""

import itertools
import random

import pytest
import structlog

from parley.shared.addresses import Endpoint, Server
from parley.shared.discovery.server_lists import ServerListChange
from parley.shared.peering.dial_limits import LONGEST, MOST, ROOM
from tests.support.simulated import SimulatedLoop
from tests.support.simulated_servers import PORT, SimulatedServer

VICTIM = "10.0.9.9"
SOON = 0.5


@pytest.fixture(autouse=True, scope="module")
def _no_logs():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


class Dialling:
    """A server, and every connection that it tries to make."""

    def __init__(self):
        random.seed(3)
        self.loop = SimulatedLoop()
        self.tries = []
        self.under_way = []
        self.most = 0
        self.most_at_one = 0
        connect = self.loop.create_connection

        async def counted(protocol_factory, host, port, **how):
            self.tries.append((self.loop.now, host, port))
            self.under_way.append(host)
            self.most = max(self.most, len(self.under_way))
            self.most_at_one = max(self.most_at_one, self.under_way.count(host))
            try:
                return await connect(protocol_factory, host, port, **how)
            finally:
                self.under_way.remove(host)

        self.loop.create_connection = counted
        self.server = self.loop.run(self.make("alpha", "10.0.0.1"))
        self.others = [self.server]

    async def make(self, server_id, host):
        return SimulatedServer(self.loop, server_id, host)

    def honest(self, server_id, host):
        other = self.loop.run(self.make(server_id, host))
        self.others.append(other)
        return other

    def learn(self, *servers):
        self.loop.run(self.server.server_list_received(ServerListChange(servers, is_whole=False), ()))

    def at(self, host):
        return [now for now, tried, _port in self.tries if tried == host]

    def end(self):
        for each in self.others:
            self.loop.run(each.stop())
        self.loop.run_for(20.0)
        self.loop.close()


@pytest.fixture
def dialling():
    it = Dialling()
    yield it
    it.end()


def claimed(name, host=VICTIM, *ports, answered=False):
    places = tuple(Endpoint(host, port, 0, answered) for port in ports or (PORT,))
    return Server(name, {"MESSAGES": places})


def test_fifty_servers_announced_at_a_third_machine_are_few_connections_to_it(dialling):
    for _ in range(6):
        dialling.learn(*(claimed(f"fake{n}", VICTIM, n + 1, n + 1000) for n in range(50)))
        dialling.loop.run_for(10.0)
    assert dialling.most_at_one == 1
    assert len(dialling.at(VICTIM)) < 15


def test_an_address_that_never_answered_is_left_alone_for_longer_and_longer(dialling):
    dialling.learn(claimed("fake"))
    dialling.loop.run_for(1200.0)
    tries = dialling.at(VICTIM)
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert gaps[0] < 1.0
    assert all(LONGEST / 2 <= gap < LONGEST + 20 for gap in gaps[-5:])


def test_no_more_are_dialled_at_once_than_may_be(dialling):
    hosts = [f"10.1.0.{n}" for n in range(1, 101)]
    dialling.loop.network.unreachable.update(hosts)
    dialling.learn(*(claimed(f"fake{n}", host) for n, host in enumerate(hosts)))
    dialling.loop.run_for(SOON)
    assert dialling.most == len(dialling.under_way) == ROOM[-1] < MOST


def test_who_answers_us_is_dialled_while_all_that_only_claim_wait(dialling):
    hosts = [f"10.1.0.{n}" for n in range(1, 101)]
    dialling.loop.network.unreachable.update(hosts)
    dialling.learn(*(claimed(f"fake{n}", host) for n, host in enumerate(hosts)))
    dialling.loop.run_for(SOON)
    beta = dialling.honest("beta", "10.0.0.2")
    dialling.learn(claimed("beta", "10.0.0.2", answered=True))
    dialling.loop.run_for(SOON)
    assert dialling.server.link_to(beta) is not None


def test_a_server_that_was_there_before_is_dialled_at_once_whoever_else_is_dialled(dialling):
    beta = dialling.honest("beta", "10.0.0.2")
    dialling.learn(beta.as_server)
    dialling.loop.run_for(10.0)
    hosts = [f"10.1.0.{n}" for n in range(1, 101)]
    dialling.loop.network.unreachable.update(hosts)
    dialling.learn(*(claimed(f"fake{n}", host, answered=n % 2 == 0) for n, host in enumerate(hosts)))
    dialling.loop.run_for(SOON)
    dialling.server.link_to(beta).hang_up()
    dialling.loop.run_for(SOON)
    assert dialling.server.link_to(beta) is not None
    assert dialling.most <= MOST


def test_an_honest_server_at_an_address_where_many_are_claimed_is_found(dialling):
    beta = dialling.honest("beta", VICTIM)
    dialling.learn(*(claimed(f"fake{n}", VICTIM, n + 1) for n in range(20)))
    dialling.loop.run_for(30.0)
    dialling.learn(claimed("beta", VICTIM, answered=True))
    dialling.loop.run_for(1.0)
    assert dialling.server.link_to(beta) is not None


def test_a_dial_that_is_given_up_while_it_waits_keeps_nobody_waiting(dialling):
    hosts = [f"10.1.0.{n}" for n in range(1, 101)]
    dialling.loop.network.unreachable.update(hosts)
    dialling.learn(*(claimed(f"fake{n}", host) for n, host in enumerate(hosts)))
    dialling.loop.run_for(SOON)
    dialling.loop.run(dialling.server.set_server_list_and_connect([]))
    beta = dialling.honest("beta", "10.0.0.2")
    dialling.learn(beta.as_server)
    dialling.loop.run_for(SOON)
    assert dialling.server.link_to(beta) is not None
    assert dialling.under_way == []


def test_a_server_that_was_forgotten_while_linked_is_dialled_no_more_once_the_link_is_over(dialling):
    beta = dialling.honest("beta", "10.0.0.2")
    dialling.learn(beta.as_server)
    dialling.loop.run_for(10.0)
    change = ServerListChange((), ("beta",), is_whole=False)
    dialling.loop.run(dialling.server.server_list_received(change, ()))
    assert dialling.server.link_to(beta) is not None
    tried = len(dialling.tries)
    dialling.loop.run(beta.crash())
    dialling.loop.run_for(60.0)
    assert len(dialling.tries) == tried
    assert dialling.server.peering.peers == []
