"""How processes come to be one node: standby, adoption, announcing from elsewhere; and static peers."""

import socket

import pytest

from shared.config import host_name
from tests.support import plain_wire as wire
from tests.support.nodes import Node, wait_linked, wait_until
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


def elsewhere(node, address, directory, services, **settings):
    """Processes of the same node at another address."""
    settings = {"PARLEY_DISCOVERY__ADDRESS": node.address, **settings}
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
    assert linked_at(witness, "chat", "scattered") == places[MESSAGES]


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


# Whose process is it? -------------------------------------------------------------------------------------


def test_processes_without_a_name_adopt_their_discoverys(tmp_path, witness):
    nameless = {"PARLEY_SERVER_ID": ""}
    with Node("godparent", "127.0.26.7", tmp_path, ("discovery",)) as node:
        children = Node("nameless", node.address, tmp_path, ("chat", "typing"), nameless)
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
        stranger = Node("mine", node.address, tmp_path, ("chat",))
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
