"""Silent servers: static peers that do not answer, servers that never hear us. Pure; times are seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from parley.shared.addresses import SocketAddress

ASKED: Final = 3
"""Requests of a server that we answered, and …"""
FOR: Final = 8.0
"""… seconds between the first and the last of them, until it counts as one that does not hear us."""
FORGOTTEN: Final = 60.0
"""Seconds without a request after which it is gone."""
MOST: Final = 256
"""Servers that are looked at."""
SILENCE_ALLOWED: Final = 20.0
"""Seconds, at least, for which a static peer may be silent."""
MISSED: Final = 3.5
"""Intervals between our requests, at least, for which it may."""


@dataclass(slots=True)
class _Asker:
    first: float
    last: float
    count: int = 1


class Silences:
    """The servers that one discovery port hears, and those that it does not."""

    def __init__(self) -> None:
        self._askers: OrderedDict[SocketAddress, _Asker] = OrderedDict()
        self._answered: dict[str, float] = {}
        """Static peer's address → when it answered last, or was asked first."""

    def asked(self, asker: SocketAddress, now: float) -> None:
        """A server that has not shown yet that it hears us asked, and we answered."""
        known = self._askers.get(asker)
        if known is None or now - known.last > FORGOTTEN:
            self._askers[asker] = _Asker(now, now)
            self._askers.move_to_end(asker)
            if len(self._askers) > MOST:
                self._askers.popitem(last=False)
        else:
            known.last, known.count = now, known.count + 1

    def unanswered(self, is_reached: Callable[[SocketAddress], bool], now: float) -> list[str]:
        """The hosts of servers that go on asking and never hear us."""
        for asker, known in list(self._askers.items()):
            if now - known.last > FORGOTTEN or is_reached(asker):
                del self._askers[asker]
        return [
            a[0] for a, known in self._askers.items() if known.count >= ASKED and known.last - known.first >= FOR
        ]

    def answered(self, host: str, now: float) -> None:
        """A static peer answered."""
        self._answered[host] = now

    def silent(self, peers: Iterable[str], interval: float, now: float) -> list[str]:
        """Which of these static peers do not answer."""
        self._answered = {host: self._answered.get(host, now) for host in peers}
        patience = max(SILENCE_ALLOWED, MISSED * interval)
        return [host for host, at in self._answered.items() if now - at > patience]
