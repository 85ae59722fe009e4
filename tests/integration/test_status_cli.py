"""`parley status`: who is linked with whom, what is missing, once and live."""

import json
import re

import pytest

from tests.support.commands import Command, client_environment, run_parley
from tests.support.nodes import Node, wait_linked, wait_until
from tests.support.plain_server import MESSAGES, PlainServer

ALPHA, BETA, CLIENT = "127.0.95.1", "127.0.95.2", "127.0.95.50"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("status")
    settings = {"PARLEY_LINK__BACKOFF_MAX": "1"}
    with (
        Node("alpha", ALPHA, directory, settings=settings) as alpha,
        Node("beta", BETA, directory, settings=settings) as beta,
    ):
        wait_linked([alpha, beta])
        yield alpha, beta


@pytest.fixture
def environment(tmp_path):
    return client_environment(CLIENT, tmp_path)


def status(environment, *arguments):
    return run_parley("status", ALPHA, *arguments, environment=environment)


def is_well(environment):
    return status(environment).returncode == 0


@pytest.mark.usefixtures("nodes")
def test_a_node_whose_links_all_stand_is_well(environment):
    wait_until(lambda: is_well(environment), what="all is well")
    shown = status(environment).stdout
    assert shown.split()[:3] == ["alpha", "Parley", "0.1.0"]
    for feature in ("chat", "typing", "location"):
        assert f"beta    {feature}" in shown
    assert "linked" in shown
    assert "dialling" not in shown


@pytest.mark.usefixtures("nodes")
def test_as_json_it_is_one_line_with_all_processes(environment):
    (line,) = status(environment, "--json").stdout.splitlines()
    told = json.loads(line)
    assert told["pairs"] == [{"one": "alpha", "other": "beta", "state": "linked", "missing": []}]
    assert {feature: process["ready"] for feature, process in told["processes"].items()} == {
        "MESSAGES": True,
        "TYPING_INDICATOR": True,
        "LIVE_LOCATION": True,
    }


def test_what_breaks_is_shown_at_once_and_what_is_mended_too(nodes, environment):
    _alpha, beta = nodes
    with Command("status", ALPHA, "--watch", "--json", environment=environment) as watching:

        def last():
            lines = [line for line in watching.lines if line.endswith("}")]
            return json.loads(lines[-1])["pairs"][0] if lines else {"state": ""}

        wait_until(lambda: last()["state"] == "linked", what="linked")
        beta.kill("chat")
        wait_until(lambda: last()["state"] == "partly linked", 3.0, "the broken link is shown")
        assert last()["missing"] == ["MESSAGES"]
        done = status(environment)
        assert done.returncode == 1
        assert "partly linked" in done.stdout
        beta.start("chat")
        wait_until(lambda: last()["state"] == "linked", what="linked again")


def test_a_process_that_does_not_answer_is_told(nodes, environment):
    alpha, _beta = nodes
    alpha.kill("typing")
    done = status(environment)
    assert done.returncode == 1
    assert "does not answer" in done.stdout
    alpha.start("typing")
    alpha.wait_ready("typing")


@pytest.mark.usefixtures("nodes")
def test_a_server_that_is_not_dialled_is_told_with_its_dialect_and_is_no_fault(environment):
    environment = {name: value for name, value in environment.items() if name != "COLUMNS"}  # no line is folded
    with PlainServer("hermit", "127.0.95.9", ports={MESSAGES: (6666, None)}, listen=0):
        done = wait_until(
            lambda: (found := status(environment)).returncode == 0 and "hermit" in found.stdout and found
        )
    rows = [line.strip().split(None, 2) for line in done.stdout.splitlines() if line.startswith("hermit")]
    assert rows[0] == ["hermit", "chat", "known"]
    dialects = ["hermit", "old-server", "its announcement has no mark of a Parley, and it never dialled us"]
    assert dialects in rows
    assert ["hermit", "held", "in plain"] in rows
    assert re.search(r"^beta +parley +its (announcement has|CONNECT has)", done.stdout, re.MULTILINE)


def test_where_no_node_is_that_is_one_line(environment):
    done = run_parley("status", "127.0.95.99", environment=environment)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("parley: no node answers at 127.0.95.99:9401 (connection refused)")
