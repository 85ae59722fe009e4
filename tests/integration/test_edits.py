"""Edits and deletions between real nodes: all who have the message are told, whoever was away, too."""

import asyncio

from parley import ChatFeature, DiscoveryService
from parley.shared.addresses import Group
from parley.shared.config import Config, DiscoveryConfig, LinkConfig
from parley.shared.wire.messages import pb
from tests.support.nodes import COUNTED, TIMEOUT, Node, wait_linked, wait_until

ALPHA, BETA, CLIENT = "127.0.179.1", "127.0.179.2", "127.0.179.50"
CONFIG = Config(address=CLIENT, link=LinkConfig(backoff_max=0.5), discovery=DiscoveryConfig(discovery_timeout=1.0))
CREW = Group("crew", "alpha")


class Person:
    """Somebody who keeps what they were shown."""

    def __init__(self, name):
        self.shown, self.edits = [], []
        self.chat = ChatFeature(name, CONFIG, on_message=self.shown.append, on_edit=self.edits.append)

    async def __aenter__(self):
        await self.chat.__aenter__()
        await self.chat.handle_connection(await DiscoveryService(CONFIG).discover_servers())
        return self

    async def __aexit__(self, *_):
        await self.chat.__aexit__(*_)

    async def write(self, to, text):
        delivery = self.chat.send(to, text)
        assert await asyncio.wait_for(delivery.final, TIMEOUT) == "DELIVERED"
        return delivery.message


def test_an_edit_and_a_deletion_are_told_to_all_who_have_the_message_signed_and_in_order(tmp_path):
    async def story():
        async with Person("alice@alpha") as alice, Person("bob@alpha") as bob:
            bea = Person("bea@beta")
            async with bea:
                for each in (alice, bob, bea):
                    await asyncio.wait_for(each.chat.join(CREW), TIMEOUT)
                written = await alice.write(CREW, "luch at noon")
                to_bea = await alice.write("bea@beta", "between us")
            changes = [
                alice.chat.edit(written, "lunch at noon"),
                alice.chat.edit(written, "lunch at one"),
                alice.chat.edit(to_bea, "just between us"),
                alice.chat.delete(written),
            ]
            await asyncio.to_thread(wait_until, lambda: all(each.statuses for each in changes), what="statuses")
            bea = Person("bea@beta")
            async with bea:
                for each in changes:
                    assert await asyncio.wait_for(each.final, TIMEOUT) == "DELIVERED"
                found = [(each.edit.text, each.edit.deletes) for each in bea.edits if each.HasField("userOfGroup")]
                assert found == [("lunch at noon", False), ("lunch at one", False), ("", True)]
                assert [each.edit.text for each in bea.edits if each.HasField("user")] == ["just between us"]
                assert [each.edit.target for each in bob.edits] == [written.messageSnowflake] * 3
                revisions = [each.edit.revision for each in bob.edits]
                assert revisions == sorted(set(revisions))
                assert {each.assurance for each in (*bob.edits, *bea.edits)} == {pb.ChatMessage.SIGNED}
                assert bea.shown == []
                assert [each.textContent for each in bob.shown] == ["luch at noon"]

    with (
        Node("alpha", ALPHA, tmp_path, ("discovery", "chat"), settings=COUNTED) as alpha,
        Node("beta", BETA, tmp_path, ("discovery", "chat"), settings=COUNTED) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        asyncio.run(story())
