"""The messages by which a duplicate is recognised."""

import tracemalloc

from client.seen import REMEMBERED, Seen
from shared.addresses import User

BOB = User("bob", "beta")


def test_a_message_is_known_by_its_author_and_its_number():
    seen = Seen()
    seen.add(BOB, 1)
    assert seen.has(BOB, 1)
    assert not seen.has(BOB, 2)
    assert not seen.has(User("bob", "gamma"), 1)
    assert not seen.has(User("bobb", "eta"), 1)


def test_no_duplicate_is_recognised_by_0():
    seen = Seen()
    seen.add(BOB, 0)
    assert not seen.has(BOB, 0)
    assert len(seen) == 0


def test_the_oldest_is_forgotten_first():
    seen = Seen(3)
    for number in (1, 2, 1, 3, 4):
        seen.add(BOB, number)
    assert [seen.has(BOB, number) for number in (1, 2, 3, 4)] == [False, True, True, True]


def test_a_large_mailbox_is_remembered_in_little_memory():
    """The figure in client/seen.py."""
    tracemalloc.start()
    try:
        seen = Seen()
        for number in range(1, REMEMBERED + 1000):
            seen.add(User("bob", "beta"), number << 22)
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(seen) == REMEMBERED >= 100_000
    assert not seen.has(BOB, 1 << 22)
    assert 50 < size / REMEMBERED < 130  # 99 on CPython 3.11
