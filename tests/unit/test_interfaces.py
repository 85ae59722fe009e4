"""This machine's networks, as the system tells them."""

import ipaddress
import socket
from typing import NamedTuple

import psutil
import pytest

from parley.shared.discovery.interfaces import (
    LOOPBACK_BROADCAST,
    Interface,
    gateways,
    interfaces,
    network_of,
    reachable_networks,
)

# As Linux writes it on little-endian machines: a container's, with a second default route and a tunnel
# that is a default route without a gateway.
ROUTES = """\
Iface Destination Gateway  Flags RefCnt Use Metric Mask     MTU Window IRTT
eth0  00000000    010011AC 0003  0      0   0      00000000 0   0      0
eth0  000011AC    00000000 0001  0      0   0      0000FFFF 0   0      0
wlan0 00000000    0101A8C0 0003  0      0   600    00000000 0   0      0
tun0  00000000    00000000 0001  0      0   50     00000000 0   0      0
eth0  0000000A    FE0011AC 0003  0      0   0      000000FF 0   0      0
"""


def as_linux_writes(table):
    """Tabs between the columns, and each line filled up with blanks."""
    return "".join("\t".join(line.split()).ljust(127) + "\n" for line in table.splitlines())


@pytest.fixture
def route_table(tmp_path):
    path = tmp_path / "route"
    path.write_text(as_linux_writes(ROUTES), encoding="ascii")
    return path


def test_gateways_are_those_of_the_default_routes(route_table):
    assert gateways(route_table) == {"172.17.0.1", "192.168.1.1"}


def test_a_machine_without_routes_has_no_gateway(tmp_path):
    path = tmp_path / "route"
    path.write_text(as_linux_writes(ROUTES.splitlines()[0]), encoding="ascii")
    assert gateways(path) == frozenset()


def test_a_system_without_that_file_tells_no_gateway(tmp_path):
    assert gateways(tmp_path / "absent") == frozenset()


class Address(NamedTuple):
    """As psutil gives it."""

    family: int
    address: str
    netmask: str | None
    broadcast: str | None = None
    ptp: str | None = None


class Stats(NamedTuple):
    isup: bool


@pytest.fixture
def machine(monkeypatch):
    """A machine with every kind of interface."""
    v4, v6 = socket.AF_INET, socket.AF_INET6
    addresses = {
        "lo": [Address(v4, "127.0.0.1", "255.0.0.0"), Address(v6, "::1", "ffff::")],
        "eth0": [Address(v4, "192.0.2.10", "255.255.255.0"), Address(v4, "198.51.100.129", "255.255.255.128")],
        "tun0": [Address(v4, "10.8.0.2", "255.255.255.255", ptp="10.8.0.1")],
        "ppp0": [Address(v4, "10.9.0.2", "255.255.255.0", ptp="10.9.0.1")],
        "p2p": [Address(v4, "203.0.113.0", "255.255.255.254")],
        "off0": [Address(v4, "203.0.113.9", "255.255.255.0")],
        "odd0": [Address(v4, "203.0.113.77", None), Address(v6, "fe80::1", "ffff::")],
    }
    stats = {name: Stats(isup=name != "off0") for name in addresses if name != "eth0"}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: addresses)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: stats)


@pytest.mark.usefixtures("machine")
def test_each_address_of_an_interface_that_is_up_has_its_own_broadcast_address():
    assert {(i.name, i.address): i.broadcast for i in interfaces()} == {
        ("lo", "127.0.0.1"): LOOPBACK_BROADCAST,
        ("eth0", "192.0.2.10"): "192.0.2.255",
        ("eth0", "198.51.100.129"): "198.51.100.255",
        ("tun0", "10.8.0.2"): "",
        ("ppp0", "10.9.0.2"): "",
        ("p2p", "203.0.113.0"): "",
    }


@pytest.mark.usefixtures("machine")
def test_a_process_bound_to_one_address_reaches_that_network_only():
    assert [(i.name, i.broadcast) for i in reachable_networks("192.0.2.10")] == [("eth0", "192.0.2.255")]
    assert len(reachable_networks("")) == 6


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "127.200.3.4"])
def test_any_loopback_address_broadcasts_on_loopback_only(address):
    (interface,) = reachable_networks(address)
    assert interface == Interface("lo", address, ipaddress.IPv4Network("127.0.0.0/8"), "127.255.255.255")


@pytest.mark.usefixtures("machine")
def test_an_address_that_is_not_ours_broadcasts_nowhere():
    assert network_of("192.0.2.77").broadcast == ""


def test_this_machine_has_a_loopback_interface():
    assert LOOPBACK_BROADCAST in {i.broadcast for i in interfaces()}


def test_without_proc_net_every_interface_counts_as_up(monkeypatch):
    def hidden():
        raise FileNotFoundError("/proc/net/dev")

    monkeypatch.setattr(psutil, "net_if_stats", hidden)
    assert "127.0.0.1" in [interface.address for interface in interfaces()]
