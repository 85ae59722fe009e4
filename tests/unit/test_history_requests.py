"""Questions about conversations: who is answered, and about which conversation."""

import asyncio
from types import SimpleNamespace

import pytest

from parley.services.chat.archive.changing import apply
from parley.services.chat.archive.requests import OF_USER, UNMADE, HistoryRequests
from parley.shared.addresses import User
from parley.shared.spellings import Spellings
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import decode, encode, pb
from tests.support.kept_archive import ALICE, BEA, SENT, Kept

KINDS = {
    "CONVERSATIONS": pb.QueryConversations(),
    "HISTORY": pb.QueryHistory(user=BEA.to_pb()),
    "SEARCH_HISTORY": pb.QueryText(query="number"),
    "CLEAR_HISTORY": pb.ClearHistory(),
    "SYNC": pb.QuerySync(follow=True),
}
RESULT = pb.HistoryAnswer


class Link:
    """A client's link: what it was sent, by name."""

    is_parley = True

    def __init__(self, remote_host="192.0.2.1"):
        self.sent = []
        self.remote_host = remote_host

    def send(self, raw):
        self.sent += FrameReader(1 << 20).feed(raw)


class Asked:
    """The questions of one person's link to an archive in which there is one conversation, with BEA."""

    def __init__(self, directory):
        self.kept = Kept(directory)
        self.kept.say("number 1", "number 2", to=BEA, marks=SENT)
        self.link, self.withheld, self.marks = Link(), set(), []
        self.failures, self.has_room, self.limited, self.waiting = [], True, [], None
        collector = SimpleNamespace(read=lambda mark, _now: self.marks.append(mark))
        self.archive = SimpleNamespace(
            ask=self._ask,
            change=self._change,
            failed=lambda what, _error: self.failures.append(what),
            collector=collector,
            policy=SimpleNamespace(days=30.0),
        )
        spellings = Spellings()
        spellings.learn(["alpha", "beta"])
        self.requests = HistoryRequests(
            "alpha", self.archive, lambda _user: {self.link}, float, self._limit, spellings, self.withheld
        )

    def _limit(self, *where):
        self.limited.append(where)

    def _ask(self, question, answer, *, origin, displaced):
        if not self.has_room:
            return False
        if self.waiting is not None:
            self.waiting.append((origin, displaced))
        else:
            answer(question(self.kept.reader()))
        return True

    async def _change(self, change):
        return apply(self.kept.db, "alpha", change)

    def say(self, name, message):
        """It comes over the link."""

        async def story():
            [frame] = FrameReader(1 << 20).feed(encode(name, message))
            self.requests.handle(ALICE, frame, self.link)
            while self.requests._change is not None:
                await asyncio.gather(self.requests._change)

        self.link.sent.clear()
        asyncio.run(story())

    def __call__(self, name, ask):
        """The answer, as a payload of its kind."""
        self.say(name, ask)
        kind = {"CONVERSATIONS": pb.ConversationsAnswer, "SYNC": pb.SyncAnswer}.get(name, pb.HistoryAnswer)
        [frame] = (each for each in self.link.sent if each.name.endswith("_RESP"))
        return decode(frame, kind)


@pytest.fixture
def asked(tmp_path):
    asked = Asked(tmp_path)
    yield asked
    asked.kept.db.close()


@pytest.mark.parametrize("name", KINDS)
def test_a_device_that_nobody_approved_is_told_nothing_of_what_was_said_before_it_came(asked, name):
    asked.withheld.add(asked.link)
    answer = asked(name, KINDS[name])
    assert answer.result == RESULT.REFUSED
    assert len(getattr(answer, "lines", ())) == len(getattr(answer, "conversations", ())) == 0
    assert asked.kept.texts("alice", BEA) == ["number 2", "number 1"]
    asked.link.sent.clear()
    asked.requests._news({"alice"})
    assert asked.link.sent == []
    asked.withheld.clear()
    assert asked(name, KINDS[name]).result == RESULT.SUCCESS


def test_a_conversation_is_the_same_however_its_server_is_spelt(asked):
    other = pb.User(userId="bea", serverId="BETA")
    assert len(asked("HISTORY", pb.QueryHistory(user=other)).lines) == 2
    [frame] = FrameReader(1 << 20).feed(encode("READ_RECEIPT", pb.ReadReceipt(user=other, sequence=1)))
    asked.requests.handle(ALICE, frame, asked.link)
    assert [mark.user for mark in asked.marks] == [BEA.to_pb()]
    assert asked("CLEAR_HISTORY", pb.ClearHistory(user=other)).result == RESULT.SUCCESS
    assert asked.kept.texts("alice", BEA) == []


def test_who_clears_is_answered_whatever_goes_wrong(asked):
    async def fail(_change):
        raise ValueError("unforeseen")

    asked.archive.change = fail
    for _ in range(OF_USER + 1):
        assert asked("CLEAR_HISTORY", pb.ClearHistory()).result == RESULT.UNKNOWN_ERROR
    assert asked.failures == ["clearing history"] * (OF_USER + 1)


def test_a_question_beyond_all_that_may_wait_is_told_to_come_later(asked):
    asked.has_room = False
    for _ in range(OF_USER + 1):
        assert asked("CONVERSATIONS", KINDS["CONVERSATIONS"]).result == RESULT.BUSY
    assert asked.limited == [("requests", "archive")] * (OF_USER + 1)


def test_a_question_that_gives_its_place_up_to_another_address_is_told_to_come_later_and_is_done(asked):
    asked.waiting = []
    for _ in range(OF_USER + 1):
        asked.say("HISTORY", KINDS["HISTORY"])
        [(origin, displaced)] = asked.waiting
        asked.waiting.clear()
        assert origin == asked.link.remote_host
        assert asked.link.sent == []
        displaced()
        [frame] = asked.link.sent
        assert decode(frame, pb.HistoryAnswer).result == RESULT.BUSY
    assert asked.limited == [("requests", "archive")] * (OF_USER + 1)


def test_changes_of_many_users_of_one_address_hold_up_nobody_of_another_one(asked):
    links = {f"eve{number}": Link("192.0.2.66") for number in range(UNMADE)} | {"ann": Link("192.0.2.2")}
    asked.requests._links_of = lambda user: {links[user.user_id]}
    made, limited = [], asked.limited

    async def change(change):
        await asyncio.sleep(0)
        made.append(change.user_id)

    async def story():
        [frame] = FrameReader(1 << 20).feed(encode("CLEAR_HISTORY", pb.ClearHistory()))
        for name, link in links.items():
            asked.requests.handle(User(name, "alpha"), frame, link)
        while asked.requests._change is not None:
            await asyncio.gather(asked.requests._change)

    asked.archive.change = change
    asyncio.run(story())
    assert made == ["eve0", "eve1", "ann", *(f"eve{number}" for number in range(2, UNMADE - 1))]
    [busy] = links[f"eve{UNMADE - 1}"].sent
    assert decode(busy, pb.HistoryAnswer).result == RESULT.BUSY
    assert limited == [("requests", "archive")]


def test_a_device_that_nobody_approved_is_not_told_what_another_one_has_read(asked):
    stranger = Link()
    asked.withheld.add(stranger)
    asked.requests._links_of = lambda _user: [asked.link, stranger]
    asked.say("READ_RECEIPT", pb.ReadReceipt(user=BEA.to_pb(), sequence=1))
    assert [frame.name for frame in asked.link.sent] == ["READ_RECEIPT_ACK"]
    assert stranger.sent == []
