"""Location and chat of one node: the message that begins a stream, and groups whose members come and go."""

import asyncio
import itertools
import time

import pytest

from parley.client.location import LocationFeature
from parley.shared.addresses import Endpoint, Server, User
from parley.shared.audiences import Audience
from tests.support.commands import client_environment, run_parley
from tests.support.federation import configuration, until
from tests.support.nodes import Node, wait_linked
from tests.support.plain_client import PlainClient
from tests.support.plain_server import LOCATION

NORTH, SOUTH = "127.0.67.1", "127.0.67.2"
SERVICES = ("discovery", "chat", "location")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    with (
        Node("north", NORTH, directory, SERVICES) as north,
        Node("south", SOUTH, directory, SERVICES) as south,
    ):
        wait_linked([north, south], SERVICES[1:])
        yield north, south


def server_list(*nodes):
    return tuple(Server(n.server_id, {LOCATION: (Endpoint(n.address, 8888, 8889),)}) for n in nodes)


class Known:
    """Finds what is known: other tests' nodes may have the same names."""

    def __init__(self, *nodes):
        self._servers = server_list(*nodes)

    async def discover_servers(self, timeout=None, *, until=None):  # noqa: ARG002 - it takes no time
        return self._servers


def feature(name, address, node):
    return LocationFeature(name, configuration(address), discovery=Known(node))


_numbers = itertools.count(1)


def in_a_minute():
    return time.time() + 60


@pytest.fixture
def bob(nodes):
    name = f"bob{next(_numbers)}"  # nobody whom an earlier test shared with
    with PlainClient(name, "south", "127.0.67.11", broadcast=nodes[1].address, enough=1) as client:
        client.connect()
        client.connect(LOCATION)
        yield client


def name_of(client):
    return f"{client.user['userId']}@south"


def received(client):
    return [each.fields["extended_live_locations"] for each in client.received if each.name == "LIVE_LOCATIONS"]


def test_the_first_fix_is_a_message_too_whose_number_is_in_the_list(nodes, bob):
    async def check():
        async with feature("alice@north", "127.0.67.20", nodes[0]) as alice:
            await alice.handle_connection(server_list(nodes[0]))
            alice.send_location(name_of(bob), 1.0, 2.0, expiry_at=in_a_minute())
            await until(lambda: bob.messages and bob.locations, what="the message and the location")
            [message] = bob.messages
            assert message["live_location"]["location"] == {"latitude": 1.0, "longitude": 2.0}
            assert received(bob)[0][0]["messageSnowflake"] == message["messageSnowflake"]
            await until(
                lambda: alice._snowflakes.get(Audience(User.parse(name_of(bob)))) == message["messageSnowflake"]
            )
            alice.send_location(name_of(bob), 3.0, 4.0, expiry_at=in_a_minute())
            await until(lambda: bob.locations[-1].get("location", {}).get("latitude") == 3.0)
            alice.stop_sharing(name_of(bob))
            await until(lambda: "location" not in bob.locations[-1], what="the last word")
            assert len(bob.messages) == 1
            alice.send_location(name_of(bob), 5.0, 6.0, expiry_at=in_a_minute())
            await until(lambda: len(bob.messages) == 2, what="a message for the new stream")

    asyncio.run(check())


def test_a_location_process_that_was_started_anew_sends_no_second_message(nodes, bob):
    north, south = nodes

    async def check():
        async with feature("ann@north", "127.0.67.21", nodes[0]) as ann:
            await ann.handle_connection(server_list(north))
            ann.send_location(name_of(bob), 1.0, 2.0, expiry_at=in_a_minute())
            await until(lambda: bob.messages and ann._snowflakes, what="the message")
            north.kill("location")
            north.start("location")
            await asyncio.to_thread(wait_linked, [north, south], ["location"])
            await until(lambda: north.status("location")["streams"] == 1, what="the stream is known again")
            ann.send_location(name_of(bob), 7.0, 8.0, expiry_at=in_a_minute())
            await until(lambda: bob.locations[-1].get("location", {}).get("latitude") == 7.0)
            assert len(bob.messages) == 1

    asyncio.run(check())


def group(action, user, tmp_path):
    ended = run_parley(
        "group",
        action,
        "#crew@north",
        "--as",
        user,
        environment=client_environment("127.0.67.30", tmp_path, PARLEY_SECURITY__MODE="open"),
    )
    assert ended.returncode == 0, ended.stderr


def test_a_group_s_members_see_its_locations_and_whoever_leaves_no_longer(nodes, bob, tmp_path):
    for user in ("carl@north", name_of(bob)):
        group("join", user, tmp_path)

    async def check():
        async with (
            feature("carl@north", "127.0.67.22", nodes[0]) as carl,
            feature("eve@south", "127.0.67.23", nodes[1]) as eve,
        ):
            await carl.handle_connection(server_list(nodes[0]))
            await eve.handle_connection(server_list(nodes[1]))
            carl.send_location("#crew@north", 1.0, 2.0, expiry_at=in_a_minute())
            await until(lambda: bob.locations and bob.messages, what="bob sees it")
            [message] = [m for m in bob.messages if m["author"]["userId"] == "carl"]
            assert message["userOfGroup"]["group"]["groupId"] == "crew"
            assert received(bob)[-1][0]["live_location"]["userOfGroup"]["user"] == bob.user
            assert received(bob)[-1][0]["messageSnowflake"] == message["messageSnowflake"]
            await asyncio.to_thread(group, "leave", name_of(bob), tmp_path)
            await until(lambda: "location" not in bob.locations[-1], 3.0, "bob is told that it is over")
            seen = len(bob.locations)
            carl.send_location("#crew@north", 3.0, 4.0, expiry_at=in_a_minute())
            carl.send_location("eve@south", 5.0, 6.0, expiry_at=in_a_minute())
            await until(lambda: eve.locations, what="what was sent later has come")
            assert all("location" not in location for location in bob.locations[seen:])
            await asyncio.to_thread(group, "join", name_of(bob), tmp_path)
            await until(lambda: bob.locations[-1].get("location", {}).get("latitude") == 3.0, what="bob is back")
            carl.stop_sharing("#crew@north")
            await until(lambda: "location" not in bob.locations[-1], 1.0, "the stop within a second")

    asyncio.run(check())


def test_what_is_shared_while_chat_is_away_becomes_a_message_when_it_is_back(nodes, bob):
    north, south = nodes

    async def check():
        async with feature("dora@north", "127.0.67.24", nodes[0]) as dora:
            await dora.handle_connection(server_list(north))
            north.kill("chat")
            dora.send_location(name_of(bob), 1.0, 2.0, expiry_at=in_a_minute())
            await until(lambda: bob.locations, what="the location without chat")
            assert not [m for m in bob.messages if m["author"]["userId"] == "dora"]
            north.start("chat")
            await asyncio.to_thread(wait_linked, [north, south], ["chat"])
            await until(lambda: [m for m in bob.messages if m["author"]["userId"] == "dora"], what="the message")

    asyncio.run(check())
