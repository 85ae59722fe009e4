"""A queue that origins share: its places, and whose turn it is."""

import random
from collections import Counter

from parley.shared.limits.queues import SharedQueue


def taken(queue):
    """All that waits, in turn; each is done at once."""
    found = []
    while (each := queue.take()) is not None:
        found.append(each)
        queue.done(each[0])
    return found


def test_origins_are_served_in_turn_and_each_in_its_order():
    queue = SharedQueue(8)
    for number in range(4):
        assert queue.add("mal", number) is None
    assert queue.add("ann", 4) is None
    assert queue.add("bob", 5) is None
    assert taken(queue) == [("mal", 0), ("ann", 4), ("bob", 5), ("mal", 1), ("mal", 2), ("mal", 3)]
    assert len(queue) == 0


def test_alone_an_origin_has_all_places_and_gives_its_newest_up_to_others():
    queue = SharedQueue(4)
    assert [queue.add("mal", number) for number in range(5)] == [None, None, None, None, 4]
    assert [queue.add("ann", number) for number in (10, 11, 12)] == [3, 2, 12]
    assert [queue.add("mal", 6), queue.add("bob", 20), queue.add("eve", 30), queue.add("zoe", 40)] == [6, 1, 11, 40]
    assert taken(queue) == [("mal", 0), ("ann", 10), ("bob", 20), ("eve", 30)]


def test_what_was_taken_keeps_its_place_until_it_is_done():
    queue = SharedQueue(2)
    queue.add("mal", 0)
    queue.add("mal", 1)
    assert queue.take() == ("mal", 0)
    assert queue.add("mal", 2) == 2
    assert queue.add("ann", 3) == 1
    assert queue.add("bob", 4) == 4
    queue.done("mal")
    assert queue.add("bob", 4) is None
    assert taken(queue) == [("ann", 3), ("bob", 4)]
    assert not queue._counts


def test_who_may_not_go_yet_holds_nobody_up_and_is_next_once_it_may():
    queue = SharedQueue(4)
    for origin, number in (("mal", 5), ("ann", 1), ("mal", 6), ("ann", 2)):
        queue.add(origin, number)
    assert queue.oldest(float) == 1
    assert queue.take(lambda number: number < 5) == ("ann", 1)
    assert queue.take(lambda number: number < 9) == ("mal", 5)
    assert queue.take(lambda number: number > 9) is None
    queue.clear()
    assert queue.take() is None
    assert queue.oldest(float) is None
    assert len(queue) == 2


def test_whoever_asks_however_much_each_of_few_has_an_equal_share():
    for seed in range(50):
        chance, queue = random.Random(seed), SharedQueue(64)
        for number in range(64):
            queue.add("mal", number)
        others = [f"other{number}" for number in range(chance.randrange(1, 8))]
        for _ in range(64):
            for origin in chance.sample(others, len(others)):
                queue.add(origin, 0)
        found = Counter(origin for origin, _ in taken(queue))
        assert sum(found.values()) == 64
        assert max(found.values()) - min(found.values()) <= 1
