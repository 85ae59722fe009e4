"""The system's part: a process is killed, and its port is had again or not; HANGUP is said from there."""

import asyncio
import socket
import subprocess
import sys

import pytest

from parley.shared.peering.dead_links import HANGUP, _hang_up_from
from parley.shared.peering.source_ports import Ends
from parley.shared.sockets.tcp import close_in_order, reset_when_killed
from tests.support.namespaces import why_not
from tests.support.nodes import ROOT, TIMEOUT

SERVER, CLIENT = "127.0.98.10", "127.0.98.11"

DIALLER = """
import socket, sys, time
from parley.shared.sockets.tcp import reset_when_killed
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), source_address=(sys.argv[3], 0))
if sys.argv[4] == "guarded":
    reset_when_killed(sock)
if sys.argv[4] == "reused":
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
sock.sendall(b"CONNECT_SERVER 0 \\n")
print(sock.getsockname()[1], flush=True)
time.sleep(60)
"""


class Keeper:
    """A server that keeps what a link of it was, and its socket, when it is dead."""

    def __init__(self):
        self.listener = socket.create_server((SERVER, 0))
        self.listener.settimeout(TIMEOUT)
        self.port = self.listener.getsockname()[1]
        self.kept = []

    def accept(self):
        sock, address = self.listener.accept()
        sock.settimeout(TIMEOUT)
        self.kept.append(sock)
        return sock, address

    def close(self):
        for each in [self.listener, *self.kept]:
            each.close()


@pytest.fixture
def keeper():
    it = Keeper()
    yield it
    it.close()


def killed(keeper, guard):
    """A process that dialled and was killed: its end of the connection, and the server's."""
    command = [sys.executable, "-c", DIALLER, SERVER, str(keeper.port), CLIENT, guard]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        sock, address = keeper.accept()
        assert int(process.stdout.readline()) == address[1]
        assert sock.recv(100).startswith(b"CONNECT_SERVER")
        process.kill()
    return address, sock


def why_not_again(address, keeper):
    """Why nobody can connect from that port to that server now."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.settimeout(TIMEOUT)
        try:
            sock.bind(address)
            sock.connect((SERVER, keeper.port))
        except OSError as error:
            return error.strerror
    return ""


def test_a_connection_that_was_guarded_is_reset_when_its_process_is_killed(keeper):
    address, sock = killed(keeper, "guarded")
    with pytest.raises(ConnectionResetError):
        sock.recv(100)
    assert why_not_again(address, keeper) == ""


def test_without_that_the_system_keeps_the_port(keeper):
    """The other side reads the end of the stream, and as long as it does not close its own the port is taken."""
    address, sock = killed(keeper, "as it is")
    assert sock.recv(100) == b""
    assert why_not_again(address, keeper) == "Address already in use"


WITHOUT_TIMESTAMPS = """
import socket, sys
from tests.integration.test_killed_sockets import Keeper, killed, why_not_again
keeper = Keeper()
address, sock = killed(keeper, sys.argv[1])
try:
    sock.recv(100)
except ConnectionResetError:
    pass
print(why_not_again(address, keeper))
"""


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize(("guard", "why"), [("guarded", ""), ("reused", "Cannot assign requested address")])
def test_so_it_is_where_a_machine_has_no_tcp_timestamps(guard, why):
    """SO_REUSEADDR alone is enough with them, and not without."""
    inside = 'ip link set lo up; echo 0 > /proc/sys/net/ipv4/tcp_timestamps; exec "$@"'
    command = ["unshare", "-n", "sh", "-c", inside, "sh", sys.executable, "-c", WITHOUT_TIMESTAMPS, guard]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=True)
    assert done.stdout.strip() == why


# Links ------------------------------------------------------------------------------------------------

LINK = """
import asyncio, sys
from parley.shared.addresses import Endpoint
from parley.shared.config import Config
from parley.shared.dialects.dialect import DIALECTS, Recognized
from parley.shared.link.link import Link
from parley.shared.link.session import Timeouts
from parley.shared.peering.connector import dial
from parley.shared.peering.dialler import Dialler
from parley.shared.telemetry import logs

async def main():
    def make():
        owner, timeouts = Dialler(Config(), logs.get), Timeouts(10.0, 10.0)
        made = Link(owner, timeouts=timeouts, limit=1 << 20, hello=b"CONNECT_SERVER 0 \\n")
        made.recognize(Recognized(DIALECTS[sys.argv[3]], "a test says so"))
        return made

    link = await dial(make, Endpoint(sys.argv[1], int(sys.argv[2])), local_host="", timeout=10.0)
    await asyncio.to_thread(sys.stdin.readline)
    link.hang_up()
    await link.disconnected

asyncio.run(main())
"""
CONNECTED = b"CONNECTED 2 \x08\x01\n"


def dialled_by_a_link(keeper, dialect):
    """The process of a link that stands, and the server's end of it."""
    process = subprocess.Popen(
        [sys.executable, "-c", LINK, SERVER, str(keeper.port), dialect], cwd=ROOT, stdin=subprocess.PIPE
    )
    sock, _address = keeper.accept()
    assert sock.recv(100) == b"CONNECT_SERVER 0 \n"
    sock.sendall(CONNECTED + b"PING 0 \n")
    assert sock.recv(100) == b"PONG 0 \n", "it stands"
    return process, sock


@pytest.mark.parametrize(("dialect", "is_reset"), [("linking-server", True), ("parley", False)])
def test_a_link_is_reset_by_the_death_of_its_process_where_the_other_side_keeps_dead_ones(
    keeper, dialect, is_reset
):
    process, sock = dialled_by_a_link(keeper, dialect)
    with process:
        process.kill()
    if is_reset:
        with pytest.raises(ConnectionResetError):
            sock.recv(100)
    else:
        assert sock.recv(100) == b""


@pytest.mark.parametrize("dialect", ["linking-server", "parley"])
def test_a_link_that_is_hung_up_ends_in_order(keeper, dialect):
    process, sock = dialled_by_a_link(keeper, dialect)
    process.communicate(b"\n", timeout=TIMEOUT)
    assert process.returncode == 0
    assert [sock.recv(100), sock.recv(100)] == [HANGUP, b""]


# HANGUP from a port ------------------------------------------------------------------------------------


def hang_up_from(address, keeper):
    async def story():
        return await _hang_up_from(Ends(address, (SERVER, keeper.port)))

    return asyncio.run(story())


def test_hangup_comes_from_the_port_of_the_dead_link(keeper):
    address, _dead = killed(keeper, "guarded")
    assert hang_up_from(address, keeper) == ""
    sock, source = keeper.accept()
    assert (source, sock.recv(100), sock.recv(100)) == (address, HANGUP, b"")


def test_a_server_that_is_gone_keeps_nothing(keeper):
    address, _dead = killed(keeper, "guarded")
    keeper.close()
    assert hang_up_from(address, keeper) == ""


def test_a_port_that_another_has_cannot_be_used(keeper):
    address, _dead = killed(keeper, "guarded")
    with socket.socket() as other:
        other.bind(address)
        assert hang_up_from(address, keeper) == "[Errno 98] Address already in use"
    assert hang_up_from(("192.0.2.1", address[1]), keeper) == "[Errno 99] Cannot assign requested address"


def test_what_was_written_arrives_when_a_guarded_connection_is_closed_in_order(keeper):
    with socket.create_connection((SERVER, keeper.port)) as sock:
        reset_when_killed(sock)
        there, _ = keeper.accept()
        sock.sendall(HANGUP * 1000)
        close_in_order(sock)
    read = b""
    while piece := there.recv(1 << 16):
        read += piece
    assert read == HANGUP * 1000
