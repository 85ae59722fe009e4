"""Which of two links between the same two servers stays: the whole table."""

import itertools

import pytest

from parley.shared.peering.tie_break import Standing, incoming_stays, smaller

SMALLER, GREATER = "alpha", "beta"
YES, NO = True, False

# Who dialled what stands, is it open, is it silent, the same instance: does the new one stay when its
# dialler is the smaller server, when it is the greater?
TABLE = [
    # by us  open silent same | smaller  greater
    (YES, YES, NO, YES, YES, NO),  # the tie-break, ours answered already
    (YES, YES, YES, YES, YES, YES),  # ours may be half-open
    (YES, YES, NO, NO, YES, YES),  # ours leads to a process that is gone
    (YES, YES, YES, NO, YES, YES),
    (YES, NO, NO, NO, YES, NO),  # the tie-break: both CONNECTs are on their way, no instance is known yet
    (YES, NO, YES, NO, YES, NO),
    (YES, NO, NO, YES, YES, NO),
    (YES, NO, YES, YES, YES, NO),
    (NO, YES, NO, YES, YES, YES),  # its dialler dials only when it has lost it
    (NO, YES, YES, YES, YES, YES),
    (NO, YES, NO, NO, YES, YES),
    (NO, YES, YES, NO, YES, YES),
]


@pytest.mark.parametrize(("by_us", "is_open", "silent", "same", "if_smaller", "if_greater"), TABLE)
def test_a_new_link_against_what_stands(by_us, is_open, silent, same, if_smaller, if_greater):
    standing = Standing(dialled_by_us=by_us, is_open=is_open, is_silent=silent, same_instance=same)
    assert incoming_stays(GREATER, SMALLER, standing) is if_smaller
    assert incoming_stays(SMALLER, GREATER, standing) is if_greater


def test_the_table_has_every_standing_there_is():
    """A link that is not open is a dial of ours."""
    every = {case for case in itertools.product((YES, NO), repeat=4) if case[1] or case[0]}
    assert {row[:4] for row in TABLE} == every


@pytest.mark.parametrize("by_us", [YES, NO])
@pytest.mark.parametrize(("own", "peer"), [(SMALLER, GREATER), (GREATER, SMALLER)])
@pytest.mark.parametrize(("silent", "stays"), [(NO, NO), (YES, YES)])
def test_another_server_of_a_name_that_is_linked_waits_until_that_one_is_silent(by_us, own, peer, silent, stays):
    standing = Standing(dialled_by_us=by_us, is_open=True, is_silent=silent, same_instance=False, is_elsewhere=True)
    assert incoming_stays(own, peer, standing) is stays


@pytest.mark.parametrize(("own", "peer"), [(SMALLER, GREATER), (GREATER, SMALLER)])
def test_without_anything_standing_a_new_link_stays(own, peer):
    assert incoming_stays(own, peer, None)


@pytest.mark.parametrize("is_open", [True, False])
def test_of_two_simultaneous_dials_both_sides_keep_the_same(is_open):
    """Each side judges the other's dial against its own: exactly one of the two is refused."""
    own_dial = Standing(dialled_by_us=True, is_open=is_open, is_silent=False, same_instance=True)
    assert incoming_stays(SMALLER, GREATER, own_dial) != incoming_stays(GREATER, SMALLER, own_dial)


ORDERED = ["", "10", "9", "9a", "A", "B", "BETA", "a", "alpha", "alpha2", "b", "z", "ä", "€", "￿", "𐀀"]
"""Byte order: not a person's, not a number's, and not UTF-16's either (the last two)."""


@pytest.mark.parametrize(("one", "other"), [*itertools.product(ORDERED, repeat=2)])
def test_names_are_compared_in_byte_order(one, other):
    assert smaller(one, other) is (ORDERED.index(one) < ORDERED.index(other))
