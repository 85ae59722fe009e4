"""Our client features at an existing server: nothing that it would misunderstand."""

import asyncio
import time

import pytest

from parley.client.location import LocationFeature
from parley.client.typing import TypingFeature
from parley.shared.addresses import Endpoint, Server
from tests.support.federation import configuration, until
from tests.support.plain_server import LOCATION, TYPING, PlainServer

EAST = "127.0.73.1"


@pytest.fixture
def east():
    with PlainServer("east", EAST, ports={TYPING: (0, 0), LOCATION: (0, 0)}, enough=0) as server:
        yield server


def server_list(east, feature):
    port = east.address_of(feature)[1]
    return (Server("east", {feature: (Endpoint(EAST, port, east._udp[feature].getsockname()[1]),)}),)


def test_a_stop_and_what_is_for_one_person_are_not_sent_to_who_would_tell_everyone(east):
    async def check():
        async with TypingFeature("ann@east", configuration("127.0.73.10")) as ann:
            await ann.handle_connection(server_list(east, TYPING))
            assert not ann.send_typing("ben@east")
            assert not ann.stop_typing()
            assert ann.send_typing()
            await until(lambda: any("ann" in key for key in east.typing), what="what is for everyone")
            assert not ann.stop_typing()
            assert len([e for e in east.received if e.name == "TYPING_EVENT"]) == 1

    asyncio.run(check())


def test_a_location_is_ended_by_its_expiry(east):
    async def check():
        async with LocationFeature("ann@east", configuration("127.0.73.11")) as ann:
            await ann.handle_connection(server_list(east, LOCATION))
            ann.send_location("ben@east", 1.0, 2.0, expiry_at=time.time() + 60)
            ann.stop_sharing("ben@east")
            await until(lambda: len(sent(east)) == 2)
            first, last = sent(east)
            assert first["expiry_at"] > time.time()
            assert last["expiry_at"] <= time.time()
            assert last["location"] == first["location"]

    asyncio.run(check())


def sent(east):
    return [each.fields for each in east.received if each.name == "LIVE_LOCATION"]
