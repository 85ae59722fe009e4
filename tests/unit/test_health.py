"""What a process exports of its links: real servers on a simulated network."""

import pytest
import structlog
from prometheus_client import generate_latest

from parley.shared.service import health
from tests.support.nodes import Samples
from tests.support.simulated import SimulatedLoop
from tests.support.simulated_servers import SimulatedServer


@pytest.fixture(autouse=True, scope="module")
def _no_logs():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    yield
    structlog.reset_defaults()


@pytest.fixture
def servers(monkeypatch):
    """alpha, linked with three others, of which two may have a label."""
    monkeypatch.setattr(health, "PEERS", 2)
    loop = SimulatedLoop()

    async def make(number, name):
        return SimulatedServer(loop, name, f"10.0.0.{number}")

    alpha, *others = [loop.run(make(*each)) for each in enumerate(("alpha", "beta", "gamma", "delta"), 1)]
    loop.run(alpha.knows(*others))
    loop.run_for(1.0)
    alpha.measure_links()
    loop.run_for(1.0)
    yield alpha, others
    for server in (alpha, *others):
        loop.run(server.stop())
    loop.close()


def peers(server, name, **labels):
    """The peers that have a label in a metric."""
    found = Samples(generate_latest(server.metrics.registry).decode()).samples
    return {
        each.labels["peer"]
        for each in found
        if each.name == name and labels.items() <= each.labels.items() and each.value > 0
    }


def test_the_peers_that_have_a_label_are_the_same_in_all_metrics(servers):
    alpha, _others = servers
    named = peers(alpha, "parley_peer_links", state="linked")
    assert len(named) == 3
    assert "other" in named
    assert peers(alpha, "parley_link_rtt_seconds") == named - {"other"}


def test_a_peer_whose_link_breaks_keeps_its_label(servers):
    """It is the one that somebody looks for."""
    alpha, others = servers
    named = peers(alpha, "parley_peer_links", state="linked")
    lost = next(each for each in others if each.server_id in named)
    alpha.loop.run(lost.crash())
    alpha.loop.run_for(alpha.config.link.peer_ping_timeout * 2 + 1.0)
    for _scrape in range(3):
        assert peers(alpha, "parley_peer_links", state="dialling") == {lost.server_id}
        assert peers(alpha, "parley_link_rtt_seconds") == named - {"other", lost.server_id}
