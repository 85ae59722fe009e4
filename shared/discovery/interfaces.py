"""This machine's IPv4 networks: where a broadcast goes to, and which addresses are ours.

psutil knows the interfaces on every system; the default gateways come from Linux's /proc/net/route.
"""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from parley.shared.discovery.networks import LOOPBACK_BROADCAST, Interface

if TYPE_CHECKING:
    import psutil


def interfaces() -> list[Interface]:
    """Every IPv4 address of an interface that is up."""
    import psutil  # noqa: PLC0415 - 15 ms that importing the library does not take

    try:
        stats = psutil.net_if_stats()
    except OSError:  # it reads /proc/net, which may be hidden; without it every interface counts as up
        stats = {}
    found = []
    for name, addresses in psutil.net_if_addrs().items():
        if name in stats and not stats[name].isup:
            continue
        found += [_interface(name, a) for a in addresses if a.family is socket.AF_INET and a.netmask]
    return found


def _interface(name: str, address: psutil._ntuples.snicaddr) -> Interface:
    network = ipaddress.IPv4Network(f"{address.address}/{address.netmask}", strict=False)
    if network.is_loopback:
        broadcast = LOOPBACK_BROADCAST
    else:
        broadcast = str(network.broadcast_address) if network.prefixlen < 31 and not address.ptp else ""  # noqa: PLR2004 - RFC 3021
    return Interface(name, address.address, network, broadcast)


def network_of(address: str) -> Interface:
    """The interface that an address of ours is on; any loopback address is on the loopback network."""
    ip = ipaddress.IPv4Address(address)
    if ip.is_loopback:
        return Interface("lo", address, ipaddress.IPv4Network("127.0.0.0/8"), LOOPBACK_BROADCAST)
    for interface in interfaces():
        if interface.address == address:
            return interface
    return Interface("", address, ipaddress.IPv4Network(f"{address}/32"), "")


def reachable_networks(bound_address: str) -> list[Interface]:
    """Where a process bound to that address (empty: to all) sends its broadcasts."""
    return [network_of(bound_address)] if bound_address else interfaces()


def gateways(route_table: Path = Path("/proc/net/route")) -> frozenset[str]:
    """The default gateways' addresses; none where the system does not tell."""
    try:
        lines = route_table.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return frozenset()
    routes = [line.split() for line in lines]
    return frozenset(
        str(ipaddress.IPv4Address(int(gateway, 16).to_bytes(4, "little")))
        for _name, destination, gateway, *_ in routes
        if destination == "00000000" and gateway != "00000000"
    )
