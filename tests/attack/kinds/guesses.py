"""Secrets that are guessed: passwords, the codes of new devices, invitations and spoken codes of a federation."""

from __future__ import annotations

import itertools
import secrets
from pathlib import Path
from typing import ClassVar, Final

from parley.shared.service.passwords import hash_of
from parley.shared.trust.federation.membership import FEATURE, purpose_of
from parley.shared.trust.federation.tokens import SECRET, digest_of
from parley.shared.trust.pairing import ALPHABET, Answer, Entry, Offer, PairingRefused, Party
from parley.shared.trust.proofs import SERVER, Channel, Dialler, prove
from parley.shared.trust_storage.federation import FederationFiles
from parley.shared.trust_storage.federation_acts import FederationActs
from parley.shared.trust_storage.identity import have_identity
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, encode, pb
from tests.attack.attack import Attack, Counter, limited
from tests.attack.kinds.user_names import furnish, owned
from tests.attack.places import ALPHA, NAMES, many
from tests.attack.secure_links import SecureLink
from tests.attack.visits import LET_IN, MALLORY, STRANGER, VICTIM, Stays, Visits, as_client, result_of

TEN_THOUSAND: Final = 667.0
"""Guesses a second: 10,000 in fifteen."""


def joins(result: str) -> Counter:
    """Requests to join the federation, with that result."""
    return Counter("chat", "parley_federation_joins_total", (("result", result),))


# Passwords -----------------------------------------------------------------------------------------


class Passwords(Stays):
    """A user's password is guessed 10,000 times, on one connection."""

    name = "password-guesses"
    rate = TEN_THOUSAND
    unit = "guesses"
    per_block = 1
    seen = (limited("chat", "passwords", "users"),)

    @classmethod
    def furnish(cls, data: Path) -> None:
        """The user has one."""
        furnish(data, owned("erin", password=hash_of("correct horse battery")))

    def prepare(self) -> None:
        """Dial; nobody is let in."""
        self._guesses = itertools.count()
        self.link = self.dial()

    def heard(self, link: SecureLink, frame: Frame) -> None:
        """Guess as long as there is a connection, and count the answers."""
        if frame.name == "HELLO":
            link.tag = True
        elif frame.name == "CONNECTED":
            self.answers[result_of(frame)] += 1

    def block(self) -> bytes:
        """The next guess."""
        password = pb.Password(text=f"password {next(self._guesses)}")
        assert self.link.channel is not None
        return as_client(self.link.channel, "erin@alpha", password=password)

    def faults(self) -> list[str]:
        """Whether one was right."""
        return [f"{self.answers[LET_IN]} were let in"] if self.answers[LET_IN] else []


class PasswordsEverywhere(Visits):
    """The same from 200 addresses."""

    name = "password-guesses-everywhere"
    rate = 100.0
    unit = "guesses"
    sources = tuple(itertools.islice(many(), 200))
    seen = (limited("chat", "passwords", "users"),)

    @classmethod
    def furnish(cls, data: Path) -> None:
        """The user has one."""
        Passwords.furnish(data)

    def say(self, channel: Channel) -> bytes:
        """The next guess."""
        return as_client(channel, "erin@alpha", password=pb.Password(text=f"password {self.taken}"))


# Codes of new devices --------------------------------------------------------------------------------


def any_code() -> str:
    """A code that nobody showed."""
    return "".join(secrets.choice(ALPHABET) for _ in range(8))


class DeviceCodes(Attack):
    """A stranger's devices guess the code that a user enters without end, as often as they may."""

    name = "device-code-guesses"
    rate = 100.0
    unit = "guesses"
    seen = (Counter("chat", "parley_pairings_total", (("result", "tries"),)),
            limited("chat", "requests", "pairing"))  # fmt: skip
    user: ClassVar[str] = "victim@alpha"

    @classmethod
    def furnish(cls, data: Path) -> None:
        """The user has a device."""
        furnish(data, owned("victim", VICTIM))

    def prepare(self) -> None:
        """The user's device is there."""
        self._entry: Entry | None = None
        self._earlier = SecureLink(self.poll, (ALPHA, 6666), "127.0.31.1", self._from_earlier)
        self._new = self._dial()

    def _dial(self) -> SecureLink:
        return SecureLink(self.poll, (ALPHA, 6666), self.sources[0], self._from_new)

    def act(self, count: int) -> int:
        """A new device for each guess: it is refused, or shows a code and waits for its turn."""
        for _ in range(count):
            if not self._new.is_open:
                self._new = self._dial()
                self.taken += 1
        return count

    def _from_new(self, link: SecureLink, frame: Frame) -> None:
        """The stranger's device: it waits to be paired, and answers with a guess."""
        if frame.name == "HELLO" and link.channel is not None:
            link.say(as_client(link.channel, self.user, STRANGER, pairing=True))
        elif frame.name == "CONNECTED":
            self.answers[result_of(frame)] += 1
            if result_of(frame) == LET_IN:
                self._enter()
            else:
                link.end()
        elif frame.name == "PAIR":
            pair = decode(frame, pb.Pair)
            if pair.step == pb.Pair.ENTERS:
                self._guess(link, pair)
            elif pair.step == pb.Pair.OVER:
                self.answers[pb.Pair.Why.Name(pair.why).lower()] += 1
                self._enter()
            elif pair.step in (pb.Pair.CONFIRMS, pb.Pair.ADDED):
                self.answers["added"] += 1

    def _guess(self, link: SecureLink, pair: pb.Pair) -> None:
        offer = Offer("parley/device", Party(self.user, STRANGER.public), 0.0, any_code())
        answer = offer.answer(Party(self.user, pair.key), pair.element, 0.0)
        self.answers["guesses looked at"] += 1
        link.say(_pair(pb.Pair.ANSWERS, STRANGER.public, answer.element, answer.confirmation))

    def _enter(self) -> None:
        """The user enters the code of the device that they have in mind."""
        self._entry = Entry("parley/device", Party(self.user, VICTIM.public), "4KX9-7QMT")
        self._earlier.say(_pair(pb.Pair.ENTERS, VICTIM.public, self._entry.element))

    def _from_earlier(self, link: SecureLink, frame: Frame) -> None:
        """The user's device: it finds out that the code is another one."""
        if frame.name == "HELLO" and link.channel is not None:
            link.say(as_client(link.channel, self.user, VICTIM))
        elif frame.name == "PAIR" and self._entry is not None:
            pair = decode(frame, pb.Pair)
            if pair.step == pb.Pair.ANSWERS:
                self._compare(link, pair)

    def _compare(self, link: SecureLink, pair: pb.Pair) -> None:
        assert self._entry is not None
        try:
            self._entry.confirm(Party(self.user, pair.key), Answer(pair.element, pair.confirmation))
        except PairingRefused:
            link.say(encode("PAIR", pb.Pair(step=pb.Pair.OVER, why=pb.Pair.WRONG_CODE)))
        else:
            self.answers["added"] += 1

    def faults(self) -> list[str]:
        """Whether a guess was right, or more were looked at than five codes are good for."""
        found = ["a stranger's device was added"] if self.answers["added"] else []
        count = self.answers["guesses looked at"]
        return [*found, f"{count} guesses were looked at"] if count > 15 else found


def _pair(step: pb.Pair.Step, key: bytes, element: bytes, confirmation: bytes = b"") -> bytes:
    return encode("PAIR", pb.Pair(step=step, key=key, name="laptop", element=element, confirmation=confirmation))


# A federation ----------------------------------------------------------------------------------------


def found(data: Path) -> FederationActs:
    """Have the attacked node found a federation before it starts."""
    name = NAMES[ALPHA]
    acts = FederationActs(FederationFiles(data, name), name, have_identity(data, name))
    acts.init()
    return acts


class Joining(Stays):
    """Requests to join the federation, on one connection."""

    unit = "requests"
    per_block = 1
    rate = TEN_THOUSAND
    server: ClassVar[str] = "mallory"

    @classmethod
    def furnish(cls, data: Path) -> None:
        """There is one."""
        found(data)

    def prepare(self) -> None:
        """Dial; whoever wants to join is not connected."""
        self.federation = b""
        self.link = self.dial()

    def heard(self, link: SecureLink, frame: Frame) -> None:
        """Learn which federation it is, and count the answers."""
        if frame.name == "HELLO":
            self.federation = decode(frame, pb.Hello).membership.federation
            link.tag = True
        elif frame.name == "FEDERATION_ANSWER":
            answer = decode(frame, pb.FederationAnswer)
            self.answers[answer.refusal or ("joined" if answer.HasField("list") else "answered")] += 1
            self.answered_by(link, answer)

    def answered_by(self, link: SecureLink, answer: pb.FederationAnswer) -> None:
        """Go on after an answer."""

    def request(self, **fields: bytes) -> bytes:
        """JOIN_FEDERATION, with a proof for this connection."""
        assert self.link.channel is not None
        proof = prove(MALLORY, self.link.channel, Dialler(SERVER, FEATURE, self.server, ""))
        fields = {"federation": self.federation} | fields
        return encode("JOIN_FEDERATION", pb.JoinFederation(serverId=self.server, identity=proof, **fields))

    def faults(self) -> list[str]:
        """Whether it is a member now."""
        return ["the attacker's server joined"] if self.answers["joined"] else []


class Invitations(Joining):
    """Invitations are guessed 10,000 times."""

    name = "invitation-guesses"
    seen = (joins("unknown"),)

    def block(self) -> bytes:
        """The next guess."""
        return self.request(secret=secrets.token_bytes(SECRET))


class Known(Joining):
    """An invitation that is good for nothing any more."""

    rate = 20.0
    secret: ClassVar[bytes] = b"s" * SECRET

    def block(self) -> bytes:
        """Show it."""
        return self.request(secret=self.secret)


class Used(Known):
    """An invitation that another server used."""

    name = "invitation-used"
    seen = (joins("used"),)

    @classmethod
    def furnish(cls, data: Path) -> None:
        """It was good, once."""
        acts = found(data)
        state = acts.files.read().state
        assert state is not None
        acts.invitations.add(digest_of(state.federation, cls.secret), 3600.0, state.number)
        acts.redeem(state.federation, cls.secret, "gamma", VICTIM.public)


class Expired(Known):
    """An invitation whose time is over."""

    name = "invitation-expired"
    seen = (joins("expired"),)

    @classmethod
    def furnish(cls, data: Path) -> None:
        """Its time was short."""
        acts = found(data)
        state = acts.files.read().state
        assert state is not None
        acts.invitations.add(digest_of(state.federation, cls.secret), 0.01, state.number)


class Foreign(Known):
    """An invitation of another federation."""

    name = "invitation-foreign"
    seen = (joins("foreign"),)

    def block(self) -> bytes:
        """Show it."""
        return self.request(federation=b"f" * 32, secret=self.secret)


class SpokenCodes(Joining):
    """A spoken code is guessed 10,000 times."""

    name = "spoken-code-guesses"
    seen = (joins("tries"), joins("wrong_code"))

    @classmethod
    def furnish(cls, data: Path) -> None:
        """A code is shown."""
        found(data).invitations.speak("4KX97QMT")

    def prepare(self) -> None:
        """An element for all guesses: to make one takes 20 ms."""
        self._entry: Entry | None = None
        super().prepare()

    def block(self) -> bytes:
        """The next guess."""
        if self._entry is None:
            party = Party(self.server, MALLORY.public)
            self._entry = Entry(purpose_of(self.federation), party, any_code())
        return self.request(element=self._entry.element)

    def answered_by(self, link: SecureLink, answer: pb.FederationAnswer) -> None:
        """Confirm the guess, whatever it is."""
        if answer.element:
            link.say(self.request(confirmation=secrets.token_bytes(32)))

    def faults(self) -> list[str]:
        """Whether more was looked at than a code is good for."""
        count = self.answers["answered"]
        return [*super().faults(), f"{count} guesses were looked at"] if count > 3 else super().faults()


KINDS = (
    Passwords, PasswordsEverywhere, DeviceCodes, Invitations, Used, Expired, Foreign, SpokenCodes,
)  # fmt: skip
