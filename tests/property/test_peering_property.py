"""Servers that dial each other end with exactly one link per pair, the same on both sides, whatever happens.

The real ServiceBase, Peering, Connector, Link and Session run here; only time and the network are simulated.
"""

import itertools
from dataclasses import dataclass

import pytest
import structlog
from hypothesis import event, given, settings
from hypothesis import strategies as st

from parley.shared.config import LinkConfig
from parley.shared.wire.framing import FrameReader
from tests.support.simulated import SimulatedLoop
from tests.support.simulated_servers import SimulatedServer, connections_between

TROUBLED = 40.0
"""Seconds within which everything that goes wrong goes wrong."""
_LINK = LinkConfig()
SETTLED = _LINK.connect_timeout + 2 * _LINK.peer_ping_timeout + 1 + 2 * _LINK.backoff_max
"""Seconds after which all is well again: a dead link is noticed, then backed off from, twice."""
QUIET = 30.0

IDS = [("alpha", "beta", "gamma"), ("B", "a", "ä"), ("10", "9", "9a"), ("beta", "alpha", "GAMMA")]
TROUBLES = [
    "reset", "cut", "dialler lost it", "listener lost it", "killed", "power lost", "restarted", "unreachable",
]  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _no_logs():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


@dataclass(frozen=True)
class Story:
    """What happens to some servers, and when (seconds)."""

    ids: tuple[str, ...]
    meetings: dict[tuple[int, int], float | None]
    """When the one hears of the other; None: never (the other then does)."""
    latencies: tuple[float, ...]
    troubles: tuple[tuple[float, str, int], ...]


@st.composite
def stories(draw, count, *, troubled):
    ids = draw(st.permutations(draw(st.sampled_from(IDS))[:count]))
    when = st.sampled_from([0.0, 0.001, 0.5]) | st.floats(0, 10)
    meetings: dict[tuple[int, int], float | None] = {}
    for one, other in itertools.combinations(range(count), 2):
        meetings[one, other] = draw(when)
        meetings[other, one] = draw(when | st.none())
    latency = st.sampled_from([0.001, 0.01, 0.5]) | st.floats(0, 2.5)
    latencies = draw(st.lists(latency, min_size=1, max_size=20))
    trouble = st.tuples(st.floats(0, TROUBLED), st.sampled_from(TROUBLES), st.integers(0, 20))
    troubles = draw(st.lists(trouble, max_size=6)) if troubled else []
    return Story(tuple(ids), meetings, tuple(latencies), tuple(sorted(troubles)))


class World:
    """A story that is played."""

    def __init__(self, story):
        self.story = story
        self.loop = SimulatedLoop()
        latencies = itertools.cycle(story.latencies)
        self.loop.network.latency = lambda: next(latencies) if self.loop.now < TROUBLED else 0.001
        self.servers = [self.loop.run(self.make(n)) for n in range(len(story.ids))]

    async def make(self, number):
        return SimulatedServer(self.loop, self.story.ids[number], f"10.0.0.{number}")

    def play(self):
        steps = [(t, self.meet, pair) for pair, t in self.story.meetings.items() if t is not None]
        steps += [(t, self.trouble, (kind, number)) for t, kind, number in self.story.troubles]
        for time, do, what in sorted(steps, key=lambda step: step[0]):
            self.loop.run_for(max(0.0, time - self.loop.now))
            self.loop.run(do(*what))
        self.loop.run_for(TROUBLED - self.loop.now)
        self.loop.network.unreachable.clear()

    async def meet(self, one, other):
        known = {peer.server_id for peer in self.servers[one].peering.peers} | {self.story.ids[other]}
        await self.servers[one].knows(*(s for s in self.servers if s.server_id in known))

    async def trouble(self, kind, number):
        server = number % len(self.servers)
        alive = [c for c in self.loop.network.connections if c.is_alive and c.dialled.protocol is not None]
        if kind in ("killed", "power lost", "restarted"):
            await self.restart(server, kind)
        elif kind == "unreachable":
            self.loop.network.unreachable ^= {self.servers[server].host}
        elif alive:
            connection = alive[number % len(alive)]
            if kind == "reset":
                connection.reset()
                return
            connection.cut()
            if kind == "dialler lost it":
                connection.dialled.abort()
            elif kind == "listener lost it":
                connection.accepted.abort()

    async def restart(self, number, kind):
        """A new process with the same name: what the old one knew it hears anew."""
        old = self.servers[number]
        mine = [c for c in self.loop.network.connections if old in (_owner(c.dialled), _owner(c.accepted))]
        await old.crash()
        for connection in mine:
            if kind == "power lost":
                connection.cut()
            elif kind == "killed":
                connection.reset()
        self.servers[number] = await self.make(number)
        for pair, time in self.story.meetings.items():
            if pair[0] == number and time is not None and time <= self.loop.now:
                await self.meet(*pair)

    def assert_one_link_each(self):
        for one, other in itertools.combinations(self.servers, 2):
            here, there = one.link_to(other), other.link_to(one)
            assert here is not None, f"{one.server_id} has no link to {other.server_id}"
            assert there is not None, f"{other.server_id} has no link to {one.server_id}"
            assert here.is_open
            assert there.is_open
            (connection,) = connections_between(self.loop, one, other)
            assert {connection.dialled.protocol, connection.accepted.protocol} == {here, there}

    def end(self):
        for server in self.servers:
            self.loop.run(server.stop())
        self.loop.run_for(QUIET)
        self.loop.close()


def _owner(transport):
    return transport.protocol._owner if transport.protocol is not None else None


def settle(story):
    """Play a story; check that it ends well, and that it has ended."""
    world = World(story)
    try:
        world.play()
        world.loop.run_for(SETTLED)
        world.assert_one_link_each()
        changes = [server.changes for server in world.servers]
        world.loop.run_for(QUIET)
        world.assert_one_link_each()
        assert [server.changes for server in world.servers] == changes
    finally:
        world.end()
    return world


@settings(deadline=None, max_examples=80)
@given(stories(2, troubled=False))
def test_two_servers_that_dial_each_other_end_with_one_link(story):
    settle(story)


@settings(deadline=None, max_examples=150)
@given(stories(2, troubled=True))
def test_two_servers_end_with_one_link_after_any_trouble(story):
    world = settle(story)
    event(f"connections: {min(len(world.loop.network.connections), 10)}")


@settings(deadline=None, max_examples=60)
@given(stories(3, troubled=True))
def test_three_servers_end_with_one_link_a_pair_after_any_trouble(story):
    settle(story)


def said(transport):
    return [frame.name for frame in FrameReader(1 << 20).feed(bytes(transport.written))]


@pytest.mark.parametrize(
    "ids", [("alpha", "beta"), ("beta", "alpha"), ("B", "a"), ("a", "B"), ("z", "ä"), ("10", "9")]
)
def test_of_two_links_dialled_at_once_the_smaller_servers_stays(ids):
    """The other is answered IS_ALREADY_CONNECTED_ERROR, and its dialler hangs up (protocol.md)."""
    world = World(Story(ids, {(0, 1): 0.0, (1, 0): 0.0}, (0.5,), ()))
    world.play()
    smaller, greater = sorted(world.servers, key=lambda server: server.server_id.encode())
    assert smaller.link_to(greater).dialled
    assert not greater.link_to(smaller).dialled
    one, other = world.loop.network.connections
    kept, lost = (one, other) if one.is_alive else (other, one)
    assert kept.dialled.protocol is smaller.link_to(greater)
    assert not lost.is_alive
    assert said(lost.dialled) == ["CONNECT_SERVER", "HANGUP"]
    assert said(lost.accepted) == ["CONNECTED"]
    assert [server.changes for server in world.servers] == [1, 1]
    world.end()
