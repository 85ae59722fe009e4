"""Signs the statuses that this server itself gives to other servers' users, whose clients verify them.

| a status | is signed |
|---|---|
| DELIVERED | by the recipient's device alone: nobody else has the message |
| of our own users' messages | by nobody: the link to the user proves our key |
| of a message that is not signed | by nobody: it may be an existing program's |
| any other | by us, as many as RATE allows; the rest are unsigned, and believed as the word of servers |

The fast path gives DELIVERED alone, which it passes on, so it pays nothing. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from parley.services.chat.message.life import Envelope
from parley.shared.addresses import User
from parley.shared.limits.token_buckets import TokenBucket
from parley.shared.trust.authors import sign_status
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, pb

RATE, BURST = 500.0, 250.0
"""Statuses that are signed in a second, and at once: 90 µs each on a busy machine, so 5 % of a processor."""
LARGEST: Final = 16 * 1024
"""Bytes of a message that is read for it."""
_DELIVERED: Final = pb.ChatMessageResponse.DeliveryStatus.DELIVERED


class StatusSigner:
    """One server's. `identity()` is its key, None: it has none; `limited` hears of what is left unsigned."""

    def __init__(self, identity: Callable[[], PrivateKey | None], limited: Callable[[], None], now: float) -> None:
        self._identity = identity
        self._limited = limited
        self._bucket = TokenBucket(RATE, BURST, now)

    def proof(self, envelope: Envelope, status: int, now: float, milliseconds: int) -> bytes:
        """The proof of a status of ours, as a field of a MESSAGE_ACK's payload; empty: it goes without.

        `now` is monotonic (seconds), `milliseconds` since 1970.
        """
        key = self._identity()
        if key is None or status == _DELIVERED or not envelope.origin:
            return b""
        message = _message_of(envelope)
        if message is None or not message.HasField("proof"):
            return b""
        if not self._bucket.consume(now):
            self._limited()
            return b""
        proof = sign_status(key, message, User(*envelope.recipient), status, milliseconds)
        return pb.ChatMessageResponse(proofs=[proof]).SerializeToString()


def _message_of(envelope: Envelope) -> pb.ChatMessage | None:
    """The message of an envelope; None: its bytes are not here, or too many."""
    if envelope.body is not None and envelope.group is not None:
        if not 0 < len(envelope.body.data) <= LARGEST:
            return None
        message = pb.ChatMessage.FromString(envelope.body.data)
        message.group.CopyFrom(envelope.group.to_pb())
        return message
    if not 0 < len(envelope.raw) <= LARGEST:
        return None
    return decode(read_datagram(envelope.raw), pb.ChatMessage)
