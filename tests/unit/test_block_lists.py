"""Whom subscribers block, as the node's chat process tells it."""

import pytest

from parley.shared.addresses import User
from parley.shared.soft_state.block_lists import HOLD, BlockLists
from parley.shared.wire.messages import pb

BOB, EVE, MAL = (User(name, "alpha") for name in ("bob", "eve", "mal"))


@pytest.fixture
def lists():
    return BlockLists()


def answer(question, *users, ok=True):
    return pb.BlockedUsers(request=question.request, users=[user.to_pb() for user in users], ok=ok)


def change(whose, user):
    return pb.ChangeBlock(of=whose.to_pb(), user=user.to_pb())


def test_until_the_first_answer_it_is_not_known_and_then_not_waited_for_any_longer(lists):
    question = lists.want(BOB, 5.0)
    assert User.of(question.of) == BOB
    assert lists.want(BOB, 6.0) is None
    assert lists.of(BOB, 5.0 + HOLD - 0.01) is None
    assert lists.of(BOB, 5.0 + HOLD) == set()
    assert lists.answered(answer(question, EVE)) == (BOB, {EVE})
    assert lists.of(BOB, 5.0) == {EVE}


def test_the_first_answer_is_told_also_where_it_names_nobody(lists):
    assert lists.answered(answer(lists.want(BOB, 0.0))) == (BOB, set())
    assert lists.of(BOB, 0.0) == set()


def test_changes_are_told_once(lists):
    lists.answered(answer(lists.want(BOB, 0.0), EVE))
    assert lists.changed(change(BOB, MAL), is_blocked=True) == (BOB, MAL)
    assert lists.changed(change(BOB, MAL), is_blocked=True) is None
    assert lists.of(BOB, 0.0) == {EVE, MAL}
    assert lists.changed(change(BOB, EVE), is_blocked=False) == (BOB, EVE)
    assert lists.of(BOB, 0.0) == {MAL}
    assert lists.changed(change(MAL, EVE), is_blocked=True) is None


def test_over_a_new_link_everything_is_asked_again_and_old_answers_count_no_more(lists):
    old = lists.want(BOB, 0.0)
    lists.answered(answer(old, EVE))
    late = lists.want(MAL, 0.0)
    first, second = lists.questions()
    assert {User.of(first.of), User.of(second.of)} == {BOB, MAL}
    assert lists.answered(answer(late, EVE)) is None
    assert lists.of(BOB, 0.0) == {EVE}  # what was said last holds meanwhile
    assert lists.answered(answer(first, EVE)) is None
    assert lists.answered(answer(second, EVE)) == (MAL, {EVE})


def test_who_is_gone_is_forgotten(lists):
    question = lists.want(BOB, 0.0)
    lists.forget(BOB)
    assert lists.answered(answer(question, EVE)) is None
    assert lists.of(BOB, 0.0) == set()
    assert len(lists) == 0


def test_an_answer_that_is_none_changes_nothing(lists):
    assert lists.answered(answer(lists.want(BOB, 0.0), EVE, ok=False)) is None
    assert lists.answered(pb.BlockedUsers(request=99, ok=True)) is None
