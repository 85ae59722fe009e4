"""Blocking, at two real nodes: it holds for direct messages and group copies, and survives the process."""

import asyncio
import time

import pytest

from parley import ChatFeature, DiscoveryService, LocationFeature, TypingFeature
from parley.shared.config import Config, DiscoveryConfig
from tests.support.nodes import SERVICES, TIMEOUT, Node, wait_linked
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


# Typing and locations --------------------------------------------------------------------------

SEER = "127.0.51.60"
NAMES = ("chat", "typing", "location")


@pytest.fixture
def whole(tmp_path):
    """Two nodes with all their processes."""
    with Node("alpha", ALPHA, tmp_path, SERVICES) as alpha, Node("beta", BETA, tmp_path, SERVICES) as beta:
        wait_linked([alpha, beta], NAMES)
        yield alpha, beta


class Person:
    """Somebody with chat, typing and locations; what they see changes."""

    def __init__(self, name, address):
        config = Config(address=address, discovery=DiscoveryConfig(discovery_timeout=1.0))
        self.changed = asyncio.Event()
        self.config, self.user = config, name
        self.chat = ChatFeature(name, config, on_message=lambda _message: None)
        self.typing = TypingFeature(name, config, on_change=self._note)
        self.location = LocationFeature(name, config, on_change=self._note)

    def _note(self, _seen):
        self.changed.set()

    async def __aenter__(self):
        found = await DiscoveryService(self.config).discover_servers()
        for feature in (self.chat, self.typing, self.location):
            await feature.handle_connection(found)
        return self

    async def __aexit__(self, *_):
        for feature in (self.location, self.typing, self.chat):
            await feature.close()

    @property
    def typists(self):
        return {str(typist.user) for typist in self.typing.typists}

    @property
    def places(self):
        return {str(place.author): place.latitude for place in self.location.locations}

    async def until(self, is_so):
        """Wait until it is so, for what is seen here."""
        async with asyncio.timeout(TIMEOUT):
            while not is_so():
                self.changed.clear()
                await self.changed.wait()

    def share(self, to, latitude):
        self.location.send_location(to, latitude, 0.0, expiry_at=time.time() + 60)


@pytest.mark.usefixtures("whole")
def test_who_is_blocked_is_not_seen_to_type_nor_where_they_are_until_unblocked():
    """At the blocked person's own server nothing is known of it, so it is for the other one to see to."""

    async def story():
        async with Person(ANN, CLIENT) as ann, Person(CID, SEER) as cid, Person(BOB, SEER) as bob:
            cid.share(BOB, 3.0)
            ann.share(BOB, 1.0)
            await bob.until(lambda: bob.places == {ANN: 1.0, CID: 3.0})
            await bob.chat.block(ANN)
            await bob.until(lambda: bob.places == {CID: 3.0})  # at once, and not when it expires
            ann.share(BOB, 2.0)
            for to in (BOB, None):
                ann.typing.send_typing(to)
                cid.typing.send_typing(to)
            await ann.location.retransmissions.wait(TIMEOUT)
            await ann.typing.retransmissions.wait(TIMEOUT)
            cid.share(BOB, 4.0)
            await bob.until(lambda: bob.places.get(CID) == 4.0 and CID in bob.typists)
            assert bob.places == {CID: 4.0}
            assert bob.typists == {CID}
            await bob.chat.unblock(ANN)
            await bob.until(lambda: bob.places == {ANN: 2.0, CID: 4.0})  # where she is now, before she moves
            ann.share(BOB, 5.0)
            ann.typing.stop_typing(BOB)
            ann.typing.send_typing(BOB)
            await bob.until(lambda: bob.places == {ANN: 5.0, CID: 4.0} and ANN in bob.typists)

    asyncio.run(story())


def test_a_block_holds_for_who_comes_later_and_whichever_process_was_restarted(whole):
    _alpha, beta = whole

    def restart(*names):
        for name in names:
            beta.kill(name)
            beta.start(name)
        beta.wait_ready()
        wait_linked(whole, NAMES)

    async def sees_cid_alone(bob):
        await bob.until(lambda: CID in bob.places)
        seen = []
        async with asyncio.timeout(TIMEOUT):
            while len(seen) < 3:  # what is told at the beginning is told three times
                bob.changed.clear()
                seen.append(bob.places)
                cid_moved = asyncio.ensure_future(bob.changed.wait())
                await asyncio.wait([cid_moved], timeout=0.6)
                cid_moved.cancel()
        assert all(ANN not in places for places in seen)

    async def story():
        async with Person(ANN, CLIENT) as ann:
            async with Person(BOB, SEER) as bob:
                await bob.chat.block(ANN)
            ann.share(BOB, 1.0)
            await ann.location.retransmissions.wait(TIMEOUT)
            for names in ((), ("location",), ("chat",)):
                await asyncio.to_thread(restart, *names)
                async with Person(CID, SEER) as cid, Person(BOB, SEER) as bob:
                    cid.share(BOB, 3.0)
                    await sees_cid_alone(bob)

    asyncio.run(story())
