"""A real node whom somebody opens more connections to than they need: of TCP and of HTTP."""

import contextlib
import http.client
import socket
import time

import pytest

from parley.shared.http.server import HEAD, PER_ADDRESS
from parley.shared.limits.connections import OF_USER, UNCONNECTED
from parley.shared.wire.messages import encode, pb
from tests.support.nodes import COUNTED, HTTP_PORTS, Node, wait_until

ADDRESS, ATTACKER, HONEST = "127.0.71.1", "127.0.71.2", "127.0.71.3"
CHAT = 6666


class SmallNode(Node):
    """A node with few descriptors."""

    def command_of(self, service):
        return ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh", *super().command_of(service)]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node("alpha", ADDRESS, tmp_path_factory.mktemp("node"), ("discovery", "chat"), COUNTED) as alpha:
        yield alpha


def dial(port, source, timeout=5.0):
    return socket.create_connection((ADDRESS, port), timeout, (source, 0))


def connect(source, name):
    """A client of the protocol that is let in; its socket."""
    sock = dial(CHAT, source)
    sock.sendall(encode("CONNECT_CLIENT", pb.ConnectClient(user=pb.User(userId=name, serverId="alpha"))))
    assert sock.recv(4096).startswith(b"CONNECTED ")
    return sock


def test_silent_connections_of_an_address_are_given_up_and_others_are_let_in(node):
    with contextlib.ExitStack() as stack:
        for _ in range(3 * UNCONNECTED):
            stack.enter_context(dial(CHAT, ATTACKER))
        stack.enter_context(connect(ATTACKER, "ann"))  # whoever says who they are is let in, from there too
        stack.enter_context(connect(HONEST, "bob"))
        wait_until(lambda: node.metrics("chat").value("parley_connections_unconnected") <= UNCONNECTED)
        assert (
            node.metrics("chat").value("parley_limited_total", what="connections", where="listener") >= UNCONNECTED
        )
        stack.enter_context(connect(HONEST, "bea"))


def test_a_thousand_behind_one_address_who_come_at_once_are_all_let_in(node):
    before = node.metrics("chat").value("parley_limited_total", what="connections", where="listener")
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(dial(CHAT, HONEST, 15.0)) for _ in range(500)]
        for number, sock in enumerate(socks):
            user = pb.User(userId=f"user{number}", serverId="alpha")
            sock.sendall(encode("CONNECT_CLIENT", pb.ConnectClient(user=user)))
        assert all(sock.recv(4096).startswith(b"CONNECTED ") for sock in socks)
        assert node.metrics("chat").value("parley_limited_total", what="connections", where="listener") == before


def test_a_user_has_so_many_clients_and_no_more_while_they_are_heard(node):
    hello = encode("CONNECT_CLIENT", pb.ConnectClient(user=pb.User(userId="many", serverId="alpha")))
    refused = encode("CONNECTED", pb.ConnectResponse(result=pb.ConnectResponse.UNKNOWN_ERROR))
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(dial(CHAT, ATTACKER)) for _ in range(OF_USER + 1)]
        *others, last = socks
        for sock in others:
            sock.sendall(hello)
            assert sock.recv(4096) != refused
        last.sendall(hello)
        assert last.recv(4096) == refused
        assert node.metrics("chat").value("parley_limited_total", what="connections", where="roster") == 1
        others[0].close()
        wait_until(lambda: node.metrics("chat").value("parley_subscribers") < OF_USER)
        last.sendall(hello)
        assert last.recv(4096) != refused


@pytest.mark.usefixtures("node")
def test_strangers_who_say_to_be_a_user_keep_them_not_out():
    with contextlib.ExitStack() as stack:
        strangers = [stack.enter_context(connect(ATTACKER, "bess")) for _ in range(OF_USER)]
        bess = stack.enter_context(connect(HONEST, "bess"))
        strangers[-1].settimeout(5.0)
        assert strangers[-1].recv(4096).startswith(b"HANGUP ")
        again = stack.enter_context(dial(CHAT, ATTACKER))
        again.sendall(encode("CONNECT_CLIENT", pb.ConnectClient(user=pb.User(userId="bess", serverId="alpha"))))
        assert again.recv(4096) == encode("CONNECTED", pb.ConnectResponse(result=pb.ConnectResponse.UNKNOWN_ERROR))
        bess.sendall(b"PING 0 \n")
        assert bess.recv(4096) == b"PONG 0 \n"


@pytest.mark.usefixtures("node")
def test_half_a_request_has_an_end_however_slowly_it_goes_on():
    with dial(HTTP_PORTS["chat"], ATTACKER, 2 * HEAD) as sock:
        began = time.monotonic()
        for byte in b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 1000:
            try:
                sock.sendall(bytes([byte]))
                sock.settimeout(0.25)
                if sock.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert HEAD - 0.5 < time.monotonic() - began < HEAD + 5.0


@pytest.mark.usefixtures("node")
def test_idle_browsers_do_not_keep_others_out():
    with contextlib.ExitStack() as stack:
        for _ in range(2 * PER_ADDRESS):
            stack.enter_context(dial(HTTP_PORTS["chat"], ATTACKER))
        one = http.client.HTTPConnection(ADDRESS, HTTP_PORTS["chat"], 5.0, source_address=(ATTACKER, 0))
        one.request("GET", "/healthz")
        assert one.getresponse().status == 200
        one.close()


@pytest.mark.usefixtures("node")
def test_pipelined_pages_hold_up_nobody():
    """65 kB of requests for all metrics held an honest PING for 8 to 23 s."""
    with dial(HTTP_PORTS["chat"], ATTACKER) as sock, connect(HONEST, "eve") as client:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 1800)
        times = []
        for _ in range(50):
            began = time.monotonic()
            client.sendall(encode("PING"))
            assert client.recv(4096).startswith(b"PONG ")
            times.append(time.monotonic() - began)
        assert sorted(times)[len(times) // 2] < 0.1
        assert max(times) < 1.0


def test_used_up_descriptors_cost_the_largest_address_its_newest_and_nobody_else(tmp_path):
    with contextlib.ExitStack() as stack:
        node = stack.enter_context(SmallNode("beta", "127.0.71.4", tmp_path, ("discovery", "chat")))

        def join(source, name):
            sock = stack.enter_context(socket.create_connection(("127.0.71.4", CHAT), 5.0, (source, 0)))
            user = pb.User(userId=name, serverId="beta")
            sock.sendall(encode("CONNECT_CLIENT", pb.ConnectClient(user=user)))
            return sock

        honest = [join(HONEST, f"honest{number}") for number in range(20)]
        assert all(sock.recv(4096).startswith(b"CONNECTED ") for sock in honest)
        for number in range(400):
            join(ATTACKER, f"many{number}")
        wait_until(
            lambda: node.metrics("chat").value("parley_limited_total", what="descriptors", where="listener") > 100
        )
        for sock in honest:
            sock.sendall(encode("PING"))
            assert sock.recv(4096).startswith(b"PONG ")
        assert join(HONEST, "late").recv(4096).startswith(b"CONNECTED ")
