"""All that is fed, by name; here the readers that need no process, and the pages' port."""

import contextlib

import yaml
from prometheus_client import CollectorRegistry

from parley.services.chat.operator import commands
from parley.shared.addresses import Group, User, parse_recipient
from parley.shared.compiled import core
from parley.shared.config import load
from parley.shared.discovery.announcements import read_announcement
from parley.shared.errors import ConfigError, MalformedMessage
from parley.shared.http.pages import Pages
from parley.shared.http.server import HttpConnection, Turns
from parley.shared.link.session import Session, Timeouts
from parley.shared.wire.framing import FrameReader, PureFrameReader, read_datagram
from parley.shared.wire.message_keys import MessageKeys, key_of, key_of_pure
from parley.shared.wire.messages import REGISTRY, decode, pb
from tests.fuzz import links
from tests.fuzz.clients import ClientChat, ClientLocation, ClientTyping
from tests.fuzz.links import CLIENT, NAMES, Reader, feed, in_loop
from tests.fuzz.processes import (
    Chat,
    Discovery,
    Location,
    OperatorSocket,
    Registration,
    ServiceDatagrams,
    Typing,
)
from tests.fuzz.target import Target, framed, vectors
from tests.fuzz.trust import Announced, Authors, DeviceLists, Federations, Pairing, Proofs, Tls


class Framing(Target):
    """Streams, cut anywhere: the compiled reader and Python's find the same frames, or the same fault."""

    def one(self, data):
        cut = data[0] if data else 0
        readers = [FrameReader(4096), PureFrameReader(4096)]
        found = []
        for reader in readers:
            frames = reader.feed(data[1 : 1 + cut]) + reader.feed(data[1 + cut :])
            found.append([(f.name, bytes(f.raw), bytes(f.payload)) for f in frames])
            found.append(type(reader.error))
        assert found[:2] == found[2:]


class Datagram(Target):
    """One frame, and whatever is in it."""

    def one(self, data):
        try:
            frame = read_datagram(data)
            decode(frame, REGISTRY.get(frame.name, pb.Ping))
        except MalformedMessage:
            pass


class Decoding(Target):
    """A payload of each name; who is named, and by what a message is recognised."""

    def __init__(self):
        self._keys = MessageKeys(bytes(32))

    def one(self, data):
        payload = REGISTRY[NAMES[(data[0] if data else 0) % len(NAMES)]]
        try:
            message = payload.FromString(data[1:])
        except Exception:  # noqa: BLE001 - protobuf's DecodeError
            return
        payload.FromString(message.SerializeToString())
        if isinstance(message, pb.ChatMessage):
            author, recipient = User.of(message.author), User.of(message.user)
            assert len(self._keys.of(author, recipient, None, message)) in (0, 16)
            for text in (str(author), str(Group.of(message.group))):
                try:
                    assert str(parse_recipient(text)) == text
                except ConfigError:
                    continue

    def seeds(self):
        return [bytes([NAMES.index(read_datagram(raw).name)]) + read_datagram(raw).payload for raw in vectors()]


class Keys(Target):
    """The compiled core recognises a message by the same key as Python."""

    def __init__(self):
        self._multipliers = MessageKeys(bytes(32)).multipliers

    def one(self, data):
        pair, number, kind, content = data[:16].ljust(16, b"\0"), data[16:24], data[24:25], data[25:]
        number, kind = int.from_bytes(number, "little"), int.from_bytes(kind, "big") % 128
        arguments = self._multipliers, pair, number, kind, content
        assert key_of(*arguments) == key_of_pure(*arguments)

    def seeds(self):
        return [bytes(range(25)) + text for text in (b"", b"hello", b"x" * 16, b"\xff" * 33)]


class SessionTarget(Target):
    """The state machine of a link, dialled and accepted, without a link around it."""

    share = 0.5

    def one(self, data):
        now = 0.0
        for hello in (None, CLIENT):
            session = Session(timeouts=Timeouts(10.0, 300.0), limit=4096, now=now, hello=hello)
            for piece in Reader(data).pieces():
                if isinstance(piece, float):
                    now += piece
                    session.handle_timeout(now)
                else:
                    session.queue(session.receive_data(piece, now))
                while session.next_event() is not None:
                    pass
                session.frames_to_send()
            session.receive_eof()

    def seeds(self):
        return [framed(raw) for raw in vectors()] + [b"".join(map(framed, vectors()[:12]))]


class Announcements(Target):
    """What a server says of itself by UDP."""

    def one(self, data):
        with contextlib.suppress(MalformedMessage):
            read_announcement(read_datagram(b"SERVER_ANNOUNCE %d %b\n" % (len(data), data)), "10.0.0.9")

    def seeds(self):
        mark = pb.Mark(version="1", instanceId="x", capabilities=1)
        feature = pb.ServerAnnounce.Feature(featureName="MESSAGES", port=6666, linked=["beta"])
        made = pb.ServerAnnounce(serverId="alpha", feature=[feature], mark=mark, nonce=b"nonce")
        return [made.SerializeToString()]


class Http(Target):
    """The pages' port."""

    share = 0.2

    def __init__(self):
        self.loop = links.make_loop()
        self._pages = Pages(CollectorRegistry(), dict, list)

    def one(self, data):
        connection = in_loop(lambda: HttpConnection(self._pages, Turns()))
        cut = data[0] if data else 0
        feed(self.loop, connection, [data[1 : 1 + cut], data[1 + cut :]])

    def seeds(self):
        head = b"\x10GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
        return [head % path for path in (b"metrics", b"status", b"healthz", b"?a=b")] + [
            b"\x05POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"\x07HEAD /readyz HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
        ]


class Operator(Target):
    """What the operator's commands ask a chat process."""

    def one(self, data):
        for kind in (commands.Drop, commands.Retry):
            try:
                commands.parse(data, kind)
            except ConfigError:
                continue

    def seeds(self):
        return [b'{"messages": [[1, 2]]}', b'{"destinations": ["bob@alpha", "beta"]}', b"{}"]


class Configuration(Target):
    """A configuration file, and an environment."""

    share = 0.1

    def __init__(self):
        self._path = links.config()[1] / "parley.yml"

    def one(self, data):
        text = data.decode("utf-8", "replace")
        self._path.write_text(text, encoding="utf-8")
        name, _, value = text.partition("\n")
        for environ in ({}, {"PARLEY_" + name.upper()[:64]: value}):
            try:
                load(str(self._path), environ)
            except ConfigError as error:
                if "\n" in str(error).strip():
                    raise AssertionError("an error of more than one line") from error

    def seeds(self):
        whole = {"server_id": "alpha", "chat": {"ack_timeout": 3}, "discovery": {"static_peers": ["beta:9999"]}}
        return [yaml.safe_dump(whole).encode(), b"link__ping_timeout\n5", b"- a\n- b", b"a: &a [*a]"]


TARGETS = {
    "framing": Framing, "datagram": Datagram, "decoding": Decoding, "session": SessionTarget,
    "announcements": Announcements, "discovery": Discovery, "registration": Registration, "chat": Chat,
    "typing": Typing, "location": Location, "datagrams": ServiceDatagrams, "client-chat": ClientChat,
    "client-typing": ClientTyping, "client-location": ClientLocation, "http": Http, "operator": Operator,
    "operator-socket": OperatorSocket, "configuration": Configuration, "tls": Tls, "proofs": Proofs,
    "announced-keys": Announced, "device-lists": DeviceLists, "federation-lists": Federations, "pairing": Pairing,
    "authors": Authors,
}  # fmt: skip
if core is not None:
    TARGETS["keys"] = Keys
