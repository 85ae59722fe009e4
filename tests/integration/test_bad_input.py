"""Bad input at the real processes: each gets its answer, is counted, and costs nobody else anything.

In every test there are bystanders: two clients of the node that is fed, one at another node, and the
links between the nodes. After it their links are the same ones, and messages flow over all of them.
"""

import itertools
import socket
import struct
import time
from contextlib import ExitStack, suppress

import psutil
import pytest

from parley.shared.config import Config
from tests.support import plain_wire as wire
from tests.support.nodes import COUNTED, HTTP_PORTS, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_dialler import PlainDialler
from tests.support.plain_program import BROADCAST, DISCOVERY_PORT
from tests.support.plain_server import LOCATION, MESSAGES, TYPING
from tests.support.standing import assert_still_standing, standing_links

ALPHA, BETA, GAMMA = "127.0.22.1", "127.0.22.2", "127.0.22.3"
ATTACKER = "127.0.22.66"
TCP_PORTS = {"discovery": 9998, "chat": 6666, "typing": 7777, "location": 8888}
UDP_PORTS = {"discovery": 9999, "typing": 7778, "location": 8889}
GIB = 1 << 30
MIB = 1 << 20
CONNECT_TIMEOUT = 0.5
REJECTED, DROPPED = "parley_frames_rejected_total", "parley_datagrams_dropped_total"
EVE = {"userId": "eve", "serverId": "alpha"}

MALFORMED, TOO_LARGE = "MESSAGE_MALFORMED", "PAYLOAD_LIMIT_EXCEEDED"
NO_FRAMES = {
    "http": b"GET / HTTP/1.1\r\nHost: alpha\r\n\r\n",
    "lower case": b"ping 0 \n",
    "zeros": b"\x00" * 100,
    "line feeds": b"\n" * 100,
    "length is no number": b"PING -1 \n",
    "length is hexadecimal": b"PING 0x2 \n",
    "length of 30 digits": b"PING " + b"0" * 30 + b" \n",
    "name without an end": b"A" * 1000,
    "length too small": wire.encode("CONNECT_CLIENT", {"user": EVE}).replace(b" 14 ", b" 13 "),
    "length too large": wire.encode("CONNECT_CLIENT", {"user": EVE}).replace(b" 14 ", b" 15 ") + b"PING 0 \n",
    "no line feed": b"PING 0 \r\n",
    "another byte for the line feed": b"PING 0 xPING 0 \n",
}
TOO_LARGE_HEADERS = {
    "3 GiB": b"MESSAGE %d " % (3 * GIB),
    "one byte over": b"MESSAGE %d " % (Config().link.payload_limit + 1),
    "20 digits": b"MESSAGE " + b"9" * 20 + b" ",
    "unknown name": b"FOO_BAR %d " % (3 * GIB),
}
PAYLOADS_THAT_DO_NOT_PARSE = {
    "truncated field": b"\x12\x05\x0a",
    "wrong wire type": b"\x0f\x00",
    "no utf-8": b"\x0a\x04\x0a\x02\xff\xfe\x12\x04\x0a\x02\xff\xfe",
    "endless varint": b"\xff" * 11,
}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    with (
        Node("alpha", ALPHA, directory, settings=COUNTED) as alpha,
        Node("beta", BETA, directory, settings=COUNTED) as beta,
    ):
        wait_linked([alpha, beta])
        yield alpha, beta


@pytest.fixture(scope="module")
def alpha(nodes):
    return nodes[0]


@pytest.fixture(scope="module")
def bystanders(nodes):
    """Ann and bob at alpha, cid at beta, with links that are older than all the tests."""
    with ExitStack() as stack:
        made = []
        for number, name in enumerate(("ann@alpha", "bob@alpha", "cid@beta"), start=11):
            user_id, server_id = name.split("@")
            client = PlainClient(user_id, server_id, f"127.0.22.{number}", enough=len(nodes))
            made.append(stack.enter_context(client))
            client.connect()
        yield made


@pytest.fixture(scope="module")
def first_links(nodes, bystanders):
    """The links between the nodes, and the bystanders' own, before the first test."""
    return standing_links(nodes), [each.connected[MESSAGES] for each in bystanders]


@pytest.fixture(autouse=True)
def no_harm_to_others(nodes, bystanders, first_links):
    """Nobody's link was lost, all messages flow, no process logged an error of its own."""
    yield
    before, links = first_links
    ann, bob, cid = bystanders
    for author, recipient in ((ann, bob), (ann, cid), (cid, ann)):
        snowflake = author.send_text(recipient.user["userId"], recipient.user["serverId"], "still there?")
        author.wait_status(snowflake, "DELIVERED")
    assert [each.connected[MESSAGES] for each in bystanders] == links
    assert_still_standing(before, standing_links(nodes))
    for node in nodes:
        for service in node.services:
            assert node.is_running(service)
            assert '"level": "error"' not in node.stderr(service)


@pytest.fixture
def attacker():
    """A program that dials, sends whatever it is told to, and notes the answers."""
    with PlainDialler(ATTACKER, BROADCAST, DISCOVERY_PORT) as program:
        yield program


class Counted:
    """How much a counter grew."""

    def __init__(self, node, service, name, reason):
        self.read = lambda: node.metrics(service).value(name, reason=reason)
        self.before = self.read()

    def wait(self, by=1, what=""):
        wait_until(lambda: self.read() - self.before == by, what=f"{what} counted {by} times")


@pytest.fixture
def counted(alpha):
    """Watch a reason's counter of alpha: frames rejected or datagrams dropped."""

    def watch(reason, service="chat", name=REJECTED):
        return Counted(alpha, service, name, reason)

    return watch


def dial(attacker, service="chat"):
    return attacker.dial((ALPHA, TCP_PORTS[service]), service)


def subscribed(attacker, service="chat", name="eve@alpha"):
    """A link that is connected as a client."""
    user_id, server_id = name.split("@")
    link = dial(attacker, service)
    link.send("CONNECT_CLIENT", {"user": {"userId": user_id, "serverId": server_id}})
    attacker.wait_for(lambda: link.result == "CONNECTED")
    return link


def answers(attacker, link):
    """What came over a link, without the answers to its CONNECT."""
    return [
        (each.name, each.fields) for each in attacker.received if each.link is link and each.name != "CONNECTED"
    ]


def wait_answers(attacker, link, *expected):
    attacker.wait_for(lambda: answers(attacker, link) == list(expected))


def wait_hung_up(attacker, link, reason):
    """Wait for HANGUP with this reason as the last that comes, and for the end of the connection."""
    attacker.wait_for(lambda: link.closed)
    assert answers(attacker, link)[-1] == ("HANGUP", {"reason": reason})


def unsupported(name):
    return ("UNSUPPORTED_MESSAGE", {"message_name": name})


# No frames ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", NO_FRAMES.values(), ids=NO_FRAMES)
def test_what_is_no_frame_is_answered_malformed(attacker, counted, data):
    """Before a CONNECT and after it."""
    malformed = counted("malformed")
    for link in (dial(attacker), subscribed(attacker)):
        link.send_bytes(data)
        wait_hung_up(attacker, link, MALFORMED)
    malformed.wait(by=2)


def test_what_begins_as_tls_and_is_none_is_closed_and_counted(attacker, counted):
    """As the first bytes; behind a CONNECT it is no frame as anything else."""
    broken, malformed = counted("tls_protocol"), counted("malformed")
    dial(attacker).send_bytes(b"\x16" + bytes(100))
    broken.wait()
    link = subscribed(attacker)
    link.send_bytes(b"\x16" + bytes(100))
    wait_hung_up(attacker, link, MALFORMED)
    malformed.wait()


@pytest.mark.parametrize("service", ["discovery", "typing", "location"])
def test_the_other_processes_refuse_what_is_no_frame_as_well(attacker, counted, service):
    malformed = counted("malformed", service)
    link = dial(attacker, service)
    link.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
    wait_hung_up(attacker, link, MALFORMED)
    malformed.wait()


def test_frames_before_a_fault_are_served_and_those_behind_it_are_not(attacker, counted):
    malformed, unknown = counted("malformed"), counted("unknown_name")
    link = subscribed(attacker)
    link.send_bytes(wire.encode("PING") + wire.frame("FOO") + b"fault" + wire.frame("BAR"))
    wait_hung_up(attacker, link, MALFORMED)
    assert sorted(answers(attacker, link)[:-1]) == [("PONG", {}), unsupported("FOO")]
    malformed.wait()
    unknown.wait()


@pytest.mark.parametrize("data", TOO_LARGE_HEADERS.values(), ids=TOO_LARGE_HEADERS)
def test_too_large_a_payload_is_refused_from_its_header_alone(attacker, counted, data):
    too_large = counted("too_large")
    for link in (dial(attacker), subscribed(attacker)):
        link.send_bytes(data)
        wait_hung_up(attacker, link, TOO_LARGE)
    too_large.wait(by=2)


def test_a_flood_behind_too_large_a_header_does_not_stay_in_memory(attacker, alpha, counted):
    """Who goes on sending 3 GiB is cut off; the process does not grow by what was sent."""
    too_large = counted("too_large")
    before = resident_bytes(alpha.pid("chat"))
    link = dial(attacker)
    link.send_bytes(TOO_LARGE_HEADERS["3 GiB"])
    with suppress(OSError):
        for _ in range(64):
            link.sock.sendall(b"x" * MIB)
    attacker.wait_for(lambda: link.closed)
    too_large.wait()
    assert resident_bytes(alpha.pid("chat")) - before < 16 * MIB


def resident_bytes(pid):
    return psutil.Process(pid).memory_info().rss


# Half a frame, and silence ------------------------------------------------------------------------------


def test_half_a_frame_is_waited_for(attacker):
    link, me = subscribed(attacker, name="me@alpha"), {"userId": "me", "serverId": "alpha"}
    data = wire.encode("MESSAGE", {"messageSnowflake": 1, "author": me, "user": me, "textContent": "to myself"})
    for byte in data[:-1]:
        link.send_bytes(bytes([byte]))
    assert answers(attacker, link) == []
    link.send_bytes(data[-1:])
    attacker.wait_frame("MESSAGE", lambda fields: fields["textContent"] == "to myself")


@pytest.fixture(scope="module")
def impatient(tmp_path_factory, nodes):
    """A node that waits for a CONNECT, and for a sign of life, but briefly."""
    settings = {
        "PARLEY_LINK__CONNECT_TIMEOUT": str(CONNECT_TIMEOUT),
        "PARLEY_LINK__PING_TIMEOUT": str(CONNECT_TIMEOUT),
    }
    node = Node("gamma", GAMMA, tmp_path_factory.mktemp("impatient"), ("discovery", "chat"), settings)
    with node:
        for other in nodes:
            other.wait_linked("chat", "gamma")
        yield node


def test_the_default_connect_timeout_is_ten_seconds():
    assert Config().link.connect_timeout == 10


HALF_FRAMES = {"nothing": b"", "half a header": b"CONNECT_CLI", "half a payload": b"CONNECT_CLIENT 14 \x0a\x05"}


@pytest.mark.parametrize("data", HALF_FRAMES.values(), ids=HALF_FRAMES)
@pytest.mark.parametrize("service", ["discovery", "chat"])
def test_who_does_not_connect_in_time_is_hung_up_on(attacker, impatient, service, data):
    began = time.monotonic()
    link = attacker.dial((impatient.address, TCP_PORTS[service]), service)
    link.send_bytes(data)
    wait_hung_up(attacker, link, "TIMEOUT")
    assert CONNECT_TIMEOUT <= time.monotonic() - began < CONNECT_TIMEOUT + 2


def test_what_is_not_supported_does_not_put_off_the_connect_timeout(attacker, impatient):
    began = time.monotonic()
    link = attacker.dial((impatient.address, TCP_PORTS["chat"]), MESSAGES)

    def sent_again():
        link.send("PING")
        return link.closed

    wait_until(sent_again)
    assert CONNECT_TIMEOUT <= time.monotonic() - began < CONNECT_TIMEOUT + 2
    assert answers(attacker, link)[-1] == ("HANGUP", {"reason": "TIMEOUT"})


def test_half_a_frame_and_silence_on_a_connected_link_ends_with_the_timeout(attacker, impatient):
    link = attacker.dial((impatient.address, TCP_PORTS["chat"]), MESSAGES)
    user = {"userId": "eve", "serverId": "gamma"}
    link.send_bytes(wire.encode("CONNECT_CLIENT", {"user": user}) + b"MESSAGE 100 half")
    attacker.wait_for(lambda: link.result == "CONNECTED")
    attacker._serve = lambda link, name, _fields: attacker.drop(link) if name == "HANGUP" else None
    wait_hung_up(attacker, link, "TIMEOUT")
    assert ("PING", {}) in answers(attacker, link)


def test_a_connection_that_breaks_in_the_middle_of_a_frame_is_forgotten(attacker, alpha):
    before = alpha.status("chat")["subscribers"]
    for end in (attacker.drop, reset):
        link = subscribed(attacker)
        link.send_bytes(b"MESSAGE 1000 half")
        wait_until(lambda: alpha.status("chat")["subscribers"] == before + 1)
        end(link)
        wait_until(lambda: alpha.status("chat")["subscribers"] == before)


def reset(link):
    """Break the connection with RST instead of FIN."""
    link.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    link.sock.shutdown(socket.SHUT_RD)


# Names, and their order ---------------------------------------------------------------------------------


@pytest.mark.parametrize("connect", [dial, subscribed])
@pytest.mark.parametrize("name", ["FOO_BAR", "A", "Z9_" * 21])
def test_an_unknown_name_is_not_supported_and_the_link_stays(attacker, counted, connect, name):
    rejected = counted("unexpected" if connect is dial else "unknown_name")
    link = connect(attacker)
    link.send_bytes(wire.frame(name, b"\xff\n "))
    wait_answers(attacker, link, unsupported(name))
    rejected.wait()
    if connect is dial:
        link.send("CONNECT_CLIENT", {"user": EVE})
        attacker.wait_for(lambda: link.result == "CONNECTED")
    link.send("PING")
    wait_answers(attacker, link, unsupported(name), ("PONG", {}))


@pytest.mark.parametrize(
    ("service", "names"),
    [
        ("chat", ["MESSAGE", "MESSAGE_ACK", "PING", "PONG", "CONNECTED"]),
        ("typing", ["TYPING_EVENTS", "PING"]),
        ("location", ["LIVE_LOCATIONS", "PING"]),
    ],
)
def test_a_message_before_connect_is_not_supported_and_the_link_stays(attacker, counted, service, names):
    unexpected = counted("unexpected", service)
    link = dial(attacker, service)
    for name in names:
        link.send(name)
    wait_answers(attacker, link, *map(unsupported, names))
    unexpected.wait(by=len(names))
    link.send("CONNECT_CLIENT", {"user": EVE})
    attacker.wait_for(lambda: link.result == "CONNECTED")


@pytest.mark.parametrize(
    ("service", "name"), [("chat", "TYPING_EVENT"), ("typing", "MESSAGE"), ("location", "TRANSLATE")]
)
def test_another_features_message_is_not_supported_and_the_link_stays(attacker, counted, service, name):
    unknown = counted("unknown_name", service)
    link = subscribed(attacker, service)
    link.send(name)
    wait_answers(attacker, link, unsupported(name))
    unknown.wait()
    assert not link.closed


def test_an_unsupported_message_is_never_answered(attacker, counted):
    unsupported_there = counted("unsupported_there")
    for link in (dial(attacker), subscribed(attacker)):
        link.send("UNSUPPORTED_MESSAGE", {"message_name": "FOO"})
        link.send_bytes(wire.frame("LAST"))
        wait_answers(attacker, link, unsupported("LAST"))
    unsupported_there.wait(by=2)


# CONNECT ------------------------------------------------------------------------------------------------

BAD_CONNECTS = {
    "nobody": ("CONNECT_CLIENT", {}),
    "empty user": ("CONNECT_CLIENT", {"user": {}}),
    "no userId": ("CONNECT_CLIENT", {"user": {"serverId": "alpha"}}),
    "no serverId": ("CONNECT_CLIENT", {"user": {"userId": "eve"}}),
    "name too long": ("CONNECT_CLIENT", {"user": {"userId": "e" * 256, "serverId": "alpha"}}),
    "no server": ("CONNECT_SERVER", {}),
    "empty server": ("CONNECT_SERVER", {"serverId": "", "features": [MESSAGES]}),
    "our own server": ("CONNECT_SERVER", {"serverId": "alpha", "features": [MESSAGES]}),
    "another feature": ("CONNECT_SERVER", {"serverId": "zeta", "features": ["TRANSLATION"]}),
}


@pytest.mark.parametrize(("name", "fields"), BAD_CONNECTS.values(), ids=BAD_CONNECTS)
def test_a_connect_with_bad_names_is_refused_and_may_be_repeated(attacker, counted, name, fields):
    bad = counted("bad_connect")
    link = dial(attacker)
    attacker.hang_up = lambda *_: None  # it does not go when it is refused
    link.send(name, fields)
    attacker.wait_for(lambda: link.result == "UNKNOWN_ERROR")
    bad.wait()
    link.send("MESSAGE")
    wait_answers(attacker, link, unsupported("MESSAGE"))
    link.send("CONNECT_CLIENT", {"user": EVE})
    attacker.wait_for(lambda: link.result == "CONNECTED")


def test_a_user_of_another_home_server_is_refused_at_chat_and_welcome_elsewhere(attacker, counted):
    bad = counted("bad_connect")
    link = dial(attacker)
    link.send("CONNECT_CLIENT", {"user": {"userId": "eve", "serverId": "beta"}})
    attacker.wait_for(lambda: link.result == "UNKNOWN_ERROR")
    bad.wait()
    for service in ("typing", "location"):
        subscribed(attacker, service, "eve@beta")


def test_discovery_is_nobodys_server(attacker, counted):
    bad = counted("bad_connect", "discovery")
    hellos = [
        ("CONNECT_CLIENT", {"user": EVE}),
        ("CONNECT_SERVER", {"serverId": "zeta", "features": [MESSAGES]}),
    ]
    for name, fields in hellos:
        link = dial(attacker, "discovery")
        link.send(name, fields)
        attacker.wait_for(lambda link=link: link.result == "UNKNOWN_ERROR")
    bad.wait(by=2)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("CONNECT_CLIENT", {"user": EVE}),
        ("CONNECT_CLIENT", {}),
        ("CONNECT_SERVER", {"serverId": "zeta", "features": [MESSAGES]}),
    ],
)
def test_a_second_connect_is_answered_already_connected_and_changes_nothing(attacker, counted, name, fields):
    second = counted("second_connect")
    link, me = subscribed(attacker, name="me@alpha"), {"userId": "me", "serverId": "alpha"}
    link.send(name, fields)
    attacker.wait_for(lambda: link.result == "IS_ALREADY_CONNECTED_ERROR")
    second.wait()
    link.send("MESSAGE", {"messageSnowflake": 2, "author": me, "user": me, "textContent": "still me"})
    attacker.wait_frame("MESSAGE", lambda fields: fields["textContent"] == "still me")


@pytest.mark.parametrize("port", [-1, 65536, (1 << 31) - 1])
def test_a_port_that_is_none_is_malformed(attacker, counted, port):
    malformed = counted("malformed", "typing")
    link = dial(attacker, "typing")
    link.send("CONNECT_CLIENT", {"user": EVE, "udpPort": port})
    wait_hung_up(attacker, link, MALFORMED)
    malformed.wait()


# Payloads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", PAYLOADS_THAT_DO_NOT_PARSE.values(), ids=PAYLOADS_THAT_DO_NOT_PARSE)
@pytest.mark.parametrize("name", ["MESSAGE", "MESSAGE_ACK", "CONNECT_CLIENT"])
def test_a_payload_that_does_not_parse_is_malformed(attacker, counted, name, payload):
    malformed = counted("malformed")
    link = dial(attacker) if name == "CONNECT_CLIENT" else subscribed(attacker)
    link.send_bytes(wire.frame(name, payload))
    wait_hung_up(attacker, link, MALFORMED)
    malformed.wait()


def test_two_mebibytes_are_accepted_and_delivered(attacker, bystanders):
    _, bob, _ = bystanders
    document = {"documentId": "1", "filename": "map.png", "mimeType": "image/png", "data": b" \n" * MIB}
    link = subscribed(attacker)
    message = {"messageSnowflake": 3, "author": EVE, "user": bob.user, "document": document}
    link.send("MESSAGE", message)
    assert bob.wait_frame("MESSAGE", lambda fields: "document" in fields).fields == message
    attacker.wait_frame("MESSAGE_ACK", lambda fields: fields["statuses"][0]["status"] == "DELIVERED")


NOT_TAKEN = {
    "another's name": ("foreign_user", {"author": {"userId": "ann", "serverId": "alpha"}, "user": EVE}),
    "another server": ("foreign_user", {"author": {"userId": "eve", "serverId": "beta"}, "user": EVE}),
    "no author": ("foreign_user", {"user": EVE}),
    "no recipient": ("no_recipient", {"author": EVE}),
    "half a recipient": ("no_recipient", {"author": EVE, "user": {"userId": "bob"}}),
    "nothing": ("foreign_user", {}),
}


@pytest.mark.parametrize(("reason", "fields"), NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_a_message_in_anothers_name_or_for_nobody_is_answered_with_an_error(attacker, counted, reason, fields):
    rejected = counted(reason)
    link = subscribed(attacker)
    link.send("MESSAGE", {"messageSnowflake": 4, "textContent": "x", **fields})
    ack = attacker.wait_frame("MESSAGE_ACK").fields
    assert (ack["messageSnowflake"], [each["status"] for each in ack["statuses"]]) == (4, ["OTHER_ERROR"])
    rejected.wait()
    assert not link.closed


def test_an_acknowledgement_of_nothing_changes_nothing(attacker):
    link = subscribed(attacker)
    for ack in ({}, {"messageSnowflake": 99, "statuses": [{"status": "DELIVERED"}]}, {"messageSnowflake": 99}):
        link.send("MESSAGE_ACK", ack)
    link.send("PING")
    wait_answers(attacker, link, ("PONG", {}))


# Crowds -------------------------------------------------------------------------------------------------


def test_a_crowd_of_bad_connections_costs_nobody_anything(attacker, alpha, counted, bystanders):
    malformed = counted("malformed")
    ann, bob, _ = bystanders
    links = [dial(attacker) for _ in range(200)]
    for link in links:
        link.send_bytes(b"nonsense")
    snowflake = ann.send_text("bob", "alpha", "meanwhile")
    ann.wait_status(snowflake, "DELIVERED", timeout=1.0)
    attacker.wait_for(lambda: all(link.closed for link in links))
    malformed.wait(by=len(links))
    assert bob.connected
    assert alpha.status("chat")["ready"]


def test_a_faulty_link_writes_one_line_however_often_it_is_at_fault(attacker, alpha, counted):
    unknown = counted("unknown_name")
    before = len(alpha.logged("chat", "frame_rejected"))
    link = subscribed(attacker)
    link.send_bytes(wire.frame("FOO") * 1000)
    unknown.wait(by=1000)
    assert len(alpha.logged("chat", "frame_rejected")) <= before + 1  # none where others were at fault lately


# Datagrams ----------------------------------------------------------------------------------------------

GARBAGE = {
    "empty": b"",
    "garbage": b"\x00\xff garbage \n",
    "half a frame": b"DISCOVER_SER",
    "no line feed": b"DISCOVER_SERVER 0 ",
    "wrong length": b"DISCOVER_SERVER 7 \n",
    "two frames": b"DISCOVER_SERVER 0 \nDISCOVER_SERVER 0 \n",
    "3 GiB": b"DISCOVER_SERVER %d \n" % (3 * GIB),
    "64 KiB": b"\n" * 65000,
}


@pytest.fixture
def udp():
    """A socket of somebody who is no subscriber."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((ATTACKER, 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.settimeout(0.2)  # a request that finds a full buffer is lost, and asked again
        yield sock


@pytest.mark.parametrize("service", UDP_PORTS)
def test_every_datagram_that_is_no_frame_is_dropped_and_counted(udp, counted, service):
    for what, data in GARBAGE.items():
        malformed = counted("malformed", service, DROPPED)
        udp.sendto(data, (ALPHA, UDP_PORTS[service]))
        malformed.wait(what=what)


def test_garbage_that_is_broadcast_is_dropped_by_every_node(udp, nodes):
    dropped = [Counted(node, "discovery", DROPPED, "malformed") for node in nodes]
    udp.sendto(b"garbage", (BROADCAST, DISCOVERY_PORT))
    for each in dropped:
        each.wait()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"serverId": "", "feature": [{"featureName": MESSAGES, "port": 6666}]},
        {"serverId": "zeta", "feature": [{"featureName": MESSAGES, "port": 0}]},
        {"serverId": "zeta", "feature": [{"featureName": MESSAGES, "port": 65536}]},
        {"serverId": "zeta", "feature": [{"featureName": TYPING, "port": 1, "udpPort": 1 << 20}]},
    ],
    ids=["nobody", "empty name", "port 0", "port 65536", "udp port too large"],
)
def test_an_announcement_that_cannot_be_is_dropped_and_counted(udp, alpha, counted, fields):
    malformed = counted("malformed", "discovery", DROPPED)
    udp.sendto(wire.encode("SERVER_ANNOUNCE", fields), (ALPHA, DISCOVERY_PORT))
    malformed.wait()
    assert "zeta" not in [each["server_id"] for each in alpha.status("discovery")["directory"]]


def test_an_unknown_name_on_the_discovery_port_is_dropped_and_counted(udp, counted):
    unknown = counted("unknown_name", "discovery", DROPPED)
    for name in ("FOO_BAR", "MESSAGE", "TYPING_EVENT"):
        udp.sendto(wire.frame(name), (ALPHA, DISCOVERY_PORT))
    unknown.wait(by=3)


@pytest.mark.parametrize(("service", "name"), [("typing", "TYPING_EVENT"), ("location", "LIVE_LOCATION")])
def test_a_datagram_of_a_stranger_is_dropped_and_counted(udp, counted, service, name):
    stranger = counted("not_a_subscriber", service, DROPPED)
    who = "user" if service == "typing" else "author"
    udp.sendto(wire.encode(name, {who: EVE, "timestamp": 1.0}), (ALPHA, UDP_PORTS[service]))
    stranger.wait()


@pytest.fixture
def subscriber(nodes):  # noqa: ARG001 - they must be there to be found
    """Eve's client, at alpha for all features; her datagrams count."""
    with PlainClient("eve", "alpha", "127.0.22.21", broadcast=ALPHA, enough=1) as client:
        for feature in (TYPING, LOCATION):
            client.connect(feature)
        yield client


BAD_DATAGRAMS = {
    "no frame": ("malformed", b"garbage", b"garbage"),
    "does not parse": ("malformed", wire.frame("TYPING_EVENT", b"\xff"), wire.frame("LIVE_LOCATION", b"\xff")),
    "another's name": (
        "foreign_user",
        wire.encode("TYPING_EVENT", {"user": {"userId": "ann", "serverId": "alpha"}, "timestamp": 1.0}),
        wire.encode("LIVE_LOCATION", {"author": {"userId": "ann", "serverId": "alpha"}, "user": EVE}),
    ),
    "unknown name": ("unknown_name", wire.frame("FOO"), wire.frame("TYPING_EVENT")),
}


@pytest.mark.parametrize(("reason", "typing", "location"), BAD_DATAGRAMS.values(), ids=BAD_DATAGRAMS)
def test_a_subscribers_bad_datagram_is_dropped_and_the_next_good_one_counts(
    subscriber, counted, reason, typing, location
):
    watched = [counted(reason, service, DROPPED) for service in ("typing", "location")]
    subscriber.send_datagram(TYPING, typing)
    subscriber.send_datagram(LOCATION, location)
    for each in watched:
        each.wait()
    with PlainClient("fay", "alpha", "127.0.22.22", broadcast=ALPHA, enough=1) as fay:
        for feature in (TYPING, LOCATION):
            fay.connect(feature)
        subscriber.send_typing()
        subscriber.send_location({"user": fay.user}, 1.0, 2.0)
        fay.wait_typing(lambda names: "eve@alpha" in names)
        fay.wait_for(lambda: fay.locations)


def test_after_a_flood_of_garbage_discovery_still_answers(udp, alpha):
    for data in itertools.islice(itertools.cycle(GARBAGE.values()), 2000):
        udp.sendto(data, (ALPHA, DISCOVERY_PORT))

    def answered():
        udp.sendto(wire.encode("DISCOVER_SERVER"), (ALPHA, DISCOVERY_PORT))
        return wire.decode(udp.recvfrom(1024)[0])

    name, fields = wait_until(answered)
    assert (name, fields["serverId"]) == ("SERVER_ANNOUNCE", "alpha")
    assert alpha.status("discovery")["ready"]


# HTTP ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"garbage\r\n\r\n", b"\x16\x03\x01" * 50, b"A" * 100_000])
def test_bad_requests_at_the_http_port_close_that_connection_alone(alpha, data):
    with socket.create_connection((ALPHA, HTTP_PORTS["chat"]), 5.0) as sock, suppress(ConnectionError):
        sock.sendall(data)
        while sock.recv(4096):
            pass
    assert alpha.status("chat")["ready"]
