"""Two links joined over TLS in memory, without a socket: each side's connection is the other's."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

from parley.shared.config import Config, SecurityConfig
from parley.shared.link.credentials import Credentials, expect_key
from parley.shared.link.link import Link
from parley.shared.link.session import Timeouts
from parley.shared.service.node_trust import NodeTrust
from parley.shared.service.server_keys import ServerKeys
from parley.shared.trust.assurance import Basis
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.proofs import SERVER, Dialler
from parley.shared.wire.messages import pb

DIALLER, ACCEPTOR = PrivateKey(b"d" * 32), PrivateKey(b"a" * 32)
ME = Dialler(SERVER, "MESSAGES", "beta", "b1")
LIMIT = 1 << 22


class Owner:
    """Lets in whom its trust finds nothing wrong with, and keeps what it is told."""

    def __init__(self, trust=None):
        self.trust = trust
        self.refused = ""
        self.frames, self.rejected, self.closed = [], [], None
        self.writable_again = 0

    def connect_requested(self, link, identity):
        self.refused = self.trust.assess(link, identity)
        if self.refused:
            link.refuse(pb.ConnectResponse.UNKNOWN_ERROR)
        else:
            link.accept(server_id="alpha", instance_id="a1")

    def link_opened(self, link):
        pass

    def messages_received(self, _link, frames):
        self.frames += [frame.raw for frame in frames]

    def message_rejected(self, _link, reason, _detail):
        self.rejected.append(reason)

    def link_writable(self, _link):
        self.writable_again += 1

    def link_closed(self, _link, closed):
        self.closed = closed


class Raw(asyncio.Transport):
    """One end of a connection; what is written waits until it is carried to the other's protocol."""

    def __init__(self):
        super().__init__()
        self.protocol = None
        self.written = bytearray()
        self.log = bytearray()
        """Everything that was ever written."""
        self.is_closed = self.is_reading = False
        self.high = 0

    def set_protocol(self, protocol):
        self.protocol = protocol

    def write(self, data):
        assert not self.is_closed
        self.written += data
        self.log += data

    def get_write_buffer_size(self):
        return len(self.written)

    def set_write_buffer_limits(self, high=None, low=None):  # noqa: ARG002 - asyncio's
        self.high = high

    def pause_reading(self):
        self.is_reading = False

    def resume_reading(self):
        self.is_reading = True

    def is_closing(self):
        return self.is_closed

    def close(self):
        self.is_closed = True

    abort = close


class KnownInMemory(ServerKeys):
    """Others' keys, and no disk."""

    def open(self, server_id):
        pass


def trust_of(directory, name="alpha", mode="mixed", identity=ACCEPTOR, now=time.time):
    """A node's trust, with a key that tests know."""
    owner = SimpleNamespace(
        config=Config(data_dir=str(directory), security=SecurityConfig(mode=mode)),
        metrics=SimpleNamespace(key_refused=lambda _what: None),
        troubles=SimpleNamespace(note=lambda *_words, **_more: None),
    )
    trust = NodeTrust(owner.config, "MESSAGES", KnownInMemory(owner, lambda _names: None), now)
    if identity is not None and trust.has_keys:
        path = directory / name / "identity"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(identity.private_bytes().hex() + "\n")
    trust.open(name)
    return trust


class Pair:
    """`dialler` and `acceptor`, and the connection between them. Only inside of a running loop."""

    def __init__(self, trust, *, credentials=None, hello=None, is_wanted=lambda: True):
        self.trust = trust
        self.ours, self.theirs = Owner(), Owner(trust)
        if credentials is None and hello is None:
            connect = pb.ConnectServer(serverId="beta", features=["MESSAGES"], instanceId="b1")
            credentials = Credentials(connect, ME, expect_key(ACCEPTOR.public, Basis.SEEN), DIALLER)
        timeouts = Timeouts(10.0, 300.0)
        self.dialler = Link(
            self.ours, timeouts=timeouts, limit=LIMIT, hello=hello, security=credentials, is_wanted=is_wanted
        )
        self.acceptor = Link(self.theirs, timeouts=timeouts, limit=LIMIT, security=trust.acceptor)
        self.ends = {link: Raw() for link in (self.dialler, self.acceptor)}
        for link in (self.acceptor, self.dialler):
            self.ends[link].protocol = link.protocol()
            self.ends[link].protocol.connection_made(self.ends[link])

    def other(self, link):
        return self.acceptor if link is self.dialler else self.dialler

    def carry(self, link, size=None):
        """Take to this link what is on its way, or so many bytes of it."""
        source = self.ends[self.other(link)]
        data = bytes(source.written[:size])
        del source.written[: len(data)]
        if data and not self.ends[link].is_closed:
            self.ends[link].protocol.data_received(data)

    async def settle(self, size=None):
        """Carry everything both ways, so many bytes at a time, until nothing is said any more."""
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0)
            quiet = 0 if any(end.written for end in self.ends.values()) else quiet + 1
            for link in self.ends:
                self.carry(link, size)

    def end(self):
        """The connection is gone."""
        for end in self.ends.values():
            if end.protocol is not None:
                end.protocol.connection_lost(None)
                end.protocol = None
