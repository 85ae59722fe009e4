"""One compose project, scaled to three nodes, without a line of configuration."""

import itertools
from contextlib import ExitStack

import pytest

from tests.federation.evidence import (
    FEATURES,
    NAMES,
    Watcher,
    assert_message_crosses,
    assert_typing_crosses,
    client,
    offers,
    wait_one_link_each,
)
from tests.support.container_nodes import TIMEOUT, nodes
from tests.support.nodes import SERVICES, wait_linked

ALL = set(NAMES.values())
SCALE = [word for service in SERVICES for word in ("--scale", f"{service}=3")]


@pytest.fixture(scope="module")
def project(engine):
    """The project, up."""
    found = engine.project("three", network="three")
    found.compose("up", "-d", "--no-build", *SCALE)
    yield found
    found.remove()


@pytest.fixture
def three(project):
    """Whoever is a node now: a process that starts belongs to a discovery that lacks its feature."""
    found = nodes(project.containers())
    assert len(found) == 3
    return found


def test_three_nodes_with_all_features_find_one_another(three):
    for node in three:
        others = {other.server_id for other in three if other is not node}
        with Watcher(node) as watcher:
            heard = watcher.wait(lambda found, others=others: offers(found) == dict.fromkeys(others, ALL))
        assert {e.feature for e in heard.own} == ALL


def test_each_node_is_named_after_its_discovery_container(three):
    assert [n.server_id for n in three] == [n.containers["discovery"].id[:12] for n in three]


def test_three_pairs_have_exactly_one_link_per_feature(three):
    linked = wait_one_link_each(three)
    assert len({frozenset((one, other)) for _service, one, other in linked}) == 3
    assert len(linked) == 2 * 3 * len(FEATURES)


def test_messages_and_typing_cross_between_all(three):
    assert_all_cross(three)


def assert_all_cross(three):
    with ExitStack() as stack:
        users = [stack.enter_context(client(f"user{n}", node)) for n, node in enumerate(three)]
        for author, reader in itertools.permutations(users, 2):
            assert_message_crosses(author, reader, f"from {author.user['userId']}")
            assert_typing_crosses(author, reader)


def test_processes_that_come_back_at_each_others_addresses_are_linked_again(project, three):
    containers = [node.containers["chat"] for node in three]
    for container in containers:
        container.kill()
    for container in reversed(containers):
        container.start()
    again = nodes(project.containers())
    assert [node.server_id for node in again] == [node.server_id for node in three]
    wait_linked(again, timeout=TIMEOUT)
    wait_one_link_each(again)
    assert_all_cross(again)
