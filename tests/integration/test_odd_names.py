"""Names that Parley would give nobody: shown in quotes, answered and blocked so, refused where one says so."""

import pytest

from tests.support.commands import Command, client_environment, run_parley
from tests.support.nodes import Node, wait_linked
from tests.support.plain_client import PlainClient

ALPHA, BETA = "127.0.85.1", "127.0.85.2"
EVIL = "\x1b]0;PWNED\x07\x1b[2Jevil"
QUOTED = r'"\x1b]0;PWNED\x07\x1b[2Jevil"@alpha'


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    fast = {"PARLEY_CHAT__ACK_TIMEOUT": "1"}
    refusing = fast | {"PARLEY_LIMITS__ODD_NAMES": "refuse"}
    with (
        Node("alpha", ALPHA, directory, ("discovery", "chat"), fast) as alpha,
        Node("beta", BETA, directory, ("discovery", "chat"), refusing) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        yield alpha, beta


@pytest.fixture(scope="module")
def environment(tmp_path_factory, nodes):  # noqa: ARG001 - the nodes are what it finds
    return client_environment("127.0.85.50", tmp_path_factory.mktemp("client"))


@pytest.fixture
def evil(nodes):
    with PlainClient(EVIL, "alpha", "127.0.85.51", enough=len(nodes)) as client:
        client.connect()
        yield client


def test_an_odd_name_is_shown_in_quotes_and_can_be_answered_and_blocked_so(environment, evil):
    with Command("listen", "--as", "alice@alpha", environment=environment) as listener:
        listener.wait_error("listening as")
        evil.wait_status(evil.send_text("alice", "alpha", "hi"), "DELIVERED")
        assert listener.wait_line("hi") == f"{QUOTED} (unsigned): hi"
    ended = run_parley("send", "--as", "alice@alpha", QUOTED, "hello", environment=environment)
    assert (ended.returncode, ended.stdout) == (0, f"DELIVERED: {QUOTED} has it\n")
    evil.wait_text("hello")
    for name in (QUOTED, EVIL):  # as it is shown, and as it is
        ended = run_parley("block", name, "--as", "alice@alpha", environment=environment)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert QUOTED in ended.stdout
    blocked = run_parley("blocked", "--as", "alice@alpha", environment=environment)
    assert blocked.stdout == f"{QUOTED}\n"
    evil.wait_status(evil.send_text("alice", "alpha", "hi again"), "USER_BLOCKED")
    ended = run_parley("unblock", QUOTED, "--as", "alice@alpha", environment=environment)
    assert ended.returncode == 0


def test_whoever_has_a_name_like_a_groups_can_be_blocked_and_a_group_cannot(environment, nodes):
    with PlainClient("#bob", "alpha", "127.0.85.52", enough=len(nodes)) as bob:
        bob.connect()
        ended = run_parley("block", "#bob@alpha", "--as", "alice@alpha", environment=environment)
    assert (ended.returncode, ended.stdout) == (0, 'alice@alpha takes no messages from "#bob"@alpha\n')
    for name in ("#crew@alpha", "#crew@beta"):
        ended = run_parley("block", name, "--as", "alice@alpha", environment=environment)
        assert ended.returncode == 2
        assert f"'{name}' is a group; a group cannot be blocked" in ended.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("send", "--as", "a\u200bb@alpha", "bob@alpha", "hi"),
        ("send", "--as", f"{'x' * 65}@alpha", "bob@alpha", "hi"),
        ("listen", "--as", QUOTED),
        ("group", "join", "#a\x07b", "--as", "alice@alpha"),
        ("group", "join", '#" crew"', "--as", "alice@alpha"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_we_give_nobody_an_odd_name(environment, command):
    ended = run_parley(*command, environment=environment)
    [line] = ended.stderr.splitlines()
    assert "choose a name that can be read and typed" in line
    assert line.isprintable()
    assert (ended.returncode, ended.stdout) == (2, "")


def test_the_same_name_in_another_form_of_unicode_reaches_the_same_person(environment):
    with Command("listen", "--as", "Jose\u0301@alpha", environment=environment) as listener:
        listener.wait_error("listening as José@alpha")
        ended = run_parley("send", "--as", "alice@alpha", " Jose\u0301 @alpha", "hi", environment=environment)
        assert ended.returncode == 0, ended.stdout


def test_a_server_may_refuse_odd_names(nodes):
    _, beta = nodes
    with (
        PlainClient(EVIL, "beta", "127.0.85.53", enough=len(nodes)) as client,
        pytest.raises(OSError, match=r"UNKNOWN_ERROR|refused"),
    ):
        client.connect()
    beta.wait_metric("chat", 1, "parley_limited_total", feature="MESSAGES", what="names", where="roster")
    with PlainClient("bob smith", "beta", "127.0.85.53", enough=len(nodes)) as client:
        client.connect()


def test_a_group_whose_server_is_away_is_told_with_exit_code_3(environment, tmp_path, nodes):
    with Node("gamma", "127.0.85.3", tmp_path, ("discovery", "chat")) as gamma:
        gamma.wait_linked("chat", "alpha")
        ended = run_parley("group", "join", "#far@gamma", "--as", "alice@alpha", environment=environment)
        assert ended.returncode == 0, ended.stderr
        gamma.kill("chat")
        gamma.kill("discovery")
        ended = run_parley("group", "members", "#far@gamma", "--as", "alice@alpha", environment=environment)
        assert (ended.returncode, ended.stdout) == (3, "")
        assert ended.stderr.startswith("parley: gamma, where #far@gamma lives, does not answer")
        sent = run_parley("send", "--as", "alice@alpha", "--wait", "0", "#far@gamma", "hi", environment=environment)
        assert (sent.returncode, sent.stderr) == (3, "")
        assert sent.stdout.startswith("OTHER_SERVER_TIMEOUT: ")
        gamma.start("discovery")
        gamma.start("chat")
        gamma.wait_ready()
    assert nodes[0].is_running("chat")
