"""People of several nodes who write, type and share where they are, all the time, on a thread of their own."""

import asyncio
import itertools
import threading
import time
from contextlib import AsyncExitStack, suppress
from functools import partial

import msgspec

from parley import ChatFeature
from parley.client.location import LocationFeature
from parley.client.typing import TypingFeature
from parley.shared.addresses import Endpoint, Server
from parley.shared.errors import PeerError
from parley.shared.wire.messages import LIVE_LOCATION, MESSAGES, TYPING_INDICATOR
from tests.support.federation import configuration

PAUSE = 0.1
"""Seconds between what each person does."""
BACK = 1.0
"""Seconds, at most, between two tries of somebody whose server was away: what is measured needs them there."""


class Known:
    """Finds the one node that is known."""

    def __init__(self, node):
        self._servers = (
            Server(
                node.server_id,
                {
                    MESSAGES: (Endpoint(node.address, 6666),),
                    TYPING_INDICATOR: (Endpoint(node.address, 7777, 7778),),
                    LIVE_LOCATION: (Endpoint(node.address, 8888, 8889),),
                },
            ),
        )

    async def discover_servers(self, timeout=None, *, until=None):  # noqa: ARG002 - it takes no time
        return self._servers


def person_at(address):
    """How a person is configured."""
    config = configuration(address)
    return msgspec.structs.replace(config, link=msgspec.structs.replace(config.link, backoff_max=BACK))


class Traffic:
    """`ann` of each node writes to herself at the next node and to `ben` at her own; a context manager."""

    def __init__(self, nodes, network):
        self._nodes = nodes
        self._addresses = (f"{network}.{number}" for number in itertools.count(50))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._error = None
        self.delivered = 0

    def __enter__(self):
        self._thread.start()
        assert self._ready.wait(20), "nobody could connect"
        assert self._error is None, self._error
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()
        assert self._error is None, self._error

    def write(self, recipient):
        """One more message, by `ann` of the last node."""
        self._loop.call_soon_threadsafe(self._writer.send, recipient, "later")

    def _run(self):
        try:
            self._loop.run_until_complete(self._live())
        except Exception as error:  # noqa: BLE001 - told by whoever waits
            self._error = error
            self._ready.set()

    async def _live(self):
        async with AsyncExitStack() as stack:
            people = [await self._person(stack, name, node) for node in self._nodes for name in ("ann", "ben")]
            self._writer = people[-2][1]
            self._ready.set()
            tasks = [asyncio.create_task(self._act(*person)) for person in people]
            tasks.append(asyncio.create_task(self._come_and_go(people[0][1])))
            over = asyncio.create_task(self._over.wait())
            await asyncio.wait([*tasks, over], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            over.cancel()
        self._error = next((error for error in ended if isinstance(error, Exception)), None)

    async def _person(self, stack, name, node):
        user, address, known = f"{name}@{node.server_id}", next(self._addresses), Known(node)
        features = []
        reads = partial(ChatFeature, on_message=lambda _message: None)
        for make in (reads, TypingFeature, LocationFeature):
            feature = await stack.enter_async_context(make(user, person_at(address), discovery=known))
            await feature.handle_connection(await known.discover_servers())
            features.append(feature)
        return (node, *features)

    async def _act(self, node, chat, typing, location):
        others = [each.server_id for each in self._nodes if each is not node]
        for number in itertools.count():
            recipients = [f"ann@{other}" for other in others] + [f"ben@{node.server_id}"]
            for recipient in recipients:
                if recipient != str(chat.user) and len(chat.outbox) < 100:
                    chat.send(recipient, "hello").final.add_done_callback(self._done)
                typing.send_typing(recipient)
                location.send_location(recipient, 1.0, number % 90, expiry_at=time.time() + 30)
            await asyncio.sleep(PAUSE)

    async def _come_and_go(self, writer):
        """Zoe is there for a second and away for two: what is written to her meanwhile waits."""
        node = self._nodes[0]
        address, known = next(self._addresses), Known(node)
        while True:
            reads = ChatFeature(
                f"zoe@{node.server_id}", person_at(address), on_message=lambda _message: None, discovery=known
            )
            async with reads:
                with suppress(PeerError):  # the server is away, too
                    await reads.handle_connection(await known.discover_servers())
                await asyncio.sleep(1)
            for _ in range(20):
                writer.send(f"zoe@{node.server_id}", "later")
                await asyncio.sleep(PAUSE)

    def _done(self, final):
        if not final.cancelled() and final.exception() is None:
            self.delivered += final.result() == "DELIVERED"
