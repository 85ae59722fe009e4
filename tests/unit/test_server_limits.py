"""How many servers and places the directory takes in, whoever announces them."""

import pytest

from parley.services.discovery.announcing.server_limits import GATEWAY, NEW_FROM_ONE, Limits
from parley.services.discovery.directory.directory import HOSTS_EACH, PORTS_EACH, SETTLED, Directory, Hearing
from parley.shared.addresses import Endpoint, Mark, Server

EXPIRY, INTERVAL = 60.0, 5.0
LIMITS = Limits(servers=100, from_one=10)
ATTACKER = "10.0.0.66"


@pytest.fixture
def directory():
    return Directory(EXPIRY, INTERVAL, LIMITS)


def hear(directory, server_id, host=ATTACKER, now=0.0, *, port=6666, features=("MESSAGES",), **how):
    server = Server(server_id, {feature: (Endpoint(host, port),) for feature in features})
    return directory.heard(server, now, relayed=how.pop("relayed", False), source=host, **how)


def names(directory):
    return {entry.server_id for entry in directory.entries}


def test_one_address_announces_no_more_than_its_share(directory):
    came = [hear(directory, f"fake{n}") for n in range(5000)]
    assert came.count(Hearing.NEW) == len(directory) == LIMITS.from_one
    assert came[-1] is Hearing.REFUSED
    assert hear(directory, "honest", "10.0.0.2") is Hearing.NEW


def test_a_gateway_announces_more_because_it_relays(directory):
    for n in range(5000):
        hear(directory, f"fake{n}", relayed=True)
    assert len(directory) == GATEWAY * LIMITS.from_one


def test_an_honest_server_at_the_same_address_comes_in_once_those_before_came_to_nothing(directory):
    for n in range(50):
        hear(directory, f"fake{n}")
    assert hear(directory, "honest", now=SETTLED - 1) is Hearing.REFUSED
    assert hear(directory, "honest", now=SETTLED + 1 / NEW_FROM_ONE) is Hearing.NEW
    assert len(directory) == LIMITS.from_one
    directory.take_difference()


def test_who_answers_us_takes_the_place_of_one_that_only_claims_to_be_there(directory):
    for n in range(LIMITS.from_one - 1):
        hear(directory, f"fake{n}")
    hear(directory, "answering", answered=True)
    directory.take_difference()
    assert hear(directory, "honest", now=10.0, answered=True) is Hearing.NEW
    difference = directory.take_difference()
    assert [s.server_id for s in difference.servers] == ["honest"]
    assert difference.gone == ["fake0"]
    assert "answering" in directory


def test_a_linked_or_configured_server_never_makes_room(directory):
    for n in range(LIMITS.from_one):
        hear(directory, f"peer{n}", pinned=n % 2 == 0)
    directory.set_linked("chat", [f"peer{n}" for n in range(1, LIMITS.from_one, 2)])
    assert hear(directory, "fake", now=1000.0, answered=True) is Hearing.REFUSED
    assert len(directory) == LIMITS.from_one


def test_in_all_there_are_no_more_than_the_limit_and_newcomers_are_not_shut_out(directory):
    for n in range(1000):
        hear(directory, f"fake{n}", f"10.1.{n // 250}.{n % 250}")
    assert len(directory) == LIMITS.servers
    assert hear(directory, "claiming", "10.0.0.2") is Hearing.REFUSED
    assert hear(directory, "honest", "10.0.0.3", answered=True) is Hearing.NEW
    assert hear(directory, "patient", "10.0.0.4", now=SETTLED) is Hearing.NEW
    assert len(directory) == LIMITS.servers


def test_slow_floods_replace_few_servers_a_minute(directory):
    """Whoever stays below each rate for an hour has had no more new names than that rate."""
    came = sum(hear(directory, f"slow{n}", now=n / 2) is Hearing.NEW for n in range(7200))
    assert came <= LIMITS.from_one + 3600 * NEW_FROM_ONE + 1


def test_names_that_one_address_claims_do_not_slow_our_asking_down(directory):
    for n in range(LIMITS.from_one):
        hear(directory, f"fake{n}")
    assert directory.interval == INTERVAL


# Places --------------------------------------------------------------------------------------------------


def hosts(directory, server_id="beta"):
    return [e.host for s in directory.servers if s.server_id == server_id for e in s.endpoints("MESSAGES")]


def test_one_server_at_five_thousand_ports_has_few(directory):
    for port in range(1, 5001):
        hear(directory, "beta", port=port)
    (server,) = directory.servers
    assert len(server.endpoints("MESSAGES")) == PORTS_EACH


def test_a_linked_servers_places_stay_whoever_takes_its_name(directory):
    hear(directory, "beta", "10.0.0.2", answered=True)
    directory.set_linked("chat", ["beta"])
    for n in range(3, 250):
        hear(directory, "beta", f"10.0.0.{n}", now=100.0, answered=True)
    assert hosts(directory)[0] == "10.0.0.2"
    assert len(hosts(directory)) == HOSTS_EACH


def test_where_a_server_answers_comes_before_where_it_is_claimed_to_be(directory):
    hear(directory, "beta", ATTACKER)
    hear(directory, "beta", "10.0.0.2", answered=True)
    assert hosts(directory) == ["10.0.0.2", ATTACKER]
    assert [e.answered for s in directory.servers for e in s.endpoints("MESSAGES")] == [True, False]


def test_a_server_that_moved_is_heard_though_its_name_was_claimed_everywhere(directory):
    hear(directory, "beta", "10.0.0.2", answered=True)
    for n in range(3, 250):
        hear(directory, "beta", f"10.0.0.{n}")
    assert hear(directory, "beta", "10.9.9.9", answered=True) is Hearing.CHANGED
    assert hosts(directory)[:2] == ["10.0.0.2", "10.9.9.9"]


def test_a_name_that_an_attacker_had_first_is_found_where_it_is_in_a_while(directory):
    for n in range(3, 250):
        hear(directory, "beta", f"10.0.0.{n}", answered=True)
    assert hear(directory, "beta", "10.9.9.9", now=1.0, answered=True) is Hearing.REFUSED
    assert hear(directory, "beta", "10.9.9.9", now=SETTLED, answered=True) is Hearing.CHANGED


def test_two_hundred_features_are_not_two_hundred_places(directory):
    for n in range(20):
        hear(directory, "beta", features=[f"F{n}-{m}" for m in range(16)])
    (entry,) = directory.entries
    assert len(entry.endpoints) <= 16


# Differences ------------------------------------------------------------------------------------------------


def test_only_what_changed_is_told(directory):
    for name in ("beta", "gamma"):
        hear(directory, name, f"10.0.0.{len(name)}")
    assert [s.server_id for s in directory.take_difference().servers] == ["beta", "gamma"]
    hear(directory, "gamma", "10.0.0.5", now=1.0)
    assert directory.take_difference().servers == ()
    hear(directory, "gamma", "10.0.0.9", now=2.0)
    directory.expire(2.0)
    (changed,) = directory.take_difference().servers
    assert changed.server_id == "gamma"
    directory.expire(2.0 + EXPIRY)
    assert sorted(directory.take_difference().gone) == ["beta", "gamma"]


def test_who_was_found_without_a_mark_and_has_one_now_is_told_again(directory):
    hear(directory, "beta", "10.0.0.2")
    directory.take_difference()
    marked = Server("beta", {"MESSAGES": (Endpoint("10.0.0.2", 6666),)}, Mark("1.0", "abc", 1))
    assert directory.heard(marked, 1.0, relayed=False) is Hearing.CHANGED
    (told,) = directory.take_difference().servers
    assert told.mark == Mark("1.0", "abc", 1)
    assert directory.heard(marked, 2.0, relayed=False) is Hearing.SAME


def test_a_server_that_offers_nothing_is_told_once(directory):
    assert hear(directory, "beta", features=()) is Hearing.NEW
    assert hear(directory, "beta", now=1.0, features=()) is Hearing.SAME


def test_where_linked_servers_are_is_known(directory):
    hear(directory, "beta", "10.0.0.2")
    assert not directory.is_useful("10.0.0.2")
    directory.set_linked("chat", ["beta", "unconfirmed"])
    assert directory.is_useful("10.0.0.2")
    directory.set_linked("chat", [])
    assert not directory.is_useful("10.0.0.2")
