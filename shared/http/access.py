"""From where the pages of a process may be seen.

What people look at, from this machine and the networks that it is on. What is counted, from this machine, from the
container network where it is in a container, and from the addresses that are configured: it tells more than people
need. Where a token is asked for (tokens.py), from this machine's loopback, and by who shows it.

The name under which a page is asked for counts, too: a web site that has its own name point to this machine would
else have a browser here read our pages for it (DNS rebinding). A name that nobody could register is ours.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from parley.shared.discovery.interfaces import interfaces
from parley.shared.http.tokens import Refusal, TokenCheck

METRICS: Final = "/metrics"
ALIVE: Final = "/healthz"
"""It tells everybody that the process answers, and nothing else."""
READY: Final = "/readyz"
"""It tells yes or no, to anybody, unless a token is asked for."""
LOOKED_AT_FOR: Final = 10.0
"""Seconds for which this machine's networks are remembered."""
_IN_A_CONTAINER: Final = (Path("/.dockerenv"), Path("/run/.containerenv"))
_UNREGISTERED: Final = frozenset({"local", "localhost", "lan", "home", "internal", "intranet", "corp", "arpa"})
"""Last labels that no registry sells: names of networks like ours (RFC 6762, appendix G; RFC 8375)."""
_MISDIRECTED: Final = Refusal(421, "host", "this node is not known by that name: see http.hosts")
_FOREIGN: Final = Refusal(403, "address", "not from this address: see limits.metrics_from")

_PORT: Final = re.compile(r":[0-9]*$")

Network = ipaddress.IPv4Network


class Access:
    """Which page an address may see.

    `metrics_from`: networks that may see what is counted. `tokens`: who is not on loopback has to show the token,
    and the networks do not matter. `hosts`: this machine's names in the public DNS.
    """

    def __init__(
        self,
        metrics_from: Iterable[str] = (),
        tokens: TokenCheck | None = None,
        *,
        hosts: Iterable[str] = (),
        in_container: bool | None = None,
    ) -> None:
        self._metrics_from = tuple(ipaddress.IPv4Network(text, strict=False) for text in metrics_from)
        self._tokens = tokens
        self._hosts = frozenset(name.lower().rstrip(".") for name in (*hosts, socket.gethostname()))
        self._in_container = any(map(Path.exists, _IN_A_CONTAINER)) if in_container is None else in_container
        self._networks: tuple[Network, ...] = ()
        self._looked_at = float("-inf")

    def judge(self, path: str, asker: str, authorization: bytes = b"", host: bytes = b"") -> Refusal | None:
        """Why that address may not see that page; None: it may. A side without an address is this machine's.

        `host`: the header of that name; empty: there is none, and so it was no browser.
        """
        if path == ALIVE or not asker:
            return None
        if not self._is_known_as(host.decode("latin-1").strip().lower()):
            return _MISDIRECTED
        address = ipaddress.IPv4Address(asker)
        if address.is_loopback:
            return None
        if self._tokens is not None:
            return self._tokens.judge(asker, authorization)
        return None if path == READY or self._is_near(path, address) else _FOREIGN

    def _is_known_as(self, host: str) -> bool:
        """Whether a host (a port may follow) is an address, a name that nobody could register, or one of ours."""
        name = _PORT.sub("", host).rstrip(".")
        last = name.rpartition(".")[2]
        return "." not in name or last.isdigit() or last in _UNREGISTERED or name in self._hosts

    def _is_near(self, path: str, address: ipaddress.IPv4Address) -> bool:
        if any(address in network for network in self._metrics_from):
            return True
        return (path != METRICS or self._in_container) and any(address in each for each in self._own_networks())

    def _own_networks(self) -> tuple[Network, ...]:
        now = time.monotonic()
        if now - self._looked_at > LOOKED_AT_FOR:
            self._networks, self._looked_at = tuple(each.network for each in interfaces()), now
        return self._networks
