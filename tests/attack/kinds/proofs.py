"""Proofs that somebody gave for another connection: shown again at the same node, at another, as another."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import ClassVar

from parley.shared.trust.certificates import make_leaf
from parley.shared.trust.proofs import CLIENT, SERVER, Channel, Dialler, prove
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import MESSAGES, pb
from tests.attack.attack import rejected
from tests.attack.kinds.user_names import furnish, owned
from tests.attack.links import PATIENCE, Place
from tests.attack.places import ALPHA, ATTACKER, BETA, MESSAGES_PORT, NAMES
from tests.attack.secure_links import SecureLink
from tests.attack.visits import LET_IN, STRANGER, VICTIM, Visits, as_client, as_server, result_of

USER = "victim@alpha"


class Again(Visits):
    """A proof that a device gave on an earlier connection to this node."""

    name = "proof-again"
    seen = (rejected("chat", "bad_proof"),)
    elsewhere: ClassVar[Place] = (ALPHA, MESSAGES_PORT)
    """Where the proof was given."""
    dialler: ClassVar[Dialler] = Dialler(CLIENT, MESSAGES, USER, "")
    """For what it was given."""

    @classmethod
    def furnish(cls, data: Path) -> None:
        """The device owns a name."""
        furnish(data, owned("victim", VICTIM))

    def prepare(self) -> None:
        """Record the proof."""
        super().prepare()
        self.proof = prove(VICTIM, self.recorded(), self.dialler)

    def recorded(self) -> Channel:
        """The connection that the proof was given for."""
        link = SecureLink(self.poll, self.elsewhere, ATTACKER, _nothing)
        end = time.monotonic() + PATIENCE
        while link.channel is None:
            self.poll.turn(0.02)
            if time.monotonic() > end:
                raise TimeoutError("no HELLO came")
        link.end()
        return link.channel

    def say(self, channel: Channel) -> bytes:
        """Show it."""
        return as_client(channel, USER, proof=self.proof)


class Elsewhere(Again):
    """A proof that a device gave at another node."""

    name = "proof-of-another-node"
    elsewhere = (BETA, MESSAGES_PORT)


class Relay(Again):
    """A relay in between at the first contact: it passes on a proof that it was given for its own certificate."""

    name = "relay-first"

    def recorded(self) -> Channel:
        """The relay's own: who has no pin cannot tell it from the node, but by comparing its words."""
        der = hashlib.sha256(make_leaf(STRANGER, NAMES[ALPHA], time.time()).certificate).digest()
        return Channel(der, b"n" * 32, STRANGER.public, NAMES[ALPHA])


class OfThisOne(Visits):
    """A proof for this very connection, and for something else than it is shown for."""

    seen = (rejected("chat", "bad_proof"),)
    dialler: ClassVar[Dialler]

    @classmethod
    def furnish(cls, data: Path) -> None:
        """The device owns a name."""
        furnish(data, owned("victim", VICTIM))

    def proof(self, channel: Channel) -> pb.KeyProof:
        """Made for that connection."""
        return prove(VICTIM, channel, self.dialler)

    def say(self, channel: Channel) -> bytes:
        """Show it as the device's."""
        return as_client(channel, USER, proof=self.proof(channel))


class OtherRole(OfThisOne):
    """A proof of a server, shown as its user's."""

    name = "proof-other-role"
    dialler = Dialler(SERVER, MESSAGES, USER, "")


class OtherFeature(OfThisOne):
    """A proof for typing, shown for messages."""

    name = "proof-other-feature"
    dialler = Dialler(CLIENT, "TYPING_INDICATOR", USER, "")


class OtherName(OfThisOne):
    """A proof of a server's, shown with the name of another."""

    name = "proof-other-name"
    dialler = Dialler(SERVER, MESSAGES, "mallory", "0" * 16)

    def say(self, channel: Channel) -> bytes:
        """As the linked one."""
        return as_server(channel, NAMES[BETA], VICTIM, proof=self.proof(channel))


class SecondConnect(Visits):
    """A proof that counted, shown once more on its connection with another name."""

    name = "proof-twice"
    rate = 50.0
    seen = (rejected("chat", "second_connect"),)
    let_in: ClassVar[int] = 1_000_000
    """It is the device's own, the first time."""

    @classmethod
    def furnish(cls, data: Path) -> None:
        """The device owns a name."""
        furnish(data, owned("victim", VICTIM))

    def say(self, channel: Channel) -> bytes:
        """As its own user, and as another."""
        proof = prove(VICTIM, channel, Dialler(CLIENT, MESSAGES, USER, ""))
        return as_client(channel, USER, proof=proof) + as_client(channel, "alpha1@alpha", proof=proof)

    def heard(self, link: SecureLink, frame: Frame) -> None:
        """Count the answers, and leave after the second."""
        if frame.name != "CONNECTED":
            super().heard(link, frame)
        elif link.tag:
            self.answers[f"second {result_of(frame)}"] += 1
            link.end()
        else:
            link.tag = True
            self.answers[LET_IN] += 1

    def faults(self) -> list[str]:
        """Whether the second counted."""
        count = self.answers[f"second {LET_IN}"]
        return [f"a proof counted twice, {count} times"] if count else super().faults()


def _nothing(_link: SecureLink, _frame: Frame) -> None:
    """Only its HELLO counts."""


KINDS = (Again, Elsewhere, Relay, OtherRole, OtherFeature, OtherName, SecondConnect)
