"""Whether somebody who writes is who wrote before, as far as keys and device lists tell. Pure.

A client remembers of each contact the keys that spoke for it, and the number of the newest list in which they did.

| what comes | then |
|---|---|
| a key that is remembered; or a list that still has one of those | nothing: the list's other keys are, too, then |
| a list without them, and its server gave the name away since | FREED where nobody has it now, else GIVEN_AWAY |
| a list without them, whose devices were all confirmed by earlier ones, or came with the password | nothing |
| another list without them: the name was free between, and somebody else came | OTHER_KEY |
| another key that no list has: nobody here knows whose it is | OTHER_KEY |
| a key that was revoked | nothing: that stands beside the message |

Each change is told once: what came is remembered then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from parley.shared.trust.devices import How
from parley.shared.wire.messages import pb

MOST_KEYS: Final = 64
"""Keys of one contact: a list has 32 at most. The first ones are forgotten."""


_PASSED_ON: Final = frozenset({int(How.CONFIRMED), int(How.PASSWORD)})
"""How a device comes to a name that somebody has."""


class KeyChange(Enum):
    """How a contact is another device than before; the value is the word for programs."""

    FREED = "freed"
    """The operator of its server gave the name away, and nobody has it now: whoever comes first."""
    GIVEN_AWAY = "given_away"
    """The same, and another device has it."""
    OTHER_KEY = "other_key"
    """It has another key than before, and nobody says that it was an earlier device's wish."""


@dataclass(frozen=True, slots=True)
class Contact:
    """The keys that spoke for somebody. `number`: of the newest list in which they did; 0: of none."""

    keys: tuple[bytes, ...]
    number: int = 0
    freed: int = 0
    """The number of the list by which it was told that the name is free; 0: it was not."""


def met(key: bytes, devices: pb.DeviceList | None) -> Contact:
    """The contact after its first message, by a device with that key (empty: none), or its first list."""
    if devices is None:
        return Contact((key,))
    keys = _joined(_keys(devices), (key,) if key and key not in devices.revoked else ())
    return Contact(keys, devices.number) if keys else Contact((key,))


def listed(contact: Contact, devices: pb.DeviceList) -> tuple[Contact, KeyChange | None]:
    """The contact after a list that its server signed, and how it is another one then."""
    if devices.number < contact.number:
        return contact, None
    keys = _keys(devices)
    if any(key in contact.keys for key in keys):
        return Contact(_joined(contact.keys, keys), devices.number), None
    is_reset = _is_reset_since(contact, devices)
    if not keys:
        change = KeyChange.FREED if is_reset and contact.freed <= contact.number else None
        return replace(contact, freed=devices.number) if is_reset else contact, change
    if not is_reset and _is_succession(contact, devices):
        return Contact(_joined(contact.keys, keys), devices.number), None
    return Contact(keys, devices.number), KeyChange.GIVEN_AWAY if is_reset else KeyChange.OTHER_KEY


def wrote(contact: Contact, key: bytes, devices: pb.DeviceList | None) -> tuple[Contact, KeyChange | None]:
    """The contact after a message that this key signed; `devices`: the newest list of it that is known."""
    if key in contact.keys:
        return contact, None
    if devices is not None:
        contact, change = listed(contact, devices)
        if change is KeyChange.GIVEN_AWAY or change is KeyChange.OTHER_KEY:
            return replace(contact, keys=_joined(contact.keys, (key,))), change
        if key in contact.keys or key in devices.revoked:
            return contact, change
        if _is_reset_since(contact, devices):
            return Contact((key,), devices.number), KeyChange.GIVEN_AWAY
    return replace(contact, keys=_joined(contact.keys, (key,))), KeyChange.OTHER_KEY


def _keys(devices: pb.DeviceList) -> tuple[bytes, ...]:
    return tuple(device.key for device in devices.devices)


def _joined(keys: tuple[bytes, ...], more: Iterable[bytes]) -> tuple[bytes, ...]:
    return (*keys, *(key for key in more if key not in keys))[-MOST_KEYS:]


def _is_reset_since(contact: Contact, devices: pb.DeviceList) -> bool:
    """Whether sessions of the list that is remembered are over, for a name that its server gave away."""
    return devices.reset and devices.sessionsFrom > contact.number


def _is_succession(contact: Contact, devices: pb.DeviceList) -> bool:
    """Whether the remembered devices were revoked, and others go on: added by a device, or with the password."""
    is_passed_on = all(int(device.how) in _PASSED_ON for device in devices.devices)
    return is_passed_on and any(key in devices.revoked for key in contact.keys)
