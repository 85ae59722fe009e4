"""Typing over a network that loses, doubles and reorders datagrams: right within 2 s, and nothing sticks."""

import asyncio
import random
import time
from contextlib import AsyncExitStack

import pytest

from parley.client.location import LocationFeature
from parley.client.typing import TypingFeature
from parley.services.location import LocationService
from parley.services.typing import TypingService
from tests.support.federation import Federation, until
from tests.support.relay import Relay

pytestmark = pytest.mark.timed

PAIRS = 12
ROUNDS = 3
RIGHT_WITHIN = 2.0
LATE = 0.7
"""Seconds after that in which nothing may change."""


async def right_after(seconds, predicate, what):
    """See that it holds so long after the last event, and goes on to hold: what comes late changes nothing."""
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds
    await until(lambda: loop.time() >= due, seconds + 1.0)
    ends = loop.time() + LATE
    while loop.time() < ends:
        assert predicate(), what
        await asyncio.sleep(0.02)


def _in(seconds):
    return time.time() + seconds


class People:
    """Pairs of people at two servers, each behind a relay of their own."""

    def __init__(self, stack, federation, kind):
        self._stack, self._federation, self._kind = stack, federation, kind
        self.relays = []

    async def add(self, user):
        federation = self._federation
        [server] = [s for s in federation.servers if s.server_id == user.split("@")[1]]
        relay = Relay(federation.fresh_address(), server, self._kind.feature, user)
        self.relays.append(self._stack.enter_context(relay))
        return await self._stack.enter_async_context(federation.client(self._kind, user, relay))


async def pairs_of(stack, service, feature, network):
    federation = await stack.enter_async_context(Federation(service, network, ["alpha", "beta"]))
    people = People(stack, federation, feature)
    pairs = [(await people.add(f"a{i}@alpha"), await people.add(f"b{i}@beta")) for i in range(PAIRS)]
    return people, pairs


def test_typing_is_right_within_two_seconds_of_the_last_event_and_none_sticks(figure):
    async def check():
        async with AsyncExitStack() as stack:
            people, pairs = await pairs_of(stack, TypingService, TypingFeature, "127.0.61")
            choose = random.Random(5)
            for _ in range(ROUNDS):
                expected = []
                for author, reader in pairs:
                    stops = choose.random() < 0.5
                    author.send_typing(reader.user)
                    expected.append((reader, [] if stops else [author.user]))
                    if stops:
                        await asyncio.sleep(choose.uniform(0, 0.05))
                        author.stop_typing(reader.user)
                await right_after(
                    RIGHT_WITHIN,
                    lambda expected=expected: all([t.user for t in r.typists] == who for r, who in expected),
                    "everyone sees who types and who stopped",
                )
                for author, reader in pairs:
                    author.stop_typing(reader.user)
                await right_after(RIGHT_WITHIN, lambda: not any(r.typists for _, r in pairs), "nobody types")
            lost, passed = (sum(getattr(r, name) for r in people.relays) for name in ("lost", "passed"))
            assert lost > (lost + passed) / 10
            figure(f"typing, {lost} of {lost + passed} datagrams lost: right within {RIGHT_WITHIN:g} s each time")

    asyncio.run(check())


def test_typing_that_ends_without_a_word_is_gone_after_its_expiry():
    async def check():
        async with AsyncExitStack() as stack:
            federation = await stack.enter_async_context(
                Federation(TypingService, "127.0.62", ["alpha", "beta"], typing={"typing_expiry": 1.0})
            )
            people = People(stack, federation, TypingFeature)
            author, reader = await people.add("a@alpha"), await people.add("b@beta")
            author.send_typing()
            await until(lambda: reader.typists, RIGHT_WITHIN)
            await author.close()
            await until(lambda: not reader.typists, 1.0 + 0.3, "the entry is gone")
            await right_after(0.0, lambda: not reader.typists, "it stays away")

    asyncio.run(check())


def test_positions_are_right_within_two_seconds_of_the_last_event_and_none_sticks():
    async def check():
        async with AsyncExitStack() as stack:
            _, pairs = await pairs_of(stack, LocationService, LocationFeature, "127.0.63")
            choose = random.Random(6)
            for _ in range(ROUNDS):
                expected = []
                for author, reader in pairs:
                    for step in range(3):
                        author.send_location(reader.user, step, choose.randint(0, 90), expiry_at=_in(60))
                    last = author._shared
                    places = [next(iter(last.values())).location.location.longitude]
                    if choose.random() < 0.5:
                        author.stop_sharing(reader.user)
                        places = []
                    expected.append((reader, places))
                await right_after(
                    RIGHT_WITHIN,
                    lambda expected=expected: all([p.longitude for p in r.locations] == w for r, w in expected),
                    "everyone sees where the others are, or that they stopped",
                )
            for author, reader in pairs:
                author.send_location(reader.user, 1.0, 1.0, expiry_at=_in(0.8))
            await until(lambda: not any(r.locations for _, r in pairs), 0.8 + 1.0, "all have expired")

    asyncio.run(check())
