"""When a server that refuses our dials is dialled again."""

import itertools
import random

from parley.shared.peering.refusals import AFTER_ITS_OWN, FIRST, MOST, ONCE_MORE, Refusals


def test_each_refused_dial_doubles_the_wait():
    refusals, now, waits = Refusals(), 100.0, []
    for _ in range(8):
        refusals.refused(now)
        waits.append(refusals.until - now)
        now = refusals.until
    assert waits == [3.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


def test_a_server_that_dials_us_is_dialled_soon_and_waited_for_briefly_again():
    refusals = Refusals()
    for now in (0.0, 3.0, 13.0, 33.0):
        refusals.refused(now)
    refusals.has_dialled(60.0)
    assert refusals.until == 60.0 + AFTER_ITS_OWN
    refusals.refused(60.2)
    assert refusals.until == 60.2 + ONCE_MORE


def test_one_that_was_linked_is_dialled_at_once():
    refusals = Refusals()
    refusals.refused(0.0)
    refusals.accepted()
    assert refusals.until == 0.0
    refusals.refused(1.0)
    assert refusals.until == 1.0 + ONCE_MORE


def test_no_more_than_two_dials_are_refused_in_ten_seconds_however_often_it_dials_us():
    refusals, now, refused, seed = Refusals(), 0.0, [], random.Random(5)
    while now < 4000.0:
        now += seed.choice((0.05, 0.3, 2.0, 11.0))
        if seed.random() < 0.5:
            refusals.has_dialled(now)
        if now >= refusals.until:
            refusals.refused(now)
            refused.append(now)
    assert len(refused) > 20
    assert all(third - first >= FIRST for first, third in zip(refused, refused[MOST:], strict=False))
    assert any(later - earlier < 1.0 for earlier, later in itertools.pairwise(refused))
