"""Clocks that are far off are put right where their datagrams come in."""

import math

import pytest

from parley.shared.soft_state.clock_offsets import Clocks
from parley.shared.soft_state.lifetimes import MAX_SKEW

NOW = 1_790_000_000.0


@pytest.fixture
def clocks():
    return Clocks()


@pytest.mark.parametrize("off", [0.0, -300.0, 300.0, -MAX_SKEW, MAX_SKEW])
def test_a_clock_that_is_near_is_left_as_it_is(clocks, off):
    assert clocks.ahead("a", NOW + off, NOW) == 0.0
    assert len(clocks) == 0


@pytest.mark.parametrize("off", [-NOW, -86400.0, -MAX_SKEW - 1, MAX_SKEW + 1, 30 * 86400.0, 1e12])
def test_one_that_is_far_off_is_put_right_and_keeps_its_order(clocks, off):
    first, second = NOW + off, NOW + off + 1.5
    assert first + clocks.ahead("a", first, NOW) == pytest.approx(NOW)
    assert second + clocks.ahead("a", second, NOW + 7) == pytest.approx(NOW + 1.5)
    assert clocks.ahead("b", NOW, NOW) == 0.0


def test_one_that_is_set_is_believed_again(clocks):
    clocks.ahead("a", 60.0, NOW)
    assert clocks.ahead("a", NOW + 1, NOW + 1) == 0.0
    assert len(clocks) == 0


def test_what_is_old_is_no_sign_of_a_clock_that_is_off(clocks):
    """A place that is told again after half an hour, to a server that was started anew."""
    assert clocks.ahead("a", NOW - 1800, NOW, age=1800.0) == 0.0
    assert 60.0 + clocks.ahead("b", 60.0, NOW, age=1800.0) == pytest.approx(NOW - 1800)


@pytest.mark.parametrize(
    ("timestamp", "age"), [(math.nan, 0), (math.inf, 0), (1.0, math.nan), (1.0, -1), (1.0, math.inf)]
)
def test_what_is_no_time_is_none(clocks, timestamp, age):
    assert math.isnan(clocks.ahead("a", timestamp, NOW, age))
    assert len(clocks) == 0


def test_who_is_gone_is_forgotten(clocks):
    clocks.ahead("a", 60.0, NOW)
    clocks.forget("a")
    assert len(clocks) == 0
