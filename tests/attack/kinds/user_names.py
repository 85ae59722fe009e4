"""Who says to be somebody else: a plain program, another key, a quicker one, a lost device, a forged session."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import ClassVar

from parley.shared.addresses import User
from parley.shared.trust.devices import Device
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.names import Name, Owner
from parley.shared.trust.proofs import Channel
from parley.shared.trust.tokens import issue
from parley.shared.trust_storage.users_file import UsersFile
from parley.shared.wire.messages import MESSAGES
from tests.attack.attack import Counter, Flood, counted, limited
from tests.attack.frames import client
from tests.attack.places import ALPHA, LOCATION_PORT, MESSAGES_PORT, NAMES, TYPING_PORT, many
from tests.attack.visits import EVE, LOST, STRANGER, VICTIM, Visits, as_client

HONEST = tuple(f"alpha{number}@alpha" for number in range(8))
"""Honest users with keys."""
PLAIN = tuple(f"new{number}@alpha" for number in (16, 18, 36, 38))
"""Honest users without keys, who come while the attack goes on."""


def refused(reason: str, service: str = "chat") -> Counter:
    """Users who were not let in, for that reason."""
    return Counter(service, "parley_user_refusals_total", (("reason", reason),))


def furnish(data: Path, *names: Name) -> None:
    """Have a node know these users before it starts."""
    with UsersFile(data / NAMES[ALPHA] / "trust") as file:
        file.put(names)


def owned(user_id: str, *keys: PrivateKey, revoked: tuple[bytes, ...] = (), password: str = "") -> Name:
    """A name that these devices own, since long ago."""
    owners = tuple(Owner(Device(each.public, "", 1), 0.0, 4000.0) for each in keys)
    return Name(user_id, owners=owners, revoked=revoked, password=password, number=3)


class PlainProgram(Flood):
    """Programs without a key that say they are users who have one."""

    name = "user-plain"
    rate = 2000.0
    unit = "connects"
    seen = (refused("name_taken"),)
    per_block = 8
    place = (ALPHA, MESSAGES_PORT)

    def hello(self, index: int) -> bytes:  # noqa: ARG002 - the flood says it
        """None."""
        return b""

    def block(self) -> bytes:
        """One after another."""
        return b"".join([client(name) for name in HONEST])


class NewDevice(Visits):
    """Another key for the names of users who have one."""

    name = "user-new-device"
    seen = (refused("new_device"),)
    feature: ClassVar[str] = MESSAGES
    key: ClassVar[PrivateKey] = STRANGER

    def prepare(self) -> None:
        """One after another."""
        super().prepare()
        self._names = itertools.cycle(HONEST)

    def say(self, channel: Channel) -> bytes:
        """As the next one."""
        return as_client(channel, next(self._names), self.key, self.feature)


class NewDeviceTyping(NewDevice):
    """The same where people type."""

    name = "user-new-device-typing"
    place = (ALPHA, TYPING_PORT)
    feature = "TYPING_INDICATOR"
    seen = (refused("new_device", "typing"),)


class NewDevicePlaces(NewDevice):
    """The same where people share places."""

    name = "user-new-device-location"
    place = (ALPHA, LOCATION_PORT)
    feature = "LIVE_LOCATION"
    seen = (refused("new_device", "location"),)


class Quicker(Visits):
    """Keys that are there before the existing programs of honest users come, for their names."""

    name = "user-quicker"
    seen = (limited("chat", "names", "users"),)
    let_in: ClassVar[int] = 1_000_000
    """They may be there beside the program, and own nothing."""

    def prepare(self) -> None:
        """One after another, each with its key."""
        super().prepare()
        self._turns = itertools.cycle(itertools.product((EVE, STRANGER, VICTIM), PLAIN))

    def say(self, channel: Channel) -> bytes:
        """As the next one."""
        identity, name = next(self._turns)
        return as_client(channel, name, identity)


class NamesEverywhere(Visits):
    """Free names that keys take from 200 addresses, five from each."""

    name = "user-free-names"
    rate = 100.0
    let_in: ClassVar[int] = 1_000_000
    sources = tuple(itertools.islice(many(), 200))
    seen = (limited("chat", "names", "users"),
            counted("chat", "parley_connects_total", role="listener", result="connected"))  # fmt: skip

    def prepare(self) -> None:
        """Each is another."""
        super().prepare()
        self._count = itertools.count()

    def say(self, channel: Channel) -> bytes:
        """As the next one."""
        return as_client(channel, f"free{next(self._count)}@alpha", EVE)


class LostDevice(NewDevice):
    """A device that was revoked."""

    name = "user-revoked"
    seen = (refused("revoked"),)

    @classmethod
    def furnish(cls, data: Path) -> None:
        """The user has another device."""
        furnish(data, owned("victim", VICTIM, revoked=(LOST.public,)))

    def say(self, channel: Channel) -> bytes:
        """As that user."""
        return as_client(channel, "victim@alpha", LOST)


class ForgedSession(NewDevice):
    """Session tokens that the attacker signed: for honest users, and of a password's session."""

    name = "user-forged-session"
    seen = (refused("session_over"),)

    def say(self, channel: Channel) -> bytes:
        """As the next one."""
        name = next(self._names)
        token = issue(STRANGER, User.parse(name), b"", 99, time.time())
        return as_client(channel, name, None, token=token)


KINDS = (
    PlainProgram, NewDevice, NewDeviceTyping, NewDevicePlaces, Quicker, NamesEverywhere, LostDevice, ForgedSession,
)  # fmt: skip
