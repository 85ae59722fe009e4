"""Nodes of Parley with the clients and servers already in use.

Those are stand-ins made from the protocol's tables and vectors alone, with the quirks that it lists, and know
nothing of our additions.
"""

import itertools
import time
from contextlib import ExitStack

import pytest

from tests.interop.recorder import Recorder
from tests.support import plain_wire as wire
from tests.support.nodes import Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_program import BUFFER
from tests.support.plain_server import LOCATION, MESSAGES, TYPING, PlainServer

ALPHA, BETA, OLD, HERMIT, ELDER, QUIET = (f"127.0.20.{number}" for number in range(1, 7))
SERVICE_OF = {MESSAGES: "chat", TYPING: "typing", LOCATION: "location"}
ACK_TIMEOUT = 1.0
SETTINGS = {
    "PARLEY_CHAT__ACK_TIMEOUT": str(ACK_TIMEOUT),
    "PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5",  # an existing server asks once, and has to be asked
    "PARLEY_LINK__BACKOFF_MAX": "0.5",
    "PARLEY_INTEROP__DIAL": "elder quiet",
    "PARLEY_INTEROP__PEERS": "quiet=old-server",  # it confirms nothing, and needs no gateway
}
REJECTED = "parley_frames_rejected_total"
DISCOVERY = ("SERVER_ANNOUNCE", "DISCOVER_SERVER")
"""Datagrams with fields of ours for everyone: whoever knows none skips them."""
OFFER = {MESSAGES: (6666, 0), TYPING: (7777, 7778), LOCATION: (8888, 8889)}
_hosts = itertools.count(11)


def client_address():
    """An address of its own for each client, since all listen on the same UDP ports."""
    return f"127.0.20.{next(_hosts)}"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    with (
        Node("alpha", ALPHA, directory, settings=SETTINGS) as alpha,
        Node("beta", BETA, directory, settings=SETTINGS) as beta,
    ):
        wait_linked([alpha, beta])
        yield alpha, beta


@pytest.fixture(scope="module")
def alpha(nodes):
    return nodes[0]


@pytest.fixture(scope="module")
def beta(nodes):
    return nodes[1]


@pytest.fixture
def programs():
    """What is entered here is closed with the test; none of it may have been sent anything of Parley's."""
    recorder, taps = Recorder({ALPHA, BETA}), []
    with ExitStack() as stack:

        def enter(program):
            program.tap = recorder.tap(program.address, program.names, program.address)
            taps.append(program.tap)
            return stack.enter_context(program)

        yield enter
    faults = [f"{fault}   {frame}" for tap in taps for fault, frame in tap.faults.items()]
    assert [fault for fault in faults if not fault.startswith(DISCOVERY)] == []


@pytest.fixture
def servers(nodes):
    """The names of all that answer a discovery now."""
    return {node.server_id for node in nodes}


@pytest.fixture
def client(programs, servers):
    """Make a client of USER@SERVER, connected to the features named.

    It hears of all servers, and may use any but for messages; or of that at the address `only`.
    """

    def make(name, *features, only="", **settings):
        user_id, server_id = name.split("@")
        if only:
            settings |= {"broadcast": only, "enough": 1}
        settings = {"enough": len(servers), **settings}
        program = programs(PlainClient(user_id, server_id, client_address(), **settings))
        for feature in features:
            program.connect(feature)
        return program

    return make


@pytest.fixture(params=[True, False], ids=["confirming", "silent"])
def confirms(request):
    return request.param


@pytest.fixture
def old(programs, nodes, servers, confirms):
    """A server already in use, linked with both nodes."""
    server = programs(PlainServer("old", OLD, users=("ann",), enough=len(nodes), confirms=confirms))
    wait_old_linked(server, nodes)
    servers.add("old")
    return server


@pytest.fixture
def quiet(programs, nodes, servers):
    """A server already in use that confirms nothing, and whose clients' acknowledgements do it no harm."""
    server = programs(PlainServer("quiet", QUIET, users=("ann",), listen=0, confirms=False))
    wait_old_linked(server, nodes)
    servers.add("quiet")
    return server


def wait_old_linked(old, nodes):
    """Wait until there is a working link for each feature, on both sides' account, and our gateway there."""
    for node in nodes:
        for feature, service in SERVICE_OF.items():
            old.wait_working_link(node.server_id, feature)
            node.wait_linked(service, old.server_id)
        if old.server_id == "old":
            wait_until(lambda node=node: gateway_at("old", node)["connected"])


def gateway_at(server_id, node):
    """What a node says of its gateway there."""
    found = [each for each in node.status("chat")["gateways"] if each["server_id"] == server_id]
    return found[0] if found else {"connected": False}


def user(name):
    user_id, server_id = name.split("@")
    return {"userId": user_id, "serverId": server_id}


# A client already in use ----------------------------------------------------------------------------


def test_a_client_finds_each_server_once_at_the_address_where_its_ports_are(client, nodes):
    bob = client("bob@alpha", enough=None)
    found = {each.server_id: (each.address, each.features) for each in bob.discover_once()}
    assert found == {node.server_id: (node.address, OFFER) for node in nodes}
    assert [each.name for each in bob.received] == ["SERVER_ANNOUNCE"] * len(nodes)


def test_a_message_reaches_a_user_of_the_same_server_and_is_acknowledged(client):
    bob, eve = client("bob@alpha", MESSAGES), client("eve@alpha", MESSAGES)
    snowflake = bob.send_text("eve", "alpha", "hello\n")
    assert eve.wait_text("hello\n").fields["author"] == bob.user
    assert bob.wait_status(snowflake, "DELIVERED")["user"] == eve.user


def test_a_message_reaches_a_user_of_another_server_and_is_acknowledged(client):
    bob, eve = client("bob@alpha", MESSAGES), client("eve@beta", MESSAGES)
    there = bob.send_text("eve", "beta", "there")
    assert eve.wait_text("there").fields["author"] == bob.user
    assert bob.wait_status(there, "DELIVERED")["user"] == eve.user
    back = eve.send_text("bob", "alpha", "and back")
    assert bob.wait_text("and back").fields["author"] == eve.user
    assert eve.wait_status(back, "DELIVERED")["user"] == bob.user


def test_each_message_is_delivered_and_acknowledged_once_and_in_order(client):
    bob, eve = client("bob@alpha", MESSAGES), client("eve@beta", MESSAGES)
    sent = [bob.send_text("eve", "beta", f"{number}") for number in range(200)]
    bob.wait_status(sent[-1], "DELIVERED")
    assert [each["textContent"] for each in eve.messages] == [f"{number}" for number in range(200)]
    assert [ack["messageSnowflake"] for ack in bob.acks] == sent


def test_every_kind_of_content_arrives_as_it_was_sent(client):
    bob, eve = client("bob@alpha", MESSAGES), client("eve@beta", MESSAGES)
    document = {"documentId": "1", "filename": "a b\n.txt", "mimeType": "text/plain", "data": b"\x00 \n" * 500}
    place = {"author": bob.user, "user": eve.user, "location": {"latitude": 48.2, "longitude": 11.6}}
    for content in ({"textContent": ""}, {"document": document}, {"live_location": place}):
        bob.wait_status(bob.send_message({"user": eve.user, **content}), "DELIVERED")
        assert {key: eve.messages[-1][key] for key in content} == content


@pytest.mark.parametrize(("name", "status"), [("ghost@alpha", "USER_NOT_FOUND"), ("ghost@beta", "USER_NOT_FOUND")])
def test_an_unknown_user_is_reported(client, name, status):
    bob = client("bob@alpha", MESSAGES)
    assert bob.wait_status(bob.send_text(*name.split("@"), "boo"), status)["user"] == user(name)


def test_an_unknown_server_is_reported(client):
    bob = client("bob@alpha", MESSAGES)
    entry = bob.wait_status(bob.send_text("ghost", "nowhere", "boo"), "OTHER_SERVER_NOT_FOUND")
    assert entry["user"] == user("ghost@nowhere")


@pytest.mark.parametrize("home", ["alpha", "beta"])
def test_a_message_for_a_user_who_is_away_is_delivered_when_they_are_back(client, home):
    bob, eve = client("bob@alpha", MESSAGES), client(f"eve@{home}", MESSAGES)
    eve.close()
    snowflake = bob.send_text("eve", home, "later")
    assert bob.wait_status(snowflake, "USER_AWAY")["user"] == eve.user
    client(f"eve@{home}", MESSAGES).wait_text("later")
    assert bob.wait_status(snowflake, "DELIVERED")["user"] == eve.user


def test_typing_crosses(client):
    bob = client("bob@alpha", TYPING, only=ALPHA)
    eve, ann = client("eve@alpha", TYPING, only=ALPHA), client("ann@beta", TYPING, only=BETA)
    bob.send_typing()
    for each in (eve, ann):
        each.wait_typing(lambda names: "bob@alpha" in names)


def test_typing_at_the_server_that_answered_first_reaches_all_who_are_there(client):
    """It need not be the user's own."""
    bob, eve = client("bob@alpha", TYPING, only=BETA), client("eve@beta", TYPING, only=BETA)
    bob.send_typing()
    eve.wait_typing(lambda names: "bob@alpha" in names)


def test_locations_cross_to_whom_they_are_for(client):
    bob = client("bob@alpha", LOCATION, only=ALPHA)
    eve, ann = client("eve@alpha", LOCATION, only=ALPHA), client("ann@beta", LOCATION, only=BETA)
    for recipient in (eve, ann):
        bob.send_location({"user": recipient.user}, 48.2, 11.6)
        recipient.wait_for(lambda recipient=recipient: recipient.locations)
        assert recipient.locations[0]["location"] == {"latitude": 48.2, "longitude": 11.6}
        assert recipient.locations[0]["author"] == bob.user


def test_no_datagram_is_longer_than_the_buffer_of_a_client(client):
    """A crowd types under long names: each list comes in pieces that fit."""
    listener = client("bob@alpha", TYPING, only=ALPHA)
    crowd = [client(f"{'x' * 150}{number}@alpha", TYPING, only=ALPHA) for number in range(8)]
    for each in crowd:
        each.send_typing()

    def seen():
        lists = [each.fields for each in listener.received if each.name == "TYPING_EVENTS"]
        return {event["user"]["userId"] for each in lists for event in each.get("typing_events", [])}

    listener.wait_for(lambda: seen() == {each.user["userId"] for each in crowd})
    assert sum(len(each.user["userId"]) for each in crowd) > BUFFER
    assert [listener.dropped, *(each.dropped for each in crowd)] == [0] * 9


def test_ping_is_answered_on_every_feature(client):
    for feature in SERVICE_OF:
        bob = client("bob@alpha", feature)
        bob.connected[feature].send("PING")
        assert bob.wait_frame("PONG").link is bob.connected[feature]


def test_our_messages_have_only_names_that_a_client_knows(client):
    bob, eve = client("bob@alpha", *SERVICE_OF, only=ALPHA), client("eve@beta", *SERVICE_OF, only=BETA)
    bob.wait_status(bob.send_text("eve", "beta", "hello"), "DELIVERED")
    bob.send_typing()
    eve.wait_typing(lambda names: "bob@alpha" in names)
    assert {each.name for each in bob.received + eve.received} <= wire.NAMES.keys() - {"UNSUPPORTED_MESSAGE"}


def test_a_client_that_is_gone_without_a_word_leaves_its_messages_for_the_next(client):
    bob, eve = client("bob@alpha", MESSAGES), client("eve@alpha", MESSAGES, status=None)
    snowflake = bob.send_text("eve", "alpha", "unconfirmed")
    eve.wait_text("unconfirmed")
    eve.close(hangup=False)
    client("eve@alpha", MESSAGES).wait_text("unconfirmed")
    bob.wait_status(snowflake, "DELIVERED")


def test_every_client_of_a_user_gets_the_message_and_the_first_acknowledgement_counts(client):
    bob = client("bob@alpha", MESSAGES)
    phone, desk = client("eve@alpha", MESSAGES, status=None), client("eve@alpha", MESSAGES)
    snowflake = bob.send_text("eve", "alpha", "everywhere")
    for each in (phone, desk):
        each.wait_text("everywhere")
    bob.wait_status(snowflake, "DELIVERED")


# A server already in use --------------------------------------------------------------------------------


def test_a_server_that_dials_is_accepted_hung_up_on_and_dialled(old, nodes):
    """A link that it dialled is deaf and mute; exactly one that works is there afterwards."""

    def deaf(node, feature):
        place = (node.address, OFFER[feature][0])
        return [each for each in old.received if each.link and each.link.dialled and each.source == place]

    hung_up = [{"result": "CONNECTED"}, {"reason": "EXIT"}]
    crossed = [{"result": "IS_ALREADY_CONNECTED_ERROR"}]  # ours was on its way
    for node in nodes:
        for feature in SERVICE_OF:
            # There is none where ours came first.
            old.wait_for(lambda: [e.fields for e in deaf(node, feature)] in (hung_up, crossed, []))  # noqa: B023
    wanted = sorted((node.server_id, feature) for node in nodes for feature in SERVICE_OF)
    old.wait_for(
        lambda: sorted((link.hello["serverId"], link.feature) for link in old.links if serves(link)) == wanted
    )
    assert all(link.remote[0] in (ALPHA, BETA) for link in old.links)


def serves(link):
    """Whether it is a server's link, and not our gateway's."""
    return link.kind == "server"


def test_a_server_that_never_dials_is_known_and_left_alone(programs, nodes, confirms):
    """It may be one that knows no CONNECT_SERVER: that would end its loops."""
    name = f"hermit-{confirms}"
    hermit = programs(PlainServer(name, HERMIT, listen=0, confirms=confirms))
    for node in nodes:
        for service in SERVICE_OF.values():
            wait_until(lambda node=node, service=service: state_of(node, service, name) == "known")
    hermit.wait_frame("DISCOVER_SERVER", count=4)
    assert (hermit.links, {each.name for each in hermit.received}) == ([], {"DISCOVER_SERVER"})


def state_of(node, service, name):
    return next((peer["state"] for peer in node.status(service)["peers"] if peer["server_id"] == name), None)


def test_one_that_never_dials_is_dialled_where_the_operator_lists_it(programs, nodes, confirms):
    elder = programs(PlainServer("elder", ELDER, listen=0, confirms=confirms))
    for node in nodes:
        for feature, service in SERVICE_OF.items():
            elder.wait_working_link(node.server_id, feature)
            node.wait_linked(service, "elder")
    elder.wait_for(lambda: len(elder.links) == len(nodes) * (len(SERVICE_OF) + 1))
    assert len(list(filter(serves, elder.links))) == len(nodes) * len(SERVICE_OF)


@pytest.mark.parametrize("confirms", [True], ids=["confirming"], indirect=True)
def test_messages_and_acknowledgements_cross_both_ways_with_a_confirming_server(client, programs, old):
    bob = client("bob@alpha", MESSAGES)
    eve = programs(PlainClient("eve", "old", client_address(), broadcast=OLD, enough=1))
    eve.connect()
    there = bob.send_text("eve", "old", "there")
    assert eve.wait_text("there").fields["author"] == bob.user
    assert bob.wait_status(there, "DELIVERED")["user"] == eve.user
    back = eve.send_text("bob", "alpha", "back")
    assert bob.wait_text("back").fields["author"] == eve.user
    assert eve.wait_status(back, "DELIVERED")["user"] == bob.user
    bob.wait_status(bob.send_text("ann", "old", "recorded"), "DELIVERED")
    bob.wait_status(bob.send_text("ghost", "old", "boo"), "USER_NOT_FOUND")
    assert len(old.delivered) == 2


def test_what_a_server_leaves_unconfirmed_is_reported_so_once_and_never_sent_again(client, quiet):
    bob = client("bob@alpha", MESSAGES)
    began = time.monotonic()
    snowflake = bob.send_text("ann", "quiet", "unconfirmed")
    assert bob.wait_status(snowflake, "UNKNOWN_STATUS")["user"] == user("ann@quiet")
    assert time.monotonic() - began >= ACK_TIMEOUT
    again = bob.send_text("ann", "quiet", "another")
    bob.wait_status(again, "UNKNOWN_STATUS")
    assert [each["messageSnowflake"] for each in quiet.delivered] == [snowflake, again]
    assert [ack["messageSnowflake"] for ack in bob.acks] == [snowflake, again]


@pytest.mark.parametrize("confirms", [False], ids=["silent"], indirect=True)
def test_a_silent_server_passes_on_the_acknowledgement_for_its_own_users_message(client, old):
    bob = client("bob@alpha", MESSAGES)
    snowflake = old.send_message("ann", "bob", "alpha", "hello")
    assert bob.wait_text("hello").fields["author"] == user("ann@old")
    old.wait_for(lambda: old.acks)
    [ack] = old.acks
    assert ack == {"messageSnowflake": snowflake, "statuses": [{"user": bob.user, "status": "DELIVERED"}]}


def test_what_was_on_a_link_that_broke_is_sent_once_more_and_no_third_time(client, quiet, alpha):
    bob = client("bob@alpha", MESSAGES)
    snowflake = bob.send_text("ann", "quiet", "twice")
    for count in (1, 2):
        quiet.wait_delivered("twice", count=count)
        quiet.drop(quiet.wait_working_link("alpha"))
    bob.wait_status(snowflake, "UNKNOWN_STATUS")
    quiet.wait_working_link("alpha")
    alpha.wait_linked("chat", "quiet")
    bob.wait_status(bob.send_text("ann", "quiet", "new"), "UNKNOWN_STATUS")
    assert [each["textContent"] for each in quiet.delivered] == ["twice", "twice", "new"]
    assert [ack["messageSnowflake"] for ack in bob.acks].count(snowflake) == 1


def test_what_was_sent_once_more_is_reported_unconfirmed_after_the_timeout(client, quiet):
    bob = client("bob@alpha", MESSAGES)
    snowflake = bob.send_text("ann", "quiet", "once more")
    quiet.wait_delivered("once more")
    quiet.drop(quiet.wait_working_link("alpha"))
    quiet.wait_delivered("once more", count=2)
    bob.wait_status(snowflake, "UNKNOWN_STATUS")
    assert quiet.working_link("alpha") is not None


def test_messages_reach_a_server_that_was_started_again(client, programs, old, nodes, confirms):
    bob = client("bob@alpha", MESSAGES)
    old.close()
    for node in nodes:
        for service in SERVICE_OF.values():
            wait_until(lambda node=node, service=service: "old" not in node.linked(service))
    waiting = bob.send_text("ann", "old", "for later")
    bob.wait_status(waiting, "OTHER_SERVER_TIMEOUT")
    again = programs(PlainServer("old", OLD, users=("ann",), enough=len(nodes), confirms=confirms))
    wait_old_linked(again, nodes)
    again.wait_delivered("for later")
    if not confirms:
        bob.wait_status(waiting, "USER_AWAY")
        programs(PlainClient("ann", "old", client_address(), broadcast=OLD, enough=1)).connect()
    bob.wait_status(waiting, "DELIVERED")
    assert len(again.delivered) == 1 or not confirms


@pytest.mark.usefixtures("old")
def test_typing_and_locations_cross_both_ways_with_a_server(client, programs):
    bob = client("bob@alpha", TYPING, LOCATION, only=ALPHA)
    eve = programs(PlainClient("eve", "old", client_address(), broadcast=OLD, enough=1))
    for feature in (TYPING, LOCATION):
        eve.connect(feature)
    bob.send_typing()
    eve.wait_typing(lambda names: "bob@alpha" in names)
    eve.send_typing()
    bob.wait_typing(lambda names: "eve@old" in names)
    bob.send_location({"user": eve.user}, 1.0, 2.0)
    eve.wait_for(lambda: eve.locations)
    eve.send_location({"user": bob.user}, 3.0, 4.0)
    bob.wait_for(lambda: bob.locations)
    assert bob.locations[0]["location"] == {"latitude": 3.0, "longitude": 4.0}


def test_a_server_may_only_speak_for_its_own_users(client, old, alpha):
    bob = client("bob@alpha", MESSAGES)
    before = alpha.metrics("chat").value(REJECTED, reason="foreign_user")
    link = old.wait_working_link("alpha")
    for number, author in enumerate(("eve@beta", "bob@alpha", "x@"), start=1):
        message = {"messageSnowflake": number, "author": user(author), "user": bob.user, "textContent": "forged"}
        link.send("MESSAGE", message)
    old.send_message("ann", "bob", "alpha", "genuine")
    bob.wait_text("genuine")
    assert [each["textContent"] for each in bob.messages] == ["genuine"]
    wait_until(lambda: alpha.metrics("chat").value(REJECTED, reason="foreign_user") == before + 3)
    assert not link.closed


def test_what_a_server_sent_is_not_passed_on_to_a_third(client, old):
    eve = client("eve@beta", MESSAGES)
    link = old.wait_working_link("alpha")
    message = {"messageSnowflake": 1, "author": user("ann@old"), "user": eve.user, "textContent": "by way of alpha"}
    link.send("MESSAGE", message)
    old.send_message("ann", "eve", "beta", "straight")
    eve.wait_text("straight")
    assert [each["textContent"] for each in eve.messages] == ["straight"]


def test_our_additions_do_a_server_no_harm(client, old, nodes):
    """It was sent nothing that it does not know, and answered nothing with UNSUPPORTED_MESSAGE."""
    bob = client("bob@alpha", MESSAGES)
    bob.send_text("ann", "old", "hello")
    old.wait_delivered("hello")
    old.wait_frame("DISCOVER_SERVER", count=4)
    assert {each.name for each in old.received} <= wire.NAMES.keys() - {"UNSUPPORTED_MESSAGE"}
    assert old.dropped == 0
    assert [node.metrics("chat").value(REJECTED, reason="unsupported_there") for node in nodes] == [0, 0]
    assert {link.hello["serverId"] for link in old.links if link.kind == "server"} == {"alpha", "beta"}


def test_a_visitor_s_typing_and_location_go_by_way_of_their_home(client):
    """A client keeps the first server that answered: their home tells what they do, and them what others do."""
    visitor = client("vera@alpha", TYPING, LOCATION, only=BETA)
    vic, val = client("vic@alpha", TYPING, LOCATION, only=ALPHA), client("val@beta", TYPING, LOCATION, only=BETA)
    visitor.send_typing()
    for each in (vic, val):
        each.wait_typing(lambda names: "vera@alpha" in names)
    for each in (vic, val):
        each.send_typing()
    visitor.wait_typing(lambda names: {"vic@alpha", "val@beta"} <= names)
    for number, each in enumerate((vic, val)):
        visitor.send_location({"user": each.user}, 10.0 + number, 1.0)
        each.wait_for(lambda each=each: each.locations)
        assert [place["location"]["latitude"] for place in each.locations] == [10.0 + number]
        each.send_location({"user": visitor.user}, 20.0 + number, 1.0)
        visitor.wait_for(lambda n=number: any(p["location"]["latitude"] == 20.0 + n for p in visitor.locations))


def test_no_bad_word_about_existing_programs_is_in_the_logs(nodes):
    """The last test of this module: what they do is no error of ours."""
    for node in nodes:
        for service in node.services:
            assert '"level": "error"' not in node.stderr(service), node.stderr(service)
