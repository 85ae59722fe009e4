"""`parley mailbox` against real nodes: what an operator sees of what waits, tries again and drops."""

import json
import os
import re
import signal
import socket
import sqlite3
import stat
from contextlib import closing, contextmanager

import pytest

from tests.support.commands import run_parley
from tests.support.nodes import ROOT, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.terminals import Terminal

ALPHA, BETA = "127.0.61.1", "127.0.61.2"
SETTINGS = {"PARLEY_LINK__BACKOFF_MAX": "0.5"}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Bob and cid have been at beta, and are away."""
    directory = tmp_path_factory.mktemp("nodes")
    with (
        Node("alpha", ALPHA, directory, ("discovery", "chat"), SETTINGS) as alpha,
        Node("beta", BETA, directory, ("discovery", "chat"), SETTINGS) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        for user in ("bob", "cid"):
            with connected(user, beta):
                pass
        yield alpha, beta


@pytest.fixture
def alpha(nodes):
    return nodes[0]


@pytest.fixture
def beta(nodes):
    """Nothing waits there when a test begins: bob and cid have taken it."""
    beta = nodes[1]
    if beta.status("chat")["waiting_messages"]:
        with connected("bob", beta), connected("cid", beta):
            wait_until(lambda: not in_file(beta), what="nothing waits")
    return beta


@contextmanager
def connected(user, node, **options):
    """A client of somebody at their server."""
    address = {"ann": "127.0.61.11", "bob": "127.0.61.12", "cid": "127.0.61.13"}[user]
    with PlainClient(user, node.server_id, address, broadcast=node.address, enough=1, **options) as client:
        client.connect()
        yield client


def parley(node, *arguments, code=0, **settings):
    """Run a command of the node's operator; what it printed, in lines, and its one line of complaint."""
    ended = run_parley("mailbox", *arguments, environment=node.environment | settings)
    assert ended.returncode == code, (ended.stdout, ended.stderr)
    if code:
        assert len(ended.stderr.splitlines()) == 1, ended.stderr
        return ended.stderr.strip()
    return ended.stdout.splitlines()


def as_json(node, *arguments, code=0):
    return [json.loads(line) for line in parley(node, *arguments, "--json", code=code)]


def waiting(node):
    """Per destination: how many messages wait."""
    *rows, _total = as_json(node, "list")
    return [(row["destination"], row["messages"]) for row in rows if row["messages"]]


def messages(node, *arguments):
    return as_json(node, "list", "--messages", *arguments)


def send(author, *texts, to="bob"):
    """Messages to somebody at beta who is away; their snowflakes, once beta has them on disk."""
    sent = [author.send_text(to, "beta", text) for text in texts]
    for snowflake in sent:
        author.wait_status(snowflake, "USER_AWAY")
    return sent


def numbers(node, snowflakes):
    """The numbers under which messages wait."""
    found = {each["snowflake"]: each["id"] for each in messages(node)}
    return [str(found[snowflake]) for snowflake in snowflakes]


def in_file(node):
    """How many messages are on disk."""
    with closing(sqlite3.connect(directory(node) / "chat.db")) as db:
        return db.execute("SELECT COUNT(*) FROM message").fetchone()[0]


def directory(node):
    return node.directory / "data" / node.server_id


@contextmanager
def stopped(node, number=signal.SIGTERM):
    """The chat process does not run meanwhile."""
    node.kill("chat", number)
    if number is not signal.SIGKILL:
        assert node.wait_exit("chat") == 0
    try:
        yield
    finally:
        node.start("chat")
        node.wait_ready("chat")


# See --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", [True, False], ids=["while it runs", "while nothing runs"])
def test_what_waits_is_listed_and_shown(nodes, beta, runs):
    with connected("ann", nodes[0]) as ann:
        first, second = send(ann, "one of bob's letters", "two")
        (third,) = send(ann, "three", to="cid")
    if runs:
        see(beta, first, second, third)
    else:
        with stopped(beta):
            see(beta, first, second, third)


def see(beta, first, second, third):
    bob, cid, total = as_json(beta, "list")
    assert (bob["destination"], bob["messages"], cid["destination"], cid["messages"]) == (
        "bob@beta",
        2,
        "cid@beta",
        1,
    )
    assert (total["destinations"], total["messages"], total["bytes"]) == (2, 3, bob["bytes"] + cid["bytes"])
    assert 0 <= bob["oldest_seconds"] < 60
    listed = messages(beta)
    assert [(each["author"], each["recipient"], each["snowflake"]) for each in listed] == [
        ("ann@alpha", "bob@beta", first),
        ("ann@alpha", "bob@beta", second),
        ("ann@alpha", "cid@beta", third),
    ]
    assert [each["snowflake"] for each in messages(beta, "--to", "cid@beta")] == [third]
    assert [each["snowflake"] for each in messages(beta, "--limit", "1")] == [first]
    table = parley(beta, "list")
    assert [line.split()[:2] for line in table[1:]] == [["bob@beta", "2"], ["cid@beta", "1"], ["total", "3"]]
    number = str(listed[0]["id"])
    shown = parley(beta, "show", number)
    assert f"snowflake: {first}" in shown
    assert "from_server: alpha" in shown
    assert [line for line in shown if re.fullmatch(r"age: \d+ s, since \d+ \w+ \d{4} \d\d:\d\d:\d\d", line)]
    assert not any("letters" in line for line in shown)
    assert "text: one of bob's letters" in parley(beta, "show", number, "--content")
    assert as_json(beta, "show", number, "--content")[0]["text"] == "one of bob's letters"
    assert parley(beta, "show", "999999", code=1) == "parley: no message 999999 waits at beta"


def test_of_a_document_its_name_and_size_are_shown(nodes, beta):
    document = {"filename": "map.png", "mimeType": "image/png", "data": b"1234567"}
    with connected("ann", nodes[0]) as ann:
        ann.wait_status(
            ann.send_message({"user": {"userId": "bob", "serverId": "beta"}, "document": document}), "USER_AWAY"
        )
    (number,) = [str(each["id"]) for each in messages(beta)]
    (shown,) = as_json(beta, "show", number, "--content")
    assert (shown["document"], shown["document_bytes"]) == ("map.png", 7)
    assert "1234567" not in str(shown)


def test_what_waits_for_another_server_is_found_by_server_and_by_user(alpha, beta):
    with connected("ann", alpha) as ann, stopped(beta):
        sent = [ann.send_text("bob", "beta", "x"), ann.send_text("cid", "beta", "y")]
        for snowflake in sent:
            ann.wait_status(snowflake, "OTHER_SERVER_TIMEOUT")
        assert waiting(alpha) == [("beta", 2)]
        assert [each["snowflake"] for each in messages(alpha, "--to", "beta")] == sent
        assert [each["snowflake"] for each in messages(alpha, "--to", "cid@beta")] == sent[1:]
        assert as_json(alpha, "retry", "--all") == [
            {"destination": "beta", "state": "looked_for", "messages": 0, "waiting": 2}
        ]
    wait_until(lambda: not in_file(alpha), what="beta has them")


# Drop --------------------------------------------------------------------------------------------------


def test_a_dropped_message_is_told_to_its_author_and_never_reaches_its_recipient(alpha, beta):
    with connected("ann", alpha) as ann:
        kept, dropped, last = send(ann, "kept", "dropped", "last")
        assert parley(beta, "drop", *numbers(beta, [dropped]), "--yes") == ["1 message dropped"]
        ann.wait_status(dropped, "OTHER_ERROR")
        assert [each["snowflake"] for each in messages(beta)] == [kept, last]
        with connected("bob", beta) as bob:
            ann.wait_status(last, "DELIVERED")
            assert [each["textContent"] for each in bob.messages] == ["kept", "last"]
        assert waiting(beta) == []


def test_a_destinations_messages_are_dropped_and_no_others(alpha, beta):
    with connected("ann", alpha) as ann:
        bobs = send(ann, *(f"{n}" for n in range(600)))  # more than one request, and than are kept in memory
        send(ann, "cid's", to="cid")
        assert "nothing of that waits" in parley(
            beta, "drop", "--to", "bob@beta", "--older-than", "1h", "--yes", code=1
        )
        assert as_json(beta, "drop", "--to", "bob@beta", "--yes") == [{"dropped": 600, "left": 0, "gone": 0}]
        for snowflake in bobs:
            ann.wait_status(snowflake, "OTHER_ERROR")
        assert waiting(beta) == [("cid@beta", 1)]
        assert beta.status("chat")["waiting_messages"] == 1
        (after,) = send(ann, "after")
        with connected("bob", beta) as bob:
            ann.wait_status(after, "DELIVERED")
            assert [each["textContent"] for each in bob.messages] == ["after"]


def test_old_messages_are_dropped(alpha, beta):
    with connected("ann", alpha) as ann:
        (old,) = send(ann, "old")
        wait_until(lambda: messages(beta)[0]["age_seconds"] > 0.5, what="half a second")
        assert parley(beta, "drop", "--to", "bob@beta", "--older-than", "0.5s", "--yes") == ["1 message dropped"]
        ann.wait_status(old, "OTHER_ERROR")


def test_what_is_on_its_way_is_left(alpha, beta):
    with connected("ann", alpha) as ann:
        with connected("bob", beta, status=None) as silent:
            sent = ann.send_text("bob", "beta", "on its way")
            silent.wait_text("on its way")
            wait_until(lambda: in_file(beta), what="it is on disk")
            done = run_parley(
                "mailbox", "drop", "--to", "bob@beta", "--yes", "--json", environment=beta.environment
            )
            assert (done.returncode, json.loads(done.stdout)) == (1, {"dropped": 0, "left": 1, "gone": 0})
        with connected("bob", beta):
            ann.wait_status(sent, "DELIVERED")


def test_what_is_dropped_while_nothing_runs_is_told_later(alpha, beta):
    with connected("ann", alpha) as ann:
        kept, dropped = send(ann, "kept", "dropped")
        with stopped(beta):
            number = numbers(beta, [dropped])
            assert parley(beta, "drop", *number, "--yes") == ["1 message dropped"]
            assert [each["snowflake"] for each in messages(beta)] == [kept]
            assert [row["owed"] for row in as_json(beta, "list") if row.get("destination") == "alpha"] == [1]
            assert parley(beta, "retry", "--all", code=1) == "parley: no chat process of beta runs here"
        ann.wait_status(dropped, "OTHER_ERROR")
        with connected("bob", beta) as bob:
            ann.wait_status(kept, "DELIVERED")
            assert [each["textContent"] for each in bob.messages] == ["kept"]


def test_whoever_sits_at_a_terminal_is_asked(alpha, beta):
    with connected("ann", alpha) as ann:
        send(ann, "one", "two")
        for answer, said, left in (("n", "nothing was dropped", 2), ("y", "2 messages dropped", 0)):
            with Terminal("mailbox", "drop", "--to", "bob@beta", environment=beta.environment) as terminal:
                terminal.wait("Drop 2 messages")
                terminal.type(f"{answer}\r")
                terminal.wait(said)
            assert len(messages(beta)) == left


# Retry -------------------------------------------------------------------------------------------------


def test_what_is_unanswered_is_written_again(alpha, beta):
    with connected("ann", alpha) as ann, connected("bob", beta, status=None) as silent:
        ann.send_text("bob", "beta", "again")
        silent.wait_text("again")
        wait_until(lambda: in_file(beta), what="it is on disk")
        assert parley(beta, "retry", "bob@beta") == ["bob@beta: 1 message written again"]
        silent.wait_for(lambda: len(silent.messages) == 2)
    wait_until(lambda: not beta.status("chat")["subscribers"], what="bob is away")
    ended = run_parley("mailbox", "retry", "bob@beta", environment=beta.environment)
    assert ended.stdout == "bob@beta: no client is connected; 1 message kept\n"
    assert (ended.returncode, ended.stderr) == (1, "parley: nothing can be tried again now\n")
    assert parley(beta, "retry", "cid@beta", code=1) == "parley: nothing waits for cid@beta"


# The socket ----------------------------------------------------------------------------------------------


def test_the_socket_is_the_owners_alone_and_survives_a_crash(alpha, beta):
    path = directory(beta) / "chat.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with connected("ann", alpha) as ann:
        sent = send(ann, "x")
        with stopped(beta, signal.SIGKILL):
            assert path.exists()
            assert "no chat process of beta runs here" in parley(beta, "retry", "bob@beta", code=1)
        assert parley(beta, "drop", *numbers(beta, sent), "--yes") == ["1 message dropped"]
    with stopped(beta):
        assert not path.exists()


def answers(node, data):
    """What comes back for bytes on the socket, until it is closed."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(os.path.relpath(directory(node) / "chat.sock"))
        sock.sendall(data)
        received = b""
        while part := sock.recv(65536):
            received += part
    return received


def request(target, body=b"", method="POST", connection="keep-alive"):
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (request("/drop", b"{}", connection="close"), b"400"),
        (request("/drop", b"no JSON", connection="close"), b"400"),
        (request("/drop", b'{"messages": []}', connection="close"), b"400"),
        (request("/retry", b'{"destinations": ["beta"], "more": 1}', connection="close"), b"400"),
        (request("/drop", method="GET", connection="close"), b"405"),
        (request("/stop", connection="close"), b"404"),
        (request("/drop", b"x" * 65537, connection="close"), b"413"),
    ],
)
def test_a_wrong_request_is_refused(beta, wrong, status):
    assert answers(beta, wrong).split(b" ", 2)[1] == status


def test_requests_in_one_read_are_answered_in_order(beta):
    none = b'{"messages": [[999999, 1]]}'
    received = answers(beta, request("/drop", none) * 3 + request("/stop", connection="close"))
    assert [part[1:4] for part in received.split(b"HTTP/1.1")[1:]] == [b"200", b"200", b"200", b"404"]
    assert received.count(b'{"dropped":0,"left":0,"gone":1}') == 3


def test_a_number_that_is_another_messages_now_drops_nothing(alpha, beta):
    with connected("ann", alpha) as ann:
        sent = send(ann, "x")
        (number,) = numbers(beta, sent)
        body = json.dumps({"messages": [[int(number), sent[0] + 1]]}).encode()
        assert b'"dropped":0' in answers(beta, request("/drop", body, connection="close"))
        assert numbers(beta, sent) == [number]


def test_a_data_directory_with_a_long_name_has_a_socket_too(tmp_path):
    with Node("gamma", "127.0.61.3", tmp_path / ("x" * 120), ("discovery", "chat")) as gamma:
        with connected("bob", gamma):
            pass
        with connected("ann", gamma) as ann:
            sent = ann.send_text("bob", "gamma", "x")
            ann.wait_status(sent, "USER_AWAY")
            assert len(os.fsencode(directory(gamma) / "chat.sock")) > 108
            assert parley(gamma, "drop", "--to", "bob@gamma", "--yes") == ["1 message dropped"]
            ann.wait_status(sent, "OTHER_ERROR")
        assert gamma.logged("chat", "operator_dropped")


# Which mailbox -------------------------------------------------------------------------------------------


def test_the_only_mailbox_is_found_and_of_several_one_must_be_named(alpha, beta, tmp_path):
    (tmp_path / "beta").symlink_to(directory(beta))
    there = {"PARLEY_DATA_DIR": str(tmp_path), "PARLEY_SERVER_ID": ""}
    parley(beta, "list", **there)
    (tmp_path / "alpha").symlink_to(directory(alpha))
    assert "alpha, beta: name one with --server-id" in parley(beta, "list", code=2, **there)
    parley(beta, "list", "--server-id", "beta", **there)
    assert f"{tmp_path} holds no mailbox of gone, only those of alpha, beta: name" in parley(
        beta, "list", "--server-id", "gone", code=2, **there
    )
    relative = os.path.relpath(tmp_path / "empty", ROOT)
    said = parley(beta, "list", "--data-dir", relative, code=2, **there)
    assert f"{tmp_path}/empty holds no mailbox, at all: name the directory" in os.path.normpath(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["drop"], "name messages by their numbers, or a destination"),
        (["drop", "1", "--to", "beta"], "name messages by their numbers, or a destination"),
        (["drop", "--to", "bob@beta", "--older-than", "soon"], "--older-than soon"),
        (["retry"], "name one destination, or say --all"),
        (["retry", "beta", "--all"], "name one destination, or say --all"),
        (["list", "--to", "#crew@beta"], "what is for a group waits for its members"),
        (["list", "--to", "@beta"], "is no address"),
        (["show", "x"], "Invalid value for 'ID'"),
    ],
)
def test_a_wrong_command_says_so_in_one_line(beta, arguments, said):
    assert said in parley(beta, *arguments, code=2)


def test_nobody_who_can_be_asked_means_that_nothing_is_dropped(alpha, beta):
    with connected("ann", alpha) as ann:
        sent = send(ann, "x")
    assert "say --yes" in parley(beta, "drop", *numbers(beta, sent), code=2)
    assert len(messages(beta)) == 1
