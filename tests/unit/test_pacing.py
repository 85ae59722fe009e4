"""Pacing: a program that takes one message at a time, and loses one."""

import asyncio
from dataclasses import replace

from parley.shared.dialects.dialect import SERVER_2
from parley.shared.link.pacing import Pacing
from parley.shared.wire.messages import encode, pb

DIALECT = replace(SERVER_2, answers_within=0.05, write_gap=0.001)


def message(number):
    return encode("MESSAGE", pb.ChatMessage(messageSnowflake=number, textContent="x"))


def test_a_message_that_comes_behind_an_unanswered_one_follows_when_that_is_given_up():
    async def story():
        written = asyncio.Event()
        pacing = Pacing(DIALECT, lambda _raw: written.set(), lambda: None, lambda _frame: None)
        assert pacing.take(message(1))
        while pacing._timer is not None:  # noqa: ASYNC110 - nobody tells when a pause is over
            await asyncio.sleep(0.001)
        assert pacing.take(message(2)) == b""
        async with asyncio.timeout(5.0):
            await written.wait()
        pacing.close()

    asyncio.run(story())


def test_what_waits_when_its_link_ends_is_not_written_and_can_be_taken_back():
    async def story():
        ended = asyncio.Event()
        written = []
        pacing = Pacing(DIALECT, written.append, lambda: None, lambda _frame: None)
        assert pacing.take(message(1)) == message(1)
        pacing.take(message(2))
        pacing.take(encode("HANGUP", pb.HangUp()))
        pacing.end(ended.set)
        async with asyncio.timeout(5.0):
            await ended.wait()
        pacing.answered()
        assert written == [encode("HANGUP", pb.HangUp())]
        assert not pacing.take_back(message(1))
        assert pacing.take_back(message(2))
        assert not pacing.take_back(message(2))
        pacing.close()

    asyncio.run(story())
