"""A server with a key that lies: for others' users, in groups' copies, device lists, statuses, old messages."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from parley.shared.addresses import User
from parley.shared.trust.authors import sign_message, sign_status
from parley.shared.trust.devices import Device, sign_list
from parley.shared.trust.federation.entries import Admitted
from parley.shared.trust.federation.signed_list import SignedList
from parley.shared.trust.federation.signed_list import sign_list as sign_federation
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.proofs import Channel
from parley.shared.wire.framing import Frame
from parley.shared.wire.messages import decode, encode, pb
from tests.attack.attack import Counter, rejected, told
from tests.attack.frames import user
from tests.attack.kinds.guesses import found
from tests.attack.kinds.user_names import HONEST
from tests.attack.people import ONCE
from tests.attack.visits import EVE, MALLORY, VICTIM, Stays, as_server

THEIRS = tuple(f"beta{number}@beta" for number in range(8))
"""The other server's users, who have keys."""


def forged(kind: str) -> Counter:
    """Messages that were found to be forged."""
    return Counter("chat", "parley_forged_messages_total", (("kind", kind),))


def lists(verdict: str) -> Counter:
    """Device lists of other servers' users, by what they were worth."""
    return Counter("chat", "parley_device_lists_total", (("verdict", verdict),))


def numbers() -> Iterator[int]:
    """Messages' numbers, as of this moment."""
    return itertools.count((time.time_ns() // 1_000_000 << 22) + secrets.randbelow(1 << 20))


def written(author: str, to: str, text: str, number: int, *, group: str = "") -> pb.ChatMessage:
    """A message, or with a group its copy for that member, without a signature."""
    message = pb.ChatMessage(messageSnowflake=number, author=user(author), textContent=text)
    if group:
        message.userOfGroup.user.CopyFrom(user(to))
        group_id, _, server_id = group.rpartition("@")
        message.userOfGroup.group.CopyFrom(pb.Group(groupId=group_id, serverId=server_id))
    else:
        message.user.CopyFrom(user(to))
    return message


class Hostile(Stays):
    """Frames of a server that proved its key and is linked."""

    server: ClassVar[str] = "mallory"
    identity: ClassVar[PrivateKey] = MALLORY
    rate = 200.0

    def prepare(self) -> None:
        """Be linked."""
        self.numbers = numbers()
        self.members = itertools.cycle(HONEST)
        self.authors = itertools.cycle(THEIRS)
        super().prepare()

    def hello(self, channel: Channel) -> bytes:
        """As itself."""
        return as_server(channel, self.server, self.identity)

    def frame(self) -> bytes:
        """The next one."""
        raise NotImplementedError

    def block(self) -> bytes:
        """The next `per_block` frames."""
        return b"".join([self.frame() for _ in range(self.per_block)])

    def signed(self, message: pb.ChatMessage, by: PrivateKey) -> bytes:
        """Signed by that key."""
        sign_message(by, message, 0, int(time.time() * 1000))
        return encode("MESSAGE", message)

    def answered(self, frame: Frame) -> None:
        """Count what authors are told."""
        if frame.name == "MESSAGE_ACK":
            for entry in decode(frame, pb.ChatMessageResponse).statuses:
                self.answers[pb.ChatMessageResponse.DeliveryStatus.Status.Name(entry.status).lower()] += 1


class ForOthers(Hostile):
    """Messages of the other server's users, which its own key signs."""

    name = "hostile-signs-for-others"
    seen = (rejected("chat", "foreign_user"),)

    def frame(self) -> bytes:
        """To an honest user."""
        message = written(next(self.authors), next(self.members), "999999999 forged", next(self.numbers))
        return self.signed(message, MALLORY)


class Copies(Hostile):
    """Copies of a group's messages that others are to have written, signed by a key that is none of theirs."""

    name = "hostile-group-copies"
    seen = (forged("copy"),)

    def frame(self) -> bytes:
        """For a member that it says it has."""
        author, member = next(self.authors), next(self.members)
        message = written(author, member, "999999999 forged", next(self.numbers), group="gang@mallory")
        return self.signed(message, EVE)


class CopiesOfOurs(Copies):
    """The same of the attacked node's own users."""

    name = "hostile-copies-of-ours"
    seen = (forged("copy"), rejected("chat", "never_given"))

    def prepare(self) -> None:
        """Others are members."""
        super().prepare()
        self.authors = itertools.cycle(HONEST[1:] + HONEST[:1])


class Changed(Hostile):
    """Messages of its own user's, changed after they were signed."""

    name = "hostile-changed"
    seen = (forged("message"),)

    def frame(self) -> bytes:
        """Signed, and then another text."""
        message = written("eve@mallory", next(self.members), "as it was", next(self.numbers))
        self.signed(message, EVE)
        message.textContent = "999999999 forged"
        return encode("MESSAGE", message)


class Repeated(Hostile):
    """One message of its user's to each, sent without end."""

    name = "hostile-repeats"
    rate = 2000.0
    seen = (told("delivered"), Counter("chat", "parley_frames_total", (("name", "MESSAGE"),), share=0.1))

    def prepare(self) -> None:
        """They were written once."""
        super().prepare()
        messages = [written("eve@mallory", to, f"{ONCE} for {to}", next(self.numbers)) for to in HONEST]
        self._old = itertools.cycle([self.signed(message, EVE) for message in messages])

    def frame(self) -> bytes:
        """As it was."""
        return next(self._old)


class Statuses(Hostile):
    """Statuses of messages that it was never given, signed by its key: DELIVERED, for honest users' messages."""

    name = "hostile-statuses"
    rate = 2000.0
    seen = (rejected("chat", "foreign_user"), rejected("chat", "never_given"), rejected("chat", "unexpected"))

    def frame(self) -> bytes:
        """For a message as of this moment."""
        author, recipient = next(self.members), next(self.authors)
        message = written(author, recipient, "x", next(self.numbers))
        ack = pb.ChatMessageResponse(messageSnowflake=message.messageSnowflake, author=user(author))
        ack.statuses.add(user=user(recipient), status="DELIVERED")
        ack.proofs.append(sign_status(MALLORY, message, User.parse(recipient), 1, int(time.time() * 1000)))
        return encode("MESSAGE_ACK", ack)


# Device lists --------------------------------------------------------------------------------------------


class ForeignLists(Hostile):
    """Device lists of others' users, with a key of the attacker's in them."""

    name = "hostile-device-lists"
    rate = 500.0
    seen = (rejected("chat", "foreign_user"),)

    def prepare(self) -> None:
        """Of both servers' users."""
        super().prepare()
        names = [User.parse(name) for name in (*THEIRS, *HONEST)]
        device = Device(EVE.public, "", 1)
        made = [sign_list(MALLORY, name, [device], number=1 << 40, now=time.time()) for name in names]
        self._lists = itertools.cycle([encode("DEVICE_LIST", each) for each in made])

    def frame(self) -> bytes:
        """The next one."""
        return next(self._lists)


class UnsignedLists(Hostile):
    """Device lists of its own users, signed by another key."""

    name = "hostile-lists-unsigned"
    rate = 500.0
    seen = (lists("unsigned"),)
    signer: ClassVar[PrivateKey] = EVE
    first: ClassVar[int] = 1 << 40

    def prepare(self) -> None:
        """They have another device each time."""
        super().prepare()
        self._count = itertools.count(self.first)

    def frame(self) -> bytes:
        """The next one."""
        device = Device(EVE.public, "", 1)
        message = sign_list(
            self.signer, User("eve", "mallory"), [device], number=next(self._count), now=time.time()
        )
        return encode("DEVICE_LIST", message)


class OldLists(UnsignedLists):
    """Device lists of its own users that are older than what it told before: with a device that was revoked."""

    name = "hostile-lists-old"
    seen = (lists("older"),)
    signer = MALLORY
    first = 1

    def prepare(self) -> None:
        """It told a newer one."""
        super().prepare()
        newest = sign_list(MALLORY, User("eve", "mallory"), [], number=1 << 40, now=time.time())
        self.link.say(encode("DEVICE_LIST", newest))


# Lists of a federation -------------------------------------------------------------------------------------


class OldFederation(Hostile):
    """A member of the federation sends a list of before, in which somebody is a member who is none any more."""

    name = "federation-old-list"
    rate = 100.0
    seen = (Counter("chat", "parley_federation_lists_total", (("verdict", "older"),)),)

    @classmethod
    def furnish(cls, data: Path) -> None:
        """The attacker's server is a member; another was revoked since."""
        acts = found(data)
        acts.admit(cls.server, MALLORY.public, Admitted.TOKEN)
        old = acts.admit("gamma", VICTIM.public, Admitted.TOKEN)
        (data / "old.list").write_bytes(old.message().SerializeToString())
        acts.revoke("gamma")

    def prepare(self) -> None:
        """It kept that list."""
        super().prepare()
        self._list = encode("FEDERATION_LIST", self.shown())

    def shown(self) -> pb.FederationList:
        """The list of before."""
        return pb.FederationList.FromString((self.data / "old.list").read_bytes())

    def frame(self) -> bytes:
        """As it was."""
        return self._list


class ForgedFederation(OldFederation):
    """The same, with a higher number, signed by that member, who is no signer."""

    name = "federation-forged-list"
    seen = (Counter("chat", "parley_federation_lists_total", (("verdict", "unsigned"),)),)

    def shown(self) -> pb.FederationList:
        """As a newer one."""
        old = SignedList.of(super().shown())
        content = old.read()
        assert content is not None
        return sign_federation(MALLORY, replace(content, number=old.number + 100)).message()


KINDS = (
    ForOthers, Copies, CopiesOfOurs, Changed, Repeated, Statuses, ForeignLists, UnsignedLists, OldLists,
    OldFederation, ForgedFederation,
)  # fmt: skip
