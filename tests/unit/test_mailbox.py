"""What waits for whom: in order, bounded, and always with room for what had been taken."""

import pytest

from services.chat.mailbox import Item, Kept, MemoryMailbox
from shared.addresses import User

ANN, BOB = User("ann", "alpha"), User("bob", "beta")


def items(*snowflakes):
    return [Item(ANN, snowflake, BOB, b"") for snowflake in snowflakes]


def numbers(waiting):
    return [item.snowflake for item in waiting]


@pytest.fixture
def mailbox():
    box = MemoryMailbox(3, 1000)
    for item in items(1, 2, 3):
        assert box.put(BOB, item) is Kept.SAFE
    return box


def test_a_mailbox_gives_what_it_has_in_the_order_in_which_it_came(mailbox):
    assert numbers(mailbox.waiting(BOB)) == [1, 2, 3]
    assert numbers([mailbox.take(BOB), mailbox.take(BOB), mailbox.take(BOB)]) == [1, 2, 3]
    assert mailbox.take(BOB) is None
    assert mailbox.is_empty(BOB)
    assert len(mailbox) == 0


def test_a_full_mailbox_takes_nothing_more_for_anyone(mailbox):
    [item] = items(4)
    assert mailbox.put("beta", item) is Kept.FULL
    assert mailbox.is_empty("beta")
    mailbox.take(BOB)
    assert mailbox.put("beta", item) is Kept.SAFE


def test_what_is_put_back_comes_first_in_its_order_and_always_finds_room(mailbox):
    mailbox.put_back(BOB, items(8, 9))
    mailbox.put_back("beta", ())
    assert numbers(mailbox.waiting(BOB)) == [8, 9, 1, 2, 3]
    assert mailbox.is_empty("beta")
    assert len(mailbox) == 5


def test_a_destination_can_be_emptied_without_touching_another(mailbox):
    mailbox.put_back(ANN, items(7))
    assert numbers(mailbox.clear(BOB)) == [1, 2, 3]
    assert mailbox.clear(BOB) == []
    assert numbers(mailbox.waiting(ANN)) == [7]
    assert len(mailbox) == 1


def test_a_mailbox_is_bounded_in_bytes_too_and_counts_what_leaves():
    mailbox = MemoryMailbox(100, 1000)
    [small, large] = Item(ANN, 1, BOB, b"x" * 600), Item(ANN, 2, BOB, b"x" * 401)
    assert mailbox.put(BOB, small) is Kept.SAFE
    assert mailbox.put(BOB, large) is Kept.FULL
    mailbox.clear(BOB)
    assert mailbox.put(BOB, large) is Kept.SAFE
