"""The one answer to "who is this, and how do we know": services ask for it and for nothing else of trust."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Basis(Enum):
    """How we know who is at the other end, from nothing to most; the value is what people read."""

    PLAIN = "plain"
    """Nothing was proven, and anybody between may read: an existing program, or mode `open`."""
    ENCRYPTED = "encrypted"
    """TLS, but the other side proved no key of its own."""
    SHARED = "shared"
    """It proved a key, for a name that a plain program has used lately, too: both are let in."""
    SEEN = "seen"
    """It proved the key that was the first to be seen with this name."""
    SESSION = "session"
    """It showed a session token of its home server's, or gave the password."""
    INVITED = "invited"
    """It proved the key that came with an invitation, or that the federation's list has."""
    APPROVED = "approved"
    """It proved a key that people compared and approved, or that an earlier device confirmed."""
    OWN = "own"
    """It is a process of this node."""


_FOR_PEOPLE: Final = {
    Basis.PLAIN: "plain",
    Basis.ENCRYPTED: "encrypted, no key",
    Basis.SHARED: "encrypted, shared name",
    Basis.SEEN: "encrypted, key seen first",
    Basis.SESSION: "encrypted, session",
    Basis.INVITED: "encrypted, invited",
    Basis.APPROVED: "encrypted, key approved",
    Basis.OWN: "encrypted, this node",
}


@dataclass(frozen=True, slots=True)
class Assurance:
    """The other end of a link, as far as it is proven."""

    basis: Basis = Basis.PLAIN
    key: bytes = b""
    """The key that was proven; empty: none."""
    session: int = 0
    """Of a session: the number of the device list when it began; a new password ends those of lower ones."""

    @property
    def for_people(self) -> str:
        """The same for people, in a table."""
        return _FOR_PEOPLE[self.basis]

    @property
    def is_proven(self) -> bool:
        """Whether a key, a token or a password stands behind the name."""
        return self.basis not in {Basis.PLAIN, Basis.ENCRYPTED}

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody between can read."""
        return self.basis is not Basis.PLAIN


PLAIN: Final = Assurance()
"""Of each link of which nothing else was said."""
ENCRYPTED: Final = Assurance(Basis.ENCRYPTED)
"""Of each link with TLS, until the other side has proven a key."""
