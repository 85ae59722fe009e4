"""A message to a group, until each member has it; all members at one server, or half of them at another."""

from __future__ import annotations

from contextlib import ExitStack

from bench.cost import pids
from bench.curves.clients import Where
from bench.curves.curve import Curve, Quantity
from bench.curves.members import fan_out
from bench.curves.setting import ALPHA, BETA, Setting

ONE, TWO = "one server", "half at a second server"


def curve() -> Curve:
    """What is measured."""
    return Curve(
        "groups",
        "A message to a group",
        "members",
        [
            Quantity("arrived", "send → all have it", "s"),
            Quantity("told", "send → author knows", "s"),
            Quantity("cpu", "chat CPU per copy, answered", "s", at_most=0.15),
            Quantity("join_cpu", "chat CPU per joining member", "s", at_most=1.1),
            Quantity("load", "load's share", "core", is_aside=True),
        ],
    )


def measure(setting: Setting) -> Curve:
    """Each size at the same two servers."""
    found = curve()
    with ExitStack() as stack:
        servers = pids(setting.pair(stack, "groups"), "chat")
        for variant in (ONE, TWO):
            for members in setting.sizes(10, 50, 200, 1000, 2000):
                found.add(members, _rounds(setting, members, servers, variant == TWO), variant)
    return found


def _rounds(setting: Setting, size: int, servers: list[int], is_split: bool) -> list[dict[str, float]]:
    people: list[Where] = [
        (BETA, f"m{i}@beta") if is_split and i % 2 else (ALPHA, f"m{i}@alpha") for i in range(size)
    ]
    rounds = []
    for i in range(setting.rounds):
        group = f"#crew-{size}-{is_split}-{i}@alpha"
        done = setting.loader.call(fan_out, people[0], people[1:], group, servers, seconds=setting.seconds)
        messages = len(done.told)
        copies = messages * (size - 1)
        seconds = sum(each.seconds for each in done.told)
        rounds.append(
            {
                "arrived": sum(done.arrived) / messages,
                "told": seconds / messages,
                "cpu": sum(each.servers for each in done.told) / copies,
                "join_cpu": done.joined.servers / size,
                "load": sum(each.loading for each in done.told) / seconds,
            }
        )
    return rounds
