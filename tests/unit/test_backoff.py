"""Full jitter: every delay from nothing to a ceiling that doubles."""

import random

import pytest

from parley.shared.runtime.backoff import Backoff


def ceilings(backoff, count):
    return [backoff.next_delay() for _ in range(count)]


@pytest.fixture
def highest():
    """A backoff that always draws the most."""
    return Backoff(0.2, 15.0, uniform=lambda _low, high: high)


def test_ceilings_double_up_to_the_maximum(highest):
    assert ceilings(highest, 9) == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0])


def test_a_reset_begins_anew(highest):
    ceilings(highest, 5)
    highest.reset()
    assert ceilings(highest, 2) == pytest.approx([0.2, 0.4])


def test_the_lowest_delay_is_none_at_all():
    lowest = Backoff(0.2, 15.0, uniform=lambda low, _high: low)
    assert ceilings(lowest, 5) == [0.0] * 5


def test_each_delay_is_drawn():
    drawn = []
    backoff = Backoff(1.0, 3.0, uniform=lambda low, high: drawn.append((low, high)) or 0.0)
    ceilings(backoff, 3)
    assert drawn == [(0.0, 1.0), (0.0, 2.0), (0.0, 3.0)]


def test_it_never_overflows(highest):
    assert ceilings(highest, 5000)[-1] == 15.0


def test_by_itself_it_draws_within_the_ceiling_and_spreads():
    random.seed(1)
    delays = ceilings(Backoff(8.0, 8.0), 400)
    assert all(0.0 <= delay <= 8.0 for delay in delays)
    assert min(delays) < 1.0
    assert max(delays) > 7.0


def test_a_minimum_above_the_maximum_stays_below_the_maximum():
    assert Backoff(5.0, 1.0, uniform=lambda _low, high: high).next_delay() == 1.0
