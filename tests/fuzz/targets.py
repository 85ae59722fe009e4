"""What is fed: each entry of Parley from outside, as a class whose `one(data)` must raise nothing.

An error that the entry is to raise for bad input is expected there; any other is a bug.
"""

import contextlib
import json
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from client.chat import ChatFeature
from client.location import LocationFeature
from client.typing import TypingFeature
from services.chat import operator
from services.chat.service import ChatService
from services.discovery.service import DirectoryService
from services.location.service import LocationService
from services.typing.service import TypingService
from shared.addresses import Endpoint, Group, User, parse_recipient
from shared.announcements import read_announcement
from shared.compiled import core
from shared.config import load
from shared.errors import ConfigError, MalformedMessage, RemoteProtocolError
from shared.framing import FrameReader, PureFrameReader, read_datagram
from shared.http import HttpConnection, Turns
from shared.message_keys import MessageKeys, key_of, key_of_pure
from shared.messages import REGISTRY, decode, encode, pb
from shared.pages import Pages
from shared.session import Session, Timeouts
from tests.fuzz import links
from tests.fuzz.links import CLIENT, NAMES, SERVER, Reader, feed, in_loop

VECTORS = Path(__file__).parents[1] / "data" / "wire_frames.json"


def vectors():
    """Frames that an existing program made."""
    return [bytes.fromhex(each["frame_hex"]) for each in json.loads(VECTORS.read_text(encoding="utf-8"))]


def framed(raw):
    """A frame as `Reader.pieces` reads it."""
    frame = read_datagram(raw)
    return bytes([NAMES.index(frame.name)]) + len(frame.payload).to_bytes(2, "big") + frame.payload


class Target:
    """`seeds()`: what it begins with."""

    share = 1.0
    """Of the inputs that a cheap one gets."""

    def one(self, data):
        raise NotImplementedError

    def seeds(self):
        return vectors()


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

    def one(self, data):
        pair, number, kind, content = data[:32].ljust(32, b"\0"), data[32:40], data[40:41], data[41:]
        arguments = pair, int.from_bytes(number, "little"), int.from_bytes(kind, "big") % 128, content
        assert key_of(*arguments) == key_of_pure(*arguments)

    def seeds(self):
        return [bytes(range(41)) + text for text in (b"", b"hello", b"x" * 16, b"\xff" * 33)]


class SessionTarget(Target):
    """The state machine of a link, dialled and accepted, without a link around it."""

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


class OfService(Target):
    """A process of a node: links of clients and servers, and what they say."""

    share = 0.1
    service: type
    again = 500
    """Inputs until it is made anew: what one of them leaves behind may meet the next."""

    def __init__(self):
        self.loop = links.make_loop()
        self.count = 0
        self.process = None
        self.make()

    def make(self):
        settings, _directory = links.config()
        self.process = in_loop(lambda: self.service("alpha", settings))
        self.opened()

    def opened(self):
        pass

    def one(self, data):
        reader = Reader(data)
        hello = (CLIENT, SERVER, b"", b"")[reader.byte() % 4]
        link = in_loop(self.process._make_accepted_link)
        feed(self.loop, link, [hello, *reader.pieces()])
        assert link not in self.process._links
        assert not self.process.subscribers

    def seeds(self):
        return [bytes([kind]) + framed(raw) for kind in range(2) for raw in vectors()]


class Chat(OfService):
    """Chat, with its mailbox on a real disk."""

    service = ChatService

    def opened(self):
        self.process._open = in_loop(self.process._open_mailbox)


class Typing(OfService):
    """Typing indicators, from servers and clients; datagrams have a target of their own."""

    service = TypingService


class Location(OfService):
    """Live locations."""

    service = LocationService


class Registration(OfService):
    """Discovery's port for the processes of its node."""

    service = DirectoryService


class ServiceDatagrams(Target):
    """Datagrams of a subscriber to typing and to location."""

    share = 0.2

    def __init__(self):
        self.loop = links.make_loop()
        settings, _directory = links.config()
        self.processes = [
            in_loop(lambda kind=kind: kind("alpha", settings)) for kind in (TypingService, LocationService)
        ]
        for process in self.processes:
            link = in_loop(process._make_accepted_link)
            in_loop(lambda link=link: link.connection_made(links.Transport(link)))
            in_loop(lambda link=link: link.data_received(CLIENT))

    def one(self, data):
        name = ("TYPING_EVENT", "LIVE_LOCATION")[len(data) % 2]
        frame = read_datagram(b"%b %d %b\n" % (name.encode(), len(data), data))
        for process in self.processes:
            in_loop(lambda process=process: process._datagram_received(frame, ("10.0.0.9", 7779)))
        self.loop.now += 0.05
        self.loop.turns(2)

    def seeds(self):
        return [read_datagram(raw).payload for raw in vectors() if raw[:6] in (b"TYPING", b"LIVE_L")]


class OfClient(Target):
    """A client's feature that a hostile server answers."""

    share = 0.2
    kind: type

    def __init__(self):
        self.loop = links.make_loop()

    def feature(self):
        settings, _directory = links.config()
        return self.kind("ann@alpha", settings)

    def one(self, data):
        feature = in_loop(self.feature)
        link = in_loop(lambda: feature._make_link(Endpoint("10.0.0.9", 6666)))
        hello = encode("CONNECTED", pb.ConnectResponse(result="CONNECTED", serverId="alpha"))
        feed(self.loop, link, [hello, *Reader(data).pieces()])

    def seeds(self):
        return [framed(raw) for raw in vectors()]


class ClientChat(OfClient):
    """Chat's client."""

    kind = ChatFeature

    def feature(self):
        settings, _directory = links.config()
        return ChatFeature("ann@alpha", settings, on_message=lambda _message: None)


class ClientTyping(OfClient):
    """Typing's client, its datagrams too."""

    kind = TypingFeature
    name = "TYPING_EVENTS"

    def one(self, data):
        super().one(data)
        feature = in_loop(self.feature)
        frame = read_datagram(b"%b %d %b\n" % (self.name.encode(), len(data), data))
        with contextlib.suppress(RemoteProtocolError):
            in_loop(lambda: feature._received(frame, ("10.0.0.9", 7778)))


class ClientLocation(ClientTyping):
    """Location's client, its datagrams too."""

    kind = LocationFeature
    name = "LIVE_LOCATIONS"


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
        for kind in (operator.Drop, operator.Retry):
            try:
                operator.parse(data, kind)
            except ConfigError:
                continue

    def seeds(self):
        return [b'{"to": "bob@alpha"}', b'{"to": "server:beta", "older_than": 3600}', b"{}"]


class Configuration(Target):
    """A configuration file, and an environment."""

    share = 0.2

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
    "announcements": Announcements, "registration": Registration, "chat": Chat, "typing": Typing,
    "location": Location, "datagrams": ServiceDatagrams, "client-chat": ClientChat, "client-typing": ClientTyping,
    "client-location": ClientLocation, "http": Http, "operator": Operator, "configuration": Configuration,
}  # fmt: skip
if core is not None:
    TARGETS["keys"] = Keys
