"""All pairings of a node's users under way. Pure: each call returns the frames to send and the links to close.

    new device  ──WAITS──▶ earlier devices           (their people are told that one shows a code)
    new device  ◀─ENTERS── one earlier device        (uses up a try)
    new device  ─ANSWERS─▶ that device
    new device  ◀CONFIRMS─ that device               (then it sends the signed entry, with CHANGE_DEVICES)
    new device  ◀──ADDED── this server

The server passes on four short fields, and learns nothing from them: SPAKE2 (shared/trust/pairing.py). A server
that lies can end a pairing, or guess the code once in each try, as anybody can; both devices count the tries, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from parley.shared.addresses import User
from parley.shared.limits.token_buckets import Buckets
from parley.shared.trust.keys import KEY
from parley.shared.wire.messages import pb

SECONDS: Final = 120.0
"""For how long a new device may wait."""
TRIES: Final = 3
"""Entries of a code that are passed on to it."""
MOST: Final = 1000
"""Pairings at a time, of all users."""
BURST, PAUSE = 5, 600.0
"""Pairings that one address may begin at once, and seconds until it may begin one more."""
NAME: Final = 64
"""Characters of a device's name."""
FIELD: Final = 64
"""Bytes of an element or a confirmation."""

Peer = Any
"""A link; that it is the same one is all that counts here."""


class Stage(Enum):
    """The exchange of a pairing: one at a time."""

    WAITING = "waiting"
    ENTERED = "entered"
    ANSWERED = "answered"
    CONFIRMED = "confirmed"


@dataclass(slots=True)
class Pairing:
    """One new device that shows a code."""

    user: User
    link: Peer
    key: bytes
    until: float
    tries: int = TRIES
    stage: Stage = Stage.WAITING
    earlier: Peer | None = None
    """The link of the earlier device that entered a code last."""


@dataclass(slots=True)
class Steps:
    """The consequences of a call."""

    send: list[tuple[Peer, pb.Pair]] = field(default_factory=list)
    close: list[Peer] = field(default_factory=list)
    result: str = ""
    """For the metric, where a pairing is over: one of RESULTS."""

    def say(self, link: Peer, step: pb.Pair.Step, **fields: Any) -> None:
        """Have a step sent."""
        self.send.append((link, pb.Pair(step=step, **fields)))


RESULTS: Final = ("added", "tries", "expired", "ended")


class Pairings:
    """`limited` hears of each limit that was reached."""

    def __init__(self, limited: Callable[[str], None] = lambda _what: None) -> None:
        self._limited = limited
        self._of: dict[User, Pairing] = {}
        self._begun = Buckets(1 / PAUSE, BURST)

    def __len__(self) -> int:
        return len(self._of)

    def may_begin(self, user: User, address: str, now: float) -> bool:
        """Whether a new device of that user may show a code now."""
        if user in self._of or len(self._of) >= MOST or not self._begun.of(address, now).consume(now):
            self._limited("requests")
            return False
        return True

    def begin(self, user: User, link: Peer, key: bytes, earlier: Collection[Peer], now: float) -> Steps:
        """A new device waits; the user's earlier devices are told."""
        steps = Steps()
        if user in self._of:  # it came while this one's CONNECT was answered
            return _refused(steps, link, pb.Pair.BUSY)
        self._of[user] = Pairing(user, link, key, now + SECONDS)
        for each in earlier:
            steps.say(each, pb.Pair.WAITS, key=key)
        return steps

    def waits(self, user: User, earlier: Peer) -> Steps:
        """An earlier device has connected: it is told of the new one that waits."""
        steps = Steps()
        if (pairing := self._of.get(user)) is not None:
            steps.say(earlier, pb.Pair.WAITS, key=pairing.key)
        return steps

    def from_earlier(self, user: User, link: Peer, pair: pb.Pair) -> Steps:
        """A step from a proven device of the user."""
        steps, pairing = Steps(), self._of.get(user)
        if pairing is None:
            return _over(steps, link, pb.Pair.NOBODY_WAITS)
        if pair.step == pb.Pair.ENTERS:
            return self._entered(steps, pairing, link, pair)
        if pairing.earlier is not link:
            return steps
        if pair.step == pb.Pair.CONFIRMS and pairing.stage is Stage.ANSWERED:
            pairing.stage = Stage.CONFIRMED
            steps.send.append((pairing.link, _passed_on(pair)))
        elif pair.step == pb.Pair.OVER:
            self._given_up(steps, pairing, pairing.link, pair.why)
            if not pairing.tries:
                return self._end(steps, pairing, pb.Pair.TRIES, "tries")
        return steps

    def _entered(self, steps: Steps, pairing: Pairing, link: Peer, pair: pb.Pair) -> Steps:
        if pairing.stage is not Stage.WAITING and pairing.earlier is not link:
            return _over(steps, link, pb.Pair.BUSY)
        if not pairing.tries:
            return self._end(_over(steps, link, pb.Pair.TRIES), pairing, pb.Pair.TRIES, "tries")
        if not _is_sound(pair):
            return _over(steps, link, pb.Pair.WRONG_CODE)
        pairing.tries -= 1
        pairing.stage, pairing.earlier = Stage.ENTERED, link
        steps.send.append((pairing.link, _passed_on(pair)))
        return steps

    def from_new(self, user: User, link: Peer, pair: pb.Pair) -> Steps:
        """A step from the new device."""
        steps, pairing = Steps(), self._of.get(user)
        if pairing is None or pairing.link is not link:
            return _refused(steps, link, pb.Pair.NO_REASON)
        if pair.step == pb.Pair.ANSWERS and pairing.stage is Stage.ENTERED and _is_sound(pair):
            pairing.stage = Stage.ANSWERED
            steps.send.append((pairing.earlier, _passed_on(pair)))
        elif pair.step == pb.Pair.OVER:
            self._given_up(steps, pairing, pairing.earlier, pair.why)
            if not pairing.tries or pair.why in (pb.Pair.TRIES, pb.Pair.EXPIRED):
                return self._end(steps, pairing, pair.why, "tries")
        return steps

    def _given_up(self, steps: Steps, pairing: Pairing, other: Peer | None, why: pb.Pair.Why) -> None:
        """One side gave an exchange up: the other hears why, and another exchange may begin."""
        if other is not None:
            steps.say(other, pb.Pair.OVER, why=why)
        pairing.stage, pairing.earlier = Stage.WAITING, None

    def changed(self, user: User, keys: Collection[bytes]) -> Steps:
        """The user's device list has changed: a new device that is in it has arrived."""
        steps, pairing = Steps(), self._of.get(user)
        if pairing is None or pairing.key not in keys:
            return steps
        del self._of[user]
        steps.say(pairing.link, pb.Pair.ADDED)
        steps.close.append(pairing.link)
        steps.result = "added"
        return steps

    def lost(self, user: User, link: Peer) -> Steps:
        """A link of the user's is over."""
        steps, pairing = Steps(), self._of.get(user)
        if pairing is None:
            return steps
        if pairing.link is link:
            return self._end(steps, pairing, pb.Pair.NOBODY_WAITS, "ended")
        if pairing.earlier is link:
            self._given_up(steps, pairing, pairing.link, pb.Pair.NO_REASON)
        return steps

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is to be called."""
        return min((pairing.until for pairing in self._of.values()), default=None)

    def handle_timeout(self, now: float) -> list[Steps]:
        """End what has waited too long."""
        late = [pairing for pairing in self._of.values() if pairing.until <= now]
        return [self._end(Steps(), pairing, pb.Pair.EXPIRED, "expired") for pairing in late]

    def _end(self, steps: Steps, pairing: Pairing, why: pb.Pair.Why, result: str) -> Steps:
        del self._of[pairing.user]
        if result != "ended":
            _refused(steps, pairing.link, why)
        if pairing.earlier is not None:
            steps.say(pairing.earlier, pb.Pair.OVER, why=why)
        steps.result = result
        return steps


def _over(steps: Steps, link: Peer, why: pb.Pair.Why) -> Steps:
    steps.say(link, pb.Pair.OVER, why=why)
    return steps


def _refused(steps: Steps, link: Peer, why: pb.Pair.Why) -> Steps:
    """The new device is told, and its link closed."""
    steps.close.append(link)
    return _over(steps, link, why)


def _is_sound(pair: pb.Pair) -> bool:
    """Whether the fields are of a length that a pairing has."""
    return (
        len(pair.key) == KEY
        and 0 < len(pair.element) <= FIELD
        and len(pair.confirmation) <= FIELD
        and len(pair.name) <= NAME
    )


def _passed_on(pair: pb.Pair) -> pb.Pair:
    """The step with the fields that it has, and nothing else."""
    return pb.Pair(
        step=pair.step,
        key=pair.key[:KEY],
        name=pair.name[:NAME],
        element=pair.element[:FIELD],
        confirmation=pair.confirmation[:FIELD],
    )
