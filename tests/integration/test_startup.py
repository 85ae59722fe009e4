"""How long a node takes until it is ready, and until it is linked with another."""

import os
import time

import pytest

from tests.support.commands import ServedNode
from tests.support.nodes import SERVICES, Node, wait_linked, wait_until

pytestmark = pytest.mark.timed

READY = 3.0
"""Seconds from `parley serve` to all four processes ready."""
LINKED = 1.0
"""Seconds from a second node's discovery being up to links for all three features."""
TRIES = 2
"""The best counts: what a busy machine adds is not ours. (The distribution is the benchmarks'.)"""
BUSY = 2.0
"""Load per processor from which on a machine is too busy with something else for this to be judged."""


@pytest.fixture(scope="module")
def alpha(tmp_path_factory):
    with Node("alpha", "127.0.29.1", tmp_path_factory.mktemp("alpha")) as node:
        yield node


def judge(took, limit):
    """Fail where it took too long, unless the machine is busy: that is no measure of anything."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    if took >= limit and load > BUSY:
        pytest.skip(f"{took:.2f} s, but the machine is busy: load {load:.1f} per processor")
    assert took < limit


def seconds_to_ready(directory):
    began = time.monotonic()
    with ServedNode("served", "127.0.29.2", directory) as node:
        took = time.monotonic() - began
        node.command.wait_line("ready: ")
        node.command.interrupt()
        assert node.command.wait_exit() == 0
    return took


def test_a_served_node_is_ready_in_time(tmp_path, figure):
    took = [seconds_to_ready(tmp_path / f"{number}") for number in range(TRIES)]
    figure(f"parley serve: all {len(SERVICES)} processes ready after {' '.join(f'{s:.2f}' for s in took)} s")
    judge(min(took), READY)


def seconds_to_links(alpha, number, directory):
    """A second node from the moment that its discovery is up."""
    beta = Node(f"beta{number}", f"127.0.29.{10 + number}", directory)
    beta.start("discovery")
    wait_until(lambda: beta.is_ready("discovery"))
    for service in SERVICES[1:]:
        beta.start(service)
    try:
        beta.wait_ready()
        ready = time.monotonic()
        for node, other in ((beta, alpha), (alpha, beta)):
            for service in SERVICES[1:]:
                node.wait_linked(service, other.server_id)
        took = time.monotonic() - ready
        peers = [peer["state"] for service in SERVICES[1:] for peer in beta.status(service)["peers"]]
        assert peers.count("linked") == len(SERVICES[1:])
        return took
    finally:
        beta.stop()


def test_a_second_node_is_linked_for_all_features_in_time(alpha, tmp_path, figure):
    took = [seconds_to_links(alpha, number, tmp_path) for number in range(TRIES)]
    figure(f"a second node: linked {' '.join(f'{s:.2f}' for s in took)} s after its processes are ready")
    judge(min(took), LINKED)


def test_nodes_that_start_together_are_linked_once_each(tmp_path):
    """Both dial: exactly one link per pair and feature is left, the one that the smaller name dialled."""
    one, two = Node("one", "127.0.29.20", tmp_path), Node("two", "127.0.29.21", tmp_path)
    try:
        for service in SERVICES:
            one.start(service)
            two.start(service)
        for node in (one, two):
            node.wait_ready()
        wait_linked([one, two])
        for service in SERVICES[1:]:
            [there] = [peer for peer in one.status(service)["peers"] if peer["server_id"] == "two"]
            [here] = [peer for peer in two.status(service)["peers"] if peer["server_id"] == "one"]
            assert there["dialled_by_us"] is not here["dialled_by_us"]
    finally:
        one.stop()
        two.stop()


def test_processes_that_come_after_both_discoveries_have_asked_are_linked_at_once(tmp_path):
    """There was nothing to announce when the discoveries asked: it is not put off until they ask again."""
    one, two = Node("one", "127.0.29.22", tmp_path), Node("two", "127.0.29.23", tmp_path)
    nodes = (one, two)
    try:
        for node in nodes:
            node.start("discovery")
        for node in nodes:
            node.wait_ready()
            node.wait_metric("discovery", 1, "parley_datagrams_total", direction="received")
        for node in nodes:
            node.start("chat")
        for node in nodes:
            node.wait_ready("chat")
        wait_linked(nodes, ["chat"], timeout=LINKED)
    finally:
        for node in nodes:
            node.stop()
