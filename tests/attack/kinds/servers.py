"""Servers that mean harm: names without end, a stolen name, words for others, floods over their links."""

from __future__ import annotations

from typing import ClassVar

from tests.attack.attack import Attack, Counter, Flood, counted, limited, received, rejected, told
from tests.attack.frames import Messages, Numbered, acknowledgement, server
from tests.attack.kinds.connections import Churn
from tests.attack.links import Link
from tests.attack.places import ALPHA, BETA, MESSAGES_PORT, NAMES

CONNECTED = counted("chat", "parley_connects_total", role="listener", result="connected")
CHAT = (ALPHA, MESSAGES_PORT)


class FromServer(Flood):
    """Frames of a server that is linked."""

    unit = "frames"
    links = 1
    per_block = 50
    server: ClassVar[str] = "mallory"

    def hello(self, index: int) -> bytes:  # noqa: ARG002 - one server
        """As Parley's servers say it."""
        return server(self.server)


class Servers(Churn):
    """Servers without end that are linked, and gone."""

    name = "servers"
    rate = 500.0
    seen = (limited("chat", "names"), limited("chat", "connections"), limited("chat", "requests"),
            limited("chat", "endpoints"), CONNECTED)  # fmt: skip

    def prepare(self) -> None:
        """Each has another name."""
        super().prepare()
        self._said = iter(Numbered(server("s00000000")).next, None)

    def says(self) -> list[bytes]:
        """Made as they come."""
        return [b""]


class StolenName(Attack):
    """A server that says it is the other one, again and again; and stays as long as it may."""

    name = "stolen-name"
    rate = 20.0
    unit = "connections"
    seen = (rejected("chat", "bad_connect"), limited("chat", "names"), limited("chat", "connections"),
            limited("chat", "endpoints"), limited("chat", "requests"),
            counted("chat", "parley_connects_total", role="listener", result="is_already_connected_error"),
            Counter("chat", "parley_duplicate_links_total"))  # fmt: skip

    def prepare(self) -> None:
        """Nothing is open yet."""
        self._links: list[Link] = []

    def act(self, count: int) -> int:
        """Dial as the other server, from four connections at a time."""
        for _ in range(count):
            try:
                self._links.append(Link(self.poll, CHAT, self.sources[0], server(NAMES[BETA])))
                self.taken += 1
            except OSError:
                pass
            if len(self._links) > 4:
                self._links.pop(0).end()
        return count


class OwnName(StolenName):
    """A server, or a process, that says it is the very node, and then speaks for its users."""

    name = "own-name"
    seen = (rejected("chat", "bad_connect"), rejected("chat", "unexpected"), limited("chat", "proofs"))

    def act(self, count: int) -> int:
        """Dial as a process of the node, and forge messages of its users."""
        for _ in range(count):
            forged = Messages("alpha1@alpha", "beta1@beta", text="999999999 forged").next()
            try:
                hello = server(NAMES[ALPHA], "LIVE_LOCATION")
                self._links.append(Link(self.poll, CHAT, self.sources[0], hello + forged))
                self.taken += 1
            except OSError:
                pass
            if len(self._links) > 4:
                self._links.pop(0).end()
        return count


class ForeignUsers(FromServer):
    """Messages of users that are not that server's."""

    name = "server-foreign-users"
    rate = 10_000.0
    seen = (rejected("chat", "foreign_user"),)

    def prepare(self) -> None:
        """Link."""
        super().prepare()
        self._messages = Messages("beta1@beta", "alpha1@alpha", text="999999999 forged")

    def block(self) -> bytes:
        """So many."""
        return self._messages.next(self.per_block)


class ForgedCopies(ForeignUsers):
    """Copies of a group's message, in the name of honest users, that nobody wrote to that group."""

    name = "forged-group-copies"
    rate = 5000.0
    seen = (rejected("chat", "never_given"), rejected("chat", "foreign_user"), rejected("chat", "unexpected"))

    def prepare(self) -> None:
        """Link."""
        super().prepare()
        self._messages = Messages("alpha2@alpha", "alpha1@alpha", group="gang@mallory", text="999999999 forged")


class ServerStatuses(FromServer):
    """Statuses from a server that nothing was given."""

    name = "server-statuses"
    rate = 10_000.0
    seen = (rejected("chat", "foreign_user"), rejected("chat", "unexpected"), limited("chat", "frames"),
            limited("chat", "messages", "statuses"), received("MESSAGE_ACK"))  # fmt: skip

    def prepare(self) -> None:
        """Link."""
        super().prepare()
        self._count = next(Messages("a@b", "c@d")._snowflakes)

    def block(self) -> bytes:
        """For numbers as of this moment."""
        first = self._count
        self._count += self.per_block
        return b"".join(
            [
                acknowledgement(number, f"alpha{number % 10}@alpha", whose="beta1@beta")
                for number in range(first, self._count)
            ]
        )


class ServerToNobody(FromServer):
    """Messages for users that there are not, over a link between servers."""

    name = "server-to-nobody"
    rate = 20_000.0
    seen = (told("user_not_found"), limited("chat", "frames"), limited("chat", "messages"),
            limited("chat", "names"), limited("chat", "requests"))  # fmt: skip

    def prepare(self) -> None:
        """Link."""
        super().prepare()
        self._messages = Messages("eve@mallory", "nobody-00000000@alpha")

    def block(self) -> bytes:
        """So many."""
        return self._messages.next(self.per_block)


class ServerUnread(ServerToNobody):
    """The same, and the answers are never read: what is owed is kept."""

    name = "server-unread"
    reads = False
    seen = (*ServerToNobody.seen, limited("chat", "bytes"), limited("chat", "memory"),
            limited("chat", "messages", "statuses"))  # fmt: skip


KINDS = (
    Servers, StolenName, OwnName, ForeignUsers, ForgedCopies, ServerStatuses, ServerToNobody, ServerUnread,
)  # fmt: skip
