"""What is given up or tried again: by age, or because an operator says so."""

import pytest

from parley.services.chat.message.statuses import Status
from parley.services.chat.storage import disk_mailbox
from parley.shared.addresses import Group, User
from tests.support.sinks import Node, message

ANN, AMY = User("ann", "alpha"), User("amy", "alpha")
BOB = User("bob", "beta")


@pytest.fixture
def alpha():
    node = Node("alpha")
    node.disconnect(AMY, node.connect(AMY))
    return node


@pytest.fixture
def ann(alpha):
    return alpha.connect(ANN)


def on_disk(node, destination, *snowflakes):
    """(destination, message) as the disk has it."""
    return [(destination, item) for item in node.disk.read(destination, 0, 100) if item.snowflake in snowflakes]


def expire(node, destination, *snowflakes):
    node.router.expired(on_disk(node, destination, *snowflakes))
    node.end_turn()


def test_what_has_waited_too_long_is_given_up_and_its_author_hears_so(alpha, ann):
    for number in (1, 2, 3):
        alpha.send(ANN, number, AMY)
    ann.take()
    expire(alpha, AMY, 1, 3)
    assert ann.statuses() == [(1, AMY, "OTHER_ERROR"), (3, AMY, "OTHER_ERROR")]
    assert alpha.connect(AMY).snowflakes() == [2]
    alpha.ack(AMY, 2)
    assert ann.statuses() == [(2, AMY, "DELIVERED")]
    assert alpha.is_at_rest
    assert alpha.disk.messages == {}


def test_what_is_on_its_way_just_now_goes_on(alpha, ann):
    alpha.send(ANN, 1, AMY)
    amy = alpha.connect(AMY)
    ann.take()
    expire(alpha, AMY, 1)
    assert not ann.sent
    assert amy.snowflakes() == [1]
    alpha.ack(AMY, 1)
    assert ann.statuses() == [(1, AMY, "DELIVERED")]


def test_what_was_delivered_meanwhile_is_not_given_up(alpha, ann):
    alpha.send(ANN, 1, AMY)
    found = on_disk(alpha, AMY, 1)
    alpha.connect(AMY)
    alpha.ack(AMY, 1)
    ann.take()
    alpha.router.expired(found)
    alpha.end_turn()
    assert not ann.sent
    assert alpha.is_at_rest


@pytest.mark.parametrize("given_up", [1, 2, 3, 4, 5])
def test_one_that_waits_on_disk_alone_can_be_given_up_too(monkeypatch, given_up):
    monkeypatch.setattr(disk_mailbox, "IN_MEMORY", 2)
    alpha = Node("alpha")
    alpha.disconnect(AMY, alpha.connect(AMY))
    ann = alpha.connect(ANN)
    for number in range(1, 6):
        alpha.send(ANN, number, AMY)
    ann.take()
    expire(alpha, AMY, given_up)
    assert ann.statuses() == [(given_up, AMY, "OTHER_ERROR")]
    assert alpha.connect(AMY).snowflakes() == [n for n in range(1, 6) if n != given_up]
    assert alpha.mailbox.is_empty(AMY)


def test_what_waits_for_a_server_is_given_up(alpha, ann):
    alpha.unlink("beta", alpha.link("beta"))
    for number in (1, 2):
        alpha.send(ANN, number, BOB)
    alpha.pass_time(2.0)
    ann.take()
    expire(alpha, "beta", 1)
    assert ann.statuses() == [(1, BOB, "OTHER_ERROR")]
    assert alpha.link("beta").snowflakes() == [2]


def test_one_that_was_given_up_and_is_sent_again_is_answered_so_again(alpha, ann):
    alpha.send(ANN, 1, AMY)
    expire(alpha, AMY, 1)
    ann.take()
    alpha.send(ANN, 1, AMY)
    assert ann.statuses() == [(1, AMY, "OTHER_ERROR")]
    assert not alpha.connect(AMY).sent


def test_an_author_elsewhere_hears_it_for_certain(alpha):
    beta = alpha.link("beta")
    alpha.receive("beta", message(BOB, 1, AMY))
    alpha.unlink("beta", beta)
    beta.sent.clear()
    expire(alpha, AMY, 1)
    for _ in range(2):
        beta = alpha.link("beta")
        assert beta.statuses()[-1] == (1, AMY, "OTHER_ERROR")
        alpha.unlink("beta", beta)


def test_a_members_copy_is_given_up_as_that_members(alpha, ann):
    for member in (ANN, AMY):
        alpha.engine.groups.add("crew", member)
    alpha.send(ANN, 1, None, group=Group("crew", "alpha").to_pb())
    ann.take()
    expire(alpha, AMY, 1)
    [ack] = ann.take()
    assert Group.of(ack.group) == Group("crew", "alpha")
    assert [(User.of(each.user), each.status) for each in ack.statuses] == [(AMY, Status.OTHER_ERROR)]


def test_dropping_says_whether_it_waited(alpha, ann):
    alpha.send(ANN, 1, AMY)
    ann.take()
    [(destination, item)] = on_disk(alpha, AMY, 1)
    assert alpha.router.drop(destination, item)
    assert ann.statuses() == [(1, AMY, "OTHER_ERROR")]
    assert not alpha.router.drop(destination, item)
    assert not ann.sent


@pytest.mark.usefixtures("ann")
def test_retrying_looks_for_a_server_that_is_not_linked(alpha):
    alpha.unlink("beta", alpha.link("beta"))
    alpha.send(ANN, 1, BOB)
    alpha.looked_for.clear()
    assert alpha.router.retry("beta", alpha.now) == 0
    assert alpha.looked_for == ["beta"]


@pytest.mark.parametrize("to", [AMY, BOB])
@pytest.mark.usefixtures("ann")
def test_retrying_writes_again_in_order_what_is_unanswered(alpha, to):
    destination = to if to == AMY else "beta"
    there = alpha.connect(AMY) if to == AMY else alpha.link("beta")
    for number in (1, 2, 3):
        alpha.send(ANN, number, to)
    assert there.snowflakes() == [1, 2, 3]
    if to == AMY:
        alpha.ack(AMY, 2)
    else:
        alpha.answer("beta", 2, (BOB, 1))
    assert alpha.router.retry(destination, alpha.now) == 2
    assert there.snowflakes() == [1, 3]
