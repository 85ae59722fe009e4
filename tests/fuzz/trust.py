"""All that proves something: what is spoilt proves nothing, and raises nothing that it must not.

Where a target holds what honest keys signed, an input that passes for signed must say what they signed.
"""

import dataclasses
import functools
import ssl
from unittest import mock

from google.protobuf.message import DecodeError

from parley.services.chat.service import ChatService
from parley.shared.addresses import Group, User
from parley.shared.discovery.announcements import encode_announcement, our_mark, read
from parley.shared.errors import MalformedMessage, ParleyError
from parley.shared.names import fold
from parley.shared.trust import announcements, authors, devices, pairing, proofs, tokens
from parley.shared.trust.certificates import MOST as MOST_CERTIFICATE
from parley.shared.trust.certificates import digest_of
from parley.shared.trust.federation import changes, membership, state
from parley.shared.trust.federation.authority import federation_of
from parley.shared.trust.federation.changes import FederationRefused
from parley.shared.trust.federation.entries import make_member
from parley.shared.trust.federation.signed_list import SignedList
from parley.shared.trust.federation.tokens import make_token, read_token
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust_storage.tls_contexts import client_context
from parley.shared.wire.framing import FrameReader, read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.fuzz.links import CLIENT, SERVER, Reader, Transport, in_loop
from tests.fuzz.processes import Chat
from tests.fuzz.target import Target, framed

NODE, DEVICE, OTHER = (PrivateKey(bytes([number]) * 32) for number in (1, 2, 3))
ANN, BOB = User("ann", "alpha"), User("bob", "beta")
CERTIFICATE = b"c" * 32
with mock.patch.object(proofs.secrets, "token_bytes", b"n".__mul__):  # the same in each run: inputs are kept
    HELLO, CHANNEL = proofs.make_hello(NODE, CERTIFICATE, "alpha")
NOW = 1_800_000_000


def parsed(kind, data):
    """A message, or None."""
    try:
        return kind.FromString(data)
    except DecodeError:
        return None


# TLS -----------------------------------------------------------------------------------------------------------


class Wire(Transport):
    """One that is handed from protocol to protocol, and keeps what is written."""

    def __init__(self, loop, protocol):
        super().__init__(protocol)
        self._loop = loop
        self.out = bytearray()

    def write(self, data):
        self.out += data

    def set_protocol(self, protocol):
        self.protocol = protocol

    def hear(self, data):
        """Have the listener read that, in a turn of its own."""
        if data and not self.is_over:
            in_loop(lambda: self.protocol.data_received(data))
        self._loop.turns(2)


class Caller:
    """A client's TLS in memory, over such a wire."""

    def __init__(self, wire, spoil):
        self._wire = wire
        self._spoil = spoil
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_context().wrap_bio(self._incoming, self._outgoing)

    def shake_hands(self):
        """Whether TLS stands."""
        for _ in range(4):
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._swap()
            except ssl.SSLError:
                return False
            else:
                self._swap()
                return True
        return False

    def _swap(self):
        self._wire.hear(self._spoil(self._outgoing.read()))
        self._incoming.write(bytes(self._wire.out))
        self._wire.out.clear()

    def say(self, data):
        """Encrypt that, and have it read."""
        self._tls.write(data)
        self._swap()

    def channel(self):
        """The acceptor's HELLO, checked."""
        self._incoming.write(bytes(self._wire.out))
        self._wire.out.clear()
        frame = FrameReader(4096).feed(self._tls.read(4096))[0]
        certificate = self._tls.getpeercert(binary_form=True)
        assert len(certificate) <= MOST_CERTIFICATE
        return proofs.read_hello(decode(frame, pb.Hello), digest_of(certificate))


class Tls(Chat):
    """A listener: bytes that may be TLS, handshakes that are spoilt on their way, and what is said in TLS."""

    share = 0.05
    again = 500
    service = ChatService
    RAW, SPOILT, UNPROVEN, PROVEN = range(4)

    def opened(self):
        super().opened()
        in_loop(lambda: self.process.trust.open("alpha"))

    def end(self):
        self.process.trust.close()
        super().end()

    def feed(self, data):
        reader = Reader(data)
        how = reader.byte() % 4
        link = in_loop(self.process.make_accepted_link)
        wire = Wire(self.loop, link.protocol())
        in_loop(lambda: wire.protocol.connection_made(wire))
        say = wire.hear
        if how != self.RAW:
            caller = Caller(wire, self.spoiler(reader) if how == self.SPOILT else bytes)
            stands = caller.shake_hands()
            assert stands or how == self.SPOILT, "an honest handshake failed"
            if stands and not wire.is_over and how != self.SPOILT:
                say = caller.say
                if how == self.PROVEN:
                    say(self.proven(caller.channel()))
        for piece in reader.pieces():
            if wire.is_over:
                break
            if isinstance(piece, float):
                self.loop.now += piece
                self.loop.turns(2)
            elif piece:
                say(piece)
        self.part(link, wire)

    def part(self, link, wire):
        """The connection ends, and with it all that was kept for it."""
        in_loop(wire.close)
        self.loop.turns(3)
        for _ in range(1000):
            if link.end is not None:
                break
            self.loop.now += 1.0
            self.loop.turns(3)
        assert link.end is not None, "the link outlives its connection"
        self.loop.turns(3)
        assert link not in self.process._links
        assert not self.process.subscribers

    def spoiler(self, reader):
        """Changes one flight of the handshake."""
        flights, at = reader.byte() % 3, int.from_bytes(reader.take(2), "big")
        bits, more = reader.byte(), reader.take(reader.byte() % 16)

        def spoil(flight):
            nonlocal flights
            flights -= 1
            if flights != -1 or not flight:
                return flight
            changed = bytearray(flight)
            changed[at % len(changed)] ^= bits
            changed[at % len(changed) : at % len(changed)] = more
            return bytes(changed)

        return spoil

    def proven(self, channel):
        """A CONNECT with the proof of a device that the name belongs to."""
        hello = pb.ConnectClient(user=ANN.to_pb())
        dialler = proofs.Dialler(proofs.CLIENT, "MESSAGES", str(ANN), "")
        hello.identity.CopyFrom(proofs.prove(DEVICE, channel, dialler))
        return encode("CONNECT_CLIENT", hello)

    def seeds(self):
        outgoing = ssl.MemoryBIO()
        tls = client_context().wrap_bio(ssl.MemoryBIO(), outgoing)
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            flight = outgoing.read()
        chunks = b"".join(
            bytes([len(part)]) + part for part in (flight[:200], flight[200:400], flight[400:]) if part
        )
        message = b"".join(map(framed, (encode("MESSAGE", signed_message()), encode("PING", pb.Ping()))))
        return [
            b"\x00" + chunks, b"\x00" + framed(CLIENT), b"\x01\x00\x00\x05\x01\x00", b"\x01\x01\x00\x30\x80\x00",
            b"\x02" + framed(CLIENT) + message, b"\x02" + framed(SERVER), b"\x03" + message,
        ]  # fmt: skip


class Proofs(Target):
    """HELLO, and the proof of who dials: of all that is heard only what the keys signed for this channel counts."""

    def one(self, data):
        is_hello, payload = (data[0] if data else 0) % 2, data[1:]
        if is_hello:
            hello = parsed(pb.Hello, payload)
            channel = proofs.read_hello(hello, CERTIFICATE) if hello is not None else None
            assert channel is None or (channel.key == NODE.public) == (channel == CHANNEL)
            return
        connect = parsed(pb.ConnectServer, payload)
        if connect is None:
            return
        feature = connect.features[0] if connect.features else ""
        dialler = proofs.Dialler(proofs.SERVER, feature, connect.serverId, connect.instanceId)
        if proofs.is_proven(connect.identity, CHANNEL, dialler) and connect.identity.key == DEVICE.public:
            assert dialler == proofs.Dialler(proofs.SERVER, "MESSAGES", "beta", "b1")

    def seeds(self):
        connect = pb.ConnectServer(serverId="beta", features=["MESSAGES"], instanceId="b1")
        dialler = proofs.Dialler(proofs.SERVER, "MESSAGES", "beta", "b1")
        connect.identity.CopyFrom(proofs.prove(DEVICE, CHANNEL, dialler))
        return [b"\x01" + HELLO.SerializeToString(), b"\x00" + connect.SerializeToString()]


class Announced(Target):
    """Announcements with a key: who is said to be announced is, or the signature is wrong."""

    def one(self, data):
        try:
            heard = read(read_datagram(b"SERVER_ANNOUNCE %d %b\n" % (len(data), data)), "10.0.0.9")
        except MalformedMessage:
            return
        message = heard.message
        if announcements.is_signed(message) and message.identity.key == NODE.public:
            features = [(each.featureName, each.port, each.udpPort) for each in message.feature]
            assert (message.serverId, message.nonce, features) == ("alpha", b"n" * 16, [("MESSAGES", 6666, 0)])

    def seeds(self):
        endpoints, mark = [pb.Endpoint(feature="MESSAGES", port=6666)], our_mark("1", "a1")
        datagram = encode_announcement("alpha", endpoints, mark=mark, nonce=b"n" * 16, identity=NODE)
        return [read_datagram(datagram).payload]


# Lists and tokens ----------------------------------------------------------------------------------------------


class DeviceLists(Target):
    """Lists of devices, and session tokens: none but the home's, and no older one."""

    def one(self, data):
        is_token, payload = (data[0] if data else 0) % 2, data[1:]
        if is_token:
            token = parsed(pb.SessionToken, payload)
            if token is not None and tokens.is_issued_by(NODE.public, token, ANN, DEVICE.public):
                assert (token.number, token.issued, token.device) == (7, NOW, DEVICE.public)
                tokens.TokenClock().is_over(token, NOW, 1.0)
            return
        message = parsed(pb.DeviceList, payload)
        if message is None:
            return
        known = devices.DeviceLists()
        assert known.take(self.list(6), NODE.public) is devices.ListVerdict.NEW
        if known.take(message, NODE.public) is devices.ListVerdict.NEW:
            assert message.number == 7
            assert [each.key for each in message.devices] == [DEVICE.public, OTHER.public]
            assert known.allows(User.of(message.user), OTHER.public, 7)

    @staticmethod
    @functools.cache
    def list(number):
        entries = [
            devices.Device(DEVICE.public, "desk", NOW),
            devices.confirm(DEVICE, ANN, OTHER.public, "lap", NOW),
        ]
        return devices.sign_list(NODE, ANN, entries, number=number, now=NOW)

    def seeds(self):
        token = tokens.issue(NODE, ANN, DEVICE.public, 7, NOW)
        lists = [self.list(number).SerializeToString() for number in (5, 7)]
        return [b"\x01" + token.SerializeToString(), *(b"\x00" + each for each in lists)]


class Federations(Target):
    """A federation's lists, memberships and invitations: only a signer's list counts, and no older one."""

    share = 0.5

    def __init__(self):
        self._own = state.found(OTHER.public)
        changes.add_signer(self._own, OTHER, "alpha", NODE.public)
        self._federation = federation_of(OTHER.public)
        for name, key in (("alpha", NODE), ("beta", DEVICE)):
            changes.admit(self._own, NODE, name, key.public, 20_000, "token")
        self._lists = [changes.sign(self._own, NODE, 20_000) for _ in range(3)]

    def one(self, data):
        kind, payload = (data[0] if data else 0) % 3, data[1:]
        if kind == 0:
            self.read_list(payload)
        elif kind == 1:
            shown = parsed(pb.Membership, payload)
            if shown is not None:
                standing = membership.judge(self._own, shown, "gamma", OTHER.public)
                assert standing is not membership.Standing.MEMBER, "a key that no signer admitted is in"
        else:
            try:
                token = read_token(payload.decode("utf-8", "replace"))
            except FederationRefused:
                return
            if len(token.addresses) and all("�" not in one and len(one.encode()) < 129 for one in token.addresses):
                assert read_token(token.text()) == token

    def read_list(self, payload):
        message = parsed(pb.FederationList, payload)
        if message is None:
            return
        joiner = state.begin(self._lists[1], self._federation, 1)
        if joiner.take(SignedList.of(message)) is state.Verdict.NEW:
            assert joiner.number == self._lists[2].number
            assert sorted(one.server_id for one in joiner.all_members()) == ["alpha", "beta"]

    def seeds(self):
        lists = [each.message().SerializeToString() for each in self._lists]
        shown = membership.make_membership(self._own, DEVICE.public).SerializeToString()
        token = make_token(self._federation, 3, NOW, ("10.0.0.1:6666", "alpha.example:6666"))
        found = [*(b"\x00" + each for each in lists), b"\x01" + shown, b"\x02" + token.text().encode()]
        return [*found, b"\x01" + self.forged().SerializeToString()]

    def forged(self):
        """The place of a key that nobody admitted, with the name of a signer and the signature of none."""
        shown = membership.make_membership(self._own, NODE.public)
        member = make_member(OTHER, self._federation, "gamma", OTHER.public, 20_000, "token")
        shown.member.CopyFrom(dataclasses.replace(member, by=NODE.public).message())
        return shown


# Codes ---------------------------------------------------------------------------------------------------------


class Pairing(Target):
    """Messages of a pairing (SPAKE2), on both sides, from who does not have the code; and codes as people type."""

    share = 0.02

    def one(self, data):
        reader = Reader(data)
        how = reader.byte() % 3
        try:
            if how == 0:
                pairing.read_code(data[1:].decode("utf-8", "replace"))
            elif how == 1:
                offer = pairing.Offer("parley/device", pairing.Party("alpha", NODE.public), 0.0, "4KX9-7QMT")
                element = reader.take(pairing.ELEMENT)
                offer.answer(self.party(reader), element, 1.0)
                offer.confirm(reader.take(64))
            else:
                entry = pairing.Entry("parley/device", pairing.Party("ann@alpha", DEVICE.public), "4KX9-7QMT")
                answer = pairing.Answer(reader.take(pairing.ELEMENT), reader.take(pairing.CONFIRMATION))
                entry.confirm(self.party(reader), answer)
        except ParleyError:
            return
        assert how == 0, "who does not have the code was believed"

    def party(self, reader):
        return pairing.Party(reader.take(reader.byte()).decode("utf-8", "replace"), reader.take(32))

    def seeds(self):
        stranger = pairing.Entry("parley/device", pairing.Party("eve@alpha", OTHER.public), "0000-0000")
        there = b"\x09eve@alpha" + OTHER.public
        offer = pairing.Offer("parley/device", pairing.Party("eve@alpha", OTHER.public), 0.0, "0000-0000")
        said = offer.answer(pairing.Party("ann@alpha", DEVICE.public), stranger.element, 1.0)
        return [
            b"\x00 4kx9-7qmt ", b"\x01" + stranger.element + there + bytes(32),
            b"\x02" + said.element + said.confirmation + there, b"\x01A" + bytes(32) + there,
        ]  # fmt: skip


# Authors -------------------------------------------------------------------------------------------------------


@functools.cache
def signed_message(to="user"):
    """One that a device signed."""
    message = pb.ChatMessage(messageSnowflake=1 << 62, author=ANN.to_pb(), textContent="hello")
    if to == "user":
        message.user.CopyFrom(BOB.to_pb())
    else:
        message.group.CopyFrom(Group("friends", "alpha").to_pb())
    authors.sign_message(DEVICE, message, 7, NOW * 1000)
    return message


class Authors(Target):
    """Signed messages and statuses: whatever holds says what was signed, to whom it was, in the same words."""

    def one(self, data):
        is_status, payload = (data[0] if data else 0) % 2, data[1:]
        if is_status:
            ack = parsed(pb.ChatMessageResponse, payload)
            if ack is not None:
                self.status(ack)
            return
        message = parsed(pb.ChatMessage, payload)
        if message is None or not authors.is_message_signed(message) or message.proof.key != DEVICE.public:
            return
        honest = [signed_message(), signed_message("group")]
        assert message.textContent == "hello"
        assert message.messageSnowflake == 1 << 62
        assert self.conversation(message) in [self.conversation(each) for each in honest]

    @staticmethod
    def conversation(message):
        """To whom it is; a server's name counts however it is spelt."""
        to = authors.conversation_of(message)
        return type(to), to[0], fold(to[1])

    def status(self, ack):
        fields = authors.proof_fields(ack)
        assert len(fields) == len(ack.statuses)
        for entry, proof in zip(ack.statuses, ack.proofs, strict=False):
            if (
                authors.is_status_signed(signed_message(), BOB, int(entry.status), proof)
                and proof.key == OTHER.public
            ):
                assert entry.status == 1

    def seeds(self):
        ack = pb.ChatMessageResponse(messageSnowflake=1 << 62, author=ANN.to_pb())
        ack.statuses.add(user=BOB.to_pb(), status=1)
        ack.proofs.append(authors.sign_status(OTHER, signed_message(), BOB, 1, NOW * 1000))
        messages = [b"\x00" + signed_message(to).SerializeToString() for to in ("user", "group")]
        return [*messages, b"\x01" + ack.SerializeToString()]
