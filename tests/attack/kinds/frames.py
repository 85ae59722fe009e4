"""Frames without end on links that are connected, or are not."""

from __future__ import annotations

import secrets

from parley.shared.wire.framing import encode_frame
from tests.attack.attack import Counter, Flood, limited, received, rejected, told
from tests.attack.frames import PING, Messages, acknowledgement, client
from tests.attack.places import HOUSES

FRAMES = "frames"
TOO_MANY = (limited("chat", "frames"), limited("chat", "time"), limited("chat", "requests"))


class FromClients(Flood):
    """Frames of users who are called eve and a number."""

    unit = FRAMES

    def hello(self, index: int) -> bytes:
        """A user."""
        return client(f"eve{index}@alpha")


class Pings(FromClients):
    """PINGs, whose answers are read."""

    name = "pings"
    rate = 500_000.0
    per_block = 1000
    seen = (limited("chat", "pings"), limited("chat", "frames"), received("PING"))

    def block(self) -> bytes:
        """The same each time."""
        return PING * self.per_block


class PingsBeside(Pings):
    """The same, from an honest users' address."""

    name = "pings-beside"
    sources = HOUSES[:1]
    is_beside = True


class PingsUnread(Pings):
    """The same, whose answers are never read."""

    name = "pings-unread"
    reads = False
    seen = (*Pings.seen, limited("chat", "bytes"), limited("chat", "memory"))


class UnknownNames(FromClients):
    """Names that nobody knows: 13,000 in one write."""

    name = "unknown-names"
    rate = 300_000.0
    per_block = 13_000
    seen = (rejected("chat", "unknown_name"), limited("chat", "frames"))

    def block(self) -> bytes:
        """The same each time."""
        return encode_frame("FOO_BAR") * self.per_block


class UnknownNamesBeside(UnknownNames):
    """The same, from an honest users' address."""

    name = "unknown-names-beside"
    sources = HOUSES[:1]
    is_beside = True


class BeforeConnect(UnknownNames):
    """The same on links that are not connected."""

    name = "before-connect"
    seen = (rejected("chat", "unexpected"), limited("chat", "frames"), limited("chat", "connections"))

    def hello(self, index: int) -> bytes:  # noqa: ARG002 - nobody is the same as anybody
        """None."""
        return b""


class Statuses(FromClients):
    """Forged statuses: DELIVERED, as if for honest users' messages, with numbers as of this moment."""

    name = "forged-statuses"
    rate = 20_000.0
    seen = (rejected("chat", "foreign_user"), rejected("chat", "unexpected"), limited("chat", "frames"),
            limited("chat", "messages", "statuses"), received("MESSAGE_ACK"))  # fmt: skip

    def prepare(self) -> None:
        """Connect; a frame for each author."""
        super().prepare()
        self._count = 0

    def block(self) -> bytes:
        """For several authors and numbers."""
        base = Messages("a@alpha", "b@beta")
        first = next(base._snowflakes)
        blocks = []
        for _ in range(self.per_block):
            self._count += 1
            author = f"alpha{self._count % 10}@alpha"
            blocks.append(acknowledgement(first - secrets.randbelow(1 << 24), author, whose="beta1@beta"))
        return b"".join(blocks)


class ForeignAuthors(FromClients):
    """Messages in honest users' names."""

    name = "foreign-authors"
    rate = 20_000.0
    seen = (rejected("chat", "foreign_user"),)

    def prepare(self) -> None:
        """Connect."""
        super().prepare()
        self._messages = Messages("alpha1@alpha", "beta1@beta", text="999999999 forged")

    def block(self) -> bytes:
        """So many."""
        return self._messages.next(self.per_block)


class Replays(FromClients):
    """One message again and again, and others with its number."""

    name = "replays"
    rate = 10_000.0
    links = 1
    seen = (*TOO_MANY, limited("chat", "messages"), received("MESSAGE"))

    def prepare(self) -> None:
        """eve0 writes to the absent, and to herself."""
        super().prepare()
        texts = [Messages("eve0@alpha", "eve0@alpha", text=f"{n} {'x' * 50}") for n in range(10)]
        number = next(texts[0]._snowflakes)
        self._block = b"".join([each.one(number) for each in texts]) * (self.per_block // 10)

    def block(self) -> bytes:
        """Ten that say different things, ten times."""
        return self._block


class ToNobody(FromClients):
    """Messages to users that are not there."""

    name = "to-nobody"
    rate = 20_000.0
    seen = (told("user_not_found"), *TOO_MANY)

    def prepare(self) -> None:
        """Connect."""
        super().prepare()
        self._messages = [Messages(f"eve{n}@alpha", "nobody-00000000@alpha") for n in range(self.links)]
        self._index = 0

    def block(self) -> bytes:
        """The next link's: `write` takes one after another."""
        self._index = (self._index + 1) % self.links
        return self._messages[self._index].next(self.per_block)


class ToEachOther(ToNobody):
    """Messages to one another: all that a person may do, too often."""

    name = "to-each-other"
    rate = 20_000.0
    seen = (Counter("chat", "parley_messages_total", (("scope", "local"), ("status", "delivered"))), *TOO_MANY,
            told("user_away"))  # fmt: skip

    def prepare(self) -> None:
        """Connect."""
        super().prepare()
        self._messages = [Messages(f"eve{n}@alpha", f"eve{(n + 1) % self.links}@alpha") for n in range(self.links)]


class OddFrames(FromClients):
    """Frames of known names whose payloads are odd: too many, too deep, without an end."""

    name = "odd-frames"
    rate = 20_000.0
    seen = (rejected("chat", "malformed"), rejected("chat", "no_recipient"))

    def block(self) -> bytes:
        """Each ends a link, or is refused."""
        return encode_frame("MESSAGE") * (self.per_block - 1) + encode_frame("MESSAGE", b"\x12\x05\x0a")


class LongNames(FromClients):
    """Users in messages with names of 100 kB."""

    name = "long-names"
    rate = 200.0
    per_block = 1
    seen = (rejected("chat", "no_recipient"), rejected("chat", "foreign_user"), rejected("chat", "malformed"),
            *TOO_MANY, limited("chat", "bytes"), limited("chat", "names"), told("user_not_found"))  # fmt: skip

    def prepare(self) -> None:
        """Connect."""
        super().prepare()
        self._messages = [Messages(f"eve{n}@alpha", "é" * 50_000 + "@alpha") for n in range(self.links)]
        self._index = 0

    def block(self) -> bytes:
        """The next link's."""
        self._index = (self._index + 1) % self.links
        return self._messages[self._index].next()


KINDS = (
    Pings, PingsBeside, PingsUnread, UnknownNames, UnknownNamesBeside, BeforeConnect, Statuses, ForeignAuthors,
    Replays, ToNobody, ToEachOther, OddFrames, LongNames,
)  # fmt: skip
