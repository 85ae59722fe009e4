"""What is sent once and kept, or sent on, many times; and readers that never read."""

from __future__ import annotations

from types import MappingProxyType
from typing import ClassVar

from tests.attack.attack import Flood, limited, received, told
from tests.attack.frames import Messages, client
from tests.attack.kinds.requests import gather
from tests.attack.links import Crowd, Talk
from tests.attack.places import ALPHA, ATTACKER, MESSAGES_PORT, many

CHAT = (ALPHA, MESSAGES_PORT)
KEPT = (
    limited("chat", "messages"), limited("chat", "bytes"), limited("chat", "disk"), limited("chat", "memory"),
    limited("chat", "frames"), limited("chat", "time"), limited("chat", "requests"), received("MESSAGE"),
)  # fmt: skip


class Writing(Flood):
    """One user's messages."""

    unit = "messages"
    links = 1
    per_block = 1
    seen = KEPT
    author: ClassVar[str] = "eve0@alpha"

    def hello(self, index: int) -> bytes:  # noqa: ARG002 - one is the author
        """The author."""
        return client(self.author)

    def messages(self) -> Messages:
        """What is written."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Connect."""
        super().prepare()
        self._messages = self.messages()

    def block(self) -> bytes:
        """So many."""
        return self._messages.next(self.per_block)


class ToGroup(Writing):
    """Texts to a group of 2,000 who are away."""

    name = "texts-to-crowd"
    rate = 100.0

    def prepare(self) -> None:
        """The crowd joins and goes."""
        gather("crowd@alpha", 2000, self.author)
        super().prepare()

    def messages(self) -> Messages:
        """Short ones."""
        return Messages(self.author, "", group="crowd@alpha")


class DocumentsToGroup(ToGroup):
    """Documents of 500 kB to that group."""

    name = "documents-to-crowd"
    rate = 2.0

    def messages(self) -> Messages:
        """Long ones."""
        return Messages(self.author, "", group="crowd@alpha", document=bytes(500_000))


class Mailbox(Writing):
    """Mail that fills the mailbox of one who is away, to whom honest users write, too."""

    name = "fill-mailbox"
    rate = 5000.0
    per_block = 50
    settings = MappingProxyType({"PARLEY_CHAT__MAILBOX_USER_MESSAGES": "20000"})

    def messages(self) -> Messages:
        """To honest people's friend."""
        return Messages(self.author, "away@alpha")


class MailboxElsewhere(Mailbox):
    """The same at the other server, through ours."""

    name = "fill-mailbox-elsewhere"

    def messages(self) -> Messages:
        """To honest people's friend at the other server."""
        return Messages(self.author, "away@beta")


class MailboxLarge(Mailbox):
    """The same with documents of 500 kB."""

    name = "fill-mailbox-documents"
    rate = 20.0
    per_block = 1
    settings = MappingProxyType({"PARLEY_CHAT__MAILBOX_USER_BYTES": str(64 << 20)})

    def messages(self) -> Messages:
        """To honest people's friend."""
        return Messages(self.author, "away@alpha", document=bytes(500_000))


class AllMailboxes(Writing):
    """Documents for a thousand who are away: of no mailbox too much."""

    name = "fill-mailboxes"
    rate = 40.0
    settings = MappingProxyType({"PARLEY_CHAT__MAILBOX_BYTES": str(128 << 20)})

    def prepare(self) -> None:
        """They come once."""
        addresses = many(68)
        for number in range(1000):
            with Talk(CHAT, next(addresses), client(f"m{number}@alpha")) as talk:
                talk.wait("CONNECTED")
        super().prepare()
        self._all = [Messages(self.author, f"m{number}@alpha", document=bytes(200_000)) for number in range(1000)]
        self._count = 0

    def messages(self) -> Messages:
        """Others are made for each."""
        return Messages(self.author, "m0@alpha")

    def block(self) -> bytes:
        """For the next one."""
        self._count += 1
        return self._all[self._count % len(self._all)].next()


class AcksUnread(Writing):
    """An author who never reads what is told."""

    name = "acks-unread"
    rate = 10_000.0
    per_block = 100
    reads = False
    seen = (*KEPT, told("user_not_found"))

    def messages(self) -> Messages:
        """To nobody: each is answered at once."""
        return Messages(self.author, "nobody@alpha")


class MessagesUnread(Writing):
    """A recipient who never reads: ten kilobytes, a thousand times a second."""

    name = "messages-unread"
    rate = 1000.0

    def prepare(self) -> None:
        """The recipient is there, and does not read."""
        hello = client("mallory@alpha")
        self._deaf = Crowd(self.poll, CHAT, (ATTACKER,), lambda _index: hello, count=10, reads=False)
        self._deaf.dial()
        super().prepare()

    def messages(self) -> Messages:
        """To whom does not read."""
        return Messages(self.author, "mallory@alpha", text="x" * 10_000)


class DocumentsUnread(MessagesUnread):
    """The same with documents of a megabyte."""

    name = "documents-unread"
    rate = 20.0

    def messages(self) -> Messages:
        """To whom does not read."""
        return Messages(self.author, "mallory@alpha", document=bytes(1_000_000))


KINDS = (
    ToGroup, DocumentsToGroup, Mailbox, MailboxElsewhere, MailboxLarge, AllMailboxes, AcksUnread, MessagesUnread,
    DocumentsUnread,
)  # fmt: skip
