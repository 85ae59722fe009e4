"""The stand-ins of `make interop` die where protocol.md says that the existing programs die, and live otherwise."""

import socket
from contextlib import ExitStack

import pytest

from tests.interop.programs.code_one_client import CodeOneClient
from tests.interop.programs.code_two import ALL_NAMES, AT_ONCE
from tests.interop.programs.code_two_client import CodeTwoClient
from tests.interop.programs.code_two_server import CodeTwoServer
from tests.interop.programs.linking_server import LinkingServer
from tests.interop.programs.old_server import OldServer
from tests.support import plain_wire as wire
from tests.support.nodes import wait_until
from tests.support.plain_dialler import PlainDialler
from tests.support.plain_link import Link
from tests.support.plain_program import BROADCAST, DISCOVERY_PORT
from tests.support.plain_server import PlainServer

SERVER, US = "127.0.42.1", "127.0.42.2"
EVE, ANN, GATEWAY = "127.0.42.11", "127.0.42.12", "127.0.42.13"
PAT = {"userId": "pat", "serverId": "alpha"}
ALREADY = "IS_ALREADY_CONNECTED_ERROR"


@pytest.fixture
def enter():
    """Whoever is entered here is closed with the test."""
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def us(enter):
    """A server that dials."""
    return enter(PlainDialler(US, SERVER, DISCOVERY_PORT))


@pytest.fixture
def old(enter):
    return enter(OldServer("old", SERVER))


@pytest.fixture
def one(enter):
    return enter(LinkingServer("one", SERVER, listen=0))


@pytest.fixture
def client(enter):
    """Make a client of code base 1 that is connected."""

    def make(user_id, address, server_id="one", feature="MESSAGES"):
        made = enter(CodeOneClient(user_id, server_id, address, broadcast=SERVER, enough=1))
        made.connect(feature)
        return made

    return make


def message(text, to, number=7, author=PAT):
    fields = {"messageSnowflake": number, "author": author, "user": to, "textContent": text}
    return wire.encode("MESSAGE", fields)


def user(user_id, server_id="one"):
    return {"userId": user_id, "serverId": server_id}


def chats(author, recipient):
    """Whether one can still write to the other, who acknowledges it."""
    number = author.send_text(recipient.user["userId"], recipient.user["serverId"], "are you there?")
    recipient.wait_text("are you there?")
    return author.wait_status(number, "DELIVERED")


def test_connect_server_silences_a_feature_of_an_old_server_for_everybody(us, old, client):
    eve, ann = client("eve", EVE, "old"), client("ann", ANN, "old")
    assert chats(eve, ann)
    us.dial((SERVER, 6666), "MESSAGES").send("CONNECT_SERVER", {"serverId": "alpha", "features": ["MESSAGES"]})
    old.wait_for(lambda: old.deaths)
    assert {feature: str(death) for feature, death in old.deaths.items()} == {"MESSAGES": "DIED at CONNECT_SERVER"}
    eve.send_text("ann", "old", "nobody reads this")
    with pytest.raises(TimeoutError):
        ann.wait_text("nobody reads this", timeout=0.3)
    with pytest.raises(TimeoutError):  # it accepts nobody, and the other features go on
        us.wait_for(lambda: connect(us, 6666).result, 0.3)
    assert connect(us, 7777, "TYPING_INDICATOR", "CONNECT_CLIENT").result == "CONNECTED"


def connect(us, port, feature="MESSAGES", name="CONNECT_SERVER"):
    link = us.dial((SERVER, port), feature)
    hello = {"serverId": "alpha", "features": [feature]} if name == "CONNECT_SERVER" else {"user": PAT}
    link.send(name, hello)
    if port != 6666 or name != "CONNECT_SERVER":
        us.wait_for(lambda: link.result)
    return link


def test_a_name_that_it_does_not_know_ends_a_linking_servers_loop(us, one):
    us.connect("one", "alpha").send_bytes(wire.frame("JOIN_GROUP", b"\x08\x01"))
    one.wait_for(lambda: one.deaths)
    assert str(one.deaths["MESSAGES"]) == "DIED at JOIN_GROUP"


def test_a_payload_that_ends_in_a_line_feed_ends_its_loop(us, one):
    us.connect("one", "alpha").send_bytes(message("a line\n", user("eve")))
    one.wait_for(lambda: one.deaths)
    assert str(one.deaths["MESSAGES"]) == "DIED at MESSAGE, a payload that ends in 0x0A"


def test_fields_that_it_does_not_know_do_not_harm_it(us, one, client):
    eve, ann = client("eve", EVE), client("ann", ANN)
    payload = wire.encode_payload("ConnectServer", {"serverId": "alpha", "features": ["MESSAGES"]})
    link = us.dial((SERVER, 6666), "MESSAGES")
    link.send_bytes(wire.frame("CONNECT_SERVER", payload + b"\xaa\x06\x01x"))
    us.wait_for(lambda: link.result == "CONNECTED")
    assert chats(eve, ann)
    assert not one.deaths


def test_its_clients_acknowledgement_of_our_message_ends_its_chat(us, one, client):
    eve = client("eve", EVE)
    us.connect("one", "alpha").send_bytes(message("hello", eve.user))
    eve.wait_text("hello")
    one.wait_for(lambda: one.deaths)
    assert str(one.deaths["MESSAGES"]) == "DIED at MESSAGE_ACK"


def test_behind_a_second_message_of_a_client_of_it_the_acknowledgement_goes_there(us, one, client):
    eve, gateway = client("eve", EVE), client("parley-gw-alpha", GATEWAY)
    second = message("", user("nobody", "nowhere"), author=gateway.user)
    us.connect("one", "alpha").send_bytes(message("hello", eve.user) + second)
    assert gateway.wait_status(7, "OTHER_SERVER_NOT_FOUND")["user"] == user("nobody", "nowhere")
    assert gateway.wait_status(7, "DELIVERED")["user"] == eve.user
    assert chats(eve, gateway)
    assert not one.deaths


def test_it_drops_what_is_for_somebody_who_is_not_connected(us, one, client):
    link = us.connect("one", "alpha")
    link.send_bytes(message("lost", user("eve")))
    link.send_bytes(message("twice", user("ann"), 8))
    eve = client("eve", EVE)
    link.send_bytes(message("hello", user("eve"), 9))
    eve.wait_text("hello")
    assert [each["textContent"] for each in eve.messages] == ["hello"]
    assert not [each for each in us.received if each.name == "MESSAGE_ACK"]
    assert [each["textContent"] for each in one.delivered] == ["hello"]


def test_a_name_that_is_connected_is_refused(one, client):
    client("parley-gw-alpha", GATEWAY)
    with pytest.raises(ConnectionRefusedError, match=ALREADY):
        client("parley-gw-alpha", ANN)
    assert [each.name for each in one.refused] == ["CONNECT_CLIENT"]


def test_a_dead_link_is_kept_until_a_hangup_comes_from_its_port(us, one):
    dead = us.connect_from((US, 0), (SERVER, 6666))
    dead.send("CONNECT_SERVER", {"serverId": "alpha", "features": ["MESSAGES"]})
    us.wait_for(lambda: dead.result == "CONNECTED")
    us.drop(dead)
    one.wait_for(lambda: not one.lives(one.peers["alpha", "MESSAGES"]))
    for _ in range(2):
        assert us.connect("one", "alpha").result == ALREADY
    assert len(one.refused) == 2
    again = wait_until(lambda: us.connect_from(dead.local, (SERVER, 6666)))  # not before a second has passed
    again.send("HANGUP", {"reason": "EXIT"})
    one.wait_for(lambda: ("alpha", "MESSAGES") not in one.peers)
    assert us.connect("one", "alpha").result == "CONNECTED"


def test_a_dead_link_is_kept_for_so_long(us, enter):
    one = enter(LinkingServer("one", SERVER, listen=0, kept=0.05))
    us.drop(us.connect("one", "alpha"))
    us.wait_for(lambda: us.connect("one", "alpha").result == "CONNECTED", 5.0)
    assert all(each.name == "CONNECT_SERVER" for each in one.refused)


def test_a_hangup_ends_a_link_at_once(us):
    with LinkingServer("one", SERVER, listen=0) as one:
        us.hang_up(us.connect("one", "alpha"), "EXIT")
        one.wait_for(lambda: not one.peers)
        assert us.connect("one", "alpha").result == "CONNECTED"


# Its clients -------------------------------------------------------------------------------------------


@pytest.fixture
def plain(enter):
    """A server that sends what it is told to."""
    return enter(PlainServer("one", SERVER, listen=0))


def link_of(server, feature="MESSAGES") -> Link:
    found = server.wait_for(lambda: [e for e in server.links if (e.kind, e.feature) == ("client", feature)])
    return found[0]


def test_a_payload_that_ends_in_a_line_feed_closes_a_client(plain, client):
    eve = client("eve", EVE)
    link_of(plain).send_bytes(message("a line\n", eve.user))
    eve.wait_for(lambda: eve.death)
    assert eve.death == "DIED at MESSAGE, a payload that ends in 0x0A"
    assert not eve.links


def test_the_same_text_in_front_of_another_field_does_it_no_harm(plain, client):
    eve = client("eve", EVE)
    payload = wire.encode_payload("ChatMessage", {"user": eve.user, "textContent": "a line\n"})
    link_of(plain).send_bytes(wire.frame("MESSAGE", payload + b"\xc0\x07\x01"))
    assert eve.wait_text("a line\n")
    assert not eve.death


def test_a_name_that_it_does_not_know_closes_a_clients_link(plain, client):
    eve = client("eve", EVE)
    link_of(plain).send_bytes(wire.frame("PIECE"))
    eve.wait_for(lambda: not eve.connected)
    assert eve.death == "DIED at PIECE"


def test_a_client_loses_the_locations_behind_one_without_a_place(plain, client):
    eve = client("eve", EVE, feature="LIVE_LOCATION")
    place = {"author": PAT, "user": eve.user, "location": {"latitude": 1.0, "longitude": 2.0}}
    stopped = {"author": user("ann"), "user": eve.user}
    entries = [{"live_location": each} for each in (place, stopped, place)]
    data = wire.encode("LIVE_LOCATIONS", {"extended_live_locations": entries})
    link_of(plain, "LIVE_LOCATION")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(data, (EVE, 8890))
    eve.wait_frame("LIVE_LOCATIONS")
    assert eve.locations == [place]


# Code base 2 -------------------------------------------------------------------------------------------


@pytest.fixture
def reader(plain, enter):
    """A client of code base 2, and the other end of its link."""
    client = enter(CodeTwoClient("eve", "one", EVE, broadcast=SERVER))
    client.connect()
    return client, link_of(plain)


def test_code_base_2_loses_what_comes_in_one_piece_with_something_else(reader):
    eve, link = reader
    link.send_bytes(message("first", eve.user, 1) + message("second", eve.user, 2))
    eve.wait_for(lambda: eve.lost)
    assert eve.lost == ["MESSAGE"]
    assert [each["textContent"] for each in eve.messages] == ["first"]


def test_code_base_2_cannot_take_what_is_longer_than_it_reads_at_once(reader):
    eve, link = reader
    link.send_bytes(message("x" * AT_ONCE, eve.user))
    eve.wait_for(lambda: len(eve.lost) == 2)  # what is read at once, and the rest: the next would be lost with it
    link.send_bytes(message("short", eve.user))
    eve.wait_for(lambda: eve.messages)
    assert [each["textContent"] for each in eve.messages] == ["short"]


def test_code_base_2_acknowledges_by_the_sheets_numbers_and_numbers_by_the_second(reader, plain):
    eve, link = reader
    link.send_bytes(message("hello", eve.user))
    ack = plain.wait_frame("MESSAGE_ACK").fields
    assert ack["statuses"] == [{"user": eve.user, "status": "OTHER_ERROR"}]  # 2: what it calls DELIVERED
    assert eve.send_text(PAT, "how") < 1 << 32
    link.send("MESSAGE_ACK", {"messageSnowflake": 5, "statuses": [{"status": 2}, {"status": 8}]})
    eve.wait_for(lambda: eve.statuses)
    assert eve.statuses == [(5, "DELIVERED"), (5, "USER_BLOCKED")]


def test_a_server_of_code_base_2_finds_people_at_servers_that_it_knows(us, enter):
    two = enter(CodeTwoServer("two", SERVER))
    us.names = ALL_NAMES
    eve = enter(CodeTwoClient("eve", "two", EVE, broadcast=SERVER))
    ann = enter(CodeTwoClient("ann", "two", ANN, broadcast=SERVER))
    eve.connect()
    ann.connect()
    link = us.connect("two", "alpha")
    assert eve.finds(ann.user)
    assert eve.send_text(ann.user, "hello") == eve.wait_for(lambda: eve.statuses)[0][0]
    asked = us.wait_frame("SEARCH_USERS", lambda fields: fields.get("query") == "ann").fields
    link.send("SEARCH_USERS_RESP", {"handle": asked["handle"], "users": [PAT]})
    eve.wait_frame("SEARCH_USERS_RESP", lambda fields: fields.get("users") == [PAT])
    assert two.link_to("alpha") is not None


def test_each_request_that_a_server_of_code_base_2_hears_makes_it_dial_all_others(enter):
    other = enter(PlainServer("one", US, listen=0))
    two = enter(CodeTwoServer("two", SERVER))
    two.wait_for(lambda: two.dials)
    before = two.dials
    asking = PlainDialler(EVE, BROADCAST, DISCOVERY_PORT)
    assert {each.server_id for each in asking.discover(0.2)} == {"one", "two"}
    asking.close()
    two.wait_for(lambda: two.dials > before)
    other.wait_frame("CONNECT_SERVER", count=2)
