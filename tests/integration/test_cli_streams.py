"""Standard streams as shells hand them over: closed, full, read by nobody, in another encoding. Every command."""

import json
import os
import pty
import signal
import subprocess

import pytest

from tests.support.commands import PARLEY, Command, client_environment
from tests.support.nodes import TIMEOUT, Node, wait_until
from tests.support.plain_client import PlainClient

ALPHA = "127.0.84.1"
SETTINGS = {"PARLEY_CHAT__ACK_TIMEOUT": "1"}
"""Who takes nothing is soon away: several tests wait for that."""


@pytest.fixture(scope="module")
def alpha(tmp_path_factory):
    with Node("alpha", ALPHA, tmp_path_factory.mktemp("nodes"), settings=SETTINGS) as node:
        yield node


@pytest.fixture(scope="module")
def environment(tmp_path_factory, alpha):  # noqa: ARG001 - it is what it finds
    return client_environment("127.0.84.50", tmp_path_factory.mktemp("client"))


@pytest.fixture
def bob(alpha):  # noqa: ARG001 - it is what it finds
    with PlainClient("bob", "alpha", "127.0.84.51", broadcast=ALPHA, enough=1) as client:
        client.connect()
        yield client


def shell(environment, command, **more):
    """Run a line of a shell, in which $parley is the command; what it wrote are bytes."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=environment | {"parley": PARLEY, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT * 3,
        check=False,
    )


COMMANDS = {
    "--help": "$parley --help",
    "--version": "$parley --version",
    "servers": "$parley servers --timeout 0.5",
    "servers --json": "$parley servers --timeout 0.5 --json",
    "send": "$parley send --as alice@alpha bob@alpha hi",
    "chat": "echo 'alice: hi' | $parley chat --as alice@alpha",
    "group": "$parley group join '#streams' --as bob@alpha",
    "members": "$parley group members '#streams' --as bob@alpha",
    "block": "$parley block eve --as alice@alpha",
    "blocked": "$parley blocked --as alice@alpha",
    "where": "$parley where --as bob@alpha --once --geojson",
    "status": f"$parley status {ALPHA}",
    "status --json": f"$parley status {ALPHA} --json",
}
FIRST = {"members": "group", "blocked": "block"}
"""Where a command needs another to have been there, that is run once before."""
FULL = b"nothing can be written to standard output: no space left on device"
CLOSED = b"nothing can be written to standard output: it is closed"


@pytest.mark.usefixtures("bob")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_stream_that_takes_nothing_is_told_and_no_traceback(environment, command):
    if command in FIRST:
        assert shell(environment, COMMANDS[FIRST[command]]).returncode == 0
    for redirection, said in ((">/dev/full", FULL), (">&-", CLOSED), ("| true", b"")):
        ended = shell(environment, f"{COMMANDS[command]} {redirection}")
        errors = ended.stderr.splitlines()
        assert [line for line in errors if b"Traceback" in line or b"Exception ignored" in line] == [], ended.stderr
        assert said in ended.stderr, redirection
        if said:
            assert ended.returncode == 1, (redirection, ended.stderr)
        else:
            assert ended.returncode in (0, 1), ended.stderr


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "2>&1 >&- | cat"])
def test_what_cannot_be_said_on_standard_error_is_not_said(environment, redirection):
    ended = shell(environment, f"$parley send --as alice@alpha nobody@alpha hi {redirection}")
    assert b"Traceback" not in ended.stdout + ended.stderr
    assert ended.returncode == 1


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [(">&-", 1, CLOSED), ("> >(exit)", 0, b"")],
    ids=["closed", "nobody reads it"],
)
def test_a_listener_that_can_print_nothing_acknowledges_nothing_and_ends(environment, bob, redirection, code, said):
    listener = subprocess.Popen(
        ["bash", "-c", f"exec {PARLEY} listen --as lisa@alpha {redirection}"],
        env=environment,
        stderr=subprocess.PIPE,
    )
    assert listener.stderr is not None
    assert listener.stderr.readline().startswith(b"listening as lisa@alpha")
    number = bob.send_text("lisa", "alpha", "hello?")
    bob.wait_status(number, "USER_AWAY")
    assert listener.wait(TIMEOUT) == code
    errors = listener.communicate()[1]
    assert said in errors
    assert b"Traceback" not in errors
    # Now it comes with the connection: that this one ends is no word about the server.
    assert b"is gone" not in shell(environment, f"$parley listen --as lisa@alpha {redirection}").stderr
    with Command("listen", "--as", "lisa@alpha", environment=environment) as again:
        again.wait_line("bob@alpha (unsigned): hello?")
    bob.wait_status(number, "DELIVERED")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_an_encoding_cannot_hold_is_replaced_shown_and_acknowledged(environment, encoding):
    elsewhere = environment | {"PYTHONIOENCODING": encoding}
    for form in ((), ("--json",)):
        with Command("listen", "--as", "lena@alpha", *form, environment=elsewhere) as listener:
            listener.wait_error("listening as lena@alpha")
            ended = shell(environment, "$parley send --as alice@alpha lena@alpha 'Grüße 🎉'")
            assert ended.returncode == 0, ended.stdout
            line = listener.wait_line("Gr")
            if form:
                assert json.loads(line)["text"] == "Grüße 🎉"
            else:
                assert line.endswith("e ?")


def test_a_pipe_that_is_non_blocking_gets_whole_lines(environment):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    text = "x" * 1_500_000
    listener = subprocess.Popen(
        [PARLEY, "listen", "--as", "nora@alpha", "--json"], env=environment, stdout=writing, stderr=subprocess.PIPE
    )
    try:
        assert listener.stderr is not None
        assert listener.stderr.readline().startswith(b"listening as nora@alpha")
        os.close(writing)
        sender = subprocess.Popen(
            [PARLEY, "send", "--as", "alice@alpha", "nora@alpha", "-"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert sender.stdin is not None
        sender.stdin.write(text.encode())
        sender.stdin.close()
        data = b""
        while not data.endswith(b"\n"):
            data += os.read(reading, 1 << 16)
        assert json.loads(data)["text"] == text
        assert sender.wait(TIMEOUT) == 0
        assert sender.stdout is not None
        sender.stdout.close()
    finally:
        listener.kill()
        listener.communicate()
        os.close(reading)


def test_a_terminal_that_is_stopped_keeps_the_listener_connected(environment, bob):
    """Ctrl-S at a terminal: what comes is not shown, and not acknowledged before it is."""
    ours, theirs = pty.openpty()
    listener = subprocess.Popen(
        [PARLEY, "listen", "--as", "sam@alpha"],
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    try:
        assert listener.stderr is not None
        listener.stderr.readline()
        os.write(ours, b"\x13")
        number = bob.send_text("sam", "alpha", "one " + "x" * 10_000)
        bob.wait_status(number, "USER_AWAY")  # unanswered
        with pytest.raises(TimeoutError):
            bob.wait_status(number, "DELIVERED", timeout=0)
        os.write(ours, b"\x11")
        shown = b""
        while b"x\r\n" not in shown:
            shown += os.read(ours, 1 << 16)
        bob.wait_status(number, "DELIVERED")
    finally:
        listener.kill()
        listener.communicate()
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("redirection", [">/dev/full 2>/dev/full", ">&- 2>&-", "> >(exit) 2>&1"])
def test_a_node_goes_on_where_nobody_reads_what_it_says(tmp_path, redirection):
    node = Node("mute", "127.0.84.2", tmp_path)
    serving = subprocess.Popen(
        ["bash", "-c", f"exec {PARLEY} serve discovery chat --verbose {redirection}"],
        env=node.environment,
        start_new_session=True,
    )
    try:
        for service in ("discovery", "chat"):
            wait_until(lambda service=service: node.get(service, "/readyz")[0] == 200, what=service)
        os.killpg(serving.pid, signal.SIGTERM)
        assert serving.wait(TIMEOUT) == 0
    finally:
        if serving.poll() is None:
            os.killpg(serving.pid, signal.SIGKILL)
            serving.wait()
