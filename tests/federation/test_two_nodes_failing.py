"""What goes wrong with containers, and what the two nodes make of it."""

import time

import pytest

from tests.federation.evidence import (
    FEATURES,
    NAMES,
    Watcher,
    assert_all_crosses,
    assert_message_crosses,
    client,
    offers,
    wait_one_link_each,
)
from tests.support.container_nodes import SERVICE, TIMEOUT
from tests.support.containers import PROJECT
from tests.support.nodes import SERVICES, wait_linked, wait_until

LINKED_AGAIN = 1.0
"""Seconds, from ready to linked."""
PAUSE = 5.0
DEAD_PEER = 10.0
"""Seconds after which a silent server is given up: twice `peer_ping_timeout`."""
STOPPED = 3.0


def kill_process(container):
    """SIGKILL whatever runs in a container but its init, from inside: so the restart policy applies."""
    container.exec_run(["sh", "-c", "kill -KILL -1"])


def last(node, service, event, since):
    """Return when the newest log line of that event since then was written, once there is one."""
    what = f"{event} in the log of {service} of {node}"
    return wait_until(lambda: node.logged(service, event, since), TIMEOUT, what)[-1]["timestamp"]


def linked_after_ready(one, others, service, since):
    """Seconds from a process's being ready until it and its peers have their new links."""
    ready = last(one, service, "listening", since)
    opened = [last(node, service, "peer_connected", ready - 0.5) for node in (one, *others)]
    return max(opened) - ready


@pytest.mark.parametrize("service", FEATURES)
def test_a_killed_process_is_noticed_and_linked_again_and_no_other_link_drops(pair, measured, service):
    alpha, beta = pair
    before, instances = wait_one_link_each(pair), alpha.instances()
    since = time.time()
    kill_process(alpha.containers[service])
    noticed = last(beta, service, "peer_disconnected", since) - since
    took = linked_after_ready(alpha, [beta], service, since)
    after = wait_one_link_each(pair)
    measured(f"{service} killed: noticed in {noticed:.3f} s, linked {took:.3f} s after it was ready again")
    assert took <= LINKED_AGAIN
    assert {key for key in before if after[key] != before[key]} == {
        (service, "alpha", "beta"),
        (service, "beta", "alpha"),
    }
    changed = alpha.instances()
    assert {each for each in instances if changed[each] != instances[each]} == {service}


def test_a_killed_discovery_comes_back_and_no_link_drops(pair, measured):
    alpha, beta = pair
    before, instance = wait_one_link_each(pair), alpha.instances()["discovery"]
    since = time.time()
    kill_process(alpha.containers["discovery"])
    ready = last(alpha, "discovery", "listening", since)
    alpha.wait_ready()
    assert alpha.instances()["discovery"] != instance
    with Watcher(alpha) as watcher:
        watcher.wait(lambda found: is_whole(found) and offers(found).get("beta") == set(NAMES.values()))
    registered = max(line["timestamp"] for line in alpha.logged("discovery", "process_registered", since))
    measured(f"discovery killed: all registered {registered - ready:.3f} s after it was ready again")
    assert wait_one_link_each(pair) == before
    for node in (alpha, beta):
        for service in FEATURES:
            assert not node.logged(service, "peer_disconnected", since)


def is_whole(server_list):
    return {e.feature for e in server_list.own} == set(NAMES.values())


def test_a_killed_container_is_noticed_and_linked_again_when_it_is_started(pair, measured):
    alpha, beta = pair
    container = alpha.containers["chat"]
    since = time.time()
    container.kill()  # deliberate, for the engine: its restart policy leaves it alone
    noticed = last(beta, "chat", "peer_disconnected", since) - since
    beta.wait_unlinked("chat", "alpha")
    assert alpha.linked("typing") == alpha.linked("location") == {"beta"}
    container.start()
    took = linked_after_ready(alpha, [beta], "chat", since)
    measured(f"container killed: noticed in {noticed:.3f} s, linked {took:.3f} s after it was ready again")
    wait_one_link_each(pair)
    assert took <= LINKED_AGAIN


@pytest.mark.parametrize("service", SERVICES)
def test_a_restarted_container_is_linked_again(pair, measured, service):
    alpha, beta = pair
    since = time.time()
    alpha.containers[service].restart()
    alpha.wait_ready()
    if service in FEATURES:
        took = linked_after_ready(alpha, [beta], service, since)
        measured(f"{service} restarted: linked {took:.3f} s after it was ready again")
        assert took <= LINKED_AGAIN
    else:
        assert not alpha.logged("chat", "peer_disconnected", since)
    wait_linked(pair, timeout=TIMEOUT)


def test_a_node_paused_for_some_seconds_loses_no_link(pair, measured):
    alpha, beta = pair
    before, instances = wait_one_link_each(pair), alpha.instances()
    since = time.time()
    with client("alice", alpha) as alice, client("bob", beta) as bob:
        # A link that is silent already has less to spare than PAUSE: twice `peer_ping_timeout` is all.
        assert_all_crosses(alice, bob)
        seconds = pause(alpha, while_linked=beta)
        assert_all_crosses(alice, bob)
    measured(f"node paused: {seconds:.3f} s, no link lost")
    assert wait_one_link_each(pair) == before
    assert alpha.instances() == instances
    for node in pair:
        for service in FEATURES:
            assert not node.logged(service, "peer_disconnected", since)


def pause(node, *, while_linked):
    """Pause a node for PAUSE seconds; seconds from the first container's pause to the last one's end."""
    began = time.monotonic()
    for container in node.containers.values():
        container.pause()
    try:
        with pytest.raises(TimeoutError):  # this is what is waited for: nothing, for so long
            while_linked.wait_unlinked("chat", node.server_id, PAUSE)
    finally:
        for container in node.containers.values():
            container.unpause()
    return time.monotonic() - began


def test_a_node_that_is_cut_off_is_noticed_and_linked_again_when_it_is_back(engine, projects, pair, measured):
    alpha, beta = pair
    network = engine.client.networks.get(projects["beta"].network)
    cut = {service: time.time() for service in SERVICES}
    for service, container in beta.containers.items():
        cut[service] = time.time()
        network.disconnect(container)
    noticed = {s: last(alpha, s, "peer_disconnected", cut[s]) - cut[s] for s in FEATURES}
    back = time.time()
    for service, container in beta.containers.items():
        network.connect(container, aliases=[service, "discovery-beta"] if service == "discovery" else [service])
    wait_linked(pair, timeout=TIMEOUT)
    again = max(last(node, s, "peer_connected", cut[s]) for node in pair for s in FEATURES) - back
    told = ", ".join(f"{service} {seconds:.1f} s" for service, seconds in noticed.items())
    measured(f"node cut off: noticed in {told}; all linked {again:.1f} s after it was connected again")
    wait_one_link_each(pair)
    beta.wait_ready()
    with client("alice", alpha, "chat") as alice, client("bob", beta, "chat") as bob:
        assert_message_crosses(alice, bob, "after the cut")
    assert max(noticed.values()) <= DEAD_PEER + 1.0


def test_a_stopped_node_hangs_up_and_its_containers_end_in_time(engine, projects, pair, measured):
    alpha, beta = pair
    since = time.time()
    with client("bob", beta) as bob:
        connected = list(bob.connected.values())
        projects["beta"].compose("stop")
        bob.wait_for(lambda: not bob.connected)
        for link in connected:
            said = [each.fields for each in bob.received if each.name == "HANGUP" and each.link is link]
            assert said == [{"reason": "EXIT"}]
    took = seconds_to_end(engine, projects["beta"], since)
    measured("node stopped: " + ", ".join(f"{service} {took[service]:.3f} s" for service in SERVICES))
    for container in beta.containers.values():
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0
    assert max(took.values()) <= STOPPED
    for service in FEATURES:
        alpha.wait_unlinked(service, "beta")
    projects["beta"].compose("start")
    wait_linked(pair, timeout=TIMEOUT)


def seconds_to_end(engine, project, since):
    """From SIGTERM to the end, per service, as the engine has it."""
    filters = {"type": "container", "event": ["kill", "die"]}
    told = {"kill": {}, "die": {}}
    for event in engine.client.events(since=since, until=time.time(), filters=filters, decode=True):
        labels = event["Actor"]["Attributes"]
        if labels.get(PROJECT) == project.name:
            told[event["Action"]].setdefault(labels[SERVICE], event["timeNano"])
    return {service: (told["die"][service] - told["kill"][service]) / 1e9 for service in SERVICES}
