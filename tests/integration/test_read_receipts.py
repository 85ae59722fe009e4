"""Read receipts between real nodes: who switched them on hears of who did; nobody else, and nothing else."""

import asyncio

import msgspec

from parley import ChatFeature, DiscoveryService
from parley.shared.config import ClientConfig, Config, DiscoveryConfig, LinkConfig
from tests.support.nodes import COUNTED, TIMEOUT, Node, wait_linked, wait_until

ALPHA, BETA, CLIENT = "127.0.191.1", "127.0.191.2", "127.0.191.50"
OFF = Config(address=CLIENT, link=LinkConfig(backoff_max=0.5), discovery=DiscoveryConfig(discovery_timeout=1.0))
ON = msgspec.structs.replace(OFF, client=ClientConfig(read_receipts=True))


class Person:
    """Somebody who reads what comes."""

    def __init__(self, name, config=ON):
        self.shown, self.heard = [], []
        self.chat = ChatFeature(
            name, config, on_message=self.shown.append, on_read=lambda *read: self.heard.append(read)
        )

    async def __aenter__(self):
        await self.chat.__aenter__()
        await self.chat.handle_connection(await DiscoveryService(OFF).discover_servers())
        return self

    async def __aexit__(self, *_):
        await self.chat.__aexit__(*_)

    async def write(self, other, text):
        delivery = self.chat.send(other.chat.user, text)
        assert await asyncio.wait_for(delivery.final, TIMEOUT) == "DELIVERED"
        return delivery.snowflake

    def read_all(self):
        for each in self.shown:
            self.chat.was_read(each)


def test_an_author_hears_what_was_read_where_both_switched_it_on_and_nowhere_else(tmp_path):
    async def story():
        async with Person("bob@beta") as bob, Person("cy@beta", OFF) as cy:
            alice = Person("alice@alpha")
            async with alice:
                numbers = [await alice.write(bob, text) for text in ("one", "two")]
                await alice.write(cy, "three")
                await cy.write(alice, "four")
                await cy.write(bob, "five")
                cy.read_all()
                alice.read_all()
                bob.read_all()
                await asyncio.to_thread(wait_until, lambda: alice.heard, what="a receipt")
                assert alice.heard == [(bob.chat.user, numbers[1])]
                await bob.write(alice, "six")
                alice.read_all()
                await asyncio.to_thread(wait_until, lambda: bob.heard, what="a receipt")
                assert (len(bob.heard), cy.heard) == (1, [])
                later = await alice.write(bob, "seven")
            bob.read_all()
            alice = Person("alice@alpha")
            async with alice:
                await asyncio.to_thread(wait_until, lambda: alice.heard, what="a receipt from before")
                assert alice.heard == [(bob.chat.user, later)]
                assert [each.tellRead for each in bob.shown] == [True, True, False, True]

    with (
        Node("alpha", ALPHA, tmp_path, ("discovery", "chat"), settings=COUNTED) as alpha,
        Node("beta", BETA, tmp_path, ("discovery", "chat"), settings=COUNTED) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        asyncio.run(story())
