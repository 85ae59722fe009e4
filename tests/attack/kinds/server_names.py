"""Who says to be another server: with another key, with none, in announcements of several kinds, or in between."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from pathlib import Path
from typing import ClassVar, Final

from parley.shared.discovery.announcements import encode_announcement, our_mark
from parley.shared.discovery.nonces import encode_request
from parley.shared.trust.certificates import make_leaf
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.proofs import Channel, make_hello
from parley.shared.trust_storage.pins_file import PinsFile
from parley.shared.trust_storage.tls_contexts import server_context
from parley.shared.wire.framing import Frame, read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.attack.attack import Counter, Datagrams, dropped, limited
from tests.attack.frames import announcement
from tests.attack.links import PATIENCE
from tests.attack.places import ALPHA, ATTACKER, BETA, DISCOVERY_UDP, MESSAGES_PORT, NAMES
from tests.attack.secure_links import SECURED, Door, SecureLink
from tests.attack.visits import LET_IN, LOST, MALLORY, STRANGER, Visits, as_server, key

EVERYBODY: Final = ("127.255.255.255", DISCOVERY_UDP)
"""Where requests are heard that are for all of the network."""
ENDPOINTS: Final = [pb.Endpoint(feature="MESSAGES", port=MESSAGES_PORT)]
PER_HOUR: Final = 5
"""Names that an address may take in an hour (shared/trust/claims.py)."""


def refused(what: str, service: str = "chat") -> Counter:
    """Names of servers that were refused, for that reason."""
    return Counter(service, "parley_key_refusals_total", (("what", what),))


class PinnedName(Visits):
    """A server with a key of its own that says it is the other one."""

    name = "server-other-key"
    seen = (refused("other_key"),)

    def say(self, channel: Channel) -> bytes:
        """As that server."""
        return as_server(channel, NAMES[BETA], STRANGER)


class OwnKeyless(Visits):
    """A server over TLS that shows no key, and says it is the other one."""

    name = "server-no-key"
    seen = (refused("plain_for_keyed"),)

    def say(self, channel: Channel) -> bytes:
        """As that server."""
        return as_server(channel, NAMES[BETA], STRANGER, proof=pb.KeyProof())


class NewNames(Visits):
    """Servers without end, each with a key and a name that nobody has; five of them keep theirs."""

    name = "server-new-names"
    seen = (limited("chat", "names", "trust"),)
    let_in: ClassVar[int] = 1_000_000

    def prepare(self) -> None:
        """Each is another."""
        super().prepare()
        self._keys = (key(number) for number in itertools.cycle(range(1, 200)))
        self._count = 0

    def say(self, channel: Channel) -> bytes:
        """As the next one."""
        self._count += 1
        return as_server(channel, f"n{self._count}", next(self._keys))


class RevokedKey(Visits):
    """A server whose key was revoked, under its name and under others."""

    name = "server-revoked"
    seen = (refused("revoked"),)

    @classmethod
    def furnish(cls, data: Path) -> None:
        """The key was revoked."""
        with PinsFile(data / NAMES[ALPHA] / "trust") as file:
            file.revoke(LOST.public)

    def say(self, channel: Channel) -> bytes:
        """Under three names."""
        return as_server(channel, f"gone{self.taken % 3}", LOST)


class PlainHeld(Visits):
    """A key that takes the name of a server without one, which was linked of late."""

    name = "server-plain-held"
    seen = (refused("plain_held"),)

    @classmethod
    def furnish(cls, data: Path) -> None:
        """That server was linked."""
        with PinsFile(data / NAMES[ALPHA] / "trust") as file:
            file.use_in_plain("old")

    def say(self, channel: Channel) -> bytes:
        """As that server."""
        return as_server(channel, "old", STRANGER)


# Announcements -----------------------------------------------------------------------------------------


class Stripped(Datagrams):
    """Announcements of the other server without its key, so that it is spoken to in plain."""

    name = "announced-stripped"
    place = (ALPHA, DISCOVERY_UDP)
    rate = 200.0
    unit = "datagrams"
    seen = (refused("plain_for_keyed", "discovery"),)

    def datagram(self) -> bytes:
        """As a server says it that has no key."""
        return announcement(NAMES[BETA])


class Replayed(Stripped):
    """An announcement of the other server's, signed by it for somebody else, again and again."""

    name = "announced-replayed"
    seen = (dropped("discovery", "unasked"),)

    def prepare(self) -> None:
        """Ask the other server, as anybody may."""
        super().prepare()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((ATTACKER, 0))
            sock.settimeout(PATIENCE)
            sock.sendto(encode_request(b"0123456789abcdef"), (BETA, DISCOVERY_UDP))
            self._captured = sock.recv(4096)

    def datagram(self) -> bytes:
        """As it came."""
        return self._captured


class Forged(Stripped):
    """Announcements of the other server that a key of the attacker's signs, in answer to what this one asked."""

    name = "announced-forged"
    seen = (refused("other_key", "discovery"),)
    signer: ClassVar[PrivateKey] = STRANGER

    def prepare(self) -> None:
        """Hear what is asked of all."""
        super().prepare()
        self._ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._ear.bind(EVERYBODY)
        self._nonce = b""
        end = time.monotonic() + PATIENCE
        while not self._nonce:
            time.sleep(0.05)
            self._listen()
            if time.monotonic() > end:
                raise TimeoutError("nobody asked for servers")

    def _listen(self) -> None:
        """Note the newest nonce of the attacked node's."""
        with contextlib.suppress(BlockingIOError):
            while True:
                data, source = self._ear.recvfrom(4096)
                frame = read_datagram(data)
                if source[0] == ALPHA and frame.name == "DISCOVER_SERVER":
                    self._nonce = decode(frame, pb.DiscoverServer).nonce
                    self._datagram = self.announcement(self._nonce)

    def announcement(self, nonce: bytes) -> bytes:
        """For that nonce."""
        mark = our_mark("1", "forged")
        return encode_announcement(NAMES[BETA], ENDPOINTS, mark=mark, nonce=nonce, identity=self.signer)

    def act(self, count: int) -> int:
        """Listen, and announce."""
        self._listen()
        return super().act(count)

    def datagram(self) -> bytes:
        """For the newest nonce."""
        return self._datagram

    def close(self) -> None:
        """Close the ear, too."""
        super().close()
        self._ear.close()


class BadlySigned(Forged):
    """Announcements with the other server's own key, and another signature."""

    name = "announced-bad-signature"
    seen = (refused("bad_signature", "discovery"),)

    def prepare(self) -> None:
        """Learn the other server's key, as anybody may."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((ATTACKER, 0))
            sock.settimeout(PATIENCE)
            sock.sendto(encode_request(b"0123456789abcdef"), (BETA, DISCOVERY_UDP))
            self._key = decode(read_datagram(sock.recv(4096)), pb.ServerAnnounce).identity.key
        super().prepare()

    def announcement(self, nonce: bytes) -> bytes:
        """The key is the true one's, the signature is not."""
        message = decode(read_datagram(super().announcement(nonce)), pb.ServerAnnounce)
        message.identity.key = self._key
        return encode("SERVER_ANNOUNCE", message)


# In between ------------------------------------------------------------------------------------------------


class RelayLater(Forged):
    """A server that this node knows, at whose place somebody else answers from then on: with another key."""

    name = "relay-later"
    seen = (refused("other_key"),)
    signer = MALLORY

    def announcement(self, nonce: bytes) -> bytes:
        """The server's own, and true: only who answers there is another."""
        return encode_announcement("mallory", ENDPOINTS, mark=our_mark("1", "first"), nonce=nonce, identity=MALLORY)

    def prepare(self) -> None:
        """The server is there, and is linked once."""
        self._identity, self._leaf = MALLORY, make_leaf(MALLORY, "mallory", time.time())
        self._context = server_context(self._leaf)
        self._door = Door(self.poll, (ATTACKER, MESSAGES_PORT), self._took)
        self._links: list[SecureLink] = []
        super().prepare()
        end = time.monotonic() + PATIENCE
        while not self.answers[LET_IN]:
            super().act(1)
            self.poll.turn(0.1)
            if time.monotonic() > end:
                raise TimeoutError("the attacker's server was not linked")
        self.answers.clear()
        self.taken = 0
        self._identity = STRANGER
        for link in self._links:
            link.end()

    def _took(self, sock: socket.socket) -> None:
        place = ATTACKER, MESSAGES_PORT
        self._links.append(SecureLink(self.poll, place, ATTACKER, self._heard, taken=sock, context=self._context))

    def _heard(self, link: SecureLink, frame: Frame) -> None:
        if frame is SECURED:
            link.say(encode("HELLO", make_hello(self._identity, self._leaf.digest, "mallory")[0]))
            self.answers["dialled"] += 1
        elif frame.name == "CONNECT_SERVER":
            self.answers[LET_IN] += 1
            link.say(encode("CONNECTED", pb.ConnectResponse(result=pb.ConnectResponse.CONNECTED)))
        elif frame.name == "HANGUP":
            link.end()

    def faults(self) -> list[str]:
        """Whether anything was said to whoever answers there."""
        count = self.answers[LET_IN]
        return [f"{count} times the node connected to somebody else's key"] if count else []

    def close(self) -> None:
        """Close the listener, too."""
        self._door.end()
        super().close()


KINDS = (
    PinnedName, OwnKeyless, NewNames, RevokedKey, PlainHeld, Stripped, Replayed, Forged, BadlySigned, RelayLater,
)  # fmt: skip
