"""Which accepted connection goes, where there are too many: connections.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.shared.limits.connections import (
    MOMENT,
    OF_TURN,
    OF_USER,
    QUIET,
    UNCONNECTED,
    UNCONNECTED_BURST,
    Connections,
    who_goes,
)


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


def test_of_many_that_came_together_a_few_go_in_each_turn(connections):
    """A thousand that are closed in one turn of the loop would keep everybody for a tenth of a second."""
    fill(connections, UNCONNECTED + 2 * OF_TURN + 3)
    fill(connections, UNCONNECTED + 1, "10.0.0.2", first=1000)
    for went in (list(range(OF_TURN)), list(range(OF_TURN, 2 * OF_TURN))):
        assert connections.next_look() == MOMENT
        assert connections.silent(MOMENT) == went
        for each in went:
            connections.went(each)
    last = connections.silent(MOMENT)
    assert last == [2 * OF_TURN, 2 * OF_TURN + 1, 2 * OF_TURN + 2, 1000]
    for each in last:
        connections.went(each)
    assert connections.next_look() is None


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
    fill(connections, UNCONNECTED_BURST)
    assert not connections.too_many("10.0.0.1")
    fill(connections, 1, first=UNCONNECTED_BURST)
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


def goes(clients, newcomer, now):
    """Of clients that are an address and when they were heard."""
    return who_goes(clients, newcomer, lambda each: each[0], lambda each: each[1], now)


def test_of_a_users_clients_the_one_goes_that_was_not_heard_for_longest_if_that_is_long():
    phone, laptop, *_ = clients = [("home", 5.0), ("home", 3.0), ("home", 4.0)]
    assert goes(clients, "home", 3.0 + QUIET) == laptop
    assert goes(clients, "home", 2.9 + QUIET) is None
    assert goes([phone, ("train", 2.0), ("office", 1.0)], "hotel", 1.0 + QUIET) == ("office", 1.0)


def test_whoever_says_to_be_the_user_from_one_address_keeps_nobody_out_at_another():
    strangers = [("elsewhere", 99.0 + number) for number in range(OF_USER)]
    assert goes(strangers, "home", 200.0) == strangers[-1]
    assert goes([("home", 1.0), *strangers[1:]], "train", 200.0) == strangers[-1]
    half = OF_USER // 2
    assert goes([("home", 190.0)] * half + strangers[half:], "home", 200.0) is None  # as many as they have


def test_whoever_says_to_be_the_user_from_one_address_pushes_off_no_silent_client_at_another():
    clients = [("home", 1.0)] + [("elsewhere", 199.0)] * (OF_USER - 1)
    assert goes(clients, "elsewhere", 200.0) is None
    clients[5] = ("elsewhere", 100.0)
    assert goes(clients, "elsewhere", 200.0) == ("elsewhere", 100.0)
