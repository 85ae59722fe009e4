"""What a message may contain, byte for byte across two nodes, to who is there or away; and how long it may wait."""

import asyncio
import os
import random

import pytest

from parley.shared.errors import FrameTooLarge
from tests.support.nodes import Node, wait_linked
from tests.support.talkers import final, talking

ALPHA, BETA, CLIENT = "127.0.52.1", "127.0.52.2", "127.0.52.50"
MEBIBYTE = 1024 * 1024
SERVICES = ("discovery", "chat")
ANN, BOB = "ann@alpha", "bob@beta"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    with (
        Node("alpha", ALPHA, directory, SERVICES) as alpha,
        Node("beta", BETA, directory, SERVICES) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        yield alpha, beta


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.parametrize("size", [0, 2 * MEBIBYTE])
def test_a_document_arrives_byte_for_byte(size, is_away):
    data = os.urandom(size)

    async def story():
        async with talking(CLIENT, ANN) as [ann]:
            if is_away:
                async with talking(CLIENT, BOB):
                    pass
                sent = ann.chat.send_document(BOB, "map.png", data)
                await ann.wait_told(sent, BOB, "USER_AWAY")
            async with talking(CLIENT, BOB) as [bob]:
                if not is_away:
                    sent = ann.chat.send_document(BOB, "map.png", data)
                assert await final(sent) == "DELIVERED"
                [came] = bob.came
                assert came.document.data == data
                assert (came.document.filename, came.document.mimeType) == ("map.png", "image/png")

    asyncio.run(story())


def test_what_is_one_byte_too_long_is_refused_by_the_client_and_by_the_server(nodes):
    alpha, _beta = nodes
    limit = 0

    async def story():
        async with talking(CLIENT, ANN) as [ann]:
            nonlocal limit
            limit = ann.chat.config.link.payload_limit
            with pytest.raises(FrameTooLarge):
                ann.chat.send_document(BOB, "large", bytes(limit + 1))
            smaller = ann.chat.send_document(BOB, "map.png", b"")
            without = smaller.message.ByteSize()
        spare = 10  # a longer document has longer lengths before it
        async with talking(CLIENT, ANN, BOB) as [ann, bob]:
            data = random.randbytes(limit - without - spare)
            sent = ann.chat.send_document(BOB, "map.png", data)
            room = limit - sent.message.ByteSize()
            assert 0 <= room <= spare
            assert await final(sent) == "DELIVERED"
            longest = ann.chat.send_document(BOB, "map.png", data + bytes(room))
            assert longest.message.ByteSize() == limit
            assert await final(longest) == "DELIVERED"
            with pytest.raises(FrameTooLarge):
                ann.chat.send_document(BOB, "map.png", data + bytes(room + 1))
            assert bob.came[-1].document.data == data + bytes(room)
        async with talking(CLIENT, ANN, payload_limit=limit + 1) as [ann]:
            ann.chat.send_document(BOB, "map.png", data + bytes(room + 1))
            await asyncio.to_thread(
                alpha.wait_metric, "chat", 1, "parley_limited_total", what="bytes", where="pieces"
            )

    asyncio.run(story())


@pytest.mark.usefixtures("nodes")
def test_a_place_arrives_as_it_was_sent():
    async def story():
        async with talking(CLIENT, ANN, BOB) as [ann, bob]:
            assert await final(ann.chat.send_location(BOB, 53.551086, 9.993682, 2e9)) == "DELIVERED"
            place = bob.came[0].live_location
            assert (place.location.latitude, place.location.longitude) == (53.551086, 9.993682)
            assert place.expiry_at == 2e9
            assert (place.author.userId, place.user.userId) == ("ann", "bob")

    asyncio.run(story())


def test_what_waits_too_long_is_given_up_its_author_hears_so_and_nobody_gets_it(tmp_path):
    settings = {"PARLEY_CHAT__MAILBOX_TTL": "1"}

    async def story():
        async with talking(CLIENT, "amy@gamma"):
            pass
        async with talking(CLIENT, "ann@gamma") as [ann]:
            sent = ann.chat.send("amy@gamma", "too late")
            await ann.wait_told(sent, "amy@gamma", "USER_AWAY")
            assert await final(sent) == "OTHER_ERROR"
            async with talking(CLIENT, "amy@gamma") as [amy]:
                assert await final(ann.chat.send("amy@gamma", "in time")) == "DELIVERED"
                assert [each.textContent for each in amy.came] == ["in time"]

    with Node("gamma", "127.0.52.3", tmp_path, SERVICES, settings):
        asyncio.run(story())
