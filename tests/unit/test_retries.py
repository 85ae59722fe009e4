"""What a client did not acknowledge is offered to it again, while its link stands."""

from itertools import pairwise

import pytest

from parley.services.chat.delivery.retries import LONGEST
from parley.shared.addresses import User
from tests.support.sinks import ACK_TIMEOUT, Node

ANN, BOB = (User(name, "alpha") for name in ("ann", "bob"))


@pytest.fixture
def node():
    node = Node("alpha")
    node.connect(ANN)
    return node


@pytest.fixture
def bob(node):
    return node.connect(BOB)


def offers(node, sink, seconds, step=1.0):
    """When something was sent, in seconds from now."""
    began, times = node.now, []
    while node.now < began + seconds:
        node.pass_time(step)
        times += [node.now - began] * len(sink.sent)
        sink.sent.clear()
    return times


def test_what_is_not_acknowledged_is_offered_again_with_back_off(node, bob):
    node.send(ANN, 1, BOB)
    assert bob.snowflakes() == [1]
    times = offers(node, bob, 4000)
    gaps = [b - a for a, b in pairwise(times)]
    assert times[0] == ACK_TIMEOUT
    assert gaps[:6] == [10, 20, 40, 80, 160, 320]
    assert set(gaps[6:]) == {LONGEST}


def test_it_is_offered_while_others_that_came_later_are_taken(node, bob):
    for number in (1, 2, 3):
        node.send(ANN, number, BOB)
    node.ack(BOB, 2)
    node.ack(BOB, 3)
    bob.take()
    node.pass_time(ACK_TIMEOUT)
    assert bob.snowflakes() == [1]
    node.ack(BOB, 1)
    node.pass_time(10 * LONGEST)
    assert bob.snowflakes() == []
    assert node.is_at_rest


@pytest.mark.usefixtures("bob")
def test_its_author_is_told_once_that_it_waits_and_then_that_it_is_there(node):
    ann = node.connect(ANN)
    node.send(ANN, 1, BOB)
    node.pass_time(300)
    assert [status for *_, status in ann.statuses()] == ["USER_AWAY"]
    node.ack(BOB, 1)
    assert [status for *_, status in ann.statuses()] == ["DELIVERED"]


def test_nothing_is_offered_to_whom_something_is_still_on_its_way(node, bob):
    """Whoever sleeps would find all of it several times when they wake."""
    node.send(ANN, 1, BOB)
    bob.take()
    bob.has_arrived = False
    node.pass_time(600)
    assert bob.snowflakes() == []
    bob.has_arrived = True
    node.pass_time(ACK_TIMEOUT)
    assert bob.snowflakes() == [1]


def test_nor_to_whom_there_is_no_room(node, bob):
    node.send(ANN, 1, BOB)
    bob.take()
    bob.writable = False
    node.pass_time(600)
    assert bob.snowflakes() == []


def test_another_client_that_takes_it_ends_it(node, bob):
    other = node.connect(BOB)
    node.send(ANN, 1, BOB)
    node.disconnect(BOB, bob)
    bob.take()
    other.take()
    node.pass_time(ACK_TIMEOUT)
    assert (bob.snowflakes(), other.snowflakes()) == ([], [1])


def test_a_new_link_begins_from_the_first(node, bob):
    node.send(ANN, 1, BOB)
    node.pass_time(1000)
    node.disconnect(BOB, bob)
    again = node.connect(BOB)
    assert again.snowflakes() == [1]
    assert offers(node, again, 25)[0] == pytest.approx(ACK_TIMEOUT)


def test_what_was_answered_is_not_held_on(node, bob):
    for number in range(1, 4001):
        node.send(ANN, number, BOB)
    node.pass_time(ACK_TIMEOUT)
    for number in range(2, 4001):
        node.ack(BOB, number)
    assert len(node.router._dispatcher._retries) < 1500
    assert len(bob.sent) == 8000
