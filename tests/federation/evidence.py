"""What shows that servers federate: who a watcher hears of, which links there are, and what crosses them."""

from __future__ import annotations

import itertools
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Self

from parley.shared.link.events import Identity
from parley.shared.service.proofs import Dialling
from parley.shared.wire import messenger_pb2 as pb
from parley.shared.wire.messages import encode
from tests.support import plain_wire as wire
from tests.support.container_nodes import TIMEOUT, Connection, Node, run_in
from tests.support.nodes import wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_link import Announced

PORTS = {"chat": (6666, 0), "typing": (7777, 7778), "location": (8888, 8889)}
"""TCP and UDP port of each feature."""
NAMES = {"chat": "MESSAGES", "typing": "TYPING_INDICATOR", "location": "LIVE_LOCATION"}
FEATURES = tuple(NAMES)
REGISTRATION = 9998
SECRET = "/data/node.secret"
ANY_PORTS = {"TYPING_INDICATOR": 0, "LIVE_LOCATION": 0}

Linked = dict[tuple[str, str, str], frozenset[Connection]]
"""(service, serverId, serverId) → the connections between the two, as the first one's system has them."""


class Watcher:
    """Registers at a node's discovery as one of its processes that serves nothing, and hears SERVER_LIST."""

    def __init__(self, node: Node) -> None:
        secret = bytes.fromhex(run_in(node.containers["discovery"], "cat", SECRET).strip())
        instance_id = secrets.token_hex(8)
        self._proving = Dialling(secret, node.server_id, instance_id)
        self._socket = socket.create_connection((node.host("discovery"), REGISTRATION), TIMEOUT)
        hello = pb.ConnectServer(serverId=node.server_id, instanceId=instance_id, proof=self._proving.nonce)
        self._socket.sendall(encode("CONNECT_SERVER", hello))
        self._reader = wire.FrameReader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait(self, holds: Callable[[pb.ServerList], bool], timeout: float = TIMEOUT) -> pb.ServerList:
        """Return the list as it is once it satisfies `holds`; TimeoutError where that is not in time."""
        until = time.monotonic() + timeout
        heard: pb.ServerList | None = None
        while data := self._read(until, heard):
            for name, payload in self._reader.feed(data):
                if name == "CONNECTED":
                    self._prove(pb.ConnectResponse.FromString(payload))
                elif name == "PING":
                    self._socket.sendall(wire.encode("PONG"))
                elif name == "SERVER_LIST":
                    heard = _changed(heard, pb.ServerList.FromString(payload))
                    if holds(heard):
                        return heard
        raise ConnectionError(f"discovery hung up; the last list: {heard}")

    def _read(self, until: float, heard: pb.ServerList | None) -> bytes:
        """What comes next; PINGs come, too, so each read has what is left of the time."""
        self._socket.settimeout(max(0.001, until - time.monotonic()))
        try:
            return self._socket.recv(65536)
        except TimeoutError:
            raise TimeoutError(f"not in time; the last list: {heard}") from None

    def _prove(self, answered: pb.ConnectResponse) -> None:
        it = Identity(
            server_id=answered.serverId,
            instance_id=answered.instanceId,
            nonce=answered.proof.nonce,
            proof=answered.proof.proof,
        )
        proof = self._proving.answer(it)
        assert proof is not None, "discovery does not know the secret of its data directory"
        self._socket.sendall(proof)


def _changed(heard: pb.ServerList | None, change: pb.ServerList) -> pb.ServerList:
    """The whole list after one message of it: most say only what is different."""
    if heard is None or not change.isDifference:
        return change
    left = {*change.gone, *(each.serverId for each in change.servers)}
    kept = [each for each in heard.servers if each.serverId not in left]
    return pb.ServerList(servers=[*kept, *change.servers], own=change.own)


def offers(server_list: pb.ServerList) -> dict[str, set[str]]:
    """What each server in a list retries."""
    return {each.serverId: {e.feature for e in each.endpoints} for each in server_list.servers}


# Links ----------------------------------------------------------------------------------------------


def links(nodes: Sequence[Node], services: Sequence[str] = FEATURES) -> Linked:
    """Every established connection between each two nodes' processes, from both sides."""
    found: Linked = {}
    for service in services:
        hosts = {node.server_id: node.host(service) for node in nodes}
        for node in nodes:
            connections = node.connections(service)
            for other in hosts.keys() - {node.server_id}:
                to_other = [c for c in connections if c.remote[0] == hosts[other]]
                found[service, node.server_id, other] = frozenset(to_other)
    return found


def is_one_link_each(found: Linked) -> bool:
    """Whether each two have exactly one, at the feature's port, and both see the same one."""
    for (service, one, other), connections in found.items():
        mirrored = {Connection(c.remote, c.local) for c in found[service, other, one]}
        ports = {port for c in connections for port in (c.local[1], c.remote[1])}
        if len(connections) != 1 or mirrored != connections or PORTS[service][0] not in ports:
            return False
    return True


def wait_one_link_each(nodes: Sequence[Node], services: Sequence[str] = FEATURES) -> Linked:
    """Wait until all are linked, by what they tell, and by what their systems have exactly once; those links."""
    for node, service in itertools.product(nodes, services):
        others = {other.server_id for other in nodes if other is not node}
        node.wait_linked(service, *others)
        assert node.linked(service) == others
    last: Linked = {}

    def once() -> bool:
        nonlocal last
        last = links(nodes, services)
        return is_one_link_each(last)

    try:
        wait_until(once, TIMEOUT, "one connection per pair and feature")
    except TimeoutError as error:
        error.add_note("\n".join(f"{place}: {sorted(c)}" for place, c in last.items() if len(c) != 1))
        raise
    return last


# What crosses ------------------------------------------------------------------------------------------


def places(node: Node) -> list[Announced]:
    """Where a node's features are, as a client on the containers' network hears it."""
    return [Announced(node.server_id, node.host(s), {NAMES[s]: PORTS[s]}) for s in FEATURES]


@contextmanager
def client(user_id: str, node: Node, *services: str) -> Iterator[PlainClient]:
    """A client on this machine, connected to these services of a node, or to all."""
    with ExitStack() as stack:
        found = places(node)
        with socket.create_connection((found[0].address, PORTS["chat"][0]), TIMEOUT) as probe:
            own = probe.getsockname()[0]
        alice = stack.enter_context(PlainClient(user_id, node.server_id, own, udp_ports=ANY_PORTS))
        alice.servers = found
        for service in services or FEATURES:
            alice.connect(NAMES[service])
        yield alice


def assert_message_crosses(author: PlainClient, recipient: PlainClient, text: str) -> None:
    """A text arrives, and its author hears of it."""
    snowflake = author.send_text(recipient.user["userId"], recipient.user["serverId"], text)
    received = recipient.wait_text(text, TIMEOUT)
    assert received.fields["author"] == author.user
    assert received.fields["messageSnowflake"] == snowflake
    assert author.wait_status(snowflake, "DELIVERED", TIMEOUT)["user"] == recipient.user


def assert_typing_crosses(author: PlainClient, reader: PlainClient) -> None:
    """One sees that the other types now."""
    began = time.time()
    author.send_typing(began)
    reader.wait_for(lambda: began in [e["timestamp"] for e in reader.typing if e["user"] == author.user], TIMEOUT)


def assert_location_crosses(author: PlainClient, reader: PlainClient, latitude: float) -> None:
    """One sees where the other is (degrees)."""
    before = len(reader.locations)
    author.send_location({"user": reader.user}, latitude, 8.5)
    reader.wait_for(
        lambda: [x for x in reader.locations[before:] if x.get("location", {}).get("latitude") == latitude], TIMEOUT
    )


def assert_all_crosses(one: PlainClient, other: PlainClient) -> None:
    """Messages, typing and locations cross both ways."""
    for author, reader, latitude in ((one, other, 47.25), (other, one, -33.75)):
        assert_message_crosses(author, reader, f"{author.user['userId']} at {time.time()}")
        assert_typing_crosses(author, reader)
        assert_location_crosses(author, reader, latitude)
