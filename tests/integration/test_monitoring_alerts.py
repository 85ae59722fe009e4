"""Each alert fires at the real Prometheus when the thing that it watches is broken, and is over when it is mended.

Waits and ranges are a sixtieth of what they are in operation, and some thresholds are lower: see THRESHOLDS. What
is broken stays so, or is broken again and again, until its alert was seen: nothing depends on how quick it all is.
"""

import shutil
import signal
import socket
import sqlite3
import threading

import pytest

from parley.shared.discovery.announcements import encode_announcement, our_mark
from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.messages import pb
from tests.support.commands import Command, client_environment, run_parley
from tests.support.monitoring import PATIENCE, Prometheus, needs_prometheus
from tests.support.nodes import Node, wait_linked, wait_until
from tests.support.plain_program import DISCOVERY_PORT
from tests.support.secured import Secured
from tests.support.traffic import Traffic

pytestmark = needs_prometheus

NETWORK = "127.0.92"
SETTINGS = {
    "PARLEY_LINK__BACKOFF_MAX": "1",
    "PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "1",
    "PARLEY_DISCOVERY__SERVER_EXPIRY": "4",
}
THRESHOLDS = {
    "parley_mailbox_oldest_age_seconds > 432000": "parley_mailbox_oldest_age_seconds > 2",
    "parley_mailbox_messages > 1000 and delta(parley_mailbox_messages[15m]) > 500": (
        "parley_mailbox_messages > 10 and delta(parley_mailbox_messages[15m]) > 5"
    ),
    'slow_down"}[5m]) * on (job, instance) group_left (server_id) parley_build_info) > 20': (
        'slow_down"}[5m]) * on (job, instance) group_left (server_id) parley_build_info) > 2'
    ),
    ") > 10\n": ") > 1\n",  # ParleyLinkUnsteady
}
HANG = 1.5
"""Seconds of one hang: more than what counts as slow, and far less than a link between servers bears."""
BREATH = 0.5
"""Seconds between two hangs: enough to tell Prometheus of the one before."""
EVERYBODY = 'count(parley_subscribers{feature="MESSAGES"} >= 2) == 3'
"""Those who write are connected: what is written to somebody away waits, and counts as that."""


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    directory = tmp_path_factory.mktemp("alerts")
    nodes = [Node(name, f"{NETWORK}.{n}", directory, settings=SETTINGS) for n, name in enumerate("abc", 1)]
    with nodes[0], nodes[1], nodes[2], Prometheus(directory, f"{NETWORK}.200", nodes, THRESHOLDS) as prometheus:
        wait_linked(nodes, timeout=PATIENCE)
        with Traffic(nodes, NETWORK) as traffic:
            wait_until(lambda: traffic.delivered > 50, PATIENCE, "messages are delivered")
            prometheus.wait_for("sum(server_id_feature:parley_peers:sum) == 18")
            yield prometheus, nodes, traffic


def kill_all(nodes):
    for node in nodes:
        for service in node.services:
            node.kill(service)


def start_all(nodes):
    for node in nodes:
        for service in node.services:
            node.start(service)
    for node in nodes:
        node.wait_ready(timeout=PATIENCE)


def start_again(node, service, *others):
    node.start(service)
    node.wait_ready(service, timeout=PATIENCE)
    node.wait_linked(service, *others, timeout=PATIENCE)


def test_a_process_that_is_killed(federation):
    """It does not answer, its feature is missing, the others cannot link it; and lose it again and again."""
    prometheus, (_a, b, _c), _traffic = federation
    b.kill("chat")
    prometheus.wait_firing("ParleyProcessDown", instance=f"{b.address}:9402")
    prometheus.wait_firing("ParleyProcessMissing", server_id="b", feature="MESSAGES")
    prometheus.wait_firing("ParleyPeerLinkDown", server_id="a", feature="MESSAGES", peer="b")
    start_again(b, "chat", "a", "c")

    def lose():
        b.kill("chat")
        start_again(b, "chat", "a", "c")

    prometheus.provoke(lose, ("ParleyLinkUnsteady", {"server_id": "a", "feature": "MESSAGES"}), pause=BREATH)
    for alert in ("ParleyProcessDown", "ParleyProcessMissing", "ParleyPeerLinkDown"):
        prometheus.wait_quiet(alert)


def test_a_node_without_its_discovery(federation):
    prometheus, (_a, b, _c), _traffic = federation
    b.kill("discovery")
    prometheus.wait_firing("ParleyNotReady", server_id="b", feature="TYPING_INDICATOR")
    b.start("discovery")
    b.wait_ready(timeout=PATIENCE)
    prometheus.wait_quiet("ParleyNotReady")


def test_a_node_that_is_alone(federation):
    prometheus, (a, b, c), _traffic = federation
    kill_all([b, c])
    prometheus.wait_firing("ParleyNoPeers", server_id="a")
    prometheus.wait_firing("ParleyServerLost", server_id="a")
    start_all([b, c])
    wait_linked([a, b, c], timeout=PATIENCE)
    prometheus.wait_quiet("ParleyNoPeers")
    prometheus.wait_quiet("ParleyServerLost")


def test_a_process_that_hangs_now_and_then(federation):
    """Messages through it are slow, its timers late. While it hangs it tells nothing: all is seen afterwards."""
    prometheus, (_a, b, _c), _traffic = federation
    prometheus.wait_for(EVERYBODY)

    def hang():
        b.kill("chat", signal.SIGSTOP)
        try:
            threading.Event().wait(HANG)
        finally:
            b.kill("chat", signal.SIGCONT)

    slow = ("ParleyDeliverySlow", {"server_id": "a", "scope": "remote"})
    late = ("ParleyEventLoopLate", {"server_id": "b", "feature": "MESSAGES"})
    prometheus.provoke(hang, slow, late, pause=BREATH)
    prometheus.wait_quiet("ParleyEventLoopLate")
    prometheus.wait_quiet("ParleyDeliverySlow")


def test_a_disk_that_is_slow(federation):
    """Another program holds the file again and again, as a slow disk would hold the commit."""
    prometheus, (a, _b, _c), _traffic = federation
    file = sqlite3.connect(a.directory / "data" / "a" / "chat.db", isolation_level=None)

    def hold():
        file.execute("BEGIN IMMEDIATE")
        threading.Event().wait(HANG)  # so long the commit takes
        file.execute("ROLLBACK")

    prometheus.provoke(hold, ("ParleyMailboxWritesSlow", {"server_id": "a"}), pause=BREATH)
    file.close()
    prometheus.wait_quiet("ParleyMailboxWritesSlow")


def test_messages_that_nobody_fetches(federation, tmp_path):
    prometheus, (_a, b, _c), traffic = federation
    environment = client_environment(f"{NETWORK}.30", tmp_path)
    where = ("--server", b.address)
    run_parley("blocked", "--as", "zed@b", *where, environment=environment)
    old, growing = ("ParleyMailboxOld", {"server_id": "b"}), ("ParleyMailboxGrowing", {"server_id": "b"})
    prometheus.provoke(lambda: traffic.write("zed@b"), old, growing, pause=0.3)
    with Command("listen", "--as", "zed@b", *where, environment=environment):
        prometheus.wait_quiet("ParleyMailboxOld", server_id="b")
    prometheus.wait_quiet("ParleyMailboxGrowing", server_id="b")


def test_nonsense(federation):
    prometheus, (a, _b, _c), _traffic = federation
    with socket.create_connection((a.address, 6666)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:

        def babble():
            tcp.sendall(b"NONSENSE 0 \n" * 100)
            for _ in range(300):
                udp.sendto(b"nonsense", (a.address, 7778))

        frames = ("ParleyFramesRejected", {"server_id": "a", "reason": "unexpected"})
        datagrams = ("ParleyDatagramsDropped", {"server_id": "a", "reason": "malformed"})
        prometheus.provoke(babble, frames, datagrams, pause=5.0)
    prometheus.wait_quiet("ParleyFramesRejected")
    prometheus.wait_quiet("ParleyDatagramsDropped")


def test_somebody_elses_node_and_a_copy_of_one(federation, tmp_path):
    prometheus, (a, b, c), _traffic = federation
    keyless = encode_announcement(
        "b",
        [pb.Endpoint(feature="MESSAGES", port=6666)],
        mark=our_mark("1", "forged"),
        nonce=b"nobody's",
    )
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind((f"{NETWORK}.66", 0))
        refused = ("ParleyKeyRefused", {"server_id": "a"})
        prometheus.provoke(lambda: udp.sendto(keyless, (a.address, DISCOVERY_PORT)), refused, pause=1.0)
    prometheus.wait_quiet("ParleyKeyRefused")

    ignored = shutil.ignore_patterns("*.sock", "*.lock")
    shutil.copytree(c.directory / "data", tmp_path / "c" / "data", ignore=ignored)
    with Node("c", f"{NETWORK}.67", tmp_path, ("discovery", "chat"), SETTINGS):
        prometheus.wait_firing("ParleyNodeCloned", server_id="c")
    prometheus.wait_quiet("ParleyNodeCloned")
    assert b.linked("chat") == {"a", "c"}


def test_somebody_who_tries_a_users_name(federation):
    prometheus, (a, _b, _c), _traffic = federation
    owner, mallory = PrivateKey(b"o" * 32), PrivateKey(b"m" * 32)
    with Secured((a.address, 6666), f"{NETWORK}.65") as link:
        assert link.connect_client("owner@a", owner).result == pb.ConnectResponse.CONNECTED

    def try_it():
        for _ in range(30):
            with Secured((a.address, 6666), f"{NETWORK}.66") as link:
                assert link.connect_client("owner@a", mallory).result != pb.ConnectResponse.CONNECTED

    prometheus.provoke(try_it, ("ParleyUsersRefused", {"server_id": "a", "feature": "MESSAGES"}), pause=BREATH)
    prometheus.wait_quiet("ParleyUsersRefused")


def test_nobody_at_all(federation):
    prometheus, nodes, _traffic = federation
    kill_all(nodes)
    prometheus.wait_firing("ParleyNothingAnswers")
    start_all(nodes)
    wait_linked(nodes, timeout=PATIENCE)
    prometheus.wait_quiet("ParleyNothingAnswers")


def test_each_alert_was_seen_and_is_over(federation):
    """Whoever adds an alert adds a way to break what it watches."""
    prometheus, _nodes, _traffic = federation
    fired = {
        labels["alertname"] for labels, _ in prometheus.query('last_over_time(ALERTS{alertstate="firing"}[1h])')
    }
    assert fired == {rule["name"] for rule in prometheus.rules() if rule["type"] == "alerting"}
    for alert in fired:
        prometheus.wait_quiet(alert)
