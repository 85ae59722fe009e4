"""A router over a disk: what is written when, and that nobody is told before it is."""

import pytest

from parley.services.chat.archive.collector import Collector
from parley.services.chat.archive.entries import MESSAGE, NO_STATUS, STATUS, entries
from parley.services.chat.delivery.persist_timer import ANSWERING_FACTOR
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import Group, User
from parley.shared.compiled import core
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.support.durable_people import DurableNode
from tests.support.sinks import ACK_TIMEOUT, message

ANN, BOB, CID = User("ann", "alpha"), User("bob", "alpha"), User("cid", "beta")
PERSIST_DELAY = 0.05
with_core = pytest.mark.skipif(core is None, reason="the compiled core is not here")


@pytest.fixture
def node():
    made = DurableNode("alpha")
    made.disconnect(BOB, made.connect(BOB))
    made.disk.commit_all()
    return made


@pytest.fixture
def ann(node):
    return node.connect(ANN)


def restarted(node, written=0):
    node.disk.crash(written)
    node.start()
    return node


def test_an_author_is_told_that_a_message_is_kept_when_it_is(node, ann):
    node.send(ANN, 1, BOB)
    assert ann.statuses() == []
    node.disk.commit()
    assert ann.statuses() == [(1, BOB, "USER_AWAY")]


def test_an_author_is_told_that_a_message_waits_for_a_server_when_it_is_kept(node, ann):
    node.unlink("beta", node.link("beta"))
    node.send(ANN, 1, CID)
    node.pass_time(2.0)
    assert ann.statuses() == []
    node.disk.commit_all()
    assert ann.statuses() == [(1, CID, "OTHER_SERVER_TIMEOUT")]


def test_what_is_answered_at_once_touches_no_disk(node, ann):
    node.connect(BOB)
    node.disk.commit_all()
    node.send(ANN, 1, BOB)
    node.pass_time(PERSIST_DELAY / 2)
    node.ack(BOB, 1)
    node.pass_time(ACK_TIMEOUT)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]
    assert len(node.disk) == 0


def test_what_is_not_answered_soon_is_written_and_forgotten_once_it_is(node, ann):
    node.connect(BOB)
    node.disk.commit_all()
    node.send(ANN, 1, BOB)
    node.pass_time(PERSIST_DELAY)
    node.disk.commit()
    assert [row[2] for row in node.disk.messages.values()] == [1]
    assert ann.statuses() == []
    node.ack(BOB, 1)
    node.disk.commit()
    assert node.disk.messages == {}
    assert list(node.disk.final.values()) == [Status.DELIVERED]


@pytest.fixture(params=[pytest.param(True, marks=with_core, id="fast path"), pytest.param(False, id="router")])
def talk(request):
    """A node where Ann and Bob talk, on the fast path or not, and its disk has nothing to do."""
    made = DurableNode("alpha", fast_path=request.param)
    made.connect(ANN), made.connect(BOB)
    for snowflake in (1, 2):
        made.send(ANN, snowflake, BOB)
        made.ack(BOB, snowflake)
    made.disk.commit_all()
    return made


def on_disk(node):
    node.disk.commit_all()
    return [row.snowflake for row in node.disk.messages.values()]


def burst(node, count):
    """Messages at once; their numbers."""
    numbers = range(10, 10 + count)
    for snowflake in numbers:
        node.send(ANN, snowflake, BOB)
    return numbers


def test_a_burst_for_who_answers_all_the_while_touches_no_disk(talk):
    for snowflake in burst(talk, 30):
        talk.pass_time(ANSWERING_FACTOR * PERSIST_DELAY / 31)
        assert on_disk(talk) == []
        talk.ack(BOB, snowflake)
    assert talk.is_at_rest


def test_who_stops_answering_is_written_for_all_at_once(talk):
    numbers = list(burst(talk, 20))
    for snowflake in numbers[:10]:
        talk.pass_time(PERSIST_DELAY / 2)
        talk.ack(BOB, snowflake)
    talk.pass_time(0.9 * PERSIST_DELAY)
    assert on_disk(talk) == []
    talk.pass_time(0.7 * PERSIST_DELAY)
    assert on_disk(talk) == numbers[10:]


def test_what_is_not_answered_among_answers_is_written_in_the_end(talk):
    first, *numbers = burst(talk, 60)
    for snowflake in numbers:
        talk.pass_time(ANSWERING_FACTOR * PERSIST_DELAY / 50)
        talk.ack(BOB, snowflake)
        if talk.now < ANSWERING_FACTOR * PERSIST_DELAY:
            assert on_disk(talk) == []
    assert on_disk(talk) == [first]


def test_what_comes_another_way_meanwhile_puts_off_nothing(talk):
    dan = User("dan", "alpha")
    talk.connect(dan)
    first, *numbers = burst(talk, 55)
    for snowflake in numbers:
        talk.pass_time(ANSWERING_FACTOR * PERSIST_DELAY / 50)
        talk.ack(BOB, snowflake)
        if snowflake == numbers[48]:
            talk.route_from_client(ANN, read_datagram(encode("MESSAGE", message(ANN, 100, dan))))
    assert ANSWERING_FACTOR * PERSIST_DELAY + PERSIST_DELAY / 2 < talk.now < (ANSWERING_FACTOR + 1) * PERSIST_DELAY
    assert on_disk(talk)[0] == first


def test_what_takes_the_fast_path_is_not_written_because_all_else_was_answered(talk):
    dan = User("dan", "alpha")
    talk.connect(dan)
    talk.send(ANN, 99, dan)  # and Dan does not answer
    for snowflake in (10, 11):
        talk.route_from_client(ANN, read_datagram(encode("MESSAGE", message(ANN, snowflake, BOB))))
    talk.pass_time(0.8 * PERSIST_DELAY)
    talk.ack(BOB, 10)
    talk.pass_time(0.4 * PERSIST_DELAY)
    talk.ack(BOB, 11)
    for snowflake in range(20, 24):
        talk.send(ANN, snowflake, BOB)
        talk.pass_time(0.4 * PERSIST_DELAY)
        assert on_disk(talk) == [99]
        talk.ack(BOB, snowflake)


@with_core
@pytest.mark.parametrize("is_fast", [True, False])
def test_who_answers_just_now_does_whichever_way_the_answered_message_went(is_fast):
    node = DurableNode("alpha", fast_path=True)
    node.connect(ANN), node.connect(BOB)
    node.send(ANN, 1, BOB)
    node.ack(BOB, 1)
    by_router, by_core = 10, 11
    node.route_from_client(ANN, read_datagram(encode("MESSAGE", message(ANN, by_router, BOB))))
    node.send(ANN, by_core, BOB)
    assert len(node.router.fast_path) == 1
    node.pass_time(0.9 * PERSIST_DELAY)
    node.ack(BOB, by_core if is_fast else by_router)
    node.pass_time(0.4 * PERSIST_DELAY)
    assert on_disk(node) == []
    assert len(node.router.fast_path) == (0 if is_fast else 1), "what is about to be answered is not handed over"


def test_what_could_not_be_written_for_long_is_written_when_it_can_be(talk):
    talk.send(ANN, 10, BOB)
    talk.pass_time(2 * PERSIST_DELAY)
    for _ in range(3):
        talk.disk.fail()
        talk.pass_time(ACK_TIMEOUT)
    assert on_disk(talk) == [10]
    talk.ack(BOB, 10)
    assert on_disk(talk) == []
    assert talk.is_at_rest


def test_what_could_not_be_written_was_not_taken(node, ann):
    node.send(ANN, 1, BOB)
    node.disk.fail()
    assert ann.statuses() == [(1, BOB, "OTHER_ERROR")]
    node.send(ANN, 2, BOB)
    node.disk.commit_all()
    assert ann.statuses() == [(2, BOB, "USER_AWAY")]
    assert node.connect(BOB).snowflakes() == [2]


def test_what_is_on_its_way_goes_on_where_it_could_not_be_written(node, ann):
    bob = node.connect(BOB)
    node.disk.commit_all()
    node.send(ANN, 1, BOB)
    node.pass_time(PERSIST_DELAY)
    node.disk.fail()
    node.pass_time(ACK_TIMEOUT)
    assert ann.statuses() == []
    node.ack(BOB, 1)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]
    assert bob.snowflakes() == [1, 1]  # offered again, as it was not acknowledged in time


def test_who_waits_for_what_is_overdue_and_cannot_be_kept_hears_so_once_and_what_comes_of_it(node, ann):
    node.connect(BOB)
    node.disk.commit_all()
    node.send(ANN, 1, BOB)
    node.pass_time(PERSIST_DELAY)
    for _ in range(3):
        node.pass_time(ACK_TIMEOUT)
        node.disk.fail()
        node.end_turn()
    assert ann.statuses() == [(1, BOB, "UNKNOWN_STATUS")]
    node.pass_time(ACK_TIMEOUT)
    node.disk.commit_all()
    assert ann.statuses() == [], "an interim status behind a final one"
    node.ack(BOB, 1)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]


def test_what_may_have_arrived_and_can_be_kept_no_longer_is_unconfirmed(node, ann):
    bob = node.connect(BOB)
    node.disk.commit_all()
    node.send(ANN, 1, BOB)
    node.disconnect(BOB, bob)
    node.disk.fail()
    assert ann.statuses() == [(1, BOB, "UNKNOWN_STATUS")]


def test_what_is_on_its_way_is_written_before_what_waits_behind_it(node, ann, monkeypatch):
    monkeypatch.setattr("parley.services.chat.message.in_flight.WINDOW", 2)
    monkeypatch.setattr("parley.services.chat.message.in_flight.BURST", 1)
    node.connect(BOB)
    node.disk.commit_all()
    for number in (1, 2, 3):
        node.send(ANN, number, BOB)
    bob = restarted(node, written=2).connect(BOB)
    node.disk.commit()
    assert bob.snowflakes() == [1, 2]
    assert ann.statuses() == []


def test_after_a_restart_a_message_sent_again_is_answered_with_its_status(node, ann):
    node.send(ANN, 1, BOB)
    node.send(ANN, 2, BOB)
    node.disk.commit()
    bob = node.connect(BOB)
    assert bob.snowflakes() == [1, 2]
    node.ack(BOB, 1)
    node.disk.commit()
    assert len(ann.take()) == 3
    ann = restarted(node).connect(ANN)
    node.send(ANN, 1, BOB)
    node.send(ANN, 2, BOB)
    assert ann.statuses() == [(1, BOB, "DELIVERED"), (2, BOB, "USER_AWAY")]
    bob = node.connect(BOB)
    node.disk.commit()
    assert bob.snowflakes() == [2]


def test_after_a_restart_an_author_who_was_away_hears_what_is_owed_once(node, ann):
    node.send(ANN, 1, BOB)
    node.disk.commit()
    node.disconnect(ANN, ann)
    node.connect(BOB)
    node.ack(BOB, 1)
    node.disk.commit()
    again = restarted(node).connect(ANN)
    node.disk.commit_all()
    assert again.statuses() == [(1, BOB, "DELIVERED")]
    assert node.disk.unpaid == {}
    assert restarted(node).connect(ANN).statuses() == []


def test_what_another_server_has_is_known_after_a_restart(node, ann):
    beta = node.link("beta")
    node.send(ANN, 1, CID)
    node.answer("beta", 1, (CID, Status.USER_AWAY), author=ANN)
    assert not ann.sent, "it is not known yet after a restart"
    node.disk.commit_all()
    assert ann.statuses() == [(1, CID, "USER_AWAY")]
    assert beta.snowflakes() == [1]
    again = restarted(node)
    ann = again.connect(ANN)
    again.send(ANN, 1, CID)
    again.pass_time(2.0)
    again.disk.fail()
    assert ann.statuses() == [], "the other server has it: that there is no room here is no matter"
    beta = again.link("beta")
    again.send(ANN, 1, CID)
    assert beta.snowflakes() == [1]


def test_what_was_delivered_at_once_and_comes_again_after_a_restart_is_not_shown_again(node, ann):
    bob = node.connect(BOB)
    node.send(ANN, 1, BOB)
    node.ack(BOB, 1)
    assert bob.snowflakes() == [1]
    again = restarted(node)
    ann, bob = again.connect(ANN), again.connect(BOB)
    again.send(ANN, 1, BOB)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]
    assert bob.snowflakes() == []


def test_what_could_not_be_written_on_its_way_is_written_before_what_is_later(node, ann):
    node.link("beta")
    node.disk.commit_all()
    node.send(ANN, 1, CID)
    node.pass_time(1.1 * PERSIST_DELAY)
    node.disk.fail()
    assert ann.statuses() == []
    node.send(ANN, 2, CID)
    node.pass_time(1.1 * PERSIST_DELAY)
    node.disk.commit_all()
    assert [node.disk.messages[number].snowflake for number in sorted(node.disk.messages)] == [1, 2]


def test_what_could_not_be_written_on_its_way_is_written_before_what_has_to_wait(node, ann):
    beta = node.link("beta")
    node.disk.commit_all()
    node.send(ANN, 1, CID)
    node.pass_time(1.1 * PERSIST_DELAY)
    beta.writable = False
    node.send(ANN, 2, CID)
    node.disk.fail(1)
    node.send(ANN, 3, CID)
    node.disk.commit_all()
    assert [node.disk.messages[number].snowflake for number in sorted(node.disk.messages)] == [1, 2, 3]
    assert ann.statuses() == []


def offer(node, snowflake):
    """A message of CID's to BOB comes from beta."""
    node.receive("beta", message(CID, snowflake, BOB))


def test_what_another_server_offers_again_waits_in_order_while_the_disk_is_full(node):
    beta = node.link("beta")
    node.disk.commit_all()
    offer(node, 1)
    node.disk.fail()
    offer(node, 2)
    node.disk.fail()
    assert beta.statuses() == [], "its author relies on its being kept there"
    offer(node, 1)
    node.disk.commit_all()
    assert [status for _, _, status in beta.statuses()] == ["USER_AWAY"] * 2
    assert restarted(node).connect(BOB).snowflakes() == []
    node.disk.commit_all()
    assert [row.snowflake for row in node.disk.messages.values()] == [1, 2]


def test_what_another_server_offers_again_goes_out_while_the_disk_is_full(node):
    node.link("beta")
    node.disk.commit_all()
    for snowflake in (1, 2):
        offer(node, snowflake)
        node.disk.fail()
    bob = node.connect(BOB)
    node.disk.fail()
    assert bob.snowflakes() == [1, 2]


def test_what_a_server_sent_that_offers_nothing_again_is_refused_while_the_disk_is_full(node):
    beta = node.link("beta", confirms=False)
    node.disk.commit_all()
    offer(node, 1)
    node.disk.fail()
    assert [status for _, _, status in beta.statuses()] == ["OTHER_ERROR"]


@pytest.fixture
def listing(node):
    """The node, with a collector, and linked with beta."""
    node.collector = Collector("alpha", lambda: None)
    node.start()
    node.link("beta")
    node.disk.commit_all()
    return node


def test_what_a_group_elsewhere_may_have_taken_is_listed_by_its_number_and_not_before(listing, ann):
    node = listing
    crew = Group("crew", "beta")

    def listed():
        found = entries(b"".join(node.collector.take().entries))
        return [decode(read_datagram(entry.data), pb.ChatMessage).groupNumber for entry in found]

    node.send(ANN, 1, None, group=crew.to_pb())
    for _ in range(3):
        node.pass_time(ACK_TIMEOUT)
        node.disk.fail()
        node.end_turn()
    assert [status for *_, status in ann.statuses()] == ["UNKNOWN_STATUS"]
    assert listed() == []
    told = pb.ChatMessageResponse(
        messageSnowflake=1, author=ANN.to_pb(), group=crew.to_pb(), groupNumber=77, complete=True
    )
    told.statuses.add(user=pb.User(userId="eva", serverId="beta"), status=Status.DELIVERED)
    node.from_server("beta", read_datagram(encode("MESSAGE_ACK", told)))
    assert listed() == [77]


def test_an_edit_is_kept_that_another_server_took_and_answered_before_that_was_on_disk(listing, ann):
    node = listing
    edit = message(ANN, 2, CID)
    edit.edit.CopyFrom(pb.Edit(target=1, content=b"c" * 32, revision=1, text="better"))
    node.from_client(ANN, read_datagram(encode("MESSAGE", edit)))
    node.answer("beta", 2, (CID, Status.USER_AWAY), author=ANN)
    node.answer("beta", 2, (CID, Status.DELIVERED), author=ANN)
    node.disk.commit_all()
    assert ann.statuses() == [(2, CID, "DELIVERED")]
    found = [(entry.kind, entry.status) for entry in entries(b"".join(node.collector.take().entries))]
    assert found == [(MESSAGE, NO_STATUS), (STATUS, Status.DELIVERED)]
