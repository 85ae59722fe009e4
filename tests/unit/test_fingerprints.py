"""By what messages on disk are recognised."""

import random
from array import array

from parley.services.chat.deduplication.stored_keys import StoredKeys, fingerprint, rest, table_of
from parley.services.chat.storage import rows


def numbers_of(seed, count):
    """So many, as of keys."""
    source = random.Random(seed)
    return [source.getrandbits(64) - (1 << 63) for _ in range(count)]


def test_what_was_added_is_there_and_nothing_else():
    numbers = StoredKeys()
    assert 0 not in numbers
    for number in (5, -5, 2**63 - 1, -(2**63)):
        numbers.add(number)
    assert all(number in numbers for number in (5, -5, 2**63 - 1, -(2**63)))
    assert 4 not in numbers
    assert len(numbers) == 4


def test_many_are_there_in_order_and_each_once():
    chosen = numbers_of(1, 20_000)
    numbers = StoredKeys()
    for number in [*chosen, *chosen[:100]]:
        numbers.add(number)
    assert all(number in numbers for number in chosen)
    assert not any(number + 1 in numbers for number in chosen)
    assert len(numbers) == len(chosen)
    assert numbers.tables == [table_of([array("q", sorted(chosen))])]


def test_no_part_is_so_large_that_anybody_waits_for_it():
    """One more is put in its place among those of its part: nothing is ever sorted as a whole."""
    numbers = StoredKeys()
    for number in numbers_of(2, 100_000):
        numbers.add(number)
    assert max(map(len, numbers.tables[0])) < 200


def test_a_table_is_made_of_several_runs():
    table = table_of([array("q", [-(2**63), -7, 5]), array("q"), array("q", [-(2**63) + 1, 6, 2**63 - 1])])
    numbers = StoredKeys()
    numbers.renew(1, table)
    assert all(number in numbers for number in (-(2**63), -(2**63) + 1, -7, 5, 6, 2**63 - 1))
    assert all(list(part) == sorted(part) for part in table)
    assert len(numbers) == 6


def test_renewing_replaces_what_was_there_at_the_mark_and_nothing_that_came_since():
    numbers = StoredKeys()
    numbers.renew(1, table_of([array("q", [1, 2])]))
    numbers.add(3)
    mark = numbers.mark()
    numbers.add(4)
    later = numbers.mark()
    numbers.add(5)
    numbers.renew(mark, table_of([array("q", [2, 3])]))
    assert [n for n in range(7) if n in numbers] == [2, 3, 4, 5]
    assert len(numbers) == 4
    numbers.renew(later, table_of([array("q", [3, 4])]))
    assert [n for n in range(7) if n in numbers] == [3, 4, 5]


def test_a_fingerprint_is_half_a_key_and_sqlite_has_room_for_it():
    key = bytes(range(240, 256))
    assert fingerprint(key).to_bytes(8, "little", signed=True) + rest(key).to_bytes(8, "little", signed=True) == key
    assert rows.key(*rows.halves(key)) == key
    assert rows.key(*rows.halves(b"")) == b""
