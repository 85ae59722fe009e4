"""Questions about history without end, and edits, receipts and changes of groups by somebody who may not."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from collections import Counter as Count
from types import MappingProxyType
from typing import ClassVar, Final

from parley.services.chat.archive.requests import OF_USER
from parley.services.chat.groups.asks import Reason
from parley.shared.trust.authors import content_digest
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.messages import decode, encode, pb
from tests.attack.attack import Counter, limited, received, rejected, told
from tests.attack.frames import client, group_request, user
from tests.attack.kinds.hostile_servers import Hostile, forged, numbers, written
from tests.attack.kinds.requests import CHAT, Asking
from tests.attack.kinds.user_names import HONEST
from tests.attack.links import PATIENCE, Talk
from tests.attack.people import ONCE
from tests.attack.places import ATTACKER, THIRD
from tests.attack.visits import EVE, MALLORY, STRANGER

LINES: Final = 1000
"""Lines that the attacker has in a list, so that there is something to look through."""
OTHER: Final = "adam@alpha"
"""To whom it wrote them."""
SPOKEN: Final = 20
"""Messages of others that are to stay."""
MOST: Final = (1 << 32) - 1
"""The greatest limit that can be asked for."""
PAUSE: Final = 0.1
"""Seconds between somebody's questions beside an attack."""
KEEPS: Final = MappingProxyType({"PARLEY_HISTORY__KEEP": "30"})
"""Of the attacked node: it keeps its users' history for so many days."""
BUSY: Final = limited("chat", "requests", "archive")
"""Questions that were not taken: four of a user wait, and 64 of all."""


def nothing_done(where: str, why: str) -> Counter:
    """Edits that changed nothing."""
    return Counter("chat", "parley_edits_without_effect_total", (("where", where), ("why", why)))


def fill(author: str, to: str) -> None:
    """Have an author write LINES texts to somebody who is away, and wait until they are in their list."""
    first = numbers()
    with Talk(CHAT, ATTACKER, client(to)) as talk:
        talk.wait("CONNECTED")
    with Talk(CHAT, ATTACKER, client(author)) as talk:
        talk.wait("CONNECTED")
        for number in itertools.islice(first, LINES):
            talk.send(encode("MESSAGE", written(author, to, f"filling {number} abcdef", number)))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            talk.send(encode("HISTORY", pb.QueryHistory(user=user(to), limit=1)))
            answer = decode(talk.wait("HISTORY_RESP"), pb.HistoryAnswer)
            if any(line.sequence >= LINES for line in answer.lines):
                return
    raise TimeoutError("the attacker's list was not filled")


# Questions ---------------------------------------------------------------------------------------------


class Sync(Asking):
    """One client that asks for all of its history, from the beginning, again and again; 1,000 lines are there."""

    name = "history-sync"
    settings = KEEPS
    rate = 3000.0
    links = 1
    per_block = 50
    seen = (BUSY,)
    frame: ClassVar[bytes] = encode("SYNC", pb.QuerySync(handle=7, limit=MOST, follow=True))

    def prepare(self) -> None:
        """Have something to ask for."""
        fill("eve0@alpha", OTHER)
        super().prepare()


class SyncUnread(Sync):
    """The same from all devices of one user, and the answers are never read."""

    name = "history-sync-unread"
    links = 20
    reads = False
    seen = (BUSY, limited("chat", "memory"))

    def hello(self, index: int) -> bytes:  # noqa: ARG002 - all are the one who wrote
        """Eve, from all her devices."""
        return client("eve0@alpha")


class OddCursors(Sync):
    """One client that asks with cursors that it made up."""

    name = "history-odd-cursors"

    def block(self) -> bytes:
        """Each is another: of the length of one, shorter and longer."""
        cursors = [secrets.token_bytes(size) for size in (44, 44, 44, 1, 64)] * (self.per_block // 5)
        return b"".join([encode("SYNC", pb.QuerySync(handle=7, cursor=each, limit=MOST)) for each in cursors])


class Pages(Sync):
    """One client that asks for pages of its history, from odd ends, and for its conversations."""

    name = "history-pages"
    frame = b"".join([
        encode("HISTORY", pb.QueryHistory(handle=7, user=user(OTHER), limit=MOST)),
        encode("HISTORY", pb.QueryHistory(handle=7, user=user(OTHER), limit=MOST, before=(1 << 64) - 1)),
        encode("HISTORY", pb.QueryHistory(handle=7, user=user(OTHER), limit=MOST, after=(1 << 64) - 1)),
        encode("HISTORY", pb.QueryHistory(handle=7, user=user(OTHER), after=0, since=float("nan"))),
        encode("CONVERSATIONS", pb.QueryConversations(handle=7, limit=MOST)),
    ])  # fmt: skip

    def block(self) -> bytes:
        """All of them, again and again."""
        return self.frame * (self.per_block // 5)


class SearchHistory(Sync):
    """Twenty users who search their histories for words that begin with each of many letters."""

    name = "history-searches"
    links = 20
    frame = encode("SEARCH_HISTORY", pb.QueryText(handle=7, query="a* f* 7* 75*", limit=MOST))


class HistoryPlaces(SearchHistory):
    """Sixteen users of one address who take all places for questions, while somebody at another one asks, too."""

    name = "history-places"
    rate = 4000.0
    links = 16
    per_block = OF_USER
    asker = "asker@alpha"

    def prepare(self) -> None:
        """Each has much to look through; somebody else asks, from when the attack begins."""
        for index in range(1, self.links):
            fill(f"eve{index}@alpha", OTHER)
        super().prepare()
        self._told: Count[int] = Count()
        self._honest = threading.Thread(target=self._ask, daemon=True)
        self._is_over = threading.Event()

    def act(self, count: int) -> int:
        """The first time it begins."""
        if not self._honest.ident:
            self._honest.start()
        return super().act(count)

    def _ask(self) -> None:
        """Ask for a page, read the answer, and ask again a moment later."""
        with Talk(CHAT, THIRD, client(self.asker)) as talk:
            talk.wait("CONNECTED")
            while not self._is_over.wait(PAUSE):
                talk.send(encode("HISTORY", pb.QueryHistory(handle=7, user=user(OTHER), limit=50)))
                self._told[decode(talk.wait("HISTORY_RESP"), pb.HistoryAnswer).result] += 1

    def faults(self) -> list[str]:
        """Whether the other one had to do without an answer."""
        self._is_over.set()
        self._honest.join(PATIENCE)
        told = {pb.HistoryAnswer.Result.Name(result): count for result, count in self._told.items()}
        return [] if set(told) == {"SUCCESS"} else [f"who asks from another address is told {told}"]


class ClearHistory(Sync):
    """One client that clears its history, and says that it has read it, again and again."""

    name = "history-clear"
    frame = encode("CLEAR_HISTORY", pb.ClearHistory(handle=7)) + encode(
        "READ_RECEIPT", pb.ReadReceipt(user=user(OTHER), sequence=1 << 40)
    )

    def block(self) -> bytes:
        """Both."""
        return self.frame * (self.per_block // 2)


class HistoryFlood(Asking):
    """Twenty users who write large texts without end, at a server that keeps little; two others spoke before."""

    name = "history-flood"
    unit = "messages"
    settings = MappingProxyType({**KEEPS, "PARLEY_HISTORY__BYTES": str(8 << 20)})
    rate = 400.0
    per_block = 20
    seen = (Counter("chat", "parley_archive_not_kept_total", (("whose", "author"),)),)
    speaker, listener = "speaker@alpha", "listener@alpha"

    def prepare(self) -> None:
        """Have them speak."""
        self._numbers = numbers()
        self._said: list[str] = []
        for name in (self.listener, *(f"away{index}@alpha" for index in range(self.links))):
            with Talk(CHAT, THIRD, client(name)) as talk:
                talk.wait("CONNECTED")
        self._speak(*(f"before it {number}" for number in range(SPOKEN)))
        super().prepare()

    def block(self) -> bytes:
        """Texts of the link that is next, to somebody who is away."""
        index = (self.crowd._next + 1) % self.links
        to, text = f"away{index}@alpha", secrets.token_hex(2000)
        texts = (written(f"eve{index}@alpha", to, text, next(self._numbers)) for _ in range(self.per_block))
        return b"".join([encode("MESSAGE", each) for each in texts])

    def _speak(self, *texts: str) -> list[str]:
        """Say this; all that the speaker has in the list, the oldest first, once that is in it, or much later."""
        with Talk(CHAT, THIRD, client(self.speaker)) as talk:
            talk.wait("CONNECTED")
            for text in texts:
                talk.send(encode("MESSAGE", written(self.speaker, self.listener, text, next(self._numbers))))
            self._said += texts
            end = time.monotonic() + PATIENCE
            while True:
                talk.send(encode("HISTORY", pb.QueryHistory(user=user(self.listener), limit=2 * SPOKEN)))
                answer = decode(talk.wait("HISTORY_RESP"), pb.HistoryAnswer)
                found = [pb.ChatMessage.FromString(line.message).textContent for line in reversed(answer.lines)]
                if found == self._said or time.monotonic() > end:
                    return found

    def faults(self) -> list[str]:
        """Whether what they said before is still there, and what they say now."""
        found = self._speak("after it")
        return [] if found == self._said else [f"of {len(self._said)} messages of others {len(found)} are kept"]


# Edits ---------------------------------------------------------------------------------------------------


def edit_of(target: pb.ChatMessage, number: int, **what: object) -> pb.ChatMessage:
    """An edit of a message by its author, with no signature."""
    edit = pb.ChatMessage()
    edit.CopyFrom(target)
    edit.ClearField("proof")
    edit.messageSnowflake = number
    edit.edit.CopyFrom(
        pb.Edit(target=target.messageSnowflake, content=content_digest(target), revision=MOST, **what)  # type: ignore[arg-type]
    )
    return edit


class EditsOfOthers(Asking):
    """One client that edits and deletes messages that others wrote."""

    name = "edits-of-others"
    settings = KEEPS
    unit = "edits"
    rate = 50.0
    links = 1
    per_block = 10
    seen = (nothing_done("archive", "no_such_message"),)
    author: ClassVar[str] = "eve0@alpha"
    group: ClassVar[str] = ""

    def prepare(self) -> None:
        """Connect."""
        self._numbers = numbers()
        self._targets = itertools.cycle(HONEST)
        super().prepare()

    def block(self) -> bytes:
        """Each is of a message that its recipient wrote lately, and a deletion every other time."""
        return b"".join([self._edit(deletes) for deletes in (False, True) * (self.per_block // 2)])

    def _edit(self, deletes: bool) -> bytes:
        number, other = next(self._numbers), next(self._targets)
        target = written(other, "eve0@alpha", "hello", number - (secrets.randbelow(1000) << 22))
        change = edit_of(target, number, deletes=deletes, text="" if deletes else "999999999 forged")
        change.author.CopyFrom(user(self.author or other))
        if self.group:
            group_id, _, server_id = self.group.rpartition("@")
            change.group.CopyFrom(pb.Group(groupId=group_id, serverId=server_id))
        else:
            change.user.CopyFrom(user(other))
        return encode("MESSAGE", change)


class EditsAsOthers(EditsOfOthers):
    """One client that edits and deletes what others wrote, in their names."""

    name = "edits-as-others"
    author = ""
    seen = (rejected("chat", "foreign_user"),)


class EditsInGroup(EditsOfOthers):
    """One client that edits and deletes in a group of which it is no member."""

    name = "edits-in-group"
    group = "guests@alpha"
    seen = (told("user_blocked"),)

    def prepare(self) -> None:
        """Somebody else makes the group."""
        with Talk(CHAT, ATTACKER, client("host@alpha")) as talk:
            talk.send(group_request("JOIN_GROUP", self.group))
            talk.wait("GROUP_MEMBERS")
        super().prepare()


class EditsFlood(EditsOfOthers):
    """Twenty clients that edit without end."""

    name = "edits-flood"
    rate = 2000.0
    links = 20
    seen = (limited("chat", "edits", "link"),)

    def block(self) -> bytes:
        """Under the names of those links."""
        index = (self.crowd._next + 1) % self.links
        return b"".join([self._of(f"eve{index}@alpha") for _ in range(self.per_block)])

    def _of(self, author: str) -> bytes:
        number, to = next(self._numbers), next(self._targets)
        return encode("MESSAGE", edit_of(written(author, to, "hello", number - (1 << 22)), number, text="x"))


class HostileEdits(Hostile):
    """A server that changes and deletes what its user signed, without a signature and with another key's."""

    name = "hostile-edits"
    settings = KEEPS
    seen = (nothing_done("archive", "unproven"),)
    to: ClassVar[tuple[str, ...]] = HONEST

    def prepare(self) -> None:
        """Its user writes to each first."""
        super().prepare()
        texts = {to: f"{ONCE} from eve to {to}" for to in self.to}
        self._new = [written("eve@mallory", to, text, next(self.numbers)) for to, text in texts.items()]
        self._targets = itertools.cycle(tuple(self._new))
        self._changes = itertools.cycle(itertools.product((True, False), (None, STRANGER)))

    def frame(self) -> bytes:
        """What is to be changed, and then a change of the next one."""
        if self._new:
            return self.signed(self._new.pop(), EVE)
        deletes, by = next(self._changes)
        edit = edit_of(next(self._targets), next(self.numbers), deletes=deletes, text="" if deletes else "forged")
        return encode("MESSAGE", edit) if by is None else self.signed(edit, by)


class HostileEditsOfMail(HostileEdits):
    """The same of messages that wait for somebody who is away."""

    name = "hostile-edits-of-mail"
    to = ("away@alpha",)
    seen = (nothing_done("mailbox", "unproven"),)


class HostileEditsForOthers(Hostile):
    """A server that deletes, in copies of a group of its own, what another server's users wrote."""

    name = "hostile-edits-for-others"
    seen = (forged("copy"),)
    key: ClassVar[PrivateKey] = MALLORY

    def frame(self) -> bytes:
        """Signed by its key."""
        target = written(next(self.authors), next(self.members), "hello", next(self.numbers), group="gang@mallory")
        return self.signed(edit_of(target, next(self.numbers), deletes=True), self.key)


# Receipts, and groups -----------------------------------------------------------------------------------


class Receipts(Asking):
    """One client that says without end that it has read what others wrote."""

    name = "read-receipts"
    unit = "receipts"
    rate = 500.0
    links = 1
    per_block = 50
    seen = (limited("chat", "receipts", "chat"),)
    frame = encode("READ_RECEIPT", pb.ReadReceipt(messageSnowflake=1 << 60, user=user(HONEST[0]), tellsAuthor=True))


class HostileReceipts(Hostile):
    """A server that says what another server's users, and this one's, have read."""

    name = "hostile-receipts"
    rate = 500.0
    seen = (rejected("chat", "foreign_user"),)

    def frame(self) -> bytes:
        """In one's name after another."""
        reader = next(self.authors if secrets.randbelow(2) else self.members)
        relayed = pb.RelayReadReceipt(messageSnowflake=next(self.numbers), byUser=user(reader))
        relayed.author.CopyFrom(user(next(self.members)))
        return encode("RELAY_READ_RECEIPT", relayed)


class GroupChanges(Asking):
    """A member who is no admin, and one who is no member, switch a group's history off, again and again."""

    name = "group-changes"
    rate = 500.0
    links = 2
    per_block = 50
    seen = (received("CHANGE_GROUP"),)
    group: ClassVar[str] = "ours@alpha"
    frame = encode(
        "CHANGE_GROUP", pb.ChangeGroup(group=pb.Group(groupId="ours", serverId="alpha"), historyOff=True)
    )

    def prepare(self) -> None:
        """An admin makes the group, and one of the attackers is in it."""
        for name in ("host@alpha", "eve0@alpha"):
            with Talk(CHAT, ATTACKER, client(name)) as talk:
                talk.send(group_request("JOIN_GROUP", self.group))
                talk.wait("GROUP_MEMBERS")
        super().prepare()

    def faults(self) -> list[str]:
        """Whether one of them did it."""
        with Talk(CHAT, ATTACKER, client("host@alpha")) as talk:
            talk.send(group_request("QUERY_GROUP_MEMBERS", self.group))
            answer = decode(talk.wait("GROUP_MEMBERS"), pb.GroupMembers)
        is_as_before = answer.reason == Reason.NONE and not answer.historyOff
        admins = [each.userId for each in answer.admins]
        return [] if is_as_before and admins == ["host"] else [f"the group is another one: {answer}"]


KINDS = (
    Sync, SyncUnread, OddCursors, Pages, SearchHistory, HistoryPlaces, ClearHistory, HistoryFlood, EditsOfOthers,
    EditsAsOthers, EditsInGroup, EditsFlood, HostileEdits, HostileEditsOfMail, HostileEditsForOthers, Receipts,
    HostileReceipts, GroupChanges,
)  # fmt: skip
