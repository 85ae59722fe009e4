"""A bot at a real node: what it leaves comes again, what it does not ask for waits there, errors have names."""

import asyncio
from contextlib import asynccontextmanager

import pytest

import parley
from parley.client.connect import WINDOW
from parley.shared.config import ClientConfig, Config, DiscoveryConfig, LinkConfig
from tests.support.nodes import TIMEOUT, Node

ALPHA, CLIENT, ELSEWHERE = "127.0.63.1", "127.0.63.50", "127.0.63.51"
"""One address may take five names in an hour, and the bots of this file have those of CLIENT."""


def config(directory, address=CLIENT):
    return Config(
        address=address,
        client=ClientConfig(data_dir=directory),
        link=LinkConfig(backoff_max=0.5),
        discovery=DiscoveryConfig(discovery_timeout=0.5),
    )


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Node("alpha", ALPHA, tmp_path_factory.mktemp("node"), ("discovery", "chat")) as node:
        yield node


@asynccontextmanager
async def people(directory, bot):
    """Alice, one for each test, and the configuration of the bot's device."""
    async with parley.connect(f"alice-of-{bot}@alpha", config(directory / "alice")) as alice:
        yield alice, config(directory / bot)


async def texts(messages, count):
    async with asyncio.timeout(TIMEOUT):
        return [(await anext(messages)).text for _ in range(count)]


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("how", ["break", "exception"])
def test_a_bot_answers_and_what_it_left_comes_again_to_it_and_to_the_next_program(tmp_path, how):
    async def serve(me, left):
        async for message in me.messages():
            if message.text == left:
                if how == "break":
                    break
                raise OSError("no room")
            await message.reply(f"to {message.text}")

    async def story():
        async with people(tmp_path, how) as (alice, settings):
            name = f"{how}@alpha"
            async with parley.connect(name, settings) as me:
                work = asyncio.create_task(serve(me, "two"))
                sent = [alice.send(name, text) for text in ("one", "two", "three")]
                await asyncio.wait([work])
                assert await asyncio.wait_for(sent[0].final, TIMEOUT) == "DELIVERED"
                assert await texts(alice.messages(), 1) == ["to one"]
                assert await texts(me.messages(), 1) == ["two"]
                assert isinstance(work.exception(), OSError) == (how == "exception")
            async with parley.connect(name, settings) as me:
                messages = me.messages()
                assert await texts(messages, 2) == ["two", "three"]
                assert await asyncio.wait_for(sent[1].final, TIMEOUT) == "DELIVERED"
                assert not sent[2].final.done()

    asyncio.run(story())


@pytest.mark.usefixtures("node")
def test_by_hand_only_what_was_acknowledged_comes_no_more(tmp_path):
    async def story():
        async with people(tmp_path, "hand") as (alice, settings):
            async with parley.connect("hand@alpha", settings) as me:
                sent = [alice.send("hand@alpha", text) for text in ("one", "two")]
                messages = me.messages(ack="manual")
                async with asyncio.timeout(TIMEOUT):
                    _, second = await anext(messages), await anext(messages)
                    await second.ack()
                    assert await sent[1].final == "DELIVERED"
                assert not sent[0].final.done()
            async with parley.connect("hand@alpha", settings) as me:
                assert await texts(me.messages(), 1) == ["one"]

    asyncio.run(story())


@pytest.mark.usefixtures("node")
def test_a_bot_that_never_asks_for_the_next_holds_a_window_and_goes_on_talking(tmp_path):
    """All that it has not acknowledged waits at the server; statuses and answers come in spite of it."""

    async def story():
        async with people(tmp_path, "idle") as (alice, settings), parley.connect("idle@alpha", settings) as me:
            messages = me.messages()
            sent = [alice.send("idle@alpha", f"{number} {'x' * 1000}") for number in range(2000)]
            assert (await texts(messages, 1))[0].startswith("0 ")
            async with asyncio.timeout(TIMEOUT):
                await asyncio.wait([each.first_status for each in sent[WINDOW:]])
                assert await me.send(alice.user, "still here").first_status is None
            assert len(me._inbox._unacknowledged) == WINDOW
            link = me.link
            assert [text.partition(" ")[0] for text in await texts(messages, 500)] == [
                str(number) for number in range(1, 501)
            ]
            assert me.link is link
            assert len(me._inbox._unacknowledged) <= WINDOW

    asyncio.run(story())


@pytest.mark.usefixtures("node")
def test_errors_have_names(tmp_path):
    async def tried(name, directory):
        async with parley.connect(name, config(tmp_path / directory, ELSEWHERE)):
            pass

    async def story():
        with pytest.raises(parley.ServerNotFound) as missing:
            await tried("bot@nowhere", "one")
        assert (missing.value.server_id, isinstance(missing.value, parley.PeerUnreachable)) == ("nowhere", True)
        with pytest.raises(parley.ConfigError):
            await tried("bot", "one")
        async with parley.connect("named@alpha", config(tmp_path / "one", ELSEWHERE)) as me:
            await asyncio.wait_for(me.send("nobody@alpha", "the name is kept by now").final, TIMEOUT)
            with pytest.raises(parley.UserRefused) as refused:
                await tried("named@alpha", "another")
        assert refused.value.refusal == "new_device"

    asyncio.run(story())


def test_a_bot_that_is_cancelled_hangs_up(node, tmp_path):
    is_there = asyncio.Event()

    async def serve():
        async with parley.connect("gone@alpha", config(tmp_path)) as me:
            is_there.set()
            async for _ in me.messages():
                pass

    async def story():
        ends = node.metrics("chat").value("parley_link_closes_total", reason="exit")
        work = asyncio.create_task(serve())
        await asyncio.wait_for(is_there.wait(), TIMEOUT)
        work.cancel()
        await asyncio.wait([work])
        await asyncio.to_thread(node.wait_metric, "chat", ends + 1, "parley_link_closes_total", reason="exit")

    asyncio.run(story())
