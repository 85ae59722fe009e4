"""Our node with a linking server, which ends where protocol.md says: true statuses, and its chat goes on."""

import time
from contextlib import ExitStack

import pytest

from tests.interop.programs.code_one_client import CodeOneClient
from tests.interop.programs.linking_server import LinkingServer
from tests.support.nodes import Node, wait_until
from tests.support.plain_client import PlainClient

ALPHA, ONE = "127.0.43.1", "127.0.43.2"
BOB, EVE, ANN = "127.0.43.11", "127.0.43.12", "127.0.43.13"
ACK_TIMEOUT = 1.0
SETTINGS = {
    "PARLEY_CHAT__ACK_TIMEOUT": str(ACK_TIMEOUT),
    "PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5",
    "PARLEY_LINK__BACKOFF_MAX": "0.5",
}
GATEWAY = {"userId": "parley-gw-alpha", "serverId": "one"}


@pytest.fixture(scope="module")
def alpha(tmp_path_factory):
    with Node("alpha", ALPHA, tmp_path_factory.mktemp("alpha"), ("discovery", "chat"), SETTINGS) as node:
        yield node


@pytest.fixture
def enter():
    """Whoever is entered here is closed with the test."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def one(enter, alpha):
    """A linking server, whose messages go both ways."""
    server = enter(LinkingServer("one", ONE, enough=1))
    wait_gateway(server, alpha)
    return server


def wait_gateway(server, alpha):
    server.wait_working_link("alpha")
    alpha.wait_linked("chat", "one")
    wait_until(lambda: alpha.status("chat")["gateways"][0]["connected"], what="a gateway")


@pytest.fixture
def bob(enter):
    client = enter(PlainClient("bob", "alpha", BOB, broadcast=ALPHA, enough=1))
    client.connect()
    return client


@pytest.fixture
def person(enter):
    """Make somebody of the linking server, connected."""

    def make(user_id, address):
        client = enter(CodeOneClient(user_id, "one", address, broadcast=ONE, enough=1))
        client.connect()
        return client

    return make


def statuses(author, snowflake):
    """What the author was told of a message, in order."""
    acks = [ack for ack in author.acks if ack.get("messageSnowflake") == snowflake]
    return [each.get("status") for ack in acks for each in ack["statuses"]]


def test_messages_go_both_ways_in_order_with_true_statuses_and_its_chat_goes_on(one, bob, person):
    eve, ann = person("eve", EVE), person("ann", ANN)
    ours, theirs = [], []
    for number in range(100):
        ours.append(bob.send_text("eve", "one", f"to them {number}"))
        theirs.append(eve.send_text("bob", "alpha", f"to us {number}"))
    bob.wait_status(ours[-1], "DELIVERED")
    eve.wait_status(theirs[-1], "DELIVERED")
    assert [each["textContent"] for each in eve.messages] == [f"to them {number}" for number in range(100)]
    assert [each["textContent"] for each in bob.messages] == [f"to us {number}" for number in range(100)]
    assert [statuses(bob, each) for each in ours] == [["DELIVERED"]] * 100
    assert [statuses(eve, each) for each in theirs] == [["DELIVERED"]] * 100
    assert ann.wait_status(ann.send_text("eve", "one", "still there?"), "DELIVERED")["user"] == eve.user
    assert not one.deaths


def test_what_is_for_somebody_who_is_away_waits_here_and_is_delivered_when_they_come(one, bob, person):
    waiting = [bob.send_text("ann", "one", f"later {number}") for number in range(5)]
    for each in waiting:
        bob.wait_status(each, "USER_AWAY")
    came = time.monotonic()
    ann = person("ann", ANN)
    for each in waiting:
        bob.wait_status(each, "DELIVERED", timeout=12.0)
    assert time.monotonic() - came < 11.0
    assert [each["textContent"] for each in ann.messages] == [f"later {number}" for number in range(5)]
    assert [statuses(bob, each) for each in waiting] == [["USER_AWAY", "DELIVERED"]] * 5
    assert not one.deaths
