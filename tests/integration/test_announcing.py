"""AnnouncementService: a server is announced from any process, for as long as there is something to dial."""

import asyncio
import socket

import pytest

from parley import AnnouncementService, ChatService, Config, DiscoveryService, LocationService, TypingService
from parley.shared.config import ChatConfig
from parley.shared.errors import ConfigError
from parley.shared.wire.messages import LIVE_LOCATION, MESSAGES, TYPING_INDICATOR
from tests.support.plain_client import PlainClient

HERE, ASKER = "127.0.59.21", "127.0.59.22"


def settings(**changes):
    return Config(address=HERE, **changes)


def listener(port):
    return socket.create_server((HERE, port))


async def heard(timeout=0.3):
    """What a client that asks once is told of gamma: feature → ports."""
    found = await DiscoveryService(Config(address=ASKER)).discover_servers(timeout, until=bool)
    return {
        feature: (endpoint.host, endpoint.port, endpoint.udp_port)
        for server in found
        for feature, (endpoint,) in server.features.items()
    }


def test_a_feature_is_announced_while_something_accepts_connections_at_its_port():
    async def main():
        async with AnnouncementService("gamma", settings()) as announcement:
            await announcement.announce_server()
            assert await heard() == {}
            with listener(7777):
                assert await heard() == {TYPING_INDICATOR: (HERE, 7777, 7778)}
                with listener(6666), listener(8888):
                    assert await heard() == {
                        MESSAGES: (HERE, 6666, 0),
                        TYPING_INDICATOR: (HERE, 7777, 7778),
                        LIVE_LOCATION: (HERE, 8888, 8889),
                    }
            assert await heard() == {}

    asyncio.run(main())


def test_it_announces_the_features_that_it_is_told_at_the_configured_ports_until_it_is_stopped():
    async def main():
        config = settings(chat=ChatConfig(port=6601))
        announcement = AnnouncementService("gamma", config, features=[MESSAGES])
        with listener(6601), listener(7777):
            await announcement.announce_server()
            await announcement.announce_server()  # it does already
            assert await heard() == {MESSAGES: (HERE, 6601, 0)}
            await announcement.stop()
            assert await heard() == {}

    asyncio.run(main())


def test_an_existing_client_is_answered_in_its_own_words():
    async def main():
        async with AnnouncementService("gamma", settings()) as announcement:
            with listener(6666):
                await announcement.announce_server()
                await asyncio.to_thread(ask)

    def ask():
        with PlainClient("bob", "gamma", ASKER, broadcast="127.255.255.255", enough=1) as bob:
            (found,) = bob.discover_once()
        assert (found.server_id, found.address, found.features) == ("gamma", HERE, {MESSAGES: (6666, 0)})

    asyncio.run(main())


@pytest.mark.parametrize("name", ["x" * 65, "x\ny", "\udc00", " x", "#x", "x@y", "a\u0308"])
def test_a_name_that_no_server_may_have_is_refused_at_once(name):
    for make in (AnnouncementService, ChatService, TypingService, LocationService):
        with pytest.raises(ConfigError, match="server_id: "):
            make(name, Config())


def test_a_feature_that_there_is_not_is_refused_at_once():
    with pytest.raises(ConfigError, match="there is no feature 'SINGING'"):
        AnnouncementService("alpha", Config(), features=("SINGING",))
