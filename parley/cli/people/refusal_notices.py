"""Lines that tell people of what was refused because it is not whose it says it is; few where there are many."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from parley.cli.people.wording import beginning, clock, group_of, written_at
from parley.client.outbox.deliveries import Delivery
from parley.shared.addresses import Recipient, User
from parley.shared.limits.token_buckets import TokenBucket
from parley.shared.wire.messages import pb

RATE, BURST = 0.1, 5.0
"""Lines a second, and at once: whoever forges decides how often."""
_MORE: Final = " ({count} more like that were refused)"


class RefusalNotices:
    """`note` tells people a line."""

    def __init__(self, note: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._note = note
        self._now = now
        self._bucket = TokenBucket(RATE, BURST, now())
        self._untold = 0

    def forged(self, message: pb.ChatMessage) -> None:
        """A message came in the name of somebody who did not write it."""
        author, group = User.of(message.author), group_of(message)
        where = f" in {group}" if group is not None else ""
        self._tell(f"refused: a message in the name of {author}{where} that no device of {author} signed")

    def replayed(self, message: pb.ChatMessage) -> None:
        """A message came again that its device passed long ago, or it was on its way for very long."""
        author, now = User.of(message.author), time.time()
        at = written_at(message.messageSnowflake, now)
        when = f", written {clock(at, now)}" if at is not None else ""
        self._tell(f"refused: an old message of {author} that came again, or very late{when}")

    def forged_status(self, delivery: Delivery, whose: Recipient, status: str) -> None:
        """A status came that nobody signed who may give it."""
        self._tell(f"not believed: {status} of {whose} for “{beginning(delivery.message)}”, which is forged")

    def _tell(self, text: str) -> None:
        if not self._bucket.consume(self._now()):
            self._untold += 1
            return
        more = _MORE.format(count=self._untold) if self._untold else ""
        self._untold = 0
        self._note(f"parley: {text}{more}")
