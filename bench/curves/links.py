"""One federated hop while so many other links rest at each of its two chat processes, and so many pairs talk."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench.curves.clients import hold, let_go
from bench.curves.curve import Curve, Quantity
from bench.curves.hop import hop
from bench.curves.setting import ALPHA, BETA, Setting
from bench.load import Loader
from tests.support.nodes import Node

IN_FLIGHT = 128
"""Messages unanswered, of all authors together: so few that none should wait for `persist_delay` and be written."""
RESERVE = 500
"""File descriptors that a process needs for other things than idle links."""


def curve() -> Curve:
    """What is measured."""
    return Curve(
        "links",
        "One federated hop beside N idle links at each chat process",
        "idle links",
        [
            Quantity("rate", "messages, acknowledged", "/s"),
            Quantity("cpu", "CPU of both chat processes per message", "s", at_most=0.15),
            Quantity("written", "rows written to disk per message", "", is_aside=True),
            Quantity("load", "load's share", "core", is_aside=True),
        ],
    )


def measure(setting: Setting) -> Curve:
    """All numbers of active pairs beside each number of idle links."""
    found = curve()
    with ExitStack() as stack:
        nodes = setting.pair(stack, "links")
        holders = [stack.enter_context(_holder()) for _ in (ALPHA, BETA)]
        idle = 0
        for links in setting.sizes(0, 100, 1000, 5000, 10_000):
            if links + RESERVE > resource.getrlimit(resource.RLIMIT_NOFILE)[0]:
                print(f"links: {links} idle links are more than this system lets a process have (ulimit -n)")
                break
            for holder, address, server_id in zip(holders, (ALPHA, BETA), ("alpha", "beta"), strict=True):
                holder.call(hold, address, [f"idle{i}@{server_id}" for i in range(idle, links)])
            idle = links
            for active in setting.sizes(1, 10, 100):
                found.add(links, _rounds(setting, active, nodes), _variant(active))
    return found


def _rounds(setting: Setting, active: int, nodes: Sequence[Node]) -> list[dict[str, float]]:
    pairs = [((ALPHA, f"ann{i}@alpha"), (BETA, f"bob{i}@beta")) for i in range(active)]
    setting.loader.introduce(BETA, [to for _, (_, to) in pairs])
    return hop(setting, nodes, pairs, max(1, IN_FLIGHT // active))


def _variant(active: int) -> str:
    return f"{active} author{'s' if active > 1 else ''} and recipient{'s' if active > 1 else ''}"


@contextmanager
def _holder() -> Iterator[Loader]:
    """A process that holds idle links, and lets go of them at the end."""
    with Loader() as holder:
        yield holder
        holder.call(let_go)
