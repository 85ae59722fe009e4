"""Snowflakes: unique, and increasing whatever the clock does."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.shared.wire.snowflake import FIRSTS, MAKERS, Snowflakes

NOW = 1_700_000_000.0


def parts(snowflake):
    """Milliseconds since 1970, maker, sequence."""
    return snowflake >> 22, snowflake >> 12 & 1023, snowflake & 4095


def test_it_is_made_of_time_maker_and_sequence():
    snowflakes = Snowflakes(7)
    assert parts(snowflakes.next(NOW + 0.1234)) == (1_700_000_000_123, 7, 0)
    assert parts(snowflakes.next(NOW + 0.1236)) == (1_700_000_000_123, 7, 1)
    assert parts(snowflakes.next(NOW + 0.1240)) == (1_700_000_000_124, 7, 0)


@pytest.mark.parametrize("maker", [1024, 3000, -1])
def test_a_maker_beyond_its_bits_does_not_touch_the_time(maker):
    assert parts(Snowflakes(maker).next(NOW)) == (1_700_000_000_000, maker % MAKERS, 0)


@pytest.mark.parametrize("times", [[NOW] * 20_000, [NOW - i for i in range(9000)], [NOW, NOW - 3600, NOW, NOW + 1]])
def test_they_increase_when_the_clock_stands_still_or_steps_back(times):
    snowflakes = Snowflakes(1)
    made = [snowflakes.next(time) for time in times]
    assert all(a < b for a, b in itertools.pairwise(made))
    assert {parts(snowflake)[1] for snowflake in made} == {1}


def test_a_full_sequence_borrows_the_next_millisecond():
    snowflakes = Snowflakes(1)
    made = [snowflakes.next(NOW) for _ in range(4097)]
    assert parts(made[4095]) == (1_700_000_000_000, 1, 4095)
    assert parts(made[4096]) == (1_700_000_000_001, 1, 0)


def test_after_a_step_back_the_clock_is_followed_again_once_it_has_caught_up():
    snowflakes = Snowflakes(1)
    snowflakes.next(NOW)
    snowflakes.next(NOW - 100)
    assert parts(snowflakes.next(NOW + 5)) == (1_700_000_005_000, 1, 0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 4e9) | st.sampled_from([0.0, NOW, NOW - 1]), max_size=60), st.integers(-5, 3000))
def test_they_are_64_bits_and_increase_for_any_clock(times, maker):
    snowflakes = Snowflakes(maker)
    made = [snowflakes.next(time) for time in times]
    assert all(a < b for a, b in itertools.pairwise(made))
    assert all(0 < snowflake < 2**64 for snowflake in made)
    assert {parts(snowflake)[1] for snowflake in made} <= {maker % MAKERS}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=60))
def test_several_makers_never_make_the_same(turns):
    makers = [Snowflakes(maker) for maker in (0, 1, 512, 1023)]
    made = [makers[maker].next(NOW + milliseconds / 1000) for maker, milliseconds in turns]
    assert len(set(made)) == len(made)


def test_two_of_one_maker_are_kept_apart_by_where_a_millisecond_begins():
    firsts = iter([0, 2047, 5])
    one, other = Snowflakes(7, lambda: 0), Snowflakes(7, lambda: next(firsts))
    assert one.next(NOW) == other.next(NOW)
    assert parts(other.next(NOW + 0.001)) == (1_700_000_000_001, 7, 2047)
    assert parts(other.next(NOW + 0.002)) == (1_700_000_000_002, 7, 5)
    assert FIRSTS == 2048
