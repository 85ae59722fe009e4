"""Each alert fires at the real Prometheus when the thing that it watches is broken, and is over when it is mended.

Waits and ranges are a thirtieth of what they are in operation, and some thresholds are lower: see THRESHOLDS.
"""

import contextlib
import os
import signal
import socket
import sqlite3
import threading

import pytest

from tests.support.commands import Command, client_environment, run_parley
from tests.support.monitoring import Prometheus, needs_prometheus
from tests.support.nodes import Node, wait_linked, wait_until
from tests.support.traffic import Traffic

pytestmark = [
    needs_prometheus,
    pytest.mark.skipif(
        not os.environ.get("ALERTS"),
        reason="takes three minutes of a machine that does nothing else: `make test-alerts`",
    ),
]

NETWORK = "127.0.92"
SETTINGS = {
    "PARLEY_LINK__PEER_PING_TIMEOUT": "1",
    "PARLEY_LINK__BACKOFF_MAX": "1",
    "PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "1",
    "PARLEY_DISCOVERY__SERVER_EXPIRY": "4",
}
THRESHOLDS = {
    "parley_mailbox_oldest_age_seconds > 432000": "parley_mailbox_oldest_age_seconds > 2",
    "parley_mailbox_messages > 1000 and delta(parley_mailbox_messages[15m]) > 500": (
        "parley_mailbox_messages > 10 and delta(parley_mailbox_messages[15m]) > 5"
    ),
    ") > 10\n": ") > 1\n",  # ParleyLinkUnsteady
    '{scope=~"local|remote"} > 1': '{scope=~"local|remote"} > 0.1',
}

REMOTE = 'sum(rate(parley_messages_total{scope="remote",status="delivered"}'


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    directory = tmp_path_factory.mktemp("alerts")
    nodes = [Node(name, f"{NETWORK}.{n}", directory, settings=SETTINGS) for n, name in enumerate("abc", 1)]
    with nodes[0], nodes[1], nodes[2], Prometheus(directory, f"{NETWORK}.200", nodes, THRESHOLDS) as prometheus:
        wait_linked(nodes)
        with Traffic(nodes, NETWORK) as traffic:
            wait_until(lambda: traffic.delivered > 50, what="messages are delivered")
            wait_until(lambda: prometheus.query("sum(server_id_feature:parley_peers:sum) == 18"), what="peers")
            yield prometheus, nodes


def test_a_process_that_is_killed(federation):
    """It does not answer, its feature is missing, the others cannot link it; and lose it again and again."""
    prometheus, (_a, b, _c) = federation
    b.kill("chat")
    prometheus.wait_firing("ParleyProcessDown", instance=f"{b.address}:9402")
    prometheus.wait_firing("ParleyProcessMissing", server_id="b", feature="MESSAGES")
    prometheus.wait_firing("ParleyPeerLinkDown", server_id="a", feature="MESSAGES", peer="b")
    b.start("chat")
    b.wait_ready("chat")
    b.wait_linked("chat", "a", "c")
    b.kill("chat")
    b.start("chat")
    b.wait_ready("chat")
    b.wait_linked("chat", "a", "c")
    prometheus.wait_firing("ParleyLinkUnsteady", server_id="a", feature="MESSAGES")
    for alert in ("ParleyProcessDown", "ParleyProcessMissing", "ParleyPeerLinkDown", "ParleyLinkUnsteady"):
        prometheus.wait_quiet(alert)


def test_a_node_without_its_discovery(federation):
    prometheus, (_a, b, _c) = federation
    b.kill("discovery")
    prometheus.wait_firing("ParleyNotReady", server_id="b", feature="TYPING_INDICATOR")
    b.start("discovery")
    b.wait_ready()
    prometheus.wait_quiet("ParleyNotReady")


def test_a_node_that_is_alone(federation):
    prometheus, (a, b, c) = federation
    for node in (b, c):
        for service in node.services:
            node.kill(service)
    prometheus.wait_firing("ParleyNoPeers", server_id="a")
    prometheus.wait_firing("ParleyServerLost", server_id="a")
    for node in (b, c):
        for service in node.services:
            node.start(service)
        node.wait_ready()
    wait_linked([a, b, c])
    prometheus.wait_quiet("ParleyNoPeers")
    prometheus.wait_quiet("ParleyServerLost")


def test_a_process_that_hangs_now_and_then(federation):
    """Messages through it are slow, its timers late. While it hangs it tells nothing: all is seen afterwards."""
    prometheus, (_a, b, _c) = federation
    wait_until(lambda: prometheus.query(f"{REMOTE}[4s])) > 20"), 30, "messages flow")
    unseen = {"ParleyEventLoopLate", "ParleyDeliverySlow"}

    def all_seen():
        unseen.difference_update([alert for alert in unseen if prometheus.firing(alert)])
        return not unseen

    try:
        for _ in range(4):
            b.kill("chat", signal.SIGSTOP)
            threading.Event().wait(1.7)
            b.kill("chat", signal.SIGCONT)
            with contextlib.suppress(TimeoutError):
                wait_until(all_seen, 12)
                break
        assert not unseen
    finally:
        b.kill("chat", signal.SIGCONT)
    prometheus.wait_quiet("ParleyEventLoopLate")
    prometheus.wait_quiet("ParleyDeliverySlow")


def test_a_disk_that_is_slow(federation):
    """Another program holds the file, as a slow disk would hold the commit."""
    prometheus, (a, _b, _c) = federation
    file = sqlite3.connect(a.directory / "data" / "a" / "chat.db", isolation_level=None)
    file.execute("BEGIN IMMEDIATE")
    timer = threading.Event()
    timer.wait(2.5)  # so long the commit takes
    file.execute("ROLLBACK")
    file.close()
    prometheus.wait_firing("ParleyMailboxWritesSlow", server_id="a")
    prometheus.wait_quiet("ParleyMailboxWritesSlow")


def test_messages_that_nobody_fetches(federation, tmp_path):
    prometheus, (_a, b, _c) = federation
    environment = client_environment(f"{NETWORK}.30", tmp_path)
    where = ("--server", b.address)
    run_parley("blocked", "--as", "zed@b", *where, environment=environment)
    for number in range(15):
        send = ("send", "--as", f"max{number}@b", "zed@b", "later", "--wait", "0")
        run_parley(*send, *where, environment=environment)
    prometheus.wait_firing("ParleyMailboxOld", server_id="b")
    prometheus.wait_firing("ParleyMailboxGrowing", server_id="b")
    with Command("listen", "--as", "zed@b", *where, environment=environment):
        prometheus.wait_quiet("ParleyMailboxOld", server_id="b")
    prometheus.wait_quiet("ParleyMailboxGrowing", server_id="b")


def test_nonsense(federation):
    prometheus, (a, _b, _c) = federation
    with socket.create_connection((a.address, 6666)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.sendall(b"NONSENSE 0 \n" * 100)
        for _ in range(300):
            udp.sendto(b"nonsense", (a.address, 7778))
        prometheus.wait_firing("ParleyFramesRejected", server_id="a", reason="unexpected")
        prometheus.wait_firing("ParleyDatagramsDropped", server_id="a", reason="malformed")
    prometheus.wait_quiet("ParleyFramesRejected")
    prometheus.wait_quiet("ParleyDatagramsDropped")


def test_each_alert_was_seen(federation):
    """Whoever adds an alert adds a way to break what it watches."""
    prometheus, _nodes = federation
    fired = {
        labels["alertname"] for labels, _ in prometheus.query('last_over_time(ALERTS{alertstate="firing"}[1h])')
    }
    assert fired == {rule["name"] for rule in prometheus.rules() if rule["type"] == "alerting"}
