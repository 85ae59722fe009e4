"""A client's searches for people: the answers of some seconds, gathered."""

import asyncio

import pytest

from parley import ChatFeature, ConfigError, FoundUsers, RequestFailed
from parley.client.outbox import searches
from parley.client.outbox.searches import LONGEST
from parley.shared.addresses import User
from parley.shared.config import Config
from parley.shared.wire.messages import pb
from tests.support.wired import at_home, run

ALICE, BOB, CARL = User("alice", "alpha"), User("bob", "beta"), User("carl", "alpha")


def searching(told, *, timeout=5.0, query="", **how):
    """Run a story with a search that is under way: `told(home, asked, waits)`."""

    async def story():
        async with at_home(ChatFeature(ALICE, Config()), has_abilities=True, **how) as home:
            waits = asyncio.ensure_future(home.feature.search_users(query, timeout))
            await home.turns()
            [asked] = home.taken("SEARCH_USERS", pb.QueryUsers)
            await told(home, asked, waits)

    run(story())


async def tell(home, asked, *users, **fields):
    named = [user.to_pb() for user in users]
    await home.tell("SEARCH_USERS_RESP", pb.QueryUsersResponse(handle=asked.handle, users=named, **fields))


def test_all_answers_up_to_the_last_are_gathered():
    async def told(home, asked, waits):
        assert asked.query == "a"
        await tell(home, asked, CARL, BOB)
        await tell(home, asked, CARL, ALICE)
        assert not waits.done()
        await tell(home, asked, complete=True)
        assert waits.result() == FoundUsers([ALICE, BOB, CARL], is_all=True)
        await tell(home, asked, CARL, complete=True)
        assert home.feature.is_connected

    searching(told, query="a")


def test_it_is_told_that_somebody_may_be_left_out():
    async def told(home, asked, waits):
        await tell(home, asked, CARL, complete=True, more=True)
        assert waits.result() == FoundUsers([CARL], is_all=False)

    searching(told)


def test_without_the_last_answer_what_came_is_told():
    async def told(home, asked, waits):
        await tell(home, asked, CARL)
        assert await waits == FoundUsers([CARL], is_all=False)

    searching(told, timeout=0.05)


def test_without_any_answer_there_is_an_error():
    async def told(_home, _asked, waits):
        with pytest.raises(RequestFailed, match=r"alpha gave no answer within 0\.01 s") as failed:
            await waits
        assert failed.value.reason == "timeout"

    searching(told, timeout=0.01)


def test_another_searchs_answer_is_not_ours():
    async def told(home, asked, waits):
        other = pb.QueryUsers(handle=asked.handle + 1)
        await tell(home, other, CARL, complete=True)
        assert not waits.done()
        await tell(home, asked, complete=True)
        assert waits.result().users == []

    searching(told)


def test_what_a_search_gathers_has_an_end(monkeypatch):
    monkeypatch.setattr(searches, "MOST", 2)

    async def told(home, asked, waits):
        await tell(home, asked, CARL, BOB)
        assert waits.result() == FoundUsers([BOB, CARL], is_all=False)

    searching(told)


def test_a_search_goes_out_again_over_the_next_link():
    async def told(home, asked, waits):
        await home.cut()
        await home.connect()
        await home.turns()
        assert home.taken("SEARCH_USERS", pb.QueryUsers) == [asked]
        await tell(home, asked, CARL, complete=True)
        assert waits.result().is_all

    searching(told)


def test_too_long_a_query_is_not_asked():
    async def story():
        async with at_home(ChatFeature(ALICE, Config()), has_abilities=True) as home:
            with pytest.raises(ConfigError, match="a search has at most 64 characters, not 65"):
                await home.feature.search_users("a" * (LONGEST + 1))
            assert home.frames == []

    run(story())


@pytest.mark.parametrize("is_parley", [True, False])
def test_a_server_that_announces_no_searches_is_not_asked(is_parley):
    async def story():
        async with at_home(ChatFeature(ALICE, Config()), is_parley=is_parley) as home:
            with pytest.raises(RequestFailed, match="the server alpha offers no search for people") as failed:
                await home.feature.search_users()
            assert (failed.value.reason, home.frames) == ("unsupported", [])

    run(story())


def test_a_search_that_waits_for_a_link_does_not_go_out_to_a_server_that_announces_none():
    async def story():
        async with at_home(ChatFeature(ALICE, Config()), has_abilities=True) as home:
            await home.cut()
            waits = asyncio.ensure_future(home.feature.search_users())
            home.has_abilities = False
            await home.connect()
            with pytest.raises(RequestFailed, match="offers no search"):
                await waits
            assert home.frames == []

    run(story())
