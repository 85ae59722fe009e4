"""What a client makes of lists that come late, twice, in any order or not at all."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.client.views.location_view import LocationView
from parley.client.views.typing_view import TypingView
from parley.shared.addresses import Group, User
from parley.shared.audiences import EVERYONE, Audience
from parley.shared.soft_state.lifetimes import MAX_LIFETIME
from parley.shared.wire.messages import pb

EXPIRY = 6.0
WALL = 1_753_142_400.0
ANN, BOB, ME = User("ann", "alpha"), User("bob", "beta"), User("me", "alpha")
CREW = Group("crew", "beta")


def event(user=ANN, timestamp=1.0, to=EVERYONE, age=0.0):
    made = pb.TypingEvent(user=user.to_pb(), timestamp=timestamp, age=age)
    to.write_typing(made)
    return made


def typing(*events):
    return pb.TypingEvents(typing_events=events)


def stopped(*events):
    return pb.TypingEvents(stopped=events)


@pytest.fixture
def typists():
    return TypingView(ME, EXPIRY)


def who(typists, now):
    return [typist.user for typist in typists.current(now)]


@pytest.mark.parametrize("timestamp", [-1e12, 0.0, WALL, 1e12])
def test_an_entry_is_shown_for_its_expiry_by_our_clock_whatever_its_timestamp_says(typists, timestamp):
    assert typists.update(typing(event(timestamp=timestamp)), 10.0)
    assert who(typists, 10.0 + EXPIRY - 0.001) == [ANN]
    assert typists.next_timeout() == 10.0 + EXPIRY
    assert who(typists, 10.0 + EXPIRY) == []


def test_the_same_entry_again_prolongs_nothing(typists):
    for now in (0.0, 2.0, 5.9):
        typists.update(typing(event()), now)
    assert who(typists, EXPIRY) == []
    typists.update(typing(event()), EXPIRY + 0.1)
    assert who(typists, EXPIRY + 0.1) == []


def test_an_entry_that_is_old_already_is_shown_for_the_rest(typists):
    typists.update(typing(event(age=4.0)), 0.0)
    assert who(typists, 1.9) == [ANN]
    assert who(typists, 2.0) == []


@pytest.mark.parametrize("age", [math.nan, -1.0, EXPIRY, math.inf])
def test_an_age_that_leaves_no_time_shows_nothing(typists, age):
    assert not typists.update(typing(event(age=age)), 0.0)


def test_a_stop_counts_whenever_it_comes(typists):
    typists.update(typing(event(timestamp=1.0)), 0.0)
    assert typists.update(stopped(event(timestamp=2.0)), 0.1)
    assert who(typists, 0.1) == []
    assert not typists.update(typing(event(timestamp=1.0)), 0.2)
    typists.update(typing(event(timestamp=3.0)), 0.3)
    assert not typists.update(stopped(event(timestamp=2.0)), 0.4)
    assert who(typists, 0.4) == [ANN]


def test_who_is_missing_in_a_list_may_be_in_another(typists):
    typists.update(typing(event(ANN)), 0.0)
    typists.update(typing(event(BOB)), 0.1)
    assert set(who(typists, 0.1)) == {ANN, BOB}


def test_neither_we_nor_what_is_for_others_is_shown(typists):
    typists.update(typing(event(ME), event(ANN, to=Audience(BOB)), event(ANN, to=Audience(BOB, CREW))), 0.0)
    assert who(typists, 0.0) == []
    typists.update(typing(event(ANN, to=Audience(ME)), event(ANN, to=Audience(ME, CREW))), 0.0)
    assert [t.audience for t in typists.current(0.0)] == [Audience(ME), Audience(ME, CREW)]


told = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=6, unique_by=lambda one: one[0])


@given(told, st.data())
def test_whatever_is_lost_but_the_last_and_in_any_order_the_last_holds(events, data):
    """Each list comes never, once or twice, in any order; that of the newest event at least once."""
    newest = max(events)
    copies = [e for e in events for _ in range(data.draw(st.integers(e == newest, 2)))]
    typists = TypingView(ME, EXPIRY)
    for timestamp, stops in data.draw(st.permutations(copies)):
        typists.update((stopped if stops else typing)(event(timestamp=float(timestamp))), 0.0)
    assert who(typists, 0.0) == ([] if newest[1] else [ANN])
    assert who(typists, EXPIRY) == []
    typists.expire(3 * EXPIRY)
    assert not len(typists)


# Locations -------------------------------------------------------------------------------------------------


TO_ME = Audience(ME)


def entry(timestamp=WALL, latitude=1.0, to=TO_ME, author=ANN, remaining=60.0, **more):
    location = pb.LiveLocation(
        author=author.to_pb(),
        timestamp=timestamp,
        expiry_at=timestamp + 60,
        location=pb.Location(latitude=latitude, longitude=2.0),
        **more,
    )
    to.write_location(location)
    return pb.ExtendedLiveLocation(live_location=location, messageSnowflake=7, remaining=remaining)


def stop(timestamp):
    made = entry(timestamp, stopped=True, remaining=0.0)
    made.live_location.ClearField("location")
    return made


@pytest.fixture
def locations():
    return LocationView(ME)


def latitudes(locations, now):
    return [location.latitude for location in locations.current(now)]


def test_the_newest_place_is_shown_until_it_expires_by_our_clock(locations):
    assert locations.update(entry(WALL, 1.0), 0.0, WALL + 5000)
    assert locations.update(entry(WALL + 1, 2.0, remaining=10.0), 0.0, WALL + 5000)
    assert not locations.update(entry(WALL, 1.0), 0.0, WALL + 5000)
    assert latitudes(locations, 9.9) == [2.0]
    assert latitudes(locations, 10.0) == []
    assert locations.next_timeout() == 10.0
    assert locations.expire(10.0)
    assert not locations.update(entry(WALL, 1.0), 11.0, WALL)


def test_a_server_that_does_not_say_what_remains_is_believed_about_the_end(locations):
    plain = entry(WALL - 300)  # a clock that is five minutes behind
    plain.ClearField("remaining")
    assert locations.update(plain, 0.0, WALL)
    assert latitudes(locations, 59.9) == [1.0]
    assert latitudes(locations, 60.0) == []


def test_nothing_is_shown_for_longer_than_eight_hours(locations):
    locations.update(entry(remaining=1e9), 0.0, WALL)
    assert latitudes(locations, MAX_LIFETIME - 1) == [1.0]
    assert latitudes(locations, MAX_LIFETIME) == []


def test_a_stop_removes_a_place_whenever_it_comes(locations):
    assert not locations.update(stop(WALL), 0.0, WALL)
    locations.update(entry(WALL + 1), 0.0, WALL)
    assert locations.update(stop(WALL + 2), 0.0, WALL)
    assert not locations.update(entry(WALL + 1), 0.0, WALL)
    assert latitudes(locations, 0.0) == []


@pytest.mark.parametrize(
    ("author", "to", "shown"),
    [
        (ANN, Audience(ME), True),
        (ANN, Audience(ME, CREW), True),
        (ANN, Audience(None, CREW), True),
        (ME, Audience(BOB), True),
        (ANN, Audience(BOB), False),
        (ANN, Audience(BOB, CREW), False),
    ],
)
def test_only_what_is_for_us_or_by_us_is_shown(locations, author, to, shown):
    assert locations.update(entry(author=author, to=to), 0.0, WALL) == shown


@given(told, st.data())
def test_whatever_is_lost_but_the_last_the_last_place_or_stop_holds(events, data):
    newest = max(events)
    copies = [e for e in events for _ in range(data.draw(st.integers(e == newest, 2)))]
    locations = LocationView(ME)
    for number, stops in data.draw(st.permutations(copies)):
        locations.update(stop(WALL + number) if stops else entry(WALL + number, float(number)), 0.0, WALL)
    assert latitudes(locations, 0.0) == ([] if newest[1] else [float(newest[0])])
    locations.expire(60.0)
    locations.expire(120.0)
    assert not len(locations)
