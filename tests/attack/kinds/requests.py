"""Requests: what is small to ask and large to answer, and names without end."""

from __future__ import annotations

import itertools
from typing import ClassVar

from tests.attack.attack import Attack, Flood, counted, limited, received, rejected
from tests.attack.frames import EXIT, Messages, Numbered, block_request, client, group_request, search_request
from tests.attack.links import Link, Talk
from tests.attack.places import ALPHA, ATTACKER, MESSAGES_PORT, many

CHAT = (ALPHA, MESSAGES_PORT)
ASKED = (limited("chat", "requests"), limited("chat", "bytes"), limited("chat", "time"), limited("chat", "frames"))


class Asking(Flood):
    """Requests of users who are called eve and a number."""

    unit = "requests"
    seen = ASKED
    frame: ClassVar[bytes]

    def hello(self, index: int) -> bytes:
        """A user."""
        return client(f"eve{index}@alpha")

    def block(self) -> bytes:
        """The same each time."""
        return self.frame * self.per_block


class Blocked(Asking):
    """Asking who is blocked: 2,000 are."""

    name = "ask-blocked"
    seen = (*ASKED, received("ASK_BLOCKED_USERS"))
    rate = 3000.0
    per_block = 300
    links = 1
    frame = block_request("ASK_BLOCKED_USERS")
    blocks = 2000

    def prepare(self) -> None:
        """Block them, as slowly as a person's programs may."""
        with Talk(CHAT, ATTACKER, client("eve0@alpha")) as talk:
            talk.wait("CONNECTED")
            for at in range(0, self.blocks, 50):
                talk.send(b"".join([block_request("BLOCK_USER", f"b{at + n}@beta") for n in range(50)]))
                talk.wait("BLOCKED_USERS", 50)
        super().prepare()


class BlockedUnread(Blocked):
    """The same, and the answers are never read."""

    name = "ask-blocked-unread"
    links = 20
    reads = False
    seen = (*Blocked.seen, limited("chat", "memory"))

    def hello(self, index: int) -> bytes:  # noqa: ARG002 - all are the one who blocks
        """Eve, from all her devices."""
        return client("eve0@alpha")


class OneWay(Asking):
    """A name more with each request."""

    rate = 4000.0
    per_block = 50
    seen = (*ASKED, limited("chat", "names"))
    parts: ClassVar[tuple[bytes, ...]]

    def prepare(self) -> None:
        """Connect."""
        super().prepare()
        self._numbered = Numbered(b"".join(self.parts))

    def block(self) -> bytes:
        """Names that nobody used before."""
        return self._numbered.next(self.per_block // len(self.parts))


class Groups(OneWay):
    """Groups joined and left without end."""

    name = "groups"
    seen = (*OneWay.seen, received("JOIN_GROUP"))
    parts = (group_request("JOIN_GROUP", "g00000000@alpha"), group_request("LEAVE_GROUP", "g00000000@alpha"))


class GroupsKept(OneWay):
    """Groups joined without end."""

    name = "groups-kept"
    seen = (*OneWay.seen, received("JOIN_GROUP"))
    parts = (group_request("JOIN_GROUP", "g00000000@alpha"),)


class Blocks(OneWay):
    """Users blocked without end, each answered with all of them."""

    name = "blocks"
    seen = (*OneWay.seen, received("BLOCK_USER"))
    rate = 1000.0
    parts = (block_request("BLOCK_USER", "b00000000@beta"),)


class BlocksAndBack(OneWay):
    """Users blocked and no longer blocked, without end."""

    name = "blocks-and-back"
    seen = (*OneWay.seen, received("BLOCK_USER"))
    parts = (block_request("BLOCK_USER", "b00000000@beta"), block_request("UNBLOCK_USER", "b00000000@beta"))


class ElsewhereGroups(OneWay):
    """Requests for groups of the other server, and of servers that there are not."""

    name = "requests-elsewhere"
    seen = (*OneWay.seen, received("JOIN_GROUP"))
    parts = (group_request("QUERY_GROUP_MEMBERS", "g@beta"), group_request("JOIN_GROUP", "g00000000@s00000000"))


class UnknownServers(Asking):
    """Messages to servers that there are not, another one each time."""

    name = "unknown-servers"
    rate = 4000.0
    unit = "messages"
    seen = (*ASKED, limited("chat", "names"), limited("chat", "messages"), received("MESSAGE"))

    def prepare(self) -> None:
        """Connect."""
        super().prepare()
        self._messages = [Messages(f"eve{n}@alpha", "bob@s00000000") for n in range(self.links)]
        self._index = 0

    def block(self) -> bytes:
        """The next link's."""
        self._index = (self._index + 1) % self.links
        return self._messages[self._index].next(self.per_block)


class Users(Attack):
    """Users without end: each comes once, and goes."""

    name = "users"
    rate = 1000.0
    unit = "users"
    seen = (limited("chat", "names"), limited("chat", "connections"), limited("chat", "requests"),
            counted("chat", "parley_connects_total", role="listener", result="connected"))  # fmt: skip
    ids = "u00000000@alpha"

    def prepare(self) -> None:
        """Nothing."""
        self._hello = Numbered(client(self.ids))

    def act(self, count: int) -> int:
        """Connect and leave; nobody waits for the end."""
        for _ in range(count):
            try:
                Link(self.poll, CHAT, self.sources[self.taken % len(self.sources)], self._hello.next() + EXIT)
                self.taken += 1
            except OSError:
                pass
        return count


class UsersEverywhere(Users):
    """The same, from 500 addresses."""

    name = "users-everywhere"
    sources = tuple(itertools.islice(many(), 500))


class OddNames(Users):
    """The same with names of escapes, of spaces and of other people's looks."""

    name = "odd-names"
    seen = (*Users.seen, rejected("chat", "bad_connect"))

    def prepare(self) -> None:
        """Of several kinds."""
        odd = (
            "\x1b[2J\x1b[1;31m00000000",
            " alpha1 00000000",
            "\u202e1ahpla00000000",
            "a\n00000000",
            "é" * 240 + "00000000",
        )
        self._kinds = itertools.cycle([Numbered(client(f"{name}@alpha")) for name in odd])

    def act(self, count: int) -> int:
        """Of one kind after another."""
        self._hello = next(self._kinds)
        return super().act(count)


class Members(Asking):
    """One of a group of 2,000 asks who is in it."""

    name = "ask-members"
    seen = (*ASKED, received("QUERY_GROUP_MEMBERS"))
    rate = 2000.0
    per_block = 50
    links = 1
    frame = group_request("QUERY_GROUP_MEMBERS", "crowd@alpha")

    def prepare(self) -> None:
        """The crowd joins."""
        gather("crowd@alpha", 2000, "eve0@alpha")
        super().prepare()


class MembersUnread(Members):
    """The same, and the answers are never read."""

    name = "ask-members-unread"
    links = 20
    reads = False
    seen = (*Members.seen, limited("chat", "memory"))

    def hello(self, index: int) -> bytes:  # noqa: ARG002 - all are the one who is a member
        """Eve, from all her devices."""
        return client("eve0@alpha")


class Searches(Asking):
    """500 who are connected search without end for somebody who is not: all names are looked at."""

    name = "searches"
    seen = (*ASKED, received("SEARCH_USERS"))
    rate = 4000.0
    per_block = 20
    links = 500
    frame = search_request("nobody")


class SearchesUnread(Searches):
    """The same for everybody, and the answers are never read."""

    name = "searches-unread"
    reads = False
    seen = (*Searches.seen, limited("chat", "memory"))
    frame = search_request("")


def gather(group: str, count: int, *also: str) -> None:
    """Have so many users of alpha, and these, join a group and go away; each is at an address of its own."""
    addresses = many(67)
    names = [*also, *(f"m{number}@alpha" for number in range(count))]
    for at in range(0, len(names), 50):
        talks = []
        for name in names[at : at + 50]:
            talk = Talk(CHAT, next(addresses), client(name))
            talk.send(group_request("JOIN_GROUP", group))
            talks.append(talk)
        for talk in talks:
            talk.wait("GROUP_MEMBERS")
            talk.close()


KINDS = (
    Blocked, BlockedUnread, Groups, GroupsKept, Blocks, BlocksAndBack, ElsewhereGroups, UnknownServers, Users,
    UsersEverywhere, OddNames, Members, MembersUnread, Searches, SearchesUnread,
)  # fmt: skip
