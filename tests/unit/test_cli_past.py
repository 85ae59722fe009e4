"""The conversations of before in a chat: what the server is told of having read, and of whom a line is."""

import asyncio
import time
from dataclasses import replace

from parley.cli.people.past import Past
from parley.client.outbox.history import HistoryLine
from parley.shared.addresses import User
from parley.shared.wire.messages import pb

ALICE, BOB, BEA = User("alice", "alpha"), User("bob", "alpha"), User("bea", "beta")


class Told:
    """Stands for the chat, its history and its screen: what each was told."""

    def __init__(self):
        self.read, self.shown = [], []
        self.history, self.cache = self, None
        self.done = asyncio.Event()

    def mark_read(self, other, sequence):
        self.read.append((other, sequence))
        self.done.set()

    def own(self, text):
        self.shown.append(text)


def past():
    found, told = Past(ALICE), Told()
    found.chat = found.screen = told
    return found, told


def line(sequence, other, *, received, snowflake=0):
    message = pb.ChatMessage(messageSnowflake=snowflake, author=ALICE.to_pb(), textContent=f"number {sequence}")
    return HistoryLine(other, sequence, time.time(), received, message, "")


def test_of_many_messages_that_come_together_the_server_is_told_once_how_far_they_were_read():
    async def story():
        found, told = past()
        for sequence in range(1, 5001):
            found.line_came(line(sequence, BOB, received=True))
        found.line_came(line(3, BEA, received=True))
        found.line_came(line(4990, BOB, received=True))
        assert told.read == []
        await asyncio.wait_for(told.done.wait(), 5)
        assert told.read == [(BOB, 5000), (BEA, 3)]
        told.done.clear()
        found.line_came(line(5001, BOB, received=True))
        await asyncio.wait_for(told.done.wait(), 5)
        assert told.read[2:] == [(BOB, 5001)]
        assert told.shown == []

    asyncio.run(story())


def test_what_another_device_sent_is_shown_and_what_this_one_sent_is_not():
    async def story():
        found, told = past()
        found.sent(7)
        found.line_came(line(1, BOB, received=False, snowflake=7))
        found.line_came(line(2, BOB, received=False, snowflake=8))
        assert [text.partition(" ")[2] for text in told.shown] == [
            "alice@alpha to bob@alpha: number 2  (from another device of yours)"
        ]

    asyncio.run(story())


def test_a_chat_without_a_copy_opens_with_nothing():
    found, _ = past()
    assert asyncio.run(found.opening()) == ""


def test_a_chat_opens_with_what_was_said_as_it_is_now():
    class Copy:
        async def caught_up(self):
            """Be there."""

        async def latest(self, _limit):
            as_sent = line(1, BOB, received=True)
            edited = replace(as_sent, conversation=BEA, edit=pb.Edit(text="changed\x1b"))
            deleted = replace(as_sent, conversation=ALICE, edit=pb.Edit(text="not told", deletes=True))
            return [(as_sent, 0), (edited, 1), (deleted, 0)]

    found, told = past()
    told.cache = Copy()
    shown = [text.rpartition(" (")[0].strip() for text in asyncio.run(found.opening()).splitlines()[1:]]
    assert shown == [
        "bob@alpha: “number 1”",
        "bea@beta, 1 new: “changed\ufffd”",
        "alice@alpha: “…”",
    ]
