"""Read receipts: the authors who want to know hear what was read here, once a second at most."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from parley.shared.addresses import User
from parley.shared.link.link import Link
from parley.shared.wire.messages import encode, pb

GATHERED: Final = 1.0
"""Seconds for which what was read is gathered, from the first message on."""
MOST: Final = 64
"""Authors who are told at once; the others a moment later."""


class ReadReceipts:
    """One user's. Without `is_on` nothing is told, and nothing is heard; `heard(reader, number)` hears the rest."""

    def __init__(self, *, is_on: bool, heard: Callable[[User, int], object]) -> None:
        self.is_on = is_on
        self._heard = heard
        self._unsaid: dict[User, int] = {}
        """Up to which number messages of these authors were read, that they are not told yet."""
        self._link: Link | None = None
        self._timer: asyncio.TimerHandle | None = None

    def read(self, message: pb.ChatMessage) -> None:
        """A person has read a message: its author is told soon, if both want that."""
        if not self.is_on or not message.tellRead or message.WhichOneof("recipient") != "user":
            return
        author = User.of(message.author)
        self._unsaid[author] = max(message.messageSnowflake, self._unsaid.get(author, 0))
        self._tell_later()

    def _tell_later(self) -> None:
        if self._timer is None and self._link is not None and self._unsaid:
            self._timer = asyncio.get_running_loop().call_later(GATHERED, self._tell)

    def _tell(self) -> None:
        self._timer = None
        if self._link is None:
            return
        for author in list(self._unsaid)[:MOST]:
            number = self._unsaid.pop(author)
            receipt = pb.ReadReceipt(messageSnowflake=number, user=author.to_pb(), tellsAuthor=True)
            self._link.send(encode("READ_RECEIPT", receipt))
        self._tell_later()

    def take(self, relayed: pb.RelayReadReceipt) -> None:
        """The server tells what was read of ours."""
        reader = User.of(relayed.byUser)
        if self.is_on and reader.is_complete:
            self._heard(reader, relayed.messageSnowflake)

    def link_opened(self, link: Link) -> None:
        """A Parley that knows of receipts passes them on."""
        self._link = link if link.takes_read_receipts else None
        self._tell_later()

    def link_lost(self) -> None:
        """The next link is told the rest."""
        self._link = None

    def close(self) -> None:
        """Tell what is left, and nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._tell()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
