"""Device lists: which keys speak for a user. Data and functions.

A list is signed by the identity key of the user's own server. Each entry says how it came: the first key of a free
name, signed by an earlier device, approved by the operator, after a reset, or with the password. A list's number
only grows: who saw a higher one refuses a lower one for ever, however clocks go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from parley.shared.addresses import User
from parley.shared.trust.keys import KEY, SIGNATURE, PrivateKey, is_signed_by
from parley.shared.trust.signed_bytes import signed_bytes
from parley.shared.wire.messages import pb

MOST: Final = 32
"""Devices of one list that is read; ours have 16 at most."""
LONGEST: Final = 64
"""Characters of a device's name."""
MOST_REVOKED: Final = 32
"""Revoked keys of one list: those that were revoked last."""
EXPIRES: Final = 30 * 86400
"""Seconds for which a list is signed."""


class How(IntEnum):
    """How a key came to be the user's: the numbers of Device.How."""

    CLAIMED = 0
    CONFIRMED = 1
    APPROVED = 2
    RESET = 3
    PASSWORD = 4


@dataclass(frozen=True, slots=True)
class Device:
    """One device of a user."""

    key: bytes
    name: str
    """For people; empty: none was given."""
    added: int
    """Seconds since 1970, for people."""
    how: How = How.CLAIMED
    by: bytes = b""
    """The earlier device's key, where one confirmed it."""
    signature: bytes = b""
    """That device's."""


def _entry_bytes(user: User, device: Device) -> bytes:
    return signed_bytes("parley/device/1", user.user_id, user.server_id, device.key, device.name, device.added)


def confirm(by: PrivateKey, user: User, key: bytes, name: str, added: int) -> Device:
    """The entry of a further device of that user, signed by an earlier one."""
    entry = Device(key, name[:LONGEST], added, How.CONFIRMED, by.public)
    return Device(key, entry.name, added, How.CONFIRMED, by.public, by.sign(_entry_bytes(user, entry)))


def is_confirmed(user: User, device: Device) -> bool:
    """Whether the earlier device that the entry names signed it."""
    return is_signed_by(device.by, device.signature, _entry_bytes(user, device))


# On the wire ---------------------------------------------------------------------------------------------


_HOWS: Final = frozenset(map(int, How))


def encode_device(device: Device) -> pb.Device:
    """The entry as a payload."""
    return pb.Device(
        key=device.key,
        name=device.name,
        added=device.added,
        how=pb.Device.How.Name(device.how),
        by=device.by,
        signature=device.signature,
    )


def read_device(message: pb.Device) -> Device | None:
    """The entry of a payload; None where it is none: a key of another length, a name that is too long."""
    if len(message.key) != KEY or len(message.name) > LONGEST or int(message.how) not in _HOWS:
        return None
    if len(message.by) not in (0, KEY) or len(message.signature) not in (0, SIGNATURE):
        return None
    return Device(message.key, message.name, message.added, How(message.how), message.by, message.signature)


def _list_bytes(message: pb.DeviceList) -> bytes:
    fields: list[bytes | str | int] = [message.user.userId, message.user.serverId, len(message.devices)]
    for each in message.devices:
        fields += [each.key, each.name, each.added, int(each.how), each.by, each.signature]
    fields += [message.number, message.expires, int(message.reset), message.sessionsFrom, *message.revoked]
    return signed_bytes("parley/devices/1", *fields)


def sign_list(
    identity: PrivateKey,
    user: User,
    devices: Sequence[Device],
    *,
    number: int,
    now: float,
    reset: bool = False,
    sessions_from: int = 0,
    revoked: Sequence[bytes] = (),
) -> pb.DeviceList:
    """The list of a user of our server, signed `now` (seconds since 1970)."""
    message = pb.DeviceList(
        user=pb.User(userId=user.user_id, serverId=user.server_id),
        devices=map(encode_device, devices),
        number=number,
        expires=max(0, int(now)) + EXPIRES,
        reset=reset,
        sessionsFrom=sessions_from,
        revoked=revoked[-MOST_REVOKED:],
    )
    message.signature = identity.sign(_list_bytes(message))
    return message


def is_list_signed(message: pb.DeviceList, home: bytes) -> bool:
    """Whether that home's identity key signed the list, and each confirmed entry is signed by another device.

    That device may be revoked since, and so not in the list. At most MOST signatures are looked at.
    """
    if len(message.devices) > MOST or len(message.revoked) > MOST_REVOKED:
        return False
    if not is_signed_by(home, message.signature, _list_bytes(message)):
        return False
    user = User.of(message.user)
    return all(_is_sound(user, read_device(each)) for each in message.devices)


def _is_sound(user: User, device: Device | None) -> bool:
    if device is None:
        return False
    return device.how is not How.CONFIRMED or is_confirmed(user, device)


# Of other servers' users --------------------------------------------------------------------------------


class ListVerdict(Enum):
    """The worth of a list that another server tells; the value is the metric's label."""

    NEW = "new"
    """Newer than all before: it counts from now on."""
    SAME = "same"
    """Its number is known."""
    OLDER = "older"
    """Its number is lower than the highest that was seen: refused for ever."""
    FOREIGN = "foreign"
    """Its user's own server did not send it, or proved no key."""
    UNSIGNED = "unsigned"
    """That server did not sign it, or no earlier device signed an entry that says so."""


class DeviceLists:
    """The newest list of each user that was told here; of more than `most` users the longest unused is forgotten.

    Whoever stores `numbers` refuses an old list after a restart, too.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._lists: OrderedDict[User, pb.DeviceList] = OrderedDict()

    def __len__(self) -> int:
        return len(self._lists)

    def of(self, user: User) -> pb.DeviceList | None:
        """The newest list of a user."""
        found = self._lists.get(user)
        if found is not None:
            self._lists.move_to_end(user)
        return found

    def look_at(self, user: User) -> pb.DeviceList | None:
        """The same on any thread; it counts as no use of the list."""
        return self._lists.get(user)

    def judge(self, message: pb.DeviceList, home: bytes) -> ListVerdict:
        """The worth of a list whose signature is to be the home's; the cheap question first."""
        known = self._lists.get(User.of(message.user))
        if known is not None and message.number <= known.number:
            return ListVerdict.SAME if message.number == known.number else ListVerdict.OLDER
        return ListVerdict.NEW if is_list_signed(message, home) else ListVerdict.UNSIGNED

    def take(self, message: pb.DeviceList, home: bytes) -> ListVerdict:
        """Take a list that the home signed, unless one of the same number or a higher one was here."""
        verdict = self.judge(message, home)
        if verdict is ListVerdict.NEW:
            self.read(message)
        return verdict

    def read(self, message: pb.DeviceList) -> bool:
        """Take a list that another process of our node took, unless a newer one is here."""
        user = User.of(message.user)
        known = self._lists.get(user)
        if known is not None and message.number <= known.number:
            return False
        self._lists[user] = message
        self._lists.move_to_end(user)
        if len(self._lists) > self._most:
            self._lists.popitem(last=False)
        return True

    def allows(self, user: User, key: bytes, number: int) -> bool:
        """Whether a session of that device and list number may still be: no newer list speaks against it."""
        known = self._lists.get(user)
        if known is None or number > known.number:
            return True
        if not key:
            return number >= known.sessionsFrom
        return any(device.key == key for device in known.devices)
