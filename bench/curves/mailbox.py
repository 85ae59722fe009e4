"""N messages wait for somebody: to start with them, to the first one, to hand all over, and the memory."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

from bench.cost import cpu, memory, pids
from bench.curves.curve import Curve, Quantity
from bench.curves.setting import ALPHA, CHAT, Setting
from bench.mailbox import LONG, WINDOW
from tests.support.nodes import Node

AUTHOR, AWAY = "ann@alpha", "bob@alpha"


def curve() -> Curve:
    """What is measured."""
    return Curve(
        "mailbox",
        "N messages of 100 bytes wait for one recipient",
        "messages waiting",
        [
            Quantity("start", "start → ready", "s"),
            Quantity("start_cpu", "CPU of the start", "s", at_most=0.6),
            Quantity("memory", "PSS then", "B", at_most=0.6),
            Quantity("first", "recipient there → first message", "s"),
            Quantity("drain", "→ all, acknowledged and told", "s"),
            Quantity("each", "CPU per drained message", "s", at_most=0.15),
            Quantity("drained_memory", "PSS after the drain", "B", at_most=0.6),
        ],
    )


def measure(setting: Setting) -> Curve:
    """Each size is filled once, kept, and started with and drained several times."""
    found = curve()
    for total in setting.sizes(10, 100, 1_000, 10_000, 100_000, 1_000_000):
        directory = setting.directory / f"mailbox-{total}"
        with Node("alpha", ALPHA, directory, CHAT) as node:
            data = node.directory / "data"
            setting.loader.introduce(ALPHA, [AWAY])
            filled = setting.loader.send(ALPHA, [AUTHOR], [AWAY], total, window=WINDOW)
            assert filled.statuses == {"USER_AWAY": total}, filled
            _stop(node)
            kept = data.rename(directory / "kept")
            rounds = [_round(setting, node, kept, total) for _ in range(setting.rounds)]
        found.add(total, rounds)
        shutil.rmtree(directory)
    return found


def _round(setting: Setting, node: Node, kept: Path, total: int) -> dict[str, float]:
    """Start with what was kept, and hand it over."""
    if node.is_running("chat"):
        _stop(node)
    data = node.directory / "data"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(kept, data)
    began = time.perf_counter()
    node.start("chat")
    node.wait_ready("chat", timeout=LONG)
    figures = {"start": time.perf_counter() - began}
    chat = pids([node], "chat")
    figures |= {"start_cpu": cpu(chat), "memory": memory(chat)}
    used = cpu(chat)
    done = setting.loader.drain(ALPHA, [AWAY], [AUTHOR], total, total)
    assert (done.received, done.again, done.statuses["DELIVERED"]) == (total, 0, total), done
    figures |= {"first": done.firsts[0], "drain": done.seconds, "each": (cpu(chat) - used) / total}
    return figures | {"drained_memory": memory(chat)}


def _stop(node: Node) -> None:
    """End the chat process as its operator does."""
    node.kill("chat", signal.SIGTERM)
    node.wait_exit("chat", LONG)
