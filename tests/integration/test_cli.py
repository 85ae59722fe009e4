"""The command line against real nodes: what it prints, and its exit codes."""

import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from parley.cli.main import main
from tests.support.commands import PARLEY, Command, client_environment, run_parley
from tests.support.nodes import Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_server import MESSAGES, TYPING, PlainServer

ALPHA, BETA, FAR = "127.0.27.1", "127.0.27.2", "127.0.27.3"
FAR_PORT = 19999


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    settings = {"PARLEY_CHAT__ACK_TIMEOUT": "1"}
    with (
        Node("alpha", ALPHA, directory, ("discovery", "chat", "typing"), settings) as alpha,
        Node("beta", BETA, directory, ("discovery", "chat"), settings) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        yield alpha, beta


@pytest.fixture(scope="module")
def environment(tmp_path_factory, nodes):  # noqa: ARG001 - the nodes are what it finds
    return client_environment("127.0.27.50", tmp_path_factory.mktemp("client"))


@pytest.fixture
def bob(nodes):
    """A client of bob@beta, which acknowledges what it gets."""
    with PlainClient("bob", "beta", "127.0.27.51", enough=len(nodes)) as client:
        client.connect()
        yield client


def assert_fails(ended, *parts, code=1):
    """One line on standard error that holds these parts, and the exit code."""
    [line] = ended.stderr.splitlines()
    assert line.startswith("parley: ")
    assert [part for part in parts if part not in line] == [], line
    assert ended.returncode == code


# Help ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["serve", "servers", "send", "listen", "chat", "block", "unblock", "blocked"])
def test_help_says_what_a_command_does_with_examples(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    main([command, "--help"])
    shown = capsys.readouterr().out
    assert f"parley {command}" in shown.split("Examples:")[1]


@pytest.mark.parametrize("command", ["mailbox", "group"])
def test_a_command_of_commands_alone_shows_its_help_and_no_error(command, environment):
    ended = run_parley(command, environment=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"Usage: parley {command}" in ended.stdout


@pytest.mark.parametrize("command", ["listen", "where", "mailbox drop", "group members"])
def test_help_names_no_type_for_what_takes_no_value(command, capsys):
    main([*command.split(), "--help"])
    shown = capsys.readouterr().out
    assert "--json" in shown
    assert "bool" not in shown


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["dance"], "dance"),
        (["send", "--as", "alice@alpha", "bob@beta"], "write TEXT, or --file PATH"),
        (["serve", "music"], "'music' is not one of 'discovery'"),
        (["servers", "--timeout", "soon"], "'--timeout'"),
        (["listen", "--loud"], "--loud"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_told_in_one_line_with_exit_code_2(arguments, part, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    written = capsys.readouterr()
    [line] = written.err.splitlines()
    assert line.startswith("parley: ")
    assert part in line
    assert (ended.value.code, written.out) == (2, "")


def test_who_does_not_say_who_they_are_is_told_how(environment):
    ended = run_parley("send", "bob@beta", "x", environment=environment)
    assert_fails(ended, "--as USER@SERVER", "client.user", code=2)


def test_without_a_command_the_commands_are_shown(environment):
    ended = run_parley(environment=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert all(command in ended.stdout for command in ("serve", "servers", "send", "listen", "chat"))


# servers ------------------------------------------------------------------------------------------------


def test_servers_prints_a_table_of_who_offers_what_where(environment):
    ended = run_parley("servers", environment=environment)
    rows = [line.split() for line in ended.stdout.splitlines()]
    assert rows[0] == ["SERVER", "FEATURE", "TCP", "UDP"]
    assert ["alpha", "MESSAGES", f"{ALPHA}:6666"] in rows or ["MESSAGES", f"{ALPHA}:6666"] in rows
    assert ["beta", "MESSAGES", f"{BETA}:6666"] in rows
    assert [row[-1] for row in rows if f"{ALPHA}:7777" in row] == ["7778"]
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_narrow_terminal_cuts_no_address_off(environment):
    ended = run_parley("servers", environment=environment | {"COLUMNS": "30"})
    assert "…" not in ended.stdout
    assert (ended.returncode, ended.stderr) == (0, "")


def test_servers_are_sorted_by_name(environment):
    ended = run_parley("servers", "--json", environment=environment)
    names = [json.loads(line)["server_id"] for line in ended.stdout.splitlines()]
    assert names == sorted(names)
    with PlainServer("aardvark", "127.0.27.9", ports={MESSAGES: (0, None)}, listen=0) as late:
        assert late.address_of(MESSAGES)
        ended = run_parley("servers", environment=environment)
    assert [line.split()[0] for line in ended.stdout.splitlines()][:3] == ["SERVER", "aardvark", "alpha"]


def test_the_features_of_a_server_are_always_in_the_same_order(environment):
    features = {"TRANSLATION": (0, None), TYPING: (0, 0), MESSAGES: (0, None)}
    with PlainServer("mixed", "127.0.27.9", ports=features, listen=0):
        ended = run_parley("servers", "--json", environment=environment)
    found = {each["server_id"]: list(each["features"]) for each in map(json.loads, ended.stdout.splitlines())}
    assert found["mixed"] == [MESSAGES, TYPING, "TRANSLATION"]


def test_a_named_address_where_nobody_is_is_mentioned(environment):
    nobody = ("--server", "127.0.27.99")
    ended = run_parley("servers", "--timeout", "0.5", *nobody, environment=environment)
    assert ended.returncode == 0
    assert ended.stderr == "parley: alpha, beta answered, and nobody at --server 127.0.27.99\n"
    ended = run_parley("send", "--as", "a@gone", *nobody, "bob@beta", "x", environment=environment)
    assert_fails(ended, "gone did not answer, and nobody at --server 127.0.27.99; found: alpha, beta")


def test_servers_prints_json_lines(environment):
    ended = run_parley("servers", "--json", "--timeout", "0.5", environment=environment)
    found = {each["server_id"]: each["features"] for each in map(json.loads, ended.stdout.splitlines())}
    assert found["beta"] == {"MESSAGES": [{"host": BETA, "port": 6666, "udp_port": 0}]}
    assert found.keys() == {"alpha", "beta"}
    assert found["alpha"]["TYPING_INDICATOR"] == [{"host": ALPHA, "port": 7777, "udp_port": 7778}]


def test_servers_says_so_where_nobody_answers(environment):
    nobody = environment | {"PARLEY_DISCOVERY__PORT": "19990"}
    ended = run_parley("servers", "--timeout", "0.2", environment=nobody)
    assert_fails(ended, "no server answered within 0.2 s", "--server", "make run")


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """A node that no broadcast of a client reaches, since it listens for them elsewhere."""
    settings = {"PARLEY_DISCOVERY__PORT": str(FAR_PORT)}
    node = Node("far", FAR, tmp_path_factory.mktemp("far"), ("discovery", "chat"), settings)
    with node:
        yield node


@pytest.mark.usefixtures("far")
def test_a_named_discovery_address_is_asked_where_broadcast_does_not_reach(environment):
    ended = run_parley("servers", "--json", "--timeout", "0.5", environment=environment)
    assert "far" not in ended.stdout
    arguments = ("--json", "--timeout", "0.5", "--server", f"{FAR}:{FAR_PORT}")
    ended = run_parley("servers", *arguments, environment=environment)
    assert "far" in [json.loads(line)["server_id"] for line in ended.stdout.splitlines()]


@pytest.mark.usefixtures("far")
def test_a_message_goes_by_way_of_a_named_discovery_address(environment):
    at_far = ("--server", f"{FAR}:{FAR_PORT}")
    with Command("listen", "--as", "fay@far", *at_far, environment=environment) as listener:
        listener.wait_error("listening as fay@far")
        ended = run_parley("send", "--as", "ann@far", *at_far, "fay@far", "found you", environment=environment)
        assert (ended.returncode, ended.stderr) == (0, "")
        listener.wait_line("ann@far: found you")


# send ---------------------------------------------------------------------------------------------------


def test_send_prints_delivered_and_exits_0(environment, bob):
    ended = run_parley("send", "--as", "alice@alpha", "bob@beta", "Lunch?", environment=environment)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "DELIVERED: bob@beta has it\n", "")
    assert bob.wait_text("Lunch?").fields["author"] == {"userId": "alice", "serverId": "alpha"}


def test_send_reads_the_text_from_standard_input_and_who_we_are_from_the_environment(environment, bob):
    settings = environment | {"PARLEY_CLIENT__USER": "alice@alpha"}
    ended = run_parley("send", "--json", "bob@beta", "-", environment=settings, text="two\nlines ✓\n")
    assert ended.returncode == 0
    [status] = map(json.loads, ended.stdout.splitlines())
    received = bob.wait_text("two\nlines ✓").fields
    assert received["author"] == user("alice@alpha")
    assert status == {
        "snowflake": received["messageSnowflake"],
        "to": "bob@beta",
        "status": "DELIVERED",
        "assurance": "unsigned",
    }


def test_send_knows_who_we_are_from_the_file_that_is_named(environment, bob, tmp_path):
    file = tmp_path / "alice.yml"
    file.write_text("client: {user: alice@alpha}\n")
    ended = run_parley("send", "--config", str(file), "bob@beta", "it is me", environment=environment)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert bob.wait_text("it is me").fields["author"] == user("alice@alpha")


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("ghost@alpha", "USER_NOT_FOUND"),
        ("ghost@beta", "USER_NOT_FOUND"),
        ("ghost", "USER_NOT_FOUND: alpha knows no ghost@alpha"),
        ("#ghosts", "USER_NOT_FOUND: there is no #ghosts@alpha"),
        ("ghost@nowhere", "OTHER_SERVER_NOT_FOUND"),
    ],
)
def test_send_prints_a_final_status_that_is_not_delivered_and_exits_1(environment, to, status):
    ended = run_parley("send", "--as", "alice@alpha", to, "boo", environment=environment)
    assert ended.stdout.startswith(status)
    assert (ended.returncode, len(ended.stdout.splitlines()), ended.stderr) == (1, 1, "")


@pytest.mark.parametrize("wait", ["0", "0.5"])
def test_send_tells_that_a_user_is_away_and_exits_3_when_that_stays_so(environment, bob, wait):
    bob.close()
    ended = run_parley("send", "--as", "alice@alpha", "--wait", wait, "bob@beta", "later", environment=environment)
    waiting = f"waiting up to {wait} s for the delivery; it is kept without that, too (--wait 0)\n"
    assert (ended.returncode, ended.stderr) == (3, "" if wait == "0" else waiting)
    assert ended.stdout.startswith("USER_AWAY: ")
    assert len(ended.stdout.splitlines()) == 1


def test_send_waits_for_a_first_status_however_short_the_wait_for_the_delivery(environment, bob):
    bob.status = None  # its server gives it a second
    ended = run_parley("send", "--as", "ann@beta", "--wait", "0", "bob@beta", "slowly", environment=environment)
    assert (ended.returncode, ended.stderr) == (3, "")
    assert ended.stdout.startswith("USER_AWAY: ")


def test_standard_input_that_is_no_text_is_refused_and_shown_the_way(environment):
    for raw, part in ((b"\xff\xfe\x00", "no UTF-8 text; send them as a file, with --file"), (b"\n", "is empty")):
        ended = subprocess.run(
            [PARLEY, "send", "--as", "alice@alpha", "bob@beta", "-"],
            env=environment,
            input=raw,
            capture_output=True,
            check=False,
        )
        [line] = ended.stderr.decode().splitlines()
        assert part in line
        assert (ended.returncode, ended.stdout) == (2, b"")


def test_send_prints_each_status_until_the_message_is_delivered(environment, bob, nodes):
    bob.close()
    arguments = ("send", "--as", "alice@alpha", "--wait", "15", "bob@beta", "at last")
    with Command(*arguments, environment=environment) as sender:
        sender.wait_line("USER_AWAY: ")
        with PlainClient("bob", "beta", "127.0.27.51", enough=len(nodes)) as again:
            again.connect()
            again.wait_text("at last")
            assert sender.wait_exit() == 0
        assert [line.split(":")[0] for line in sender.lines] == ["USER_AWAY", "DELIVERED"]


@pytest.mark.parametrize(
    ("arguments", "parts", "code"),
    [
        (("--as", "alice", "bob@beta", "x"), ("'alice'", "alice@alpha"), 2),
        (("--as", "#crew@alpha", "bob@beta", "x"), ("'#crew@alpha' is a group", "alice@alpha"), 2),
        (("--as", "a@b@c", "bob@beta", "x"), ("'a@b@c'", "one @"), 2),
        (("--as", "alice@alpha", "bob@b@c", "x"), ("'bob@b@c'", "one @"), 2),
        (("--as", "alice@nowhere", "bob@beta", "x"), ("nowhere did not answer", "alpha", "beta"), 1),
        (("--as", "a@b", "--server", "127.0.0.1:many", "bob@beta", "x"), ("127.0.0.1:many",), 2),
        (("--as", "a@b", "--server", "no.invalid", "bob@beta", "x"), ("'no.invalid' cannot be resolved",), 1),
        (("--as", "alice@alpha", "bob@beta"), ("TEXT", "--file PATH"), 2),
        (("--as", "alice@alpha", "bob@beta", "x", "--file", "README.md"), ("TEXT", "--file PATH"), 2),
        (("--as", "alice@alpha", "bob@beta", "--file", "no/such"), ("there is no file no/such",), 2),
        (("--as", "alice@alpha", "bob@beta", ""), ("the text is empty",), 2),
        (("--as", "alice@alpha", "#", "x"), ("'#'", "#GROUP@SERVER"), 2),
    ],
    ids=[
        "no server in our name",
        "we are a group",
        "two @ in our name",
        "two @ in theirs",
        "no such server",
        "no port",
        "no such host",
        "neither text nor file",
        "both",
        "no such file",
        "no text",
        "no name of a group",
    ],
)
def test_send_tells_in_one_line_what_is_wrong(environment, arguments, parts, code):
    ended = run_parley("send", *arguments, environment=environment)
    assert_fails(ended, *parts, code=code)


def test_send_says_what_a_server_offers_that_has_no_chat(environment, tmp_path):
    with Node("mute", "127.0.27.6", tmp_path, ("discovery", "typing")):
        ended = run_parley("send", "--as", "ann@mute", "bob@beta", "x", environment=environment)
    assert_fails(ended, "mute answered, but offers no chat now (it offers TYPING_INDICATOR)")


def test_send_leaves_what_waits_for_its_sender_to_who_shows_it(environment, bob, nodes):
    """It is connected as that user for a moment, and shows nothing."""
    with Command("listen", "--as", "elsa@alpha", environment=environment) as listener:
        listener.wait_error("listening as elsa@alpha")
    wait_until(lambda: nodes[0].status("chat")["subscribers"] == 0)
    bob.wait_status(bob.send_text("elsa", "alpha", "for your eyes"), "USER_AWAY")
    assert run_parley("send", "--as", "elsa@alpha", "bob@beta", "hi", environment=environment).returncode == 0
    with Command("listen", "--as", "elsa@alpha", environment=environment) as listener:
        listener.wait_line("bob@beta (unsigned): for your eyes")


MIB = 1024 * 1024


@pytest.mark.parametrize("size", [0, 7, 2 * MIB], ids=["empty", "small", "2 MiB"])
def test_a_file_is_sent_and_saved_byte_for_byte(environment, tmp_path, size):
    source, inbox = tmp_path / "map.png", tmp_path / "inbox"
    source.write_bytes(os.urandom(size))
    arguments = ("listen", "--as", "fred@beta", "--json", "--save", str(inbox))
    with Command(*arguments, environment=environment) as listener:
        listener.wait_error("listening as fred@beta")
        ended = run_parley(
            "send", "--as", "alice@alpha", "fred@beta", "--file", str(source), environment=environment
        )
        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "DELIVERED: fred@beta has it\n", "")
        told = json.loads(listener.wait_line("map.png"))
    assert (told["document"], told["bytes"], told["saved"]) == ("map.png", size, str(inbox / "map.png"))
    assert (inbox / "map.png").read_bytes() == source.read_bytes()


def test_a_file_that_is_too_large_is_told_at_once(environment, tmp_path):
    (tmp_path / "big.iso").write_bytes(bytes(2 * MIB + 4097))
    far_away = environment | {"PARLEY_DISCOVERY__PORT": "19990"}  # nobody would answer there
    arguments = ("send", "--as", "alice@alpha", "bob@beta", "--file", str(tmp_path / "big.iso"))
    ended = run_parley(*arguments, environment=far_away)
    assert_fails(ended, "big.iso is too large: 2.004 MiB (2101249 bytes)", "at most 2.004 MiB (2101248 bytes)")
    (tmp_path / "big.iso").write_bytes(bytes(2 * MIB + 4090))
    assert_fails(
        run_parley(*arguments, environment=far_away), "big.iso is too large", "(2101248 bytes)", "split -b 2M"
    )
    arguments = ("send", "--as", "alice@alpha", "bob@beta", "-")
    assert_fails(
        run_parley(*arguments, environment=far_away, text="x" * (3 * MIB)), "the text is too large: 3 MiB (3145"
    )


def test_a_document_that_has_no_place_is_not_acknowledged_and_comes_again(environment, bob, tmp_path):
    """Without --save it goes to the download directory of the user, who may have none that can be written."""
    home = tmp_path / "home"
    home.touch()
    document = {"documentId": "1", "filename": "map.png", "mimeType": "image/png", "data": b"data"}
    with Command("listen", "--as", "hugo@alpha", environment=environment | {"HOME": str(home)}) as listener:
        listener.wait_error("listening as hugo@alpha")
        snowflake = bob.send_message({"user": user("hugo@alpha"), "document": document})
        listener.wait_error("map.png cannot be saved in")
        bob.wait_status(bob.send_text("hugo", "alpha", "still here?"), "DELIVERED")
        home.unlink()
        listener.wait_line(f"bob@beta (unsigned): [document map.png, 4 bytes, saved as {home}/Downloads/map.png]")
        bob.wait_status(snowflake, "DELIVERED")


def test_what_cannot_be_saved_waits_at_the_server(environment, bob, tmp_path):
    inbox = tmp_path / "inbox"
    arguments = ("listen", "--as", "gina@alpha", "--save", str(inbox))
    document = {"documentId": "1", "filename": "map.png", "mimeType": "image/png", "data": b"data"}
    with Command(*arguments, environment=environment) as listener:
        listener.wait_error("listening as gina@alpha")
        inbox.rmdir()
        inbox.touch()
        snowflake = bob.send_message({"user": user("gina@alpha"), "document": document})
        listener.wait_error("map.png cannot be saved in")
        bob.wait_status(bob.send_text("gina", "alpha", "still here?"), "DELIVERED")
        listener.wait_line("still here?")
    inbox.unlink()
    with Command(*arguments, environment=environment) as listener:
        listener.wait_line(f"bob@beta (unsigned): [document map.png, 4 bytes, saved as {inbox}/map.png]")
        bob.wait_status(snowflake, "DELIVERED")


# listen -------------------------------------------------------------------------------------------------


def test_listen_prints_one_line_per_message_and_acknowledges(environment, bob):
    with Command("listen", "--as", "alice@alpha", environment=environment) as listener:
        listener.wait_error("listening as alice@alpha")
        bob.wait_status(bob.send_text("alice", "alpha", "hello"), "DELIVERED")
        listener.wait_line("bob@beta (unsigned): hello")
        document = {"documentId": "1", "filename": "map.png", "mimeType": "image/png", "data": b"x" * 7}
        bob.wait_status(bob.send_message({"user": user("alice@alpha"), "document": document}), "DELIVERED")
        saved = Path(environment["HOME"]) / "Downloads" / "map.png"
        listener.wait_line(f"bob@beta (unsigned): [document map.png, 7 bytes, saved as {saved}]")
        assert saved.read_bytes() == b"x" * 7
        listener.signal(signal.SIGINT)
        assert listener.wait_exit(3.0) == 130
        assert "Traceback" not in "\n".join(listener.errors)


def test_listen_prints_json_lines(environment, bob):
    with Command("listen", "--as", "alice@alpha", "--json", environment=environment) as listener:
        listener.wait_error("listening as alice@alpha")
        snowflakes = [bob.send_text("alice", "alpha", text) for text in ("one\ntwo", 'é "✓"')]
        bob.wait_status(snowflakes[-1], "DELIVERED")
        listener.wait_line("✓")
        messages = [json.loads(line) for line in listener.lines]
    assert all(0 <= m["received_at"] - m["written_at"] < 60 for m in messages)
    assert {m["assurance"] for m in messages} == {"unsigned"}
    assert [(m["snowflake"], m["author"], m["text"]) for m in messages] == [
        (snowflakes[0], "bob@beta", "one\ntwo"),
        (snowflakes[1], "bob@beta", 'é "✓"'),
    ]


def test_listen_goes_on_when_its_server_was_away(environment, bob, nodes):
    alpha, beta = nodes
    with Command("listen", "--as", "carl@alpha", environment=environment) as listener:
        listener.wait_error("listening as carl@alpha")
        alpha.kill("chat")
        listener.wait_error("alpha is gone; waiting for it")
        alpha.start("chat")
        listener.wait_error("alpha is back")
        wait_linked([alpha, beta], ["chat"])
        wait_until(lambda: alpha.status("chat")["subscribers"] == 1)
        bob.wait_status(bob.send_text("carl", "alpha", "still there?"), "DELIVERED")
        listener.wait_line("bob@beta (unsigned): still there?")


def test_listen_ends_when_nobody_reads_it_and_acknowledges_nothing_more(environment, bob):
    with Command("listen", "--as", "hugo@alpha", environment=environment) as listener:
        listener.wait_error("listening as hugo@alpha")
    pipe = subprocess.Popen(
        f"exec {PARLEY} listen --as hugo@alpha | head -n 1",
        shell=True,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        first, *_ = [bob.send_text("hugo", "alpha", text) for text in ("one",)]
        bob.wait_status(first, "DELIVERED")
        assert pipe.stdout.readline() == "bob@beta (unsigned): one\n"
        second = bob.send_text("hugo", "alpha", "two")
        assert pipe.wait(15.0) == 0
        bob.wait_status(second, "USER_AWAY")
    finally:
        pipe.kill()
        pipe.communicate()


def test_what_was_sent_to_a_listener_that_is_away_comes_when_it_is_back(environment, bob):
    with Command("listen", "--as", "dora@alpha", environment=environment) as listener:
        listener.wait_error("listening as dora@alpha")
        listener.signal(signal.SIGTERM)
        listener.wait_exit(3.0)
    snowflake = bob.send_text("dora", "alpha", "for later")
    bob.wait_status(snowflake, "USER_AWAY")
    with Command("listen", "--as", "dora@alpha", environment=environment) as listener:
        listener.wait_line("bob@beta (unsigned): for later")
        bob.wait_status(snowflake, "DELIVERED")


# chat ---------------------------------------------------------------------------------------------------


def test_chat_sends_line_by_line_and_shows_what_comes(environment, bob):
    with Command("chat", "--as", "alice@alpha", environment=environment) as chat:
        chat.wait_error("you are alice@alpha")
        chat.write("hello?")
        chat.wait_error("to whom?")
        chat.write("bob@beta: first")
        bob.wait_text("first")
        chat.wait_error("DELIVERED: bob@beta has it")
        chat.write("at 12:30: with colons")
        bob.wait_text("at 12:30: with colons")
        chat.write(" note: begins with a space")
        bob.wait_text("note: begins with a space")
        chat.write("")
        bob.send_text("alice", "alpha", "and back")
        chat.wait_line("bob@beta (unsigned): and back")
        chat.write("@beta: nobody")
        chat.wait_error("'@beta' is no address")
        chat.popen.stdin.close()
        assert chat.wait_exit() == 0
    assert [message["textContent"] for message in bob.messages] == [
        "first",
        "at 12:30: with colons",
        "note: begins with a space",
    ]


def test_chat_waits_at_the_end_of_its_input_for_what_became_of_it(environment, bob):
    ended = run_parley(
        "chat", "--as", "alice@alpha", environment=environment, text="bob@beta: one\ntwo\nghost@alpha: three\n"
    )
    assert ended.returncode == 0
    bob.wait_text("two")
    assert ended.stderr.count("DELIVERED: bob@beta has it") == 2
    assert "USER_NOT_FOUND: alpha knows no ghost@alpha" in ended.stderr


# serve --------------------------------------------------------------------------------------------------


def test_serve_of_one_process_runs_that_one(nodes):
    """As part of a node whose discovery runs already."""
    alpha, _ = nodes
    with Command("serve", "location", environment=alpha.environment) as command:
        wait_until(lambda: alpha.get("location", "/readyz")[0] == 200)
        assert command.family() == []
        offered = [each["feature"] for each in alpha.status("discovery")["offers"]]
        assert sorted(offered) == ["LIVE_LOCATION", "MESSAGES", "TYPING_INDICATOR"]
        command.interrupt()
        assert command.wait_exit(3.0) == 0


def test_serve_of_some_processes_runs_those(tmp_path):
    node = Node("some", "127.0.27.4", tmp_path)
    with Command("serve", "discovery", "typing", environment=node.environment) as command:
        assert f"TYPING_INDICATOR {node.address}:7777" in command.wait_line("ready: some offers ")
        assert len(command.family()) == 3  # the two, and who watches the node for people
        command.interrupt()
        assert command.wait_exit(3.0) == 0


def test_the_command_to_join_that_serve_prints_works(tmp_path, environment):
    node = Node("joined", "127.0.27.5", tmp_path)
    with Command("serve", "discovery", "chat", environment=node.environment) as command:
        line = command.wait_line("join it: ").removeprefix("join it: ")
        setting, program, *arguments = line.split()
        name, address = setting.split("=")
        assert (name, program, arguments) == ("PARLEY_ADDRESS", PARLEY, ["chat", "--as", "YOU@joined"])
        ended = run_parley(*arguments, environment=environment | {name: address}, text="YOU@joined: hi\n")
        assert ended.returncode == 0, ended.stderr
        assert re.fullmatch(r"\d\d:\d\d YOU@joined: hi\n", ended.stdout)


def test_the_ways_to_see_it_that_serve_prints_work(tmp_path, environment):
    node = Node("seen", "127.0.27.6", tmp_path)
    with Command("serve", environment=node.environment) as command:
        line = command.wait_line("see it: ").removeprefix("see it: ")
        page, program, *arguments = line.replace(" or ", " ").split()
        with urllib.request.urlopen(page, timeout=5) as answer:
            assert b"A node of Parley" in answer.read()
        assert (program, arguments) == (PARLEY, ["status", "127.0.27.6"])
        shown = run_parley(*arguments, environment=environment).stdout
        assert shown.startswith("seen  Parley ")


def test_version_is_printed(environment):
    ended = run_parley("--version", environment=environment)
    assert re.fullmatch(r"parley \d+\.\d+\.\d+\n", ended.stdout)


def user(name):
    user_id, server_id = name.split("@")
    return {"userId": user_id, "serverId": server_id}
