"""Packets are smaller where a link stalled: which size, for whom, for how long; and a dial that asks for it."""

import asyncio
import socket

import pytest

from parley.shared.addresses import Endpoint
from parley.shared.errors import PeerUnreachable
from parley.shared.link.link import Link
from parley.shared.link.session import Timeouts
from parley.shared.peering.connector import dial
from parley.shared.sockets import tcp
from parley.shared.sockets.segments import ADDRESSES, REMEMBERED, SIZES, Segments, may_have_stalled


def test_each_stall_makes_the_next_segments_smaller_and_an_hour_without_one_makes_them_whole():
    segments = Segments()
    sizes = [segments.largest("10.0.0.2", 0.0)]
    for now in range(3):
        segments.stalled("10.0.0.2", float(now))
        sizes.append(segments.largest("10.0.0.2", float(now)))
    assert sizes == [None, 1200, 536, 536]
    assert segments.largest("10.0.0.3", 2.0) is None
    assert segments.largest("10.0.0.2", 1.0 + REMEMBERED) == 536
    assert segments.largest("10.0.0.2", 2.0 + REMEMBERED) is None


def test_addresses_are_bounded_and_the_longest_known_is_forgotten():
    segments = Segments()
    for number in range(2 * ADDRESSES):
        segments.stalled(number, 0.0)
    assert len(segments) == ADDRESSES
    assert segments.largest(0, 0.0) is None
    assert segments.largest(2 * ADDRESSES - 1, 0.0) == SIZES[0]


def test_a_link_that_only_lost_its_other_side_did_not_stall():
    assert may_have_stalled(60_000, by_us=False)
    assert may_have_stalled(60_000, by_us=True)
    assert may_have_stalled(0, by_us=True)  # its machine has our PING, and what it sends does not come
    assert not may_have_stalled(7, by_us=True)  # a PING that went nowhere
    assert not may_have_stalled(0, by_us=False)


class Owner:
    """Opens what it dials; nobody answers, and so nothing else happens."""

    def link_closed(self, link, closed):
        pass


def test_a_dial_to_where_a_link_stalled_says_how_much_a_packet_may_carry():
    """Both sides keep to it: it stands in the handshake."""

    async def story():
        loop = asyncio.get_running_loop()
        sizes = []

        class Accepted(asyncio.Protocol):
            def connection_made(self, transport):
                sock = transport.get_extra_info("socket")
                sizes.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))
                transport.close()

        server = await loop.create_server(Accepted, "127.0.0.1", 0)
        place = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        for _ in range(3):
            timeouts = Timeouts(5.0, 5.0)
            link = Link(Owner(), timeouts=timeouts, limit=1000, hello=b"PING 0 \n")
            with pytest.raises(PeerUnreachable, match="closed"):
                await dial(lambda link=link: link, place, local_host="127.0.0.1", timeout=5.0)
            tcp.segments_of(loop).stalled("127.0.0.1", loop.time())
        server.close()
        return sizes

    before, after, last = asyncio.run(story())
    assert before > 1200 >= after > 1100
    assert last <= 536


def test_a_socket_gives_up_what_does_not_arrive_for_a_minute_and_its_packets_may_be_cut_where_one_stalled():
    async def story():
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            tcp.prepare(sock, loop, "10.0.0.2")
            first = sock.getsockopt(socket.IPPROTO_IP, 10)
            tcp.segments_of(loop).stalled("10.0.0.2", loop.time())
            tcp.prepare(sock, loop, "10.0.0.2")
            return (
                sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
                first,
                sock.getsockopt(socket.IPPROTO_IP, 10),
            )

    timeout, first, then = asyncio.run(story())
    assert timeout == 60_000
    assert first != 0
    assert then == 0
