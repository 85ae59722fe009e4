"""Statuses that are owed: told again until they are received, in order, however many there are."""

import pytest

from parley.services.chat.message import owed_statuses
from parley.services.chat.message.owed_statuses import OwedStatuses
from parley.services.chat.message.statuses import Status
from parley.services.chat.roster import LinkedServer, LocalRoster
from parley.shared.addresses import User
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, pb
from tests.support.disks import FakeDisk
from tests.support.sinks import Node, Sink

ANN, BOB = User("ann", "alpha"), User("bob", "beta")
ROOM = 4


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch):
    monkeypatch.setattr(owed_statuses, "IN_MEMORY", ROOM)


class Owing:
    """OwedStatuses, the disk that they are on, and whom they are owed."""

    def __init__(self, disk=None):
        self.disk = FakeDisk() if disk is None else disk
        self.roster = LocalRoster()
        self.statuses = OwedStatuses(self.roster, self.disk, self.disk.next_receipt)
        for destination, count in self.disk.owed_counts():
            self.statuses.found_at_start(destination, count)

    def link(self, *, confirms=True, writable=True):
        sink = Sink(writable=writable)
        self.roster.add_server("beta", LinkedServer(sink, confirms=confirms))
        self.statuses.connected("beta")
        return sink

    def owe(self, *numbers, to="beta"):
        for number in numbers:
            self.statuses.owe(to, pb.ChatMessageResponse(messageSnowflake=number).SerializeToString())

    def restarted(self):
        self.disk.crash(0)
        return Owing(self.disk)


def told(sink):
    """(snowflake, receipt) since the last look."""
    found = [decode(read_datagram(raw), pb.ChatMessageResponse) for raw in sink.sent]
    sink.sent.clear()
    return [(each.messageSnowflake, each.receipt) for each in found]


@pytest.fixture
def owing():
    return Owing()


def test_a_linked_server_is_told_at_once_and_once(owing):
    link = owing.link()
    owing.owe(11, 12)
    assert told(link) == [(11, 1), (12, 2)]
    owing.statuses.send("beta")
    assert told(link) == []


def test_each_new_link_is_told_all_from_the_first_until_it_is_received(owing):
    owing.link()
    owing.owe(11, 12, 13)
    assert told(owing.link()) == [(11, 1), (12, 2), (13, 3)]
    owing.statuses.received("beta", 2)
    assert told(owing.link()) == [(13, 3)]
    owing.statuses.received("beta", 3)
    assert told(owing.link()) == []
    owing.disk.commit_all()
    assert len(owing.statuses) == 0
    assert owing.disk.unpaid == {}


def test_what_is_owed_outlives_the_process(owing):
    owing.owe(11, 12)
    owing.disk.commit_all()
    later = owing.restarted()
    assert len(later.statuses) == 2
    link = later.link()
    later.disk.commit_all()
    assert told(link) == [(11, 1), (12, 2)]
    later.owe(13)
    assert told(link) == [(13, 3)]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("count", [ROOM - 1, ROOM, ROOM + 1, 3 * ROOM, 3 * ROOM + 1])
def test_what_does_not_fit_into_memory_is_read_back_in_order_and_told_once(owing, count, restart):
    owing.owe(*range(1, count + 1))
    owing.disk.commit_all()
    if restart:
        owing = owing.restarted()
    link, heard = owing.link(), []
    owing.disk.commit_all()
    while some := told(link):
        assert len(some) <= ROOM
        heard += some
        owing.statuses.received("beta", some[-1][1])
        owing.disk.commit_all()
    assert heard == [(n, n) for n in range(1, count + 1)]
    assert len(owing.statuses) == 0
    assert owing.disk.unpaid == {}


def test_what_comes_while_older_ones_are_read_is_told_after_them(owing):
    link = owing.link()
    owing.owe(*range(1, ROOM + 2))
    owing.disk.commit_all()
    told(link)
    owing.statuses.received("beta", ROOM)  # the last is being read
    owing.owe(ROOM + 2)
    owing.disk.commit_all()
    heard = told(link)
    owing.statuses.received("beta", heard[-1][1])
    owing.disk.commit_all()
    assert heard + told(link) == [(n, n) for n in (ROOM + 1, ROOM + 2)]


def test_a_receipt_of_what_was_received_before_or_for_another_server_does_nothing(owing):
    owing.link()
    owing.owe(11, 12)
    owing.statuses.received("beta", 1)
    owing.statuses.received("beta", 1)
    owing.statuses.received("gamma", 2)
    assert told(owing.link()) == [(12, 2)]


def test_a_link_without_room_is_told_when_it_has_some(owing):
    link = owing.link(writable=False)
    owing.owe(11, 12)
    assert told(link) == []
    link.writable = True
    owing.statuses.send("beta")
    assert told(link) == [(11, 1), (12, 2)]


def test_an_existing_server_is_told_once_and_not_asked_for_a_receipt(owing):
    owing.owe(11, 12)
    assert told(owing.link(confirms=False)) == [(11, 0), (12, 0)]
    assert told(owing.link(confirms=False)) == []
    owing.disk.commit_all()
    assert owing.disk.unpaid == {}


@pytest.mark.parametrize("count", [2, 3 * ROOM])
def test_an_author_is_told_once_at_all_clients_that_are_there(owing, count):
    owing.owe(*range(1, count + 1), to=ANN)
    owing.disk.commit_all()
    sinks = Sink(), Sink()
    for sink in sinks:
        owing.roster.add_client(ANN, sink)
    owing.statuses.connected(ANN)
    owing.disk.commit_all()
    for sink in sinks:
        assert told(sink) == [(n, 0) for n in range(1, count + 1)]
    owing.statuses.connected(ANN)
    owing.disk.commit_all()
    assert told(sinks[0]) == []
    assert owing.disk.unpaid == {}


def test_what_has_expired_on_disk_is_owed_no_more(owing):
    owing.owe(*range(1, 2 * ROOM + 1))
    owing.disk.commit_all()
    for number in range(ROOM + 1, 2 * ROOM + 1):
        del owing.disk.unpaid[number]
    link = owing.link()
    owing.statuses.received("beta", told(link)[-1][1])
    owing.disk.commit_all()
    assert told(link) == []
    assert len(owing.statuses) == 0


# In the router ------------------------------------------------------------------------------------------


class SlowNode(Node):
    """A node whose disk writes when told."""

    commits = False


def test_a_status_is_received_when_its_author_has_heard_it_or_it_is_on_disk():
    alpha = SlowNode("alpha")
    beta = alpha.link("beta")
    ann = alpha.connect(ANN)
    alpha.send(ANN, 1, BOB)
    alpha.answer("beta", 1, (BOB, Status.USER_AWAY), author=ANN)
    assert beta.snowflakes() == [1]
    alpha.disk.commit_all()
    alpha.disconnect(ANN, ann)
    alpha.disk.commit_all()
    status = pb.ChatMessageResponse(messageSnowflake=1, author=ANN.to_pb(), receipt=7)
    status.statuses.add(user=BOB.to_pb(), status="DELIVERED")
    alpha.router.ack_from_server("beta", status, alpha.now)
    alpha.router.flush()
    assert not beta.sent
    alpha.disk.commit_all()
    assert [(type(each), each.receipt) for each in beta.take()] == [(pb.StatusReceived, 7)]
    assert [destination for destination, _payload in alpha.disk.unpaid.values()] == [ANN]
    assert alpha.connect(ANN).statuses() == [(1, BOB, "DELIVERED")]
