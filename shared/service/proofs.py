"""How two processes of one node prove that they are: both know the secret of the node's data directory. Pure.

The dialler's CONNECT_SERVER has a nonce; the acceptor's CONNECTED has its own, and a proof over both and over what
the two say of themselves; the dialler checks it and answers with its own, PROOF. Until then it is nobody. A proof
is an HMAC-SHA256 with the secret for its key, and names the role: neither side's is good for the other's.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from parley.shared.link.events import Identity
from parley.shared.wire.messages import encode, pb

NONCE: Final = 16
"""Bytes of a nonce."""
EXPECTED: Final = 64
"""Diallers whose proof is awaited at a time; the oldest is given up for one more. A proof takes a millisecond."""
_DOMAIN: Final = b"parley: two processes of one node, 1"

DIALLER: Final = b"dialler"
ACCEPTOR: Final = b"acceptor"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two sides, as it describes itself."""

    server_id: str
    instance_id: str
    nonce: bytes


def prove(secret: bytes, role: bytes, dialler: Side, acceptor: Side) -> bytes:
    """The proof of DIALLER or ACCEPTOR; each part has its length in front, so that none can stand for another."""
    parts = [_DOMAIN, role]
    for side in (dialler, acceptor):
        parts += [side.nonce, side.server_id.encode(), side.instance_id.encode()]
    text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.new(secret, text, hashlib.sha256).digest()


class Dialling:
    """The dialler's half of one handshake. `server_id` and `instance_id` are those of its CONNECT_SERVER."""

    def __init__(self, secret: bytes, server_id: str, instance_id: str) -> None:
        self._secret = secret
        self._me = Side(server_id, instance_id, secrets.token_bytes(NONCE))

    @property
    def nonce(self) -> pb.Proof:
        """For CONNECT_SERVER."""
        return pb.Proof(nonce=self._me.nonce)

    def answer(self, answered: Identity) -> bytes | None:
        """The PROOF frame for who answered; None: it does not know the secret, and so is no process of our node."""
        other = Side(answered.server_id, answered.instance_id, answered.nonce)
        expected = prove(self._secret, ACCEPTOR, self._me, other)
        if len(other.nonce) != NONCE or not hmac.compare_digest(expected, answered.proof):
            return None
        return encode("PROOF", pb.Proof(proof=prove(self._secret, DIALLER, self._me, other)))


class Accepting:
    """The acceptor's half of all its handshakes; each dialler under a key, its link.

    `secret()` is the node's, None where there is none yet. `given_up(key)` hears of a dialler that is waited for no
    longer, because too many others came.
    """

    def __init__(self, secret: Callable[[], bytes | None], given_up: Callable[[object], None]) -> None:
        self._secret = secret
        self._given_up = given_up
        self._expected: dict[object, bytes] = {}
        """The connections of which a proof is awaited, and the proof that each has to give."""

    def challenge(self, key: object, dialler: Identity, server_id: str, instance_id: str) -> pb.Proof | None:
        """The challenge in CONNECTED for this dialler; None: it cannot prove anything, refuse it."""
        secret = self._secret()
        if secret is None or len(dialler.nonce) != NONCE:
            return None
        it = Side(dialler.server_id, dialler.instance_id, dialler.nonce)
        me = Side(server_id, instance_id, secrets.token_bytes(NONCE))
        if len(self._expected) >= EXPECTED:
            oldest = next(iter(self._expected))
            del self._expected[oldest]
            self._given_up(oldest)
        self._expected[key] = prove(secret, DIALLER, it, me)
        return pb.Proof(nonce=me.nonce, proof=prove(secret, ACCEPTOR, it, me))

    def is_expected(self, key: object) -> bool:
        """Whether that dialler's proof is awaited."""
        return key in self._expected

    def check(self, key: object, proof: bytes) -> bool:
        """Whether that is the dialler's proof; it has one try."""
        expected = self._expected.pop(key, None)
        return expected is not None and hmac.compare_digest(expected, proof)

    def forget(self, key: object) -> bool:
        """A link is over, or has waited long enough; whether its proof was still awaited."""
        return self._expected.pop(key, None) is not None
