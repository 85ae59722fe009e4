"""Who is in the groups that are addressed: asked soon, again and again, and forgotten when nobody does any more."""

import pytest

from parley.shared.addresses import Group, User
from parley.shared.soft_state import group_members as members_module
from parley.shared.soft_state.group_members import FRESH, KEPT, QUESTIONS, SLACK, SOON, Members
from tests.support.sinks import group_answer as answer

ANN, BOB, CAROL = (User(name, "alpha") for name in ("ann", "bob", "carol"))
CREW = Group("crew", "beta")
FOREVER = 1e9


@pytest.fixture
def members():
    made = Members()
    made.want(ANN, CREW, FOREVER)
    return made


def ask(members, now):
    [question] = members.due(now)[0]
    return question


def test_a_group_is_asked_about_at_once_in_its_author_s_name(members):
    question = ask(members, 0.0)
    assert (Group.of(question.group), User.of(question.user)) == (CREW, ANN)
    assert members.of(ANN, CREW) == frozenset()
    assert members.answered(answer(question, ANN, BOB), 0.1) == CREW
    assert members.of(ANN, CREW) == {BOB}


def test_whoever_is_no_member_reaches_nobody(members):
    members.answered(answer(ask(members, 0.0), BOB, CAROL), 0.1)
    assert members.of(ANN, CREW) == frozenset()
    assert members.of(BOB, CREW) == {CAROL}


def test_a_group_is_asked_about_again_and_changes_are_told_once(members):
    members.answered(answer(ask(members, 0.0), ANN, BOB), 0.0)
    assert members.next_timeout() == FRESH
    assert members.due(FRESH - 0.01) == ([], [])
    again = ask(members, FRESH)
    assert members.answered(answer(again, ANN, BOB), FRESH) is None
    assert members.answered(answer(ask(members, 2 * FRESH), ANN), 2 * FRESH) == CREW
    assert members.of(ANN, CREW) == frozenset()


def test_a_new_author_is_asked_for_soon(members):
    members.answered(answer(ask(members, 0.0), ANN, BOB), 0.0)
    members.want(CAROL, CREW, FOREVER)
    assert members.next_timeout() == SOON
    assert User.of(ask(members, SOON).user) == CAROL


def test_one_who_was_refused_does_not_end_the_others_answers(members):
    members.want(BOB, CREW, FOREVER)
    first = ask(members, 0.0)
    members.answered(answer(first, reason="NOT_A_MEMBER"), 0.0)
    second = ask(members, SOON)
    assert {User.of(first.user), User.of(second.user)} == {ANN, BOB}
    members.answered(answer(second, BOB, CAROL), SOON)
    assert members.of(BOB, CREW) == {CAROL}
    assert members.of(ANN, CREW) == frozenset()


def test_a_group_of_a_server_without_groups_is_asked_about_no_more_often_than_others(members):
    members.answered(answer(ask(members, 0.0), reason="NO_GROUPS_THERE"), 0.0)
    assert members.next_timeout() == FRESH


def test_where_all_are_refused_nobody_is_reached(members):
    members.answered(answer(ask(members, 0.0), ANN, BOB), 0.0)
    assert members.answered(answer(ask(members, FRESH), reason="NOT_A_MEMBER"), FRESH) == CREW
    assert members.of(BOB, CREW) == frozenset()


@pytest.mark.parametrize("reason", ["SERVER_TIMEOUT", "SERVER_NOT_FOUND", "FAILED"])
def test_without_an_answer_the_last_one_counts_for_a_while(members, reason):
    members.answered(answer(ask(members, 0.0), ANN, BOB), 0.0)
    members.answered(answer(ask(members, FRESH), reason=reason), FRESH)
    assert members.of(ANN, CREW) == {BOB}
    _, changed = members.due(KEPT + 0.1)
    assert changed == [CREW]
    assert members.of(ANN, CREW) == frozenset()


def test_an_answer_that_nobody_waits_for_changes_nothing(members):
    question = ask(members, 0.0)
    stray = answer(question, ANN, BOB)
    stray.request = 99
    assert members.answered(stray, 0.0) is None
    members.answered(answer(question, ANN, BOB), 0.0)
    assert members.answered(answer(question, ANN, CAROL), 0.0) is None
    assert members.of(ANN, CREW) == {BOB}


def test_a_group_that_nobody_addresses_any_more_is_forgotten():
    members = Members()
    members.want(ANN, CREW, 10.0)
    ask(members, 0.0)
    assert members.due(10.0) == ([], [])
    assert members.next_timeout() is None


def test_a_new_link_asks_at_once(members):
    question = ask(members, 0.0)
    members.unanswered()
    assert members.next_timeout() < 0
    assert ask(members, 0.1).request != question.request
    assert members.answered(answer(question, ANN, BOB), 0.2) is None


def test_there_is_an_end_to_the_groups_that_are_addressed(members, monkeypatch):
    monkeypatch.setattr(members_module, "MOST_GROUPS", 3)
    assert [members.want(ANN, Group(f"g{n}", "beta"), FOREVER) for n in range(3)] == [True, True, False]
    assert members.want(BOB, CREW, FOREVER)


def test_many_groups_are_asked_about_some_at_a_time():
    members = Members()
    for number in range(QUESTIONS + 7):
        members.want(ANN, Group(f"g{number}", "beta"), FOREVER)
    assert [len(members.due(0.0)[0]) for _ in range(3)] == [QUESTIONS, 7, 0]


def test_times_that_matter_no_more_are_not_held():
    members = Members()
    for number in range(5 * SLACK):
        members.want(User(f"u{number}", "alpha"), CREW, FOREVER)
        members.answered(answer(ask(members, float(number)), ANN), float(number))
    assert len(members._due) <= SLACK + 2
    assert len(members._requests) == 0
