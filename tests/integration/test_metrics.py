"""docs/metrics.md says what running processes export, and nothing else; and their figures are true."""

import re
from contextlib import ExitStack

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.nodes import ROOT, SERVICES, Node, wait_linked, wait_until
from tests.support.traffic import Traffic

NETWORK = "127.0.94"
ROW = re.compile(r"\| `(\w+)` \| (\w+) \| ([\w, ]*) ?\| ([\w, ]+) \| .+ \|")
COMMON = ("process_", "python_")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("metrics")
    settings = {"PARLEY_LINK__PEER_PING_TIMEOUT": "1"}
    with ExitStack() as stack:
        made = [
            stack.enter_context(Node(name, f"{NETWORK}.{n}", directory, settings=settings))
            for n, name in enumerate(("alpha", "beta"), 1)
        ]
        wait_linked(made)
        with Traffic(made, NETWORK) as traffic:
            wait_until(lambda: traffic.delivered > 20, what="messages are delivered")
            for service in SERVICES[1:]:
                made[0].wait_metric(service, 0.000001, "parley_link_rtt_seconds")
            made[0].wait_metric("chat", 1, "parley_link_closes_total")
        yield made


def documented():
    """Name → (type, labels, processes), from the table."""
    rows = ROW.findall((ROOT / "docs" / "metrics.md").read_text())
    everyone = ", ".join(SERVICES)
    return {
        name: (kind, frozenset(filter(None, labels.strip().split(", "))), frozenset(_split(by, everyone)))
        for name, kind, labels, by in rows
    }


def _split(by, everyone):
    return (everyone if by == "all" else by).split(", ")


def exported(node):
    """The same, from all processes of a node; the labels are those of the samples that there are."""
    found = {}
    for service in SERVICES:
        for family in text_string_to_metric_families(node.get(service, "/metrics")[1].decode()):
            name = family.name + ("_total" if family.type == "counter" else "")
            _, labels, processes = found.setdefault(name, (family.type, set(), set()))
            labels |= {label for sample in family.samples for label in sample.labels} - {"le"}
            processes.add(service)
    return {name: (kind, frozenset(labels), frozenset(by)) for name, (kind, labels, by) in found.items()}


def test_the_table_is_what_is_exported(nodes):
    ours = {name: entry for name, entry in exported(nodes[0]).items() if not name.startswith(COMMON)}
    assert ours == documented()


def test_each_process_tells_of_itself(nodes):
    text = (ROOT / "docs" / "metrics.md").read_text()
    for name, (_, _, processes) in exported(nodes[0]).items():
        if name.startswith("process_"):
            assert processes == set(SERVICES)
            assert f"`{name}`" in text


def test_the_labels_are_closed_sets(nodes):
    """Whatever comes in, no label is a user, an address, or a name that we do not know."""
    text = "".join(nodes[0].get(service, "/metrics")[1].decode() for service in SERVICES)
    values = {value for line in text.splitlines() for value in re.findall(r'="([^"]*)"', line.split(" ")[0])}
    assert not [value for value in values if "@" in value or re.fullmatch(r"[\d.]+:\d+", value)]
    assert {"alpha", "beta"} <= values


def test_what_is_counted_is_true(nodes):
    alpha, beta = nodes
    chat = alpha.metrics("chat")
    delivered = chat.value("parley_messages_total", status="delivered")
    in_time = chat.value("parley_delivery_seconds_count")
    assert delivered == in_time > 0
    assert 0 < chat.value("parley_link_rtt_seconds", peer="beta") < 1
    assert chat.value("parley_peer_links", peer="beta", state="linked") == 1
    assert chat.value("parley_peer_links", peer="beta", state="dialling") == 0
    # All that went out to the other server came in there; a few may be on their way.
    assert beta.metrics("chat").value("parley_frames_total", direction="received") > 0
    discovery = alpha.metrics("discovery")
    assert discovery.value("parley_discovery_time_to_peer_seconds_count") == 3
    assert discovery.value("parley_servers_known") == 1
    assert discovery.value("parley_process_registered") == 3


def test_a_killed_process_is_seen_in_the_figures(nodes):
    alpha, beta = nodes
    before = alpha.metrics("typing").value("parley_peer_reconnects_total")
    beta.kill("typing")
    alpha.wait_metric("typing", 1, "parley_peer_links", peer="beta", state="dialling")
    beta.start("typing")
    beta.wait_ready("typing")
    alpha.wait_metric("typing", before + 1, "parley_peer_reconnects_total")
    alpha.wait_metric("typing", 1, "parley_connects_total", result="unreachable")
