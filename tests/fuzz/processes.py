"""The processes of a node: what clients, servers, each other and the operator send them."""

import contextlib
import json
import shutil
import time

from google.protobuf.message import DecodeError

from parley.services.chat.operator import server as operator_server
from parley.services.chat.service import ChatService
from parley.services.discovery.service import DirectoryService
from parley.services.location.service import LocationService
from parley.services.typing.service import TypingService
from parley.shared.addresses import Endpoint
from parley.shared.config import DiscoveryConfig
from parley.shared.http.server import HttpConnection, Turns
from parley.shared.sockets.datagrams import Datagram
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import encode, pb
from tests.fuzz import links
from tests.fuzz.links import CLIENT, SERVER, Reader, feed, in_loop
from tests.fuzz.target import Target, framed, vectors

ACCEPTING = encode(
    "CONNECTED",
    pb.ConnectResponse(result="CONNECTED", serverId="beta", instanceId="an instance of beta"),
)


def sibling(feature):
    """The CONNECT of a process of this node."""
    endpoint = pb.Endpoint(feature=feature, host="10.0.0.9", port=6666)
    hello = pb.ConnectServer(
        serverId="alpha", features=[feature], endpoints=[endpoint], instanceId=f"{feature} of alpha"
    )
    hello.proof.nonce = bytes(16)
    return encode("CONNECT_SERVER", hello)


class OfService(Target):
    """One process: links of clients and servers, and what they say."""

    share = 0.1
    service: type
    again = 1000
    """Inputs until it is made again: what one of them leaves behind may meet the next."""
    kinds = (CLIENT, SERVER, b"", "dialled")
    """Who sends it: with which CONNECT; an empty one: what has none."""

    def __init__(self):
        self.count = 0
        self.loop = self.process = self.directory = None

    def make(self):
        """A process in a directory of its own, on a loop without anybody else's timers."""
        if self.process is not None:
            self.end()
        self.loop = links.make_loop()
        settings, self.directory = links.config(**self.settings())
        self.process = in_loop(lambda: self.service("alpha", settings))
        self.process.data_directory.make_secret(None)
        self.opened()

    def settings(self):
        return {}

    def opened(self):
        pass

    def end(self):
        self.loop.close()
        shutil.rmtree(self.directory)

    def one(self, data):
        if self.count % self.again == 0:
            self.make()
        self.count += 1
        self.feed(data)

    def feed(self, data):
        reader = Reader(data)
        hello = self.kinds[reader.byte() % len(self.kinds)]
        if hello == "dialled":
            link = in_loop(lambda: self.process.make_peer_link("beta", Endpoint("10.0.0.9", 6666)))
            hello = ACCEPTING
        else:
            link = in_loop(self.process.make_accepted_link)
        feed(self.loop, link, [hello, lambda: in_loop(lambda: self.prove(link)), *reader.pieces()])
        assert link not in self.process._links
        assert not self.process.subscribers

    def prove(self, link):
        """Somebody who says to be a process of this node has proven it."""
        waiting = self.process.siblings
        if waiting._accepting.forget(link):
            waiting._proven.add(link)
            self.process.sibling_proven(link)

    def seeds(self):
        return [bytes([kind]) + framed(raw) for kind in range(len(self.kinds)) for raw in vectors()]


class Chat(OfService):
    """Chat, with its mailbox on a real disk."""

    service = ChatService
    kinds = (*OfService.kinds, sibling("TYPING_INDICATOR"))

    def opened(self):
        self.process._runner = in_loop(self.process.open_mailbox)
        in_loop(self.process._runner._expire)

    def end(self):
        in_loop(self.process.close_mailbox)
        super().end()


class Typing(OfService):
    """Typing indicators, from servers and clients; datagrams have a target of their own."""

    service = TypingService


class Location(OfService):
    """Live locations."""

    service = LocationService


class Registration(OfService):
    """Discovery's port for the processes of its node."""

    service = DirectoryService
    kinds = (CLIENT, SERVER, b"", sibling("MESSAGES"))

    def opened(self):
        self.process.keep_secret()


class Discovery(OfService):
    """Discovery's datagrams, from near and far and from a configured address; with a nonce of ours, or without."""

    share = 0.2
    service = DirectoryService
    sources = (("127.0.0.5", 9999), ("127.0.0.5", 40000), ("10.0.0.9", 9999), ("10.0.0.77", 9999))

    def settings(self):
        return {"discovery": DiscoveryConfig(port=0, tcp_port=0, http_port=0, static_peers=("10.0.0.9:9999",))}

    def opened(self):
        self.process.keep_secret()
        in_loop(self.process.bind)
        self.announcer = self.process._announcer
        self.announcer._socket.send = lambda *_, **__: None
        for feature, host in (("MESSAGES", "10.0.0.1"), ("LIVE_LOCATION", "10.0.0.20")):  # one announces itself
            self.register(sibling(feature), host)

    def register(self, hello, host):
        """Without a process of this node there is nothing to announce."""
        link = in_loop(self.process.make_accepted_link)
        in_loop(lambda: link.connection_made(links.Transport(link, host)))
        in_loop(lambda: link.data_received(hello))
        self.loop.turns(3)
        in_loop(lambda: self.prove(link))

    def end(self):
        self.announcer.close()
        self.process.listener.pause()
        super().end()

    def feed(self, data):
        reader = Reader(data)
        how = reader.byte()
        source = self.sources[how % 4]
        name = ("DISCOVER_SERVER", "SERVER_ANNOUNCE")[how >> 2 & 1]
        payload = data[1:]
        if how & 8:
            payload = self.answering(payload, source)
        raw = payload if how & 16 else b"%b %d %b\n" % (name.encode(), len(payload), payload)
        in_loop(lambda: self.announcer._datagram_received(Datagram(raw, source, "127.0.0.1")))
        self.loop.now += 1.0  # so seldom anybody may send
        self.loop.turns(2)
        if self.count % 16 == 0:
            json.dumps(in_loop(self.process.status))
            in_loop(self.process._page)

    def answering(self, payload, source):
        """The same announcement, as if it answered a request of ours."""
        with contextlib.suppress(DecodeError):
            message = pb.ServerAnnounce.FromString(payload)
            message.nonce = self.announcer._asking.nonces.issue(source, self.loop.now)
            return message.SerializeToString()
        return payload

    def seeds(self):
        mark = pb.Mark(version="1", instanceId="x", capabilities=1)
        feature = pb.ServerAnnounce.Feature(featureName="MESSAGES", port=6666, linked=["gamma"])
        said = pb.ServerAnnounce(serverId="beta", feature=[feature], mark=mark, nonce=b"nonce").SerializeToString()
        asked = pb.DiscoverServer(nonce=b"nonce", padding=b"." * 200).SerializeToString()
        answers = [bytes([how]) + said for how in (4, 6, 12, 14, 15)]
        return [*answers, b"\x00" + asked, b"\x02" + asked, *(b"\x10" + raw for raw in vectors())]


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
            link = in_loop(process.make_accepted_link)
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


class OperatorSocket(Chat):
    """The operator's requests to a chat process in which messages wait, and what is no request."""

    share = 0.05
    paths = ("/drop", "/retry", "/else")
    PATIENCE = 10.0
    """Seconds in which an answer must have been made."""

    def opened(self):
        super().opened()
        process = self.process
        operations = operator_server.Operations(
            self.directory / "alpha", process.engine, process.roster, process.runner.turn_over
        )
        self.socket = operator_server.OperatorSocket(self.directory / "alpha", operations, process.log)
        self.turns = Turns()
        message = pb.ChatMessage(textContent="hello")
        message.author.userId, message.author.serverId = "ann", "alpha"
        wait = []
        for number, (user, server) in enumerate((("bob", "alpha"), ("bob", "beta"))):
            message.messageSnowflake, message.user.userId, message.user.serverId = number, user, server
            wait.append(encode("MESSAGE", message))
        feed(self.loop, in_loop(process.make_accepted_link), [CLIENT, *wait])

    def feed(self, data):
        how, body = (data[0] if data else 0) % 4, data[1:]
        connection = in_loop(lambda: HttpConnection(self.socket, self.turns))
        head = "POST %s HTTP/1.1\r\nHost: parley\r\nContent-Length: %d\r\n\r\n"
        raw = body if how == 3 else (head % (self.paths[how], len(body))).encode() + body
        feed(self.loop, connection, [raw, lambda: self.answered(connection), 1.0])

    def answered(self, connection):
        """Let threads do what was asked, in their own time."""
        end = time.monotonic() + self.PATIENCE
        while connection._pending is not None:
            assert time.monotonic() < end, "the operator's request is not answered"
            self.loop.turns(1)

    def seeds(self):
        drop = [b'\x00{"messages": [[1, 0]]}', b'\x00{"messages": [[1, 0], [2, 1], [9223372036854775807, 1]]}']
        retry = [b'\x01{"destinations": ["bob@alpha", "beta", "#friends@alpha"]}', b"\x02", b"\x01{}"]
        return [*drop, *retry, b"\x03GET /drop HTTP/1.1\r\nHost: x\r\n\r\n"]
