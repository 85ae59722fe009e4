"""The security of a link, on either side: who is expected, what is shown, and which bytes come first.

    side        what a link is given   it does
    dials       Credentials            TLS at once; checks the acceptor's HELLO; then makes our CONNECT
    accepts     Acceptor               looks at the first byte; TLS, or plain where that is allowed; then says HELLO

A link without either is plain, as existing programs know it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from parley.shared.errors import InsecureLink, PeerUnproven
from parley.shared.link.secure_transport import SecureTransport
from parley.shared.trust.assurance import Assurance, Basis
from parley.shared.trust.certificates import MOST, digest_of
from parley.shared.trust.keys import PrivateKey, fingerprint
from parley.shared.trust.proofs import Channel, Dialler, prove, read_hello
from parley.shared.trust_storage.tls_contexts import client_context
from parley.shared.wire.framing import TLS
from parley.shared.wire.messages import encode, pb

if TYPE_CHECKING:
    from parley.shared.link.link import Link


# The side that dials -----------------------------------------------------------------------------------


class Expects(Protocol):
    """The judge of an acceptor."""

    def __call__(self, channel: Channel, /) -> Assurance:
        """How we know the acceptor, which proved to hold `channel.key`. PeerUnproven where it is not the one."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """The result of a HELLO that holds."""

    channel: Channel
    assurance: Assurance
    connect: bytes
    """Our CONNECT frame."""


def _nothing(_channel: Channel, _shown: pb.Membership) -> None:
    """Most diallers are in no federation."""


class Credentials:
    """The dialling side's: the acceptor that is expected, and our own key."""

    def __init__(
        self,
        connect: pb.ConnectServer | pb.ConnectClient,
        dialler: Dialler,
        expects: Expects,
        identity: PrivateKey | None = None,
        introduced: Callable[[Channel, pb.Membership], None] = _nothing,
    ) -> None:
        """`connect` is our CONNECT without a proof; `identity`: our key; None: we prove nothing of ourselves.

        `introduced` hears of the place in a federation that the acceptor shows, before it is judged.
        """
        self._introduced = introduced
        self._connect = connect
        self._dialler = dialler
        self._expects = expects
        self._identity = identity

    def protocol(self, link: Link) -> asyncio.Protocol:
        """The protocol of the connection."""
        return SecureTransport(link, client_context())

    def greeted(self, transport: SecureTransport, hello: pb.Hello) -> Greeting:
        """Check a HELLO. PeerUnproven: it does not hold, or is not of the one that is expected."""
        certificate = transport.peer_certificate()
        if not 0 < len(certificate) <= MOST:
            raise PeerUnproven(f"its certificate has {len(certificate)} bytes")
        channel = read_hello(hello, digest_of(certificate))
        if channel is None:
            raise PeerUnproven("its HELLO does not hold for this connection: somebody is in between")
        if hello.HasField("membership"):
            self._introduced(channel, hello.membership)
        assurance = self._expects(channel)
        return Greeting(channel, assurance, self._proven(channel))

    def _proven(self, channel: Channel) -> bytes:
        name = "CONNECT_SERVER" if isinstance(self._connect, pb.ConnectServer) else "CONNECT_CLIENT"
        if self._identity is not None:
            self._connect.identity.CopyFrom(prove(self._identity, channel, self._dialler))
        return encode(name, self._connect)


def expect_key(key: bytes, basis: Basis) -> Expects:
    """Expect the acceptor that holds this key."""

    def expects(channel: Channel) -> Assurance:
        if channel.key != key:
            raise PeerUnproven(f"it has the key {fingerprint(channel.key)}, and not {fingerprint(key)}")
        return Assurance(basis, channel.key)

    return expects


# The side that accepts -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Certified:
    """The certificate of now."""

    context: ssl.SSLContext
    certificate: bytes
    """SHA-256 of its DER."""


class Greeter(Protocol):
    """The key that an acceptor shows."""

    @property
    def certified(self) -> Certified | None:
        """The certificate of now; None: there is no key, and so no TLS."""

    def greet(self, certificate: bytes) -> tuple[pb.Hello, Channel]:
        """HELLO for a new connection with that certificate."""


class Acceptor:
    """The accepting side's: its certificate, and whether plain is allowed."""

    def __init__(self, greeter: Greeter, *, allows_plain: bool) -> None:
        self._greeter = greeter
        self.allows_plain = allows_plain

    def protocol(self, link: Link) -> asyncio.Protocol:
        """The protocol of the connection until its first byte."""
        return FirstByte(link, self)

    def encrypt(self, link: Link) -> SecureTransport | None:
        """The TLS for a link; None: there is no key."""
        certified = self._greeter.certified
        return SecureTransport(link, certified.context, certified.certificate) if certified is not None else None

    def greet(self, transport: SecureTransport) -> tuple[bytes, Channel]:
        """Our HELLO, and the channel that the dialler's proof is to be bound to."""
        hello, channel = self._greeter.greet(transport.certificate)
        return encode("HELLO", hello), channel


class FirstByte(asyncio.Protocol):
    """An accepted connection until its first byte tells whether it is TLS."""

    __slots__ = ("_acceptor", "_link", "_transport")

    def __init__(self, link: Link, acceptor: Acceptor) -> None:
        self._link = link
        self._acceptor = acceptor

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The link's timers and limits begin."""
        self._transport = transport
        self._link.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Decide, and be in nobody's way from then on."""
        link, transport = self._link, self._transport
        secure = self._acceptor.encrypt(link) if data[0] == TLS else None
        if secure is not None:
            secure.attach(transport, is_paused=link.is_pausing)
            link.encrypt(secure)
            transport.set_protocol(secure)
            secure.data_received(data)
            return
        transport.set_protocol(link)
        if self._acceptor.allows_plain:
            link.data_received(data)
        else:
            link.insecure(InsecureLink("plain programs are not let in: security.mode is strict", "plain_refused"))

    def pause_writing(self) -> None:
        """The buffer is full."""
        self._link.pause_writing()

    def resume_writing(self) -> None:
        """It has room again."""
        self._link.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody said anything."""
        self._link.connection_lost(exc)
