"""An operator's changes of users' names: add, approve, reset, revoke. Pure.

Requests come as JSON over the operator's socket (server.py); where no chat process runs, the command does the same
on the file. A password comes as its hash.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from parley.shared.errors import ConfigError
from parley.shared.names import spell
from parley.shared.printable import harmless
from parley.shared.trust.devices import How
from parley.shared.trust.keys import KEY, fingerprint
from parley.shared.trust.names import Change, Name, approved, changed, reset, revoked, with_password

LONGEST: Final = 255
"""Characters of a userId, and of a hash."""

Key = Annotated[bytes, msgspec.Meta(max_length=KEY)]


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of one name. An empty key: the only one that is meant."""

    action: Literal["add", "approve", "approve_plain", "reset", "revoke"]
    user_id: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST)]
    key: Key = b""
    password: Annotated[str, msgspec.Meta(max_length=LONGEST)] = ""
    """The hash of `add`."""


class UserChanged(msgspec.Struct, frozen=True):
    """The outcome: one sentence for the operator."""

    said: str


def keys_of(name: Name) -> list[bytes]:
    """The keys that a name has: those that own it, then those that claimed it."""
    return [owner.key for owner in name.owners] + [claim.key for claim in name.claims]


def apply(name: Name, request: UserChange, age: float, now: int) -> tuple[Name, str]:
    """The name after the change, and what to say. ConfigError where it cannot be, or changes nothing.

    `age` is that of the users' file, `now` seconds since 1970.
    """
    who = harmless(spell(name.user_id))
    match request.action:
        case "add":
            return _added(name, request.password), f"{who} has that password from now on"
        case "approve":
            key = _to_approve(name, request.key, who)
            return approved(name, key, age, now), f"{who} belongs to the key {fingerprint(key)} from now on"
        case "approve_plain":
            if name.is_owned:
                raise ConfigError(f"{who} belongs to devices already: parley user reset {who} gives it away")
            after = changed(name, Change.NOTE_PLAIN, b"", age, now)
            return after, f"programs without a key may use {who}"
        case "reset":
            if not (name.is_owned or name.claims):
                raise ConfigError(f"{who} belongs to nobody: there is nothing to reset")
            return reset(name), f"{who} is free: whoever comes first has it, and contacts are told"
        case "revoke":
            key = _to_revoke(name, request.key, who)
            return revoked(name, key), f"the key {fingerprint(key)} speaks for {who} no more, for ever"


def _added(name: Name, password: str) -> Name:
    if not password.startswith("$argon2id$"):
        raise ConfigError("that is no hash of a password")
    return with_password(name, password)


def _to_approve(name: Name, key: bytes, who: str) -> bytes:
    waits = [owner.key for owner in name.owners if owner.device.how in (How.CLAIMED, How.RESET)]
    waits += [claim.key for claim in name.claims]
    if key:
        if key in waits:
            return key
        raise ConfigError(f"{who} was used by no key {fingerprint(key)} that waits for approval")
    if len(waits) == 1:
        return waits[0]
    if not waits:
        raise ConfigError(f"no key of {who} waits for approval: parley user list shows the names")
    raise ConfigError(f"{len(waits)} keys used {who}: name one, as parley user list shows them")


def _to_revoke(name: Name, key: bytes, who: str) -> bytes:
    if key in keys_of(name):
        return key
    raise ConfigError(f"{who} has no such key: parley user list shows the names")
