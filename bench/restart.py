"""A server dies under load: `python -m bench.restart [--rounds N] [--clients library|at-once]`.

alice writes 200 messages a second to bob@beta for 12 s; after 3 s beta's chat process, or all its processes, are
killed (SIGKILL), after 5 s they are started again. alice is at alpha or at beta herself. What was lost, shown
twice, out of order, untruly told; and how long it took until messages came again.

Real nodes on loopback addresses, in a network namespace of their own where there can be one (isolation.py); alice
and bob are the client library's. `at-once`: their clients know the server's address and dial it every 50 ms, so
that what is measured is the server; `library`: as they are. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import structlog

from bench.isolation import alone
from parley import ChatFeature, Delivery, DiscoveryService
from parley.shared.addresses import ServerList
from parley.shared.config import load
from parley.shared.wire.messages import pb
from tests.support.nodes import SERVICES, Node, wait_linked

ADDRESSES = {"alpha": "127.0.203.1", "beta": "127.0.203.2"}
RATE = 200
SECONDS, DIES, RETURNS = 12.0, 3.0, 5.0
END = 20.0
"""Seconds that the last messages may take to come."""
AT_ONCE = {"PARLEY_LINK__BACKOFF_MIN": "0.05", "PARLEY_LINK__BACKOFF_MAX": "0.05"}
LIMIT = 1.0
"""Seconds from the restart until messages come again."""


class Scenario(NamedTuple):
    """Where alice is at home, and what of beta dies."""

    author: str
    dies: tuple[str, ...]

    def __str__(self) -> str:
        what = "all processes" if len(self.dies) > 1 else "the chat process"
        return f"alice@{self.author} → bob@beta, {what} of beta killed"


SCENARIOS = [Scenario(author, dies) for author in ("alpha", "beta") for dies in (("chat",), SERVICES)]


class Found(DiscoveryService):
    """Remembers what it found, and asks no more."""

    found: ServerList = ()

    async def discover_servers(
        self, timeout: float | None = None, *, until: Callable[[ServerList], bool] = lambda _servers: False
    ) -> ServerList:
        """Answer at once from the second time on."""
        self.found = self.found or await super().discover_servers(timeout, until=until)
        return self.found


@dataclass
class Story:
    """What happened when (seconds, the event loop's clock)."""

    began: float
    returned: float = 0.0
    sent: int = 0
    shown: list[tuple[float, int]] = field(default_factory=list)
    told: list[tuple[float, int, str]] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Messages that were not shown."""
        return self.sent - len({number for _, number in self.shown})

    @property
    def twice(self) -> int:
        """Messages shown again."""
        return len(self.shown) - len({number for _, number in self.shown})

    @property
    def disorder(self) -> int:
        """Messages shown after a later one."""
        numbers = [number for _, number in self.shown]
        return sum(before > number for before, number in pairwise(numbers))

    @property
    def resumed(self) -> float:
        """Seconds from the restart until a message came."""
        return min((at for at, _ in self.shown if at > self.returned), default=float("inf")) - self.returned

    @property
    def gap(self) -> float:
        """The longest time in which none came, seconds."""
        times = [self.began, *(at for at, _ in self.shown)]
        return max(later - at for at, later in pairwise(times))

    @property
    def statuses(self) -> Counter[str]:
        """What alice was told; what was not so is named."""
        first = {number: at for at, number in reversed(self.shown)}
        return Counter(
            status if _is_true(status, at, first.get(number)) else f"{status}, untrue"
            for at, number, status in self.told
        )

    @property
    def untold(self) -> int:
        """Messages that were shown without alice being told."""
        told = {number for _, number, status in self.told if status == "DELIVERED"}
        return len({number for _, number in self.shown} - told)

    @property
    def faults(self) -> list[str]:
        """What should not be."""
        untrue = sum(count for status, count in self.statuses.items() if "untrue" in status)
        counts = {
            "lost": self.lost, "shown twice": self.twice, "out of order": self.disorder,
            "told untruly": untrue, "delivered and not told": self.untold,
        }  # fmt: skip
        return [f"{count} {what}" for what, count in counts.items() if count]


def _is_true(status: str, told: float, shown: float | None) -> bool:
    """Whether a status about somebody who exists, and is there in the end, was so."""
    if status == "DELIVERED":
        return shown is not None and shown <= told
    if status in {"USER_AWAY", "OTHER_SERVER_TIMEOUT"}:
        return shown is not None  # it was kept
    return status == "UNKNOWN_STATUS" or (status == "OTHER_ERROR" and shown is None)


# A round ---------------------------------------------------------------------------------------------------


def run(scenario: Scenario, directory: Path, *, at_once: bool) -> Story:
    """Start the nodes, and see."""
    with ExitStack() as stack:
        nodes = {
            name: stack.enter_context(Node(name, ADDRESSES[name], directory))
            for name in sorted({scenario.author, "beta"})
        }
        wait_linked(nodes.values())
        return asyncio.run(_tell(scenario, nodes, at_once=at_once))


async def _tell(scenario: Scenario, nodes: dict[str, Node], *, at_once: bool) -> Story:
    now = asyncio.get_running_loop().time
    story = Story(now())
    numbers: dict[int, int] = {}

    def told(delivery: Delivery, *entry: object) -> None:
        story.told.append((now(), numbers[delivery.snowflake], str(entry[-1])))

    def shown(message: pb.ChatMessage) -> None:
        story.shown.append((now(), int(message.textContent)))

    alice = _client(f"alice@{scenario.author}", nodes[scenario.author], at_once=at_once, on_status=told)
    bob = _client("bob@beta", nodes["beta"], at_once=at_once, on_message=shown)
    async with bob, alice:
        for each in (bob, alice):
            await each.handle_connection(await each.discovery.discover_servers())
        story.began = now()
        death = asyncio.create_task(_die(story, nodes["beta"], scenario.dies))
        deliveries = await _write(story, alice, numbers)
        await death
        await asyncio.wait([each.final for each in deliveries], timeout=END)
    return story


def _client(user: str, node: Node, *, at_once: bool, **callbacks: Any) -> ChatFeature:
    config = load(environ=node.environment | (AT_ONCE if at_once else {}))
    return ChatFeature(user, config, discovery=Found(config) if at_once else None, **callbacks)


async def _write(story: Story, alice: ChatFeature, numbers: dict[int, int]) -> list[Delivery]:
    """Send each message when it is due."""
    deliveries = []
    for number in range(int(RATE * SECONDS)):
        await _until(story.began + number / RATE)
        delivery = alice.send("bob@beta", str(number))
        numbers[delivery.snowflake] = number
        deliveries.append(delivery)
        story.sent += 1
    return deliveries


async def _die(story: Story, node: Node, services: Sequence[str]) -> None:
    await _until(story.began + DIES)
    for service in services:
        await asyncio.to_thread(node.kill, service)
    await _until(story.began + RETURNS)
    story.returned = asyncio.get_running_loop().time()
    for service in services:
        await asyncio.to_thread(node.start, service)


async def _until(when: float) -> None:
    """Keep to the schedule: the load is one by the clock."""
    await asyncio.sleep(when - asyncio.get_running_loop().time())


# What is told ------------------------------------------------------------------------------------------------


def show(scenario: Scenario, stories: Sequence[Story]) -> bool:
    """Print the rounds of a scenario; whether they keep the targets."""
    resumed, gaps = [each.resumed for each in stories], [each.gap for each in stories]
    print(f"{scenario}: {len(stories)} rounds of {stories[0].sent} messages")
    print(
        f"  again after the restart: median {median(resumed):.3f} s, worst {max(resumed):.3f} s (limit {LIMIT} s)"
    )
    print(f"  longest gap: median {median(gaps):.3f} s, worst {max(gaps):.3f} s")
    print(f"  told: {dict(sum((each.statuses for each in stories), Counter()))}")
    faults = [f"round {i}: {', '.join(each.faults)}" for i, each in enumerate(stories, 1) if each.faults]
    print(
        "\n".join(f"  {line}" for line in faults or ["none lost, shown twice, out of order or untruly told"]),
        flush=True,
    )
    return not faults and median(resumed) <= LIMIT


def main() -> None:
    """Run all scenarios, or those that are named by numbers."""
    alone()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", choices=["at-once", "library"], default="at-once")
    parser.add_argument("--scenario", type=int, nargs="*", default=range(len(SCENARIOS)), help="0 to 3")
    parser.add_argument("--json", type=Path, help="write the rounds to this file, too")
    arguments = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # the clients' words are not ours
    kept, rows = [], []
    with tempfile.TemporaryDirectory() as name:
        for number in arguments.scenario:
            scenario = SCENARIOS[number]
            stories = [
                run(scenario, Path(name) / f"{number}-{i}", at_once=arguments.clients == "at-once")
                for i in range(arguments.rounds)
            ]
            kept.append(show(scenario, stories))
            rows += [
                {"scenario": str(scenario), "again_s": each.resumed, "gap_s": each.gap, "told": each.statuses,
                 "faults": each.faults}
                for each in stories
            ]  # fmt: skip
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    raise SystemExit(0 if all(kept) else 1)


if __name__ == "__main__":
    main()
