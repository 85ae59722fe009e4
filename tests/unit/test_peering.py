"""How soon two servers have a good link again, and which: the real classes on a simulated network.

tests/property/test_peering_property.py has that they always end with exactly one.
"""

import random

import pytest
import structlog

from parley.shared.addresses import Endpoint, Server
from parley.shared.config import LinkConfig
from parley.shared.wire.capabilities import OURS
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import encode, pb
from tests.support.joined import ACCEPTED, EXIT
from tests.support.simulated import SimulatedLoop
from tests.support.simulated_servers import PORT, SimulatedServer, connections_between

LINK = LinkConfig()
SOON = 2 * LINK.backoff_min + 0.1
"""Seconds: one or two first dials with their jitter, and the few milliseconds of the network."""


@pytest.fixture(autouse=True, scope="module")
def _no_logs():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


def names(data):
    return [frame.name for frame in FrameReader(1 << 20).feed(data)]


class Pair:
    """alpha, the smaller, and beta; each knows the other unless told otherwise."""

    def __init__(self):
        random.seed(7)  # the jitter
        self.loop = SimulatedLoop()
        self.alpha = self.loop.run(self.make("alpha", "10.0.0.1"))
        self.beta = self.loop.run(self.make("beta", "10.0.0.2"))

    async def make(self, server_id, host):
        return SimulatedServer(self.loop, server_id, host)

    def link(self, *, dialled_by):
        """Link them, for longer than a link needs to count as steady; the other hears of it afterwards."""
        dialler = getattr(self, dialled_by)
        other = self.beta if dialler is self.alpha else self.alpha
        self.loop.run(dialler.knows(other))
        self.loop.run_for(1.0)
        self.loop.run(other.knows(dialler))
        self.loop.run_for(6.0)
        assert dialler.link_to(other).dialled
        assert self.is_linked()

    @property
    def connection(self):
        """The one connection there is between them."""
        (connection,) = connections_between(self.loop, self.alpha, self.beta)
        return connection

    def end_of(self, name):
        connection = self.connection
        return (
            connection.dialled if connection.dialled.protocol._owner is getattr(self, name) else connection.accepted
        )

    def is_linked(self):
        """Whether both have the same link, and no other that they take for open."""
        here, there = self.alpha.link_to(self.beta), self.beta.link_to(self.alpha)
        alive = connections_between(self.loop, self.alpha, self.beta)
        held = [link for server in (self.alpha, self.beta) for link in server._links if link.is_open]
        return [{c.dialled.protocol, c.accepted.protocol} for c in alive] == [{here, there}] == [set(held)]

    def seconds_until_linked(self):
        """How long it takes from now, in steps of 50 ms; fails after a minute."""
        started = self.loop.now
        while not self.is_linked():
            self.loop.run_for(0.05)
            assert self.loop.now - started < 60, "not linked again"
        return self.loop.now - started

    def end(self):
        for server in (self.alpha, self.beta):
            self.loop.run(server.stop())
        self.loop.run_for(5.0)
        self.loop.close()


@pytest.fixture
def pair():
    it = Pair()
    yield it
    it.end()


BOTH = pytest.mark.parametrize("dialler", ["alpha", "beta"])


@BOTH
def test_one_server_that_knows_the_other_is_enough(pair, dialler):
    one, other = (pair.alpha, pair.beta) if dialler == "alpha" else (pair.beta, pair.alpha)
    pair.loop.run(one.knows(other))
    assert pair.seconds_until_linked() < 0.1
    assert other.peering.links == [other.link_to(one)]


@BOTH
def test_a_server_that_is_linked_does_not_dial(pair, dialler):
    pair.link(dialled_by=dialler)
    assert len(pair.loop.network.connections) == 1


def said(transport):
    return names(bytes(transport.written))


@pytest.mark.parametrize(("slow", "fast"), [("alpha", "beta"), ("beta", "alpha")])
def test_a_dial_that_is_overtaken_by_the_others_is_given_up_without_a_connect(pair, slow, fast):
    pair.loop.network.latency = lambda: 0.5
    pair.loop.run(getattr(pair, slow).knows(getattr(pair, fast)))
    pair.loop.run_for(0.01)
    pair.loop.network.latency = lambda: 0.001
    pair.loop.run(getattr(pair, fast).knows(getattr(pair, slow)))
    pair.loop.run_for(1.0)
    assert pair.is_linked()
    assert [pair.alpha.changes, pair.beta.changes] == [1, 1]
    (overtaken,) = [c for c in pair.loop.network.connections if not c.is_alive]
    assert said(overtaken.dialled) == ["HANGUP"]


def test_an_answer_that_comes_late_does_not_replace_the_link_that_was_made_meanwhile(pair):
    """Alpha took beta's dial, lost it, and dialled; then its first answer reaches beta."""
    pair.loop.network.latency = lambda: 0.001 if pair.loop.now < 0.0029 else 1.0
    pair.loop.run(pair.beta.knows(pair.alpha))
    pair.loop.run_for(0.01)
    (first,) = pair.loop.network.connections
    assert said(first.accepted) == ["CONNECTED"]
    first.accepted.abort()
    pair.loop.network.latency = lambda: 0.001
    pair.loop.run(pair.alpha.knows(pair.beta))
    pair.loop.run_for(0.1)
    link = pair.beta.link_to(pair.alpha)
    assert link is not None
    pair.loop.run_for(3.0)
    assert pair.beta.link_to(pair.alpha) is link
    assert pair.beta.changes == 1
    assert pair.is_linked()


@BOTH
def test_a_link_that_both_see_break_is_made_anew_soon(pair, dialler):
    pair.link(dialled_by=dialler)
    pair.connection.reset()
    pair.loop.run_for(0.01)
    assert not connections_between(pair.loop, pair.alpha, pair.beta) or pair.is_linked()
    assert pair.seconds_until_linked() < SOON


@BOTH
def test_a_half_open_link_never_blocks_its_diallers_next(pair, dialler):
    """Its dialler has lost it and dials again; the other side still thinks that it is linked."""
    pair.link(dialled_by=dialler)
    end = pair.end_of(dialler)
    pair.connection.cut()
    end.abort()
    pair.loop.run_for(0.01)
    assert pair.seconds_until_linked() < SOON


def test_the_smaller_servers_new_link_replaces_one_of_ours_at_once(pair):
    pair.link(dialled_by="beta")
    end = pair.end_of("alpha")
    pair.connection.cut()
    end.abort()
    pair.loop.run_for(0.01)
    assert pair.seconds_until_linked() < SOON


def test_the_greater_servers_new_link_waits_until_ours_has_been_silent(pair):
    """Not until the dead link is given up (11 s), and its backoff stays short: a timeout after that of silence."""
    pair.link(dialled_by="alpha")
    end = pair.end_of("beta")
    pair.connection.cut()
    end.abort()
    pair.loop.run_for(0.01)
    assert LINK.peer_ping_timeout / 2 < pair.seconds_until_linked() < 2 * LINK.peer_ping_timeout
    assert pair.beta.link_to(pair.alpha).dialled


def test_refusing_the_greater_server_asks_whether_ours_still_lives(pair):
    """Its host answers that nobody is there: we learn it at once and need not wait for silence."""
    pair.link(dialled_by="alpha")
    pair.loop.run_for(1.1)
    end = pair.end_of("beta")
    end.vanish()
    end.protocol.connection_lost(None)
    pair.loop.run_for(0.01)
    assert pair.seconds_until_linked() < SOON


@BOTH
@pytest.mark.parametrize("restarted", ["alpha", "beta"])
@pytest.mark.parametrize("kind", ["killed", "power lost"])
def test_a_restarted_server_is_linked_again_soon(pair, dialler, restarted, kind):
    """Even if the other has not noticed yet: a link to an older instance never blocks a newer one."""
    pair.link(dialled_by=dialler)
    old = getattr(pair, restarted)
    connection = pair.connection
    pair.loop.run(old.crash())
    if kind == "killed":
        connection.reset()
    else:
        connection.cut()
    pair.loop.run_for(0.5)
    new = pair.loop.run(pair.make(old.server_id, old.host))
    setattr(pair, restarted, new)
    pair.loop.run(new.knows(pair.beta if restarted == "alpha" else pair.alpha))
    assert pair.seconds_until_linked() < SOON


def test_a_link_that_dies_silently_is_noticed_within_twice_the_timeout(pair):
    pair.link(dialled_by="alpha")
    pair.connection.cut()
    assert pair.seconds_until_linked() < 2 * LINK.peer_ping_timeout + 0.5 + SOON


def test_idle_links_stay(pair):
    pair.link(dialled_by="alpha")
    link = pair.alpha.link_to(pair.beta)
    pair.loop.run_for(3600.0)
    assert pair.alpha.link_to(pair.beta) is link
    assert link.session.rtt == pytest.approx(0.002, abs=1e-4)


def test_a_server_that_is_forgotten_keeps_its_link_and_loses_its_connector(pair):
    pair.link(dialled_by="alpha")
    pair.loop.run(pair.alpha.knows())
    pair.loop.run_for(10.0)
    assert pair.is_linked()
    pair.loop.run(pair.beta.stop())
    pair.loop.run_for(1.0)
    pair.loop.run(pair.alpha.knows())
    pair.loop.run_for(60.0)
    assert pair.alpha.peering.peers == []


def test_a_server_does_not_dial_itself(pair):
    pair.loop.run(pair.alpha.knows(pair.alpha))
    pair.loop.run_for(5.0)
    assert pair.alpha.peering.peers == []
    assert pair.loop.network.connections == []


def test_a_stopped_server_says_so_and_is_dialled_less_and_less(pair):
    pair.link(dialled_by="alpha")
    connection = pair.connection
    pair.loop.run(pair.beta.stop())
    pair.loop.run_for(0.1)
    assert bytes(connection.accepted.written).endswith(EXIT)
    assert pair.alpha.link_to(pair.beta) is None
    pair.loop.run_for(300.0)
    (peer,) = pair.alpha.peering.peers
    assert 20 <= peer.connector.attempts <= 80


# Servers that are not ours, or not what they should be ------------------------------------------------


class Stranger:
    """A listener that is none of Parley: it says fixed words to whoever dials, and keeps what it hears."""

    def __init__(self, loop, host, words, *, hangs_up=False):
        self.words = words
        self.hangs_up = hangs_up
        self.heard = []
        """What each connection said."""
        loop.network.listen(host, PORT, self.make)

    def make(self):
        return StrangersEnd(self)


class StrangersEnd:
    _owner = None

    def __init__(self, stranger):
        self.stranger = stranger

    def connection_made(self, transport):
        self.transport = transport
        self.stranger.heard.append(b"")
        self.number = len(self.stranger.heard) - 1

    def data_received(self, data):
        self.stranger.heard[self.number] += data
        if data.startswith(b"CONNECT_SERVER"):
            self.transport.write(self.stranger.words)
            if self.stranger.hangs_up:
                self.transport.close()
        elif data.startswith(b"PING"):
            self.transport.write(b"PONG 0 \n")

    def eof_received(self):
        pass

    def connection_lost(self, error):
        pass


REFUSED = encode("CONNECTED", pb.ConnectResponse(result=pb.ConnectResponse.UNKNOWN_ERROR))
ANOTHER = encode(
    "CONNECTED", pb.ConnectResponse(result=pb.ConnectResponse.CONNECTED, serverId="gamma", instanceId="g1")
)
REBUFFS = {
    "refused": (REFUSED, False),
    "another server's": (ANOTHER, False),
    "closed": (b"", True),
    "taken and hung up": (ACCEPTED + EXIT, True),
    "taken and closed": (ACCEPTED, True),
    "no protocol": (b"HTTP/1.1 400 Bad Request\r\n\r\n", True),
}


@pytest.mark.parametrize(("words", "hangs_up"), REBUFFS.values(), ids=REBUFFS.keys())
def test_a_server_that_never_becomes_a_link_is_dialled_less_and_less(pair, words, hangs_up):
    """Full jitter from 0.2 s to 15 s: about 14 dials in a minute, and no storm of them."""
    stranger = Stranger(pair.loop, "10.0.0.2", words, hangs_up=hangs_up)
    pair.loop.run(pair.alpha.knows(pair.beta))
    pair.loop.run_for(60.0)
    assert 5 <= len(stranger.heard) <= 40
    assert pair.alpha.link_to(pair.beta) is None


def test_a_server_that_refuses_is_told_goodbye(pair):
    stranger = Stranger(pair.loop, "10.0.0.2", REFUSED)
    pair.loop.run(pair.alpha.knows(pair.beta))
    pair.loop.run_for(0.1)
    assert names(stranger.heard[0]) == ["CONNECT_SERVER", "HANGUP"]


def test_an_existing_server_that_answers_is_linked(pair):
    """Its CONNECTED has no field from 100 up."""
    stranger = Stranger(pair.loop, "10.0.0.2", ACCEPTED)
    pair.loop.run(pair.alpha.knows(pair.beta))
    pair.loop.run_for(1.0)
    assert pair.alpha.link_to(pair.beta).is_open
    assert names(stranger.heard[0]) == ["CONNECT_SERVER"]
    assert len(stranger.heard) == 1


def test_a_server_that_accepts_and_says_nothing_is_given_up_and_tried_again(pair):
    stranger = Stranger(pair.loop, "10.0.0.2", b"")
    pair.loop.run(pair.alpha.knows(pair.beta))
    pair.loop.run_for(LINK.connect_timeout + 5.0)
    assert names(stranger.heard[0]) == ["CONNECT_SERVER", "HANGUP"]
    (peer,) = pair.alpha.peering.peers
    assert peer.connector.last_error == "no answer to CONNECT"
    assert len(stranger.heard) == 2


@pytest.mark.parametrize("host_is_gone", [True, False])
def test_a_server_that_does_not_accept_is_told_why(pair, host_is_gone):
    pair.loop.network.close_listener("10.0.0.2", PORT)
    if host_is_gone:
        pair.loop.network.unreachable.add("10.0.0.2")
    pair.loop.run(pair.alpha.knows(pair.beta))
    pair.loop.run_for(LINK.dial_timeout + 0.1)
    (peer,) = pair.alpha.peering.peers
    why = "no answer" if host_is_gone else "connection refused"
    assert peer.connector.last_error == f"10.0.0.2:{PORT} does not accept connections ({why})"


def test_a_link_that_stands_tells_no_error_from_before(pair):
    pair.loop.network.close_listener("10.0.0.2", PORT)
    pair.loop.run(pair.alpha.knows(pair.beta))
    pair.loop.run_for(LINK.dial_timeout + 0.1)
    (peer,) = pair.alpha.peering.peers
    assert peer.connector.last_error
    pair.loop.run(pair.beta.knows(pair.alpha))
    pair.loop.run_for(1.0)
    assert peer.link is not None
    assert peer.connector.last_error == ""


class Dialler:
    """An existing server's deaf and mute link: it dials us, without a field from 100 up."""

    _owner = None

    def __init__(self):
        self.heard = b""

    def connection_made(self, transport):
        hello = pb.ConnectServer(serverId="beta", features=["MESSAGES"])
        transport.write(encode("CONNECT_SERVER", hello))

    def data_received(self, data):
        self.heard += data

    def eof_received(self):
        pass

    def connection_lost(self, error):
        pass


def test_an_existing_server_that_dials_us_is_hung_up_and_dialled(pair):
    """Such a link is deaf and mute (protocol.md); what we dial ourselves works both ways."""
    stranger = Stranger(pair.loop, "10.0.0.2", ACCEPTED)
    _, dialler = pair.loop.run(pair.loop.network.connect(Dialler, "10.0.0.1", PORT))
    pair.loop.run_for(0.1)
    assert names(dialler.heard) == ["CONNECTED", "HANGUP"]
    assert pair.alpha.peering.links == []
    pair.loop.run(pair.alpha.knows(pair.beta))
    pair.loop.run_for(0.3)
    assert pair.alpha.link_to(pair.beta).dialled
    assert len(stranger.heard) == 1


def test_an_existing_server_that_dials_us_while_we_dial_is_linked_once(pair):
    stranger = Stranger(pair.loop, "10.0.0.2", ACCEPTED)
    pair.loop.run(pair.alpha.knows(pair.beta))
    pair.loop.run_for(1.0)
    _, dialler = pair.loop.run(pair.loop.network.connect(Dialler, "10.0.0.1", PORT))
    pair.loop.run_for(20.0)
    assert names(dialler.heard)[0] == "CONNECTED"
    assert pair.alpha.link_to(pair.beta).is_open
    assert len(stranger.heard) == 1


@BOTH
def test_a_dial_meant_for_a_dead_server_at_this_address_disturbs_no_link(pair, dialler):
    """Alpha and beta are linked; beta takes over the address of gamma, which alpha still dials there."""
    pair.link(dialled_by=dialler)
    gamma = Server("gamma", {"MESSAGES": (Endpoint("10.0.0.2", PORT),)})
    here, there = pair.alpha.link_to(pair.beta), pair.beta.link_to(pair.alpha)
    pair.loop.run(pair.alpha.set_server_list_and_connect([pair.beta.as_server, gamma]))
    pair.loop.run_for(60.0)
    assert (pair.alpha.link_to(pair.beta), pair.beta.link_to(pair.alpha)) == (here, there)
    assert pair.is_linked()
    assert pair.alpha.peering.link_to("gamma") is None
    refused = pair.alpha.metrics.connects.labels("MESSAGES", "dialler", "refused")
    assert 5 <= refused._value.get() <= 40


def test_who_answers_in_anothers_place_says_who_it_is(pair):
    gamma = Server("gamma", {"MESSAGES": (Endpoint("10.0.0.2", PORT),)})
    told = []
    keep = [lambda _log, _name, event: told.append(event) or drop()]
    pair.alpha.log = structlog.wrap_logger(None, processors=keep, wrapper_class=structlog.BoundLogger)
    pair.loop.run(pair.alpha.set_server_list_and_connect([gamma]))
    pair.loop.run_for(60.0)
    warnings = [event for event in told if event["event"] == "peer_is_another"]
    assert [(each["expected"], each["found"]) for each in warnings] == [("gamma", "beta")], "once for all dials"


def drop():
    raise structlog.DropEvent


@pytest.mark.parametrize("spelt", ["BETA", "Beta", "beta"])
def test_a_server_is_meant_however_it_is_spelt(pair, spelt):
    pair.loop.run(
        pair.alpha.set_server_list_and_connect([Server(spelt, {"MESSAGES": (Endpoint("10.0.0.2", PORT),)})])
    )
    pair.loop.run_for(1.0)
    assert [link.identity.server_id for link in pair.alpha.peering.links] == ["beta"]


@BOTH
def test_each_side_knows_what_the_other_can(pair, dialler):
    pair.link(dialled_by=dialler)
    for one, other in ((pair.alpha, pair.beta), (pair.beta, pair.alpha)):
        assert one.link_to(other).identity.capabilities == OURS


def test_an_existing_server_can_nothing_beyond_the_protocol(pair):
    Stranger(pair.loop, "10.0.0.2", ACCEPTED)
    pair.loop.run(pair.alpha.knows(pair.beta))
    pair.loop.run_for(1.0)
    assert pair.alpha.link_to(pair.beta).identity.capabilities == 0


class Three(Pair):
    """alpha, and two servers that are both called beta."""

    def __init__(self):
        super().__init__()
        self.other = self.loop.run(self.make("beta", "10.0.0.3"))

    def end(self):
        self.loop.run(self.other.stop())
        super().end()

    def troubles(self):
        async def read():
            return [(trouble.kind, trouble.subject) for trouble in self.alpha.troubles.now]

        return self.loop.run(read())


@pytest.fixture
def three():
    it = Three()
    yield it
    it.end()


@BOTH
def test_of_two_servers_of_one_name_the_one_that_is_linked_and_answers_stays(three, dialler):
    three.link(dialled_by=dialler)
    here, changes = three.alpha.link_to(three.beta), three.alpha.changes
    three.loop.run(three.other.knows(three.alpha))
    three.loop.run_for(60.0)
    assert three.alpha.link_to(three.beta) is here
    assert three.alpha.changes == changes
    assert three.troubles() == [("name_twice", "beta")]
    (peer,) = three.other.peering.peers
    assert 4 <= peer.connector.attempts <= 40
    three.loop.run(three.other.stop())
    three.loop.run_for(70.0)
    assert three.troubles() == []


def test_the_other_server_of_a_name_is_linked_once_the_first_is_gone(three):
    three.link(dialled_by="beta")
    three.loop.run(three.other.knows(three.alpha))
    three.loop.run_for(30.0)
    three.loop.run(three.beta.stop())
    three.loop.run_for(20.0)
    assert three.alpha.link_to(three.beta).remote_host == three.other.host


@BOTH
def test_a_server_that_comes_back_at_another_address_is_linked_and_is_no_second_one(three, dialler):
    """Its old link is not known to be dead: until it is silent the new one waits."""
    three.link(dialled_by=dialler)
    connection = three.connection
    three.loop.run(three.beta.crash())
    connection.cut()
    three.loop.run(three.other.knows(three.alpha))
    three.loop.run_for(2 * LINK.peer_ping_timeout + LINK.backoff_max)
    assert three.alpha.link_to(three.beta).remote_host == three.other.host
    assert three.troubles() == []


def test_a_dial_of_ours_that_reaches_another_server_of_a_linked_name_yields(three):
    """Alpha dials the one while the other dials alpha."""
    three.loop.network.latency = lambda: 0.2
    three.loop.run(three.alpha.set_server_list_and_connect([three.other.as_server]))
    three.loop.network.latency = lambda: 0.001
    three.loop.run(three.beta.knows(three.alpha))
    three.loop.run_for(30.0)
    assert three.alpha.changes == 1
    assert len([link for link in three.alpha._links if link.is_open]) == 1


def test_a_young_link_to_one_of_two_servers_of_a_name_yields_once(three):
    three.loop.run(three.beta.knows(three.alpha))
    three.loop.run_for(1.0)
    three.loop.run(three.other.knows(three.alpha))
    three.loop.run_for(5.0)

    async def yields():
        return three.alpha.peering.yield_to_rival("BETA")

    assert three.loop.run(yields())
    three.loop.run_for(10.0)
    assert three.alpha.link_to(three.beta).remote_host == three.other.host
    assert not three.loop.run(yields())
    changes = three.alpha.changes
    three.loop.run_for(60.0)
    assert three.alpha.link_to(three.beta).remote_host == three.other.host
    assert three.alpha.changes == changes, "nothing flaps"


@pytest.mark.parametrize("rival", [True, False])
def test_a_link_that_has_stood_or_that_nobody_contests_does_not_yield(three, rival):
    three.loop.run(three.beta.knows(three.alpha))
    three.loop.run_for(70.0 if rival else 5.0)
    if rival:
        three.loop.run(three.other.knows(three.alpha))
        three.loop.run_for(5.0)

    async def yields():
        return three.alpha.peering.yield_to_rival("beta")

    assert not three.loop.run(yields())
    assert three.alpha.link_to(three.beta).remote_host == three.beta.host


def test_where_the_other_server_of_a_name_is_gone_again_the_one_that_yielded_comes_back(three):
    three.loop.run(three.beta.knows(three.alpha))
    three.loop.run_for(1.0)
    three.loop.run(three.other.knows(three.alpha))
    three.loop.run_for(5.0)
    three.loop.run(three.other.stop())

    async def yields():
        return three.alpha.peering.yield_to_rival("beta")

    assert three.loop.run(yields())
    three.loop.run_for(40.0)
    assert three.alpha.link_to(three.beta).remote_host == three.beta.host


def test_a_server_that_yielded_is_not_dialled_before_the_other_one_had_its_time(three):
    """The directory may have only the one yet, and the other one waits out its back-off."""
    three.loop.run(three.alpha.knows(three.beta))
    three.loop.run_for(1.0)
    three.loop.run(three.other.knows(three.alpha))
    three.loop.run_for(5.0)

    async def yields():
        return three.alpha.peering.yield_to_rival("beta")

    assert three.loop.run(yields())
    three.loop.run_for(10.0)
    assert three.alpha.link_to(three.beta).remote_host == three.other.host
    assert three.alpha.changes == 3, "linked, yielded, linked with the other one"
