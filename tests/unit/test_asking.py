"""Whom discovery asks in a round, and how its requests look."""

import ipaddress

import pytest

from parley.services.discovery.announcing.asking import EXTRA_BURST, FIRST_ROUNDS, MOST_ASKERS, Asking
from parley.shared.discovery.networks import EVERYONE, LOOPBACK_BROADCAST, Interface, Networks
from parley.shared.wire.framing import MAX_DATAGRAM, read_datagram
from parley.shared.wire.messages import pb

PORT, REMEMBERED = 9999, 60.0
WIRE = Interface("eth0", "192.168.1.5", ipaddress.IPv4Network("192.168.1.0/24"), "192.168.1.255")
LOOPBACK = Interface("lo", "127.0.0.1", ipaddress.IPv4Network("127.0.0.0/8"), LOOPBACK_BROADCAST)
TUNNEL = Interface("wg0", "10.8.0.2", ipaddress.IPv4Network("10.8.0.2/32"), "")
NETWORKS = Networks([WIRE, LOOPBACK, TUNNEL])
NEAR, FAR = ("192.168.1.9", 9999), ("203.0.113.1", 9999)


@pytest.fixture
def asking():
    return Asking(PORT, REMEMBERED)


def ask(asking, unicast=(), *, out_of_turn=False, now=0.0):
    return asking.round(NETWORKS, unicast, now, out_of_turn=out_of_turn)


def targets(sendings):
    return [each.to[0] for each in sendings]


def nonce_of(sending):
    return pb.DiscoverServer.FromString(read_datagram(sending.data).payload).nonce


def test_everybody_on_a_wire_is_asked_whatever_netmask_each_has(asking):
    narrow, wide, loopback = ask(asking)
    assert (narrow.to, narrow.interface) == (("192.168.1.255", PORT), "")
    assert (wide.to, wide.interface, wide.source) == ((EVERYONE, PORT), "eth0", "192.168.1.5")
    assert loopback.to == (LOOPBACK_BROADCAST, PORT)


def test_both_broadcasts_of_a_wire_have_one_nonce_and_each_network_another(asking):
    narrow, wide, loopback = ask(asking)
    assert nonce_of(narrow) == nonce_of(wide) != nonce_of(loopback)
    assert asking.nonces.is_answer(nonce_of(wide), "192.168.77.1", 0.0, is_near=False)


def test_later_a_wire_hears_one_request_a_round_and_both_when_something_happened(asking):
    """Some existing servers dial everybody anew at each request that they hear."""
    for _ in range(FIRST_ROUNDS):
        assert targets(ask(asking)) == ["192.168.1.255", EVERYONE, LOOPBACK_BROADCAST]
    later = [targets(ask(asking)) for _ in range(4)]
    assert sorted(later) == 2 * [["192.168.1.255", LOOPBACK_BROADCAST]] + 2 * [[EVERYONE, LOOPBACK_BROADCAST]]
    assert targets(ask(asking, out_of_turn=True)) == ["192.168.1.255", EVERYONE, LOOPBACK_BROADCAST]


def test_a_request_that_leaves_our_networks_is_as_long_as_any_answer(asking):
    near, far = ask(asking, [NEAR, FAR])[3:]
    assert (near.to, far.to) == (NEAR, FAR)
    assert len(near.data) < 64
    assert len(far.data) in range(MAX_DATAGRAM - 1, MAX_DATAGRAM + 1)
    assert nonce_of(near) != nonce_of(far)


def test_we_do_not_ask_ourselves(asking):
    assert len(ask(asking, [("192.168.1.5", PORT)])) == 3
    assert len(ask(asking, [("192.168.1.5", PORT + 1)])) == 4


def test_who_asked_us_is_asked_out_of_turn_as_long_as_it_is_remembered(asking):
    assert asking.is_stranger(FAR, 0.0)
    asking.remember(FAR, 0.0)
    assert not asking.is_stranger(FAR, REMEMBERED - 1)
    assert targets(ask(asking, out_of_turn=True, now=REMEMBERED - 1))[3:] == [FAR[0]]
    assert targets(ask(asking, now=REMEMBERED - 1))[2:] == [LOOPBACK_BROADCAST]
    assert asking.is_stranger(FAR, REMEMBERED)
    assert len(ask(asking, out_of_turn=True, now=REMEMBERED)) == 3


def test_an_existing_program_that_asked_is_asked_in_turn_no_more(asking):
    """Each request that some of them hear has them dial everybody; and broadcast reaches it."""
    asking.remember(NEAR, 0.0, is_parley=False)
    assert not asking.is_stranger(NEAR, 1.0)
    assert NEAR[0] not in targets(ask(asking, out_of_turn=True, now=1.0))
    asking.remember(NEAR, 2.0)
    assert NEAR[0] in targets(ask(asking, out_of_turn=True, now=3.0))


def test_not_everybody_who_asked_is_remembered():
    asking = Asking(PORT, REMEMBERED)
    for number in range(2 * MOST_ASKERS):
        asking.remember((f"198.51.{number // 250}.{number % 250}", PORT), float(number) / 100)
    assert len(asking.askers(0.0)) == MOST_ASKERS


def test_nobody_makes_us_ask_as_often_as_they_like(asking):
    """Each request draws an answer from everybody: a message to an unknown server must not."""
    assert [asking.may_ask_now(0.0) for _ in range(EXTRA_BURST + 5)] == [True] * EXTRA_BURST + [False] * 5
    assert asking.may_ask_now(2.0)
    assert not asking.may_ask_now(2.0)
