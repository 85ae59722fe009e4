"""Which accepted connection goes, where there are too many: connections.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.connections import AT_ONCE, MOMENT, QUIET, UNCONNECTED, Connections, quietest


@pytest.fixture
def connections():
    return Connections()


def fill(connections, count, address="10.0.0.1", now=0.0, first=0):
    for number in range(first, first + count):
        connections.came(number, address, now)


def test_those_who_say_nothing_have_a_moment_and_then_the_oldest_go(connections):
    fill(connections, UNCONNECTED + 3)
    assert connections.silent(MOMENT / 2) == []
    assert connections.next_look() == MOMENT
    assert connections.silent(MOMENT) == [0, 1, 2]


def test_whoever_has_said_who_they_are_is_not_counted(connections):
    fill(connections, 1000)
    for number in range(1000):
        connections.connected(number)
    assert connections.silent(10.0) == []
    assert connections.next_look() is None
    assert (len(connections), connections.unconnected) == (1000, 0)


def test_another_address_has_its_own_share(connections):
    fill(connections, UNCONNECTED, "10.0.0.1")
    fill(connections, UNCONNECTED, "10.0.0.2", first=1000)
    assert connections.silent(10.0) == []
    assert connections.next_look() is None


def test_more_than_the_system_holds_are_not_waited_for(connections):
    fill(connections, AT_ONCE)
    assert not connections.too_many("10.0.0.1")
    fill(connections, 1, first=AT_ONCE)
    assert connections.too_many("10.0.0.1")
    assert not connections.too_many("10.0.0.2")


def test_the_largest_address_loses_its_newest_that_may_go(connections):
    fill(connections, 3, "10.0.0.1")
    fill(connections, 5, "10.0.0.2", first=10)
    assert connections.newest_of_the_largest(lambda _: True) == 14
    assert connections.newest_of_the_largest(lambda each: each < 12) == 11
    assert connections.newest_of_the_largest(lambda _: False) is None
    for number in (14, 13, 12):
        connections.went(number)
    assert connections.newest_of_the_largest(lambda _: True) == 2


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(["came", "connected", "went"]), st.integers(0, 9)), max_size=60))
def test_the_counts_are_true_whatever_comes_and_goes(story):
    connections, there, waiting = Connections(), {}, set()
    for what, number in story:
        if what == "came" and number not in there:
            connections.came(number, f"10.0.0.{number % 3}", 0.0)
            there[number] = number % 3
            waiting.add(number)
        elif what == "connected":
            connections.connected(number)
            waiting.discard(number)
        elif what == "went":
            connections.went(number)
            there.pop(number, None)
            waiting.discard(number)
        assert len(connections) == len(there)
        assert connections.unconnected == len(waiting)
        largest = connections.newest_of_the_largest(lambda _: True)
        counts = [list(there.values()).count(address) for address in range(3)]
        assert largest is None if not there else counts[there[largest]] == max(counts)
    for number in list(there):
        connections.went(number)
    assert not connections._of
    assert not connections._unconnected
    assert not connections._by_count


def test_of_a_users_clients_the_one_goes_that_was_not_heard_for_longest_if_that_is_long():
    heard = {"phone": 5.0, "laptop": 3.0, "tablet": 4.0}
    assert quietest(heard, heard.__getitem__, 3.0 + QUIET) == "laptop"
    assert quietest(heard, heard.__getitem__, 2.9 + QUIET) is None
