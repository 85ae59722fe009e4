"""Everybody comes back at once: `python -m bench.reconnect [--clients 1000] [--rounds 3]`.

So many clients of the library, each with chat, typing and location at alpha, all lose their connections at the same
moment (each is cut at the client) and dial again. How long until all links are open; and what that does to others:
alice@alpha writes to bob@alpha all the time, both with clients in a process of their own.

Real nodes and clients on loopback addresses, in a network namespace of their own where there can be one
(isolation.py). Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

import structlog

from bench.isolation import alone
from parley import ChatFeature, LocationFeature, TypingFeature
from parley.client.feature_base import FeatureBase
from parley.shared.addresses import ServerList
from parley.shared.config import Config, load
from parley.shared.discovery.discovery import DiscoveryService
from parley.shared.runtime.event_loop import run_loop
from parley.shared.wire.messages import pb
from tests.support.nodes import Node

ALPHA, HOUSE, OTHERS = "127.0.204.1", "127.0.205.{}", "127.0.204.9"
EACH: Final = 16
"""Clients of one address: more have no room there."""
RATE: Final = 100
"""The others' messages a second."""
LIMIT: Final = 10.0
"""Seconds until all are back."""
P99: Final = 0.05
"""Seconds that the others' p99 may reach meanwhile."""


class Known(DiscoveryService):
    """Looks once for everybody, and shares what it found."""

    def __init__(self, config: Config, servers: ServerList) -> None:
        super().__init__(config)
        self._servers = servers

    async def discover_servers(self, *_: object, **__: object) -> ServerList:  # type: ignore[override]
        """What was found."""
        return self._servers


class Round(NamedTuple):
    """Seconds."""

    back: float
    quiet_p99: float
    p99: float
    worst: float


# The crowd ------------------------------------------------------------------------------------------------


def settings(node: dict[str, str], address: str, data: Path) -> Config:
    """A client's configuration at an address, with a directory for its keys."""
    return load(environ=node | {"PARLEY_ADDRESS": address, "XDG_DATA_HOME": str(data)})


async def crowd_of(node: dict[str, str], count: int, data: Path) -> list[FeatureBase]:
    """All clients, connected, some at a time."""
    servers = await DiscoveryService(settings(node, OTHERS, data)).discover_servers()
    features: list[FeatureBase] = []
    for number in range(count):
        config = settings(node, HOUSE.format(1 + number // EACH), data)
        user, known = f"user{number}@alpha", Known(config, servers)
        features += [kind(user, config, discovery=known) for kind in (ChatFeature, TypingFeature, LocationFeature)]
    for at in range(0, len(features), 60):
        await asyncio.gather(*(each.handle_connection(servers) for each in features[at : at + 60]))
    return features


async def cut(features: Sequence[FeatureBase]) -> float:
    """Cut all of them, and wait until all are back: seconds."""
    lost = [each.link.closed for each in features if each.link is not None]
    began = time.monotonic()
    for each in features:
        if each.link is not None:
            each.link.abort()
    await asyncio.gather(*lost)
    await asyncio.gather(*(each.wait_connected() for each in features))
    return time.monotonic() - began


def crowd(pipe: Connection, node: dict[str, str], count: int, data: Path) -> None:
    """The crowd's process: each word is a cut, answered with its seconds."""

    async def serve() -> None:
        features = await crowd_of(node, count, data)
        gc.freeze()
        pipe.send(len(features))
        while await asyncio.to_thread(pipe.recv):
            pipe.send(await cut(features))

    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    os.environ["XDG_DATA_HOME"] = str(data)
    with contextlib.suppress(EOFError):
        run_loop(serve())


# The others -----------------------------------------------------------------------------------------------


async def others(pipe: Connection, node: dict[str, str], data: Path) -> None:
    """Alice writes to bob; each word ends a phase, whose latencies are told."""
    sent: dict[str, float] = {}
    delays: list[float] = []

    def shown(message: pb.ChatMessage) -> None:
        delays.append(time.monotonic() - sent.pop(message.textContent))

    config = settings(node, OTHERS, data)
    async with (
        ChatFeature("alice@alpha", config) as alice,
        ChatFeature("bob@alpha", config, on_message=shown) as bob,
    ):
        for each in (bob, alice):
            await each.handle_connection(await each.discovery.discover_servers())
        pipe.send(True)
        asked = asyncio.create_task(asyncio.to_thread(pipe.recv))
        began, number = time.monotonic(), 0
        while True:
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            sent[str(number)] = time.monotonic()
            alice.send("bob@alpha", str(number))
            number += 1
            if asked.done():
                if not asked.result():
                    return
                now = time.monotonic()
                pipe.send(sorted([*delays, *(now - at for at in sent.values() if now - at > P99)]))
                delays.clear()
                asked = asyncio.create_task(asyncio.to_thread(pipe.recv))


def beside(pipe: Connection, node: dict[str, str], data: Path) -> None:
    """The others' process."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    os.environ["XDG_DATA_HOME"] = str(data)
    with contextlib.suppress(EOFError):
        run_loop(others(pipe, node, data))


# A run ----------------------------------------------------------------------------------------------------


def run(count: int, rounds: int, mode: str, directory: Path) -> list[Round]:
    """One node, one crowd, so many cuts."""
    context = multiprocessing.get_context("spawn")
    found = []
    with Node("alpha", ALPHA, directory, settings={"PARLEY_SECURITY__MODE": mode}) as node:
        environment = {**node.environment, "PARLEY_SECURITY__MODE": mode}
        (ours, theirs), (quiet, writing) = context.Pipe(), context.Pipe()
        many = context.Process(target=crowd, args=(theirs, environment, count, directory / "crowd"), daemon=True)
        few = context.Process(target=beside, args=(writing, environment, directory / "others"), daemon=True)
        many.start()
        few.start()
        ours.recv()
        quiet.recv()
        for _ in range(rounds):
            ask(quiet)
            time.sleep(3.0)  # the length of the quiet phase
            before = ask(quiet)
            back = ask(ours)
            during = ask(quiet)
            found.append(Round(back, share(before, 0.99), share(during, 0.99), during[-1]))
        ours.send(False)
        quiet.send(False)
        many.join(10.0)
        few.join(10.0)
        for each in (many, few):
            if each.is_alive():
                each.kill()
    return found


def ask(pipe: Connection) -> object:
    """Say that it is time, and hear what came of it."""
    pipe.send(True)
    return pipe.recv()


def share(delays: Sequence[float], part: float) -> float:
    """A percentile of sorted figures; infinite where there are none."""
    return delays[min(len(delays) - 1, int(len(delays) * part))] if delays else float("inf")


def main() -> None:
    """Measure, and print."""
    alone()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mode", default="mixed", help="security.mode; open: without TLS")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rounds = run(arguments.clients, arguments.rounds, arguments.mode, Path(name))
    back, p99 = [each.back for each in rounds], [each.p99 for each in rounds]
    print(f"{arguments.clients} clients, three features each, {arguments.mode}: {len(rounds)} rounds")
    print(f"  all are back after: median {median(back):.2f} s, worst {max(back):.2f} s (limit {LIMIT:g} s)")
    print(
        f"  others' p99 meanwhile: median {1e3 * median(p99):.1f} ms (limit {1e3 * P99:g} ms), worst message "
        f"{1e3 * max(each.worst for each in rounds):.0f} ms; quiet p99 {1e3 * rounds[0].quiet_p99:.1f} ms"
    )
    raise SystemExit(0 if median(back) < LIMIT and median(p99) <= P99 else 1)


if __name__ == "__main__":
    main()
