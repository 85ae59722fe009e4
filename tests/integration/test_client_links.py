"""The life of an existing client's link: silence, signs of life, and the end of the node."""

import time

import pytest

from tests.support.nodes import Node, wait_until
from tests.support.plain_client import PlainClient
from tests.support.plain_server import LOCATION, MESSAGES, TYPING

GAMMA = "127.0.21.1"
PING_TIMEOUT = 0.5


@pytest.fixture(scope="module")
def gamma(tmp_path_factory):
    """A node that asks its clients sooner whether they are there."""
    settings = {"PARLEY_LINK__PING_TIMEOUT": str(PING_TIMEOUT)}
    with Node("gamma", GAMMA, tmp_path_factory.mktemp("node"), settings=settings) as node:
        yield node


@pytest.fixture
def bob(gamma):
    with PlainClient("bob", gamma.server_id, "127.0.21.11", enough=1) as client:
        yield client


def test_a_silent_client_is_asked_and_stays_when_it_answers(bob):
    link = bob.connect()
    bob.wait_frame("PING", count=4)
    assert not link.closed


def test_a_client_that_does_not_answer_is_told_of_the_timeout(bob):
    bob._serve = lambda link, name, _fields: bob.drop(link) if name == "HANGUP" else None
    link = bob.dial((GAMMA, 6666), MESSAGES)
    link.send("CONNECT_CLIENT", {"user": bob.user})
    began = time.monotonic()
    bob.wait_for(lambda: link.closed)
    assert time.monotonic() - began >= 2 * PING_TIMEOUT
    names = [(each.name, each.fields) for each in bob.received]
    assert names == [("CONNECTED", {"result": "CONNECTED"}), ("PING", {}), ("HANGUP", {"reason": "TIMEOUT"})]


@pytest.mark.parametrize("feature", [TYPING, LOCATION])
def test_a_clients_datagrams_are_signs_of_life(bob, feature):
    link = bob.connect(feature)
    end = time.monotonic() + 3 * PING_TIMEOUT

    def spoke_long_enough():
        if feature == TYPING:
            bob.send_typing()
        else:
            bob.send_location({"user": bob.user}, 1.0, 2.0)
        return time.monotonic() >= end

    wait_until(spoke_long_enough)
    assert "PING" not in [each.name for each in bob.received]
    bob.wait_frame("PING")
    assert not link.closed


def test_a_node_that_stops_hangs_up_on_every_feature(bob, gamma):
    """The last test here: the node is gone after it."""
    for feature in (MESSAGES, TYPING, LOCATION):
        bob.connect(feature)
    links = list(bob.links)
    gamma.stop()
    bob.wait_for(lambda: all(link.closed for link in links))
    hung_up = {each.link: each.fields for each in bob.received if each.name == "HANGUP"}
    assert [hung_up.get(link) for link in links] == [{"reason": "EXIT"}] * 3
