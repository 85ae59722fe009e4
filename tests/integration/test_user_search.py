"""Searching for people over real nodes: from the command line, and from programs that know the sheet alone."""

import json
import signal
from contextlib import ExitStack

import pytest

from tests.interop.programs.code_two import ALL_NAMES, AT_ONCE
from tests.interop.programs.code_two_client import CodeTwoClient
from tests.support.commands import Command, client_environment, run_parley
from tests.support.nodes import Node, wait_linked
from tests.support.plain_client import PlainClient
from tests.support.plain_dialler import PlainDialler
from tests.support.plain_program import BROADCAST, DISCOVERY_PORT
from tests.support.plain_server import MESSAGES, PlainServer

ALPHA, BETA, OLD, DIALLER = "127.0.104.1", "127.0.104.2", "127.0.104.3", "127.0.104.4"
COMMANDS, EVE = "127.0.104.50", "127.0.104.51"
SETTINGS = {"PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.5", "PARLEY_LINK__BACKOFF_MAX": "0.5"}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("nodes")


@pytest.fixture(scope="module")
def nodes(directory):
    with (
        Node("alpha", ALPHA, directory, ("discovery", "chat"), settings=SETTINGS) as alpha,
        Node("beta", BETA, directory, ("discovery", "chat"), settings=SETTINGS) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        yield alpha, beta


@pytest.fixture
def enter():
    with ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def environment(nodes, directory):  # noqa: ARG001 - the nodes run
    return client_environment(COMMANDS, directory)


@pytest.fixture
def people(enter, environment):
    """Bob at alpha and Bea at beta, who are connected."""
    for name in ("bob@alpha", "Bea@beta"):
        listener = enter(Command("listen", "--as", name, environment=environment))
        listener.wait_error("listening as")


@pytest.fixture
def parley(environment):
    def run(*arguments):
        ended = run_parley(*arguments, environment=environment)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout.splitlines()

    return run


@pytest.mark.usefixtures("people")
def test_who_else_is_connected_at_both_servers_is_printed(parley):
    assert parley("users", "--as", "alice@alpha") == ["Bea@beta", "bob@alpha"]
    assert parley("users", "--as", "alice@beta", "BO") == ["bob@alpha"]
    assert parley("users", "--as", "bob@alpha", "bob") == []
    assert [json.loads(line) for line in parley("users", "be", "--as", "alice@alpha", "--json")] == [
        {"user": "Bea@beta"}
    ]


def test_too_long_a_name_is_refused_in_a_line(environment):
    ended = run_parley("users", "x" * 65, "--as", "alice@alpha", environment=environment)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "parley: a search has at most 64 characters, not 65\n"


@pytest.mark.usefixtures("people")
def test_a_client_of_code_base_2_finds_people_of_both_servers(enter, nodes):
    eve = enter(CodeTwoClient("eve", "alpha", EVE, broadcast=ALPHA))
    eve.connect()
    for name, server_id in (("bob", "alpha"), ("Bea", "beta"), ("eve", "alpha")):
        assert eve.finds({"userId": name, "serverId": server_id})
    assert not eve.finds({"userId": "nobody", "serverId": "alpha"}, 0.2)
    before = nodes[0].metrics("chat").value("parley_user_searches_total", result="whole")
    assert before >= 4
    assert {each.name for each in eve.received} <= {"SERVER_ANNOUNCE", "CONNECTED", "SEARCH_USERS_RESP"}
    assert not eve.lost


@pytest.mark.usefixtures("nodes")
def test_answers_to_a_client_of_code_base_2_are_as_long_as_it_can_take(enter):
    crowd = [
        enter(PlainClient(f"{'x' * 150}{number}", "alpha", f"127.0.104.{100 + number}", broadcast=ALPHA, enough=1))
        for number in range(AT_ONCE // 150)
    ]
    for each in crowd:
        each.connect()
    eve = enter(CodeTwoClient("eve", "alpha", EVE, broadcast=ALPHA))
    eve.connect()
    eve.link.send("SEARCH_USERS", {"handle": 99, "query": "xxx"})

    def found():
        answers = [each.fields for each in eve.received if each.name == "SEARCH_USERS_RESP"]
        return sorted(user["userId"] for each in answers for user in each.get("users", []))

    eve.wait_for(lambda: found() == sorted(each.user["userId"] for each in crowd))
    assert not eve.lost


@pytest.mark.usefixtures("people")
def test_a_server_that_asks_is_told_who_is_connected_here_and_nobody_elses_users(enter):
    dialler = enter(PlainDialler(DIALLER, BROADCAST, DISCOVERY_PORT))
    dialler.names = ALL_NAMES
    server = enter(PlainServer("two", DIALLER, ports={MESSAGES: (6666, None)}, listen=0))
    server.names = ALL_NAMES
    dialler.connect("alpha", "two")  # whoever dialled once is dialled
    link = server.wait_working_link("alpha")
    link.send("SEARCH_USERS", {"handle": 7, "query": "b"})
    [user] = server.wait_frame("SEARCH_USERS_RESP", lambda fields: fields["handle"] == 7).fields["users"]
    assert user == {"userId": "bob", "serverId": "alpha"}


@pytest.mark.usefixtures("people")
def test_an_existing_server_is_not_asked(enter, nodes, parley):
    old = enter(PlainServer("old", OLD, users=("bert",), enough=2))
    for node in nodes:
        old.wait_working_link(node.server_id)
        node.wait_linked("chat", "old")
    assert parley("users", "b", "--as", "alice@alpha") == ["Bea@beta", "bob@alpha"]
    assert "SEARCH_USERS" not in {each.name for each in old.received}


@pytest.mark.usefixtures("people")
def test_a_server_that_does_not_answer_is_not_waited_for_and_told_of(environment, nodes):
    nodes[1].kill("chat", signal.SIGSTOP)
    try:
        ended = run_parley("users", "b", "--as", "alice@alpha", environment=environment)
    finally:
        nodes[1].kill("chat", signal.SIGCONT)
    assert (ended.returncode, ended.stdout) == (0, "bob@alpha\n")
    assert ended.stderr.startswith("parley: there may be others, of servers that did not answer ")
    assert nodes[0].metrics("chat").value("parley_user_searches_total", result="part") >= 1
