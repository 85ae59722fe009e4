"""History at a terminal: what `parley chat` opens with, /history and /search, and a server that is away."""

import pytest

from tests.support.commands import client_environment, run_parley
from tests.support.nodes import COUNTED, Node, wait_until
from tests.support.terminals import Terminal

ALPHA, CLIENT = "127.0.178.1", "127.0.178.50"


@pytest.fixture
def node(tmp_path):
    settings = COUNTED | {"PARLEY_HISTORY__KEEP": "30"}
    with Node("alpha", ALPHA, tmp_path, ("discovery", "chat"), settings=settings) as alpha:
        yield alpha


def environment_of(name, tmp_path):
    (tmp_path / name).mkdir(exist_ok=True)
    return client_environment(CLIENT, tmp_path / name)


def chat(name, tmp_path):
    environment = environment_of(name, tmp_path)
    return Terminal("chat", "--as", f"{name}@alpha", environment=environment)


@pytest.mark.usefixtures("node")
def test_a_chat_opens_with_what_was_said_and_what_is_new_and_shows_more_when_asked(tmp_path):
    environment = environment_of("bob", tmp_path)
    with chat("alice", tmp_path) as alice:
        alice.wait("you are ")
        with chat("bob", tmp_path) as bob:
            bob.wait("you are ")
            alice.type("bob@alpha: lunch on friday?\r")
            bob.wait(r"alice@alpha: lunch on friday\?")
            wait_until(
                lambda: "new" not in run_parley("history", "--as", "bob@alpha", environment=environment).stdout,
                what="read",
            )
        alice.type("or on monday\r")
        alice.wait("USER_AWAY")
        refused = run_parley("forget", "--as", "alice@alpha", environment=environment_of("alice", tmp_path))
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "alice@alpha is in use on this machine: end `parley chat`" in refused.stderr
        with chat("bob", tmp_path) as again:
            again.wait("your latest conversations; /history shows one:")
            again.wait(r"^  alice@alpha(, 1 new)?: “(lunch on friday\?|or on monday)” \(\d\d:\d\d\)$")
            again.wait("alice@alpha: or on monday")
            again.type("/history 1\r")
            again.wait(r"^  \d{4}-\d\d-\d\d [\d:]{8}  alice@alpha: or on monday$")
            again.type("/search lunch\r")
            again.wait(r"^  .*  alice@alpha  alice@alpha: lunch on friday\?$")
            again.type("/history x\r")
            again.wait("write /history, or /history 50")


@pytest.mark.usefixtures("node")
def test_a_line_from_another_terminal_of_the_same_person_is_shown_and_not_ones_own_again(tmp_path):
    with chat("bob", tmp_path) as bob, chat("alice", tmp_path) as desk, chat("alice", tmp_path) as sofa:
        for each in (bob, desk, sofa):
            each.wait("you are ")
        desk.type("bob@alpha: from the desk\r")
        sofa.wait(r"alice@alpha to bob@alpha: from the desk  \(from another device of yours\)$")
        sofa.type("bob@alpha: from the sofa\r")
        desk.wait(r"from the sofa  \(from another device of yours\)$")
        assert not [line for line in desk.lines if "from the desk  (from" in line]
        assert not [line for line in sofa.lines if "from the sofa  (from" in line]


@pytest.mark.usefixtures("node")
def test_who_clears_a_conversation_has_it_neither_there_nor_here(tmp_path):
    alice, bob = environment_of("alice", tmp_path), environment_of("bob", tmp_path)
    with chat("bob", tmp_path) as there:
        there.wait("you are bob@alpha")
        run_parley("send", "bob@alpha", "forget this", "--as", "alice@alpha", environment=alice)
        there.wait("forget this")
    asked = "history", "bob@alpha", "--as", "alice@alpha"
    assert "forget this" in run_parley(*asked, environment=alice).stdout
    exported = run_parley("export", *asked[1:], "--format", "html", environment=alice).stdout
    assert '<p class="text" dir="auto">forget this</p>' in exported
    assert exported.endswith("</html>\n")
    assert run_parley("clear", "--as", "alice@alpha", environment=alice).returncode == 2
    cleared = run_parley("clear", "bob@alpha", "--as", "alice@alpha", environment=alice)
    assert (cleared.returncode, cleared.stderr) == (0, "your copy of bob@alpha is gone from alpha\n")
    assert run_parley(*asked, environment=alice).stdout == ""
    assert "forget this" in run_parley("history", "alice@alpha", "--as", "bob@alpha", environment=bob).stdout


def test_what_was_written_while_the_server_was_away_goes_out_with_the_next_chat_once(node, tmp_path):
    with chat("bob", tmp_path) as bob, chat("alice", tmp_path) as alice:
        for each in (bob, alice):
            each.wait("you are ")
        alice.type("bob@alpha: before\r")
        bob.wait("alice@alpha: before")
        node.kill("chat")
        alice.wait("alpha is gone")
        alice.type("written on the train\r")
        alice.wait("not sent yet")
        alice.type("/quit\r")
        alice.wait("it goes out again with your next chat")
        alice.wait_exit()
        node.start("chat")
        bob.wait("alpha is back")
        for _ in range(2):
            with chat("alice", tmp_path) as again:
                again.wait("you are alice@alpha")
                bob.wait("alice@alpha: written on the train")
                again.type("bob@alpha: behind it\r")
                again.wait("✓ DELIVERED: bob@alpha has it$")
        shown = [line for line in bob.lines if "written on the train" in line]
        assert len(shown) == 1
    environment = environment_of("alice", tmp_path)
    found = run_parley("history", "bob@alpha", "--as", "alice@alpha", environment=environment).stdout.splitlines()
    said = [line.rpartition(": ")[2] for line in found if "before" not in line]  # which came just before the kill
    assert said == ["written on the train", "behind it", "behind it"]


def test_without_the_server_there_is_the_copy_on_this_machine_unless_it_is_not_wanted(node, tmp_path):
    environment = environment_of("alice", tmp_path)
    asked = "history", "bob@alpha", "--as", "alice@alpha"
    with chat("bob", tmp_path) as bob:
        bob.wait("you are bob@alpha")
        sent = run_parley("send", "bob@alpha", "keep this", "--as", "alice@alpha", environment=environment)
        assert sent.returncode == 0
        bob.wait("keep this")
    assert run_parley(*asked, environment=environment).stdout.rstrip().endswith("alice@alpha: keep this")
    of_all = run_parley("history", "--as", "alice@alpha", environment=environment).stdout
    assert of_all.rstrip().endswith("bob@alpha  alice@alpha: keep this")
    for service in node.services:
        node.kill(service)
    away = run_parley(*asked, environment=environment)
    assert away.stdout.rstrip().endswith("alice@alpha: keep this")
    assert "this is the copy on this machine" in away.stderr
    assert away.returncode == 0
    without = run_parley(*asked, environment=environment | {"PARLEY_CLIENT__CACHE": "false"})
    assert (without.returncode, without.stdout) == (1, "")
    assert run_parley(*asked, environment=environment).returncode == 1
