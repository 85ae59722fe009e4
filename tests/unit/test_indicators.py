"""Who is typing: newest wins, our clock ends an entry, what changed is told once."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.typing.indicators import Indicators
from shared.addresses import User
from shared.messages import pb

EXPIRY = 6.0
ANN, BOB, CAROL = (User(name, "alpha") for name in ("ann", "bob", "carol"))


def event(user=ANN, timestamp=1.0):
    return pb.TypingEvent(user=user.to_pb(), timestamp=timestamp)


@pytest.fixture
def indicators():
    return Indicators(EXPIRY)


def who(entries):
    return [entry.user for entry in entries]


def timestamps(indicators, now):
    return {entry.user: entry.timestamp for entry in indicators.newest_first(now)}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [([1.0, 2.0], 2.0), ([2.0, 1.0], 2.0), ([2.0, 2.0], 2.0), ([2.0, -5.0, 3.0, 2.5], 3.0)],
)
def test_the_newest_timestamp_of_a_user_wins(indicators, sent, kept):
    for timestamp in sent:
        assert indicators.take(event(ANN, timestamp), now=0.0) == ""
    assert timestamps(indicators, 0.0) == {ANN: kept}


def test_what_is_not_newer_changes_nothing_and_prolongs_nothing(indicators):
    indicators.take(event(ANN, 5.0), now=0.0)
    indicators.take_changes(0.0)
    for timestamp in (5.0, 4.0):
        indicators.take(event(ANN, timestamp), now=5.0)
    assert not indicators.has_changes
    assert who(indicators.newest_first(EXPIRY)) == []


@pytest.mark.parametrize("timestamp", [0.0, -1e12, 1e12])
def test_an_entry_lasts_by_our_clock_whatever_the_timestamp_says(indicators, timestamp):
    indicators.take(event(ANN, timestamp), now=100.0)
    assert who(indicators.newest_first(100.0 + EXPIRY - 0.001)) == [ANN]
    assert who(indicators.newest_first(100.0 + EXPIRY)) == []
    assert ANN not in indicators


def test_an_older_timestamp_counts_again_once_the_entry_is_gone(indicators):
    indicators.take(event(ANN, 1e12), now=0.0)
    indicators.take(event(ANN, 1.0), now=EXPIRY)
    assert timestamps(indicators, EXPIRY) == {ANN: 1.0}


def test_the_list_is_in_the_order_in_which_people_typed_last(indicators):
    for now, (user, timestamp) in enumerate([(ANN, 9.0), (BOB, 1.0), (CAROL, 5.0), (BOB, 2.0)]):
        indicators.take(event(user, timestamp), now)
    assert who(indicators.newest_first(3.0)) == [BOB, CAROL, ANN]


def test_changes_are_told_once_and_first_in_the_list(indicators):
    indicators.take(event(ANN), now=0.0)
    indicators.take(event(BOB), now=0.0)
    assert who(indicators.take_changes(0.0)) == [BOB, ANN]
    assert not indicators.has_changes
    assert indicators.take_changes(0.0) == []
    indicators.take(event(ANN, 2.0), now=1.0)
    assert who(indicators.take_changes(1.0)) == [ANN]
    assert who(indicators.newest_first(1.0)) == [ANN, BOB]


def test_a_change_that_expired_before_it_was_told_is_not_told(indicators):
    indicators.take(event(ANN), now=0.0)
    indicators.take(event(BOB), now=EXPIRY)
    assert who(indicators.take_changes(EXPIRY)) == [BOB]


@pytest.mark.parametrize("timestamp", [math.nan, math.inf, -math.inf])
def test_a_timestamp_that_is_no_time_is_refused(indicators, timestamp):
    assert indicators.take(event(ANN, timestamp), now=0.0) == "out_of_range"
    assert not indicators.has_changes


def test_an_entry_too_large_for_a_datagram_is_refused(indicators):
    long = User("ä" * 255, "ö" * 255)
    assert indicators.take(event(long), now=0.0) == "too_large"
    assert len(indicators) == 0


def test_what_newer_programs_add_to_an_event_is_kept(indicators):
    addition = bytes.fromhex("a206022a00")  # field 100
    added = pb.TypingEvent.FromString(event().SerializeToString() + addition)
    indicators.take(added, now=0.0)
    [entry] = indicators.newest_first(0.0)
    assert addition in entry.item


steps = st.lists(
    st.tuples(st.sampled_from([ANN, BOB, CAROL]), st.integers(0, 5), st.sampled_from([0.0, 0.5, 3.0, 7.0])),
    max_size=40,
)


@given(steps)
def test_it_agrees_with_a_plain_model_of_the_rules(taken):
    indicators, model, now, changed = Indicators(EXPIRY), {}, 0.0, set()
    for user, timestamp, wait in taken:
        now += wait
        model = {u: (t, until) for u, (t, until) in model.items() if until > now}
        if user not in model or model[user][0] < timestamp:
            model.pop(user, None)
            model[user] = (timestamp, now + EXPIRY)
            changed.add(user)
        assert indicators.take(event(user, float(timestamp)), now) == ""
    assert timestamps(indicators, now) == {user: t for user, (t, _) in model.items()}
    assert who(indicators.newest_first(now)) == list(reversed(model))
    changes = who(indicators.take_changes(now))
    assert set(changes) == changed & set(model)
    assert changes == who(indicators.newest_first(now))[: len(changes)]
