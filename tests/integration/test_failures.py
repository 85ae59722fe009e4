"""Nodes that stop, die, hang and come back: what is noticed, and what is not lost."""

import signal
import time

import pytest

from tests.support.nodes import SERVICES, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_server import LOCATION, MESSAGES, TYPING
from tests.support.standing import assert_still_standing, standing_links

pytestmark = pytest.mark.timed

ALPHA, BETA = "127.0.25.1", "127.0.25.2"
STOPPED = 5.0
"""Seconds for which a stopped node loses no link."""
NOTICED = 1.0
"""Seconds in which the end of a process is noticed at the other end of its links."""
SHORT_TIMEOUTS = {"PARLEY_LINK__PEER_PING_TIMEOUT": "0.5"}
THREE_SERVICES = ("discovery", "chat", "typing")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    with Node("alpha", ALPHA, directory) as alpha, Node("beta", BETA, directory) as beta:
        wait_linked([alpha, beta])
        yield alpha, beta


def signal_all(node, number):
    for service in node.services:
        node.kill(service, number)


def instances(node):
    """The instance of each of a node's processes: another one after a restart."""
    return {service: node.status(service)["instance_id"] for service in node.services}


def test_a_node_that_was_stopped_for_five_seconds_has_lost_no_link(nodes):
    """Neither with the other node, nor with its clients, nor within itself; what was sent meanwhile arrives."""
    alpha, beta = nodes
    with (
        PlainClient("ann", "alpha", "127.0.25.11", broadcast=ALPHA, enough=1) as ann,
        PlainClient("bob", "beta", "127.0.25.12", broadcast=BETA, enough=1) as bob,
    ):
        links = [ann.connect(feature) for feature in (MESSAGES, TYPING, LOCATION)]
        bob.connect()
        before, processes = standing_links(nodes), instances(alpha)
        registered = len(alpha.logged("discovery", "process_registered"))
        there = standing_links([beta])
        signal_all(alpha, signal.SIGSTOP)
        stopped_at = time.monotonic()
        try:
            sent = [bob.send_text("ann", "alpha", "to the stopped"), ann.send_text("bob", "beta", "from there")]
            while time.monotonic() < stopped_at + STOPPED:
                assert_still_standing(there, standing_links([beta]))
        finally:
            signal_all(alpha, signal.SIGCONT)
        ann.wait_text("to the stopped")
        bob.wait_text("from there")
        bob.wait_status(sent[0], "DELIVERED")
        ann.wait_status(sent[1], "DELIVERED")
        alpha.wait_ready()
        assert_still_standing(before, standing_links(nodes))
        assert not [link for link in links if link.closed]
        assert instances(alpha) == processes
        assert len(alpha.logged("discovery", "process_registered")) == registered


@pytest.mark.parametrize("service", SERVICES[1:])
def test_one_stopped_process_loses_no_link_and_disturbs_no_other(nodes, service):
    alpha, beta = nodes
    before = standing_links(nodes)
    others = [each for each in SERVICES[1:] if each != service]
    alpha.kill(service, signal.SIGSTOP)
    try:
        assert_still_standing(standing_links([beta], [service]), standing_links([beta], [service]))
        wait_linked(nodes, others)
    finally:
        alpha.kill(service, signal.SIGCONT)
    alpha.wait_ready(service)
    assert_still_standing(before, standing_links(nodes))


def test_a_killed_node_is_noticed_and_linked_again_when_it_is_back(nodes):
    alpha, beta = nodes
    before = standing_links([beta])
    signal_all(alpha, signal.SIGKILL)
    for service in SERVICES[1:]:
        wait_until(lambda service=service: not beta.linked(service), NOTICED, f"{service} noticed")
    assert beta.metrics("chat").value("parley_peers") == 0
    for service in alpha.services:
        alpha.start(service)
    alpha.wait_ready()
    wait_linked(nodes)
    after = standing_links([beta])
    assert before.keys() == after.keys()
    assert all(before[key].instance_id != after[key].instance_id for key in before)


def test_the_other_side_is_told_apart_when_it_was_restarted_unseen(nodes):
    """Killed and back while beta hangs: a new instance takes the place of links that nobody closed."""
    alpha, beta = nodes
    beta.kill("chat", signal.SIGSTOP)
    try:
        alpha.kill("chat")
        alpha.start("chat")
        alpha.wait_ready("chat")
    finally:
        beta.kill("chat", signal.SIGCONT)
    instance = alpha.status("chat")["instance_id"]
    wait_until(
        lambda: [p["instance_id"] for p in beta.status("chat")["peers"] if p["state"] == "linked"] == [instance]
    )
    wait_linked(nodes)


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    """Nodes that notice a dead peer in 1.5 s instead of 10."""
    directory = tmp_path_factory.mktemp("quick")
    with (
        Node("gamma", "127.0.25.3", directory, THREE_SERVICES, SHORT_TIMEOUTS) as gamma,
        Node("delta", "127.0.25.4", directory, THREE_SERVICES, SHORT_TIMEOUTS) as delta,
    ):
        wait_linked([gamma, delta], ["chat", "typing"])
        yield gamma, delta


def test_idle_links_are_kept_by_ping_and_pong(fast):
    before = standing_links(fast, THREE_SERVICES[1:])

    def pinged():
        peers = [peer for node in fast for service in THREE_SERVICES[1:] for peer in node.status(service)["peers"]]
        return all(any(p["rtt_seconds"] is not None for p in peers if p["server_id"] == n.server_id) for n in fast)

    wait_until(pinged)
    assert_still_standing(before, standing_links(fast, THREE_SERVICES[1:]))


def test_a_half_open_link_is_dropped_and_made_again(fast):
    """A node that hangs keeps its connections open: only its silence tells."""
    gamma, delta = fast
    ours = {"gamma", "delta"}
    signal_all(gamma, signal.SIGSTOP)
    began = time.monotonic()
    try:
        for service in THREE_SERVICES[1:]:
            wait_until(lambda service=service: "gamma" not in delta.linked(service), 5.0, f"{service} dropped")
        assert time.monotonic() - began >= 1.0
        closed = [each for each in delta.logged("chat", "link_closed") if each["peer_id"] == "gamma"]
        assert (closed[-1]["reason"], closed[-1]["by_us"]) == ("timeout", True)
    finally:
        signal_all(gamma, signal.SIGCONT)
    gamma.wait_ready()
    wait_linked(fast, THREE_SERVICES[1:])
    for node in fast:
        for service in THREE_SERVICES[1:]:
            linked = [p["server_id"] for p in node.status(service)["peers"] if p["server_id"] in ours]
            assert len(linked) == 1, (node, service)


def test_who_is_heard_again_agrees_which_link_it_is(fast):
    """After the hang both sides have the same one link: what one dialled, the other accepted."""
    gamma, delta = fast
    for service in THREE_SERVICES[1:]:
        [here] = [p for p in gamma.status(service)["peers"] if p["server_id"] == "delta"]
        [there] = [p for p in delta.status(service)["peers"] if p["server_id"] == "gamma"]
        assert here["dialled_by_us"] is not there["dialled_by_us"]
        assert (here["instance_id"], there["instance_id"]) == (
            delta.status(service)["instance_id"],
            gamma.status(service)["instance_id"],
        )


def test_a_message_crosses_after_the_hang(fast):  # noqa: ARG001 - the nodes are what is tested
    with (
        PlainClient("ann", "gamma", "127.0.25.13", broadcast="127.0.25.3", enough=1) as ann,
        PlainClient("bob", "delta", "127.0.25.14", broadcast="127.0.25.4", enough=1) as bob,
    ):
        ann.connect()
        bob.connect()
        ann.wait_status(ann.send_text("bob", "delta", "after all"), "DELIVERED")
