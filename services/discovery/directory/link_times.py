"""How long it takes from a server's first announcement to a link with it. Pure; times are seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Way = tuple[str, str]
"""A server, and one of its features."""


class LinkingTimes:
    """Measures each server's feature once, as long as the server is known.

    `measured(feature, seconds)` hears of it; 0.0 where the link came before the announcement, dialled by the other.
    """

    def __init__(self, measured: Callable[[str, float], None]) -> None:
        self._measured = measured
        self._heard: dict[Way, float] = {}
        self._done: set[Way] = set()
        self._linked: dict[str, frozenset[str]] = {}

    def heard(self, server_id: str, features: Iterable[str], now: float) -> None:
        """A server announced these features."""
        for feature in features:
            self._heard.setdefault((server_id, feature), now)
            if server_id in self._linked.get(feature, ()):
                self._measure((server_id, feature), now)

    def linked(self, feature: str, server_ids: Iterable[str], now: float) -> None:
        """These are all servers that our process of a feature is linked with now."""
        self._linked[feature] = frozenset(server_ids)
        for server_id in self._linked[feature]:
            self._measure((server_id, feature), now)

    def _measure(self, way: Way, now: float) -> None:
        if way in self._heard and way not in self._done:
            self._done.add(way)
            self._measured(way[1], now - self._heard[way])

    def keep(self, server_ids: Iterable[str]) -> None:
        """All other servers are forgotten."""
        known = set(server_ids)
        self._heard = {way: at for way, at in self._heard.items() if way[0] in known}
        self._done &= self._heard.keys()
