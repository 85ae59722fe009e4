"""Pairing by a spoken code: two keys come to know each other by 8 characters that people carry over.

One side shows a code and waits (`Offer`); a person enters it at the other side (`Entry`). SPAKE2 (RFC 9382, with
Ed25519's group) makes a common secret of it, and each attempt tests one code and no more: whoever is between, or
has recorded all, learns nothing about the code.

    entry → offer    its name, its key, an element
    offer → entry    its name, its key, an element, a confirmation
    entry → offer    a confirmation

Each confirmation is an HMAC over the purpose, both names, both keys and both elements: exactly these
keys met. That each side holds its key is proven elsewhere, by the link's proofs.

An exchange costs each side about 20 ms of a processor (`spake2` is plain Python): an Offer answers TRIES times, and
never after SECONDS, so strangers cannot spend more of it. Its arithmetic takes a time that depends on the code,
which is good for one exchange and two minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from parley.shared.errors import ParleyError
from parley.shared.trust.keys import KEY
from parley.shared.trust.signed_bytes import signed_bytes

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""The 32 characters of a code (Crockford's base32): without I, L, O and U."""
_HEARD_AS: Final = str.maketrans("OILU", "011V")
"""A letter that no code has, and the character that it was taken for."""
CHARACTERS: Final = 8
"""Characters of a code: 40 bits."""
SECONDS: Final = 120.0
"""For how long a code is good, in running time."""
TRIES: Final = 3
"""Exchanges that a code is good for."""
ELEMENT: Final = 33
"""Bytes of an element: the side, and a point of the curve."""
CONFIRMATION: Final = 32
"""Bytes of a confirmation."""
MOST_NAME: Final = 512
"""Bytes of a name that takes part."""


class PairingRefused(ParleyError):
    """No pairing: `reason` is malformed, wrong_code, expired or tries."""

    reason = "pairing"

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Party:
    """One of both sides: a name and the key that is to be known for it."""

    name: str
    """serverId, or USER@SERVER."""
    key: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of the side that shows the code."""

    element: bytes
    confirmation: bytes


@dataclass(frozen=True, slots=True)
class _Confirmations:
    """Both sides' confirmations, and the secret of this exchange for whatever is sent next (32 bytes)."""

    offer: bytes
    entry: bytes
    secret: bytes


def make_code() -> str:
    """A new code, as it is shown: `4KX9-7QMT`."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(CHARACTERS))
    return f"{code[:4]}-{code[4:]}"


def read_code(text: str) -> str:
    """The 8 characters of a code as people type them: any case, any gaps, O for 0, I and L for 1, U for V.

    PairingRefused("malformed") where it is no code.
    """
    code = "".join(c for c in text[:64].upper().translate(_HEARD_AS) if c not in " -_.\t\r\n")
    if len(code) != CHARACTERS or any(c not in ALPHABET for c in code):
        raise PairingRefused("malformed", f"a code has {CHARACTERS} letters and digits, as in 4KX9-7QMT")
    return code


class Offer:
    """The side that shows a code. Times are running time in seconds (CLOCK_BOOTTIME), never of day."""

    def __init__(self, purpose: str, own: Party, now: float, code: str = "") -> None:
        """`purpose`: the tag of the use, such as `parley/federation`; a code is good for one purpose only."""
        self.code = code or make_code()
        self._purpose = purpose
        self._own = own
        self._until = now + SECONDS
        self._tries = TRIES
        self._asked: Party | None = None
        self._expected: _Confirmations | None = None

    def __repr__(self) -> str:
        return f"<Offer of {self._own.name}: {self._tries} tries left>"

    def seconds_left(self, now: float) -> float:
        """For how long the code is good still; 0: no longer, or no tries are left."""
        return max(0.0, self._until - now) if self._tries else 0.0

    def answer(self, other: Party, element: bytes, now: float) -> Answer:
        """Answer an entry; it uses up a try. PairingRefused: malformed, expired or tries."""
        if now >= self._until:
            raise PairingRefused("expired", f"the code was good for {SECONDS:.0f} s")
        if not self._tries:
            raise PairingRefused("tries", f"the code was good for {TRIES} tries")
        _check(other, element)
        self._tries -= 1
        side = _spake2().SPAKE2_B(read_code(self.code).encode(), idA=b"entry", idB=b"offer")
        own_element = side.start()
        key = _finish(side, element)
        self._asked = other
        self._expected = _confirm(key, self._purpose, self._own, other, own_element, element)
        return Answer(own_element, self._expected.offer)

    def confirm(self, confirmation: bytes) -> tuple[Party, bytes]:
        """The party that entered the right code, and the secret of the exchange; the code is used up.

        PairingRefused("wrong_code") for any other: the next try needs a new exchange.
        """
        asked, expected = self._asked, self._expected
        self._asked = self._expected = None
        if asked is None or expected is None or not hmac.compare_digest(confirmation, expected.entry):
            raise PairingRefused("wrong_code", f"the code is another one ({self._tries} tries are left)")
        self._tries = 0
        return asked, expected.secret


class Entry:
    """The side where the code was entered, for one exchange."""

    def __init__(self, purpose: str, own: Party, code: str) -> None:
        """PairingRefused("malformed") where `code` is none."""
        self._purpose = purpose
        self._own = own
        self._side = _spake2().SPAKE2_A(read_code(code).encode(), idA=b"entry", idB=b"offer")
        self.element: bytes = self._side.start()
        """To send first, with the own name and key."""

    def confirm(self, other: Party, answer: Answer) -> tuple[bytes, bytes]:
        """The confirmation to send, and the secret of the exchange. From here on `other` is known.

        PairingRefused: malformed, or wrong_code, where the other side has another code, or somebody is between.
        """
        _check(other, answer.element)
        key = _finish(self._side, answer.element)
        expected = _confirm(key, self._purpose, other, self._own, answer.element, self.element)
        if not hmac.compare_digest(answer.confirmation, expected.offer):
            raise PairingRefused("wrong_code", "the other side shows another code")
        return expected.entry, expected.secret


def _check(party: Party, element: bytes) -> None:
    name = party.name.encode("utf-8", "surrogatepass")
    if len(element) != ELEMENT or len(party.key) != KEY or not 0 < len(name) <= MOST_NAME:
        raise PairingRefused("malformed", "that is no part of a pairing")


def _spake2() -> Any:
    """The library: to compute its groups takes 40 ms, for which no process waits that pairs nothing."""
    import spake2.ed25519_basic  # noqa: PLC0415

    return spake2


def _finish(side: Any, element: bytes) -> bytes:
    spake2 = _spake2()
    try:
        return bytes(side.finish(element))
    except (spake2.SPAKEError, spake2.ed25519_basic.NotOnCurve, ValueError) as error:
        raise PairingRefused("malformed", "that is no element of a pairing") from error


def _confirm(
    key: bytes, purpose: str, offer: Party, entry: Party, offer_element: bytes, entry_element: bytes
) -> _Confirmations:
    """Both confirmations and the secret, from SPAKE2's key and all that both sides said."""
    said = signed_bytes(
        "parley/pairing/1", purpose, entry.name, entry.key, offer.name, offer.key, entry_element, offer_element
    )
    keys = HKDF(SHA256(), 96, salt=None, info=hashlib.sha256(said).digest()).derive(key)
    offers, entries = (hmac.digest(one, said, "sha256") for one in (keys[:32], keys[32:64]))
    return _Confirmations(offers, entries, keys[64:])
