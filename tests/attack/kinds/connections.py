"""Connections: silent ones, slow ones, broken ones, too many; and those that come and go without end."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from tests.attack.attack import Attack, Counter, Flood, counted, ended, limited, received, rejected
from tests.attack.frames import EXIT, Messages, client
from tests.attack.links import Link, Place
from tests.attack.places import ALPHA, HOUSES, HTTP_PORT, MESSAGES_PORT, NAMES, many

TOO_SLOW = Counter("chat", "parley_link_closes_total", (("reason", "handshake_timeout"),))
CONNECTED = counted("chat", "parley_connects_total", role="listener", result="connected")
HALF = b"MESSAGE 2000000 " + b"x" * 2_000_000
"""A frame whose end never comes."""
WRONG_END = b"A 2000000 " + b"x" * 2_000_000 + b"?"
NO_FRAMES = (
    b"GET / HTTP/1.1\r\nHost: alpha\r\n\r\n",
    bytes.fromhex("16030100a5010000a10303") + b"\x00" * 40,
    b"\n" * 100,
    b"PING -1 \n",
    b"PING 0 \r\n",
    b"MESSAGE 99999999999 ",
    b"CONNECT_CLIENT 3 \xff\xff\xff\n",
)


class Held(Attack):
    """Connections that are opened, one after another, and held; one that is ended is opened again."""

    place: Place = (ALPHA, MESSAGES_PORT)
    most: int
    """How many are held."""
    rate = 2000.0
    unit = "connections"
    seen = (limited("chat", "connections"), TOO_SLOW)

    def prepare(self) -> None:
        """Nothing is open yet."""
        self._links: deque[Link] = deque()

    def first(self, index: int) -> bytes:  # noqa: ARG002 - for kinds that say something
        """What each says at first."""
        return b""

    def act(self, count: int) -> int:
        """Open as many as are missing. One that cannot be opened is refused."""
        links = self._links
        for _ in range(count):
            if len(links) >= self.most:
                if links[0].is_open:
                    links.rotate(-1)
                    self.taken += 1
                    continue
                links.popleft()
            try:
                index = self.taken
                source = self.sources[index % len(self.sources)]
                links.append(Link(self.poll, self.place, source, self.first(index)))
                self.taken += 1
            except OSError:
                pass
        return count


class Silent(Held):
    """8,000 that say nothing."""

    name = "silent"
    most = 8000


class SilentBeside(Silent):
    """The same, from an honest users' address."""

    name = "silent-beside"
    sources = HOUSES[:1]
    is_beside = True


class SilentEverywhere(Silent):
    """The same, 16 from each of 500 addresses: of no address too many."""

    name = "silent-everywhere"
    sources = tuple(itertools.islice(many(), 500))


class SilentAtTheDoors(Silent):
    """2,000 at the registration's port."""

    name = "silent-registration"
    place = (ALPHA, 9998)
    most = 2000
    seen = (limited("discovery", "connections"), limited("discovery", "proofs"),
            Counter("discovery", TOO_SLOW.name, TOO_SLOW.labels))  # fmt: skip


class Slow(Held):
    """Each says a byte a second."""

    most = 2000
    rate = 2000.0
    unit = "bytes"
    said: bytes

    def prepare(self) -> None:
        """Open them beforehand: what is counted is the bytes."""
        super().prepare()
        self._at: dict[Link, int] = {}

    def act(self, count: int) -> int:
        """One byte for each of so many connections."""
        for _ in range(count):
            link = self._links[0] if len(self._links) >= self.most else None
            if link is None or not link.is_open:
                if link is not None:
                    self._links.popleft()
                    self._at.pop(link, None)
                super().act(1)
                continue
            self._links.rotate(-1)
            at = self._at.get(link, 0)
            if link.write(self.said[at % len(self.said) :][:1]):
                self._at[link] = at + 1
                self.taken += 1
        return count


class SlowFrames(Slow):
    """The CONNECT of a client, a byte a second."""

    name = "slow-frames"
    said = b"CONNECT_CLIENT 200 " + b"\x0a\x12" + b"x" * 200


class SlowHttp(Slow):
    """The head of a request, a byte a second."""

    name = "slow-http"
    place = (ALPHA, HTTP_PORT["chat"])
    said = b"GET /metrics HTTP/1.1\r\nX-Slow: " + b"x" * 1000
    seen = (limited("chat", "connections", "http"), limited("chat", "time", "http"))


class Churn(Attack):
    """A connection, something said, and its end; a few at a time."""

    place: Place = (ALPHA, MESSAGES_PORT)
    unit = "connections"
    rate = 500.0
    waiting = 200
    """How many may be open at a time: what comes beyond is closed first."""

    def prepare(self) -> None:
        """Nothing is open yet."""
        self._links: deque[Link] = deque()
        self._said = itertools.cycle(self.says())

    def says(self) -> Sequence[bytes]:
        """What they say, in turn."""
        raise NotImplementedError

    def act(self, count: int) -> int:
        """Open, say, and close the oldest."""
        for _ in range(count):
            while len(self._links) >= self.waiting:
                self._links.popleft().end()
            source = self.sources[self.taken % len(self.sources)]
            try:
                self._links.append(Link(self.poll, self.place, source, next(self._said)))
                self.taken += 1
            except OSError:
                pass
        return count


class HalfFrames(Churn):
    """Two megabytes of a frame that does not end, and a close."""

    name = "half-frames"
    rate = 40.0
    waiting = 20
    seen = (limited("chat", "bytes"), limited("chat", "memory"), limited("chat", "connections"),
            ended("lost"), rejected("chat", "too_large"))  # fmt: skip

    def says(self) -> Sequence[bytes]:
        """The same."""
        return [HALF]


class WrongEnds(HalfFrames):
    """Two megabytes before any CONNECT, with another byte for the line feed."""

    name = "wrong-ends"
    seen = (*HalfFrames.seen, rejected("chat", "malformed"))

    def says(self) -> Sequence[bytes]:
        """The same."""
        return [WRONG_END]


class Malformed(Churn):
    """What is no frame."""

    name = "malformed"
    rate = 1000.0
    seen = (rejected("chat", "malformed"),)

    def says(self) -> Sequence[bytes]:
        """Of several kinds."""
        return NO_FRAMES


class Coming(Churn):
    """A user comes and goes."""

    name = "come-and-go"
    rate = 500.0
    seen = (CONNECTED, limited("chat", "connections"), limited("chat", "requests"), limited("chat", "frames"))

    def says(self) -> Sequence[bytes]:
        """Hello and goodbye."""
        return [client(f"eve@{NAMES[ALPHA]}") + EXIT]


class Hangups(Churn):
    """HANGUP before anything else, and of reasons that are none."""

    name = "hangups"
    rate = 1000.0
    seen = (ended("exit"), limited("chat", "connections"), limited("chat", "requests"), limited("chat", "frames"))

    def says(self) -> Sequence[bytes]:
        """Several."""
        return [EXIT, b"HANGUP 2 \x08\x63\n", b"HANGUP 0 \n"]


class Connects(Flood):
    """CONNECT_CLIENT again and again on links that are connected."""

    name = "connects"
    rate = 20_000.0
    unit = "frames"
    seen = (rejected("chat", "second_connect"),)

    def hello(self, index: int) -> bytes:
        """A user."""
        return client(f"eve{index}@alpha")

    def block(self) -> bytes:
        """Another user, a hundred times."""
        return client("mallory@alpha") * self.per_block


class ThousandLinks(Attack):
    """1,000 connections of one user, to whom 200 messages a second are written."""

    name = "thousand-links"
    rate = 200.0
    unit = "messages"
    seen = (limited("chat", "connections"), limited("chat", "messages"), limited("chat", "bytes"),
            received("MESSAGE"))  # fmt: skip
    count = 1000

    def prepare(self) -> None:
        """Open them."""
        source = self.sources[0]
        place = (ALPHA, MESSAGES_PORT)
        self._links = []
        for _ in range(self.count):
            self._links.append(Link(self.poll, place, source, client("mallory@alpha")))
            self.poll.turn(0.002)
        self._author = Link(self.poll, place, source, client("eve@alpha"))
        self._messages = Messages("eve@alpha", "mallory@alpha")

    def act(self, count: int) -> int:
        """Write to all of them; open those that were ended."""
        for _ in range(count):
            if self._author.write(self._messages.next()):
                self.taken += 1
            index = random.randrange(len(self._links))
            if not self._links[index].is_open:
                self._again(index)
        if not self._author.is_open:
            self._author = Link(self.poll, (ALPHA, MESSAGES_PORT), self.sources[0], client("eve@alpha"))
        return count

    def _again(self, index: int) -> None:
        with suppress(OSError):
            place = (ALPHA, MESSAGES_PORT)
            self._links[index] = Link(self.poll, place, self.sources[0], client("mallory@alpha"))


class Descriptors(Held):
    """4,000 connected users, where there are descriptors for 1,024."""

    name = "descriptors"
    most = 4000
    rate = 1000.0
    descriptors = 1024
    seen = (limited("chat", "descriptors"), limited("chat", "connections"), CONNECTED)

    def first(self, index: int) -> bytes:
        """Each is somebody, of a hundred."""
        return client(f"eve{index % 100}@alpha")


KINDS = (
    Silent, SilentBeside, SilentEverywhere, SilentAtTheDoors, SlowFrames, SlowHttp, HalfFrames, WrongEnds,
    Malformed, Coming, Hangups, Connects, ThousandLinks, Descriptors,
)  # fmt: skip
