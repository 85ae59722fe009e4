"""The two devices of a pairing, as their user's own server passes on what they say. Pure; times are seconds.

`NewDevice` shows the code, `EarlierDevice` is where people enter it. Nothing is signed before both have confirmed
that they mean each other's keys and names: shared/trust/pairing.py.
"""

from __future__ import annotations

import hashlib
from typing import Final

from parley.shared.addresses import User
from parley.shared.names import fold
from parley.shared.trust import pairing
from parley.shared.trust.devices import LONGEST, Device, confirm
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.pairing import Answer, Entry, Offer, PairingRefused, Party
from parley.shared.wire.messages import pb

PURPOSE: Final = "parley/device"
"""A code is good for this, and for nothing else."""
_WHY: Final = {
    "wrong_code": pb.Pair.WRONG_CODE,
    "expired": pb.Pair.EXPIRED,
    "tries": pb.Pair.TRIES,
}
_LINK: Final = "`parley device link --as USER@SERVER`"
REASONS: Final = {
    pb.Pair.WRONG_CODE: ("wrong_code", "the code is another one; look at it again"),
    pb.Pair.EXPIRED: (
        "expired",
        f"the code was good for two minutes; begin again: {_LINK}",
    ),
    pb.Pair.TRIES: (
        "tries",
        f"the code was good for three tries; begin again: {_LINK}",
    ),
    pb.Pair.NOBODY_WAITS: (
        "nobody_waits",
        f"no new device shows a code; begin there: {_LINK}",
    ),
    pb.Pair.BUSY: ("busy", "another device is just being added; try again in two minutes"),
    pb.Pair.NOT_ADDED: ("not_added", "the server did not take the new device"),
}
"""Why a pairing is over → the reason in short, and for people."""


def refused(why: int) -> PairingRefused:
    """The error for what the other side or the server says."""
    return PairingRefused(*REASONS.get(why, ("ended", "the other side gave up; begin again")))  # type: ignore[call-overload]


def over(error: PairingRefused) -> pb.Pair:
    """The step that tells the other side of an error."""
    return pb.Pair(step=pb.Pair.OVER, why=_WHY.get(error.reason, pb.Pair.NO_REASON))


def _party(user: User, name: str, key: bytes) -> Party:
    """A device, with all that is to be confirmed of it; a long name by its hash."""
    text = f"{user.user_id}@{fold(user.server_id)} {name}"
    raw = bytes(text, "utf-8", "surrogatepass")
    return Party(hashlib.sha256(raw).hexdigest() if len(raw) > pairing.MOST_NAME else text, key)


class NewDevice:
    """The device that shows `code`. `earlier` is the name of the one that entered it, once that is certain."""

    def __init__(self, user: User, key: bytes, name: str, now: float) -> None:
        self._user = user
        self._key = key
        self._name = name[:LONGEST]
        self._offer = Offer(PURPOSE, _party(user, self._name, key), now)
        self._entered = ""
        self.earlier: str | None = None

    @property
    def code(self) -> str:
        """The code to show: good for two minutes and three tries."""
        return self._offer.code

    def seconds_left(self, now: float) -> float:
        """For how long the code is good still."""
        return self._offer.seconds_left(now)

    def entered(self, pair: pb.Pair, now: float) -> pb.Pair:
        """The answer to ENTERS; it uses up a try. PairingRefused: no exchange comes of it."""
        self.earlier = None
        other = _party(self._user, pair.name[:LONGEST], pair.key)
        answer = self._offer.answer(other, pair.element, now)
        self._entered = pair.name[:LONGEST]
        return pb.Pair(
            step=pb.Pair.ANSWERS,
            key=self._key,
            name=self._name,
            element=answer.element,
            confirmation=answer.confirmation,
        )

    def confirmed(self, pair: pb.Pair) -> None:
        """Take CONFIRMS. PairingRefused("wrong_code"): it was another code, or somebody is between."""
        self._offer.confirm(pair.confirmation)
        self.earlier = self._entered


class EarlierDevice:
    """The device where people entered the code, for one exchange. PairingRefused("malformed"): it is no code."""

    def __init__(self, user: User, key: PrivateKey, name: str, code: str) -> None:
        self._user = user
        self._key = key
        self._name = name[:LONGEST]
        self._entry = Entry(PURPOSE, _party(user, self._name, key.public), code)

    def enters(self) -> pb.Pair:
        """The first step."""
        return pb.Pair(step=pb.Pair.ENTERS, key=self._key.public, name=self._name, element=self._entry.element)

    def answered(self, pair: pb.Pair, now: float) -> tuple[pb.Pair, Device]:
        """CONFIRMS for ANSWERS, and the new device's entry, signed; `now`: seconds since 1970.

        PairingRefused("wrong_code"): the other side shows another code, or somebody is between. Nothing is signed.
        """
        name = pair.name[:LONGEST]
        other = _party(self._user, name, pair.key)
        confirmation, _ = self._entry.confirm(other, Answer(pair.element, pair.confirmation))
        step = pb.Pair(step=pb.Pair.CONFIRMS, confirmation=confirmation)
        return step, confirm(self._key, self._user, pair.key, name, max(0, int(now)))
