"""No page of a process tells the name of a user or a group, whatever people did: the servers' names are enough."""

import contextlib
import http.client
import re

import pytest

from parley.shared.trust.keys import PrivateKey
from parley.shared.wire.messages import encode, pb
from tests.support.commands import Command, client_environment, run_parley
from tests.support.nodes import COUNTED, HTTP_PORTS, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_server import LOCATION, MESSAGES, TYPING
from tests.support.secured import Secured

NETWORK = "127.0.138"
ALPHA, BETA, CLIENT = f"{NETWORK}.1", f"{NETWORK}.2", f"{NETWORK}.50"
PATHS = {
    "discovery": ("/", "/events", "/status", "/metrics", "/readyz"),
    **dict.fromkeys(("chat", "typing", "location"), ("/status", "/metrics", "/readyz")),
}
GROUP = "zeppelincrew"
NAMES = {
    "xanthippe": "owns a name by a device key",
    "quetzalcoatl": "is at the other server",
    "ignatz": "is away, and mail waits",
    "ottokar": "a program without a key",
    "wolperdinger": "types and tells where they are, at the other server",
    "philomena": "has a password, and somebody guesses it",
    "gundula": "was blocked",
    GROUP: "a group",
    "ludmilla": "says to be somebody else",
    "nobodyatall": "written to, at a server that is not there",
    "Bad\x1bName": "an odd one",
}
"""Name → why it might be told."""


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """Two nodes at which all of them did something, and were refused something."""
    directory = tmp_path_factory.mktemp("names")
    with (
        Node("alpha", ALPHA, directory, settings=COUNTED) as alpha,
        Node("beta", BETA, directory, settings=COUNTED) as beta,
        contextlib.ExitStack() as stack,
    ):
        wait_linked([alpha, beta])
        people(alpha, stack, directory)
        yield alpha, beta


def people(alpha, stack, directory):
    (directory / "home").mkdir()
    environment = client_environment(CLIENT, directory / "home")

    def parley(*words, code=0, **more):
        done = run_parley(*words, environment=environment | more)
        assert done.returncode == code, (words, done.stdout, done.stderr)

    def client(user, server_id, address, *features):
        made = stack.enter_context(
            PlainClient(user, server_id, f"{NETWORK}.{client.number}", broadcast=address, enough=1)
        )
        client.number += 1
        for feature in features:
            made.connect(feature)
        return made

    client.number = 60
    # Devices, a group, a block, mail that waits here and for a server that is not there.
    parley("group", "join", f"#{GROUP}@alpha", "--as", "xanthippe@alpha")
    parley("group", "join", f"#{GROUP}@alpha", "--as", "quetzalcoatl@beta")
    stack.enter_context(Command("receive", "--as", "quetzalcoatl@beta", environment=environment))
    parley("users", "--as", "ignatz@alpha")
    parley("send", "--as", "xanthippe@alpha", "ignatz@alpha", "come", "--wait", "0", code=3)
    parley("send", "--as", "xanthippe@alpha", f"#{GROUP}", "all", "--wait", "0", code=3)
    parley("send", "--as", "xanthippe@alpha", "nobodyatall@gamma", "you", "--wait", "0", code=1)
    parley("block", "gundula@beta", "--as", "xanthippe@alpha")
    # Programs without keys: one that may, one whose name is another's.
    ottokar = client("ottokar", "alpha", ALPHA, MESSAGES, TYPING, LOCATION)
    wolperdinger = client("wolperdinger", "beta", BETA, MESSAGES, TYPING, LOCATION)
    ottokar.wait_status(ottokar.send_text("wolperdinger", "beta", "hello"), "DELIVERED")
    ottokar.send_text("gundula", "beta", "hello")
    for one, other in ((ottokar, wolperdinger), (wolperdinger, ottokar)):
        one.send_typing()
        other.wait_typing(lambda names, one=one: f"{one.user['userId']}@{one.user['serverId']}" in names)
        one.send_location({"user": other.user}, 1.0, 2.0)
        other.wait_for(lambda other=other: other.locations)
    # What is refused: another device, a wrong password, a foreign user, an odd name.
    run_parley("user", "add", "philomena", environment=alpha.environment, text="a good password\na good password\n")
    with Secured((ALPHA, 6666)) as link:
        assert link.connect_client("xanthippe@alpha", PrivateKey.generate()).result != pb.ConnectResponse.CONNECTED
    for password in ("guess", "guess again", "and again", "and once more"):
        with Secured((ALPHA, 6666)) as link:
            link.connect_client("philomena@alpha", None, password=pb.Password(text=password))
    with Secured((ALPHA, 6666)) as link:
        link.connect_client("Bad\x1bName@alpha", PrivateKey.generate())
    with Secured((ALPHA, 6666)) as link:
        assert link.connect_client("ludmilla@alpha", PrivateKey.generate()).result == pb.ConnectResponse.CONNECTED
        link.send(encode("MESSAGE", pb.ChatMessage(author=pb.User(userId="ottokar", serverId="beta"))))
        link.send(encode("PING"))
        link.expect("PONG")
    wait_until(lambda: len(alpha.status("chat")["peers"]) >= 1)


def page(node, service, path):
    """A page, or the first event of a stream."""
    connection = http.client.HTTPConnection(node.address, HTTP_PORTS[service], timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200
        if path != "/events":
            return response.read().decode()
        return next(line for line in iter(lambda: response.readline().decode(), "") if line.startswith("data:"))


def test_they_did_something_that_the_pages_tell(busy):
    """It is what would be told with a name, if a name were told."""
    alpha, _beta = busy
    chat = alpha.metrics("chat")
    assert chat.value("parley_mailbox_messages") >= 1
    assert chat.value("parley_messages_total") >= 3
    assert chat.value("parley_names") > 0
    assert chat.value("parley_frames_rejected_total") >= 1
    assert alpha.logged("chat", "user_refused")
    assert "beta" in page(alpha, "discovery", "/")


@pytest.mark.parametrize(("service", "path"), [(service, path) for service in PATHS for path in PATHS[service]])
def test_no_name_of_a_user_or_a_group_is_on_a_page(busy, service, path):
    for node in busy:
        text = page(node, service, path)
        assert len(text) > 5 or path == "/readyz"
        told = [name for name in NAMES if re.search(re.escape(name.replace("\x1b", "")), text, re.IGNORECASE)]
        assert told == [], f"{path} of {service} of {node}"
        assert not re.search("bad.{0,6}name", text, re.IGNORECASE)
