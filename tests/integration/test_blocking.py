"""Blocking, at two real nodes: it holds for direct messages and group copies, and survives the process."""

import asyncio

import pytest

from tests.support.nodes import Node, wait_linked
from tests.support.talkers import final, talking

ALPHA, BETA, CLIENT = "127.0.51.1", "127.0.51.2", "127.0.51.50"
ANN, BOB, CID = "ann@alpha", "bob@beta", "cid@beta"
CREW = "#crew@alpha"


@pytest.fixture
def nodes(tmp_path):
    settings = {"PARLEY_LINK__BACKOFF_MAX": "0.5"}
    with (
        Node("alpha", ALPHA, tmp_path, ("discovery", "chat"), settings) as alpha,
        Node("beta", BETA, tmp_path, ("discovery", "chat"), settings) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        yield alpha, beta


def test_who_is_blocked_hears_so_also_after_a_crash_until_unblocked(nodes):
    _alpha, beta = nodes

    def crash():
        beta.kill("chat")
        beta.start("chat")
        beta.wait_ready()
        wait_linked(nodes, ["chat"])

    async def story():
        async with talking(CLIENT, ANN, BOB, CID) as [ann, bob, cid]:
            for talker in (ann, bob, cid):
                await talker.chat.join(CREW)
            await bob.chat.block(ANN)
            await asyncio.to_thread(crash)
            await bob.chat.wait_connected()
            await cid.chat.wait_connected()
            assert [str(user) for user in await bob.chat.blocked()] == [ANN]
            assert await final(ann.chat.send(BOB, "one")) == "USER_BLOCKED"
            to_all = ann.chat.send(CREW, "two")
            assert await final(to_all) == "USER_BLOCKED"
            assert {str(user): status for user, status in to_all.members.items()} == {
                BOB: "USER_BLOCKED",
                CID: "DELIVERED",
            }
            assert await final(bob.chat.send(ANN, "back")) == "DELIVERED"
            await bob.chat.unblock(ANN)
            assert await bob.chat.blocked() == []
            assert await final(ann.chat.send(CREW, "three")) == "DELIVERED"
            assert [each.textContent for each in bob.came] == ["three"]
            assert [each.textContent for each in cid.came] == ["two", "three"]

    asyncio.run(story())
