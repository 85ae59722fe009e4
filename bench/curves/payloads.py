"""One federated hop with documents of 100 bytes to 2 MiB: how soon, how many bytes a second, what a byte costs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from statistics import median

from bench.curves.clients import one_at_a_time
from bench.curves.curve import Curve, Quantity
from bench.curves.hop import hop
from bench.curves.setting import ALPHA, BETA, Setting
from tests.support.nodes import Node

KIB, MIB = 1024, 1024 * 1024
PAIR = ((ALPHA, "ann@alpha"), (BETA, "bob@beta"))
IN_FLIGHT = 2 * MIB
"""Bytes unanswered, at most, where that are two messages or more …"""
WINDOW = 128
"""… and messages: so few that none should wait for `persist_delay` and be written."""


def curve() -> Curve:
    """What is measured."""
    return Curve(
        "payloads",
        "One federated hop with documents of N bytes",
        "bytes of document",
        [
            Quantity("latency", "latency, median, one at a time", "s"),
            Quantity("throughput", "throughput, pipelined", "B/s"),
            Quantity("rate", "messages", "/s"),
            Quantity("cpu", "CPU of both chat processes per message", "s", at_most=1.15),
            Quantity("byte", "… CPU per byte", "s", at_most=0.15),
            Quantity("written", "rows written to disk per message", "", is_aside=True),
            Quantity("load", "load's share", "core", is_aside=True),
        ],
    )


def measure(setting: Setting) -> Curve:
    """Each size over the same link."""
    found = curve()
    with ExitStack() as stack:
        nodes = setting.pair(stack, "payloads")
        setting.loader.introduce(BETA, ["bob@beta"])
        for size in setting.sizes(100, KIB, 10 * KIB, 100 * KIB, MIB // 4, MIB // 2, MIB, 2 * MIB, short=4):
            found.add(size, _rounds(setting, size, nodes))
    return found


def _rounds(setting: Setting, size: int, nodes: Sequence[Node]) -> list[dict[str, float]]:
    document = bytes(i * 31 % 251 for i in range(size))
    alone = 20 if setting.is_short else max(30, min(500, 20 * MIB // size))
    window = max(2, min(WINDOW, IN_FLIGHT // size))
    seconds = [median(setting.loader.call(one_at_a_time, PAIR, alone, document)) for _ in range(setting.rounds)]
    rounds = hop(setting, nodes, [PAIR], window, document)
    return [
        each | {"latency": latency, "throughput": each["rate"] * size, "byte": each["cpu"] / size}
        for latency, each in zip(seconds, rounds, strict=True)
    ]
