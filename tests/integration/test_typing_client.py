"""What the client features send, seen by a relay that loses nothing: how often, to whom, and when no more."""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import pytest

from parley.client.location import LocationFeature
from parley.client.typing import TypingFeature
from parley.services.location import LocationService
from parley.services.typing import TypingService
from parley.shared.audiences import Audience
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, pb
from tests.support.federation import Federation, until
from tests.support.relay import Relay


@asynccontextmanager
async def two(service, feature, network):
    """A federation of one server, ann behind a relay that records, and ben."""
    async with AsyncExitStack() as stack:
        federation = await stack.enter_async_context(Federation(service, network, ["alpha"]))
        relay = Relay(
            federation.fresh_address(), federation.servers[0], feature.feature, 0, loss=0, doubled=0, delay=0
        )
        stack.enter_context(relay)
        ann = await stack.enter_async_context(federation.client(feature, "ann@alpha", relay))
        ben = await stack.enter_async_context(federation.client(feature, "ben@alpha"))
        yield relay, ann, ben


def events(relay):
    return [decode(read_datagram(raw), pb.TypingEvent) for raw in relay.to_server]


def test_somebody_who_types_on_sends_one_event_in_three_seconds_and_a_stop_after_a_pause(monkeypatch):
    monkeypatch.setattr("parley.client.typing.EVENT_INTERVAL", 0.6)
    monkeypatch.setattr("parley.client.typing.PAUSE", 1.5)

    async def check():
        loop = asyncio.get_running_loop()
        async with two(TypingService, TypingFeature, "127.0.68") as (relay, ann, ben):
            ends = loop.time() + 1.5
            while loop.time() < ends:
                assert ann.send_typing("ben@alpha")
                await asyncio.sleep(0.02)
            await until(lambda: ben.typists, what="ben sees it")
            await until(lambda: not ben.typists, 3.0, "the pause")
            *typed, stopped = events(relay)
            assert len(typed) > 1
            assert [event.stopped for event in typed] == [False] * len(typed)
            assert stopped.stopped
            for before, after in pairwise(typed):
                assert after.timestamp - before.timestamp >= 0.6
            assert {Audience.of_typing(event) for event in [*typed, stopped]} == {Audience(ben.user)}

    asyncio.run(check())


def test_a_stop_goes_out_at_once_and_only_where_somebody_typed():
    async def check():
        async with two(TypingService, TypingFeature, "127.0.69") as (relay, ann, ben):
            assert not ann.stop_typing("ben@alpha")
            ann.send_typing("ben@alpha")
            await until(lambda: ben.typists)
            assert ann.stop_typing("ben@alpha")
            await until(lambda: not ben.typists, 1.0)
            assert [event.stopped for event in events(relay)] == [False, True]
            ann.send_typing("ben@alpha")
            await until(lambda: ben.typists, 1.0, "typing after a stop is rounds at once")

    asyncio.run(check())


def test_what_the_server_has_heard_is_not_sent_again():
    async def check():
        async with two(LocationService, LocationFeature, "127.0.70") as (relay, ann, ben):
            ann.send_location("ben@alpha", 1.0, 2.0, expiry_at=time.time() + 60)
            await until(lambda: ben.locations)
            assert await ann.retransmissions.wait(1.0)
            ann.stop_sharing("ben@alpha")
            await until(lambda: not ben.locations, 1.0)
            assert await ann.retransmissions.wait(1.0)
            assert len(relay.to_server) == 2

    asyncio.run(check())


@pytest.mark.parametrize("loss", [1.0])
def test_what_nobody_hears_is_given_up(loss, monkeypatch):
    monkeypatch.setattr("parley.client.typing.CONFIRMED_WITHIN", 0.9)

    async def check():
        async with two(TypingService, TypingFeature, "127.0.71") as (relay, ann, _):
            relay._loss = loss
            ann.send_typing()
            assert await ann.retransmissions.wait(2.0)
            assert len(relay.to_server) > 1
            assert len({event.timestamp for event in events(relay)}) == 1

    asyncio.run(check())


def test_a_client_that_connects_gets_the_present_state_at_once():
    async def check():
        async with AsyncExitStack() as stack:
            federation = await stack.enter_async_context(Federation(LocationService, "127.0.72", ["alpha", "beta"]))
            ann = await stack.enter_async_context(federation.client(LocationFeature, "ann@alpha"))
            ann.send_location("ben@beta", 1.0, 2.0, expiry_at=time.time() + 60)
            await until(lambda: len(federation.services["beta"].positions) == 1)
            ben = await stack.enter_async_context(federation.client(LocationFeature, "ben@beta"))
            await until(lambda: ben.locations, 0.3, "ben sees what was shared before")

    asyncio.run(check())


def test_what_is_new_is_told_whole_before_it_is_told_again(monkeypatch):
    """What is rounds again is the newest only: who keeps the newest list would get it ahead of older people."""

    async def check():
        async with Federation(TypingService, "127.0.74", ["alpha"]) as federation:
            service, rounds = federation.services["alpha"], []

            def send_to_subscribers(since, *, again):
                rounds.append((since, again))
                yield

            monkeypatch.setattr(service, "send_to_subscribers", send_to_subscribers)
            ann, ben = pb.User(userId="ann", serverId="beta"), pb.User(userId="ben", serverId="beta")
            service.update(pb.TypingEvent(user=ann, timestamp=time.time()), None, "127.0.0.1")
            await until(lambda: rounds and not len(service._rounds))
            service.update(pb.TypingEvent(user=ben, timestamp=time.time()), None, "127.0.0.1")
            service._run_repeat()
            await until(lambda: len(rounds) == 3)
            assert rounds == [(0, False), (1, False), (0, True)]

    asyncio.run(check())
