"""The certificates of TLS: self-made P-256 leaves, each endorsed by the node's identity key, which signs it.

Browsers take no Ed25519 leaf, so the leaf is ECDSA on P-256; its issuer is the identity. What is pinned is the
identity key, never a certificate: a new one in the middle of traffic changes nothing for anybody (RFC 5280).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from parley.shared.trust.keys import PrivateKey, is_signed_by

DAYS: Final = 90
"""Days for which a leaf is made."""
BACKDATED: Final = 2
"""Days that it begins before now: others' clocks are behind. Parleys look at no date; browsers do."""
MOST: Final = 16 * 1024
"""Bytes of a certificate that anybody may send us; ours have about 500."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate and its private key."""

    certificate: bytes
    """PEM."""
    private: bytes
    """PEM, PKCS #8, not encrypted."""
    digest: bytes
    """SHA-256 of the certificate's DER: what HELLO signs."""


def make_leaf(identity: PrivateKey, server_id: str, now: float, hosts: tuple[str, ...] = ()) -> Leaf:
    """A new leaf for a node, valid from BACKDATED days before `now` (seconds since 1970) for DAYS days.

    `hosts`: DNS names for browsers, besides the serverId.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    begin = dt.datetime.fromtimestamp(now, dt.UTC) - dt.timedelta(days=BACKDATED)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, server_id[:64])])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Parley {server_id}"[:64])])
    names = [x509.DNSName(name) for name in (server_id, *hosts) if name.isascii()]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(Ed25519PrivateKey.from_private_bytes(identity.private_bytes()), algorithm=None)
    )
    return Leaf(
        certificate=certificate.public_bytes(Encoding.PEM),
        private=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        digest=digest_of(certificate.public_bytes(Encoding.DER)),
    )


def digest_of(der: bytes) -> bytes:
    """SHA-256 of a certificate's DER, as `tls-server-end-point` has it (RFC 5929)."""
    return hashlib.sha256(der).digest()


def is_endorsed(der: bytes, identity: bytes) -> bool:
    """Whether that identity key signed the certificate. False for what is no certificate."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    except (ValueError, TypeError):
        return False
    return is_signed_by(identity, signature, signed)


def renew_at(leaf_begin: float) -> float:
    """When a leaf that begins then is to be replaced: after two thirds of its days (seconds since 1970)."""
    return leaf_begin + DAYS * 86400 * 2 / 3
