"""Which datagrams are looked at, and which requests are answered."""

import pytest

from parley.services.discovery.announcing.answering import (
    ALL_BURST,
    CLAIMS_BURST,
    FAR_BURST,
    FAR_EVERY,
    FAR_RATE,
    NEAR_BURST,
    NEAR_RATE,
    PADDED_RATE,
    RELAYING,
    Answering,
    Request,
    returnable,
)
from parley.shared.discovery.nonces import LONGEST


@pytest.fixture
def answering():
    return Answering(0.0)


def admits(answering, host="10.0.0.9", now=0.0, *, near=True, gateway=False, known=False):
    return answering.admits(host, now, is_near=near, is_gateway=gateway, is_known=known)


def request(host="203.0.113.1", size=19, *, near=False, port=53):
    return Request((host, port), "", b"", size, near)


def test_a_flood_from_one_address_costs_nobody_else_anything(answering):
    taken = sum(admits(answering) for _ in range(10_000))
    assert taken == NEAR_BURST
    assert admits(answering, "10.0.0.10")
    assert sum(admits(answering, now=1.0) for _ in range(1000)) == NEAR_RATE


def test_a_gateway_stands_for_many(answering):
    assert sum(admits(answering, gateway=True) for _ in range(10_000)) == NEAR_BURST * RELAYING


def test_a_flood_from_many_addresses_stops_no_server_that_is_known(answering):
    strangers = sum(admits(answering, f"10.{n >> 8}.{n & 255}.1") for n in range(20_000))
    assert strangers == ALL_BURST
    assert not admits(answering, "10.0.0.77")
    assert admits(answering, "10.0.0.77", known=True)


def test_claims_of_strangers_have_a_rate_of_their_own(answering):
    assert sum(answering.admits_claim(0.0, is_known=False) for _ in range(5000)) == CLAIMS_BURST
    assert answering.admits_claim(0.0, is_known=True)


def test_on_our_networks_everyone_is_answered(answering):
    assert all(answering.may_answer(request("10.0.0.9", near=True), 1024, 0.0) for _ in range(1000))


def test_a_source_elsewhere_gets_one_answer_to_short_requests_in_a_while(answering):
    assert answering.may_answer(request(), 100, 0.0)
    assert not any(answering.may_answer(request(), 100, FAR_EVERY - 0.1) for _ in range(100))
    assert answering.may_answer(request(), 100, FAR_EVERY)


def test_sources_of_one_address_elsewhere_get_few_answers_together(answering):
    assert answering.may_answer(request(), 100, 0.0)
    answered = [answering.may_answer(request(port=port), 100, 0.0) for port in range(100)]
    assert answered.count(True) == FAR_BURST - 1, "two people behind one address begin in the same moment"
    assert answering.may_answer(request(port=101), 100, FAR_EVERY)
    assert not answering.may_answer(request(port=102), 100, FAR_EVERY)


def test_short_requests_from_everywhere_get_few_answers_together(answering):
    askers = [request(f"198.51.{n // 250}.{n % 250}") for n in range(1000)]
    assert sum(answering.may_answer(each, 100, 0.0) for each in askers) == FAR_RATE


def test_a_request_as_long_as_its_answer_is_answered_though_short_ones_flood_us(answering):
    for n in range(1000):
        answering.may_answer(request(f"198.51.{n // 250}.{n % 250}"), 100, 0.0)
    assert answering.may_answer(request(size=1024), 1024, 0.0)
    assert not answering.may_answer(request(size=1024), 1025, 0.0)
    assert sum(answering.may_answer(request(size=1024), 1024, 0.0) for _ in range(1000)) == PADDED_RATE - 1


def test_a_request_heard_twice_is_answered_once(answering):
    """By both broadcasts of a wire; existing programs have no nonce, and may ask as they do."""
    asker = ("10.0.0.9", 9999)
    assert not answering.is_repeated(asker, b"one", 0.0)
    assert answering.is_repeated(asker, b"one", 0.1)
    assert not answering.is_repeated(asker, b"two", 0.1)
    assert not answering.is_repeated(("10.0.0.9", 40000), b"one", 0.1)
    assert [answering.is_repeated(asker, b"", 0.1) for _ in range(3)] == [False] * 3


def test_a_nonce_that_would_fill_the_datagram_is_not_returned():
    assert returnable(b"n" * LONGEST) == b"n" * LONGEST
    assert returnable(b"n" * (LONGEST + 1)) == b""


def test_all_announcements_in_answer_together_may_be_as_long_as_the_request():
    assert request(size=900).limit == 900
    assert request(size=19, near=True).limit == 0
