"""Keys, and programs without one, that were refused a name: for its operator to see, and to accept a key. Pure.

Whoever asks decides what stands here, so it is bounded: EACH keys of a name, MOST in all; the oldest gives way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from parley.shared.names import fold

OTHER_KEY: Final = "other_key"
REVOKED: Final = "revoked"
PLAIN_HELD: Final = "plain_held"
PLAIN_FOR_KEYED: Final = "plain_for_keyed"
BAD_SIGNATURE: Final = "bad_signature"
NO_KEY: Final = "no_key"
STRANGER: Final = "stranger"
WHAT: Final = (OTHER_KEY, REVOKED, PLAIN_HELD, PLAIN_FOR_KEYED, BAD_SIGNATURE, NO_KEY, STRANGER)
"""Every reason: another key than the pinned one; a revoked key; a key for a name that is held in plain; no key for
a name that has one; a signature that does not hold; no key where `security.mode` is `strict`; no member of
the federation there."""
EACH: Final = 4
MOST: Final = 256


@dataclass(frozen=True, slots=True)
class Refused:
    """One key that was refused for a name; the key is empty where there was none."""

    name: str
    key: bytes
    what: str
    """One of WHAT."""
    host: str
    """The address where it was last seen."""
    since: float
    """When it was first refused (seconds since 1970, by this machine's clock: for people only)."""


@dataclass(slots=True)
class Refusals:
    """The refusals that are remembered, in the order in which they were first made."""

    by_key: dict[tuple[str, bytes], Refused] = field(default_factory=dict)
    """(folded name, key) → its refusal."""

    def of(self, name: str) -> list[Refused]:
        """All that was refused that name."""
        folded = fold(name)
        return [refused for (each, _), refused in self.by_key.items() if each == folded]

    def is_known(self, name: str, key: bytes, what: str) -> bool:
        """Whether this refusal was noted before."""
        known = self.by_key.get((fold(name), key))
        return known is not None and known.what == what

    def note(self, refused: Refused) -> list[tuple[str, bytes]]:
        """Remember a refusal; those that give way to it, as their (folded name, key)."""
        folded = fold(refused.name)
        self.by_key[folded, refused.key] = refused
        same = [key for key in self.by_key if key[0] == folded]
        gone = same[: max(0, len(same) - EACH)]
        if not gone and len(self.by_key) > MOST:
            gone = [next(iter(self.by_key))]
        for key in gone:
            del self.by_key[key]
        return gone

    def forget(self, name: str) -> None:
        """Nothing is refused that name any more."""
        folded = fold(name)
        self.by_key = {key: refused for key, refused in self.by_key.items() if key[0] != folded}

    def forget_key(self, key: bytes) -> None:
        """Nothing is to be accepted of that key any more."""
        self.by_key = {each: refused for each, refused in self.by_key.items() if each[1] != key}
