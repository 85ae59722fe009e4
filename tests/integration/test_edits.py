"""Edits and deletions between real nodes: all who have the message are told, whoever was away, too."""

import asyncio
import signal

from parley import ChatFeature, DiscoveryService
from parley.shared.addresses import Group
from parley.shared.config import Config, DiscoveryConfig, LinkConfig
from parley.shared.wire.messages import pb
from tests.support.nodes import COUNTED, TIMEOUT, Node, wait_linked, wait_until
from tests.support.plain_client import PlainClient

ALPHA, BETA, CLIENT, PLAIN = "127.0.179.1", "127.0.179.2", "127.0.179.50", "127.0.179.51"
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
                final = [await asyncio.wait_for(each.final, TIMEOUT) for each in changes]
                assert final == ["OTHER_ERROR", "OTHER_ERROR", "DELIVERED", "DELIVERED"]  # two came to bob alone
                found = [(each.edit.text, each.edit.deletes) for each in bea.edits if each.HasField("userOfGroup")]
                assert found == [("", True)]
                assert [each.edit.text for each in bob.edits] == ["lunch at noon", "lunch at one", ""]
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


def restart(*nodes):
    """Each chat process ends and begins, with nothing in memory of what waits."""
    for node in nodes:
        node.kill("chat", signal.SIGTERM)
        node.wait_exit("chat")
        node.start("chat")
        node.wait_ready("chat")
    wait_linked(nodes, ["chat"])


def found_in(*nodes):
    """The files of mailboxes that have a byte of what was changed or deleted."""
    files = [path for node in nodes for path in node.directory.rglob("chat.db*")]
    return [(path, text) for path in files for text in (b"frist", b"hidden") if text in path.read_bytes()]


class Dan(PlainClient):
    """A client of an existing program, at beta."""

    def __init__(self):
        super().__init__("dan", "beta", PLAIN, enough=2)


async def kept(*deliveries):
    """All of these wait by now."""
    await asyncio.to_thread(wait_until, lambda: all(each.statuses for each in deliveries), what="statuses")


def test_what_waited_while_it_was_changed_comes_once_with_its_newest_text_or_not_at_all(tmp_path):
    async def story(alpha, beta):
        bea, bob = Person("bea@beta"), Person("bob@alpha")
        async with Person("alice@alpha") as alice:
            async with bea, bob:
                for each in (alice, bea, bob):
                    await asyncio.wait_for(each.chat.join(CREW), TIMEOUT)
            people = ("bea@beta", "dan@beta", CREW)
            first = [alice.chat.send(to, "a frist text") for to in people]
            gone = [alice.chat.send(to, "a hidden text") for to in people]
            await kept(*first, *gone)
            await asyncio.to_thread(restart, alpha, beta)
            edits = [
                alice.chat.edit(each.message, text) for each in first for text in ("a 2nd text", "a third text")
            ]
            deletions = [alice.chat.delete(each.message) for each in gone]
            await kept(*edits, *deletions)
            await asyncio.to_thread(wait_until, lambda: not found_in(alpha, beta), what="erased bytes")
            await asyncio.to_thread(restart, alpha, beta)
            bea, bob = Person("bea@beta"), Person("bob@alpha")
            async with bea, bob:
                with Dan() as dan:
                    await asyncio.to_thread(dan.connect)
                    for each in (*first, *edits, *deletions):
                        assert await asyncio.wait_for(each.final, TIMEOUT) == "DELIVERED"
                    assert {await asyncio.wait_for(each.final, TIMEOUT) for each in gone} == {"UNKNOWN_STATUS"}
                    to_dan = {(each["messageSnowflake"], each["textContent"]) for each in dan.messages}
                    assert to_dan == {(first[1].snowflake, "a third text")}  # twice, where he answered late
            numbers = [each.snowflake for each in first]
            for person, expected in ((bea, {numbers[0], numbers[2]}), (bob, {numbers[2]})):
                assert {each.messageSnowflake for each in person.shown} == expected
                assert len(person.shown) == len(expected)
                assert {each.textContent for each in person.shown} == {"a third text"}
                assert {each.assurance for each in person.shown} == {pb.ChatMessage.SIGNED}
                assert all(each.edit.deletes for each in person.edits)

    with (
        Node("alpha", ALPHA, tmp_path, ("discovery", "chat"), settings=COUNTED) as alpha,
        Node("beta", BETA, tmp_path, ("discovery", "chat"), settings=COUNTED) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        with Dan() as dan:
            dan.connect()
        asyncio.run(story(alpha, beta))
