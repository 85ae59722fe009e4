"""Whose messages wait for the disk, and who is not listened to meanwhile."""

import asyncio

import pytest

from parley.services.chat.message.life import Envelope
from parley.services.chat.service import ChatService
from parley.services.chat.storage.back_pressure import OF_AUTHOR, UNWRITTEN, BackPressure
from parley.shared.addresses import User
from parley.shared.config import Config, HistoryConfig

ANN, BOB, EVE, FAR = User("ann", "alpha"), User("bob", "alpha"), User("eve", "alpha"), User("far", "beta")


class Link:
    """One that can be held."""

    is_held = False

    def hold(self):
        self.is_held = True

    def release(self):
        self.is_held = False


@pytest.fixture
def links():
    return {user: [Link(), Link()] for user in (ANN, BOB, EVE)}


@pytest.fixture
def limited():
    return []


@pytest.fixture
def pressure(links, limited):
    return BackPressure(lambda user: links.get(user, ()), lambda: limited.append(1))


def items(author, count, origin=""):
    return [Envelope(author, number, BOB, b"x", origin=origin) for number in range(count)]


def put(pressure, author, count, origin=""):
    put = items(author, count, origin)
    for item in put:
        pressure.add(item)
    return put


def held(links):
    return [user for user, each in links.items() if all(link.is_held for link in each)]


def test_who_has_much_to_be_written_waits_until_half_of_it_is_and_who_has_little_does_not(pressure, links, limited):
    put(pressure, ANN, OF_AUTHOR // 2)
    flood = put(pressure, EVE, UNWRITTEN - OF_AUTHOR // 2 - 1)
    assert (pressure.is_behind, held(links)) == (False, [])
    flood += put(pressure, EVE, OF_AUTHOR)
    put(pressure, ANN, 5)
    assert (pressure.is_behind, held(links), len(limited)) == (True, [EVE], 1)
    pressure.remove(flood[: UNWRITTEN // 4])
    assert held(links) == [EVE]
    pressure.remove(flood[UNWRITTEN // 4 : UNWRITTEN // 2 + OF_AUTHOR + 5])
    assert held(links) == []


def test_one_who_is_released_by_something_else_or_comes_again_is_held_again(pressure, links, limited):
    put(pressure, EVE, UNWRITTEN)
    links[EVE][0].release()
    links[EVE].append(Link())
    put(pressure, EVE, OF_AUTHOR)
    assert (held(links), len(limited)) == ([EVE], 1)


def test_servers_are_counted_and_listened_to(pressure, links):
    came = put(pressure, FAR, UNWRITTEN, origin="beta")
    assert (pressure.is_behind, len(pressure), held(links)) == (True, UNWRITTEN, [])
    pressure.remove(came)
    assert (len(pressure), pressure._of) == (0, {})


def test_a_chat_process_and_its_store_count_the_same(tmp_path):
    """An empty count is false in Python, and nobody's count all the same."""

    async def story():
        (tmp_path / "alpha").mkdir()
        service = ChatService("alpha", Config(data_dir=str(tmp_path), history=HistoryConfig(keep=0.0)))
        runner = service.open_mailbox()
        try:
            assert runner.engine.store.pressure is runner.fair_order.pressure
        finally:
            runner.close()

    asyncio.run(story())
