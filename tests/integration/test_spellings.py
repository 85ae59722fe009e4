"""Who writes to bob@alpha reaches bob at a server that calls itself Alpha; a name has data in one spelling only."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import run_parley
from tests.support.nodes import ROOT, TIMEOUT, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient

ALPHA, BETA = "127.0.37.1", "127.0.37.2"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("spellings")
    with Node("Alpha", ALPHA, directory) as alpha, Node("beta", BETA, directory) as beta:
        wait_linked([alpha, beta])
        yield alpha, beta


@pytest.fixture
def bob(nodes):  # noqa: ARG001 - it is there
    with PlainClient("bob", "Alpha", "127.0.37.11", broadcast=ALPHA, enough=1) as client:
        client.connect()
        yield client


@pytest.fixture
def ann(nodes):  # noqa: ARG001 - it is there
    with PlainClient("ann", "beta", "127.0.37.12", broadcast=BETA, enough=1) as client:
        client.connect()
        yield client


@pytest.mark.parametrize("spelt", ["Alpha", "alpha", "ALPHA"])
def test_a_message_reaches_a_server_however_it_is_spelt(ann, bob, spelt):
    ann.wait_status(ann.send_text("bob", spelt, f"to {spelt}"), "DELIVERED")
    ann.wait_status(ann.send_text("bob", spelt, f"again to {spelt}"), "DELIVERED")
    got = [(each["author"]["serverId"], each["user"]["serverId"]) for each in bob.messages]
    assert set(got) == {("beta", "Alpha")}, "what goes on is spelt as its server spells it"
    bob.wait_status(bob.send_text("ann", "BETA", "back"), "DELIVERED")


def test_a_user_of_the_server_itself_is_reached_however_it_is_spelt(bob):
    bob.wait_status(bob.send_text("bob", "aLPHA", "to myself"), "DELIVERED")


def test_a_user_whose_server_is_spelt_otherwise_connects_there(nodes, ann):
    alpha, _beta = nodes
    done = run_parley("send", "--as", "carl@alpha", "ann@BETA", "hello", environment=alpha.environment)
    assert done.returncode == 0, done.stderr
    ann.wait_for(lambda: ann.messages)
    assert ann.messages[0]["author"] == {"userId": "carl", "serverId": "Alpha"}


def test_a_group_and_a_block_are_the_same_however_the_server_is_spelt(nodes, ann, bob):
    alpha, beta = nodes
    for user, node in (("bob@alpha", alpha), ("ann@BETA", beta)):
        done = run_parley("group", "join", "#crew@ALPHA", "--as", user, environment=node.environment)
        assert done.returncode == 0, done.stderr
    snowflake = ann.send_message({"group": {"groupId": "crew", "serverId": "alpha"}, "textContent": "all"})
    bob.wait_for(lambda: [each for each in bob.messages if each.get("textContent") == "all"])
    ann.wait_status(snowflake, "DELIVERED")
    assert run_parley("block", "ann@Beta", "--as", "bob@ALPHA", environment=alpha.environment).returncode == 0
    ann.wait_status(ann.send_text("bob", "Alpha", "blocked"), "USER_BLOCKED")
    assert run_parley("unblock", "ann@BETA", "--as", "bob@alpha", environment=alpha.environment).returncode == 0
    ann.wait_status(ann.send_text("bob", "Alpha", "not blocked"), "DELIVERED")


@pytest.mark.parametrize("service", ["discovery", "chat"])
def test_a_node_does_not_start_beside_data_of_its_name_in_another_spelling(tmp_path, service):
    node = Node("alpha", "127.0.37.3", tmp_path)
    environment = node.environment
    Path(environment["PARLEY_DATA_DIR"], "ALPHA").mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-m", f"services.{service}"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("{")]
    assert done.returncode == 2, said
    assert len(said) == 1
    assert "PARLEY_SERVER_ID=ALPHA" in said[0]


def test_a_static_peer_that_is_nobody_is_told_by_status_and_by_parley_status(tmp_path):
    settings = {"PARLEY_DISCOVERY__STATIC_PEERS": "nobody.invalid", "PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5"}
    with Node("gamma", "127.0.37.4", tmp_path, settings=settings) as node:
        told = wait_until(lambda: node.status("discovery")["troubles"])
        assert [(each["kind"], each["subject"]) for each in told] == [("peer_unresolved", "nobody.invalid")]
        assert node.metrics("discovery").value("parley_troubles", kind="peer_unresolved") == 1
        assert len(node.logged("discovery", "peer_unresolved")) == 1
        done = run_parley("status", node.address, environment=node.environment)
        assert done.returncode == 1
        assert "nobody.invalid stands for no address" in " ".join(done.stdout.split())
