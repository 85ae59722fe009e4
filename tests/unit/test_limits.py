"""Rates and the names that Parley gives: limits.py, names.py."""

import pytest

from parley.shared.limits.token_buckets import Buckets, TokenBucket
from parley.shared.names import fold, why_odd


def test_a_bucket_gives_its_burst_then_its_rate():
    bucket = TokenBucket(rate=2.0, burst=3.0, now=10.0)
    assert [bucket.consume(10.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.consume(10.5)
    assert not bucket.consume(10.5)
    assert [bucket.consume(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_goes_back_gives_nothing():
    bucket = TokenBucket(rate=1.0, burst=1.0, now=10.0)
    assert bucket.consume(10.0)
    assert not bucket.consume(5.0)


def test_what_is_spent_on_credit_is_told_as_a_wait():
    bucket = TokenBucket(rate=10.0, burst=5.0, now=0.0)
    assert bucket.spend(0.0, 5.0) == 0.0
    assert bucket.spend(0.0, 20.0) == pytest.approx(2.0)
    assert bucket.is_full(2.5)


def test_the_longest_unused_key_is_forgotten_first():
    buckets = Buckets(rate=1.0, burst=1.0, keys=2)
    assert buckets.consume("a", 0.0)
    assert buckets.consume("b", 0.0)
    assert not buckets.consume("a", 0.0)
    assert buckets.consume("c", 0.0)  # b goes
    assert not buckets.consume("a", 0.0)
    assert len(buckets) == 2


@pytest.mark.parametrize("name", ["alice", "Zoë", "李雷", "a b", "a.b-c_d", "x" * 64, "می‌خواهم", "👩‍🚀"])
def test_names_that_people_have_are_given(name):
    assert why_odd(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "",
        " a",
        "a ",
        "a\n",
        "a\x1b[31m",
        "x" * 65,
        "a@b",
        "#a",
        "e\u0301",
        "a\u200b",
        "a\u00a0b",
        "\u202ea",
        "a\u2028b",
    ],
)
def test_names_that_mislead_are_given_to_nobody(name):
    assert why_odd(name)


def test_servers_are_one_whatever_the_case_and_the_composition():
    assert fold("Alpha") == fold("ALPHA") == "alpha"
    assert fold("Zoë") == fold("Zoe\u0308")
    assert fold("straße") == fold("STRASSE")
