"""Signs messages and statuses with the key of this device. Pure: the time is an argument (seconds since 1970)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from parley.shared.addresses import Recipient, User
from parley.shared.trust.authors import conversation_of, sign_message, sign_status
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.messages import pb

MOST: Final = 10_000
"""Conversations of which the last number is known; of one that was forgotten the next message says 0."""


class Signer:
    """One user's, on this device."""

    def __init__(self, user: User) -> None:
        self._user = user
        self._last: OrderedDict[tuple[type, Recipient], int] = OrderedDict()

    def sign(self, device: PrivateKey, message: pb.ChatMessage, now: float) -> None:
        """Sign a message that is complete: once, when it is made (50 µs)."""
        to = conversation_of(message)
        conversation = type(to), to
        sign_message(device, message, self._last.get(conversation, 0), int(now * 1000))
        self._last[conversation] = message.messageSnowflake
        self._last.move_to_end(conversation)
        if len(self._last) > MOST:
            self._last.popitem(last=False)

    def answer(self, device: PrivateKey, message: pb.ChatMessage, ack: pb.ChatMessageResponse, now: float) -> None:
        """Sign the statuses of an acknowledgement of that message, which was signed: nobody asked who is older."""
        for entry in ack.statuses:
            ack.proofs.append(sign_status(device, message, self._user, entry.status, int(now * 1000)))
