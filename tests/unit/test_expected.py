"""Whose status of a message to a group is missing: a table with an end."""

import pytest

from parley.services.chat.message import group_statuses
from parley.services.chat.message.group_statuses import ExpectedStatuses
from parley.shared.addresses import Group, User

ANN, BOB = User("ann", "alpha"), User("bob", "alpha")
GROUP = Group("crowd", "alpha")
MEMBERS = [User(f"m{number}", "alpha") for number in range(4)]


@pytest.fixture
def limited():
    return []


@pytest.fixture
def table(limited, monkeypatch):
    monkeypatch.setattr(group_statuses, "OF_AUTHOR", 10)
    monkeypatch.setattr(group_statuses, "MOST", 14)
    return ExpectedStatuses(lambda: limited.append(1))


def test_a_message_is_complete_with_the_last_status_and_then_takes_no_room(table):
    table.add(ANN, (1, GROUP), MEMBERS)
    assert not table.note(ANN, (1, GROUP), MEMBERS[:3])
    assert not table.note(ANN, (1, GROUP), MEMBERS[:1])
    assert not table.note(BOB, (1, GROUP), MEMBERS)
    assert len(table) == 1
    assert table.note(ANN, (1, GROUP), MEMBERS[3:])
    assert (len(table), table._by_author, table._counts) == (0, {}, {})
    assert not table.note(ANN, (1, GROUP), MEMBERS)


def test_one_that_comes_again_is_expected_once(table):
    table.add(ANN, (1, GROUP), MEMBERS)
    table.add(ANN, (1, GROUP), MEMBERS[:2])
    assert len(table) == 2
    assert table.note(ANN, (1, GROUP), MEMBERS[:2])


def test_an_author_with_too_many_has_the_oldest_forgotten_and_nobody_elses(table, limited):
    table.add(BOB, (7, GROUP), MEMBERS)
    for number in range(5):
        table.add(ANN, (number, GROUP), MEMBERS)
    assert (len(table), len(limited)) == (12, 3)
    assert not table.note(ANN, (2, GROUP), MEMBERS)
    assert table.note(ANN, (3, GROUP), MEMBERS)
    assert table.note(BOB, (7, GROUP), MEMBERS)


def test_of_all_authors_together_the_earliest_is_forgotten(table, limited):
    for number in range(20):
        table.add(User(f"u{number}", "alpha"), (1, GROUP), MEMBERS)
    assert (len(table), len(limited)) == (12, 17)
    assert table.note(User("u19", "alpha"), (1, GROUP), MEMBERS)


def test_more_members_than_an_author_may_have_are_forgotten_at_once(table, limited):
    table.add(ANN, (1, GROUP), [User(f"m{number}", "alpha") for number in range(11)])
    assert (len(table), len(limited)) == (0, 1)
