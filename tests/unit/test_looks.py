"""Servers that looks at the network find are bounded, and forgotten."""

import pytest

from parley.shared.addresses import Endpoint, Server
from parley.shared.discovery.looks import Looks


def server(name, host="10.0.0.1"):
    return Server(name, {"MESSAGES": (Endpoint(host, 6666),)})


def nobody(_server_id):
    return False


@pytest.fixture
def looks():
    return Looks(most=100, from_one=10, expiry=60.0)


def test_one_address_that_makes_up_names_at_each_look_fills_its_own_share(looks):
    for number in range(50):
        looks.heard([server(f"fake{number}-{n}") for n in range(20)], nobody, float(number))
    assert len(looks) == 10
    taken, _gone = looks.heard([server("beta", "10.0.0.2")], nobody, 50.0)
    assert [each.server_id for each in taken] == ["beta"]


def test_many_addresses_fill_no_more_than_all_of_it(looks):
    looks.heard([server(f"fake{n}", f"10.0.1.{n % 250}") for n in range(1000)], nobody, 0.0)
    assert (len(looks), looks.refused) == (100, 900)


def test_who_is_neither_heard_nor_linked_is_forgotten_and_makes_room(looks):
    looks.heard([server("beta"), server("gamma", "10.0.0.2")], nobody, 0.0)
    looks.heard([], lambda name: name == "beta", 50.0)
    assert looks.heard([], lambda name: name == "beta", 61.0)[1] == ["gamma"]
    assert looks.heard([], nobody, 200.0)[1] == ["beta"]
    assert len(looks) == 0
    assert len(looks.heard([server(f"delta{n}") for n in range(20)], nobody, 201.0)[0]) == 10


def test_a_server_that_is_known_is_dealt_with_at_each_look_whatever_the_bound(looks):
    first, _gone = looks.heard([server(f"s{n}") for n in range(20)], nobody, 0.0)
    again, gone = looks.heard(first, nobody, 1.0)
    assert (again, gone) == (first, [])


def test_no_address_is_remembered_longer_than_its_servers(looks):
    for number in range(500):
        looks.heard([server(f"fake{number}", f"10.0.{number // 250}.{number % 250}")], nobody, 100.0 * number)
    assert looks.addresses == 1
