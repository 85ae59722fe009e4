"""Two compose projects, alpha and beta, that share a network and know nothing of each other."""

import ipaddress
import json
from functools import partial

from tests.federation.evidence import (
    FEATURES,
    NAMES,
    Watcher,
    assert_all_crosses,
    client,
    is_one_link_each,
    links,
    offers,
    wait_one_link_each,
)
from tests.support.container_nodes import TIMEOUT, address, copy_into, run_in
from tests.support.containers import PROJECT
from tests.support.nodes import ROOT, wait_until

ALL = set(NAMES.values())


def test_each_hears_of_the_other_by_broadcast(pair):
    for node, other in (pair, pair[::-1]):
        with Watcher(node) as watcher:
            heard = watcher.wait(lambda found, other=other: offers(found).get(other.server_id) == ALL)
        assert set(offers(heard)) == {other.server_id}
        assert {e.feature for e in heard.own} == ALL


def test_exactly_one_link_per_feature_stands(pair):
    linked = wait_one_link_each(pair)
    assert len(linked) == 2 * len(FEATURES)
    for service in FEATURES:
        dialled = [node.status(service)["peers"][0]["dialled_by_us"] for node in pair]
        assert sorted(dialled) == [False, True]


def test_a_second_connection_would_be_seen(pair):
    alpha, beta = pair
    code = f"import socket; s = socket.create_connection(({beta.host('chat')!r}, 6666), 5); s.recv(1)"
    alpha.containers["chat"].exec_run(["python", "-c", code], detach=True)
    wait_until(lambda: len(links(pair, ["chat"])["chat", "alpha", "beta"]) == 2, what="the second connection")
    assert not is_one_link_each(links(pair, ["chat"]))


def test_messages_typing_and_locations_cross_both_ways(pair):
    alpha, beta = pair
    with client("alice", alpha) as alice, client("bob", beta) as bob:
        assert_all_crosses(alice, bob)


CLIENT_ON_THE_NETWORK = """
import json, sys
from tests.support.plain_client import PlainClient
with PlainClient("carol", "alpha", sys.argv[1], broadcast=sys.argv[2], enough=6) as carol:
    print(json.dumps([[s.server_id, s.address, s.features] for s in carol.discover_once()]))
    carol.connect("MESSAGES")
    carol.wait_status(carol.send_text("bob", "beta", "from within"), "DELIVERED")
"""


def test_an_existing_client_on_the_network_finds_every_process_where_it_is(engine, projects, pair):
    network = engine.client.networks.get(projects["alpha"].network)
    subnet = ipaddress.ip_network(network.attrs["IPAM"]["Config"][0]["Subnet"])
    container = engine.client.containers.run(
        engine.run,
        ["sleep", "infinity"],
        network=network.name,
        labels={PROJECT: projects["alpha"].name + "-client"},
        environment={"PYTHONPATH": "/home"},
        detach=True,
        init=True,
    )
    copy_into(container, "/home", *sorted((ROOT / "tests" / "support").glob("plain_*.py")))
    with client("bob", pair[1], "chat") as bob:
        arguments = [address(container), str(subnet.broadcast_address)]
        output = run_in(container, "python", "-c", CLIENT_ON_THE_NETWORK, *arguments)
        assert bob.wait_text("from within").fields["author"] == {"userId": "carol", "serverId": "alpha"}
    heard = {(server_id, host, *features) for server_id, host, features in json.loads(output)}
    assert heard == {(node.server_id, node.host(s), NAMES[s]) for node in pair for s in FEATURES}
    container.remove(force=True, v=True)


def test_processes_run_confined(pair):
    for container in pair[0].containers.values():
        uid, *status = run_in(container, "sh", "-c", CONFINEMENT).splitlines()
        assert uid == "10001"
        assert status == ["CapEff:\t0000000000000000", "NoNewPrivs:\t1"]
        code, output = container.exec_run(["touch", "/app/anything"])
        assert code != 0
        assert b"Read-only file system" in output


CONFINEMENT = "id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/1/status"


def test_health_checks_succeed(pair):
    for container in pair[0].containers.values():
        health = partial(health_of, container)
        wait_until(lambda health=health: health() == "healthy", TIMEOUT, f"{container.name} healthy")


def health_of(container):
    container.reload()
    return container.attrs["State"]["Health"]["Status"]
