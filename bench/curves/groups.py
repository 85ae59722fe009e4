"""A message to a group, until each member has it: at one server, half at another, or all at ten others.

Of those at ten others the CPU is that of the group's server alone, and somebody else there is pinged meanwhile.
"""

from __future__ import annotations

from contextlib import ExitStack

from bench.cost import pids
from bench.curves.clients import Where
from bench.curves.curve import Curve, Quantity
from bench.curves.members import Bystander, fan_out
from bench.curves.setting import ALPHA, BETA, Setting
from bench.load import leave, serve
from parley.shared.addresses import User

ONE, TWO, TEN = "one server", "half at a second server", "ten other servers"
OTHERS, OTHERS_SHORT = 10, 2


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
            Quantity("ping", "slowest PONG to another user meanwhile", "s", is_aside=True),
            Quantity("load", "load's share", "core", is_aside=True),
        ],
    )


def measure(setting: Setting) -> Curve:
    """Each size at the same servers."""
    found = curve()
    sizes = setting.sizes(10, 50, 200, 1000, 2000)
    with ExitStack() as stack:
        servers = pids(setting.pair(stack, "groups"), "chat")
        for variant in (ONE, TWO):
            for members in sizes:
                where = [(BETA, "beta"), (ALPHA, "alpha")] if variant == TWO else [(ALPHA, "alpha")]
                found.add(members, _rounds(setting, members, servers, where), variant)
    with ExitStack() as stack:
        alpha, *others = setting.star(stack, "star", OTHERS_SHORT if setting.is_short else OTHERS)
        servers, where = pids([alpha], "chat"), [(node.address, node.server_id) for node in others]
        for members in sizes:
            found.add(members, _rounds(setting, members, servers, where), TEN)
    return found


def _rounds(
    setting: Setting, size: int, servers: list[int], where: list[tuple[str, str]]
) -> list[dict[str, float]]:
    """The author is at alpha, and the members at those addresses and servers in turn."""
    homes = [where[i % len(where)] for i in range(size - 1)]
    people: list[Where] = [(address, f"m{i}@{server_id}") for i, (address, server_id) in enumerate(homes)]
    rounds = []
    for i in range(setting.rounds):
        group = f"#crew-{size}-{len(where)}-{i}@alpha"
        author = ALPHA, f"author-{size}@alpha"
        bystander = Bystander(ALPHA, User(f"bystander-{size}", "alpha"))  # not in the loading process: it is busy
        serve([bystander])
        call = setting.loader.begin(fan_out, author, people, group, servers, seconds=setting.seconds)
        bystander.ping_until(call.done)
        leave(bystander)
        done = call.result()
        began, ended = done.sending
        pongs = [pong.took for pong in bystander.pongs if began < pong.came and pong.sent < ended]
        messages = len(done.told)
        copies = messages * (size - 1)
        seconds = sum(each.seconds for each in done.told)
        rounds.append(
            {
                "arrived": sum(done.arrived) / messages,
                "told": seconds / messages,
                "cpu": sum(each.servers for each in done.told) / copies,
                "join_cpu": done.joined.servers / size,
                "ping": max(pongs, default=0.0),  # none, where a short round was over before the next PING
                "load": sum(each.loading for each in done.told) / seconds,
            }
        )
    return rounds
