"""The way to one user of a server that is reached by a gateway: a message and its claim, in one write. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from parley.services.chat.roster import ChatLink
from parley.shared.addresses import User
from parley.shared.dialects.dialect import Dialect
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, encode, pb

NOBODY: Final = User("parley-nobody", "parley-nowhere")
"""The recipient of claims: at a server that the other one does not know, so that they go nowhere."""
CONTENT: Final = "."
"""Their content, which nobody sees."""


def claim(raw: bytes, gateway: User) -> bytes:
    """The frame that goes behind a MESSAGE: the server notes `gateway` as the author of what has its number."""
    message = decode(read_datagram(raw), pb.ChatMessage)
    made = pb.ChatMessage(
        messageSnowflake=message.messageSnowflake,
        author=gateway.to_pb(),
        user=NOBODY.to_pb(),
        textContent=CONTENT,
    )
    return encode("MESSAGE", made)


class RemoteLink:
    """A link to one user, over the link to their server, as a client of theirs has one here.

    It has room for one message, until that is acknowledged; `has_room` tells, and `sent` hears of its bytes.
    """

    is_parley = False
    takes_pieces = False
    window = 0
    answers_searches = False
    takes_read_receipts = False
    takes_shared_copies = False
    has_arrived = False
    """Nothing is written to it again while it stands: the server would take it for another message."""

    def __init__(
        self, link: ChatLink, gateway: User, *, has_room: Callable[[], bool], sent: Callable[[int], None]
    ) -> None:
        self._link = link
        self._gateway = gateway
        self._has_room = has_room
        self._sent = sent

    @property
    def writable(self) -> bool:
        """Whether there is room: all before was acknowledged, and the server reads."""
        return self._has_room() and self._link.writable

    @property
    def dialect(self) -> Dialect:
        """The server's."""
        return self._link.dialect

    def send(self, raw: bytes) -> None:
        """Send a MESSAGE, with its claim."""
        self._sent(len(raw))
        self._link.send(raw + claim(raw, self._gateway))

    def take_back(self, raw: bytes) -> bool:  # noqa: ARG002 - a link's interface
        """Nothing waits for its turn here: it has room for one."""
        return False

    def answer(self, raw: bytes) -> None:
        """Nobody asks over it."""
        self.send(raw)
