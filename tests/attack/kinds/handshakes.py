"""TLS that comes to nothing: handshakes abandoned, silence after them, and certificates without end."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import time
from collections import deque
from functools import cache
from typing import ClassVar, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from parley.shared.discovery.announcements import encode_announcement, our_mark
from parley.shared.trust.certificates import Leaf
from parley.shared.trust_storage.tls_contexts import client_context, server_context
from parley.shared.wire.framing import Frame
from tests.attack.attack import Counter, limited, rejected
from tests.attack.kinds.connections import Churn, Held
from tests.attack.kinds.server_names import ENDPOINTS, Forged
from tests.attack.places import ATTACKER, MESSAGES_PORT
from tests.attack.secure_links import SECURED, Door, SecureLink
from tests.attack.visits import MALLORY

MIB: Final = 1 << 20
RECORD: Final = 16 * 1024
"""Bytes of a record of TLS (RFC 8446, section 5.1)."""
NEVER: Final = Counter("chat", "parley_link_closes_total", (("reason", "handshake_timeout"),))
"""Connections that said who they are in no time."""


def client_hello() -> bytes:
    """The beginning of a handshake, as our clients write it."""
    outgoing = ssl.MemoryBIO()
    tls = client_context().wrap_bio(ssl.MemoryBIO(), outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


class Abandoned(Churn):
    """Handshakes that are begun, answered and left: 10,000 in fifteen seconds."""

    name = "handshakes-abandoned"
    rate = 667.0
    waiting = 100
    seen = (limited("chat", "connections"), NEVER,
            Counter("chat", "parley_link_closes_total", (("reason", "lost"), ("role", "listener"))))  # fmt: skip

    def says(self) -> list[bytes]:
        """A few, one after another."""
        return [client_hello() for _ in range(20)]


class Held10000(Held):
    """10,000 handshakes that are begun, answered and held."""

    name = "handshakes-held"
    most = 10_000
    rate = 667.0
    seen = (limited("chat", "connections"), NEVER)

    def prepare(self) -> None:
        """They say the same."""
        super().prepare()
        self._hello = client_hello()

    def first(self, index: int) -> bytes:  # noqa: ARG002 - the same
        """The beginning."""
        return self._hello


class Mute(Held):
    """Handshakes that are finished, and silence after HELLO; held."""

    name = "handshakes-mute"
    most = 2000
    rate = 100.0
    seen = (limited("chat", "connections"), NEVER)

    def act(self, count: int) -> int:
        """Open as many as are missing."""
        for _ in range(count):
            while self._links and not self._links[0].is_open:
                self._links.popleft()
            if len(self._links) >= self.most:
                self._links.rotate(-1)
            with contextlib.suppress(OSError):
                self._links.append(SecureLink(self.poll, self.place, self.sources[0], _nothing))
                self.taken += 1
        return count


class LongHandshake(Churn):
    """A handshake message of a megabyte, as one with a certificate of that size."""

    name = "handshake-of-a-megabyte"
    rate = 40.0
    waiting = 20
    seen = (rejected("chat", "tls_malformed"), rejected("chat", "tls_flood"), rejected("chat", "tls_alert"))
    kind: ClassVar[int] = 1
    """ClientHello (RFC 8446, section 4)."""

    def says(self) -> list[bytes]:
        """In records of the largest size."""
        body = bytes([self.kind]) + MIB.to_bytes(3, "big") + b"x" * MIB
        parts = [body[at : at + RECORD] for at in range(0, len(body), RECORD)]
        return [b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)]


@cache
def large_leaf() -> Leaf:
    """A certificate with an extension of a megabyte."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mallory")])
    begin = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    begin = begin.serial_number(x509.random_serial_number())
    times = [dt.datetime.fromtimestamp(time.time() + days * 86400, dt.UTC) for days in (-1, 9)]
    begin = begin.not_valid_before(times[0]).not_valid_after(times[1])
    filling = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"x" * MIB)
    certificate = begin.add_extension(filling, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Leaf(certificate.public_bytes(Encoding.PEM), private, b"")


class LargeCertificate(Forged):
    """A server that is dialled, and shows a certificate of a megabyte; it announces itself without end."""

    name = "certificate-of-a-megabyte"
    rate = 50.0
    seen = (rejected("chat", "tls_flood"), rejected("chat", "unproven"), rejected("chat", "tls_malformed"),
            rejected("chat", "tls_alert"), rejected("chat", "tls_broken"))  # fmt: skip
    signer = MALLORY

    def announcement(self, nonce: bytes) -> bytes:
        """As a server with a key."""
        return encode_announcement("mallory", ENDPOINTS, mark=our_mark("1", "large"), nonce=nonce, identity=MALLORY)

    def prepare(self) -> None:
        """Listen."""
        self._context = server_context(large_leaf())
        self._links: deque[SecureLink] = deque(maxlen=100)
        self._door = Door(self.poll, (ATTACKER, MESSAGES_PORT), self._took)
        super().prepare()

    def _took(self, sock: socket.socket) -> None:
        self.answers["dialled"] += 1
        place = ATTACKER, MESSAGES_PORT
        self._links.append(SecureLink(self.poll, place, ATTACKER, self._secured, taken=sock, context=self._context))

    def _secured(self, _link: SecureLink, frame: Frame) -> None:
        if frame is SECURED:
            self.answers["taken for a server"] += 1

    def faults(self) -> list[str]:
        """Whether the certificate was read to its end; or nobody saw it."""
        if count := self.answers["taken for a server"]:
            return [f"{count} handshakes came to an end"]
        return [] if self.answers["dialled"] else ["nobody dialled"]

    def close(self) -> None:
        """Close the listener, too."""
        self._door.end()
        super().close()


def _nothing(_link: SecureLink, _frame: Frame) -> None:
    """Nothing is said."""


KINDS = (Abandoned, Held10000, Mute, LongHandshake, LargeCertificate)
