"""USER_NOT_FOUND over a link that is young is not the last word: another server may have the same name.

Of two servers of one name that start together (a card that was cloned) the first to be linked stays, and the other
may have the user. A link yields to the other one where it does not know whom somebody writes to (peering.py), but
only once that one has asked to be linked, which may be a moment after the refusal. So the author is not told yet,
and the message stays in flight, until one of these comes:

    the other server asks         the link yields, and the message goes out again over the next one
    the link is young no more     the author is told
    the link is lost              the author is told

Existing servers' refusals do not wait: their links never yield. Pure; times are seconds, monotonic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from parley.services.chat.message.life import Envelope
from parley.shared.spellings import ByName

YOUNG: Final = 5.0
"""Seconds from its opening in which a link is young."""
OF_LINK: Final = 256
"""Messages of one link whose refusals wait; the authors of more are told at once."""
MOST: Final = 4096
"""The same of all links."""


class Yielding(Protocol):
    """The links with other servers, as far as they concern this: Peering."""

    def may_yield(self, server_id: str, /) -> bool:
        """Whether the link to a server would yield if another one of its name asked to be linked."""

    def is_contested(self, server_id: str, /) -> bool:
        """Whether one does."""

    def yield_to_rival(self, server_id: str, /) -> bool:
        """Have it yield, if it would and one does."""


class EarlyRefusals:
    """The messages in flight that were refused early."""

    def __init__(
        self,
        links: Yielding,
        *,
        report: Callable[[str, Envelope], None],
        look_for: Callable[[], None],
        decide_soon: Callable[[str], None],
    ) -> None:
        """`report` has an author told that a server refused a message; `look_for` has the network asked.

        `decide_soon` calls `decide` after what came over the link together: it is all refused, or not.
        """
        self._decide_soon = decide_soon
        self._links = links
        self._report = report
        self._look_for = look_for
        self._young_until: ByName[float] = ByName()
        """Server → until when its link is young (seconds), in this order."""
        self._refused: ByName[dict[Envelope, None]] = ByName()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def connected(self, server_id: str, now: float) -> float:
        """A link with another Parley was opened; when `handle_timeout` must be called for it."""
        self._young_until.pop(server_id, None)  # the last in order
        self._young_until[server_id] = now + YOUNG
        return now + YOUNG

    def disconnected(self, server_id: str) -> None:
        """The link is over."""
        self._young_until.pop(server_id, None)
        self.decide(server_id)

    def handle_timeout(self, now: float) -> float | None:
        """Some links are young no more; when this must be called next."""
        while self._young_until:
            server_id, until = next(iter(self._young_until.items()))
            if until > now:
                return until
            self.disconnected(server_id)
        return None

    def waits(self, server_id: str, envelope: Envelope) -> bool:
        """A server does not know whom a message in flight is for; whether its author is not to be told yet."""
        is_contested = self._links.is_contested(server_id)
        is_early = is_contested or server_id in self._young_until
        if not (is_early and self._links.may_yield(server_id) and self._add(server_id, envelope)):
            return False
        if is_contested:
            self._decide_soon(server_id)
        return True

    def _add(self, server_id: str, envelope: Envelope) -> bool:
        """False: there is no room."""
        refused = self._refused.get(server_id, {})
        if envelope in refused:
            return True
        if len(refused) >= OF_LINK or self._count >= MOST:
            return False
        if not refused:
            self._refused[server_id] = refused
            self._look_for()
        refused[envelope] = None
        self._count += 1
        return True

    def decide(self, server_id: str) -> None:
        """Have the link yield, if another server asks to be linked; else have the authors told."""
        refused = self._refused.pop(server_id, {})
        self._count -= len(refused)
        if refused and not self._links.yield_to_rival(server_id):
            for envelope in refused:
                self._report(server_id, envelope)
