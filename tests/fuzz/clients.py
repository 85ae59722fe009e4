"""A client's features, which a hostile server answers."""

import asyncio

from parley.client.chat import ChatFeature
from parley.client.location import LocationFeature
from parley.client.typing import TypingFeature
from parley.shared.addresses import Endpoint
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import encode, pb
from tests.fuzz import links
from tests.fuzz.links import Reader, feed, in_loop
from tests.fuzz.target import Target, framed, vectors

SERVER = "10.0.0.9"
CONNECTED = encode("CONNECTED", pb.ConnectResponse(result="CONNECTED", serverId="alpha"))
CONNECTED_PARLEY = encode(
    "CONNECTED",
    pb.ConnectResponse(
        result="CONNECTED", serverId="alpha", instanceId="an instance of alpha", terms=pb.Terms(capabilities=255)
    ),
)


class OfClient(Target):
    """One feature: what comes over its link; where it has datagrams, those as well."""

    share = 0.2
    kind: type
    datagrams = ""
    """The name of what comes by UDP."""

    def __init__(self):
        self.loop = links.make_loop()
        self.config, _directory = links.config()

    def feature(self):
        return self.kind("ann@alpha", self.config)

    def one(self, data):
        how = data[0] if data else 0
        feature = in_loop(self.feature)
        link = in_loop(lambda: feature._make_link(Endpoint(SERVER, 6666)))
        hello = (CONNECTED, CONNECTED_PARLEY, b"")[how % 3]
        if self.datagrams and how & 128:
            feed(self.loop, link, [hello, lambda: self.datagram(feature, data[1:])])
        else:
            feed(self.loop, link, [hello, *Reader(data[1:]).pieces()])
        self.close(feature)

    def datagram(self, feature, payload):
        frame = read_datagram(b"%b %d %b\n" % (self.datagrams.encode(), len(payload), payload))
        in_loop(lambda: feature._received(frame, (SERVER, 7778)))

    def close(self, feature):
        closing = in_loop(lambda: asyncio.ensure_future(feature.close()))
        while not closing.done():
            self.loop.now += 1.0
            self.loop.turns(2)
        closing.result()

    def seeds(self):
        found = [bytes([how]) + framed(raw) for how in range(2) for raw in vectors()]
        return found + [
            b"\x81" + read_datagram(raw).payload
            for raw in vectors()
            if self.datagrams and raw.startswith(self.datagrams.encode())
        ]


class ClientChat(OfClient):
    """Chat's client."""

    kind = ChatFeature

    def feature(self):
        return ChatFeature("ann@alpha", self.config, on_message=lambda _message: None)


class ClientTyping(OfClient):
    """Typing's client, its datagrams too."""

    kind = TypingFeature
    datagrams = "TYPING_EVENTS"


class ClientLocation(OfClient):
    """Location's client, its datagrams too."""

    kind = LocationFeature
    datagrams = "LIVE_LOCATIONS"
