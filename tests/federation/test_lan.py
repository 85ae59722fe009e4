"""The overlay that publishes one node's ports: clients outside Docker, protocol only."""

import socket

import pytest

from tests.federation.evidence import (
    ANY_PORTS,
    FEATURES,
    NAMES,
    PORTS,
    assert_location_crosses,
    assert_message_crosses,
    assert_typing_crosses,
)
from tests.support.container_nodes import TIMEOUT
from tests.support.namespaces import Lan, why_not
from tests.support.nodes import HTTP_PORTS
from tests.support.plain_client import PlainClient


@pytest.fixture(scope="module")
def lan():
    """A network that this machine is on, and no container."""
    if reason := why_not():
        pytest.skip(reason)
    with Lan() as found:
        yield found


@pytest.fixture(scope="module")
def node(engine, lan):
    """A node that is published there."""
    for port in HTTP_PORTS.values():
        skip_where_taken(port)
    project = engine.project("gamma", network="lan", SERVER_ID="gamma", LAN_ADDRESS=lan.host)
    project.files.append("docker-compose.lan.yml")
    [found] = project.up()
    yield found
    project.remove()


def skip_where_taken(port):
    """The overlay publishes the HTTP ports on 127.0.0.1, where a node may be running."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            pytest.skip(f"127.0.0.1:{port} is needed for a published port: {error.strerror}")


def make_client(user_id, lan, **ports):
    """A client that asks the one address where a LAN has a node published."""
    return PlainClient(user_id, "gamma", lan.client, broadcast=lan.host, listen=TIMEOUT, enough=3, **ports)


def test_clients_outside_find_the_node_and_talk(lan, node):
    assert node.server_id == "gamma"
    with lan.inside(), make_client("alice", lan) as alice, make_client("bob", lan, udp_ports=ANY_PORTS) as bob:
        for each in (alice, bob):
            heard = each.discover_once()
            assert {(server.server_id, server.address) for server in heard} == {("gamma", lan.host)}
            offered = {name: ports for server in heard for name, ports in server.features.items()}
            assert offered == {NAMES[service]: PORTS[service] for service in FEATURES}
            for feature in offered:
                each.connect(feature)
        assert_message_crosses(alice, bob, "from outside")
        assert_message_crosses(bob, alice, "and back")
        assert_typing_crosses(alice, bob)
        assert_location_crosses(bob, alice, 47.25)
