"""The keys of servers, for the status page and /status: in words, how each is known, and what was refused. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache

from parley.shared.names import fold
from parley.shared.trust.keys import fingerprint
from parley.shared.trust.mnemonics import mnemonic
from parley.shared.trust.refusals import Refused
from parley.shared.trust.server_trust import ServerTrust


@dataclass(frozen=True, slots=True)
class ShownKey:
    """One server's key."""

    server_id: str
    mnemonic: str
    fingerprint: str
    """Both empty: the server has no key, and is spoken to in plain."""
    known: str
    """How the key is known: `own`, a value of How, `revoked`, `held in plain`, or `no key`."""
    refused: tuple[str, ...] = ()
    """The refusals of that name: a reason and an address each."""

    def as_json(self) -> dict[str, object]:
        """The same for /status."""
        return asdict(self)


def shown_keys(
    server_id: str, own: bytes, known: ServerTrust, server_ids: Iterable[str], age: float
) -> tuple[ShownKey, ...]:
    """Our own key, and that of each of these servers; then the names that were refused besides."""
    ours = [_shown(server_id, own, "own")] if own else []
    names = {fold(name): name for name in server_ids if fold(name) != fold(server_id)}
    for refused in known.refusals.by_key.values():
        names.setdefault(fold(refused.name), refused.name)
    return (*ours, *(_of(name, known, age) for _, name in sorted(names.items())))


def _of(name: str, known: ServerTrust, age: float) -> ShownKey:
    pin = known.pins.of(name)
    refused = tuple(map(_reason, known.refusals.of(name)))
    if pin is None:
        return _shown(name, b"", "held in plain" if known.plain.is_held(name, age) else "no key", refused)
    return _shown(name, pin.key, "revoked" if pin.key in known.pins.revoked else pin.how.value, refused)


def _shown(name: str, key: bytes, known: str, refused: tuple[str, ...] = ()) -> ShownKey:
    return ShownKey(name, _mnemonic(key), fingerprint(key) if key else "", known, refused)


def _reason(refused: Refused) -> str:
    return f"{refused.what.replace('_', ' ')} from {refused.host}" if refused.host else refused.what


@lru_cache(1024)
def _mnemonic(key: bytes) -> str:
    return mnemonic(key) if key else ""
