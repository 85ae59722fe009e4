"""What a server is told of who types, in frames that it takes."""

import asyncio
import time

from parley.services.typing.service import TypingService
from parley.shared.addresses import User
from parley.shared.config import Config, SecurityConfig
from parley.shared.link.events import Identity
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import decode, pb

TYPISTS = 3000
NAME = "\u6d77" * 250
"""An existing client's name may be so long."""


class Peer:
    """A link with another Parley."""

    peer_id = "beta"
    writable = True
    is_parley = True

    def __init__(self):
        self.sent = b""

    def send(self, raw):
        self.sent += raw


async def tell(peer):
    """What a typing process tells while very many of its users type."""
    service, now = TypingService("alpha"), time.time()
    for number in range(TYPISTS):
        event = pb.TypingEvent(user=pb.User(userId=f"{NAME}{number}", serverId="alpha"), timestamp=now)
        assert service.indicators.update(event, service.now(), now, "somewhere") == ""
    service.send_all(peer)


def test_a_server_that_is_linked_while_very_many_type_is_told_in_frames_that_are_not_too_large():
    peer = Peer()
    asyncio.run(tell(peer))
    reader = FrameReader(Config().link.payload_limit)
    frames = reader.feed(peer.sent)
    assert reader.error is None
    assert sum(len(decode(frame, pb.TypingEvents).typing_events) for frame in frames) == TYPISTS


def test_in_mode_strict_no_client_is_let_in_that_is_told_in_plain_datagrams():
    strict = TypingService("alpha", Config(security=SecurityConfig(mode="strict")))
    mixed, connected = TypingService("alpha"), pb.ConnectResponse.CONNECTED
    user = User("alice", "alpha")
    in_datagrams, on_link = Identity(user=user, udp_port=4444), Identity(user=user, events_on_link=True)
    assert strict.admit_client(in_datagrams) == pb.ConnectResponse.UNKNOWN_ERROR
    assert strict.admit_client(on_link) == mixed.admit_client(in_datagrams) == connected
