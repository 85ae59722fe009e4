"""Who is on a network of ours."""

import ipaddress

import pytest

from parley.shared.discovery.networks import Interface, Networks

NETWORKS = Networks(
    [
        Interface("eth0", "192.168.1.5", ipaddress.IPv4Network("192.168.1.0/24"), "192.168.1.255"),
        Interface("wg0", "10.8.0.2", ipaddress.IPv4Network("10.8.0.2/32"), ""),
    ]
)


@pytest.mark.parametrize("address", ["192.168.1.1", "192.168.1.255", "192.168.1.5", "10.8.0.2"])
def test_near(address):
    assert NETWORKS.have(address)


@pytest.mark.parametrize("address", ["192.168.2.1", "10.8.0.1", "203.0.113.1", "0.0.0.0", "", "::1", "name"])
def test_beyond(address):
    assert not NETWORKS.have(address)


def test_a_machine_without_a_network_has_nobody_near():
    assert not Networks().have("192.168.1.1")


def test_our_own_addresses_are_known():
    assert NETWORKS.own == {"192.168.1.5", "10.8.0.2"}


def test_a_tunnel_and_loopback_are_no_wire():
    assert [each.is_wire for each in NETWORKS.interfaces] == [True, False]
    loopback = Interface("lo", "127.0.0.1", ipaddress.IPv4Network("127.0.0.0/8"), "127.255.255.255")
    assert not loopback.is_wire
