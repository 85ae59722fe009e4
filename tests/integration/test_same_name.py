"""Two servers of one name: a message reaches who is at the second one, though the first one answers before.

Real chat processes on loopback; what each knows of the others is told by the test, so that nothing is a race.
"""

import asyncio
import time

import pytest

from parley.client.chat import ChatFeature
from parley.services.chat.message.early_refusals import YOUNG
from parley.services.chat.service import ChatService
from parley.shared.addresses import Endpoint, Server, User
from parley.shared.config import ChatConfig, Config, LinkConfig
from parley.shared.wire.messages import MESSAGES

ALPHA, FIRST, SECOND = "127.0.62.1", "127.0.62.2", "127.0.62.3"
LINK = LinkConfig(backoff_min=0.05, backoff_max=0.2)
PATIENCE = 20.0


class Place:
    """Alpha, linked with the first of two servers called beta; alice at alpha."""

    def __init__(self, directory):
        self.directory = directory
        self.servers = []
        self.people = []
        self.told = []
        """What alice was told, in order."""

    async def __aenter__(self):
        self.alpha = await self.start("alpha", ALPHA)
        self.first, self.second = await self.start("beta", FIRST), await self.start("beta", SECOND)
        await self.alpha.set_server_list_and_connect([found(self.first)])
        await self.until(lambda: self.alpha.peering.link_to("beta") is not None)
        self.alice = await self.connect("alice@alpha", self.alpha)
        return self

    async def __aexit__(self, *_):
        for each in self.people:
            await each.close()
        for server in self.servers:
            await server.stop()

    async def start(self, name, host):
        config = Config(
            server_id=name,
            address=host,
            data_dir=str(self.directory / host),
            link=LINK,
            chat=ChatConfig(port=0),
        )
        server = ChatService(config=config)
        self.servers.append(server)
        await server.start()
        return server

    async def connect(self, name, server, *, shown=lambda _text: None):
        person = ChatFeature(
            User.parse(name),
            Config(link=LINK),
            on_message=lambda message: shown(message.textContent),
            on_status=lambda _delivery, _whose, status: self.told.append(status),
        )
        await person.handle_connection([found(server)])
        self.people.append(person)
        return person

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - of several objects, none of which tells
                await asyncio.sleep(0.01)

    @staticmethod
    async def all_final(deliveries):
        await asyncio.wait_for(asyncio.gather(*(each.final for each in deliveries)), PATIENCE)

    def finally_told(self):
        return [status for status in self.told if status != "OTHER_SERVER_TIMEOUT"]

    async def write_to_bob(self, *texts):
        """Alice writes, and the first beta has answered."""
        deliveries = [self.alice.send("bob@beta", text) for text in texts]
        await self.until(lambda: len(self.alpha._early_refusals) or self.told)
        return deliveries


def found(server):
    """What a directory says of it."""
    return Server(server.server_id, {MESSAGES: (Endpoint(server.config.address, server.listener.port),)})


def run(story):
    asyncio.run(story())


TEXTS = ["one", "two", "three"]


@pytest.mark.parametrize("knows_both", [True, False])
def test_a_user_of_the_second_of_two_servers_of_a_name_is_reached_by_the_first_messages(tmp_path, knows_both):
    """`knows_both`: alpha's directory hears of the second one, too, before it asks to be linked."""

    async def story():
        async with Place(tmp_path) as place:
            shown = []
            await place.connect("bob@beta", place.second, shown=shown.append)
            deliveries = await place.write_to_bob(*TEXTS)
            began = time.monotonic()
            if knows_both:
                both = (*found(place.first).endpoints(MESSAGES), *found(place.second).endpoints(MESSAGES))
                await place.alpha.set_server_list_and_connect([Server("beta", {MESSAGES: both})])
            await place.second.set_server_list_and_connect([found(place.alpha)])
            await place.all_final(deliveries)
            assert shown == TEXTS
            assert place.finally_told() == 3 * ["DELIVERED"]
            assert time.monotonic() - began < YOUNG - 1.0, "it waits for nothing but the second one"

    run(story)


def test_all_messages_that_are_refused_together_reach_who_is_at_a_second_one_that_asked_before(tmp_path):
    async def story():
        async with Place(tmp_path) as place:
            shown = []
            await place.connect("bob@beta", place.second, shown=shown.append)
            await place.second.set_server_list_and_connect([found(place.alpha)])
            await place.until(lambda: place.alpha.peering.is_contested("beta"))
            await place.all_final([place.alice.send("bob@beta", text) for text in TEXTS])
            assert shown == TEXTS
            assert place.finally_told() == 3 * ["DELIVERED"]

    run(story)


def test_a_user_whom_nobody_has_is_told_so_once_the_link_is_young_no_more_and_then_at_once(tmp_path):
    async def story():
        async with Place(tmp_path) as place:
            began = time.monotonic()
            (delivery,) = await place.write_to_bob("hello")
            await asyncio.wait_for(delivery.final, PATIENCE)
            assert time.monotonic() - began <= YOUNG + 1.0
            began = time.monotonic()
            again = place.alice.send("bob@beta", "again")
            await asyncio.wait_for(again.final, PATIENCE)
            assert time.monotonic() - began <= 1.0
            assert place.told == ["USER_NOT_FOUND", "USER_NOT_FOUND"]

    run(story)
