"""The examples, run as they stand against real nodes: the same steps in a client, a server and a whole node."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from contextlib import AsyncExitStack, ExitStack, contextmanager

import pytest

from parley import ChatFeature, Config, DiscoveryService, LocationFeature, TypingFeature, User
from tests.support.commands import client_environment
from tests.support.nodes import ROOT, TIMEOUT, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_server import MESSAGES, PlainServer

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
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
"""As `python -m`, also where Ctrl-C is ignored, as it is in a shell's background."""


def start(example, address, directory, *arguments, **settings):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", RUN, f"docs.examples.{example}", *arguments],
        cwd=ROOT,
        env=client_environment(address, directory, PARLEY_DATA_DIR=str(directory), **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


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
            ends = alpha.metrics("chat").value("parley_link_closes_total", reason="exit")
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=TIMEOUT)
            assert (server.returncode, "Traceback" in errors) == (0, False), errors
            alpha.wait_metric("chat", ends + 1, "parley_link_closes_total", reason="exit")
            zoe.wait_for(lambda: link.closed)
            assert zoe.wait_frame("HANGUP").fields == {"reason": "EXIT"}
        wait_until(lambda: not any("gamma" in node.linked("chat") for node in nodes))
    finally:
        server.kill()
        server.communicate()


def test_the_bot_echoes_a_text_and_acknowledges_it(nodes, tmp_path):
    echo = start("echo", "127.0.28.15", tmp_path)
    try:
        wait_until(lambda: nodes[0].status("chat")["subscribers"] == 1)
        with PlainClient("bob", "beta", "127.0.28.16", enough=len(nodes)) as bob:
            bob.connect()
            bob.wait_status(bob.send_text("echo", "alpha", "hello?"), "DELIVERED")
            assert bob.wait_text("hello?").fields["author"] == {"userId": "echo", "serverId": "alpha"}
    finally:
        echo.kill()
        echo.communicate()


def test_the_server_links_itself_with_one_that_came_later_and_dials_nobody(tmp_path):
    settings = {"PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "0.2", "PARLEY_INTEROP__DIAL": "old"}
    server = start("server", "127.0.28.8", tmp_path, **settings)
    try:
        wait_until(lambda: not is_free("127.0.28.8", 6666), what="the example to listen")
        with PlainServer("old", "127.0.28.9", ports={MESSAGES: (0, None)}, listen=0) as old:
            link = old.wait_working_link("gamma")
            assert not link.dialled
    finally:
        server.kill()
        server.communicate()


def is_free(host, port):
    with socket.socket() as sock:
        return sock.connect_ex((host, port)) != 0


# A whole node in one process -----------------------------------------------------------------------


@contextmanager
def example_node(server_id, address, directory):
    """docs/examples/node.py, until the test is done with it; it must end well then."""
    process = start("node", address, directory, server_id)
    try:
        yield
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.communicate()


class Person:
    """Somebody with all three features; what they hear."""

    def __init__(self, name, address):
        config = Config(address=address)
        self.user = User.parse(name)
        self.texts, self.typists, self.places = [], [], []
        self.chat = ChatFeature(name, config, on_message=lambda message: self.texts.append(message.textContent))
        self.typing = TypingFeature(name, config, on_change=self.typists.append)
        self.location = LocationFeature(name, config, on_locations=self.places.extend)
        self.features = (self.chat, self.typing, self.location)

    @property
    def sees_typing(self):
        return {typist.user for typists in self.typists for typist in typists}


async def until(true, again=lambda: None):
    """Wait for something, and do something again and again for it to come about."""
    async with asyncio.timeout(TIMEOUT):
        while not true():
            again()
            await asyncio.sleep(0.1)


async def talk(alice, bob):
    """A message, a typing event to a person and to a group, and a location, from one server to the other."""
    names = {alice.user.server_id, bob.user.server_id}

    def are_all_there(found):
        return names <= {server.server_id for server in found if len(server.features) == len(alice.features)}

    servers = await DiscoveryService(alice.chat.config).discover_servers(TIMEOUT, until=are_all_there)
    async with AsyncExitStack() as stack:
        for feature in (*alice.features, *bob.features):
            await stack.enter_async_context(feature)
            await feature.handle_connection(servers)
        assert await asyncio.wait_for(alice.chat.send(bob.user, "hello").final, TIMEOUT) == "DELIVERED"
        assert bob.texts == ["hello"]
        await until(lambda: alice.user in bob.sees_typing, lambda: alice.typing.send_typing(bob.user))
        alice.typing.stop_typing(bob.user)
        await until(
            lambda: any(place.location.latitude == 50.0 for place in bob.places),
            lambda: alice.location.send_location(bob.user, 50.0, 8.0, expiry_at=time.time() + 60),
        )
        crew = f"#crew@{alice.user.server_id}"
        for person in (alice, bob):
            await person.chat.join(crew)
        bob.typists.clear()
        await until(lambda: alice.user in bob.sees_typing, lambda: alice.typing.send_typing(crew))
        await asyncio.sleep(0)


def test_two_example_nodes_exchange_a_message_a_typing_event_and_a_location(tmp_path):
    with ExitStack() as stack:
        stack.enter_context(example_node("delta", "127.0.28.4", tmp_path))
        stack.enter_context(example_node("eta", "127.0.28.5", tmp_path))
        asyncio.run(talk(Person("ann@delta", "127.0.28.21"), Person("ben@eta", "127.0.28.22")))


def test_an_example_node_talks_with_a_node_of_four_processes_that_came_later(tmp_path):
    with example_node("delta", "127.0.28.6", tmp_path), Node("theta", "127.0.28.7", tmp_path):
        asyncio.run(talk(Person("ann@delta", "127.0.28.23"), Person("ben@theta", "127.0.28.24")))
        asyncio.run(talk(Person("bea@theta", "127.0.28.25"), Person("abe@delta", "127.0.28.26")))
