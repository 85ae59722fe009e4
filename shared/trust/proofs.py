"""The two proofs of a TLS link, one of each side.

Right after the handshake the acceptor says HELLO; the dialler checks it, and then its CONNECT_SERVER or
CONNECT_CLIENT carries the dialler's proof. Both sign the certificate of this TLS connection, so a relay in the
middle, which needs a certificate of its own, can pass neither on.

    HELLO     parley/accept/1:  SHA-256 of the acceptor's certificate, its serverId, the nonce
    CONNECT   parley/connect/1: role, feature, nonce, SHA-256 of that certificate, the acceptor's key and serverId,
              the dialler's key and name, its instance

The nonce is the acceptor's, new for each connection: a proof is good there and nowhere else, and once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from parley.shared.trust.keys import PrivateKey, is_signed_by
from parley.shared.trust.signed_bytes import signed_bytes
from parley.shared.wire.messages import pb

NONCE: Final = 32
"""Bytes of HELLO's nonce."""
SERVER: Final = "server"
CLIENT: Final = "client"


@dataclass(frozen=True, slots=True)
class Channel:
    """One TLS connection, as both sides see it: what every proof on it is bound to."""

    certificate: bytes
    """SHA-256 of the acceptor's certificate (DER), 32 bytes."""
    nonce: bytes
    """The acceptor's, NONCE bytes."""
    key: bytes
    """The acceptor's identity key."""
    server_id: str
    """The acceptor's serverId."""


@dataclass(frozen=True, slots=True)
class Dialler:
    """The side that dials, as its CONNECT describes it."""

    role: str
    """SERVER or CLIENT."""
    feature: str
    """The feature of the acceptor's that the link is for."""
    name: str
    """serverId, or USER@SERVER."""
    instance: str
    """instanceId; empty: a client."""


def _accept_bytes(certificate: bytes, server_id: str, nonce: bytes) -> bytes:
    return signed_bytes("parley/accept/1", certificate, server_id, nonce)


def _connect_bytes(channel: Channel, dialler: Dialler, key: bytes) -> bytes:
    return signed_bytes(
        "parley/connect/1",
        dialler.role,
        dialler.feature,
        channel.nonce,
        channel.certificate,
        channel.key,
        channel.server_id,
        key,
        dialler.name,
        dialler.instance,
    )


def make_hello(identity: PrivateKey, certificate: bytes, server_id: str) -> tuple[pb.Hello, Channel]:
    """The acceptor's HELLO on a new TLS connection, and the channel that the dialler's proof is to be bound to."""
    nonce = secrets.token_bytes(NONCE)
    signature = identity.sign(_accept_bytes(certificate, server_id, nonce))
    hello = pb.Hello(nonce=nonce, key=identity.public, serverId=server_id, signature=signature)
    return hello, Channel(certificate, nonce, identity.public, server_id)


def read_hello(hello: pb.Hello, certificate: bytes) -> Channel | None:
    """The channel, where the HELLO holds for this certificate; None: it proves nothing.

    It says that the holder of `channel.key` accepted this connection, not whom that key belongs to: pins.py.
    """
    if len(hello.nonce) != NONCE:
        return None
    signed = _accept_bytes(certificate, hello.serverId, hello.nonce)
    if not is_signed_by(hello.key, hello.signature, signed):
        return None
    return Channel(certificate, hello.nonce, hello.key, hello.serverId)


def prove(identity: PrivateKey, channel: Channel, dialler: Dialler) -> pb.KeyProof:
    """The dialler's proof, for its CONNECT on this channel."""
    signature = identity.sign(_connect_bytes(channel, dialler, identity.public))
    return pb.KeyProof(key=identity.public, signature=signature)


def is_proven(proof: pb.KeyProof, channel: Channel, dialler: Dialler) -> bool:
    """Whether the dialler holds the key that it shows, on this channel and for this feature.

    One CONNECT is accepted on a link, so a nonce counts once.
    """
    return is_signed_by(proof.key, proof.signature, _connect_bytes(channel, dialler, proof.key))
