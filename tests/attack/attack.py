"""What an attack is: a name, a rate, where it is to be seen, and what it does a number of times."""

from __future__ import annotations

import socket
from collections import Counter as Count
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final

from tests.attack.links import Crowd, Place, Poll
from tests.attack.places import ALPHA, ATTACKER, MESSAGES_PORT


@dataclass(frozen=True)
class Counter:
    """A counter of a process of the attacked node, which an attack must move; of more labels the sum counts."""

    service: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()
    share: float = 0.0
    """Others move it, too: it must grow by this part of what the attack does."""

    def __str__(self) -> str:
        labels = ",".join(f"{key}={value}" for key, value in self.labels)
        return f"{self.service}: {self.name}{{{labels}}}"


def limited(service: str, what: str, where: str = "") -> Counter:
    """What a limit stopped."""
    labels = (("what", what), *((("where", where),) if where else ()))
    return Counter(service, "parley_limited_total", labels)


def rejected(service: str, reason: str) -> Counter:
    """Frames that were refused."""
    return Counter(service, "parley_frames_rejected_total", (("reason", reason),))


def dropped(service: str, reason: str) -> Counter:
    """Datagrams that were not taken."""
    return Counter(service, "parley_datagrams_dropped_total", (("reason", reason),))


def told(status: str) -> Counter:
    """Statuses that authors were given."""
    return Counter("chat", "parley_messages_total", (("status", status),))


def counted(service: str, name: str, /, **labels: str) -> Counter:
    """What anybody does, counted: an attack is seen in it where it is a good part of that."""
    return Counter(service, name, tuple(labels.items()), share=0.1)


def received(name: str, service: str = "chat") -> Counter:
    """Frames of that name."""
    return counted(service, "parley_frames_total", direction="received", name=name)


def ended(reason: str, service: str = "chat") -> Counter:
    """Links that ended for that reason."""
    return counted(service, "parley_link_closes_total", role="listener", reason=reason)


class Attack:
    """One attack, in the attacker's process. Subclasses say what it is; `act` does it."""

    name: ClassVar[str]
    rate: ClassVar[float]
    """How often it does it, per second."""
    unit: ClassVar[str]
    """What it does so often."""
    seen: ClassVar[Sequence[Counter]]
    """One of these must grow while it goes on."""
    sources: Sequence[str] = (ATTACKER,)
    """Where it comes from."""
    is_beside: ClassVar[bool] = False
    """Whether it comes from an honest users' address."""
    settings: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """The attacked node's, where the default would take too long to reach."""
    descriptors: ClassVar[int] = 0
    """How many the attacked node's processes may have; 0: as many as the system gives."""
    per_block: ClassVar[int] = 1
    """How often it does it in one step, at least."""

    data: Path
    """The attacked node's data directory: what `furnish` put there for the attacker."""

    def __init__(self) -> None:
        self.poll = Poll()
        self.taken = 0
        """How often the node, or its kernel, took it; the rest it held back."""
        self.answers: Count[str] = Count()
        """What the node answered, in a word, and how often: for the report."""

    @classmethod
    def furnish(cls, data: Path) -> None:
        """Put into the attacked node's data directory what it is to know before it starts."""

    def prepare(self) -> None:
        """Make what it needs, before anything is measured."""

    def act(self, count: int) -> int:
        """Do it so often, or less where it goes by larger steps; return how often."""
        raise NotImplementedError

    def faults(self) -> list[str]:
        """What the attacker itself saw that must not be."""
        return []

    def close(self) -> None:
        """Close all there is."""
        self.poll.close()


class Flood(Attack):
    """Blocks of frames over several links."""

    place: Place = (ALPHA, MESSAGES_PORT)
    links: ClassVar[int] = 20
    per_block: ClassVar[int] = 100
    reads: ClassVar[bool] = True

    def hello(self, index: int) -> bytes:
        """What each link begins with."""
        raise NotImplementedError

    def block(self) -> bytes:
        """The next `per_block` frames."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Connect."""
        self.crowd = Crowd(self.poll, self.place, self.sources, self.hello, count=self.links, reads=self.reads)
        self.crowd.dial()

    def act(self, count: int) -> int:
        """Whole blocks: one that is due in part is written whole, and makes up for it by the pause behind it.

        One that nobody takes counts as offered: the node reads more slowly, or hung up.
        """
        blocks = -(-count // self.per_block)
        for _ in range(blocks):
            if self.crowd.write(self.block()):
                self.taken += self.per_block
        return blocks * self.per_block


class Datagrams(Attack):
    """Datagrams from one socket for each source."""

    place: Place
    port: ClassVar[int] = 0
    """Where they come from; 0: anywhere."""

    def prepare(self) -> None:
        """Bind."""
        self._socks = [self._bound(source) for source in self.sources]

    def _bound(self, source: str) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((source, self.port))
        return sock

    def datagram(self) -> bytes:
        """The next one."""
        raise NotImplementedError

    def act(self, count: int) -> int:
        """Send them, from one source after another."""
        socks, place, datagram = self._socks, self.place, self.datagram
        for index in range(count):
            with suppress(OSError):
                socks[(self.taken + index) % len(socks)].sendto(datagram(), place)
        self.taken += count
        return count

    def close(self) -> None:
        """Close all there is."""
        super().close()
        for sock in self._socks:
            sock.close()


Make: Final = Callable[[], Attack]
