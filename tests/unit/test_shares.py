"""What of a table one origin may have, and all."""

from parley.shared.limits.shares import Shares


def test_one_origin_leaves_room_for_others_and_all_of_it_has_an_end():
    shares = Shares(10, 0.5)
    for origin in ("mal", "ann"):
        for _ in range(5):
            assert shares.has_room(origin)
            shares.add(origin)
        assert not shares.has_room(origin)
    assert not shares.has_room("bob")
    assert len(shares) == 10
    shares.remove("mal")
    assert shares.has_room("mal")
    assert shares.has_room("bob")


def test_nothing_is_held_of_an_origin_that_has_nothing_any_more():
    shares = Shares(10, 0.5)
    shares.add("ann")
    shares.remove("ann")
    assert len(shares) == 0
    assert not shares._counts


def test_a_small_table_has_room_for_one():
    assert Shares(1, 0.5).has_room("ann")
