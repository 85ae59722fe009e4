"""History over real processes: two people talk, and another device of one of them reads it, in order and once."""

import asyncio
import signal
import sqlite3
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest

from parley import ChatFeature, DiscoveryService
from parley.client.outbox.questions import RequestFailed
from parley.shared.addresses import Group, User
from parley.shared.config import ClientConfig, Config, DiscoveryConfig, LinkConfig
from tests.support.nodes import COUNTED, TIMEOUT, Node, wait_linked, wait_until

ALPHA, BETA, CLIENT = "127.0.177.1", "127.0.177.2", "127.0.177.50"
CONFIG = Config(address=CLIENT, link=LinkConfig(backoff_max=0.5), discovery=DiscoveryConfig(discovery_timeout=1.0))
BOB, BEA = User("bob", "alpha"), User("bea", "beta")
CREW = Group("crew", "alpha")
BOTH_PATHS = pytest.mark.parametrize("pure", [False, True], ids=["compiled", "pure"])


async def connected(name, **how):
    feature = ChatFeature(name, CONFIG, **how)
    await feature.handle_connection(await DiscoveryService(CONFIG).discover_servers())
    return feature


async def in_time(awaitable):
    return await asyncio.wait_for(awaitable, TIMEOUT)


def node(name, host, directory, **settings):
    """A node whose discovery and chat run; `settings` are environment variables."""
    settings = COUNTED | {"PARLEY_HISTORY__KEEP": "30"} | settings
    return Node(name, host, directory, ("discovery", "chat"), settings=settings)


def texts(page):
    return [line.message.textContent for line in page.lines]


def ignore(_message):
    """Take a message."""


@BOTH_PATHS
def test_another_device_reads_what_two_said_in_order_and_once(tmp_path, pure, monkeypatch):
    async def story():
        alice = await connected("alice@alpha", on_message=ignore)
        bob = await connected("bob@alpha", on_message=ignore)
        async with alice, bob:
            for number in range(200):
                author, other = (alice, "bob@alpha") if number % 3 else (bob, "alice@alpha")
                assert await in_time(author.send(other, f"number {number}").final) == "DELIVERED"
        phone, tablet = await connected("alice@alpha"), await connected("bob@alpha")
        async with phone, tablet:
            newest = await in_time(phone.history.lines(BOB, limit=120))
            older = await in_time(phone.history.lines(BOB, before=newest.lines[-1].sequence, limit=120))
            his = await in_time(tablet.history.lines(User("alice", "alpha"), after=0, limit=200))
            assert newest.more
            assert not older.more
            assert texts(newest) + texts(older) == [f"number {number}" for number in reversed(range(200))]
            assert texts(his) == [f"number {number}" for number in range(200)]
            assert [line.received for line in his.lines[:3]] == [False, True, True]
            assert {line.status for line in his.lines if not line.received} == {"DELIVERED"}

    if pure:
        monkeypatch.setenv("PARLEY_PURE", "1")
    with node("alpha", ALPHA, tmp_path):
        asyncio.run(story())


def test_each_home_keeps_its_own_users_side_and_what_waited_is_there_once(tmp_path):
    async def story():
        alice = await connected("alice@alpha", on_message=ignore)
        bea = await connected("bea@beta", on_message=ignore)
        async with bea:
            pass
        async with alice:
            first = alice.send(BEA, "while you were out")
            await asyncio.to_thread(wait_until, lambda: first.statuses, what="an interim status")
            bea = await connected("bea@beta", on_message=ignore)
            async with bea:
                assert await in_time(first.final) == "DELIVERED"
                assert await in_time(bea.send("alice@alpha", "thanks").final) == "DELIVERED"
                hers = await in_time(bea.history.lines(User("alice", "alpha")))
            mine = await in_time(alice.history.lines(BEA))
            assert texts(hers) == texts(mine) == ["thanks", "while you were out"]
            assert [line.status for line in mine.lines] == ["", "DELIVERED"]
            assert [line.received for line in hers.lines] == [False, True]

    with node("alpha", ALPHA, tmp_path) as alpha, node("beta", BETA, tmp_path) as beta:
        wait_linked([alpha, beta], ["chat"])
        asyncio.run(story())


def test_a_member_reads_a_group_from_joining_on_and_nobody_else_reads_it(tmp_path):
    async def story():
        alice = await connected("alice@alpha", on_message=ignore)
        bob = await connected("bob@alpha", on_message=ignore)
        eve = await connected("eve@alpha", on_message=ignore)
        async with alice, bob, eve:
            await in_time(alice.join(CREW))
            await in_time(eve.join(CREW))
            await in_time(alice.send(CREW, "before bob").final)
            await in_time(eve.leave(CREW))
            await in_time(bob.join(CREW))
            await in_time(bob.send(CREW, "hello").final)
            await in_time(alice.send(CREW, "welcome").final)
            assert texts(await in_time(alice.history.lines(CREW))) == ["welcome", "hello", "before bob"]
            assert texts(await in_time(bob.history.lines(CREW))) == ["welcome", "hello"]
            assert texts(await in_time(eve.history.lines(CREW))) == ["before bob"]
            assert texts(await in_time(bob.history.search("before"))) == []
            assert texts(await in_time(eve.history.search("BEFORE bob"))) == ["before bob"]

    with node("alpha", ALPHA, tmp_path):
        asyncio.run(story())


def test_what_is_written_while_a_groups_history_is_off_is_in_nobodys_lists_and_in_no_file(tmp_path):
    async def story():
        alice = await connected("alice@alpha", on_message=ignore)
        bea = await connected("bea@beta", on_message=ignore)
        async with alice, bea:
            await in_time(alice.join(CREW))
            await in_time(bea.join(CREW))
            for off, text in ((False, "open"), (True, "closed"), (False, "open again")):
                await in_time(alice.set_history(CREW, is_off=off))
                for author in (alice, bea):
                    await in_time(author.send(CREW, f"{text}, says {author.user}").final)
            said = [f"{text}, says {who}" for text in ("open again", "open") for who in ("bea@beta", "alice@alpha")]
            for each in (alice, bea):
                assert texts(await in_time(each.history.lines(CREW))) == said
                assert texts(await in_time(each.history.search("closed"))) == []

    with node("alpha", ALPHA, tmp_path) as alpha, node("beta", BETA, tmp_path) as beta:
        wait_linked([alpha, beta], ["chat"])
        asyncio.run(story())
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("archive.db*"))
    assert b"open again, says bea@beta" in kept
    assert b"closed, says" not in kept


def test_what_was_read_on_one_device_is_not_new_on_the_other(tmp_path):
    async def story():
        alice = await connected("alice@alpha", on_message=ignore)
        bob = await connected("bob@alpha", on_message=ignore)
        phone = await connected("bob@alpha", on_message=ignore)
        async with alice, bob, phone:
            for number in range(5):
                await in_time(alice.send(BOB, f"number {number}").final)
            (mine,) = await in_time(phone.history.conversations())
            assert (mine.unread, mine.read, mine.last.message.textContent) == (5, 0, "number 4")
            bob.history.mark_read(User("alice", "alpha"), 3)
            bob.history.mark_read(User("alice", "alpha"), 2)  # it goes forward only
            await in_time(bob.history.conversations())  # behind them: they came
            (mine,) = await in_time(phone.history.conversations())
            assert (mine.unread, mine.read) == (2, 3)

    with node("alpha", ALPHA, tmp_path):
        asyncio.run(story())


def test_what_was_delivered_and_is_in_the_lists_outlives_a_kill(tmp_path):
    async def story(alpha):
        alice = await connected("alice@alpha", on_message=ignore)
        bob = await connected("bob@alpha", on_message=ignore)
        async with alice, bob:
            sent = [alice.send(BOB, f"number {number}") for number in range(500)]
            for delivery in sent:
                assert await in_time(delivery.final) == "DELIVERED"
            (mine,) = await in_time(bob.history.conversations())  # all before it is in the file
            assert mine.unread == 500
            alpha.kill("chat", signal.SIGKILL)
            await asyncio.to_thread(alpha.start, "chat")
            await in_time(bob.wait_connected())
            found = []
            page = await in_time(bob.history.lines(User("alice", "alpha"), after=0, limit=200))
            while page.lines:
                found += texts(page)
                after = page.lines[-1].sequence
                page = await in_time(bob.history.lines(User("alice", "alpha"), after=after, limit=200))
            assert found == [f"number {number}" for number in range(500)]

    with node("alpha", ALPHA, tmp_path) as alpha:
        asyncio.run(story(alpha))


async def copy_of(feature, other):
    found = await feature.cache.lines(other, limit=9999)
    return [(each.sequence, each.received, each.message.textContent, each.status) for each in reversed(found)]


async def until_equal(features, other, count):
    """Wait until these devices hold so many lines; all of them the same."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            copies = [await copy_of(feature, other) for feature in features]
            is_final = all(status in ("", "DELIVERED") for *_, status in copies[0])
            if is_final and all(copy == copies[0] and len(copy) == count for copy in copies):
                return copies[0]
            await asyncio.sleep(0.01)


def test_what_one_device_sends_is_at_the_others_in_order_with_its_status_though_they_come_and_go(tmp_path):
    def device(name, number):
        config = msgspec.structs.replace(CONFIG, client=ClientConfig(data_dir=str(tmp_path / f"{name}{number}")))
        return ChatFeature(f"{name}@alpha", config, on_message=ignore, on_line=came[name, number].append)

    came = defaultdict(list)

    async def there(feature):
        await feature.handle_connection(await DiscoveryService(CONFIG).discover_servers())
        return feature

    async def story():
        laptop, phone, bea = device("alice", 1), device("alice", 2), await connected("bea@beta", on_message=ignore)
        async with laptop:
            await there(laptop)
            async with bea:
                for number in range(20):
                    assert await in_time(laptop.send(BEA, f"number {number}").final) == "DELIVERED"
            waits = laptop.send(BEA, "while she is away")
            await asyncio.to_thread(wait_until, lambda: waits.statuses, what="an interim status")
            async with phone:
                await there(phone)
                await in_time(phone.cache.caught_up())
                assert len(await copy_of(phone, BEA)) == 21
                bea = await connected("bea@beta", on_message=ignore)
                async with bea:
                    assert await in_time(waits.final) == "DELIVERED"
                    assert await in_time(phone.send(BEA, "from the phone").final) == "DELIVERED"
                    assert await in_time(bea.send("alice@alpha", "to both").final) == "DELIVERED"
                    both = await until_equal([laptop, phone], BEA, 23)
            assert [text for *_, text, _ in both][-3:] == ["while she is away", "from the phone", "to both"]
            assert [status for *_, status in both] == ["DELIVERED"] * 22 + [""]
            assert [each.message.textContent for each in came["alice", 2]] == ["from the phone", "to both"]
            bea = await connected("bea@beta", on_message=ignore)
            async with bea:
                assert await in_time(laptop.send(BEA, "the phone is off").final) == "DELIVERED"
            phone = device("alice", 2)
            async with phone:
                await there(phone)
                assert await until_equal([laptop, phone], BEA, 24) == [
                    *both,
                    (24, False, "the phone is off", "DELIVERED"),
                ]
        assert len(await copy_of(device("alice", 1), BEA)) == 24

    anybody = {"PARLEY_SECURITY__USERS": "open"}  # no device has to be added
    with node("alpha", ALPHA, tmp_path, **anybody) as alpha, node("beta", BETA, tmp_path, **anybody) as beta:
        wait_linked([alpha, beta], ["chat"])
        asyncio.run(story())


def test_an_edit_and_a_deletion_are_in_the_lists_and_at_every_device(tmp_path):
    def device(number):
        config = msgspec.structs.replace(CONFIG, client=ClientConfig(data_dir=str(tmp_path / f"alice{number}")))
        return ChatFeature("alice@alpha", config, on_message=ignore, on_line=ignore)

    async def story():
        laptop, phone, bob = device(1), device(2), await connected("bob@alpha", on_message=ignore)
        async with laptop, phone, bob:
            for each in (laptop, phone):
                await each.handle_connection(await DiscoveryService(CONFIG).discover_servers())
            sent = [laptop.send(BOB, text) for text in ("luch?", "never mind", "number 3")]
            for each in sent:
                assert await in_time(each.final) == "DELIVERED"
            for change in (laptop.edit(sent[0].message, "lunch?"), laptop.delete(sent[1].message)):
                assert await in_time(change.final) == "DELIVERED"
            page = await in_time(bob.history.lines(User("alice", "alpha"), after=0))
            assert [(line.text, line.is_deleted) for line in page.lines] == [
                ("lunch?", False),
                ("", True),
                ("number 3", False),
            ]
            assert page.lines[1].message is None
            async with asyncio.timeout(TIMEOUT):
                while True:
                    lines = await phone.cache.lines(BOB)
                    if [line.text for line in reversed(lines)] == ["lunch?", "", "number 3"]:
                        break
                    await asyncio.sleep(0.01)
            assert [line.sequence for line in lines] == [3, 2, 1]
            assert [each.text for each in (await in_time(phone.history.search("lunch"))).lines] == ["lunch?"]
            assert (await in_time(phone.history.search("luch"))).lines == ()

    with node("alpha", ALPHA, tmp_path, PARLEY_SECURITY__USERS="open"):
        asyncio.run(story())


def test_where_nothing_is_kept_a_device_is_told_so_and_there_is_no_file(tmp_path):
    async def story():
        alice = await connected("alice@alpha", on_message=ignore)
        async with alice:
            with pytest.raises(RequestFailed, match="keeps no history"):
                await in_time(alice.history.lines(BOB))

    with node("alpha", ALPHA, tmp_path, PARLEY_HISTORY__KEEP="0"):
        asyncio.run(story())
    assert not list(Path(tmp_path).rglob("archive.db*"))


def test_a_file_of_another_format_is_left_alone_and_chat_goes_on(tmp_path):
    async def story():
        alice = await connected("alice@alpha", on_message=ignore)
        bob = await connected("bob@alpha", on_message=ignore)
        async with alice, bob:
            assert await in_time(alice.send(BOB, "hello").final) == "DELIVERED"

    with node("alpha", ALPHA, tmp_path) as alpha:
        path = next(Path(tmp_path).rglob("archive.db"))
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = 99 WHERE name = 'format'")
    db.close()
    before = path.read_bytes()
    with node("alpha", ALPHA, tmp_path) as alpha:
        asyncio.run(story())
        assert alpha.metrics("chat").value("parley_archive_unusable") == 1
        assert "of another format (99, not 1)" in alpha.stderr("chat")
    assert path.read_bytes() == before


def test_who_writes_without_end_fills_nobody_elses_history(tmp_path):
    async def story():
        alice = await connected("alice@alpha", on_message=ignore)
        eve = await connected("eve@alpha", on_message=ignore)
        bob = await connected("bob@alpha", on_message=ignore)
        async with alice, eve, bob:
            for number in range(3):
                sent = [eve.send(BOB, f"{number} {at} {'flood ' * 300}") for at in range(500)]
                for each in sent:
                    assert await in_time(each.final) == "DELIVERED"
                assert await in_time(alice.send(BOB, f"number {number}").final) == "DELIVERED"
            for _ in range(2):  # the first may come before the lists
                mine = texts(await in_time(alice.history.lines(BOB)))
                his = texts(await in_time(bob.history.lines(User("alice", "alpha"))))
            assert mine == his == ["number 2", "number 1", "number 0"]
            assert not texts(await in_time(eve.history.lines(BOB)))[0].startswith("2 499")

    with node("alpha", ALPHA, tmp_path, PARLEY_HISTORY__BYTES=str(1 << 20)) as alpha:
        asyncio.run(story())
        metrics = alpha.metrics("chat")
        assert metrics.value("parley_archive_not_kept_total", whose="author") > 100
        assert metrics.value("parley_archive_not_kept_total", whose="server") == 0
        assert metrics.value("parley_archive_unusable") == 0
