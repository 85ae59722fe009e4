"""The registry of a node's processes: who may register, who replaces whom, and who answers an asker."""

import pytest

from parley.services.discovery.directory.registry import Registrant, Registry, Reply, reply_to
from parley.shared.addresses import Endpoint, Server
from parley.shared.discovery.announcements import encode_announcement, read_announcement
from parley.shared.discovery.server_lists import read_server_list, write_server_list
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import pb

GATEWAYS = frozenset({"172.18.0.1"})


def process(instance, *features, host="", port=6666):
    ports = {feature: port + i for i, feature in enumerate(features)}
    return Registrant(instance, host, tuple(pb.Endpoint(feature=f, port=p) for f, p in ports.items()))


@pytest.fixture
def registry():
    return Registry()


def register(registry, key, registrant):
    """As discovery does it; whether it was admitted, and whom it replaced."""
    return registry.add(key, registrant) if registry.admits(registrant) else None


# Who may register ----------------------------------------------------------------------------------


def test_one_process_of_each_feature_registers(registry):
    for feature in ("MESSAGES", "TYPING_INDICATOR"):
        assert register(registry, feature, process(feature, feature, host=f"10.0.0.{len(feature)}")) == []
    assert registry.keys == ["MESSAGES", "TYPING_INDICATOR"]


def test_a_second_process_of_a_feature_stands_by_until_the_first_is_gone(registry):
    standby = process("b", "MESSAGES", host="10.0.0.3")
    register(registry, "first", process("a", "MESSAGES", host="10.0.0.2"))
    assert register(registry, "second", standby) is None
    assert registry.keys == ["first"]
    assert registry.remove("first")
    assert not registry.remove("first")
    assert register(registry, "second", standby) == []


def test_a_process_is_adopted_by_the_node_that_lacks_its_feature():
    """Three nodes without a name: each chat finds the one that has none yet."""
    nodes = [Registry() for _ in range(3)]
    homes = []
    for i in range(3):
        chat = process(f"chat{i}", "MESSAGES", host=f"10.0.0.{i}")
        homes.append(next(n for n, node in enumerate(nodes) if register(node, f"chat{i}", chat) is not None))
    assert homes == [0, 1, 2]


def test_an_instance_on_a_new_link_has_lost_the_old_one(registry):
    register(registry, "old", process("a", "MESSAGES", host="10.0.0.2"))
    assert register(registry, "new", process("a", "MESSAGES", host="10.0.0.9", port=7000)) == ["old"]
    assert registry.keys == ["new"]
    assert not registry.remove("old"), "the end of the old link must not end the new registration"


def test_a_process_at_a_dead_ones_host_and_port_takes_its_place(registry):
    register(registry, "old", process("a", "MESSAGES", host="10.0.0.2"))
    assert register(registry, "elsewhere", process("b", "MESSAGES", host="10.0.0.2", port=7000)) is None
    assert register(registry, "other host", process("b", "MESSAGES", host="10.0.0.3")) is None
    assert register(registry, "new", process("b", "MESSAGES", host="10.0.0.2")) == ["old"]


def test_one_of_several_features_that_is_taken_by_the_living_is_enough_to_wait(registry):
    register(registry, "chat", process("a", "MESSAGES"))
    register(registry, "typing", process("b", "TYPING_INDICATOR", port=7777))
    both = process("a", "MESSAGES", "TYPING_INDICATOR", port=5000)
    assert register(registry, "both", both) is None
    registry.remove("typing")
    assert register(registry, "both", both) == ["chat"]


def test_those_who_only_watch_stand_in_nobodys_way(registry):
    for key in ("one", "two"):
        assert register(registry, key, process(key)) == []
    assert register(registry, "chat", process("a", "MESSAGES")) == []
    assert registry.keys == ["one", "two", "chat"]
    assert registry.remote() == []
    assert registry.all() == [pb.Endpoint(feature="MESSAGES", port=6666)]


# Who answers an asker --------------------------------------------------------------------------------


@pytest.fixture
def spread(registry):
    """Chat beside discovery; typing and a watcher in containers of their own."""
    register(registry, "chat", process("a", "MESSAGES"))
    register(registry, "typing", process("b", "TYPING_INDICATOR", host="172.18.0.7", port=7777))
    register(registry, "watcher", process("c", host="172.18.0.8"))
    return registry


def features(reply: Reply):
    return [e.feature for e in reply.announce]


def test_discovery_answers_for_what_is_at_its_address_and_the_others_for_themselves(spread):
    reply = reply_to(spread, "10.0.0.5", GATEWAYS)
    assert features(reply) == ["MESSAGES"]
    assert reply.pass_on == ["typing"]


def test_who_asks_through_the_gateway_is_answered_for_everything_by_discovery(spread):
    reply = reply_to(spread, "172.18.0.1", GATEWAYS)
    assert features(reply) == ["MESSAGES", "TYPING_INDICATOR"]
    assert list(reply.pass_on) == []


def test_what_is_gone_is_announced_by_nobody(spread):
    spread.remove("chat")
    spread.remove("typing")
    for asker in ("10.0.0.5", "172.18.0.1"):
        assert reply_to(spread, asker, GATEWAYS) == Reply([], [] if asker == "10.0.0.5" else ())


def test_what_a_node_offers_names_the_host_where_that_is_not_discoverys(spread):
    assert [(e.feature, e.host, e.port) for e in spread.all()] == [
        ("MESSAGES", "", 6666),
        ("TYPING_INDICATOR", "172.18.0.7", 7777),
    ]


# What is sent of it -------------------------------------------------------------------------------------


def test_an_announcement_names_no_host_its_source_does(spread):
    datagram = encode_announcement("alpha", spread.all())
    assert b"172.18.0.7" not in datagram
    server = read_announcement(read_datagram(datagram), "10.9.9.9")
    assert server == Server(
        "alpha",
        {"MESSAGES": (Endpoint("10.9.9.9", 6666),), "TYPING_INDICATOR": (Endpoint("10.9.9.9", 7777),)},
    )


def test_a_server_list_arrives_as_it_was_sent(spread):
    servers = (
        Server("beta", {"MESSAGES": (Endpoint("10.0.0.2", 6666), Endpoint("172.18.0.1", 6666))}),
        Server("gamma", {"TYPING_INDICATOR": (Endpoint("10.0.0.3", 7777, 7778),)}),
    )
    payload = write_server_list(servers, spread.all())
    assert read_server_list(pb.ServerList.FromString(payload.SerializeToString())) == servers
    assert list(payload.own) == spread.all()
