"""Typing and live location: datagrams of strangers, and of subscribers who say too much to too many."""

from __future__ import annotations

import itertools
import socket
import time
from contextlib import suppress
from typing import ClassVar

from parley.shared.wire.capabilities import terms
from parley.shared.wire.messages import TYPING_INDICATOR, encode, pb
from tests.attack.attack import Attack, Datagrams, Flood, counted, dropped, limited
from tests.attack.frames import client, user
from tests.attack.links import Link
from tests.attack.places import ALPHA, ATTACKER, LOCATION_PORT, LOCATION_UDP, TYPING_PORT, TYPING_UDP


def typing(name: str) -> bytes:
    """A TYPING_EVENT for everyone."""
    return encode("TYPING_EVENT", pb.TypingEvent(user=user(name), timestamp=time.time()))


def location(name: str, to: str = "") -> bytes:
    """A LIVE_LOCATION."""
    now = time.time()
    here = pb.LiveLocation(author=user(name), timestamp=now, expiry_at=now + 600.0)
    here.user.CopyFrom(user(to or name))
    here.location.CopyFrom(pb.Location(latitude=48.1, longitude=11.5))
    return encode("LIVE_LOCATION", here)


class TypingStrangers(Datagrams):
    """Typing events of nobody's."""

    name = "typing-strangers"
    place = (ALPHA, TYPING_UDP)
    rate = 20_000.0
    unit = "datagrams"
    seen = (dropped("typing", "not_a_subscriber"), limited("typing", "datagrams"))

    def prepare(self) -> None:
        """Bind."""
        super().prepare()
        self._datagram = typing("eve@alpha")

    def datagram(self) -> bytes:
        """The same each time."""
        return self._datagram


class LocationStrangers(TypingStrangers):
    """Locations of nobody's."""

    name = "location-strangers"
    place = (ALPHA, LOCATION_UDP)
    seen = (dropped("location", "not_a_subscriber"), limited("location", "datagrams"))

    def prepare(self) -> None:
        """Bind."""
        super().prepare()
        self._datagram = location("eve@alpha")


class Subscribers(Attack):
    """Many subscribers, each of whom says something often."""

    unit = "datagrams"
    rate = 10_000.0
    count: ClassVar[int] = 200
    link_port: ClassVar[int]
    place: ClassVar[tuple[str, int]]

    def prepare(self) -> None:
        """Each has a link, and a socket for datagrams."""
        self._links, self._socks = [], []
        for number in range(self.count):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            sock.bind((ATTACKER, 0))
            hello = client(f"eve{number}@alpha", sock.getsockname()[1])
            self._links.append(Link(self.poll, (ALPHA, self.link_port), ATTACKER, hello))
            self._socks.append(sock)
            self.poll.turn(0.005)

    def said(self, number: int) -> bytes:
        """What each says."""
        raise NotImplementedError

    def act(self, count: int) -> int:
        """One after another says something; what comes back is thrown away by the kernel."""
        for at in range(self.taken, self.taken + count):
            number = at % self.count
            with suppress(OSError):
                self._socks[number].sendto(self.said(number), self.place)
        self.taken += count
        return count

    def close(self) -> None:
        """Close the sockets, too."""
        super().close()
        for sock in self._socks:
            sock.close()


class TypingSubscribers(Subscribers):
    """All of them type, all the time, for everyone to see."""

    name = "typing-subscribers"
    link_port = TYPING_PORT
    place = (ALPHA, TYPING_UDP)
    seen = (limited("typing", "datagrams"), limited("typing", "requests"), limited("typing", "endpoints"),
            counted("typing", "parley_datagrams_total", direction="received"))  # fmt: skip

    def said(self, number: int) -> bytes:
        """Typing."""
        return typing(f"eve{number}@alpha")


class LocationSubscribers(Subscribers):
    """All of them share places with more and more people."""

    name = "location-subscribers"
    link_port = LOCATION_PORT
    place = (ALPHA, LOCATION_UDP)
    seen = (limited("location", "datagrams"), limited("location", "requests"), limited("location", "endpoints"),
            limited("location", "names"),
            counted("location", "parley_datagrams_total", direction="received"))  # fmt: skip

    def said(self, number: int) -> bytes:
        """A place, for somebody else each time."""
        return location(f"eve{number}@alpha", f"f{self.taken % 100_000}@alpha")


class Visitors(Flood):
    """A server at which all users of the node are said to be, and then not, again and again; all of them type."""

    name = "visitors"
    place = (ALPHA, TYPING_PORT)
    links = 1
    rate = 2000.0
    unit = "frames"
    per_block = 10
    seen = (limited("typing", "visitors"), limited("typing", "requests"), limited("typing", "datagrams"),
            limited("typing", "names"))  # fmt: skip

    def hello(self, index: int) -> bytes:  # noqa: ARG002 - one server
        """As Parley's servers say it that take visitors."""
        hello = pb.ConnectServer(serverId="mallory", features=[TYPING_INDICATOR], instanceId="visits")
        hello.terms.CopyFrom(terms())
        return encode("CONNECT_SERVER", hello)

    def prepare(self) -> None:
        """Link."""
        super().prepare()
        self._numbers = itertools.count(100)

    def block(self) -> bytes:
        """Sixteen come, each says something, and half of them go."""
        frames = []
        for _ in range(self.per_block // 2):
            visitors = pb.Visitors()
            for _ in range(16):
                number = next(self._numbers)
                visitors.here.add(user=user(f"alpha{number % 20}@alpha"), client=number)
                visitors.gone.append(number - 16 * (number % 2))
            said = pb.VisitorDatagrams(clients=[number], datagrams=[typing(f"alpha{number % 20}@alpha")] * 4)
            frames += [encode("VISITORS", visitors), encode("FROM_VISITOR", said)]
        return b"".join(frames)


KINDS = (TypingStrangers, LocationStrangers, TypingSubscribers, LocationSubscribers, Visitors)
