"""Addresses of configured HOST[:PORT], looked up beside everything else and kept: a dead name server delays nobody.

Each name is looked up on a thread of its own, one look-up of it at a time. The threads end with the process,
whatever they wait for: the loop's own pool would be waited for, and a resolver may take half a minute. What was
found once is used until something else is found. A look-up that took long is repeated the more seldom.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from parley.shared.addresses import SocketAddress
from parley.shared.config import split_host_port

AGAIN: Final = 5.0
"""Seconds from a look-up to the next."""
PAUSE_FACTOR: Final = 10.0
"""… and at least so many times as long as the last one took, up to SELDOM."""
SELDOM: Final = 60.0


@dataclass(slots=True)
class _Name:
    host: str
    port: int
    addresses: tuple[str, ...] = ()
    error: str = ""
    running: bool = False
    due: float = 0.0


class Lookups:
    """The addresses of the names among `texts` (HOST[:PORT]). `found(addresses)` is told of new ones."""

    def __init__(
        self,
        texts: Iterable[str],
        default_port: int,
        found: Callable[[Sequence[SocketAddress]], None] = lambda _new: None,
    ) -> None:
        self._names = [_Name(*split_host_port(place, default_port)) for place in texts]
        self._found = found
        self._is_closed = False
        for name in self._names:
            if _is_address(name.host):
                name.addresses = (name.host,)

    @property
    def addresses(self) -> list[SocketAddress]:
        """All that are known now."""
        return list(dict.fromkeys((host, name.port) for name in self._names for host in name.addresses))

    @property
    def hosts(self) -> frozenset[str]:
        """The same without ports."""
        return frozenset(host for name in self._names for host in name.addresses)

    @property
    def errors(self) -> dict[str, str]:
        """Each name that stands for nothing → why."""
        return {name.host: name.error for name in self._names if name.error and not name.addresses}

    def refresh(self) -> None:
        """Begin the look-ups that are due."""
        loop = asyncio.get_running_loop()
        for name in self._names:
            if not _is_address(name.host) and not name.running and loop.time() >= name.due:
                name.running = True
                threading.Thread(target=self._look_up, args=(loop, name), name="lookup", daemon=True).start()

    def close(self) -> None:
        """Hear of no more."""
        self._is_closed = True

    def _look_up(self, loop: asyncio.AbstractEventLoop, name: _Name) -> None:
        """On a thread of its own."""
        began = loop.time()
        found: tuple[str, ...] = ()
        error = ""
        try:
            answers = socket.getaddrinfo(name.host, name.port, family=socket.AF_INET, type=socket.SOCK_DGRAM)
            found = tuple(dict.fromkeys(str(address[0]) for *_, address in answers))
        except (
            OSError,
            UnicodeError,
        ) as fault:  # UnicodeError: a label of more than 63 characters, or an empty one
            error = str(fault) or type(fault).__name__
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self._looked_up, name, found, error, loop.time() - began)

    def _looked_up(self, name: _Name, found: tuple[str, ...], error: str, took: float) -> None:
        if self._is_closed:
            return
        name.running = False
        name.due = asyncio.get_running_loop().time() + max(AGAIN, min(SELDOM, PAUSE_FACTOR * took))
        name.error = error
        new = [(host, name.port) for host in found if host not in name.addresses]
        name.addresses = found or name.addresses
        if new:
            self._found(new)


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
