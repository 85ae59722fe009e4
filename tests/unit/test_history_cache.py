"""The cache of a user's conversations: its file, and how it is kept as the server's lists are."""

import asyncio
import contextlib
import random
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from parley import ChatFeature
from parley.cli.people.history import written
from parley.client.cache.cache_file import CacheFile, remove
from parley.shared.addresses import Group, User
from parley.shared.config import ClientConfig, Config
from parley.shared.wire.messages import pb
from tests.support.wired import at_home, run

ALICE, BOB, CREW = User("alice", "alpha"), User("bob", "beta"), Group("crew", "alpha")
NOW = time.time()


def line(sequence, text="text", other=BOB, *, received=False, at=NOW, status=1):
    payload = pb.ChatMessage(messageSnowflake=sequence, author=ALICE.to_pb(), user=BOB.to_pb(), textContent=text)
    found = pb.HistoryLine(sequence=sequence, at=at, message=payload.SerializeToString(), received=received)
    if isinstance(other, Group):
        found.group.CopyFrom(other.to_pb())
    else:
        found.user.CopyFrom(other.to_pb())
    if not received:
        found.status = status
    return found


def page(*lines, cursor=b"next", **how):
    return pb.SyncAnswer(result=pb.HistoryAnswer.SUCCESS, lines=lines, cursor=cursor, **how)


def texts(lines):
    return [each.message.textContent for each in lines]


@pytest.fixture
def file(tmp_path):
    file = CacheFile(tmp_path / "history" / "alice@alpha.db")
    yield file
    file.close()


# The file -------------------------------------------------------------------------------------


def test_what_it_takes_it_has_after_a_restart_and_for_its_owner_alone(file, tmp_path):
    file.take(page(line(1, "one"), line(2, "two"), line(1, "of the crew", CREW, received=True)))
    file.close()
    again = CacheFile(tmp_path / "history" / "alice@alpha.db")
    assert texts(again.lines(BOB)) == ["two", "one"]
    assert texts(again.lines(BOB, before=2)) == ["one"]
    assert texts(again.lines(BOB, limit=1)) == ["two"]
    assert texts(again.lines(CREW)) == ["of the crew"]
    assert again.read() == (b"next", {BOB: 2, CREW: 1})
    again.close()
    for path in (tmp_path / "history").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "history").stat().st_mode) == 0o700


def in_group(sequence, text, number):
    found = line(sequence, text, CREW, received=True)
    found.groupNumber = number
    return found


def test_lines_of_a_group_stand_where_its_server_put_them_whenever_they_came(file):
    file.take(page(in_group(1, "b", 20), in_group(2, "c", 30)))
    file.take(page(in_group(3, "a", 10), line(3, "to bob")))
    assert texts(file.lines(CREW)) == ["c", "b", "a"]
    assert [texts(file.lines(CREW, before=sequence)) for sequence in (2, 1, 3)] == [["b", "a"], ["a"], []]
    assert {last.message.textContent: unread for last, unread in file.latest()} == {"c": 3, "to bob": 0}
    assert [each.group_number for each in file.lines(CREW)] == [30, 20, 10]


def test_a_file_of_an_earlier_parley_tells_its_lines_as_they_came(file, tmp_path):
    file.take(page(in_group(1, "a", 0), in_group(2, "b", 0), line(1, "to bob")))
    file.close()
    path = tmp_path / "history" / "alice@alpha.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript("DROP INDEX line_order; ALTER TABLE line DROP COLUMN number; PRAGMA user_version=1")
    again = CacheFile(path)
    again.take(page(in_group(3, "c", 10)))
    assert texts(again.lines(CREW)) == ["c", "b", "a"]
    assert texts(again.lines(BOB)) == ["to bob"]
    again.close()


def test_a_line_that_comes_again_has_its_new_status(file):
    file.take(page(line(1, status=3)))
    file.take(page(line(1, status=1)))
    assert [each.status for each in file.lines(BOB)] == ["DELIVERED"]


def test_starting_over_forgets_all_that_was_there(file):
    read = pb.ReadReceiptAck(user=BOB.to_pb(), sequence=9)
    file.take(page(line(1), line(5, other=CREW), read=[read]))
    file.take(page(line(7, received=True), startOver=True))
    assert [each.sequence for each in file.lines(BOB)] == [7]
    assert file.lines(CREW) == []
    assert [unread for _, unread in file.latest()] == [1]


def test_what_is_unread_counts_what_came_from_others_behind_what_was_read(file):
    lines = [line(n, received=n % 2 == 0, at=NOW + n) for n in range(1, 9)]
    file.take(page(*lines, line(1, "later", CREW, at=NOW + 99)))
    assert [(each.conversation, each.sequence, unread) for each, unread in file.latest()] == [
        (CREW, 1, 0),
        (BOB, 8, 4),
    ]
    file.take(page(read=[pb.ReadReceiptAck(user=BOB.to_pb(), sequence=4)]))
    file.take(page(read=[pb.ReadReceiptAck(user=BOB.to_pb(), sequence=2)]))
    assert [unread for _, unread in file.latest()] == [0, 2]


def test_what_the_server_keeps_no_longer_goes_here_too(file):
    file.take(page(line(1, "secret old words", at=NOW - 99), line(2, at=NOW)))
    file.remove_before(NOW - 50)
    assert [each.sequence for each in file.lines(BOB)] == [2]


def test_a_line_with_the_time_of_a_server_whose_clock_was_wrong_is_kept_as_long_as_another(file):
    file.take(page(line(1, at=100.0), line(2, at=NOW)), floor=NOW - 30)
    file.remove_before(NOW - 31)
    assert [each.sequence for each in file.lines(BOB)] == [2, 1]
    file.remove_before(NOW - 29)
    assert [each.sequence for each in file.lines(BOB)] == [2]


def test_the_oldest_goes_where_the_file_is_too_large(tmp_path):
    file = CacheFile(tmp_path / "small.db", most=400_000)
    for start in range(0, 4000, 200):
        file.take(page(*(line(n + 1, "x" * 200, at=NOW + n) for n in range(start, start + 200))))
    file.remove_before(0)
    left = file.lines(BOB, limit=9999)
    assert 0 < len(left) < 3000
    assert left[0].sequence == 4000
    assert len(left) == left[0].sequence - left[-1].sequence + 1
    file.close()


def test_a_server_that_has_ever_more_fills_no_disk(tmp_path):
    file = CacheFile(tmp_path / "small.db", most=200_000)
    for number in range(60):
        file.take(page(line(number + 1, "x" * 10_000, at=NOW + number), more=True))
        assert 10_000 * len(file.lines(BOB)) < 200_000
    assert file.lines(BOB)[0].sequence == 60
    file.close()


@pytest.mark.parametrize("how", [{"sequence": (1 << 64) - 1}, {"at": 1e300}, {"at": float("inf")}, {"at": -1e300}])
def test_a_server_that_tells_absurd_numbers_leaves_a_copy_that_can_be_read(file, how):
    absurd = line(**({"sequence": 1, "text": "absurd"} | how))
    file.take(page(absurd, line(1, other=CREW), read=[pb.ReadReceiptAck(user=BOB.to_pb(), sequence=1 << 63)]))
    [each] = file.lines(BOB)
    assert "absurd" in written(each, ALICE)
    assert len(file.latest()) == 2
    file.remove_before(NOW - 99)
    assert len(file.lines(BOB)) == ("sequence" in how)


@pytest.mark.parametrize("how", ["cleared", "deleted"])
def test_what_is_gone_is_in_no_file_while_it_is_open(file, tmp_path, how):
    file.take(page(line(1, "zanzibar"), line(2, "timbuktu")))
    deleted = line(1)
    deleted.message, deleted.edit = b"", pb.ChatMessage(edit=pb.Edit(deletes=True)).SerializeToString()
    file.take(page(startOver=True) if how == "cleared" else page(deleted))
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "history").iterdir())
    assert b"zanzibar" not in on_disk
    assert (b"timbuktu" in on_disk) == (how == "deleted")


def pages_of(file, word):
    """The bytes of all that is beside a file, and its own."""
    path = Path(file._db.execute("PRAGMA database_list").fetchone()[2])
    return sum(each.read_bytes().count(word) for each in path.parent.iterdir())


def test_what_was_deleted_is_in_no_page_from_which_it_was_moved(file, tmp_path):
    chance = random.Random(5)
    others = [User(f"user{number}", "beta") for number in range(40)]
    texts = {(other, n): f"<{other.user_id} {n}>" + "x" * chance.randrange(300) for other in others for n in (1, 2)}
    for other, n in sorted(texts, key=lambda _each: chance.random()):
        file.take(page(line(n, texts[other, n], other)))
    for at, (other, n) in enumerate(texts):
        deleted = line(n, other=other)
        deleted.message, deleted.edit = b"", pb.ChatMessage(edit=pb.Edit(deletes=True)).SerializeToString()
        file.take(page(deleted))
        if at == 0:
            assert pages_of(file, texts[other, n].encode()) == 0  # at once, if not just before
    file.close()
    assert not [
        text
        for text in texts.values()
        for path in (tmp_path / "history").iterdir()
        if text.encode() in path.read_bytes()
    ]
    again = CacheFile(tmp_path / "history" / "alice@alpha.db")
    assert sum(len(again.lines(other)) for other in others) == len(texts)
    again.close()


def test_a_file_of_a_newer_parley_is_left_alone(tmp_path):
    path = tmp_path / "new.db"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(sqlite3.DatabaseError, match="newer Parley"):
        CacheFile(path)


def test_nothing_is_left_when_it_is_removed(file, tmp_path):
    file.take(page(line(1)))
    remove(tmp_path / "history" / "alice@alpha.db")
    assert list((tmp_path / "history").iterdir()) == []


def test_what_no_server_took_is_there_after_a_restart_in_order_and_old_ones_are_given_up(file, tmp_path):
    for number in (30, 10, 20):
        file.keep(pb.ChatMessage(messageSnowflake=number, textContent=f"number {number}"))
    file.sent(20)
    file.close()
    again = CacheFile(tmp_path / "history" / "alice@alpha.db")
    assert [each.textContent for each in again.unsent(0)] == ["number 10", "number 30"]
    assert [each.textContent for each in again.unsent(11)] == ["number 30"]
    assert [each.textContent for each in again.unsent(0)] == ["number 30"]
    again.close()


# Kept as the server's lists are ------------------------------------------------------------------


def story_of(told, tmp_path, *, cache=True):
    came = []

    async def story():
        config = Config(client=ClientConfig(data_dir=str(tmp_path), cache=cache))
        async with at_home(ChatFeature(ALICE, config, on_line=came.append), is_parley=True) as home:
            await told(home, came)

    run(story())


async def until(found):
    """Wait for something that a thread has a part in."""
    async with asyncio.timeout(5):
        while not (what := found()):  # noqa: ASYNC110 - a thread has the file
            await asyncio.sleep(0.001)
    return what


async def asked(home):
    """The next question."""
    [ask] = await until(lambda: home.taken("SYNC", pb.QuerySync))
    return ask


async def answer(home, ask, *lines, **how):
    await home.tell("SYNC_RESP", page(*lines, **how, handle=ask.handle))


def test_it_asks_with_its_cursor_until_there_is_no_more_and_tells_of_what_comes_later(tmp_path):
    async def told(home, came):
        first = await asked(home)
        assert (first.cursor, first.follow) == (b"", True)
        await answer(home, first, line(1, "old"), cursor=b"a", more=True)
        second = await asked(home)
        assert second.cursor == b"a"
        await answer(home, second, line(2, "old, too"), cursor=b"b")
        await home.feature.cache.caught_up()
        await home.tell("SYNC_NEWS", pb.SyncNews())
        third = await asked(home)
        assert third.cursor == b"b"
        await answer(home, third, line(2, "status"), line(3, "new"), cursor=b"c")
        await home.tell("SYNC_NEWS", pb.SyncNews())
        fourth = await asked(home)
        await answer(home, fourth, line(3, "again"), cursor=b"d")
        await until(lambda: home.feature.cache.is_idle)
        assert texts(came) == ["new"]
        assert texts(await home.feature.cache.lines(BOB)) == ["again", "status", "old"]

    story_of(told, tmp_path)


def test_another_run_goes_on_where_the_last_one_was_and_another_program_misses_nothing(tmp_path):
    async def first(home, _came):
        ask = await asked(home)
        await answer(home, ask, line(1), cursor=b"a")
        await home.feature.cache.caught_up()

    async def second(home, came):
        ask = await asked(home)
        assert ask.cursor == b"a"
        await answer(home, ask, cursor=b"a")
        await home.feature.cache.caught_up()
        beside = CacheFile(home.feature.trust.directory.history_file(ALICE))
        beside.take(page(line(2, "taken by another program"), cursor=b"b"))
        await home.tell("SYNC_NEWS", pb.SyncNews())
        ask = await asked(home)
        assert ask.cursor == b"a"
        await answer(home, ask, line(2, "taken by another program"), cursor=b"b")
        await until(lambda: came)
        assert texts(came) == ["taken by another program"]
        beside.close()

    story_of(first, tmp_path)
    story_of(second, tmp_path)


def test_a_server_that_keeps_nothing_is_asked_once_a_link_and_the_client_goes_on(tmp_path):
    async def told(home, came):
        ask = await asked(home)
        await home.tell("SYNC_RESP", pb.SyncAnswer(handle=ask.handle, result=pb.HistoryAnswer.OFF))
        await home.feature.cache.caught_up()
        assert home.feature.is_connected
        assert (await home.feature.cache.latest(), came) == ([], [])

    story_of(told, tmp_path)


@pytest.mark.parametrize("result", ["BUSY", "UNKNOWN_ERROR"])
def test_a_server_that_is_busy_is_asked_again_without_news(tmp_path, monkeypatch, result):
    monkeypatch.setattr("parley.client.cache.cache.AGAIN", 0.01)

    async def told(home, _came):
        ask = await asked(home)
        await home.tell("SYNC_RESP", pb.SyncAnswer(handle=ask.handle, result=pb.HistoryAnswer.Result.Value(result)))
        await answer(home, await asked(home), line(1, "at last"), cursor=b"a")
        await until(lambda: home.feature.cache.is_idle)
        assert texts(await home.feature.cache.lines(BOB)) == ["at last"]

    story_of(told, tmp_path)


def test_news_while_a_question_fails_are_asked_for(tmp_path):
    async def told(home, _came):
        ask = await asked(home)
        home.feature.cache.wake()
        await home.tell("SYNC_RESP", pb.SyncAnswer(handle=ask.handle, result=pb.HistoryAnswer.REFUSED))
        await answer(home, await asked(home), line(1, "now"), cursor=b"a")
        await until(lambda: home.feature.cache.is_idle)
        assert texts(await home.feature.cache.lines(BOB)) == ["now"]

    story_of(told, tmp_path)


def test_a_line_of_a_server_that_was_in_1970_stays_here(tmp_path):
    async def told(home, _came):
        await answer(home, await asked(home), line(1, "early", at=100.0), cursor=b"a", kept_days=30.0)
        await until(lambda: home.feature.cache.is_idle)
        assert texts(await home.feature.cache.lines(BOB)) == ["early"]

    story_of(told, tmp_path)


def test_it_may_be_closed_twice_as_a_client_is_that_was_refused_and_then_left(tmp_path):
    async def told(home, _came):
        await home.feature.close()
        await home.feature.close()

    story_of(told, tmp_path)


def test_what_is_sent_is_kept_until_a_server_has_it(tmp_path):
    kept = tmp_path / "history" / "alice@alpha.db"

    async def story(home, _came):
        texts_kept = ["kept", "gone"]
        for text in texts_kept:
            home.feature.send(BOB, text)
        await home.turns()
        _, message = home.taken("MESSAGE", pb.ChatMessage)
        ack = pb.ChatMessageResponse(messageSnowflake=message.messageSnowflake)
        ack.statuses.add(user=BOB.to_pb(), status=pb.ChatMessageResponse.DeliveryStatus.USER_AWAY)
        await home.tell("MESSAGE_ACK", ack)
        await home.cut()
        await home.feature.close()
        home.feature.send(BOB, "behind the end")

    story_of(story, tmp_path)
    file = CacheFile(kept)
    assert [each.textContent for each in file.unsent(0)] == ["kept"]
    file.close()


def test_without_the_switch_there_is_none_and_what_was_there_is_removed(tmp_path):
    path = tmp_path / "history" / "alice@alpha.db"
    CacheFile(path).close()

    async def told(home, _came):
        await home.turns()
        assert home.feature.cache is None
        assert home.taken("SYNC", pb.QuerySync) == []

    story_of(told, tmp_path, cache=False)
    assert not path.exists()


def test_a_disk_that_takes_nothing_leaves_the_client_without_one(tmp_path):
    (tmp_path / "history").write_text("no directory")

    async def told(home, _came):
        await home.feature.cache.caught_up()
        assert home.feature.is_connected

    story_of(told, tmp_path)
