"""How processes come to be one node: standby, adoption, announcing from elsewhere; and static peers."""

import signal
import socket
from pathlib import Path

import pytest

from parley.shared.config import host_name
from parley.shared.service.data_directory import FILE
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import decode, encode, pb
from tests.support import plain_wire as wire
from tests.support.nodes import SERVICES, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_program import DISCOVERY_PORT
from tests.support.plain_server import LOCATION, MESSAGES, TYPING

SERVICE_OF = {MESSAGES: "chat", TYPING: "typing", LOCATION: "location"}


def linked_at(node, service, server_id):
    """Where a process dials a server that it is linked with."""
    peers = [p for p in node.status(service)["peers"] if p["server_id"] == server_id and p["state"] == "linked"]
    return [endpoint for peer in peers for endpoint in peer["endpoints"]]


def offers(node):
    """What a node's discovery has registered: feature → host, empty where it is discovery's own."""
    return {each["feature"]: each["host"] for each in node.status("discovery")["offers"]}


def accepts(address, port):
    """Whether anything accepts connections there."""
    try:
        socket.create_connection((address, port), 1.0).close()
    except ConnectionRefusedError:
        return False
    return True


def data_of(node):
    return node.environment["PARLEY_DATA_DIR"]


def elsewhere(node, address, directory, services, **settings):
    """Processes of the same node at another address; its data directory is what makes them processes of it."""
    settings = {"PARLEY_DISCOVERY__ADDRESS": node.address, "PARLEY_DATA_DIR": data_of(node), **settings}
    return Node(node.server_id, address, directory / address, services, settings)


@pytest.fixture(scope="module")
def witness(tmp_path_factory):
    """Another server, which sees what the nodes here announce."""
    settings = {"PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5"}
    with Node("witness", "127.0.26.1", tmp_path_factory.mktemp("witness"), settings=settings) as node:
        yield node


# Announcing from elsewhere --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scattered(tmp_path_factory, witness):
    """A node whose chat and location are at other addresses than its discovery and typing."""
    directory = tmp_path_factory.mktemp("scattered")
    with (
        Node("scattered", "127.0.26.2", directory, ("discovery", "typing")) as node,
        elsewhere(node, "127.0.26.3", directory, ("chat",)) as chat,
        elsewhere(node, "127.0.26.4", directory, ("location",)) as location,
    ):
        for service, at in (("chat", chat), ("typing", node), ("location", location)):
            wait_linked([at, witness], [service])
        yield node


def test_each_process_announces_itself_from_where_its_port_is(scattered):
    with PlainClient("ann", "scattered", "127.0.26.11", broadcast=scattered.address, enough=3) as ann:
        found = {each.address: (each.server_id, set(each.features)) for each in ann.discover_once()}
    assert found == {
        "127.0.26.2": ("scattered", {TYPING}),
        "127.0.26.3": ("scattered", {MESSAGES}),
        "127.0.26.4": ("scattered", {LOCATION}),
    }


def test_it_is_one_server_to_others(scattered, witness):
    places = {MESSAGES: ["127.0.26.3:6666"], TYPING: ["127.0.26.2:7777"], LOCATION: ["127.0.26.4:8888"]}

    def heard():
        directory = witness.status("discovery")["directory"]
        return [each["features"] for each in directory if each["server_id"] == scattered.server_id]

    wait_until(lambda: heard() == [places])
    wait_until(lambda: linked_at(witness, "chat", "scattered") == places[MESSAGES])


def test_a_client_reaches_each_feature_where_it_is(scattered, witness):
    with (
        PlainClient("ann", "scattered", "127.0.26.11", broadcast=scattered.address, enough=3) as ann,
        PlainClient("bob", "witness", "127.0.26.12", broadcast=witness.address, enough=1) as bob,
    ):
        for client in (ann, bob):
            for feature in SERVICE_OF:
                client.connect(feature)
        ann.wait_status(ann.send_text("bob", "witness", "hello"), "DELIVERED")
        ann.send_typing()
        bob.wait_typing(lambda names: "ann@scattered" in names)
        ann.send_location({"user": bob.user}, 1.0, 2.0)
        bob.wait_for(lambda: bob.locations)


# Standby --------------------------------------------------------------------------------------------------


def test_a_second_process_waits_and_takes_over_when_the_first_is_gone(tmp_path, witness):
    with (
        Node("twofold", "127.0.26.5", tmp_path, ("discovery", "chat")) as first,
        PlainClient("ann", "twofold", "127.0.26.13", enough=1, broadcast="127.0.26.5") as ann,
        PlainClient("bob", "witness", "127.0.26.14", enough=1, broadcast=witness.address) as bob,
    ):
        bob.connect()
        ann.connect()
        wait_linked([first, witness], ["chat"])
        second = elsewhere(first, "127.0.26.6", tmp_path, ("chat",))
        second.start("chat")
        try:
            wait_until(lambda: second.logged("chat", "standing_by"))
            assert second.get("chat", "/readyz")[0] == 503
            assert not accepts("127.0.26.6", 6666)
            assert offers(first) == {MESSAGES: ""}
            assert MESSAGES in ann.connected
            first.kill("chat")
            second.wait_ready("chat")
            assert offers(first) == {MESSAGES: "127.0.26.6"}
            wait_linked([second, witness], ["chat"])
            wait_until(lambda: "127.0.26.6:6666" in linked_at(witness, "chat", "twofold"))
            ann.wait_for(lambda: not ann.connected)
            with PlainClient("ann", "twofold", "127.0.26.15", enough=1, broadcast=first.address) as again:
                again.connect()
                bob.wait_status(bob.send_text("ann", "twofold", "hello again"), "DELIVERED")
            assert len(second.logged("chat", "standing_by")) == 1
            first.start("chat")
            wait_until(lambda: first.logged("chat", "standing_by"))
            assert not accepts("127.0.26.5", 6666)
        finally:
            second.stop()


def test_a_process_that_lost_its_feature_stands_by_and_takes_it_back(tmp_path, witness):
    """It was stopped while discovery came back, and another registered; it has clients and peers."""
    with (
        Node("threefold", "127.0.26.5", tmp_path, ("discovery", "chat")) as first,
        PlainClient("ann", "threefold", "127.0.26.13", enough=1, broadcast="127.0.26.5") as ann,
    ):
        ann.connect()
        wait_linked([first, witness], ["chat"])
        second = elsewhere(first, "127.0.26.6", tmp_path, ("chat",))
        second.start("chat")
        try:
            wait_until(lambda: second.logged("chat", "standing_by"))
            first.kill("chat", signal.SIGSTOP)
            first.kill("discovery")
            first.start("discovery")
            wait_until(lambda: offers(first) == {MESSAGES: "127.0.26.6"})
            first.kill("chat", signal.SIGCONT)
            wait_until(lambda: first.logged("chat", "standing_by"))
            second.wait_ready("chat")
            wait_linked([second, witness], ["chat"])
            assert first.status("chat")["peers"] == []
            assert not accepts("127.0.26.5", 6666)
            second.kill("chat")
            first.wait_ready("chat")
            wait_linked([first, witness], ["chat"])
            with PlainClient("ann", "threefold", "127.0.26.15", enough=1, broadcast=first.address) as again:
                again.connect()
                again.wait_status(again.send_text("ann", "threefold", "hello again"), "DELIVERED")
        finally:
            if second.is_running("chat"):
                second.stop()
        for node in (first, second):
            assert "Traceback" not in node.stderr("chat")


# Whose process is it? -------------------------------------------------------------------------------------


def test_processes_without_a_name_adopt_their_discoverys(tmp_path, witness):
    with Node("godparent", "127.0.26.7", tmp_path, ("discovery",)) as node:
        children = Node(
            "nameless",
            node.address,
            tmp_path,
            ("chat", "typing"),
            {"PARLEY_SERVER_ID": "", "PARLEY_DATA_DIR": data_of(node)},
        )
        with children:
            for service in children.services:
                assert children.status(service)["server_id"] == "godparent"
                assert children.metrics(service).value("parley_build_info", server_id="godparent") == 1
                witness.wait_linked(service, "godparent")
            with PlainClient("ann", "godparent", "127.0.26.16", enough=1, broadcast=node.address) as ann:
                ann.connect()
                ann.wait_status(ann.send_text("ann", "godparent", "to myself"), "DELIVERED")


def test_a_node_without_a_name_is_named_after_its_host(tmp_path):
    services = ("discovery", "chat")
    with Node("nameless", "127.0.26.8", tmp_path, services, {"PARLEY_SERVER_ID": ""}) as node:
        assert {node.status(service)["server_id"] for service in services} == {host_name()}


def test_a_process_that_adopted_its_name_is_missed_when_it_dies(tmp_path):
    with Node("nameless", "127.0.26.8", tmp_path, ("discovery", "chat"), {"PARLEY_SERVER_ID": ""}) as node:
        assert node.status("discovery")["offers"]
        node.kill("chat")
        wait_until(lambda: not node.status("discovery")["offers"], 5.0, "chat is no longer offered")
        node.start("chat")
        node.wait_ready("chat")


def test_a_process_of_another_name_is_refused_and_told_so_once(tmp_path):
    with Node("theirs", "127.0.26.9", tmp_path, ("discovery",)) as node:
        stranger = Node("mine", node.address, tmp_path, ("chat",), {"PARLEY_DATA_DIR": data_of(node)})
        stranger.start("chat")
        try:
            [line] = wait_until(lambda: stranger.logged("chat", "registration_refused"))
            assert "server_id" in line["detail"]
            node.wait_metric("discovery", 3, "parley_connects_total", result="unknown_error")
            assert len(stranger.logged("chat", "registration_refused")) == 1
            assert offers(node) == {}
            assert stranger.get("chat", "/readyz")[0] == 503
        finally:
            stranger.stop()


@pytest.mark.parametrize("secret", [None, "ab" * 32 + "\n"], ids=["none there", "another"])
def test_a_process_with_another_data_directory_is_refused_and_told_so(tmp_path, secret):
    with Node("theirs", "127.0.26.9", tmp_path, ("discovery",)) as node:
        stranger = Node("theirs", node.address, tmp_path / "elsewhere", ("chat",))
        if secret is not None:
            path = Path(data_of(stranger)) / FILE
            path.parent.mkdir(parents=True)
            path.write_text(secret)
        stranger.start("chat")
        try:
            event = "discovery_unreachable" if secret is None else "registration_refused"
            [line] = wait_until(lambda: stranger.logged("chat", event))
            assert "data_dir" in line["detail"]
            assert offers(node) == {}
            wait_until(lambda: stranger.get("chat", "/readyz")[0] == 503)
        finally:
            stranger.stop()


def test_the_secret_is_nobody_elses_and_comes_back_where_it_was_removed(tmp_path):
    settings = {"PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.2"}
    with Node("alpha", "127.0.26.9", tmp_path, ("discovery", "chat"), settings) as node:
        path = Path(data_of(node)) / FILE
        assert path.stat().st_mode & 0o777 == 0o600
        before = path.read_bytes()
        path.unlink()
        wait_until(path.exists)
        assert path.read_bytes() == before
        node.kill("chat")
        node.start("chat")
        node.wait_ready("chat")


@pytest.fixture
def whole(tmp_path):
    with Node("alpha", "127.0.26.9", tmp_path) as node:
        yield node


def claims(node, port, *, instance_id, features, endpoints=()):
    """A link on which somebody says to be a process of that node, and what came back; it knows no secret."""
    sock = socket.create_connection((node.address, port), 5.0)
    sock.settimeout(10.0)
    hello = pb.ConnectServer(
        serverId=node.server_id,
        features=features,
        endpoints=endpoints,
        instanceId=instance_id,
        proof=pb.Proof(nonce=bytes(16)),
    )
    sock.sendall(encode("CONNECT_SERVER", hello))
    return sock


def frames_of(sock, reader=None):
    reader = reader or FrameReader(1 << 20)
    data = sock.recv(65536)
    return reader.feed(data) if data else None


def names_until_the_end(sock):
    reader, names = FrameReader(1 << 20), set()
    while (frames := frames_of(sock, reader)) is not None:
        names.update(frame.name for frame in frames)
    return names


def test_who_registers_as_an_instance_that_is_registered_and_proves_nothing_changes_nothing(whole):
    """It answers with the acceptor's own proof, with none, and with nothing at all."""
    chat = whole.status("chat")["instance_id"]
    endpoints = [pb.Endpoint(feature=MESSAGES, port=6666)]
    before = whole.pid("chat")
    for answer in ("mirrored", "empty", "silent"):
        with claims(whole, 9998, instance_id=chat, features=[MESSAGES], endpoints=endpoints) as sock:
            (connected,) = frames_of(sock)
            challenge = decode(connected, pb.ConnectResponse).proof
            assert len(challenge.nonce) == 16
            if answer != "silent":
                proof = challenge.proof if answer == "mirrored" else b""
                sock.sendall(encode("PROOF", pb.Proof(proof=proof)))
            assert names_until_the_end(sock) - {"PING"} == {"HANGUP"}
    assert whole.status("discovery")["offers"][0]["host"] == ""
    assert len(whole.status("discovery")["offers"]) == 3
    assert whole.is_ready("chat")
    assert whole.pid("chat") == before
    assert len(whole.logged("discovery", "process_registered")) == 3
    assert whole.metrics("discovery").value("parley_limited_total", what="proofs", where="registration") == 3
    for service in SERVICES:
        assert "Traceback" not in whole.stderr(service)


def test_who_says_nothing_of_a_proof_does_not_register(whole):
    with socket.create_connection((whole.address, 9998), 5.0) as sock:
        sock.settimeout(10.0)
        sock.sendall(encode("CONNECT_SERVER", pb.ConnectServer(serverId="alpha", instanceId="1")))
        (refused,) = frames_of(sock)
        assert decode(refused, pb.ConnectResponse).result == pb.ConnectResponse.UNKNOWN_ERROR


def test_who_says_to_be_typing_of_this_node_speaks_for_nobody_without_proof(whole):
    with PlainClient("bob", "alpha", "127.0.26.17", enough=1, broadcast=whole.address) as bob:
        bob.connect()
        message = pb.ChatMessage(messageSnowflake=7, textContent="forged")
        message.author.userId, message.author.serverId = "ann", "alpha"
        message.user.userId, message.user.serverId = "bob", "alpha"
        with claims(whole, 6666, instance_id="1", features=[TYPING]) as sock:
            assert [frame.name for frame in frames_of(sock)] == ["CONNECTED"]
            sock.sendall(encode("MESSAGE", message))
            assert [frame.name for frame in frames_of(sock)] == ["UNSUPPORTED_MESSAGE"]
            sock.sendall(encode("PROOF", pb.Proof(proof=bytes(32))) + encode("MESSAGE", message))
            assert [frame.name for frame in frames_of(sock)][-1] == "HANGUP"
        bob.wait_status(bob.send_text("bob", "alpha", "to myself"), "DELIVERED")
        assert [each["textContent"] for each in bob.messages] == ["to myself"]


# Networks where broadcast does not reach ------------------------------------------------------------------

OTHER_PORT = 19999


def test_static_peers_are_asked_by_unicast(tmp_path, witness):  # noqa: ARG001 - it must not be found
    """Two nodes that hear no broadcast of each other's, since those go to another port, know each other."""
    with (
        Node(
            "here", "127.0.26.20", tmp_path, ("discovery", "chat"), static(OTHER_PORT, "127.0.26.21:19998")
        ) as here,
        Node(
            "there", "127.0.26.21", tmp_path, ("discovery", "chat"), static(OTHER_PORT - 1, "127.0.26.20:19999")
        ) as there,
    ):
        wait_linked([here, there], ["chat"])
        for node, other in ((here, "there"), (there, "here")):
            wait_until(lambda node=node, other=other: known(node) == {other})


def test_one_static_peer_entry_is_enough_for_a_link(tmp_path):
    with (
        Node("here", "127.0.26.22", tmp_path, ("discovery", "chat"), static(OTHER_PORT)) as here,
        Node(
            "there", "127.0.26.23", tmp_path, ("discovery", "chat"), static(OTHER_PORT - 1, "127.0.26.22:19999")
        ) as there,
    ):
        wait_linked([here, there], ["chat"])
        assert known(there) == {"here"}


def test_a_server_that_asks_is_asked_in_turn(witness):
    """So that both know each other where only one has the other's address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.26.24", DISCOVERY_PORT))
        server.settimeout(5.0)
        server.sendto(wire.encode("DISCOVER_SERVER"), (witness.address, DISCOVERY_PORT))
        came = {wire.decode(server.recvfrom(1024)[0])[0] for _ in range(2)}
    assert came == {"SERVER_ANNOUNCE", "DISCOVER_SERVER"}


def static(port, *peers):
    return {
        "PARLEY_DISCOVERY__PORT": str(port),
        "PARLEY_DISCOVERY__STATIC_PEERS": ",".join(peers),
        "PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5",
    }


def known(node):
    return {each["server_id"] for each in node.status("discovery")["directory"]}
