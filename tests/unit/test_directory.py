"""The directory of servers: what is told as new, what is forgotten, and which address comes first."""

import pytest

from parley.services.discovery.announcing.server_discovery import ServerDiscoveryService
from parley.services.discovery.directory.directory import Directory
from parley.shared.addresses import Endpoint, Server
from parley.shared.config import Config

EXPIRY, INTERVAL, STALE = 60.0, 5.0, 15.0


@pytest.fixture
def directory():
    return Directory(EXPIRY, INTERVAL)


def beta(host="10.0.0.2", *features, server_id="beta"):
    return Server(server_id, {f: (Endpoint(host, 6666),) for f in features or ("MESSAGES",)})


def hosts(directory, feature="MESSAGES"):
    return {s.server_id: [e.host for e in s.endpoints(feature)] for s in directory.servers}


def test_a_server_is_new_once(directory):
    assert directory.heard(beta(), 0.0, relayed=False)
    assert not directory.heard(beta(), 5.0, relayed=False)
    assert directory.servers == (beta(),)


def test_servers_are_listed_in_the_order_in_which_they_were_first_heard(directory):
    for now, server_id in enumerate(("gamma", "beta", "gamma")):
        directory.heard(beta(server_id=server_id), now, relayed=False)
    assert [s.server_id for s in directory.servers] == ["gamma", "beta"]
    assert [(e.first_heard, e.last_heard) for e in directory.entries] == [(0.0, 2.0), (1.0, 1.0)]


@pytest.mark.parametrize("more", [beta("10.0.0.3"), beta("10.0.0.2", "TYPING_INDICATOR")])
def test_a_new_address_or_feature_of_a_known_server_is_new(directory, more):
    directory.heard(beta(), 0.0, relayed=False)
    assert directory.heard(more, 1.0, relayed=False)
    assert not directory.heard(more, 2.0, relayed=False)
    assert len(directory.servers) == 1


def test_a_port_that_changed_is_new(directory):
    directory.heard(beta(), 0.0, relayed=False)
    moved = Server("beta", {"MESSAGES": (Endpoint("10.0.0.2", 7000),)})
    assert directory.heard(moved, 1.0, relayed=False)


def test_what_was_heard_directly_comes_before_what_a_gateway_relayed(directory):
    for host, relayed in [("172.18.0.1", True), ("10.0.0.2", False), ("10.0.0.3", False)]:
        directory.heard(beta(host), 0.0, relayed=relayed)
    assert hosts(directory) == {"beta": ["10.0.0.2", "10.0.0.3", "172.18.0.1"]}


def test_a_server_that_is_back_from_silence_is_told_again(directory):
    directory.heard(beta(), 0.0, relayed=False)
    assert not directory.heard(beta(), STALE, relayed=False)
    assert directory.heard(beta(), 2 * STALE + 0.001, relayed=False)


def test_a_server_neither_heard_nor_linked_is_forgotten_in_time(directory):
    directory.heard(beta(), 0.0, relayed=False)
    directory.heard(beta(server_id="gamma"), 1.0, relayed=False)
    assert not directory.expire(EXPIRY - 0.001)
    assert directory.expire(EXPIRY)
    assert hosts(directory) == {"gamma": ["10.0.0.2"]}
    assert not directory.expire(EXPIRY)


def test_a_linked_server_is_kept_whichever_process_has_the_link(directory):
    directory.heard(beta(), 0.0, relayed=False)
    directory.set_linked("chat", ["beta"])
    directory.set_linked("typing", ["beta", "gamma"])
    directory.set_linked("chat", [])
    assert not directory.expire(100 * EXPIRY)
    assert directory.is_linked("beta")
    directory.set_linked("typing", ["gamma"])
    assert directory.expire(100 * EXPIRY)
    assert directory.servers == ()


def test_what_a_process_reports_replaces_what_it_reported_before(directory):
    directory.set_linked("chat", ["beta"])
    directory.set_linked("chat", ["gamma"])
    assert not directory.is_linked("beta")
    assert directory.is_linked("gamma")
    directory.set_linked("typing", [])
    directory.set_linked("chat", [])
    assert not directory.is_linked("gamma")
    assert directory._linked == {}, "processes that are gone are not remembered"


def test_an_address_no_longer_heard_is_dropped_while_the_server_is_heard_elsewhere(directory):
    directory.heard(beta("10.0.0.2"), 0.0, relayed=False)
    for now in (0.0, 10.0, 20.0):
        directory.heard(beta("10.0.0.3"), now, relayed=False)
    assert not directory.expire(STALE)
    assert directory.expire(20.0)
    assert hosts(directory) == {"beta": ["10.0.0.3"]}
    assert directory.heard(beta("10.0.0.2"), 21.0, relayed=False)


def test_a_feature_no_longer_announced_is_dropped(directory):
    directory.heard(beta("10.0.0.2", "MESSAGES", "TYPING_INDICATOR"), 0.0, relayed=False)
    directory.heard(beta("10.0.0.2", "MESSAGES"), 20.0, relayed=False)
    directory.expire(20.0)
    [server] = directory.servers
    assert set(server.features) == {"MESSAGES"}


def test_a_silent_server_keeps_its_addresses_until_it_is_forgotten(directory):
    """Its processes go on dialling it: it may only be slow."""
    directory.heard(beta("10.0.0.2"), 0.0, relayed=False)
    directory.heard(beta("10.0.0.3"), 10.0, relayed=False)
    assert not directory.expire(10.0 + STALE + 0.001)
    assert hosts(directory) == {"beta": ["10.0.0.2", "10.0.0.3"]}


def test_our_own_announcements_do_not_count():
    discovery = ServerDiscoveryService("alpha", Config())
    assert discovery.accepts(beta())
    assert not discovery.accepts(beta(server_id="alpha"))


@pytest.mark.parametrize(
    ("servers", "seconds"), [(0, 5.0), (1, 5.0), (10, 5.0), (29, 14.5), (40, 20.0), (500, 20.0)]
)
def test_many_servers_are_asked_more_seldom_but_thrice_before_they_are_forgotten(directory, servers, seconds):
    for number in range(servers):
        directory.heard(beta(f"10.0.{number // 250}.{number % 250}", server_id=f"s{number}"), 0.0, relayed=False)
    assert directory.interval == seconds


def test_a_server_counts_as_silent_after_three_requests_however_seldom_they_are(directory):
    for number in range(30):
        directory.heard(beta(f"10.0.0.{number}", server_id=f"s{number}"), 0.0, relayed=False)
    entry = directory.entries[0]
    assert not directory.is_silent(entry, 3 * directory.interval)
    assert directory.is_silent(entry, 3 * directory.interval + 0.1)


def test_a_server_that_is_spelt_in_two_ways_is_one():
    directory = Directory(expiry=60.0, interval=5.0)
    for name, host in (("Alpha", "10.0.0.2"), ("ALPHA", "10.0.0.3")):
        endpoint = Endpoint(host, 6666)
        directory.heard(Server(name, {"MESSAGES": (endpoint,)}), 0.0, relayed=False, source=host, answered=True)
    directory.set_linked("chat", ["alpha"])
    assert [entry.server_id for entry in directory.entries] == ["Alpha"]
    assert directory.is_linked("aLPHA")
    assert len(directory.servers[0].endpoints("MESSAGES")) == 2
    assert not directory.expire(1000.0) or len(directory) == 1
