"""A client's questions about what was said before: what its server may answer, and what that becomes."""

import asyncio

import pytest

from parley import ChatFeature, RequestFailed
from parley.shared.addresses import User
from parley.shared.config import Config
from parley.shared.wire.messages import pb
from tests.support.wired import at_home, run

ALICE, BOB = User("alice", "alpha"), User("bob", "beta")
OF_ANOTHER_DAY = 77


def asking(told, **how):
    """Run a story with a question that is under way: `told(home, asked, waits)`."""

    async def story():
        async with at_home(ChatFeature(ALICE, Config()), is_parley=True, **how) as home:
            waits = asyncio.ensure_future(home.feature.history.lines(BOB))
            await home.turns()
            [asked] = home.taken("HISTORY", pb.QueryHistory)
            await told(home, asked, waits)

    run(story())


def test_a_status_that_a_newer_server_knows_is_none_here():
    async def told(home, asked, waits):
        answer = pb.HistoryAnswer(handle=asked.handle, result=pb.HistoryAnswer.SUCCESS)
        for status in (pb.ChatMessageResponse.DeliveryStatus.DELIVERED, OF_ANOTHER_DAY):
            answer.lines.add(user=BOB.to_pb(), sequence=2, status=status)
        await home.tell("HISTORY_RESP", answer)
        assert [line.status for line in (await waits).lines] == ["DELIVERED", ""]

    asking(told)


def test_a_message_that_does_not_parse_is_gone():
    async def told(home, asked, waits):
        answer = pb.HistoryAnswer(handle=asked.handle, result=pb.HistoryAnswer.SUCCESS)
        answer.lines.add(user=BOB.to_pb(), sequence=1, message=b"\xff\xff")
        await home.tell("HISTORY_RESP", answer)
        assert [line.message for line in (await waits).lines] == [None]

    asking(told)


def test_what_does_not_answer_the_question_fails_it_and_what_was_not_asked_does_nothing():
    async def told(home, asked, waits):
        await home.tell("HISTORY_RESP", pb.HistoryAnswer(handle=asked.handle + 1))
        await home.tell("READ_RECEIPT_ACK", pb.ReadReceiptAck(sequence=1))
        assert not waits.done()
        await home.tell("CONVERSATIONS_RESP", pb.ConversationsAnswer(handle=asked.handle))
        with pytest.raises(RequestFailed, match="something else") as failed:
            await waits
        assert failed.value.reason == "unsupported"
        assert home.feature.is_connected

    asking(told)


def test_a_question_is_asked_again_over_the_next_link():
    async def told(home, asked, waits):
        await home.cut()
        await home.connect()
        assert home.taken("HISTORY", pb.QueryHistory)[-1] == asked
        await home.tell("HISTORY_RESP", pb.HistoryAnswer(handle=asked.handle, result=pb.HistoryAnswer.OFF))
        with pytest.raises(RequestFailed, match="keeps no history"):
            await waits

    asking(told)


def test_an_existing_server_is_asked_nothing():
    async def story():
        async with at_home(ChatFeature(ALICE, Config()), is_parley=False) as home:
            with pytest.raises(RequestFailed, match="keeps no history"):
                await home.feature.history.lines(BOB)
            home.feature.history.mark_read(BOB, 3)
            await home.turns()
            assert home.taken("HISTORY", pb.QueryHistory) == home.taken("READ_RECEIPT", pb.ReadReceipt) == []

    run(story())
