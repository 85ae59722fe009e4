"""An invitation's text: to copy, to print, or as a QR code.

    parley1 + base32 of: version, federation (32), secret (20), number (8), expiry (5), addresses, checksum (4)

The federation is the hash of its authority's key, so the joiner checks whom it tells the secret. The expiry is for
people: the inviter says whether a token is good, since the joiner's clock may be wrong.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from typing import Final

from parley.shared.trust.federation.authority import ID
from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.signed_bytes import signed_bytes

PREFIX: Final = "parley1"
SECRET: Final = 20
"""Bytes of a secret."""
ADDRESSES: Final = 4
"""Addresses in a token at most."""
ADDRESS: Final = 128
"""Bytes of an address at most."""
MOST: Final = 1200
"""Characters of a token at most, with those that are left out."""
_CHECK: Final = 4
_FIXED: Final = 1 + ID + SECRET + 8 + 5 + 1


@dataclass(frozen=True, slots=True)
class Token:
    """An invitation, as the joiner gets it."""

    federation: bytes
    secret: bytes
    number: int
    """Of the newest list when it was made: the joiner believes no lower one."""
    expires: int
    """Seconds since 1970 by the inviter's clock, for people."""
    addresses: tuple[str, ...] = ()
    """HOST:PORT of the inviter's; none: it is looked for on the network."""

    def __repr__(self) -> str:
        return f"<Token of number {self.number}>"

    def text(self) -> str:
        """The text, in small letters; in capitals it is the same."""
        parts = [b"\x01", self.federation, self.secret, self.number.to_bytes(8, "big")]
        parts += [self.expires.to_bytes(5, "big"), bytes([len(self.addresses)])]
        for address in self.addresses:
            encoded = address.encode()
            parts += [bytes([len(encoded)]), encoded]
        body = b"".join(parts)
        return PREFIX + _coded(body + _check(body)).lower()


def make_token(federation: bytes, number: int, expires: float, addresses: tuple[str, ...] = ()) -> Token:
    """A token with a new secret. FederationRefused("malformed") for addresses that are too long or too many."""
    if len(addresses) > ADDRESSES or any(not 0 < len(one.encode()) <= ADDRESS for one in addresses):
        raise FederationRefused("malformed", f"a token has {ADDRESSES} addresses of {ADDRESS} bytes at most")
    return Token(federation, secrets.token_bytes(SECRET), number, min(int(expires), (1 << 40) - 1), addresses)


def read_token(text: str) -> Token:
    """A token from its text, in any case and with any gaps. FederationRefused("malformed") for what is none."""
    if len(text) > MOST:
        raise _malformed()
    compact = "".join(text.split()).lower()
    if not compact.startswith(PREFIX):
        raise _malformed()
    coded = compact.removeprefix(PREFIX).upper()
    try:
        raw = base64.b32decode(coded + "=" * (-len(coded) % 8))
    except (binascii.Error, ValueError):
        raise _malformed() from None
    if _coded(raw) != coded:  # the last character has bits that stand for nothing
        raise _malformed()
    body, check = raw[:-_CHECK], raw[-_CHECK:]
    if len(body) < _FIXED or check != _check(body) or body[0] != 1:
        raise _malformed()
    return Token(
        body[1 : 1 + ID],
        body[1 + ID : 1 + ID + SECRET],
        int.from_bytes(body[_FIXED - 14 : _FIXED - 6], "big"),
        int.from_bytes(body[_FIXED - 6 : _FIXED - 1], "big"),
        _addresses(body[_FIXED - 1], body[_FIXED:]),
    )


def _addresses(count: int, rest: bytes) -> tuple[str, ...]:
    """The addresses at the end of a token."""
    found = []
    for _ in range(min(count, ADDRESSES)):
        length, rest = (rest[0], rest[1:]) if rest else (0, b"")
        found.append(rest[:length].decode("utf-8", "replace"))
        rest = rest[length:]
    return tuple(one for one in found if one)


def digest_of(federation: bytes, secret: bytes) -> bytes:
    """The hash of a secret: all that the inviter keeps of it."""
    return hashlib.sha256(signed_bytes("parley/federation/secret/1", federation, secret)).digest()


def _coded(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=")


def _check(body: bytes) -> bytes:
    """Tells a slip of the pen; it proves nothing."""
    return hashlib.sha256(body).digest()[:_CHECK]


def _malformed() -> FederationRefused:
    return FederationRefused("malformed", "that is no invitation: it begins with parley1, and has to be whole")
