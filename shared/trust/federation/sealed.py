"""The authority's key, with the newest list, sealed with a passphrase: to be kept apart from the machine.

Argon2id (RFC 9106, second choice: 64 MiB) makes a key of the passphrase, ChaCha20-Poly1305 (RFC 8439) seals. The
text names its costs, and nothing that costs more is opened.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from google.protobuf.message import DecodeError

from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.federation.signed_list import BYTES, SignedList
from parley.shared.trust.keys import KEY, PrivateKey
from parley.shared.wire.messages import pb

KIBIBYTES: Final = 64 * 1024
"""Memory of Argon2id."""
ROUNDS: Final = 3
LANES: Final = 4
SHORTEST: Final = 8
"""Characters of a passphrase at least."""
MOST: Final = 2 * BYTES
"""Characters of a sealed text at most."""
BEGIN: Final = "-----BEGIN PARLEY FEDERATION-----"
END: Final = "-----END PARLEY FEDERATION-----"
_TAG: Final = b"parley/federation/sealed/1"


@dataclass(frozen=True, slots=True)
class Export:
    """The content of an export."""

    authority: PrivateKey
    newest: SignedList


def seal(export: Export, passphrase: str) -> str:
    """The text to keep; FederationRefused("passphrase") where the passphrase is too short. About 0.2 s."""
    if len(passphrase) < SHORTEST:
        raise FederationRefused("passphrase", f"a passphrase has {SHORTEST} characters at least")
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    plain = export.authority.private_bytes() + export.newest.message().SerializeToString()
    sealed = ChaCha20Poly1305(_key(passphrase, salt)).encrypt(nonce, plain, _TAG + salt)
    head = {"version": 1, "kdf": "argon2id", "memory": KIBIBYTES, "rounds": ROUNDS, "lanes": LANES}
    body = base64.b64encode(salt + nonce + sealed).decode()
    lines = [body[at : at + 76] for at in range(0, len(body), 76)]
    return "\n".join([BEGIN, json.dumps(head), *lines, END]) + "\n"


def unseal(text: str, passphrase: str) -> Export:
    """The content of a sealed text. FederationRefused: malformed, or passphrase."""
    head, raw = _parts(text)
    if head != {"version": 1, "kdf": "argon2id", "memory": KIBIBYTES, "rounds": ROUNDS, "lanes": LANES}:
        raise FederationRefused("malformed", "that export is of another version")
    salt, nonce, sealed = raw[:16], raw[16:28], raw[28:]
    try:
        plain = ChaCha20Poly1305(_key(passphrase, salt)).decrypt(nonce, sealed, _TAG + salt)
        newest = SignedList.of(pb.FederationList.FromString(plain[KEY:]))
    except InvalidTag:
        raise FederationRefused("passphrase", "the passphrase is another one, or the text was changed") from None
    except DecodeError:
        raise _malformed() from None
    return Export(PrivateKey(plain[:KEY]), newest)


def _parts(text: str) -> tuple[Any, bytes]:
    """The head and the sealed bytes of a text."""
    lines = text[: MOST + 1].strip().splitlines()
    if len(text) > MOST or len(lines) < 4 or (lines[0], lines[-1]) != (BEGIN, END):  # noqa: PLR2004 - the frame
        raise _malformed()
    try:
        head, raw = json.loads(lines[1]), base64.b64decode("".join(lines[2:-1]), validate=True)
    except (ValueError, binascii.Error, RecursionError):
        raise _malformed() from None
    if len(raw) < 16 + 12 + KEY + 16:
        raise _malformed()
    return head, raw


def _key(passphrase: str, salt: bytes) -> bytes:
    secret = passphrase.encode("utf-8", "surrogatepass")
    from argon2.low_level import Type, hash_secret_raw  # noqa: PLC0415 - only a node brings it

    return hash_secret_raw(secret, salt, ROUNDS, KIBIBYTES, LANES, 32, Type.ID)


def _malformed() -> FederationRefused:
    return FederationRefused("malformed", "that is no export of a federation's authority")
