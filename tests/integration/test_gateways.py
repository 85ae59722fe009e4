"""Our node with a linking server, which ends where protocol.md says: true statuses, and its chat goes on."""

import json
import signal
import time
from contextlib import ExitStack

import pytest

from tests.interop.programs.code_one_client import CodeOneClient
from tests.interop.programs.linking_server import LinkingServer
from tests.support.nodes import Node, wait_until
from tests.support.plain_client import PlainClient

ALPHA, ONE, LATE, TAKEN = (f"127.0.43.{number}" for number in range(1, 5))
BOB, EVE, ANN, CID = (f"127.0.43.{number}" for number in range(11, 15))
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
    """Make somebody of a linking server, connected."""

    def make(user_id, address, server=None, **settings):
        name, place = ("one", ONE) if server is None else (server.server_id, server.address)
        client = enter(CodeOneClient(user_id, name, address, broadcast=place, enough=1, **settings))
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


def texts(client):
    return [each["textContent"] for each in client.messages]


def test_what_came_before_its_server_dialled_goes_to_its_users_in_order(alpha, enter, bob, person):
    """It waits under the server's name until it is known how its users are reached."""
    name = "late"
    late = LinkingServer(name, LATE, listen=0)
    with late:
        wait_until(lambda: state_of(alpha, name) == "known", what="it is known, and not dialled")
        waiting = [bob.send_text(to, name, f"{to} {number}") for number in range(5) for to in ("eve", "ann")]
        for each in waiting:
            bob.wait_status(each, "OTHER_SERVER_TIMEOUT")
        late.close()
    late = enter(LinkingServer(name, LATE, enough=1))
    eve, ann = person("eve", EVE, late), person("ann", ANN, late)
    for each in waiting:
        bob.wait_status(each, "DELIVERED", timeout=15.0)
    assert texts(eve) == [f"eve {number}" for number in range(5)]
    assert texts(ann) == [f"ann {number}" for number in range(5)]
    assert not late.deaths


def state_of(node, name):
    return next((peer["state"] for peer in node.status("chat")["peers"] if peer["server_id"] == name), None)


def test_a_name_that_is_taken_is_not_ours_and_the_next_is(alpha, enter, bob, person):
    server = enter(LinkingServer("taken", TAKEN, listen=0))
    person("parley-gw-alpha", ANN, server)
    eve = person("eve", EVE, server)
    found = next(each for each in server.discover(5.0) if each.server_id == "alpha")
    for feature in found.features:
        server._dial_peer(found, feature)
    bob.wait_status(bob.send_text("eve", "taken", "hello"), "DELIVERED", timeout=15.0)
    assert texts(eve) == ["hello"]
    assert [each.name for each in server.refused] == ["CONNECT_CLIENT"]
    users = [each.hello["user"]["userId"] for each in server.links if each.kind == "client"]
    assert sorted(users) == ["eve", "parley-gw-alpha", "parley-gw-alpha-2"]
    assert not server.deaths
    assert alpha.is_running("chat")


def test_a_gateway_that_the_server_drops_is_dialled_again_before_anything_goes_there(one, bob, person):
    eve = person("eve", EVE)
    bob.wait_status(bob.send_text("eve", "one", "first"), "DELIVERED")
    one.hang_up(gateway_of(one), "EXIT")
    number = bob.send_text("eve", "one", "second")
    bob.wait_status(number, "DELIVERED")
    assert texts(eve) == ["first", "second"]
    came = [each.fields.get("user", {}).get("userId") or each.fields.get("textContent") for each in one.received]
    again = len(came) - came[::-1].index(GATEWAY["userId"])
    assert [each.fields.get("textContent") for each in one.received[:again]].count("second") == 0
    assert not one.deaths


def gateway_of(server):
    return next(
        each for each in server.links if each.hello.get("user") == {**GATEWAY, "serverId": server.server_id}
    )


def noted_ports(node, server_id):
    """The ports of a chat process's links with a server, as they are noted for the process after it."""
    noted = json.loads((node.directory / "data" / node.server_id / "chat.links").read_text())
    return [port for each in noted["servers"] if each["server_id"] == server_id for port in each["ports"]]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_our_process_ends_in_the_middle_and_nothing_is_lost_and_its_chat_goes_on(one, alpha, enter, person, number):
    eve = person("eve", EVE)
    author = enter(PlainClient("cid", "alpha", CID, broadcast=ALPHA, enough=1))
    author.connect()
    before = [author.send_text("eve", "one", f"before {each}") for each in range(20)]
    author.wait_status(before[0], "DELIVERED")
    wait_until(lambda: len(noted_ports(alpha, "one")) == 2, what="the ports of both links are noted")
    alpha.kill("chat", number)
    if number == signal.SIGTERM:
        alpha.wait_exit("chat")
    alpha.start("chat")
    alpha.wait_ready("chat")
    wait_gateway(one, alpha)
    author.connect()
    after = author.send_text("eve", "one", "after")
    author.wait_status(after, "DELIVERED", timeout=15.0)
    assert not one.deaths
    shown = [each for each in dict.fromkeys(texts(eve)) if each != "after"]
    assert shown == [f"before {each}" for each in range(len(shown))]  # the rest its author has
    assert [each for each in one.refused if each.name == "CONNECT_CLIENT"] == []
    assert gateway_of(one)


def test_who_ends_waits_for_the_acknowledgement_of_what_is_on_its_way(one, alpha, bob, person):
    eve = person("eve", EVE, status=None)
    number = bob.send_text("eve", "one", "hello")
    eve.wait_text("hello")
    alpha.kill("chat", signal.SIGTERM)
    gateway = gateway_of(one)
    with pytest.raises(TimeoutError):
        one.wait_for(lambda: gateway.closed, 0.4)
    answer = {"messageSnowflake": number, "statuses": [{"status": "DELIVERED"}]}
    eve.connected["MESSAGES"].send("MESSAGE_ACK", answer)
    assert alpha.wait_exit("chat") == 0
    assert statuses(bob, number)[-1] == "DELIVERED"
    assert not one.deaths
    alpha.start("chat")
    alpha.wait_ready("chat")


def test_its_process_is_killed_and_what_waits_meanwhile_comes_in_order(one, enter, alpha, bob, person):
    eve = person("eve", EVE)
    bob.wait_status(bob.send_text("eve", "one", "first"), "DELIVERED")
    eve.close(hangup=False)
    one.close(hangup=False)
    wait_until(lambda: "one" not in alpha.linked("chat"))
    waiting = [bob.send_text("eve", "one", f"later {number}") for number in range(5)]
    for each in waiting:
        bob.wait_status(each, "OTHER_SERVER_TIMEOUT")
    again = enter(LinkingServer("one", ONE, enough=1))
    eve = person("eve", EVE, again)
    for each in waiting:
        bob.wait_status(each, "DELIVERED", timeout=15.0)
    assert texts(eve) == [f"later {number}" for number in range(5)]
    assert not again.deaths


def test_our_gateways_user_is_in_no_list_of_ours(one, alpha, bob, person):
    person("eve", EVE)
    bob.wait_status(bob.send_text("eve", "one", "hello"), "DELIVERED")
    assert gateway_of(one)
    for path in ("/status", "/metrics"):
        assert GATEWAY["userId"].encode() not in alpha.get("chat", path)[1]
    chat = alpha.metrics("chat")
    assert chat.value("parley_gateway_links") >= 1
    assert chat.value("parley_gateway_confirmed_total") >= 1
    assert chat.value("parley_subscribers") == 1
