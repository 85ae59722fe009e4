"""The window of received numbers on disk: an old message is known as such after a restart of the client."""

import asyncio
import sqlite3

import pytest

from parley.client.trust import late_writing
from parley.client.trust.numbers_file import NumbersFile
from parley.client.trust.received_numbers import ReceivedNumbers
from parley.shared.telemetry import logs
from parley.shared.trust.replays import Order
from tests.support.wired import run

ONE, TWO, THREE = b"1" * 16, b"2" * 16, b"3" * 16


def numbers(path):
    kept = ReceivedNumbers(logs.get())
    kept.begin(path)
    return kept


def test_what_was_received_is_known_after_a_restart(tmp_path):
    path = tmp_path / "received" / "alice@alpha.db"

    async def story():
        first = numbers(path)
        for number in range(1, 400):
            first.note(ONE, number)
        first.note(TWO, 1 << 63)
        await first.end()
        again = numbers(path)
        orders = [again.order(ONE, number) for number in (399, 144, 143, 400)]
        assert orders == [Order.KNOWN, Order.KNOWN, Order.OLD, Order.NEW]
        assert again.order(TWO, 1 << 63) is Order.KNOWN
        assert again.order(THREE, 7) is Order.NEW
        await again.end()

    run(story())
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_is_written_while_the_program_runs_and_not_by_the_loop(tmp_path, monkeypatch):
    monkeypatch.setattr(late_writing, "SOON", 0.0)
    path = tmp_path / "alice@alpha.db"
    threads = []
    add = NumbersFile.add

    async def story():
        written, loop = asyncio.Event(), asyncio.get_running_loop()

        def watched(file, more):
            threads.append(asyncio.events._get_running_loop())
            add(file, more)
            loop.call_soon_threadsafe(written.set)

        monkeypatch.setattr(NumbersFile, "add", watched)
        kept = numbers(path)
        kept.note(ONE, 7)
        async with asyncio.timeout(10):
            await written.wait()
        with NumbersFile(path) as file:  # as after kill -9
            assert [(sender, list(known)) for sender, known in file.read()] == [(ONE, [7])]
        await kept.end()

    run(story())
    assert threads == [None]


def test_programs_of_one_user_add_to_what_the_others_have_received(tmp_path):
    path = tmp_path / "alice@alpha.db"

    async def story():
        first, second = numbers(path), numbers(path)
        first.note(ONE, 1)
        second.note(ONE, 2)
        assert second.order(ONE, 1) is Order.NEW  # each has shown what it was given itself
        await first.end()
        await second.end()
        third = numbers(path)
        assert [third.order(ONE, number) for number in (1, 2, 3)] == [Order.KNOWN, Order.KNOWN, Order.NEW]
        await third.end()

    run(story())


def test_the_file_has_an_end(tmp_path):
    with NumbersFile(tmp_path / "a.db", most=2, window=3) as file:
        file.add({ONE: range(10), TWO: [1]})
        file.add({ONE: [11], THREE: [1]})
        assert {sender: list(known) for sender, known in file.read()} == {ONE: [8, 9, 11], THREE: [1]}


@pytest.mark.parametrize("content", [b"no database", b""])
def test_a_file_that_cannot_be_used_is_no_reason_to_receive_nothing(tmp_path, content):
    path = tmp_path / "alice@alpha.db"
    path.write_bytes(content)
    if not content:
        path.unlink()
        path.mkdir()

    async def story():
        kept = numbers(path)
        kept.note(ONE, 7)
        assert kept.order(ONE, 7) is Order.KNOWN
        await kept.end()

    run(story())


def test_a_file_with_what_are_no_numbers_is_not_believed(tmp_path):
    path = tmp_path / "alice@alpha.db"
    with NumbersFile(path) as file:
        file.add({ONE: [1]})
    with sqlite3.connect(path) as db:
        db.execute("UPDATE numbers SET numbers = x'010203'")
    db.close()

    async def story():
        kept = numbers(path)
        assert kept.order(ONE, 1) is Order.NEW
        await kept.end()

    run(story())
