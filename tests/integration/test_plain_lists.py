"""An existing client at a node on which people say what only Parleys say: it is shown what it can take of that."""

import asyncio
import time
from contextlib import AsyncExitStack

from parley.client.location import LocationFeature
from parley.client.typing import TypingFeature
from parley.services.location import LocationService
from parley.services.typing import TypingService
from tests.interop.programs.code_one_client import CodeOneClient
from tests.interop.recorder import Recorder
from tests.support.federation import Federation
from tests.support.plain_link import Announced
from tests.support.plain_server import LOCATION, TYPING


async def plain_client(stack, federation, name):
    """An existing client of USER@SERVER, connected there."""
    user_id, server_id = name.split("@")
    address = federation.fresh_address()
    service = federation.services[server_id]
    client = CodeOneClient(user_id, server_id, address, udp_ports={TYPING: 0, LOCATION: 0})
    client.tap = Recorder({service.config.address}).tap(name, client.names, address)
    stack.enter_context(client)
    offer = {service.feature: (service.listener.port, service.udp_port)}
    client.servers = [Announced(server_id, service.config.address, offer)]
    await asyncio.to_thread(client.connect, service.feature)
    return client


def wait(client, predicate):
    """Wait in a thread: it is the test's loop that serves."""
    return asyncio.to_thread(client.wait_for, predicate)


def names(client):
    return [event["user"]["userId"] for event in client.typing]


def assert_plain(*clients):
    for client in clients:
        assert client.death == ""
        assert client.dropped == 0
        assert client.tap.faults == {}


def test_what_people_type_to_one_another_and_when_they_stop():
    async def check():
        async with AsyncExitStack() as stack:
            federation = await stack.enter_async_context(Federation(TypingService, "127.0.74", ["alpha", "beta"]))
            bob = await plain_client(stack, federation, "bob@alpha")
            eve = await plain_client(stack, federation, "eve@alpha")
            ann = await stack.enter_async_context(federation.client(TypingFeature, "ann@beta"))
            ann.send_typing("bob@alpha")
            await wait(bob, lambda: names(bob) == ["ann"])
            ann.send_typing()
            await wait(eve, lambda: names(eve) == ["ann"])
            await wait(bob, lambda: names(bob) == ["ann"] and bob.typing[0] == eve.typing[0])
            ann.stop_typing()
            await wait(eve, lambda: names(eve) == [])
            assert names(bob) == ["ann"]
            ann.stop_typing("bob@alpha")
            await wait(bob, lambda: names(bob) == [])
            await asyncio.to_thread(bob.send_typing)
            await wait(eve, lambda: names(eve) == ["bob"])
            assert_plain(bob, eve)

    asyncio.run(check())


def test_a_stopped_location_hides_no_other():
    """The stop is the newest of what changed, and so would be the first of its list."""

    async def check():
        async with AsyncExitStack() as stack:
            federation = await stack.enter_async_context(
                Federation(LocationService, "127.0.75", ["alpha", "beta"], location={"fanout_interval": 0.3})
            )
            bob = await plain_client(stack, federation, "bob@alpha")
            ann = await stack.enter_async_context(federation.client(LocationFeature, "ann@beta"))
            zoe = await stack.enter_async_context(federation.client(LocationFeature, "zoe@beta"))
            until_then = time.time() + 60
            for person in (ann, zoe):
                assert person.send_location("bob@alpha", 1.0, 2.0, expiry_at=until_then)
                await wait(bob, lambda person=person: latitudes(bob, person))
            assert zoe.send_location("bob@alpha", 5.0, 2.0, expiry_at=until_then)
            assert ann.stop_sharing("bob@alpha")
            await wait(bob, lambda: ended(bob, "ann") and 5.0 in latitudes(bob, zoe))
            assert_plain(bob)

    asyncio.run(check())


def latitudes(client, person):
    return {
        place["location"]["latitude"]
        for place in client.locations
        if place["author"]["userId"] == person.user.user_id and "location" in place
    }


def entries_of(frame):
    return [each["live_location"] for each in frame.fields.get("extended_live_locations", [])]


def ended(client, author):
    """Whether it was told that an author's stream is over: with no place, and an end that has passed."""
    return any(
        "location" not in each
        and each.get("expiry_at", 0.0) <= each["timestamp"]
        and each["author"]["userId"] == author
        for frame in client.received
        if frame.name == "LIVE_LOCATIONS"
        for each in entries_of(frame)
    )
