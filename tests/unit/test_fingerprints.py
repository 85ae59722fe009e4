"""By what messages on disk are recognised."""

import random
from array import array

import pytest

from services.chat import fingerprints, rows
from services.chat.fingerprints import Fingerprints, fingerprint, rest


def test_what_was_added_is_there_and_nothing_else():
    numbers = Fingerprints()
    assert 0 not in numbers
    for number in (5, -5, 2**63 - 1, -(2**63)):
        numbers.add(number)
    assert all(number in numbers for number in (5, -5, 2**63 - 1, -(2**63)))
    assert 4 not in numbers
    assert len(numbers) == 4


@pytest.mark.parametrize("new", [1, 3, 1000])
def test_what_was_sorted_away_is_still_there(monkeypatch, new):
    monkeypatch.setattr(fingerprints, "NEW", new)
    chosen = random.Random(1).sample(range(-(2**61), 2**61), 100)
    numbers = Fingerprints()
    for number in chosen:
        numbers.add(number)
    assert all(number in numbers for number in chosen)
    assert not any(number + 1 in numbers for number in chosen)


def test_renewing_replaces_what_was_there_at_the_mark_and_nothing_that_came_since():
    numbers = Fingerprints()
    numbers.renew(0, array("q", [1, 2]))
    numbers.add(3)
    mark = numbers.mark()
    numbers.add(4)
    numbers.mark()
    numbers.add(5)
    numbers.renew(mark, array("q", [2, 3]))
    assert [n for n in range(7) if n in numbers] == [2, 3, 4, 5]
    assert len(numbers) == 4


def test_a_fingerprint_is_half_a_key_and_sqlite_has_room_for_it():
    key = bytes(range(240, 256))
    assert fingerprint(key).to_bytes(8, "little", signed=True) + rest(key).to_bytes(8, "little", signed=True) == key
    assert rows.key(*rows.halves(key)) == key
    assert rows.key(*rows.halves(b"")) == b""
