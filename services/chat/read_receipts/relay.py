"""Passes on, to the author of a message between two, that it was read. Pure: links are links, time is an argument.

Theory of operation. Both must have switched it on, each at their own device:

    the author's wish   travels in each message (`tellRead`), so a reader's device tells of no other
    the reader's wish   is the reader's device's alone: without it nothing is said, and nothing leaves the device
    what comes back     goes to those links of the author's that announced READ_RECEIPTS, and to no other

A receipt says that its reader has read up to a message. It goes from the reader's server to the author's, and only
between Parleys; the newest one of each pair is kept in memory for an author, or a server, that is away. It is no
status: nobody waits for it, and one that is lost, as with this process, is made up for by the next.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Final, Protocol

from parley.services.chat.message.model import Destination
from parley.services.chat.roster import ChatLink, LocalRoster
from parley.shared.addresses import User
from parley.shared.errors import UnexpectedMessage
from parley.shared.limits.token_buckets import Buckets
from parley.shared.wire.messages import encode, pb

OF_USER: Final = (5.0, 100.0)
"""Receipts of one user in a second, and at once; a client gathers them."""
OF_SERVER: Final = (200.0, 2000.0)
"""The same of another server."""
KEPT: Final = 10_000
"""Receipts that are kept for who is away; then the oldest goes."""
KEPT_OF_SOURCE: Final = 200
"""Of them, so many of one user here; of another server ten times as many."""

Pair = tuple[User, User]
"""The author of what was read, and the reader."""


class Blocks(Protocol):
    """The blocks of users."""

    def blocks(self, user: User, other: User) -> bool:
        """Whether a user takes nothing from the other."""


class ReadReceiptRelay:
    """That of one server. Its name, roster and blocks are asked for when they are needed.

    `limited` hears of each receipt that was dropped.
    """

    def __init__(
        self,
        server_id: Callable[[], str],
        roster: Callable[[], LocalRoster],
        blocks: Callable[[], Blocks],
        limited: Callable[[], None],
    ) -> None:
        self._server_id = server_id
        self._roster = roster
        self._blocks = blocks
        self._limited = limited
        self._of_user = Buckets(*OF_USER)
        self._of_server = Buckets(*OF_SERVER)
        self._kept: OrderedDict[Pair, int] = OrderedDict()
        """The newest number that each reader has read of each author's, to be told once the author is there."""
        self._kept_of: Counter[Destination] = Counter()
        self._pairs_for: dict[Destination, set[Pair]] = {}
        """The pairs of the receipts that wait for an author here, or for a server."""

    def __len__(self) -> int:
        return len(self._kept)

    # What comes -----------------------------------------------------------------------------------

    def from_client(self, reader: User, receipt: pb.ReadReceipt, now: float) -> None:
        """A user of ours has read up to a message of somebody's.

        Raises:
            UnexpectedMessage: it names nobody.

        """
        author = User.of(receipt.user)
        if not receipt.HasField("user") or not author.is_complete or not receipt.messageSnowflake:
            raise UnexpectedMessage("a read receipt of nobody's message", "no_recipient")
        if not self._of_user.consume(reader, now):
            self._limited()
            return
        self._pass_on(author, reader, receipt.messageSnowflake)

    def from_server(self, server_id: str, relayed: pb.RelayReadReceipt, now: float) -> None:
        """A user of another server has read up to a message of one of ours.

        Raises:
            UnexpectedMessage: it speaks for others than its own users, or to others than ours.

        """
        reader, author = User.of(relayed.byUser), User.of(relayed.author)
        if not reader.is_complete or reader.server_id != server_id:
            raise UnexpectedMessage(f"{server_id} tells what {reader} has read", "foreign_user")
        if author.server_id != self._server_id() or not relayed.messageSnowflake:
            raise UnexpectedMessage(f"{server_id} tells us what is for {author}", "foreign_user")
        if not self._of_server.consume(server_id, now):
            self._limited()
            return
        self._pass_on(author, reader, relayed.messageSnowflake)

    def _pass_on(self, author: User, reader: User, number: int) -> None:
        roster = self._roster()
        if author.server_id != self._server_id():
            server = roster.server(author.server_id)
            if server is not None and server.link.takes_read_receipts:
                server.link.send(_relayed(author, reader, number))
            elif roster.knows_server(author.server_id):
                self._keep(author.server_id, (author, reader), number)
        elif (
            roster.knows(author)
            and not self._blocks().blocks(author, reader)
            and not self._tell(author, reader, number, roster.clients(author))
        ):
            self._keep(author, (author, reader), number)

    def _tell(self, author: User, reader: User, number: int, links: Iterable[ChatLink]) -> bool:
        """Tell those of an author's devices that want to know; whether there was one."""
        withheld: AbstractSet[ChatLink] = self._roster().withheld
        devices = [link for link in links if link.takes_read_receipts and link not in withheld]
        for link in devices:
            link.send(_relayed(author, reader, number))
        return bool(devices)

    # Who comes ------------------------------------------------------------------------------------

    def client_connected(self, author: User, link: ChatLink) -> None:
        """A device of one of our users is here: it is told what was read meanwhile."""
        for pair in list(self._pairs_for.get(author, ())):
            if self._tell(*pair, self._kept[pair], [link]):
                self._forget(author, pair)

    def server_connected(self, server_id: str, link: ChatLink) -> None:
        """Another server is linked."""
        for pair in list(self._pairs_for.get(server_id, ())):
            if link.takes_read_receipts:
                link.send(_relayed(*pair, self._kept[pair]))
            self._forget(server_id, pair)

    # Keeping --------------------------------------------------------------------------------------

    def _keep(self, destination: Destination, pair: Pair, number: int) -> None:
        source, most = self._source(pair[1])
        if pair not in self._kept:
            if self._kept_of[source] >= most:
                self._limited()
                return
            self._kept_of[source] += 1
            self._pairs_for.setdefault(destination, set()).add(pair)
        self._kept[pair] = max(number, self._kept.get(pair, 0))
        if len(self._kept) > KEPT:
            oldest = next(iter(self._kept))
            author = oldest[0]
            self._forget(author if author.server_id == self._server_id() else author.server_id, oldest)
            self._limited()

    def _forget(self, destination: Destination, pair: Pair) -> None:
        del self._kept[pair]
        source, _most = self._source(pair[1])
        self._kept_of[source] -= 1
        if not self._kept_of[source]:
            del self._kept_of[source]
        pairs = self._pairs_for[destination]
        pairs.discard(pair)
        if not pairs:
            del self._pairs_for[destination]

    def _source(self, reader: User) -> tuple[Destination, int]:
        """The reader, or their server, whose receipts count together; and how many of them are kept."""
        if reader.server_id == self._server_id():
            return reader, KEPT_OF_SOURCE
        return reader.server_id, 10 * KEPT_OF_SOURCE

    def forget_all(self) -> None:
        """Our server has another name now."""
        self._kept.clear()
        self._kept_of.clear()
        self._pairs_for.clear()


def _relayed(author: User, reader: User, number: int) -> bytes:
    relayed = pb.RelayReadReceipt(messageSnowflake=number, byUser=reader.to_pb(), author=author.to_pb())
    return encode("RELAY_READ_RECEIPT", relayed)
