"""`parley chat` against real nodes: at a terminal, as people use it, and through pipes."""

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.support.commands import PARLEY, Command, client_environment
from tests.support.nodes import TIMEOUT, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.terminals import Terminal

ALPHA, BETA = "127.0.46.1", "127.0.46.2"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    with (
        Node("alpha", ALPHA, directory, ("discovery", "chat", "typing")) as alpha,
        Node("beta", BETA, directory, ("discovery", "chat")) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        yield alpha, beta


@pytest.fixture
def environment(tmp_path, nodes):  # noqa: ARG001 - the nodes are what it finds
    return client_environment("127.0.46.50", tmp_path)


@pytest.fixture
def bob(nodes):
    with PlainClient("bob", "beta", "127.0.46.51", enough=len(nodes)) as client:
        client.connect()
        yield client


@pytest.fixture
def terminal(environment):
    with Terminal("chat", "--as", "alice@alpha", environment=environment) as opened:
        opened.wait("you are alice@alpha")
        yield opened


def test_a_line_is_sent_at_enter_and_its_status_shown(terminal, bob):
    terminal.type("bob@beta: typed ✓\r")
    bob.wait_text("typed ✓")
    terminal.wait("✓ DELIVERED: bob@beta has it$")
    terminal.wait("^bob@beta>")


def test_what_comes_is_shown_above_the_line_that_is_being_typed(terminal, bob):
    terminal.type("bob@beta: first\r")
    terminal.wait("✓ DELIVERED")
    terminal.type("half a li")
    terminal.wait("^bob@beta> half a li$")
    bob.send_text("alice", "alpha", "an interruption")
    terminal.wait(r"^\d\d:\d\d bob@beta \(unsigned\): an interruption$")
    wait_until(lambda: terminal.lines[-1] == "bob@beta> half a li", what="the line below it")
    terminal.type("ne\x7f\x7fne\r")  # and it can be edited on
    assert bob.wait_text("half a line")
    assert len([line for line in terminal.lines if "interruption" in line]) == 1
    terminal.wait(r"^\d\d:\d\d alice@alpha to bob@beta: half a line$")


def test_the_first_who_writes_is_whom_the_lines_go_to(terminal, bob):
    terminal.type("hello?\r")
    terminal.wait("to whom\\? Write")
    bob.wait_status(bob.send_text("alice", "alpha", "hi"), "DELIVERED")
    terminal.wait("your lines go to bob@beta now")
    terminal.type("hi yourself\r")
    bob.wait_text("hi yourself")


@pytest.mark.parametrize("key", ["\x04", "\x03", "/quit\r"], ids=["Ctrl-D", "Ctrl-C", "/quit"])
def test_it_ends_and_leaves_the_terminal_as_it_was(terminal, key):
    terminal.wait("^>")
    assert not terminal.is_as_before()
    terminal.type(key)
    assert terminal.wait_exit() == 0
    assert terminal.is_as_before()


def test_a_message_that_is_kept_is_shown_again_with_its_beginning_when_it_is_delivered(terminal, bob, nodes):
    bob.close()
    wait_until(lambda: nodes[1].status("chat")["subscribers"] == 0)
    terminal.type("bob@beta: a message that is long enough to be cut\r")
    terminal.wait("… USER_AWAY: bob@beta is away; kept at beta, it will be delivered$")
    with PlainClient("bob", "beta", "127.0.46.51", enough=len(nodes)) as again:
        again.connect()
        terminal.wait("✓ DELIVERED: bob@beta has it: “a message that is long enough…”$")


def test_what_fails_is_marked_and_says_why(terminal):
    terminal.type("ghost: boo\r")  # without a server: at alice's own
    terminal.wait("✗ USER_NOT_FOUND: alpha knows no ghost@alpha")


def test_it_says_that_the_server_is_gone_and_back_and_sends_what_was_written_meanwhile(environment, tmp_path, bob):
    with (
        Node("gamma", "127.0.46.3", tmp_path, ("discovery", "chat")) as gamma,
        Terminal("chat", "--as", "gil@gamma", environment=environment) as terminal,
    ):
        terminal.wait("you are gil@gamma")
        gamma.wait_linked("chat", "beta")
        gamma.kill("chat")
        terminal.wait("^gamma is gone; what you write goes out when it is back")
        terminal.type("bob@beta: from the dark\r")
        terminal.wait("… not sent yet: gamma is gone")
        gamma.start("chat")
        terminal.wait("^gamma is back")
        bob.wait_text("from the dark", timeout=15.0)
        terminal.wait("✓ DELIVERED: bob@beta has it")


def test_who_types_is_shown_beside_the_line_until_it_is_sent_or_given_up(terminal, environment, nodes):
    there = environment | {"PARLEY_ADDRESS": "127.0.46.52"}
    with Terminal("chat", "--as", "carl@alpha", environment=there) as carl:
        carl.wait("you are carl@alpha")
        wait_until(lambda: nodes[0].status("typing")["subscribers"] == 2, what="both hear who types")
        terminal.type("carl: I")
        carl.wait(r"^> +alice@alpha … typing$")
        terminal.type(" come\r")
        carl.wait(r"^\d\d:\d\d alice@alpha: I come$")
        wait_until(lambda: not any("typing" in line for line in carl.lines), 2.0, "she has sent it")
        carl.type("see yo")
        terminal.wait(r"^carl@alpha> +carl@alpha … typing$")
        carl.type("\x7f" * 6)
        wait_until(lambda: not any("typing" in line for line in terminal.lines), 2.0, "he has emptied the line")


def test_a_chat_goes_on_where_no_server_offers_typing(environment, tmp_path):
    apart = {"PARLEY_DISCOVERY__PORT": "19998"}
    with (
        Node("delta", "127.0.46.4", tmp_path, ("discovery", "chat"), apart),
        Terminal("chat", "--as", "dan@delta", environment=environment | apart) as terminal,
    ):
        terminal.wait("you are dan@delta")
        terminal.type("dan: a note\r")
        terminal.wait("✓ DELIVERED: dan@delta has it")
        terminal.type("\x04")
        assert terminal.wait_exit() == 0
        assert terminal.lines[-1] == "dan@delta>"


def test_a_chat_that_is_ended_by_sigterm_says_nothing_wrong(environment):
    with Command("chat", "--as", "alice@alpha", environment=environment) as chat:
        chat.wait_error("you are alice@alpha")
        chat.signal(signal.SIGTERM)
        assert chat.wait_exit() == 130
        assert chat.errors == chat.errors[:1]


def test_what_waited_is_shown_after_the_greeting(environment, bob):
    with Command("chat", "--as", "wim@alpha", environment=environment) as chat:
        chat.wait_error("you are wim@alpha")
    bob.wait_status(bob.send_text("wim", "alpha", "are you there?"), "USER_AWAY")
    with Terminal("chat", "--as", "wim@alpha", environment=environment) as terminal:
        terminal.wait("are you there")
        greeting, said, *_ = terminal.lines
        assert greeting.startswith("you are wim@alpha")
        assert re.fullmatch(r"\d\d:\d\d bob@beta \(unsigned\): are you there\?", said)


def test_a_terminal_that_can_only_print_lines_gets_lines(environment, bob):
    with Terminal("chat", "--as", "alice@alpha", environment=environment, term="dumb") as terminal:
        terminal.wait("you are alice@alpha")
        terminal.type("bob@beta: plain\n")
        bob.wait_text("plain")
        terminal.wait("✓ DELIVERED")
        assert os.get_blocking(terminal.theirs)  # it is everybody's who is at this terminal
        terminal.type("\x04")
        assert terminal.wait_exit() == 0


def test_the_lines_may_come_from_a_file(environment, bob, tmp_path):
    file = tmp_path / "lines"
    file.write_text("bob@beta: from a file\n")
    with file.open() as lines:
        ended = subprocess.run(
            [PARLEY, "chat", "--as", "alice@alpha"],
            env=environment,
            stdin=lines,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "✓ DELIVERED" in ended.stderr
    bob.wait_text("from a file")


def test_a_file_of_lines_is_answered_for_line_by_line_and_by_the_exit_code(environment, bob, tmp_path):
    count, text = 3000, "x" * (5 << 20)
    (tmp_path / "lines").write_text(
        "bob@beta: 0\n" + "".join(f"{n}\n" for n in range(1, count)) + f"{text}\nghost@beta: boo\n"
    )
    with (tmp_path / "lines").open() as lines:
        ended = subprocess.run(
            [PARLEY, "chat", "--as", "alice@alpha"],
            env=environment,
            stdin=lines,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    told = ended.stderr.splitlines()
    assert [line for line in told if "no status came" in line] == []
    assert len([line for line in told if line.startswith("  ✓ DELIVERED: bob@beta has it")]) == count
    assert [line for line in told if "USER_NOT_FOUND" in line] != []
    assert [line for line in told if line.startswith(f"line {count + 1} is too long for a message: ")] != []
    assert ended.returncode == 1
    assert [each["textContent"] for each in bob.messages] == [str(n) for n in range(count)]


@pytest.mark.parametrize("standard_input", ["/dev/null", "closed"])
def test_no_input_at_all_ends_it_as_an_empty_pipe_does(environment, standard_input):
    redirection = "<&-" if standard_input == "closed" else f"<{standard_input}"
    ended = subprocess.run(
        f"exec {PARLEY} chat --as alice@alpha {redirection}",
        shell=True,
        env=environment,
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    [greeting] = ended.stderr.splitlines()
    assert greeting.startswith("you are alice@alpha")
    assert (ended.returncode, ended.stdout) == (0, "")


def test_a_word_that_is_no_command_is_told_and_not_sent_and_two_slashes_send_one(environment, bob):
    with Command("chat", "--as", "alice@alpha", environment=environment) as chat:
        chat.wait_error("you are alice@alpha")
        for line in ("/to bob@beta", "/dance", "//dance", "/who", "/help"):
            chat.write(line)
        bob.wait_text("/dance")
        chat.wait_error("there is no /dance")
        chat.wait_error("you are alice@alpha; your lines go to bob@beta")
        chat.wait_error("/file PATH")
        chat.popen.stdin.close()
        assert chat.wait_exit() == 0
    assert [each.get("textContent") for each in bob.messages] == ["/dance"]


def test_files_are_sent_and_received_in_a_chat(environment, bob, tmp_path):
    (tmp_path / "map.png").write_bytes(b"\x89PNG")
    inbox = tmp_path / "inbox"
    with Command("chat", "--as", "alice@alpha", "--save", str(inbox), environment=environment) as chat:
        chat.wait_error("you are alice@alpha")
        chat.write("/to bob@beta")
        chat.write(f"/file {tmp_path}/nothing.png")
        chat.wait_error("there is no file")
        chat.write(f"/file {tmp_path}/map.png")
        chat.wait_error("✓ DELIVERED: bob@beta has it")
        document = {"documentId": "1", "filename": "../../reply.txt", "mimeType": "text/plain", "data": b"seen"}
        to_alice = {"user": {"userId": "alice", "serverId": "alpha"}, "document": document}
        bob.wait_status(bob.send_message(to_alice), "DELIVERED")
        chat.wait_line(f"saved as {inbox}/reply.txt]")
        chat.popen.stdin.close()
        assert chat.wait_exit() == 0
    assert (inbox / "reply.txt").read_bytes() == b"seen"
    [received] = bob.messages
    assert received["document"]["filename"] == "map.png"
    assert received["document"]["data"] == b"\x89PNG"


def test_what_has_no_status_at_the_end_is_told_with_exit_code_1(environment, tmp_path):
    with Node("sigma", "127.0.46.3", tmp_path, ("discovery", "chat")) as sigma:
        with Command("chat", "--as", "gil@sigma", environment=environment) as chat:
            chat.wait_error("you are gil@sigma")
            sigma.kill("chat")
            chat.wait_error("sigma is gone")
            chat.write("gil: a note")
            chat.wait_error("not sent yet")
            chat.popen.stdin.close()
            assert chat.wait_exit() == 1
            assert "✗ no status came for “a note” to gil@sigma" in chat.errors[-1]
        sigma.start("chat")
        sigma.wait_ready()


def test_the_editor_is_not_imported_where_nobody_edits(environment):
    """The other commands, and the processes of a node, do not pay for it."""
    code = "import sys, parley.cli.main, parley.services.chat; sys.exit('prompt_toolkit' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_two_people_meet_as_the_readme_tells_it(environment):
    """The second and the third terminal of its first steps."""
    there = environment | {"PARLEY_ADDRESS": "127.0.46.52"}
    with (
        Terminal("chat", "--as", "bob@alpha", environment=environment) as bob,
        Terminal("chat", "--as", "alice@alpha", environment=there) as alice,
    ):
        for terminal in (bob, alice):
            terminal.wait("you are ")
        alice.type("bob: hello\r")
        alice.wait("^your lines go to bob@alpha now$")
        alice.wait("^  ✓ DELIVERED: bob@alpha has it$")
        bob.wait(r"^\d\d:\d\d alice@alpha: hello$")
        bob.type("hello yourself\r")
        alice.wait(r"^\d\d:\d\d alice@alpha to bob@alpha: hello$")
        alice.wait(r"^\d\d:\d\d bob@alpha: hello yourself$")
        bob.wait("✓ DELIVERED: alice@alpha has it$")
