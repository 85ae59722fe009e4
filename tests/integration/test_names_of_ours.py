"""Who is no Parley is sent no name of Parley's own, whatever our users do: some end at one that they do not know.

The existing programs here are stand-ins that record every frame that reaches them.
"""

import asyncio
import time
from contextlib import ExitStack

import pytest

from parley import ChatFeature, DiscoveryService, RequestFailed
from parley.client.location import LocationFeature
from parley.client.typing import TypingFeature
from parley.shared.addresses import Endpoint, Group, Server
from parley.shared.config import Config
from parley.shared.wire.messages import REGISTRY
from parley.shared.wire.pieces import WHOLE
from tests.support import plain_wire as wire
from tests.support.commands import client_environment, run_parley
from tests.support.federation import configuration, until
from tests.support.nodes import Node, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_server import LOCATION, MESSAGES, TYPING, PlainServer

ALPHA, OLD, EAST, CLIENT, BOB, EVE = (
    "127.0.99.1",
    "127.0.99.2",
    "127.0.99.3",
    "127.0.99.50",
    "127.0.99.51",
    "127.0.99.52",
)
SETTINGS = {"PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5", "PARLEY_LINK__BACKOFF_MAX": "0.5"}
KNOWN = wire.NAMES.keys() - {"UNSUPPORTED_MESSAGE"}
"""The names that an existing program knows; to be told of one that it does not know is a sign that it used one."""
LONG = 60.0
"""Seconds for which a place is shared: longer than any test takes."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("node")


@pytest.fixture(scope="module")
def alpha(directory):
    with Node("alpha", ALPHA, directory, settings=SETTINGS) as node:
        node.wait_ready()
        yield node


@pytest.fixture(scope="module")
def old(alpha):
    """A server already in use, linked with the node for every feature."""
    with PlainServer("old", OLD, users=("ann",), enough=1) as server:
        for feature, service in ((MESSAGES, "chat"), (TYPING, "typing"), (LOCATION, "location")):
            server.wait_working_link("alpha", feature)
            alpha.wait_linked(service, "old")
        yield server


@pytest.fixture
def programs():
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def parley(directory):
    def run(*arguments):
        return run_parley(
            *arguments, environment=client_environment(CLIENT, directory, PARLEY_SECURITY__MODE="open")
        )

    return run


def names(program):
    """Every name that reached an existing program."""
    return {each.name for each in program.received}


def test_the_names_of_ours_are_none_that_an_existing_program_knows():
    ours = REGISTRY.keys() - wire.NAMES.keys()
    assert {"JOIN_GROUP", "PIECE", "STATUS_RECEIVED", "BLOCKED_USERS", "HEARD", "PROOF"} <= ours


# A server already in use -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["join", "leave", "members"])
def test_a_group_of_an_existing_server_is_refused_in_a_sentence(parley, old, command):
    ended = parley("group", command, "#crew@old", "--as", "bob@alpha")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(
        "parley: old is another kind of server, which has no groups that Parley can join; "
    )
    assert names(old) <= KNOWN


def test_an_existing_server_that_is_not_linked_is_known_for_one_by_its_announcement(parley, alpha, programs):
    shy = programs(PlainServer("shy", EAST, ports={MESSAGES: (6666, None)}, listen=0))
    shy.wait_frame("DISCOVER_SERVER")
    wait_until(
        lambda: parley("group", "join", "#crew@shy", "--as", "bob@alpha").stderr.startswith(
            "parley: shy is another kind of server, "
        )
    )
    assert "shy" not in alpha.linked("chat")
    assert names(shy) <= KNOWN


def test_to_block_somebody_of_an_existing_server_is_told_to_nobody_there(parley, old):
    assert parley("block", "ann@old", "--as", "bob@alpha").returncode == 0
    assert parley("unblock", "ann@old", "--as", "bob@alpha").returncode == 0
    assert names(old) <= KNOWN


def test_what_is_large_goes_whole_to_an_existing_server(old):
    async def story():
        config = Config(address=CLIENT)
        async with ChatFeature("bob@alpha", config) as bob:
            await bob.handle_connection(await DiscoveryService(config).discover_servers())
            text = "x" * (2 * WHOLE)
            assert await asyncio.wait_for(bob.send("ann@old", text).final, 15.0) == "DELIVERED"
            assert old.delivered[-1]["textContent"] == text

    asyncio.run(story())
    assert names(old) <= KNOWN


def test_typing_and_places_for_a_group_of_an_existing_server_reach_nobody_there(alpha, old):
    """The node's processes ask chat who is in the group again and again."""

    def asked():
        return alpha.metrics("chat").value("parley_frames_total", direction="received", name="QUERY_GROUP_MEMBERS")

    before = asked()

    async def story():
        config = configuration(CLIENT)
        found = await DiscoveryService(Config(address=CLIENT)).discover_servers()
        async with TypingFeature("bob@alpha", config) as typing, LocationFeature("bob@alpha", config) as location:
            home = [server for server in found if server.server_id == "alpha"]
            await typing.handle_connection(home)
            await location.handle_connection(home)
            assert typing.send_typing("#crew@old")
            assert location.send_location("#crew@old", 1.0, 2.0, expiry_at=time.time() + LONG)
            await asyncio.to_thread(wait_until, lambda: asked() >= before + 4)
            location.stop_sharing("#crew@old")

    asyncio.run(story())
    assert names(old) <= KNOWN
    assert alpha.metrics("chat").value("parley_frames_rejected_total", reason="unsupported_there") == 0


# A client already in use -------------------------------------------------------------------------------


def test_a_client_is_sent_the_names_alone_that_it_knows(parley, alpha, programs):  # noqa: ARG001 - the node runs
    bob = programs(PlainClient("bob", "alpha", BOB, broadcast=ALPHA, enough=1))
    eve = programs(PlainClient("eve", "alpha", EVE, broadcast=ALPHA, enough=1))
    for each in (bob, eve):
        for feature in (MESSAGES, TYPING, LOCATION):
            each.connect(feature)
    text = "x" * (2 * WHOLE)
    bob.wait_status(bob.send_text("eve", "alpha", text), "DELIVERED")
    assert eve.wait_text(text).fields["author"] == bob.user
    assert parley("group", "join", "#plain", "--as", "bob@alpha").returncode == 0
    assert parley("group", "join", "#plain", "--as", "eve@alpha").returncode == 0
    bob.send_message({"group": {"groupId": "plain", "serverId": "alpha"}, "textContent": "to all"})
    eve.wait_text("to all")
    assert parley("block", "bob@alpha", "--as", "eve@alpha").returncode == 0
    bob.wait_status(bob.send_text("eve", "alpha", "not now"), "USER_BLOCKED")
    assert parley("unblock", "bob@alpha", "--as", "eve@alpha").returncode == 0
    bob.send_typing()
    eve.wait_typing(lambda typing: "bob@alpha" in typing)
    bob.send_location({"user": eve.user}, 1.0, 2.0)
    eve.wait_for(lambda: eve.locations)
    assert names(bob) | names(eve) <= KNOWN


# Our client at a server already in use ----------------------------------------------------------------


def test_our_client_asks_an_existing_server_nothing_that_it_does_not_know(programs):
    east = programs(PlainServer("east", EAST, ports={MESSAGES: (0, None)}, listen=0, discovery_port=19999))
    servers = (Server("east", {MESSAGES: (Endpoint(*east.address_of(MESSAGES)),)}),)
    crew = Group("crew", "east")

    async def story():
        async with ChatFeature("ann@east", configuration(CLIENT), on_message=lambda _message: None) as ann:
            await ann.handle_connection(servers)
            for ask in (ann.join, ann.leave, ann.members):
                with pytest.raises(RequestFailed, match="the server east offers no groups"):
                    await ask(crew)
            for ask in (lambda: ann.block("eve@east"), lambda: ann.unblock("eve@east"), ann.blocked):
                with pytest.raises(RequestFailed, match="the server east offers no blocking"):
                    await ask()
            with pytest.raises(RequestFailed, match="the server east offers no search"):
                await ann.search_users()
            assert await asyncio.wait_for(ann.send("ann@east", "x" * (2 * WHOLE)).final, 15.0) == "DELIVERED"
            await until(lambda: "MESSAGE_ACK" in names(east))

    asyncio.run(story())
    assert names(east) <= KNOWN
