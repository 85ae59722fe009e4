"""An attacker's connections over TLS, on the same epoll: it dials or is dialled, and reads each frame."""

from __future__ import annotations

import hashlib
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from parley.shared.trust.proofs import Channel, read_hello
from parley.shared.trust_storage.tls_contexts import client_context
from parley.shared.wire.framing import Frame, FrameReader
from parley.shared.wire.messages import decode, pb
from tests.attack.frames import PING
from tests.attack.links import PONG, READ, READS, Link, Place, Poll

MOST_UNSENT: Final = 1 << 20
"""Bytes that wait for the kernel, beyond which no more is encrypted."""

Heard = Callable[[Any, Frame], object]
"""Hears each frame that comes over a connection, HELLO first where it was dialled."""


class SecureLink(Link):
    """One connection over TLS. `heard(link, frame)` gets what comes, once the handshake is over."""

    __slots__ = ("_heard", "_incoming", "_outgoing", "_reader", "_tls", "channel", "is_secured", "tag")

    def __init__(
        self,
        poll: Poll,
        place: Place,
        source: str,
        heard: Heard,
        *,
        taken: socket.socket | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """`taken`, `context`: a connection that somebody dialled, and our certificate. OSError as Link."""
        self._heard = heard
        self.channel: Channel | None = None
        """The dialled side's, as its HELLO has it; of a connection that was taken our own."""
        self.tag: Any = None
        """Whatever an attack has to know of it."""
        self.is_secured = False
        self._reader = FrameReader(1 << 24)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        is_taken = taken is not None
        self._tls = (context or client_context()).wrap_bio(self._incoming, self._outgoing, server_side=is_taken)
        self._shake_hands()
        super().__init__(poll, place, source, self._outgoing.read(), taken=taken)

    @property
    def certificate(self) -> bytes:
        """SHA-256 of the other side's certificate."""
        return hashlib.sha256(self._tls.getpeercert(binary_form=True) or b"").digest()

    def say(self, raw: bytes) -> None:
        """Encrypt and send it, however much waits."""
        if self.is_open and self.is_secured:
            self._tls.write(raw)
            self._push()

    def write(self, block: bytes) -> bool:
        """Whether the block was taken: it is not where much waits already, or nothing is encrypted so far."""
        if not self.is_open or not self.is_secured or len(self._out) > MOST_UNSENT:
            return False
        self.say(block)
        return True

    def _push(self) -> None:
        self._out += self._outgoing.read()
        try:
            with suppress(BlockingIOError):
                del self._out[: self.sock.send(self._out)]
        except OSError:
            self.end()
        else:
            self._watch()

    def _shake_hands(self) -> None:
        with suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            self.is_secured = True

    def _read(self) -> bool:
        """Whether there may be more to come."""
        for _ in range(READS):
            data = self.sock.recv(READ)
            if not data:
                return False
            self.bytes_in += len(data)
            self._incoming.write(data)
            if not self._decrypt():
                return False
            if len(data) < READ:
                break
        return True

    def _decrypt(self) -> bool:
        """Hand on all frames that are whole; whether the connection goes on."""
        try:
            if not self.is_secured:
                self._shake_hands()
                if self._outgoing.pending:
                    self._push()
                if self.is_secured:
                    self._heard(self, SECURED)
            while self.is_secured and self.is_open:
                data = self._tls.read(READ)
                if not data:
                    return False
                self._take(data)
        except ssl.SSLWantReadError:
            return True
        except ssl.SSLError:
            return False
        return True

    def _take(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            if frame.raw == PING:
                self.say(PONG)
            elif frame.name == "HELLO" and self.channel is None:
                self.channel = read_hello(decode(frame, pb.Hello), self.certificate)
                self._heard(self, frame)
            elif self.is_open:
                self._heard(self, frame)


SECURED: Final = Frame("", b" ", 0)
"""Handed on in place of a frame when the handshake is over."""


class Door:
    """A listener of the attacker's: `took` gets each connection that somebody made to it."""

    def __init__(self, poll: Poll, place: Place, took: Callable[[socket.socket], object]) -> None:
        self._poll = poll
        self._took = took
        self.sock = socket.create_server(place, backlog=1024)
        self.sock.setblocking(False)
        self.number = self.sock.fileno()
        poll.add(self, select.EPOLLIN)

    def ready(self, _events: int) -> None:
        """Take all that were made."""
        with suppress(BlockingIOError):
            while True:
                sock, _ = self.sock.accept()
                sock.setblocking(False)
                self._took(sock)

    def end(self) -> None:
        """Listen no more."""
        self._poll.remove(self)
        self.sock.close()
