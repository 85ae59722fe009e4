"""The stand-ins for the programs already in use, against each other, on loopback and free ports."""

import socket
import threading
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from tests.support import plain_wire as wire
from tests.support.plain_client import PlainClient
from tests.support.plain_dialler import PlainDialler
from tests.support.plain_program import BROADCAST
from tests.support.plain_server import PlainServer

PORTS = {"TYPING_INDICATOR": (0, 0), "LIVE_LOCATION": (0, 0), "MESSAGES": (0, None)}
UDP_PORTS = {"TYPING_INDICATOR": 0, "LIVE_LOCATION": 0}


@pytest.fixture
def net():
    """Programs on one discovery port of their own; all closed at the end, no thread left."""
    before = threading.active_count()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", 0))
        port = sock.getsockname()[1]
    with ExitStack() as stack:
        enter = stack.enter_context

        def server(server_id, address, **settings):
            settings = {"ports": PORTS, "listen": 5.0, "enough": 0, **settings}
            return enter(PlainServer(server_id, address, discovery_port=port, **settings))

        def client(user_id, server_id, address="127.0.1.50", **settings):
            settings = {"udp_ports": UDP_PORTS, "listen": 5.0, "enough": 1, **settings}
            return enter(PlainClient(user_id, server_id, address, discovery_port=port, **settings))

        def dialler(address="127.0.1.60"):
            return enter(PlainDialler(address, BROADCAST, port))

        yield SimpleNamespace(server=server, client=client, dialler=dialler)
    assert threading.active_count() == before


@pytest.fixture
def alpha(net):
    return net.server("alpha", "127.0.1.1", users=("ann",))


def text(content: str, user_id: str = "ann") -> wire.Fields:
    return {
        "messageSnowflake": 7,
        "author": {"userId": "pat", "serverId": "parley"},
        "user": {"userId": user_id, "serverId": "alpha"},
        "textContent": content,
    }


def test_a_client_finds_a_server_at_the_source_of_its_announcement(net, alpha):
    client = net.client("bob", "alpha")
    [found] = client.discover_once()
    assert (found.server_id, found.address) == ("alpha", "127.0.1.1")
    assert set(found.features) == set(PORTS)
    assert alpha.wait_frame("DISCOVER_SERVER").source[0] == "127.0.1.50"


def test_a_client_discovers_once_and_keeps_the_first_server_of_its_list(net, alpha):
    client = net.client("bob", "alpha")
    first = client.server_for("TYPING_INDICATOR")
    net.server("beta", "127.0.1.2")
    assert client.server_for("TYPING_INDICATOR") is first
    assert len(alpha.received) == 1


@pytest.mark.usefixtures("alpha")
def test_a_client_uses_messages_only_at_home(net):
    net.server("beta", "127.0.1.2")
    client = net.client("bob", "beta", enough=2)
    assert client.server_for("MESSAGES").server_id == "beta"
    with pytest.raises(LookupError):
        net.client("eve", "nowhere", enough=None, listen=0.1).connect()


def test_a_message_goes_from_client_to_client_and_its_ack_back(net, alpha):
    bob, eve = net.client("bob", "alpha"), net.client("eve", "alpha")
    bob.connect()
    eve.connect()
    snowflake = bob.send_text("eve", "alpha", "hello\n")
    assert eve.wait_text("hello\n").fields["author"] == bob.user
    assert alpha.wait_frame("MESSAGE_ACK").fields["statuses"] == [{"status": "DELIVERED"}]
    assert bob.wait_status(snowflake, "DELIVERED")["user"] == eve.user


def test_a_user_without_a_client_is_recorded_and_confirmed(net, alpha):
    bob = net.client("bob", "alpha")
    bob.connect()
    snowflake = bob.send_text("ann", "alpha", "hi")
    assert bob.wait_status(snowflake, "DELIVERED")["user"]["userId"] == "ann"
    assert alpha.wait_delivered("hi")["messageSnowflake"] == snowflake


@pytest.mark.usefixtures("alpha")
def test_an_unknown_user_or_server_is_reported(net):
    bob = net.client("bob", "alpha")
    bob.connect()
    bob.wait_status(bob.send_text("nobody", "alpha", "x"), "USER_NOT_FOUND")
    bob.wait_status(bob.send_text("bea", "beta", "x"), "OTHER_SERVER_NOT_FOUND")


def test_ping_is_answered_on_both_sides(net, alpha):
    bob = net.client("bob", "alpha")
    bob.connect().send("PING")
    bob.wait_frame("PONG")
    alpha.links[0].send("PING")
    alpha.wait_frame("PONG")


def test_closing_a_client_hangs_up(net, alpha):
    bob = net.client("bob", "alpha")
    bob.connect()
    bob.close()
    assert alpha.wait_frame("HANGUP").fields == {"reason": "EXIT"}
    alpha.wait_for(lambda: not alpha.links)


def test_a_broken_link_is_noticed_without_a_hangup(net, alpha):
    bob = net.client("bob", "alpha")
    link = bob.connect()
    alpha.close(hangup=False)
    bob.wait_for(lambda: link.closed and not bob.connected)
    assert [each.name for each in bob.received] == ["SERVER_ANNOUNCE", "CONNECTED"]


def test_what_comes_before_connect_is_unsupported_and_the_link_stays(net, alpha):
    dialler = net.dialler()
    link = dialler.dial(alpha.address_of("MESSAGES"), "MESSAGES")
    link.send("MESSAGE", text("too early"))
    assert dialler.wait_frame("UNSUPPORTED_MESSAGE").fields == {"message_name": "MESSAGE"}
    link.send("CONNECT_CLIENT", {"user": {"userId": "bob", "serverId": "alpha"}})
    dialler.wait_for(lambda: link.result == "CONNECTED")
    link.send("CONNECT_CLIENT", {"user": {"userId": "bob", "serverId": "alpha"}})
    dialler.wait_for(lambda: link.result == "IS_ALREADY_CONNECTED_ERROR")
    link.send_bytes(wire.frame("FOO_BAR", b"\xff"))
    dialler.wait_frame("UNSUPPORTED_MESSAGE", lambda fields: fields == {"message_name": "FOO_BAR"})
    assert not link.closed


@pytest.mark.usefixtures("alpha")
@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"no frame\n", "MESSAGE_MALFORMED"), (b"MESSAGE 999999999 ", "PAYLOAD_LIMIT_EXCEEDED")],
)
def test_what_is_no_frame_ends_the_link(net, data, reason):
    bob = net.client("bob", "alpha")
    link = bob.connect()
    link.send_bytes(data)
    assert bob.wait_frame("HANGUP").fields == {"reason": reason}
    bob.wait_for(lambda: link.closed)


def test_typing_is_broadcast_and_the_newest_list_is_kept(net, alpha):
    bob, eve = net.client("bob", "alpha", "127.0.1.51"), net.client("eve", "alpha", "127.0.1.52")
    assert {each.connect("TYPING_INDICATOR").result for each in (bob, eve)} == {"CONNECTED"}
    bob.send_typing(1.5)
    eve.wait_typing(lambda names: "bob@alpha" in names)
    assert alpha.wait_frame("TYPING_EVENT").source == bob.udp_address("TYPING_INDICATOR")
    eve.send_typing(2.5)
    newest = bob.wait_typing(lambda names: "eve@alpha" in names)
    assert [each["timestamp"] for each in newest] == [1.5, 2.5]


def test_locations_are_broadcast_and_filtered_by_the_client(net, alpha):
    bob, eve, ann = (net.client(name, "alpha") for name in ("bob", "eve", "ann"))
    assert {each.connect("LIVE_LOCATION").result for each in (bob, eve, ann)} == {"CONNECTED"}
    bob.send_location({"user": eve.user}, 48.2, 11.6)
    eve.wait_for(lambda: eve.locations)
    assert eve.locations[0]["location"] == {"latitude": 48.2, "longitude": 11.6}
    ann.wait_frame("LIVE_LOCATIONS")
    assert ann.locations == []
    assert alpha.dropped == 0


def test_a_datagram_over_the_buffer_is_lost(net, alpha):
    bob = net.client("bob", "alpha")
    bob.connect("TYPING_INDICATOR")
    bob.send_datagram("TYPING_INDICATOR", wire.encode("TYPING_EVENT", {"user": {"userId": "b" * 1024}}))
    alpha.wait_for(lambda: alpha.dropped == 1)


def test_a_server_discovers_once_dials_each_feature_and_ignores_itself(net, alpha):
    beta = net.server("beta", "127.0.1.2", enough=1)
    assert [each.server_id for each in beta.found] == ["alpha"]
    for feature in PORTS:
        link = alpha.wait_working_link("beta", feature)
        assert link.hello == {"serverId": "beta", "features": [feature]}
        beta.wait_for(lambda feature=feature: beta.peers["alpha", feature].result == "CONNECTED")
    assert len(beta.links) == len(alpha.links) == 3
    assert alpha.found == []


def test_a_link_that_a_server_dialled_is_deaf_and_mute(net, alpha):
    beta = net.server("beta", "127.0.1.2", enough=1, users=("bea",))
    alpha.wait_working_link("beta")
    alpha.send_message("ann", "bea", "beta", "unconfirmed")
    alpha.wait_frame("UNSUPPORTED_MESSAGE", lambda fields: fields == {"message_name": "MESSAGE"})
    assert beta.delivered == []
    with pytest.raises(LookupError):
        beta.send_message("bea", "ann", "alpha", "unsaid")
    beta.peers["alpha", "MESSAGES"].send("PING")
    beta.wait_frame("PONG")


def test_a_link_that_the_other_side_dialled_works_both_ways(net, alpha):
    parley = net.dialler()
    link = parley.connect("alpha", "parley")
    bob = net.client("bob", "alpha")
    bob.connect()
    link.send("MESSAGE", text("to a client", "bob"))
    assert bob.wait_text("to a client").fields["author"]["userId"] == "pat"
    ack = parley.wait_frame("MESSAGE_ACK").fields
    assert ack == {"messageSnowflake": 7, "statuses": [{"user": bob.user, "status": "DELIVERED"}]}
    snowflake = alpha.send_message("ann", "pat", "parley", "from a user")
    forwarded = bob.send_text("pat", "parley", "from a client")
    for each in (snowflake, forwarded):
        parley.wait_frame("MESSAGE", lambda fields, each=each: fields["messageSnowflake"] == each)
    entry = {"user": {"userId": "pat", "serverId": "parley"}, "status": "DELIVERED"}
    link.send("MESSAGE_ACK", {"messageSnowflake": forwarded, "statuses": [entry]})
    assert bob.wait_status(forwarded, "DELIVERED") == entry
    assert [each["messageSnowflake"] for each in alpha.acks] == [forwarded]


def test_one_link_per_server_and_feature_until_it_hangs_up(net, alpha):
    parley = net.dialler()
    first = parley.connect("alpha", "parley")
    assert parley.connect("alpha", "parley").result == "IS_ALREADY_CONNECTED_ERROR"
    assert parley.connect("alpha", "parley", "LIVE_LOCATION").result == "CONNECTED"
    parley.hang_up(first, "EXIT")
    alpha.wait_for(lambda: ("parley", "MESSAGES") not in alpha.peers)
    assert parley.connect("alpha", "parley").result == "CONNECTED"


def test_a_duplicate_is_delivered_twice(net, alpha):
    link = net.dialler().connect("alpha", "parley")
    for _ in range(2):
        link.send("MESSAGE", text("again"))
    assert alpha.wait_delivered("again", count=2)["messageSnowflake"] == 7


def test_a_server_that_never_confirms(net):
    silent = net.server("alpha", "127.0.1.1", users=("ann",), confirms=False)
    parley = net.dialler()
    link = parley.connect("alpha", "parley")
    bob = net.client("bob", "alpha")
    bob.connect()
    for user_id in ("ann", "bob", "nobody"):
        link.send("MESSAGE", text("hello", user_id))
    silent.wait_frame("MESSAGE_ACK")
    snowflake = bob.send_text("pat", "parley", "back")
    parley.wait_frame("MESSAGE")
    link.send("MESSAGE_ACK", {"messageSnowflake": snowflake, "statuses": [{"status": "USER_AWAY"}]})
    bob.wait_status(snowflake, "USER_AWAY")
    link.send("PING")
    parley.wait_frame("PONG")
    assert not [each for each in parley.received if each.name == "MESSAGE_ACK"]
    assert [each["user"]["userId"] for each in silent.delivered] == ["ann", "bob"]


def test_typing_and_locations_travel_between_servers(net, alpha):
    parley = net.dialler()
    typing = parley.connect("alpha", "parley", "TYPING_INDICATOR")
    location = parley.connect("alpha", "parley", "LIVE_LOCATION")
    bob = net.client("bob", "alpha")
    bob.connect("TYPING_INDICATOR")
    bob.connect("LIVE_LOCATION")
    pat = {"userId": "pat", "serverId": "parley"}
    typing.send("TYPING_EVENTS", {"typing_events": [{"user": pat, "timestamp": 1.0}]})
    bob.wait_typing(lambda names: names == {"pat@parley"})
    entry = {"live_location": {"author": pat, "user": bob.user, "timestamp": 1.0}, "messageSnowflake": 9}
    location.send("LIVE_LOCATIONS", {"extended_live_locations": [entry]})
    bob.wait_for(lambda: bob.locations == [entry["live_location"]])
    alpha.send_typing("ann", 3.0)
    alpha.send_location({"author": {"userId": "ann", "serverId": "alpha"}, "user": pat})
    [event] = parley.wait_frame("TYPING_EVENTS").fields["typing_events"]
    assert event["timestamp"] == 3.0
    assert len(parley.wait_frame("LIVE_LOCATIONS").fields["extended_live_locations"]) == 1


@pytest.mark.usefixtures("alpha")
def test_a_wait_that_fails_says_what_came(net):
    bob = net.client("bob", "alpha")
    bob.discover_once()
    with pytest.raises(TimeoutError, match="received: SERVER_ANNOUNCE"):
        bob.wait_frame("MESSAGE", timeout=0.01)


def test_a_server_whose_port_is_taken_leaves_nothing_open(net, alpha):
    taken = {"MESSAGES": (alpha.address_of("MESSAGES")[1], None)}
    with pytest.raises(OSError, match="in use"):
        net.server("beta", "127.0.1.1", ports=taken)
