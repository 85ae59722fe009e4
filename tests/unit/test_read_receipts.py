"""Read receipts: told to an author where both want that, and to nobody else; the newest is kept for who is away."""

import asyncio

import pytest

from parley.client.inbox import reading
from parley.client.inbox.reading import ReadReceipts
from parley.services.chat.read_receipts import relay
from parley.services.chat.read_receipts.relay import OF_USER, ReadReceiptRelay
from parley.services.chat.roster import LinkedServer, LocalRoster
from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, pb
from tests.support.sinks import Sink

ANN, BOB, CID, DAN = User("ann", "alpha"), User("bob", "alpha"), User("cid", "beta"), User("dan", "beta")


class Server:
    """A relay, and who is connected to it."""

    def __init__(self):
        self.roster, self.blocked, self.limited = LocalRoster(), set(), 0
        self.relay = ReadReceiptRelay(lambda: "alpha", lambda: self.roster, lambda: self, self.note_limit)
        self.roster.remember([ANN, BOB, "beta"])

    def note_limit(self):
        self.limited += 1

    def blocks(self, user, other):
        return (user, other) in self.blocked

    def client(self, user, **has):
        link = Sink()
        for name, value in has.items():
            setattr(link, name, value)
        self.roster.add_client(user, link)
        self.relay.client_connected(user, link)
        return link

    def server(self, **has):
        link = Sink()
        for name, value in has.items():
            setattr(link, name, value)
        self.roster.add_server("beta", LinkedServer(link, confirms=True))
        self.relay.server_connected("beta", link)
        return link

    def read(self, reader, author, number=7, now=0.0):
        receipt = pb.ReadReceipt(messageSnowflake=number, user=author.to_pb(), tellsAuthor=True)
        self.relay.from_client(reader, receipt, now)

    def came(self, reader, author, number=7, server_id="beta", now=0.0):
        relayed = pb.RelayReadReceipt(messageSnowflake=number, byUser=reader.to_pb(), author=author.to_pb())
        self.relay.from_server(server_id, relayed, now)


@pytest.fixture
def server():
    return Server()


def told(link):
    return [(User.of(each.byUser), User.of(each.author), each.messageSnowflake) for each in link.take()]


def test_an_author_here_is_told_at_each_device_that_wants_it(server):
    wants, other = server.client(ANN), server.client(ANN, takes_read_receipts=False)
    server.read(BOB, ANN)
    assert told(wants) == [(BOB, ANN, 7)]
    assert not other.sent


def test_an_author_elsewhere_is_told_by_their_server(server):
    beta = server.server()
    server.read(BOB, CID)
    assert told(beta) == [(BOB, CID, 7)]


def test_a_server_that_knows_no_receipts_is_sent_none(server):
    beta = server.server(takes_read_receipts=False)
    server.read(BOB, CID)
    assert not beta.sent
    server.roster.remove_server("beta")
    assert not server.server(takes_read_receipts=False).sent
    assert len(server.relay) == 0


def test_the_newest_receipt_waits_for_who_is_away_and_is_told_once(server):
    for number in (7, 9, 8):
        server.read(BOB, CID, number)
        server.came(CID, ANN, number)
    assert len(server.relay) == 2
    assert told(server.server()) == [(BOB, CID, 9)]
    server.client(ANN, takes_read_receipts=False)
    assert told(server.client(ANN)) == [(CID, ANN, 9)]
    assert len(server.relay) == 0
    assert not server.client(ANN).sent


def test_a_server_speaks_for_its_own_users_to_ours_alone(server):
    ann = server.client(ANN)
    for reader, author in [(BOB, ANN), (CID, DAN), (User("", "beta"), ANN)]:
        with pytest.raises(UnexpectedMessage):
            server.came(reader, author)
    with pytest.raises(UnexpectedMessage):
        server.relay.from_client(BOB, pb.ReadReceipt(messageSnowflake=1, group=Group("crew", "alpha").to_pb()), 0.0)
    assert not ann.sent


def test_nobody_hears_of_a_reader_whom_they_block_and_no_device_that_nobody_approved(server):
    ann = server.client(ANN)
    server.blocked.add((ANN, BOB))
    server.read(BOB, ANN)
    assert not ann.sent
    server.blocked.clear()
    server.roster.withheld.add(ann)
    server.read(BOB, ANN)
    assert not ann.sent


def test_a_reader_has_a_rate_and_so_has_a_server(server, monkeypatch):
    ann = server.client(ANN)
    for number in range(1, 1 + 2 * int(OF_USER[1])):
        server.read(BOB, ANN, number)
    assert len(told(ann)) == server.limited == OF_USER[1]
    server.read(BOB, ANN, 1000, now=1.0)
    assert told(ann) == [(BOB, ANN, 1000)]
    monkeypatch.setattr(relay, "KEPT_OF_SOURCE", 1)
    server.limited = 0
    for number in range(20):
        server.came(User(f"cid{number}", "beta"), BOB)
    assert (len(server.relay), server.limited) == (10, 10)


def test_of_many_receipts_the_oldest_goes(server, monkeypatch):
    monkeypatch.setattr(relay, "KEPT", 3)
    for number in range(5):
        server.came(User(f"cid{number}", "beta"), BOB)
    readers = sorted(reader.user_id for reader, _author, _number in told(server.client(BOB)))
    assert readers == ["cid2", "cid3", "cid4"]
    assert server.limited == 2


# A client's -----------------------------------------------------------------------------------------


def message(number, author=ANN, *, wants=True, to=None):
    sent = pb.ChatMessage(messageSnowflake=number, author=author.to_pb(), tellRead=wants)
    if to is None:
        sent.user.CopyFrom(BOB.to_pb())
    else:
        sent.userOfGroup.group.CopyFrom(to.to_pb())
    return sent


def said(link):
    frames = [read_datagram(raw) for raw in link.sent]
    link.sent.clear()
    return [(User.of(each.user), each.messageSnowflake) for each in (decode(f, pb.ReadReceipt) for f in frames)]


class Sayings(Sink):
    """A link, and an event that tells that something was said over it."""

    def __init__(self):
        super().__init__()
        self.said = asyncio.Event()

    def send(self, raw):
        super().send(raw)
        self.said.set()


def run(story, *, is_on=True):
    heard, link = [], Sayings()

    async def in_loop():
        receipts = ReadReceipts(is_on=is_on, heard=lambda *what: heard.append(what))
        receipts.link_opened(link)
        await story(receipts, link)
        receipts.close()

    asyncio.run(in_loop())
    return heard, link


def test_a_client_tells_of_each_author_the_newest_and_only_of_messages_that_ask_for_it(monkeypatch):
    monkeypatch.setattr(reading, "GATHERED", 0.0)

    async def story(receipts, link):
        for each in (
            message(5),
            message(4),
            message(6, CID),
            message(9, DAN, wants=False),
            message(8, to=Group("crew", "alpha")),
        ):
            receipts.read(each)
        assert not link.sent
        await asyncio.wait_for(link.said.wait(), 10.0)
        await asyncio.sleep(0)
        assert said(link) == [(ANN, 5), (CID, 6)]

    _heard, link = run(story)
    assert not link.sent


def test_a_client_that_has_it_off_says_and_hears_nothing():
    async def story(receipts, _link):
        receipts.read(message(5))
        receipts.take(pb.RelayReadReceipt(messageSnowflake=1, byUser=BOB.to_pb()))

    heard, link = run(story, is_on=False)
    assert not heard
    assert not link.sent


def test_what_was_read_just_before_the_end_is_told():
    async def story(receipts, _link):
        receipts.read(message(5))

    _heard, link = run(story)
    assert said(link) == [(ANN, 5)]


def test_a_server_that_knows_no_receipts_is_told_nothing(monkeypatch):
    monkeypatch.setattr(reading, "GATHERED", 0.0)

    async def story(receipts, link):
        receipts.link_lost()
        link.takes_read_receipts = False
        receipts.link_opened(link)
        receipts.read(message(5))
        for _ in range(3):
            await asyncio.sleep(0)

    _heard, link = run(story)
    assert not link.sent
