"""Rounds of one federated hop between the two servers of a setting, for the curves that have it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.cost import pids
from bench.curves.clients import Pair, exchange
from bench.curves.setting import Setting
from tests.support.nodes import Node


def hop(
    setting: Setting, nodes: Sequence[Node], pairs: Sequence[Pair], window: int, document: bytes = b""
) -> list[dict[str, float]]:
    """Messages per second, CPU of both chat processes per message, and the load's share, in each round.

    `written`, once: rows on disk per message. A message that is not acknowledged within `persist_delay` is written:
    where servers are that slow, the disk is part of the cost.
    """
    before = _written(nodes)
    done = setting.loader.call(
        exchange,
        pairs,
        window,
        pids(nodes, "chat"),
        rounds=setting.rounds,
        seconds=setting.seconds,
        document=document,
    )
    rounds = [{"rate": n / c.seconds, "cpu": c.servers / n, "load": c.loading / c.seconds} for n, c in done[1:]]
    rounds[0]["written"] = (_written(nodes) - before) / sum(each.messages for each in done)
    return rounds


def _written(nodes: Iterable[Node]) -> float:
    return sum(node.metrics("chat").value("parley_mailbox_commit_writes_sum") for node in nodes)
