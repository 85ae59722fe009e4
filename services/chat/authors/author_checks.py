"""Checks of signatures at a server: each body that a group's server fans out once, and a sample of the rest. Pure.

Whoever receives a message checks its signature in any case. A server only finds out early, and says so in a metric,
that another one forges: so what is wrong goes on, is shown as forged, and is answered as not taken. A signature
takes 70 µs: no turn has more than a few, and no second more than RATE; the copies of one body are one.

Nearly all messages take the fast path, which verifies nothing: of these, one is looked at once its recipient's
client has refused it.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from typing import Final

from parley.shared.addresses import User
from parley.shared.limits.token_buckets import TokenBucket
from parley.shared.trust.authors import edit_in, is_message_signed, message_bytes
from parley.shared.wire.messages import pb

OF_TURN: Final = 4
"""Signatures that are verified in one turn of a link: half a millisecond."""
RATE, BURST = 400.0, 100.0
"""Signatures that are verified in a second, and at once: 6 % of a processor."""
SAMPLE: Final = 16
"""Of messages that are no copies, and do not take the fast path, so many go by before one is verified."""
REMEMBERED: Final = 4096
"""Bodies of which it is known how they are."""
LARGEST: Final = 64 * 1024
"""Bytes of a message that is looked at: a document's hash takes more than its signature."""

Keys = Callable[[User], Collection[bytes] | None]
"""A user's device keys; None: none are known here."""


class AuthorChecks:
    """One server's. `forged` hears of each wrong one (`copy` or `message`), `limited` of what was not looked at."""

    def __init__(self, keys: Keys, forged: Callable[[str], None], limited: Callable[[], None], now: float) -> None:
        self._keys = keys
        self._forged = forged
        self._limited = limited
        self._bucket = TokenBucket(RATE, BURST, now)
        self._turn, self._left = now, OF_TURN
        self.samples: Iterator[bool] = itertools.cycle([*[False] * (SAMPLE - 1), True])
        """For each message that is no copy, whether it is one of the sample."""
        self._known: OrderedDict[bytes, bool] = OrderedDict()
        self._counted: OrderedDict[bytes, None] = OrderedDict()
        """Forged bodies of the sample: their recipients are about to refuse them."""

    def look_at(self, message: pb.ChatMessage, now: float) -> bool:
        """Look at what another server sent; False: it is forged. True: nothing speaks against it.

        `now`: when the turn began in which it came.
        """
        if not message.HasField("proof"):
            return True
        if message.ByteSize() > LARGEST:
            return True
        is_good = self._is_good(message, now)
        if not is_good:
            is_copy = message.HasField("userOfGroup") or message.HasField("members")
            self._forged("copy" if is_copy else "message")
            if not is_copy:
                self._counted[_body(message)] = None
                if len(self._counted) > REMEMBERED:
                    self._counted.popitem(last=False)
        return is_good

    def look_at_refused(self, message: pb.ChatMessage, now: float) -> None:
        """Look at a message, no copy, that its recipient's client refused; one that was counted counts no more."""
        if message.HasField("proof") and _body(message) not in self._counted:
            self.look_at(message, now)

    def _is_good(self, message: pb.ChatMessage, now: float) -> bool:
        known = self._keys(User.of(message.author))
        if known is not None and message.proof.key not in known:
            return False
        body = _body(message)
        found = self._known.get(body)
        if found is not None:
            return found
        if now != self._turn:
            self._turn, self._left = now, OF_TURN
        if self._left <= 0 or not self._bucket.consume(now):
            self._limited()
            return True
        self._left -= 1
        is_good = self._known[body] = is_message_signed(message)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return is_good


def _body(message: pb.ChatMessage) -> bytes:
    """By which a body is known: all that its signatures are for, and they; of a changed message its edit's, too."""
    found = hashlib.sha256(message_bytes(message) + message.proof.signature)
    if message.HasField("revised"):
        found.update((message.WhichOneof("content") or "").encode())
        found.update(message_bytes(edit_in(message)) + message.revised.proof.signature)
    return found.digest()
