"""Over TLS all that a link writes goes through the transport: nothing is on the wire that is not encrypted."""

import asyncio
import shutil
import ssl
import subprocess

import pytest
import uvloop

from parley.shared.addresses import User
from parley.shared.link.link import Link
from parley.shared.link.session import Timeouts
from parley.shared.wire.messages import decode, encode, pb

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl is missing: there is no certificate"
)

ADDRESS = "127.0.43.1"
ANN = User("ann", "alpha")
CONNECT = encode("CONNECT_CLIENT", pb.ConnectClient(user=ANN.to_pb()))
MESSAGES = 20
QUIET = 0.002
"""Seconds without a write, after which a plain link's next is written past its transport."""
RECORDS = {20, 21, 22, 23}
"""A TLS record's first byte: ChangeCipherSpec, alert, handshake, data (RFC 8446, section 5.1)."""


class Owner:
    """Lets everybody in; keeps what comes, and tells when there is something new."""

    def __init__(self):
        self.frames = []
        self.news = asyncio.Event()

    def messages_received(self, _link, frames):
        self.frames += frames
        self.news.set()

    def connect_requested(self, link, _identity):
        link.accept()

    def link_opened(self, _link):
        self.news.set()

    def link_writable(self, link):
        pass

    def link_closed(self, link, closed):
        pass

    async def wait(self, until):
        while not until():
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 10)


class Wire:
    """Passes on what comes, and keeps it, by direction."""

    def __init__(self, port):
        self._port = port
        self.bytes = b"", b""
        self._tasks = []

    async def accepted(self, reader, writer):
        there = await asyncio.open_connection(ADDRESS, self._port)
        await asyncio.gather(self._pass(0, reader, there[1]), self._pass(1, there[0], writer))

    async def _pass(self, direction, reader, writer):
        while data := await reader.read(1 << 16):
            self.bytes = tuple(was + data * (at == direction) for at, was in enumerate(self.bytes))
            writer.write(data)
        writer.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate and its key, in files."""
    directory = tmp_path_factory.mktemp("certificate")
    paths = directory / "certificate.pem", directory / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=alpha"
    subprocess.run(
        [*command.split(), "-addext", f"subjectAltName=IP:{ADDRESS}", "-out", paths[0], "-keyout", paths[1]],
        check=True,
        capture_output=True,
    )
    return paths


def new_link(owner, hello=None):
    return Link(owner, timeouts=Timeouts(10.0, 300.0), limit=1 << 16, hello=hello)


async def talk(certificate):
    """Both sides write each of their messages after a quiet moment; what came, and what was on the wire."""
    loop = asyncio.get_running_loop()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours = ssl.create_default_context(cafile=certificate[0])
    theirs.load_cert_chain(*certificate)
    here, there = Owner(), Owner()
    accepted = new_link(there)
    server = await loop.create_server(lambda: accepted, ADDRESS, 0, ssl=theirs)
    wire = Wire(server.sockets[0].getsockname()[1])
    relay = await asyncio.start_server(wire.accepted, ADDRESS, 0)
    port = relay.sockets[0].getsockname()[1]
    _, dialled = await loop.create_connection(lambda: new_link(here, CONNECT), ADDRESS, port, ssl=ours)
    await here.wait(lambda: dialled.is_open)
    for number in range(1, MESSAGES + 1):
        for link, owner in ((dialled, there), (accepted, here)):
            await asyncio.sleep(QUIET)
            link.send(encode("MESSAGE", pb.ChatMessage(messageSnowflake=number, textContent="in the clear")))
            await owner.wait(lambda owner=owner, number=number: len(owner.frames) >= number)
    server.close()
    relay.close()
    for link in (dialled, accepted):
        link.hang_up()
    await asyncio.gather(dialled.disconnected, accepted.disconnected)
    return [owner.frames for owner in (here, there)], wire.bytes


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_frames_arrive_over_tls_and_nothing_of_them_is_on_the_wire(certificate, new_loop):
    with asyncio.Runner(loop_factory=new_loop) as runner:
        came, wire = runner.run(talk(certificate))
    for frames in came:
        assert [decode(frame, pb.ChatMessage).messageSnowflake for frame in frames] == [*range(1, MESSAGES + 1)]
    for data in wire:
        assert b"MESSAGE" not in data
        assert b"in the clear" not in data
        at = 0
        while at < len(data):
            assert data[at] in RECORDS
            at += 5 + int.from_bytes(data[at + 3 : at + 5], "big")
