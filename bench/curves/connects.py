"""How many clients a chat process lets in and out per second, so many of them at the same time."""

from __future__ import annotations

from bench.cost import pids
from bench.curves.clients import connect_and_leave
from bench.curves.curve import Curve, Quantity
from bench.curves.setting import ALPHA, CHAT, Setting
from tests.support.nodes import Node


def curve() -> Curve:
    """What is measured."""
    return Curve(
        "connects",
        "Clients connecting and leaving, again and again, at one chat process",
        "clients at a time",
        [
            Quantity("rate", "connects", "/s"),
            Quantity("greeting", "connect() → CONNECTED, median", "s"),
            Quantity("cpu", "chat CPU per connect", "s", at_most=0.15),
            Quantity("load", "load's share", "core", is_aside=True),
        ],
    )


def measure(setting: Setting) -> Curve:
    """Each number of clients at one process, which knows the users already."""
    found = curve()
    with Node("alpha", ALPHA, setting.directory / "connects", CHAT) as node:
        sizes = setting.sizes(1, 10, 100, 1000)
        names = [f"u{i}@alpha" for i in range(max(sizes))]
        setting.loader.introduce(ALPHA, names)
        for clients in sizes:
            total = 200 if setting.is_short else max(1500, 3 * clients)
            rounds = []
            for _ in range(setting.rounds):
                done = setting.loader.call(connect_and_leave, ALPHA, names[:clients], total, pids([node], "chat"))
                rounds.append(
                    {
                        "rate": total / done.cost.seconds,
                        "greeting": done.greeting,
                        "cpu": done.cost.servers / total,
                        "load": done.cost.loading / done.cost.seconds,
                    }
                )
            found.add(clients, rounds)
    return found
