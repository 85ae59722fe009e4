"""Existing servers that keep dead links: our node is killed, or they are, and they are linked again."""

import json
import socket
import time
from contextlib import ExitStack

import pytest

from tests.interop.programs.linking_server import LinkingServer
from tests.support.nodes import Node, wait_until
from tests.support.plain_server import MESSAGES, TYPING

ALPHA, ONE = "127.0.98.1", "127.0.98.3"
SERVICES = ("discovery", "chat", "typing")
FEATURES = {"chat": MESSAGES, "typing": TYPING}
AGAIN = 10.0
"""Seconds in which two that were linked are linked again."""
MOST_REFUSED = 2
LISTED = {"PARLEY_INTEROP__DIAL": "one"}


@pytest.fixture
def place(tmp_path):
    with ExitStack() as stack:
        yield Place(stack, tmp_path)


class Place:
    """A node and an existing server, which found it."""

    def __init__(self, stack, directory):
        self._stack = stack
        self.alpha = stack.enter_context(Node("alpha", ALPHA, directory, SERVICES))
        self.one = self.begin()
        self.wait_linked()

    def begin(self):
        return self._stack.enter_context(LinkingServer("one", ONE, listen=5.0, enough=1))

    def is_linked(self):
        links = [self.one.working_link("alpha", feature) for feature in FEATURES.values()]
        return all(link is not None and self.one.lives(link) for link in links) and all(
            "one" in self.alpha.linked(service) for service in FEATURES
        )

    def wait_linked(self, seconds=AGAIN):
        wait_until(self.is_linked, seconds, "linked")

    def kill_ours(self, *services):
        """SIGKILL to all, before any of them can say a word."""
        for service in services or SERVICES:
            self.alpha.kill(service)
        for feature in FEATURES.values():
            self.one.wait_for(lambda feature=feature: self.one.working_link("alpha", feature) in self.one._dead)

    def start_ours(self, **settings):
        self.alpha._settings |= settings
        for service in SERVICES:
            if not self.alpha.is_running(service):
                self.alpha.start(service)
        self.alpha.wait_ready()

    def kill_it(self):
        self.one.close(hangup=False)
        self.one = self.begin()

    @property
    def refused(self):
        """The dials that it refused, of servers: those of chat's gateway are test_gateways.py's."""
        return [each for each in self.one.refused if each.name == "CONNECT_SERVER"]

    def ports(self):
        """Those that chat has noted of its links with it."""
        [server] = json.loads(self.file().read_text())["servers"]
        assert server["server_id"] == "one"
        return server["ports"]

    def file(self, service="chat"):
        return self.alpha.directory / "data" / "alpha" / f"{service}.links"


def test_both_are_killed_in_turn_twice_and_linked_again(place, figure):
    for number in (1, 2):
        place.kill_ours()
        began = time.monotonic()
        place.start_ours()
        place.wait_linked()
        figure(f"our node killed, time {number}: linked after {time.monotonic() - began:.1f} s, its start included")
        assert len(place.refused) <= MOST_REFUSED
        place.kill_it()
        began = time.monotonic()
        place.wait_linked()
        figure(f"the other killed, time {number}: linked after {time.monotonic() - began:.1f} s")
        assert len(place.refused) <= MOST_REFUSED
    assert place.alpha.logged("chat", "dead_link_cleared")


def test_one_process_alone_is_killed_and_linked_again(place):
    place.alpha.kill("chat")
    place.alpha.start("chat")
    place.wait_linked()
    assert place.refused == []


def test_a_dead_link_is_cleared_at_the_start_although_nobody_is_dialled_yet(place):
    """Without a discovery process nobody is known; meanwhile the server would write into the dead link."""
    place.kill_ours()
    [dead] = [each for each in place.one._dead if (each.kind, each.feature) == ("server", MESSAGES)]
    place.alpha.start("chat")
    place.one.wait_for(lambda: dead not in place.one._dead)
    assert place.one.working_link("alpha", MESSAGES) is None
    place.start_ours()
    place.wait_linked()
    assert place.refused == []


def test_a_node_that_ends_in_order_leaves_nothing_to_be_cleared(place):
    """Its HANGUP arrives, although its sockets were set to be reset when it is killed."""
    port = place.one.working_link("alpha", MESSAGES).remote[1]
    assert [ALPHA, port, ONE, 6666] in place.ports()
    place.alpha.stop()
    hangups = [each for each in place.one.received if each.name == "HANGUP" and each.link.kind == "server"]
    assert len(hangups) == len(FEATURES)
    assert place.one._dead == {}
    assert place.ports() == []
    place.start_ours()
    place.wait_linked()
    assert place.alpha.logged("chat", "dead_link_cleared") == []


def test_where_the_port_is_taken_it_is_dialled_slowly_until_that_is_free(place):
    port = place.one.working_link("alpha", MESSAGES).remote
    place.kill_ours()
    with socket.socket() as other:
        other.bind(port)
        place.start_ours()
        place.one.wait_for(lambda: place.refused)
        first = place.refused[0].at
        wait_until(lambda: time.monotonic() > first + 8.0)
        assert len(place.refused) == MOST_REFUSED
        assert "one" in place.alpha.linked("typing")
        assert "one" not in place.alpha.linked("chat")
        assert place.alpha.metrics("chat").value("parley_connects_total", result="refused") == MOST_REFUSED
    place.wait_linked()
    assert len(place.refused) == MOST_REFUSED


@pytest.mark.parametrize("damage", [b"", b"{", b'{"servers": 7}', b'{"servers": [{"server_id": "one"}]}'])
def test_a_damaged_file_is_ignored_with_a_line(place, damage):
    place.kill_ours()
    place.file().write_bytes(damage)
    place.start_ours(**LISTED)
    place.one.wait_for(lambda: len(place.refused) == MOST_REFUSED)
    [line] = place.alpha.logged("chat", "source_ports_ignored")
    assert line["path"].endswith("alpha/chat.links")
    assert {each.feature for each in place.refused} == {MESSAGES}
    wait_until(lambda: "one" in place.alpha.linked("typing"))
