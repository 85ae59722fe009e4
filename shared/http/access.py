"""From where the pages of a process may be seen.

What people look at, from this machine and the networks that it is on. What is counted, from this machine, from the
container network where it is in a container, and from the addresses that are configured: it tells more than people
need.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from parley.shared.discovery.interfaces import interfaces

METRICS: Final = "/metrics"
HEALTH: Final = frozenset({"/healthz", "/readyz"})
"""These tell yes or no, to anybody."""
LOOKED_AT_FOR: Final = 10.0
"""Seconds for which this machine's networks are remembered."""
_IN_A_CONTAINER: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))

Network = ipaddress.IPv4Network


class Access:
    """Which page an address may see. `metrics_from`: networks that may see what is counted."""

    def __init__(self, metrics_from: Iterable[str] = (), *, in_container: bool | None = None) -> None:
        self._metrics_from = tuple(ipaddress.IPv4Network(text, strict=False) for text in metrics_from)
        self._in_container = any(map(Path.exists, _IN_A_CONTAINER)) if in_container is None else in_container
        self._networks: tuple[Network, ...] = ()
        self._looked_at = float("-inf")

    def may_see(self, path: str, asker: str) -> bool:
        """Whether that address may see that page; a side without an address is this machine's."""
        if path in HEALTH or not asker:
            return True
        address = ipaddress.IPv4Address(asker)
        if address.is_loopback or any(address in network for network in self._metrics_from):
            return True
        return (path != METRICS or self._in_container) and any(address in each for each in self._own_networks())

    def _own_networks(self) -> tuple[Network, ...]:
        now = time.monotonic()
        if now - self._looked_at > LOOKED_AT_FOR:
            self._networks, self._looked_at = tuple(each.network for each in interfaces()), now
        return self._networks
