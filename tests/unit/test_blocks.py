"""Whose messages somebody does not take: what their authors hear, and that it lasts."""

import pytest

from parley.services.chat.groups import blocks
from parley.services.chat.groups.blocks import Blocks
from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import encode, pb
from tests.support.durable_people import DurableNode
from tests.support.sinks import Node, message

ANN, AMY, BOB = User("ann", "alpha"), User("amy", "alpha"), User("bob", "beta")
CREW = Group("crew", "beta")


def change(node, user, name, other=None, sink=None, number=1):
    asked = pb.ChangeBlock(request=number, user=other.to_pb() if other is not None else None)
    node.from_client(user, read_datagram(encode(name, asked)), sink)


def answers(sink):
    """(request, ok, who is blocked) since the last look."""
    return [(each.request, each.ok, [str(User.of(user)) for user in each.users]) for each in sink.take()]


@pytest.fixture
def alpha():
    return Node("alpha")


@pytest.fixture
def ann(alpha):
    return alpha.connect(ANN)


@pytest.fixture
def amy(alpha):
    return alpha.connect(AMY)


def test_whoever_blocks_hears_whom_they_block_in_the_order_in_which_they_did(alpha, ann):
    change(alpha, ANN, "BLOCK_USER", BOB, ann, number=3)
    change(alpha, ANN, "BLOCK_USER", AMY, ann, number=4)
    change(alpha, ANN, "ASK_BLOCKED_USERS", None, ann, number=5)
    change(alpha, ANN, "UNBLOCK_USER", BOB, ann, number=6)
    assert answers(ann) == [
        (3, True, ["bob@beta"]),
        (4, True, ["bob@beta", "amy@alpha"]),
        (5, True, ["bob@beta", "amy@alpha"]),
        (6, True, ["amy@alpha"]),
    ]


def test_an_author_who_is_blocked_hears_so_and_nothing_arrives(alpha, ann, amy):
    change(alpha, AMY, "BLOCK_USER", ANN, amy)
    amy.take()
    alpha.send(ANN, 1, AMY)
    assert ann.statuses() == [(1, AMY, "USER_BLOCKED")]
    assert not amy.sent
    assert alpha.is_at_rest


def test_whom_one_blocks_can_still_be_written_to(alpha, ann, amy):
    change(alpha, AMY, "BLOCK_USER", ANN, amy)
    alpha.send(AMY, 1, ANN)
    assert ann.snowflakes() == [1]


def test_who_is_away_blocks_too_and_others_do_not(alpha, ann, amy):
    change(alpha, AMY, "BLOCK_USER", ANN, amy)
    alpha.disconnect(AMY, amy)
    alpha.send(ANN, 1, AMY)
    assert ann.statuses() == [(1, AMY, "USER_BLOCKED")]
    other = User("ada", "alpha")
    alpha.connect(other)
    alpha.send(ANN, 2, other)
    assert not ann.sent


def test_another_servers_user_who_is_blocked_hears_so(alpha, ann):
    beta = alpha.link("beta")
    change(alpha, ANN, "BLOCK_USER", BOB, ann)
    ann.take()
    alpha.receive("beta", message(BOB, 1, ANN))
    assert beta.statuses() == [(1, ANN, "USER_BLOCKED")]
    assert not ann.sent


def test_a_copy_for_a_group_of_somebody_who_is_blocked_is_not_taken_either(alpha, ann, amy):
    beta = alpha.link("beta")
    change(alpha, ANN, "BLOCK_USER", BOB, ann)
    ann.take()
    for user in (ANN, AMY):
        copy = pb.UserOfGroup(user=user.to_pb(), group=CREW.to_pb())
        alpha.receive("beta", message(BOB, 1, None, userOfGroup=copy))
    assert not ann.sent
    assert amy.snowflakes() == [1]
    assert beta.statuses() == [(1, ANN, "USER_BLOCKED")]


def test_who_is_unblocked_is_heard_again(alpha, ann, amy):
    change(alpha, AMY, "BLOCK_USER", ANN, amy)
    change(alpha, AMY, "UNBLOCK_USER", ANN, amy)
    amy.take()
    alpha.send(ANN, 1, AMY)
    assert amy.snowflakes() == [1]
    assert not ann.sent
    assert alpha.engine.blocks._blocked == {}


def test_blocking_outlives_the_process(alpha, ann, amy):
    change(alpha, AMY, "BLOCK_USER", ANN, amy)
    change(alpha, AMY, "BLOCK_USER", BOB, amy)
    change(alpha, AMY, "UNBLOCK_USER", BOB, amy)
    alpha.disk.crash()
    alpha.start()
    ann, amy = alpha.connect(ANN), alpha.connect(AMY)
    alpha.send(ANN, 1, AMY)
    assert ann.statuses() == [(1, AMY, "USER_BLOCKED")]
    change(alpha, AMY, "ASK_BLOCKED_USERS", None, amy)
    assert answers(amy) == [(1, True, ["ann@alpha"])]


@pytest.mark.parametrize("name", ["BLOCK_USER", "UNBLOCK_USER"])
def test_a_change_is_answered_and_made_when_it_is_on_disk_and_not_where_it_cannot_be_written(name):
    alpha = DurableNode("alpha")
    amy = alpha.connect(AMY)
    before = name == "UNBLOCK_USER"
    if before:
        change(alpha, AMY, "BLOCK_USER", ANN, amy)
    alpha.disk.commit_all()
    amy.take()
    for is_written in (False, True):
        change(alpha, AMY, name, ANN, amy)
        assert answers(amy) == []
        assert alpha.engine.blocks.blocks(AMY, ANN) == before
        if is_written:
            alpha.disk.commit_all()
        else:
            alpha.disk.fail()
        after = before != is_written
        assert answers(amy) == [(1, is_written, ["ann@alpha"] if after else [])]
        assert alpha.engine.blocks.blocks(AMY, ANN) == after


@pytest.mark.parametrize("name", ["BLOCK_USER", "UNBLOCK_USER"])
@pytest.mark.parametrize("other", [None, User("ann", ""), User("", "alpha")])
def test_somebody_must_be_named(alpha, amy, name, other):
    with pytest.raises(UnexpectedMessage) as refused:
        change(alpha, AMY, name, other, amy)
    assert refused.value.reason == "no_recipient"
    assert not amy.sent


def test_answers_that_are_kept_follow_each_change_and_have_a_bound(monkeypatch):
    kept = Blocks()
    for each in (BOB, User("eve", "beta")):
        kept.add("ann", each)
        kept.add("amy", each)
        told = pb.BlockedUsers.FromString(kept.encoded(ANN))
        assert [User.of(user) for user in told.users] == list(kept.of(ANN))
    assert kept.encoded(ANN) is kept.encoded(ANN)
    kept.remove("ann", BOB)
    told = pb.BlockedUsers.FromString(kept.encoded(ANN))
    assert [User.of(user) for user in told.users] == [User("eve", "beta")]
    monkeypatch.setattr(blocks, "ENCODED_BYTES", len(kept.encoded(AMY)) + 1)
    assert kept.encoded(User("amy", "alpha")) is kept.encoded(AMY)
    kept.remove("ann", User("eve", "beta"))
    kept.add("ann", BOB)
    kept.encoded(ANN)
    assert list(kept._encoded) == ["ann"]
