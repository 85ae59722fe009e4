"""Typing and location between two real nodes, as existing clients and an existing server see it."""

import itertools
import socket
import time
from contextlib import ExitStack

import pytest

from parley.shared.limits.rates import DATAGRAMS
from parley.shared.peering.dial_limits import LONGEST
from tests.support import plain_wire as wire
from tests.support.nodes import COUNTED, TIMEOUT, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_server import LOCATION, TYPING, PlainServer

SERVICES = ("discovery", "typing", "location")
NORTH, SOUTH = "127.0.3.1", "127.0.3.2"
EAST = "127.0.3.3"
EXPIRY = 2.0
SETTINGS = COUNTED | {
    "PARLEY_TYPING__TYPING_EXPIRY": str(EXPIRY),
    "PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5",  # an existing server has to be asked: it asks only once
}
LEFT_ALONE = LONGEST + TIMEOUT
"""Seconds: a process that began while nobody was at that address leaves it alone for so long at most."""
DROPPED, REJECTED = "parley_datagrams_dropped_total", "parley_frames_rejected_total"
LIMITED = "parley_limited_total"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    with (
        Node("north", NORTH, directory, SERVICES, SETTINGS) as north,
        Node("south", SOUTH, directory, SERVICES, SETTINGS) as south,
    ):
        wait_linked([north, south], ["typing", "location"])
        yield north, south


@pytest.fixture
def north(nodes):
    return nodes[0]


@pytest.fixture
def south(nodes):
    return nodes[1]


@pytest.fixture
def client(nodes):  # noqa: ARG001 - there must be somebody to connect to
    """Connect a user's client, at an address of its own, to a node's feature."""
    programs = []
    with ExitStack() as stack:
        count = iter(range(11, 250))

        def connect(name, node, feature):
            user_id, server_id = name.split("@")
            address = f"127.0.3.{next(count)}"
            program = stack.enter_context(
                PlainClient(user_id, server_id, address, broadcast=node.address, enough=1)
            )
            programs.append(program)
            program.connect(feature)
            return program

        yield connect
    assert [program.dropped for program in programs] == [0] * len(programs)


@pytest.fixture
def east(nodes):
    """An existing server, which finds and dials the nodes, and is dialled by them."""
    features = {TYPING: (0, 0), LOCATION: (0, 0)}
    with PlainServer("east", EAST, ports=features, enough=len(nodes)) as server:
        for node in nodes:
            for feature in features:
                server.wait_working_link(node.server_id, feature, LEFT_ALONE)
        yield server


_numbers = itertools.count(1)


def fresh(role, server_id="north"):
    """Name somebody whom no list of an earlier test holds."""
    return f"{role}{next(_numbers)}@{server_id}"


def user(name):
    user_id, server_id = name.split("@")
    return {"userId": user_id, "serverId": server_id}


def name_of(fields):
    return f"{fields['userId']}@{fields['serverId']}"


def typed(client):
    """Everyone in any list that a client was ever sent."""
    return {
        name_of(event["user"])
        for each in client.received
        if each.name == "TYPING_EVENTS"
        for event in each.fields.get("typing_events", [])
    }


def seen(client):
    """Every location that a client was ever sent: author, latitude."""
    return {
        (name_of(entry["live_location"]["author"]), entry["live_location"]["location"]["latitude"])
        for each in client.received
        if each.name == "LIVE_LOCATIONS"
        for entry in each.fields["extended_live_locations"]
        if "location" in entry["live_location"]  # the last word of a stream has none
    }


# Typing ----------------------------------------------------------------------------------------


def test_typing_is_seen_here_and_at_the_other_server_but_not_by_oneself(client, north, south):
    alice, ann = client("alice@north", north, TYPING), client("ann@north", north, TYPING)
    bob = client("bob@south", south, TYPING)
    alice.send_typing()
    for other in (ann, bob):
        other.wait_typing(lambda names: "alice@north" in names)
    bob.send_typing()
    for other in (alice, ann):
        other.wait_typing(lambda names: "bob@south" in names)
    assert "alice@north" not in typed(alice)
    assert "bob@south" not in typed(bob)


def test_a_list_holds_everyone_who_types_newest_first(client, north):
    names = [fresh("first"), fresh("second")]
    first, second = (client(name, north, TYPING) for name in names)
    watcher = client("w@north", north, TYPING)
    first.send_typing()
    watcher.wait_typing(lambda listed: names[0] in listed)
    second.send_typing()
    newest = watcher.wait_typing(lambda listed: set(names) <= listed)
    assert [name_of(event["user"]) for event in newest][:2] == names[::-1]


def test_a_client_that_connects_learns_at_once_who_types(client, north, south):
    name = fresh("early")
    early, witness = client(name, north, TYPING), client("w@south", south, TYPING)
    early.send_typing()
    witness.wait_typing(lambda names: name in names)
    for node in (north, south):
        client(f"late@{node.server_id}", node, TYPING).wait_typing(lambda names: name in names)


def test_an_entry_is_gone_after_its_expiry_whatever_its_timestamp_says(client, north, south):
    name, after = fresh("ahead"), fresh("after", "south")
    ahead, watcher = client(name, north, TYPING), client("w@south", south, TYPING)
    ahead.send_typing(time.time() + 1000)
    watcher.wait_typing(lambda names: name in names)
    for node in (north, south):
        wait_until(lambda node=node: node.status("typing")["typing"] == 0, what="nobody types")
    client(after, south, TYPING).send_typing()
    watcher.wait_typing(lambda names: names == {after})


def test_a_user_of_another_server_is_heard_by_way_of_their_home(client, north, south):
    """Told by the home server to its subscribers and to all others, and so to those here."""
    name = fresh("guest", "south")
    guest = client(name, north, TYPING)
    here, there = client("w@north", north, TYPING), client("w@south", south, TYPING)
    wait_until(lambda: south.status("typing")["visitors"]["elsewhere"] >= 1, what="the home knows of its visitor")
    rejected = south.metrics("typing").value(REJECTED, reason="foreign_user")
    guest.send_typing()
    for each in (here, there):
        each.wait_typing(lambda names: name in names)
    assert name not in typed(guest)
    assert south.metrics("typing").value(REJECTED, reason="foreign_user") == rejected


def test_a_user_of_a_server_that_is_no_parley_is_heard_by_the_subscribers_here_only(client, north, south, east):
    """Existing servers would refuse it from us, and every third server too."""
    guest_name, marker_name = fresh("guest", "east"), fresh("marker")
    guest, marker = client(guest_name, north, TYPING), client(marker_name, north, TYPING)
    here, there = client("w@north", north, TYPING), client("w@south", south, TYPING)
    guest.send_typing()
    here.wait_typing(lambda names: guest_name in names)
    marker.send_typing()
    there.wait_typing(lambda names: marker_name in names)
    east.wait_for(lambda: any(marker_name.split("@")[0] in key for key in east.typing))
    assert guest_name not in typed(there)
    assert not any(guest_name.split("@")[0] in key for key in east.typing)
    assert {each.name for each in east.received} <= wire.NAMES.keys() - {"UNSUPPORTED_MESSAGE"}


def test_a_datagram_from_an_address_that_is_no_subscribers_is_dropped(client, north):
    name = fresh("marker")
    victim, marker = client("w@north", north, TYPING), client(name, north, TYPING)
    before = north.metrics("typing").value(DROPPED, reason="not_a_subscriber")
    event = wire.encode("TYPING_EVENT", {"user": victim.user, "timestamp": time.time()})
    for address in [("127.0.3.254", 7779), (victim.address, 0)]:  # another's host; its own, another port
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(address)
            stranger.sendto(event, (north.address, 7778))
    north.wait_metric("typing", before + 2, DROPPED, reason="not_a_subscriber")
    marker.send_typing()
    victim.wait_typing(lambda names: name in names)
    assert "w@north" not in typed(marker)


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("TYPING_EVENT", {"user": user("eve@north"), "timestamp": 1.0}, "foreign_user"),
        ("TYPING_EVENT", {"timestamp": 1.0}, "foreign_user"),
        ("TYPING_EVENT", {"user": user("liar@north"), "timestamp": float("nan")}, "out_of_range"),
        ("TYPING_EVENTS", {"typing_events": []}, "unknown_name"),
    ],
)
def test_a_typing_datagram_that_lies_is_counted_and_not_passed_on(client, north, name, fields, reason):
    marker = fresh("marker")
    liar, watcher = client("liar@north", north, TYPING), client("w@north", north, TYPING)
    before = north.metrics("typing").value(DROPPED, reason=reason)
    liar.send_datagram(TYPING, wire.encode(name, fields))
    north.wait_metric("typing", before + 1, DROPPED, reason=reason)
    client(marker, north, TYPING).send_typing()
    watcher.wait_typing(lambda names: marker in names)
    assert not typed(watcher) & {"eve@north", "liar@north", "@"}


def test_a_subscriber_that_says_too_much_is_heard_at_its_rate_and_others_as_ever(client, north):
    loud, name = client(fresh("loud"), north, TYPING), fresh("calm")
    calm, watcher = client(name, north, TYPING), client("w@north", north, TYPING)
    before = north.metrics("typing").value(LIMITED, what="datagrams", where="typing")

    def shout():
        for _ in range(int(DATAGRAMS[1])):
            loud.send_typing()
        return north.metrics("typing").value(LIMITED, what="datagrams", where="typing") > before

    wait_until(shout)
    calm.send_typing()
    watcher.wait_typing(lambda names: name in names)


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"TYPING_EVENT 3 \xff\xff\xff\n", b"\x00" * 2000])
def test_garbage_is_counted_and_costs_nothing(client, north, garbage):
    name = fresh("clumsy")
    clumsy, watcher = client(name, north, TYPING), client("w@north", north, TYPING)
    before = north.metrics("typing").value(DROPPED, reason="malformed")
    clumsy.send_datagram(TYPING, garbage)
    north.wait_metric("typing", before + 1, DROPPED, reason="malformed")
    clumsy.send_typing()
    watcher.wait_typing(lambda names: name in names)


def test_a_server_may_only_speak_for_its_own_users(client, north, east):
    watcher = client("w@north", north, TYPING)
    before = north.metrics("typing").value(REJECTED, reason="foreign_user")
    lies, truth = ["lied@north", "lied@south", "@east"], fresh("zoe", "east")
    events = [{"user": user(name), "timestamp": time.time()} for name in [*lies, truth]]
    east.wait_working_link("north", TYPING).send("TYPING_EVENTS", {"typing_events": events})
    watcher.wait_typing(lambda names: truth in names)
    assert not typed(watcher) & set(lies)
    wait_until(lambda: north.metrics("typing").value(REJECTED, reason="foreign_user") == before + 3)


def test_what_a_server_told_is_not_passed_on_to_a_third(client, north, south, east):
    names = [fresh("alice"), fresh("bob", "south")]
    alice, bob = client(names[0], north, TYPING), client(names[1], south, TYPING)
    bob.send_typing()
    alice.wait_typing(lambda listed: names[1] in listed)
    alice.send_typing()
    from_north = east.wait_working_link("north", TYPING)

    def told():
        frames = [each for each in east.received if each.link is from_north and each.name == "TYPING_EVENTS"]
        return {name_of(event["user"]) for each in frames for event in each.fields["typing_events"]}

    east.wait_for(lambda: names[0] in told())
    assert {name.split("@")[1] for name in told()} == {"north"}


def test_a_long_list_comes_in_datagrams_that_fit_and_the_newest_last(client, north, east):
    watcher = client("w@north", north, TYPING)
    people = [fresh("person", "east") for _ in range(100)]
    events = [{"user": user(name), "timestamp": time.time()} for name in people]
    east.wait_working_link("north", TYPING).send("TYPING_EVENTS", {"typing_events": events})
    newest = watcher.wait_typing(lambda names: people[-1] in names)
    assert typed(watcher) >= set(people)
    assert name_of(newest[0]["user"]) == people[-1]
    assert watcher.dropped == 0


def test_an_existing_server_s_users_and_ours_see_one_another(client, north, east):
    alice = client("alice@north", north, TYPING)
    east.send_typing("zoe")
    alice.wait_typing(lambda names: "zoe@east" in names)
    alice.send_typing()
    east.wait_for(lambda: any("alice" in key for key in east.typing))


# Location --------------------------------------------------------------------------------------


def test_a_location_reaches_the_addressed_user_and_nobody_else(client, north, south):
    alice, again = client("alice@north", north, LOCATION), client("alice@north", north, LOCATION)
    here, there = client("eve@north", north, LOCATION), client("eve@south", south, LOCATION)
    bob = client("bob@south", south, LOCATION)
    alice.send_location({"user": bob.user}, 48.25, 11.5)
    bob.wait_for(lambda: bob.locations)
    assert bob.locations[0]["location"] == {"latitude": 48.25, "longitude": 11.5}
    again.wait_for(lambda: ("alice@north", 48.25) in seen(again))
    for other in (here, there):
        alice.send_location({"user": other.user}, 10.0, 10.0)
        other.wait_for(lambda other=other: other.locations)
        assert seen(other) == {("alice@north", 10.0)}
    assert not seen(alice)


def test_a_member_of_a_group_is_a_user_and_a_whole_group_is_nobody_without_chat(client, north, south):
    alice, again = client("alice@north", north, LOCATION), client("alice@north", north, LOCATION)
    bob = client("bob@south", south, LOCATION)
    group = {"groupId": "team", "serverId": "north"}
    alice.send_location({"group": group}, 1.0, 1.0)
    again.wait_for(lambda: ("alice@north", 1.0) in seen(again))
    alice.send_location({"userOfGroup": {"user": bob.user, "group": group}}, 2.0, 2.0)
    bob.wait_for(lambda: ("alice@north", 2.0) in seen(bob))
    assert ("alice@north", 1.0) not in seen(bob)


def test_a_client_and_a_server_that_come_later_learn_what_is_for_them(client, north, south):
    alice = client("alice@north", north, LOCATION)
    alice.send_location({"user": user("later@south")}, 7.0, 7.0)
    for _ in range(2):
        later = client("later@south", south, LOCATION)
        later.wait_for(lambda later=later: seen(later) == {("alice@north", 7.0)})
        south.kill("location")
        south.start("location")
        south.wait_ready("location")
        wait_linked([north, south], ["location"])


def test_an_expired_location_is_told_to_nobody(client, north):
    alice, other = client("alice@north", north, LOCATION), client("y@north", north, LOCATION)
    before = north.status("location")["streams"]
    alice.send_location({"user": user("x@north")}, 3.0, 3.0, seconds=0.5)
    alice.send_location({"user": other.user}, 4.0, 4.0)
    other.wait_for(lambda: ("alice@north", 4.0) in seen(other))  # and so the first has come, too
    wait_until(lambda: north.status("location")["streams"] == before + 1, what="one expired")
    late = client("x@north", north, LOCATION)
    alice.send_location({"user": late.user}, 5.0, 5.0)
    late.wait_for(lambda: ("alice@north", 5.0) in seen(late))
    assert ("alice@north", 3.0) not in seen(late)


@pytest.mark.parametrize("off", [-1.79e9, -86400.0, -620.0, 620.0, 86400.0, 30 * 86400.0])
def test_a_clock_that_is_far_off_hides_nobody(client, north, south, off):
    """A machine without a battery and the Internet begins in 1970."""
    name, watching = fresh("lost"), fresh("w", "south")
    typist, sharer = client(name, north, TYPING), client(name, north, LOCATION)
    seer, watcher = client(watching, south, TYPING), client(watching, south, LOCATION)
    now = time.time() + off
    typist.send_typing(now)
    seer.wait_typing(lambda names: name in names)
    place = {"location": {"latitude": 5.0, "longitude": 6.0}, "user": watcher.user}
    fields = {"author": user(name), "timestamp": now, "expiry_at": now + 300, **place}
    sharer.send_datagram(LOCATION, wire.encode("LIVE_LOCATION", fields))
    watcher.wait_for(lambda: (name, 5.0) in seen(watcher))
    told = next(each for each in watcher.locations if name_of(each["author"]) == name)
    assert abs(told["timestamp"] - time.time()) < 60  # put right, for those who look at it
    assert 290 < told["expiry_at"] - told["timestamp"] < 310


def lie(**changes):
    now = time.time()
    return {
        "author": user("liar@north"),
        "user": user("w@south"),
        "timestamp": now,
        "expiry_at": now + 60,
        "location": {"latitude": 66.0, "longitude": 66.0},
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"author": user("eve@north")}, "foreign_user"),
        ({"location": {"latitude": 90.5, "longitude": 0.0}}, "out_of_range"),
        ({"location": {"latitude": 0.0, "longitude": -180.5}}, "out_of_range"),
        ({"location": {"latitude": float("nan"), "longitude": 0.0}}, "out_of_range"),
        ({"expiry_at": 1.0}, "out_of_range"),
        ({"expiry_at": time.time() - 1}, "out_of_range"),
        ({"expiry_at": float("inf")}, "out_of_range"),
        ({"timestamp": float("nan")}, "out_of_range"),
        ({"user": {}}, "no_recipient"),
    ],
)
def test_a_location_that_lies_is_counted_and_not_passed_on(client, north, south, changes, reason):
    liar, watcher = client("liar@north", north, LOCATION), client("w@south", south, LOCATION)
    before = north.metrics("location").value(DROPPED, reason=reason)
    liar.send_datagram(LOCATION, wire.encode("LIVE_LOCATION", lie(**changes)))
    north.wait_metric("location", before + 1, DROPPED, reason=reason)
    liar.send_location({"user": watcher.user}, 20.0, 20.0)
    watcher.wait_for(lambda: seen(watcher))
    assert seen(watcher) == {("liar@north", 20.0)}


def test_a_server_may_only_tell_where_its_own_users_are(client, north, east):
    watcher = client("watcher@north", north, LOCATION)
    before = north.metrics("location").value(REJECTED, reason="foreign_user")
    entries = [
        {"live_location": lie(author=user(author), user=watcher.user), "messageSnowflake": 9}
        for author in ("alice@north", "bob@south", "zoe@east")
    ]
    link = east.wait_working_link("north", LOCATION)
    link.send("LIVE_LOCATIONS", {"extended_live_locations": entries})
    watcher.wait_for(lambda: seen(watcher) == {("zoe@east", 66.0)})
    wait_until(lambda: north.metrics("location").value(REJECTED, reason="foreign_user") == before + 2)


def test_a_server_is_told_only_what_is_for_its_users(client, north, south, east):
    alice, bob = client("alice@north", north, LOCATION), client("bob@south", south, LOCATION)
    alice.send_location({"user": bob.user}, 31.0, 0.0)
    bob.wait_for(lambda: ("alice@north", 31.0) in seen(bob))
    alice.send_location({"user": user("zoe@east")}, 32.0, 0.0)
    east.wait_for(lambda: ("alice@north", 32.0) in seen(east))
    assert ("alice@north", 31.0) not in seen(east)


# The process -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("service", "port"), [("typing", 7778), ("location", 8889)])
def test_a_taken_udp_port_is_one_clear_line_and_exit_code_2(tmp_path, service, port):
    node = Node("west", "127.0.3.9", tmp_path, services=())
    with node, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((node.address, port))
        node.start(service)
        assert node.wait_exit(service) == 2
        [line] = node.stderr(service).splitlines()
        assert f"{port}/udp" in line
