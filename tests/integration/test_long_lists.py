"""A server's list of very many who type, or share where they are: taken in turn with all that others want."""

from contextlib import ExitStack

import pytest

from parley.shared.wire.capabilities import terms
from parley.shared.wire.framing import encode_frame
from parley.shared.wire.messages import encode, pb
from tests.support.attackers import Attack, Honest, described, dialled
from tests.support.nodes import Node

pytestmark = pytest.mark.timed

ADDRESS, ATTACKER, HONEST = "127.0.98.1", "127.0.98.66", "127.0.98.2"
HARM = 0.5
"""Seconds; where a list was taken at once, they were 6."""
ENTRIES = 1 << 20
REJECTED = "parley_frames_rejected_total"
KINDS = {
    "typing": (7777, "TYPING_INDICATOR", "TYPING_EVENTS"),
    "location": (8888, "LIVE_LOCATION", "LIVE_LOCATIONS"),
}


@pytest.fixture(scope="module")
def alpha(tmp_path_factory):
    with Node("alpha", ADDRESS, tmp_path_factory.mktemp("node"), ("discovery", *KINDS)) as node:
        yield node


def linked(port, feature):
    """A connection that says to be a server's, of Parley."""
    sock = dialled(ADDRESS, ATTACKER, port)
    hello = pb.ConnectServer(serverId="mallory", features=[feature], instanceId="ab", terms=terms("alpha"))
    sock.sendall(encode("CONNECT_SERVER", hello))
    assert sock.recv(4096).startswith(b"CONNECTED ")
    return sock


@pytest.mark.parametrize("service", KINDS)
def test_the_longest_list_holds_up_nobody_and_all_of_it_is_looked_at(alpha, service):
    port, feature, name = KINDS[service]
    with ExitStack() as stack:
        honest = Honest(alpha, HONEST, port=port)
        stack.callback(honest.close)
        with Attack([linked(port, feature)], encode_frame(name, b"\x0a\x00" * ENTRIES)):
            waits = honest.round_trips(3.0)
            assert max(waits) < HARM, described(waits)
            alpha.wait_metric(service, ENTRIES, REJECTED, timeout=60.0, reason="foreign_user")
            assert "mallory" in alpha.linked(service)
