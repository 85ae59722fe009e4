"""A loop over `messages()` at a home server in memory: what is acknowledged when, and what comes again."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from parley import ChatFeature
from parley.client.inbox.unacknowledged import Unacknowledged
from parley.shared.addresses import Group, User
from parley.shared.config import Config
from parley.shared.trust.authors import sign_message
from parley.shared.trust.keys import PrivateKey
from parley.shared.trust.replays import WINDOW
from parley.shared.wire.messages import pb
from tests.support.wired import at_home, run

BOT, BOB = User("bot", "alpha"), User("bob", "beta")
CREW = Group("crew", "alpha")
BOBS = PrivateKey(bytes([7]) * 32)


def bot(**how):
    return ChatFeature(BOT, Config(), window=64, **how)


def text(number, said="hi", group=None):
    message = pb.ChatMessage(messageSnowflake=number, author=BOB.to_pb(), textContent=said)
    if group is None:
        message.user.CopyFrom(BOT.to_pb())
    else:
        message.userOfGroup.CopyFrom(pb.UserOfGroup(user=BOT.to_pb(), group=group.to_pb()))
    return message


@asynccontextmanager
async def at_work(**how):
    """A bot at its home server."""
    feature = bot(**how)
    async with at_home(feature) as home:
        yield home, feature
    await feature.close()


async def acknowledged(home):
    """The numbers that were acknowledged since the last time."""
    await home.turns()
    return [ack.messageSnowflake for ack in home.taken("MESSAGE_ACK", pb.ChatMessageResponse)]


async def tell(home, *numbers):
    for number in numbers:
        await home.tell("MESSAGE", text(number, f"text {number}"))


async def numbers(messages, count):
    """The numbers of the next messages; the last is left in hand."""
    async with asyncio.timeout(10):
        return [(await anext(messages)).content.messageSnowflake for _ in range(count)]


# Automatic ------------------------------------------------------------------------------------------------


def test_a_message_is_acknowledged_when_the_body_ended_and_the_next_is_asked_for():
    async def story():
        seen = []

        async def work(me):
            async for message in me.messages():
                await home.turns()
                seen.append((message.text, await acknowledged(home)))

        async with at_work() as (home, me):
            task = asyncio.create_task(work(me))
            await tell(home, 1, 2)
            await home.turns(100)
            assert seen == [("text 1", []), ("text 2", [1])]
            assert await acknowledged(home) == [2]
            task.cancel()
            await asyncio.wait([task])

    run(story())


@pytest.mark.parametrize("how", ["break", "exception", "return", "cancelled"])
def test_a_loop_that_is_left_acknowledges_nothing_and_the_message_comes_again_first(how):
    async def leave(me):
        async for message in me.messages():
            if message.text == "text 1":
                continue
            if how == "break":
                break
            if how == "return":
                return
            if how == "exception":
                raise OSError("no room")
            await asyncio.Event().wait()

    async def story():
        async with at_work() as (home, me):
            await tell(home, 1, 2, 3)
            left = asyncio.create_task(leave(me))
            await home.turns()
            left.cancel()
            await asyncio.wait([left])
            assert await acknowledged(home) == [1]
            await tell(home, 2, 4)  # its server is impatient
            assert await numbers(me.messages(), 3) == [2, 3, 4]
            assert await acknowledged(home) == [2, 3]

    run(story())


def test_what_was_left_comes_again_from_the_server_over_the_next_link():
    async def story():
        async with at_work() as (home, me):
            await tell(home, 1)
            await numbers(me.messages(), 1)
            await home.cut()
            await home.connect()
            await tell(home, 1)
            assert await acknowledged(home) == []
        async with at_work() as (home, me):  # another program of this user
            await tell(home, 1, 2)
            assert await numbers(me.messages(), 2) == [1, 2]
            assert await acknowledged(home) == [1]

    run(story())


def test_an_acknowledgement_goes_over_the_link_that_there_is_by_then():
    async def story():
        async with at_work() as (home, me):
            await tell(home, 1)
            messages = me.messages()
            await numbers(messages, 1)
            await home.cut()
            await home.connect()
            await tell(home, 1, 2)
            assert await numbers(messages, 1) == [2]
            assert await acknowledged(home) == [1]

    run(story())


def test_an_acknowledged_message_that_comes_again_is_acknowledged_again_and_not_given():
    async def story():
        async with at_work() as (home, me):
            messages = me.messages()
            await tell(home, 1, 2)
            assert await numbers(messages, 2) == [1, 2]
            await tell(home, 1)
            assert await acknowledged(home) == [1, 1]
            await tell(home, 3)
            assert await numbers(messages, 1) == [3]

    run(story())


def test_a_second_loop_takes_over_and_the_first_acknowledges_nothing_more():
    async def story():
        async with at_work() as (home, me):
            await tell(home, 1, 2)
            first = me.messages()
            await numbers(first, 1)
            second = me.messages()
            assert await numbers(second, 1) == [1]
            with pytest.raises(RuntimeError, match="one loop at a time"):
                await anext(first)
            assert await acknowledged(home) == []
            assert await numbers(second, 1) == [2]
            waits = asyncio.create_task(numbers(second, 1))
            await home.turns()
            third = me.messages()
            with pytest.raises(RuntimeError, match="one loop at a time"):
                await waits
            await tell(home, 3)
            assert await numbers(third, 1) == [3]

    run(story())


def test_a_loop_ends_when_the_connection_is_closed_for_good():
    async def story():
        async with at_work() as (home, me):
            messages = me.messages()
            waits = asyncio.create_task(anext(messages, "the end"))
            await home.turns()
            await me.close()
            assert await waits == "the end"

    run(story())


def test_who_has_no_window_has_no_loop():
    async def story():
        with pytest.raises(RuntimeError, match=r"parley\.connect"):
            ChatFeature(BOT, Config()).messages()

    run(story())


# By hand --------------------------------------------------------------------------------------------------


def test_by_hand_each_is_acknowledged_once_in_any_order_and_the_others_come_again():
    async def story():
        async with at_work() as (home, me):
            await tell(home, 1, 2, 3)
            messages = me.messages(ack="manual")
            one, two, three = [await anext(messages) for _ in range(3)]
            assert await acknowledged(home) == []
            await two.ack()
            await two.ack()
            assert await acknowledged(home) == [2]
            again = me.messages(ack="manual")
            assert [await anext(again), await anext(again)] == [one, three]
            await one.ack()
            assert await acknowledged(home) == [1]
            third = me.messages(ack="manual")
            await three.ack()  # while it waits to be given once more
            assert await acknowledged(home) == [3]
            await tell(home, 4)
            assert await numbers(third, 1) == [4]

    run(story())


# Content and answers --------------------------------------------------------------------------------------


def test_a_message_tells_its_text_its_author_its_conversation_its_file_and_what_it_is_worth():
    async def story():
        async with at_work() as (home, me):
            await tell(home, 1)
            await home.tell("MESSAGE", text(2, "to all", CREW))
            file = text(3)
            file.document.CopyFrom(pb.Document(filename="map.png", data=b"\x00"))
            await home.tell("MESSAGE", file)
            messages = me.messages()
            first, second, third = [await anext(messages) for _ in range(3)]
            assert (first.text, first.author, first.conversation) == ("text 1", BOB, BOB)
            assert (first.document, first.assurance) == (None, pb.ChatMessage.UNSIGNED)
            assert (second.text, second.conversation, type(second.conversation)) == ("to all", CREW, Group)
            assert (third.text, third.document.filename, third.document.data) == ("", "map.png", b"\x00")

    run(story())


def test_an_answer_goes_to_the_conversation_before_the_acknowledgement():
    async def story():
        async with at_work() as (home, me):
            await tell(home, 1)
            await home.tell("MESSAGE", text(2, "to all", CREW))
            messages = me.messages()
            for _ in range(2):
                delivery = await (await anext(messages)).reply("yes")
            assert delivery.recipient == CREW
            waits = asyncio.create_task(anext(messages))
            await home.turns()
            assert [frame.name for frame in home.frames] == ["MESSAGE", "MESSAGE_ACK"] * 2
            to_bob, to_crew = home.taken("MESSAGE", pb.ChatMessage)
            assert (User.of(to_bob.user), Group.of(to_crew.group)) == (BOB, CREW)
            waits.cancel()

    run(story())


def test_an_answer_waits_until_there_is_a_link_or_the_end():
    async def story():
        async with at_work() as (home, me):
            await tell(home, 1, 2)
            message = await anext(me.messages())
            await home.cut()
            answer = asyncio.create_task(message.reply("yes"))
            await home.turns()
            assert not answer.done()
            await home.connect()
            assert (await answer).message == home.taken("MESSAGE", pb.ChatMessage)[0]
            await home.cut()
            unsent = asyncio.create_task(message.reply("and no"))
            await home.turns()
            await me.close()
            assert not (await unsent).final.done()

    run(story())


# The window -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("is_parley", "window"), [(True, 64), (False, 0)])
def test_a_parley_is_told_the_window_and_an_existing_server_is_not(is_parley, window):
    async def story():
        feature = bot()
        async with at_home(feature, is_parley=is_parley):
            hello = feature.connect_client()
            assert (hello.HasField("terms"), hello.window) == (is_parley, window)
        await feature.close()

    run(story())


def test_a_server_that_keeps_to_no_window_fills_no_memory():
    acknowledged, dropped = [], []
    table = Unacknowledged(acknowledged.append, dropped.append, most=3, most_bytes=1000)

    class Sized:
        key = b""

        def __init__(self, size):
            self.content = self
            self.size = size

        def ByteSize(self):  # noqa: N802 - protobuf's
            return self.size

    assert [table.put(Sized(size)) for size in (400, 700, 600, 0, 0)] == [True, False, True, True, False]
    assert len(table) == 3
    table.acknowledge(table.take())
    assert [each.size for each in acknowledged] == [400]
    assert table.put(Sized(400))
    table.put_back()
    table.close()
    assert (len(table), len(dropped)) == (0, 3)
    assert table.put(Sized(1000))


# De-duplication -------------------------------------------------------------------------------------------


def test_a_signed_message_that_was_not_taken_comes_again_however_many_were_taken_since():
    async def story():
        came, old, is_full = [], [], True

        def on_message(message):
            if message.messageSnowflake == 1 and is_full:
                raise OSError("no room")
            came.append(message.messageSnowflake)

        def signed(number):
            message = text(number)
            sign_message(BOBS, message, 0, 1_800_000_000_000)
            return message

        feature = ChatFeature(BOT, Config(), on_message=on_message, on_replayed=old.append)
        async with at_home(feature) as home:
            for number in range(1, WINDOW + 10):
                await home.tell("MESSAGE", signed(number))
                async with asyncio.timeout(10):
                    while number > 1 and number not in came:
                        await home.turns(1)
            is_full = False
            await home.tell("MESSAGE", signed(1))
            async with asyncio.timeout(10):
                while 1 not in came and not old:
                    await home.turns(1)
            assert (came[-1], old) == (1, [])
        await feature.close()

    run(story())
