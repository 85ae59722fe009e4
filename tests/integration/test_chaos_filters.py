"""The crash test's network faults do what they say, and are gone afterwards."""

import socket

import pytest

from tests.chaos.inside.connections import destroy_all
from tests.chaos.inside.filters import narrow, silent
from tests.support.namespaces import Lan, why_not

MTU = 1200
TIMEOUT = 10.0


@pytest.fixture
def lan():
    if reason := why_not():
        pytest.skip(reason)
    with Lan() as found:
        yield found


@pytest.fixture
def here(lan):
    """A UDP socket at this end of the cable."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((lan.host, 0))
        sock.settimeout(TIMEOUT)
        yield sock


@pytest.fixture
def server(lan):
    """A TCP listener at this end."""
    with socket.create_server((lan.host, 0)) as sock:
        yield sock


@pytest.fixture
def there(lan, here, server):  # noqa: ARG001 - these first: at this end
    """A UDP socket at the other, where the test is from now on."""
    with lan.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((lan.client, 0))
        sock.settimeout(TIMEOUT)
        yield sock


def pass_through(sender, receiver, *sizes):
    """Send datagrams whose packets are of these sizes; the size of the first that comes."""
    for size in sizes:
        sender.sendto(bytes(size - 28), receiver.getsockname())
    return len(receiver.recv(65536)) + 28


def test_a_packet_that_is_too_large_for_the_hole_is_lost_without_a_word(lan, here, there):
    with narrow(lan.cable[1], MTU):
        assert pass_through(there, here, MTU + 1, MTU) == MTU
        assert pass_through(here, there, MTU + 1) == MTU + 1, "only what goes out"
    assert pass_through(there, here, MTU + 1) == MTU + 1


@pytest.mark.usefixtures("there")
def test_small_segments_pass_the_hole_however_they_are_offloaded(lan, server):
    size = 100_000
    with narrow(lan.cable[1], MTU), socket.socket() as sock:
        sock.settimeout(TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, MTU - 60)
        sock.connect(server.getsockname())
        sock.sendall(bytes(size))
        connection, _ = server.accept()
        with connection:
            connection.settimeout(TIMEOUT)
            while size:
                size -= len(connection.recv(65536))


def test_nothing_comes_or_goes_through_a_silent_device(lan, here, there):
    pass_through(there, here, 100)  # what asks for the way there waits, and is not lost
    with silent(lan.cable[1]):
        there.sendto(b"lost", here.getsockname())
        here.sendto(b"lost", there.getsockname())
    there.sendto(b"found", here.getsockname())
    here.sendto(b"found", there.getsockname())
    assert here.recv(16) == there.recv(16) == b"found"


@pytest.mark.usefixtures("there")
def test_every_connection_is_destroyed_and_both_ends_notice(server):
    with socket.create_connection(server.getsockname(), TIMEOUT) as sock:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(TIMEOUT)
            assert destroy_all() == 1
            with pytest.raises(ConnectionError):
                sock.recv(1)
            with pytest.raises(ConnectionError):
                connection.recv(1)
