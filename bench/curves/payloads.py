"""One federated hop with documents of 100 bytes to 2 MiB: how soon, how many bytes a second, what a byte costs."""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

from bench.cost import pids
from bench.curves.clients import exchange, one_at_a_time
from bench.curves.curve import Curve, Quantity
from bench.curves.setting import ALPHA, BETA, Setting

KIB, MIB = 1024, 1024 * 1024
PAIR = ((ALPHA, "ann@alpha"), (BETA, "bob@beta"))
IN_FLIGHT = 4 * MIB
"""Bytes unanswered, at most …"""
WINDOW = 256
"""… and messages."""


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
            Quantity("byte", "… per byte", "s", at_most=0.1),
            Quantity("load", "load's share", "core"),
        ],
    )


def measure(setting: Setting) -> Curve:
    """Each size over the same link."""
    found = curve()
    with ExitStack() as stack:
        servers = pids(setting.pair(stack, "payloads"), "chat")
        setting.loader.introduce(BETA, ["bob@beta"])
        for size in setting.sizes(100, KIB, 10 * KIB, 100 * KIB, MIB, 2 * MIB, short=4):
            found.add(size, _rounds(setting, size, servers))
    return found


def _rounds(setting: Setting, size: int, servers: list[int]) -> list[dict[str, float]]:
    document = bytes(i * 31 % 251 for i in range(size))
    alone = 20 if setting.is_short else max(30, min(500, 20 * MIB // size))
    window = max(2, min(WINDOW, IN_FLIGHT // size))
    seconds = [median(setting.loader.call(one_at_a_time, PAIR, alone, document)) for _ in range(setting.rounds)]
    done = setting.loader.call(
        exchange, [PAIR], window, servers, rounds=setting.rounds, seconds=setting.seconds, document=document
    )
    return [
        {
            "latency": latency,
            "throughput": messages * size / cost.seconds,
            "rate": messages / cost.seconds,
            "cpu": cost.servers / messages,
            "byte": cost.servers / messages / size,
            "load": cost.loading / cost.seconds,
        }
        for latency, (messages, cost) in zip(seconds, done, strict=True)
    ]
