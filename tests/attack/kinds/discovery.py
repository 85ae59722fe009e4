"""Discovery and the registration: fake announcements, requests without end, and who claims to be this node."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import socket
from contextlib import suppress

from parley.shared.wire.framing import encode_frame
from tests.attack.attack import Attack, Datagrams, Flood, counted, dropped, ended, limited, rejected
from tests.attack.frames import Numbered, announcement, server
from tests.attack.kinds.connections import Churn
from tests.attack.places import (
    ALPHA,
    ATTACKER,
    DISCOVERY_UDP,
    HTTP_PORT,
    MESSAGES_PORT,
    NAMES,
    REGISTRATION_PORT,
    THIRD,
    many,
)  # fmt: skip

REQUEST = encode_frame("DISCOVER_SERVER")
DISCOVERY = (ALPHA, DISCOVERY_UDP)
REGISTRATION = (ALPHA, REGISTRATION_PORT)
HEARD = (
    counted("discovery", "parley_announcements_total", direction="received"),
    limited("discovery", "names"), limited("discovery", "endpoints"), limited("discovery", "datagrams"),
    limited("chat", "connections"), limited("chat", "names"), limited("chat", "endpoints"),
)  # fmt: skip
MOST_DIALS = 100
"""Connections that a third machine may get in a run; 928 in five seconds were seen."""


class Names(Datagrams):
    """Announcements of servers that there are not, another one each time."""

    name = "announced-names"
    place = DISCOVERY
    rate = 1000.0
    unit = "datagrams"
    seen = HEARD

    def prepare(self) -> None:
        """Bind."""
        super().prepare()
        self._numbered = Numbered(announcement("s00000000"))

    def datagram(self) -> bytes:
        """The next name."""
        return self._numbered.next()


class NamesEverywhere(Names):
    """The same, from 200 addresses."""

    name = "announced-names-everywhere"
    sources = tuple(itertools.islice(many(), 200))


class Ports(Datagrams):
    """One server that is announced at another port each time."""

    name = "announced-ports"
    place = DISCOVERY
    rate = 1000.0
    unit = "datagrams"
    seen = HEARD

    def prepare(self) -> None:
        """Bind."""
        super().prepare()
        self._ports = itertools.cycle(range(20_000, 60_000))

    def datagram(self) -> bytes:
        """The next port."""
        return announcement("zeta", next(self._ports))


class ThirdMachine(Names):
    """Names without end, as if a third machine had announced them: it is dialled for nothing."""

    name = "announced-third-machine"
    sources = (THIRD,)
    rate = 200.0

    def prepare(self) -> None:
        """The third machine counts who dials."""
        super().prepare()
        self._dialled = 0
        self._listener = socket.create_server((THIRD, MESSAGES_PORT), backlog=1024)
        self._listener.setblocking(False)

    def act(self, count: int) -> int:
        """Announce, and have the third machine take what comes."""
        with suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()
                self._dialled += 1
        return super().act(count)

    def faults(self) -> list[str]:
        """Whether the third machine was dialled too often."""
        return [f"a third machine got {self._dialled} connections"] if self._dialled > MOST_DIALS else []

    def close(self) -> None:
        """Close the third machine's listener, too."""
        super().close()
        self._listener.close()


class Requests(Datagrams):
    """DISCOVER_SERVER without end, as a client asks."""

    name = "discover-requests"
    place = DISCOVERY
    rate = 20_000.0
    unit = "datagrams"
    seen = (limited("discovery", "datagrams"), limited("discovery", "requests"),
            counted("discovery", "parley_discovery_requests_total", direction="received"))  # fmt: skip

    def datagram(self) -> bytes:
        """The same each time."""
        return REQUEST


class Spoofed(Requests):
    """The same from 4,000 addresses, as a server asks: each is asked back."""

    name = "discover-spoofed"
    port = DISCOVERY_UDP
    rate = 10_000.0
    sources = tuple(itertools.islice(many(69), 4000))


class Garbage(Datagrams):
    """What is no frame."""

    name = "garbage-datagrams"
    place = DISCOVERY
    rate = 20_000.0
    unit = "datagrams"
    seen = (dropped("discovery", "malformed"), limited("discovery", "datagrams"))

    def datagram(self) -> bytes:
        """Of several kinds."""
        return random.choice((b"\x00" * 1000, b"SERVER_ANNOUNCE 5 \xff\xff\xff\xff\xff\n", b"PING 0 \n", b"A"))


class Registrations(Flood):
    """CONNECT_SERVER at the registration, as another node, and as a process of this one."""

    name = "registrations"
    place = REGISTRATION
    rate = 5000.0
    unit = "frames"
    per_block = 50
    seen = (rejected("discovery", "bad_connect"), limited("discovery", "proofs"), limited("discovery", "frames"),
            limited("discovery", "requests"), limited("discovery", "connections"))  # fmt: skip

    def hello(self, index: int) -> bytes:  # noqa: ARG002 - the flood says it
        """None."""
        return b""

    def block(self) -> bytes:
        """Several in one write."""
        return (server("omega") + server(NAMES[ALPHA], "TRANSLATION")) * (self.per_block // 2)


def instance_of(service: str) -> str:
    """The instance that a process of alpha says it is, to anybody."""
    connection = http.client.HTTPConnection(ALPHA, HTTP_PORT[service], timeout=5.0)
    try:
        connection.request("GET", "/status")
        return str(json.loads(connection.getresponse().read())["instance_id"])
    finally:
        connection.close()


class SameInstance(Churn):
    """Registers as the chat process that there is, again and again."""

    name = "same-instance"
    place = REGISTRATION
    rate = 20.0
    waiting = 10
    seen = (rejected("discovery", "no_proof"), rejected("discovery", "bad_connect"), limited("discovery", "proofs"))

    def says(self) -> list[bytes]:
        """What the process says, but for what nobody knows."""
        return [server(NAMES[ALPHA], "MESSAGES", instance_of("chat"), MESSAGES_PORT)]


class SamePlace(SameInstance):
    """Registers at the chat process's place, as another instance: as one that took a dead one's place."""

    name = "same-place"
    seen = (*SameInstance.seen, counted("discovery", "parley_connects_total", role="listener",
            result="is_already_connected_error"))  # fmt: skip

    def says(self) -> list[bytes]:
        """Each is another instance."""
        return [server(NAMES[ALPHA], "MESSAGES", "", MESSAGES_PORT) for _ in range(50)]


class Neighbours(Attack):
    """What comes next to it: the ports of all processes, dialled and left."""

    name = "dial-everything"
    rate = 1000.0
    unit = "connections"
    seen = (ended("lost"), limited("chat", "connections"))
    ports = (MESSAGES_PORT, 7777, 8888, REGISTRATION_PORT, *HTTP_PORT.values())

    def act(self, count: int) -> int:
        """Connect and close at once."""
        for _ in range(count):
            with socket.socket() as sock:
                sock.setblocking(False)
                with suppress(OSError):
                    sock.bind((ATTACKER, 0))
                    sock.connect((ALPHA, self.ports[self.taken % len(self.ports)]))
            self.taken += 1
        return count


KINDS = (
    Names, NamesEverywhere, Ports, ThirdMachine, Requests, Spoofed, Garbage, Registrations, SameInstance, SamePlace,
    Neighbours,
)  # fmt: skip
