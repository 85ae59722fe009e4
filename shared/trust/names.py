"""The names of a server's users: who used each, and which devices own it. Data and functions.

| state | the name |
|---|---|
| FREE | nobody used it lately |
| CLAIMED | one key used it, which does not own it yet, and no plain program did lately |
| PLAIN_HELD | a plain program used it in the last 30 days, or mail waits for it, and no key did |
| SHARED | keys used it beside a plain program, or several keys did: none of them owns it |
| OWNED | devices own it, or a password does |

Times are ages of the users' file in seconds (ages.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final

from parley.shared.trust.claims import AGAIN, LAPSE
from parley.shared.trust.devices import Device, How
from parley.shared.trust.plain_names import HELD

MOST_CLAIMS: Final = 8
"""Claims of one name; who comes last is let in beside them, and not noted."""
MOST_DEVICES: Final = 16
"""Devices that own one name."""
MOST_REVOKED: Final = 256
"""Revoked keys of one name; beyond it no device is added any more."""


class State(Enum):
    """The state of a name."""

    FREE = auto()
    CLAIMED = auto()
    PLAIN_HELD = auto()
    SHARED = auto()
    OWNED = auto()


class Comer(Enum):
    """Somebody who wants to use a name, by what they showed for it."""

    PLAIN = auto()
    """Nothing: an existing program, or a link inside of TLS without key, token and password."""
    KNOWN_KEY = auto()
    """A proven key that owns the name."""
    CLAIMED_KEY = auto()
    """A proven key that claimed the name."""
    NEW_KEY = auto()
    """Another proven key."""
    REVOKED_KEY = auto()
    """A proven key that was revoked."""
    SESSION = auto()
    """A session token that holds, and began with a password."""
    DEAD_SESSION = auto()
    """A session token that holds no more, or never did."""
    PASSWORD = auto()
    """The right password, and no key."""
    PASSWORD_AND_KEY = auto()
    """The right password, and a proven key that is new."""
    PASSWORD_WRONG = auto()
    """Another password, or one for a name that has none."""


class Change(Enum):
    """The change of a name that goes with a verdict."""

    NONE = auto()
    NOTE_PLAIN = auto()
    """A plain program used it."""
    OWN = auto()
    """The key owns it from now on."""
    SHARE = auto()
    """The key claims it beside others."""
    ASK = auto()
    """The key is noted, for the operator to approve."""
    USE = auto()
    """A key that is known used it again."""
    ADD_DEVICE = auto()
    """The key owns it, too: it came with the password."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that used a name without owning it."""

    key: bytes
    first: float
    last: float
    mail_before: bool = False
    """Whether mail waited at the first time: it goes to an approved claim only."""

    @property
    def is_used_again(self) -> bool:
        """Whether the key came back."""
        return self.last - self.first >= AGAIN


@dataclass(frozen=True, slots=True)
class Owner:
    """A device that owns a name, and when it was used."""

    device: Device
    first: float
    last: float

    @property
    def key(self) -> bytes:
        """The device's key."""
        return self.device.key

    @property
    def is_used_again(self) -> bool:
        """Whether the key came back."""
        return self.last - self.first >= AGAIN


@dataclass(frozen=True, slots=True)
class Name:
    """All that a server knows of one of its users' names."""

    user_id: str
    plain_at: float | None = None
    """The age at which a plain program used it last."""
    claims: tuple[Claim, ...] = ()
    owners: tuple[Owner, ...] = ()
    revoked: tuple[bytes, ...] = ()
    """Keys that never return to this name."""
    password: str = ""
    """Its argon2id hash, salt and costs included."""
    number: int = 0
    """Of the device list: it only grows."""
    reset: bool = False
    """Whether the operator gave it away since."""
    sessions_from: int = 0
    """Session tokens of lower numbers are over."""

    @property
    def is_owned(self) -> bool:
        """Whether devices or a password own it."""
        return bool(self.owners or self.password)

    @property
    def is_approved(self) -> bool:
        """Whether people stand behind it: an operator, an earlier device or a password."""
        return bool(self.password) or any(owner.device.how in APPROVED for owner in self.owners)

    def owner(self, key: bytes) -> Owner | None:
        """The device of that key, where it owns the name."""
        return next((owner for owner in self.owners if owner.key == key), None)

    def claim(self, key: bytes) -> Claim | None:
        """The claim of that key."""
        return next((claim for claim in self.claims if claim.key == key), None)


APPROVED: Final = frozenset({How.CONFIRMED, How.APPROVED, How.PASSWORD})
"""How a device came to own a name where somebody vouched for it."""


def state_of(name: Name, age: float, *, mail_waits: bool) -> State:
    """The state of a name now. Where mail waits for it, somebody without a key may come for that."""
    if name.is_owned:
        return State.OWNED
    is_held = mail_waits or is_plain_held(name, age)
    if name.claims:
        return State.SHARED if is_held or len(name.claims) > 1 else State.CLAIMED
    return State.PLAIN_HELD if is_held else State.FREE


def is_plain_held(name: Name, age: float) -> bool:
    """Whether a plain program used it in the last 30 days."""
    return name.plain_at is not None and age - name.plain_at < HELD


def comer_of(name: Name, key: bytes) -> Comer:
    """The comer that proved this key; empty: none."""
    if not key:
        return Comer.PLAIN
    if key in name.revoked:
        return Comer.REVOKED_KEY
    if name.owner(key) is not None:
        return Comer.KNOWN_KEY
    return Comer.CLAIMED_KEY if name.claim(key) is not None else Comer.NEW_KEY


# What changes ---------------------------------------------------------------------------------------------


def changed(
    name: Name,
    change: Change,
    key: bytes,
    age: float,
    added: int,
    *,
    mail_waits: bool = False,
    device_name: str = "",
) -> Name:
    """The name after a comer was let in, or asked to be.

    `added`: seconds since 1970, for people, as `device_name` is. The same object where nothing changes.
    """
    match change:
        case Change.NOTE_PLAIN:
            return replace(name, plain_at=age)
        case Change.OWN:  # after a reset, contacts are told
            how = How.RESET if name.reset else How.CLAIMED
            return owned_by(name, Device(key, device_name, added, how), age)
        case Change.ADD_DEVICE:
            return owned_by(name, Device(key, device_name, added, How.PASSWORD), age)
        case Change.SHARE | Change.ASK:
            return _claimed(name, Claim(key, age, age, mail_waits))
        case Change.USE:
            return _used(name, key, age)
    return name


def owned_by(name: Name, device: Device, age: float) -> Name:
    """The name with a device more that owns it; the same where there is no room, or the key was revoked."""
    if len(name.owners) >= MOST_DEVICES or len(name.revoked) >= MOST_REVOKED or device.key in name.revoked:
        return name
    first = claim.first if (claim := name.claim(device.key)) is not None else age
    others = tuple(owner for owner in name.owners if owner.key != device.key)
    owners = (*others, Owner(device, first, age))
    return replace(name, owners=owners, claims=(), plain_at=None, number=name.number + 1)


def _claimed(name: Name, claim: Claim) -> Name:
    return name if len(name.claims) >= MOST_CLAIMS else replace(name, claims=(*name.claims, claim))


def _used(name: Name, key: bytes, age: float) -> Name:
    owners = tuple(replace(each, last=age) if each.key == key else each for each in name.owners)
    claims = tuple(replace(each, last=age) if each.key == key else each for each in name.claims)
    return replace(name, owners=owners, claims=claims)


def mail_is_over(name: Name) -> Name:
    """Nothing waits for the name any more that came before its claims."""
    if not any(claim.mail_before for claim in name.claims):
        return name
    return replace(name, claims=tuple(replace(claim, mail_before=False) for claim in name.claims))


def withholds_mail(name: Name, key: bytes, *, mail_waits: bool) -> bool:
    """Whether what waits must not go to that key: it came before a claim that nobody approved."""
    if not mail_waits or name.is_owned:
        return False
    claim = name.claim(key)
    return claim is None or claim.mail_before


def approved(name: Name, key: bytes, age: float, added: int) -> Name:
    """The name owned by a claim's key, by the operator's word."""
    return owned_by(name, Device(key, "", added, How.APPROVED), age)


def revoked(name: Name, key: bytes) -> Name:
    """The name without a device, which never comes back."""
    owners = tuple(owner for owner in name.owners if owner.key != key)
    claims = tuple(claim for claim in name.claims if claim.key != key)
    if key in name.revoked:
        return name
    return replace(
        name, owners=owners, claims=claims, revoked=(*name.revoked, key)[-MOST_REVOKED:], number=name.number + 1
    )


def reset(name: Name) -> Name:
    """The name free again, by the operator's word: no device, claim, password or session of before counts."""
    keys = [owner.key for owner in name.owners] + [claim.key for claim in name.claims]
    gone = tuple(key for key in keys if key not in name.revoked)
    number = name.number + 1
    return Name(
        name.user_id,
        revoked=(*name.revoked, *gone)[-MOST_REVOKED:],
        number=number,
        reset=True,
        sessions_from=number,
    )


def lapsed(name: Name, age: float) -> Name:
    """The name without claims that were never used again for 7 days; the same object where there is none."""

    def is_over(each: Claim | Owner) -> bool:
        return not each.is_used_again and age - each.last > LAPSE

    claims = tuple(claim for claim in name.claims if not is_over(claim))
    owners = name.owners
    if len(owners) == 1 and not name.is_approved and is_over(owners[0]):
        owners = ()
    if len(claims) == len(name.claims) and owners is name.owners:
        return name
    grown = 0 if owners is name.owners else 1
    return replace(name, claims=claims, owners=owners, number=name.number + grown)


def is_fresh(name: Name) -> bool:
    """Whether it has a claim that was not used again yet: of those there are 10,000 at most."""
    if name.is_approved:
        return False
    is_claimed_once = any(not claim.is_used_again for claim in name.claims)
    return is_claimed_once or any(not owner.is_used_again for owner in name.owners)


def is_plain(name: Name) -> bool:
    """Whether nobody but programs without a key used it."""
    return not (name.is_owned or name.claims or name.revoked or name.number)


def is_needed(name: Name, age: float) -> bool:
    """Whether anything of it is to be remembered."""
    return not is_plain(name) or is_plain_held(name, age)


def with_password(name: Name, password: str) -> Name:
    """The name owned by a password, too, by the operator's word; sessions of an earlier one are over."""
    number = name.number + 1
    return replace(name, password=password, claims=(), plain_at=None, number=number, sessions_from=number)
