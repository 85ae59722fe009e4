"""A service without a discovery process looks at the network itself: what others make up there does not add up."""

import asyncio

from parley.services.typing import TypingService
from parley.shared.addresses import Endpoint, Server
from parley.shared.config import Config, DiscoveryConfig, LimitsConfig, TypingConfig
from parley.shared.discovery.discovery import DiscoveryService

LOOKS = 20


def test_names_that_are_made_up_at_each_look_are_dealt_with_up_to_a_bound(monkeypatch, tmp_path):
    looks = []

    async def discover(_self, _timeout):
        looks.append(len(looks))
        if len(looks) > LOOKS:
            done.set()
            await asyncio.Event().wait()
        endpoints = (Endpoint("127.0.0.99", 9),)
        return [Server(f"fake{looks[-1]}-{n}", {"TYPING_INDICATOR": endpoints}) for n in range(10)]

    async def story():
        config = Config(
            address="127.0.0.1",
            data_dir=str(tmp_path),
            discovery=DiscoveryConfig(discovery_interval=0.001),
            typing=TypingConfig(port=0, udp_port=0),
            limits=LimitsConfig(servers=30),
        )
        service = TypingService("alpha", config)
        serving = asyncio.create_task(service.handle_connections())
        await asyncio.wait_for(done.wait(), 30)
        assert len(service.peering.peers) == 30
        assert len(service.server_list) == 30
        serving.cancel()
        await asyncio.wait([serving])

    done = asyncio.Event()
    monkeypatch.setattr(DiscoveryService, "discover_servers", discover)
    asyncio.run(story())
