"""The links that stand at a moment, so that a test can tell that none of them was lost since."""

import time
from collections.abc import Iterable
from typing import NamedTuple

from tests.support.nodes import SERVICES, Node

TOLERANCE = 0.5
"""Seconds by which two measurements of the moment when the same link was opened may differ."""


class Standing(NamedTuple):
    """One link with another server, as the /status of one side tells."""

    instance_id: str
    dialled_by_us: bool
    opened_at: float
    """Seconds, of this machine's monotonic clock."""

    def is_same(self, other: "Standing") -> bool:
        """Whether it is the very link: between the same processes, and as old."""
        return self[:2] == other[:2] and abs(self.opened_at - other.opened_at) < TOLERANCE


Links = dict[tuple[str, str, str], Standing]
"""(server, service, other server) → the link."""


def standing_links(nodes: Iterable[Node], services: Iterable[str] = SERVICES[1:]) -> Links:
    """Every link that these services of these nodes have now."""
    links: Links = {}
    for node in nodes:
        for service in services:
            peers = node.status(service)["peers"]
            now = time.monotonic()
            for peer in peers:
                if peer["state"] == "linked":
                    opened_at = now - peer["age_seconds"]
                    link = Standing(peer["instance_id"], peer["dialled_by_us"], opened_at)
                    links[node.server_id, service, peer["server_id"]] = link
    return links


def assert_still_standing(before: Links, after: Links) -> None:
    """Fail unless every link of `before` is there in `after`, and is the same one."""
    assert before, "there was no link to lose"
    lost = {key: (link, after.get(key)) for key, link in before.items() if not _stands(link, after.get(key))}
    assert not lost, f"links lost or replaced: {lost}"


def _stands(link: Standing, now: Standing | None) -> bool:
    return now is not None and link.is_same(now)
