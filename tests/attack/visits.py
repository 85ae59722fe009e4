"""Attackers with keys: connections over TLS, a word after HELLO, the answer counted; and the keys they have."""

from __future__ import annotations

import secrets
import time
from collections import deque
from typing import ClassVar, Final

from parley.shared.addresses import User
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.proofs import CLIENT, SERVER, Channel, Dialler, prove
from parley.shared.wire.capabilities import OURS
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import MESSAGES, decode, encode, pb
from tests.attack.attack import Attack
from tests.attack.frames import user
from tests.attack.links import PATIENCE, Place
from tests.attack.places import ALPHA, MESSAGES_PORT
from tests.attack.secure_links import SecureLink

LET_IN: Final = "let in"
GONE: Final = 0.5
"""Seconds of an answer that an attack waits for at its end."""


def key(number: int) -> PrivateKey:
    """One of the attackers' keys."""
    return PrivateKey(bytes([number]) * 32)


MALLORY, EVE, STRANGER, VICTIM, LOST = (key(number) for number in range(201, 206))
"""Of a server of the attacker's; of its user; of nobody; of a device that owns a name; of one that was revoked."""


def as_server(
    channel: Channel, name: str, identity: PrivateKey, feature: str = MESSAGES, *, proof: pb.KeyProof | None = None
) -> bytes:
    """CONNECT_SERVER with a proof for that connection, or with another one."""
    connect = pb.ConnectServer(serverId=name, features=[feature], instanceId=secrets.token_hex(8))
    connect.terms.capabilities = OURS
    connect.identity.CopyFrom(proof or prove(identity, channel, Dialler(SERVER, feature, name, connect.instanceId)))
    return encode("CONNECT_SERVER", connect)


def as_client(
    channel: Channel,
    name: str,
    identity: PrivateKey | None = None,
    feature: str = MESSAGES,
    *,
    proof: pb.KeyProof | None = None,
    **fields: object,
) -> bytes:
    """CONNECT_CLIENT with a proof for that connection, another one, or none."""
    connect = pb.ConnectClient(user=user(name), **fields)  # type: ignore[arg-type]
    connect.terms.capabilities = OURS
    if proof is not None:
        connect.identity.CopyFrom(proof)
    elif identity is not None:
        connect.identity.CopyFrom(prove(identity, channel, Dialler(CLIENT, feature, str(User.parse(name)), "")))
    return encode("CONNECT_CLIENT", connect)


def result_of(frame: Frame) -> str:
    """A CONNECTED in a word: let in, why not, or refused."""
    answer = decode(frame, pb.ConnectResponse)
    if answer.result == pb.ConnectResponse.CONNECTED:
        return LET_IN
    return pb.ConnectResponse.Refusal.Name(answer.refusal).lower() if answer.refusal else "refused"


class Visits(Attack):
    """Connections over TLS, a few at a time: each says something after HELLO, and ends with the answer."""

    place: Place = (ALPHA, MESSAGES_PORT)
    unit = "connections"
    rate = 50.0
    waiting: ClassVar[int] = 50
    """How many may be open at a time: what comes beyond is closed first."""
    let_in: ClassVar[int] = 0
    """How many may be let in: nobody who says to be somebody else."""

    def prepare(self) -> None:
        """Nothing is open yet."""
        self._open: deque[SecureLink] = deque()

    def say(self, channel: Channel) -> bytes:
        """What the next one says, after HELLO."""
        raise NotImplementedError

    def heard(self, link: SecureLink, frame: Frame) -> None:
        """Say it, count the answer, and leave."""
        if frame.name == "HELLO" and link.channel is not None:
            link.say(self.say(link.channel))
        elif frame.name == "CONNECTED":
            self.answers[result_of(frame)] += 1
            link.end()

    def dial(self) -> SecureLink | None:
        """The next one; None: it cannot be opened."""
        try:
            return SecureLink(self.poll, self.place, self.sources[self.taken % len(self.sources)], self.heard)
        except OSError:
            return None

    def act(self, count: int) -> int:
        """Dial so often."""
        for _ in range(count):
            while self._open and (len(self._open) >= self.waiting or not self._open[0].is_open):
                self._open.popleft().end()
            link = self.dial()
            if link is not None:
                self._open.append(link)
                self.taken += 1
        return count

    def faults(self) -> list[str]:
        """Whether somebody was let in; the last answers are awaited."""
        end = time.monotonic() + GONE
        while any(link.is_open for link in self._open) and time.monotonic() < end:
            self.poll.turn(0.02)
        count = self.answers[LET_IN]
        return [f"{count} were let in, {self.let_in} allowed"] if count > self.let_in else []


class Stays(Attack):
    """One connection over TLS that is let in, for what is said over it then; dialled again where it ends."""

    place: Place = (ALPHA, MESSAGES_PORT)
    unit = "frames"
    per_block = 10

    def hello(self, channel: Channel) -> bytes:
        """The CONNECT."""
        raise NotImplementedError

    def block(self) -> bytes:
        """The next `per_block` frames."""
        raise NotImplementedError

    def heard(self, link: SecureLink, frame: Frame) -> None:
        """Connect; count other answers."""
        if frame.name == "HELLO" and link.channel is not None:
            link.say(self.hello(link.channel))
        elif frame.name == "CONNECTED":
            link.tag = result_of(frame) == LET_IN
        else:
            self.answered(frame)

    def answered(self, frame: Frame) -> None:
        """Take what the node says over the link."""

    def dial(self) -> SecureLink:
        """Another connection. OSError where not even a beginning is possible."""
        return SecureLink(self.poll, self.place, self.sources[0], self.heard)

    def prepare(self) -> None:
        """Be let in."""
        self.link = self.dial()
        end = time.monotonic() + PATIENCE
        while not self.link.tag:
            self.poll.turn(0.02)
            if not self.link.is_open or time.monotonic() > end:
                raise TimeoutError("the attacker was not let in")

    def act(self, count: int) -> int:
        """Whole blocks; what nobody takes counts as offered."""
        blocks = -(-count // self.per_block)
        if not self.link.is_open:
            self.link = self.dial()
        for _ in range(blocks):
            if self.link.tag and self.link.write(self.block()):
                self.taken += self.per_block
        return blocks * self.per_block
