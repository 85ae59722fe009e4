"""ChatFeature against real nodes: it finds its server again wherever that is, and loses nothing meanwhile."""

import asyncio
import socket

import pytest

from parley import ChatFeature, DiscoveryService
from parley.shared.config import Config, DiscoveryConfig, LinkConfig
from parley.shared.link.link import Link
from parley.shared.link.session import Timeouts
from tests.support.nodes import TIMEOUT, Node, wait_until

FIRST, SECOND, CLIENT = "127.0.48.1", "127.0.48.2", "127.0.48.50"
SHORT_TIMEOUTS = Config(
    address=CLIENT,
    link=LinkConfig(backoff_max=0.5),
    discovery=DiscoveryConfig(discovery_timeout=1.0),
)


async def connected(user, **how):
    feature = ChatFeature(user, SHORT_TIMEOUTS, **how)
    found = await DiscoveryService(SHORT_TIMEOUTS).discover_servers()
    await feature.handle_connection(found)
    return feature


async def in_time(awaitable):
    return await asyncio.wait_for(awaitable, TIMEOUT)


@pytest.mark.parametrize("how", ["another address", "another port"])
def test_a_server_that_restarts_elsewhere_is_found_again_and_gets_what_was_sent_meanwhile(tmp_path, how):
    came = []
    elsewhere = SECOND if how == "another address" else FIRST
    settings = {"PARLEY_CHAT__PORT": "16666"} if how == "another port" else {}

    async def story():
        first = await asyncio.to_thread(Node("alpha", FIRST, tmp_path, ("discovery", "chat")).__enter__)
        alice = await connected("alice@alpha")
        bob = await connected("bob@alpha", on_message=lambda message: came.append(message.textContent))
        async with alice, bob:
            assert await in_time(alice.send("bob@alpha", "before").final) == "DELIVERED"
            await asyncio.to_thread(first.stop)
            delivery = alice.send("bob@alpha", "meanwhile")
            assert [alice.is_connected, bob.is_connected] == [False, False]
            second = Node("alpha", elsewhere, tmp_path, ("discovery", "chat"), settings)
            await asyncio.to_thread(second.__enter__)
            try:
                assert await in_time(delivery.final) == "DELIVERED"
                await in_time(bob.wait_connected())
                assert alice.endpoint.host == elsewhere
                assert alice.endpoint.port == (16666 if settings else 6666)
            finally:
                await asyncio.to_thread(second.stop)
        assert came == ["before", "meanwhile"]

    asyncio.run(story())


def test_what_on_message_did_not_take_comes_again_over_the_next_link(tmp_path):
    async def story():
        came, refused = [], asyncio.Event()

        def on_message(message):
            if not refused.is_set():
                refused.set()
                raise OSError("no room")
            came.append(message.textContent)

        alice = await connected("alice@alpha")
        bob = await connected("bob@alpha", on_message=on_message)
        async with alice:
            async with bob:
                first = alice.send("bob@alpha", "one")
                await in_time(refused.wait())
                assert await in_time(alice.send("bob@alpha", "two").final) == "DELIVERED"
                assert came == ["two"]
                assert not first.final.done()
            async with await connected("bob@alpha", on_message=on_message):
                assert await in_time(first.final) == "DELIVERED"
                assert came == ["two", "one"]

    with Node("alpha", FIRST, tmp_path, ("discovery", "chat")):
        asyncio.run(story())


def test_what_on_message_did_not_take_is_offered_again_over_the_same_link(tmp_path):
    async def story():
        came, tries = [], []

        def on_message(message):
            if message.textContent == "one" and len(tries) < 2:
                tries.append(message.messageSnowflake)
                raise OSError("no room")
            came.append(message.textContent)

        alice = await connected("alice@alpha")
        bob = await connected("bob@alpha", on_message=on_message)
        async with alice, bob:
            link = bob.link
            first = alice.send("bob@alpha", "one")
            assert await in_time(alice.send("bob@alpha", "two").final) == "DELIVERED"
            assert await in_time(first.final) == "DELIVERED"
            assert came == ["two", "one"]
            assert tries == [first.snowflake] * 2
            assert bob.link is link

    with Node("alpha", FIRST, tmp_path, ("discovery", "chat"), {"PARLEY_CHAT__ACK_TIMEOUT": "0.2"}):
        asyncio.run(story())


def test_whether_all_has_arrived_is_known_of_a_link():
    """One whose machine takes nothing any more is offered nothing; what a program does not read has arrived."""

    async def story():
        loop = asyncio.get_running_loop()
        with socket.create_server((CLIENT, 0)) as server:
            link = Link(
                ChatFeature("bob@alpha", SHORT_TIMEOUTS), timeouts=Timeouts(60, 60), limit=1024, hello=b"HELLO 0 \n"
            )
            assert not link.has_arrived
            await loop.create_connection(lambda: link, *server.getsockname())
            there, _ = server.accept()
            with there:
                assert there.recv(1024) == b"HELLO 0 \n"
                link.send(b"it stays unread")
                link.flush()
                wait_until(lambda: link.has_arrived)
                link.send(bytes(64 * 1024 * 1024))
                link.flush()
                assert not link.has_arrived
                link.hang_up()
                assert not link.has_arrived
            await in_time(link.disconnected)

    asyncio.run(story())


def test_an_outbox_of_documents_that_no_link_could_hold_at_once_arrives_in_order(tmp_path):
    async def story():
        came = []
        alice = await connected("alice@alpha")
        bob = await connected("bob@alpha", on_message=lambda message: came.append(message.document.filename))
        async with alice, bob:
            sent = [alice.send_document("bob@alpha", f"{n}.bin", bytes(2 * 1024 * 1024)) for n in range(15)]
            assert {await in_time(delivery.final) for delivery in sent} == {"DELIVERED"}
            assert came == [f"{n}.bin" for n in range(15)]

    with Node("alpha", FIRST, tmp_path, ("discovery", "chat")):
        asyncio.run(story())
