"""The README's client and server, run as they stand against real nodes: the same two steps on both sides."""

import signal
import subprocess
import sys

import pytest

from tests.support.commands import client_environment
from tests.support.nodes import ROOT, TIMEOUT, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_server import MESSAGES

ALPHA, BETA, GAMMA = "127.0.28.1", "127.0.28.2", "127.0.28.3"
EXAMPLES = ROOT / "docs" / "examples"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    services = ("discovery", "chat")
    with (
        Node("alpha", ALPHA, directory, services) as alpha,
        Node("beta", BETA, directory, services) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        yield alpha, beta


RUN = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
"""
"""As `python -m`, also where Ctrl-C is ignored, as it is in a shell's background."""


def start(example, address, directory):
    return subprocess.Popen(
        [sys.executable, "-c", RUN, f"docs.examples.{example}"],
        cwd=ROOT,
        env=client_environment(address, directory, PARLEY_DATA_DIR=str(directory)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("example", ["client", "server"])
def test_an_example_stands_in_the_readme_as_it_is(example):
    assert (EXAMPLES / f"{example}.py").read_text() in (ROOT / "README.md").read_text()


def test_the_client_sends_a_message_and_prints_what_became_of_it(nodes, tmp_path):
    with PlainClient("bob", "beta", "127.0.28.11", enough=len(nodes)) as bob:
        bob.connect()
        client = start("client", "127.0.28.12", tmp_path)
        printed, errors = client.communicate(timeout=TIMEOUT)
        assert bob.wait_text("Hello!").fields["author"] == {"userId": "alice", "serverId": "alpha"}
    assert (client.returncode, printed, errors) == (0, "DELIVERED\n", "")


def test_the_server_is_linked_with_the_others_serves_its_users_and_hangs_up(nodes, tmp_path):
    alpha, _ = nodes
    server = start("server", GAMMA, tmp_path)
    try:
        for node in nodes:
            node.wait_linked("chat", "gamma")
        with (
            PlainClient("ann", "alpha", "127.0.28.13", broadcast=ALPHA, enough=1) as ann,
            PlainClient("zoe", "gamma", "127.0.28.14") as zoe,
        ):
            ann.connect()
            link = zoe.dial((GAMMA, 6666), MESSAGES)
            link.send("CONNECT_CLIENT", {"user": zoe.user})
            zoe.wait_for(lambda: link.result == "CONNECTED")
            ann.wait_status(ann.send_text("zoe", "gamma", "hello"), "DELIVERED")
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=TIMEOUT)
            assert (server.returncode, "Traceback" in errors) == (0, False), errors
            zoe.wait_for(lambda: link.closed)
            assert zoe.wait_frame("HANGUP").fields == {"reason": "EXIT"}
        wait_until(lambda: not any("gamma" in node.linked("chat") for node in nodes))
        closed = [each for each in alpha.logged("chat", "link_closed") if each["peer_id"] == "gamma"]
        assert closed[-1]["reason"] == "exit"
    finally:
        server.kill()
        server.communicate()
