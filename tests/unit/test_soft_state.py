"""The core of all soft state: the newest wins, our clock ends it, and what is over is remembered for a while."""

from dataclasses import replace

import pytest

from parley.shared.addresses import User
from parley.shared.audiences import EVERYONE
from parley.shared.soft_state.soft_state import Entry, SoftState, is_news, supersedes

ANN = User("ann", "alpha")
REMEMBERED = 5.0


class Table(SoftState[Entry]):
    """Entries that are remembered for REMEMBERED seconds."""

    def ended(self, entry, now):
        self.put(replace(entry, is_over=True, due=now + REMEMBERED))


@pytest.fixture
def table():
    return Table()


def entry(due, timestamp=1.0, *, is_over=False):
    return Entry((ANN, EVERYONE), timestamp, is_over, due)


@pytest.mark.parametrize(
    ("timestamp", "is_over", "known_is_over", "is_newer"),
    [
        (2.0, False, False, True),
        (2.0, False, True, True),
        (1.0, False, False, False),
        (1.0, True, False, True),
        (1.0, True, True, False),
        (0.5, True, False, False),
    ],
)
def test_what_is_newer_counts_and_an_end_at_the_same_moment(timestamp, is_over, known_is_over, is_newer):
    assert supersedes(timestamp, is_over=is_over, known=1.0, known_is_over=known_is_over) is is_newer


def test_an_entry_is_live_then_over_then_forgotten(table):
    table.put(entry(10.0))
    assert not table.expire(9.9)
    assert [one.timestamp for one in table.live(9.9)] == [1.0]
    assert not list(table.live(10.0))
    assert table.expire(10.0)
    assert table.get(ANN, EVERYONE).is_over
    assert not is_news(table.get(ANN, EVERYONE), 1.0, is_over=False)
    assert table.next_timeout() == 10.0 + REMEMBERED
    assert not table.expire(10.0 + REMEMBERED)
    assert (len(table), table.next_timeout()) == (0, None)


def test_an_end_that_is_put_off_or_brought_forward_counts_as_it_was_said_last(table):
    table.put(entry(10.0))
    table.put(entry(20.0, 2.0))
    assert not table.expire(10.0)
    table.put(entry(12.0, 3.0))
    assert table.next_timeout() == 12.0
    assert table.expire(12.0)
    assert not table.expire(12.0 + REMEMBERED + 20.0)
    assert (len(table), table.next_timeout()) == (0, None)


def test_an_entry_that_is_forgotten_before_its_time_is_due_no_more(table):
    table.put(entry(10.0))
    table.forget(table.get(ANN, EVERYONE))
    assert not table.expire(10.0)
    assert (len(table), table.next_timeout()) == (0, None)
