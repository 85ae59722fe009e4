"""Who is typing, to whom: newest wins, our clock or a stop ends an entry, and only whom it is for sees it."""

import math
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.services.typing.indicators import BOUNDS, FAR_FUTURE, Indicators
from parley.shared.addresses import Group, User
from parley.shared.audiences import EVERYONE, Audience
from parley.shared.wire.messages import pb

EXPIRY = 6.0
ANN, BOB, CAROL = (User(name, "alpha") for name in ("ann", "bob", "carol"))


WALL = 1_753_142_400.0
CREW = Group("crew", "alpha")


def run(steps):
    """All of them."""
    deque(steps, maxlen=0)


def event(user=ANN, timestamp=1.0, to=EVERYONE, **more):
    made = pb.TypingEvent(user=user.to_pb(), timestamp=timestamp, **more)
    to.write_typing(made)
    return made


class Fed(Indicators):
    """Indicators whose wall clock stands still."""

    def update(self, event, now, wall=WALL):
        return super().update(event, now, wall)


@pytest.fixture
def indicators():
    return Fed(EXPIRY)


def who(entries):
    return [entry.author for entry in entries]


def listed(indicators, now, user=None):
    indicators.expire(now)
    return who(indicators.seen_by(user))


def timestamps(indicators, now, user=None):
    indicators.expire(now)
    return {entry.author: entry.timestamp for entry in indicators.seen_by(user)}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [([1.0, 2.0], 2.0), ([2.0, 1.0], 2.0), ([2.0, 2.0], 2.0), ([2.0, -5.0, 3.0, 2.5], 3.0)],
)
def test_the_newest_timestamp_of_a_user_wins(indicators, sent, kept):
    for timestamp in sent:
        assert indicators.update(event(ANN, timestamp), now=0.0) == ""
    assert timestamps(indicators, 0.0) == {ANN: kept}


def test_what_is_not_newer_changes_nothing_and_prolongs_nothing(indicators):
    indicators.update(event(ANN, 5.0), now=0.0)
    before = indicators.sequence
    for timestamp in (5.0, 4.0):
        indicators.update(event(ANN, timestamp), now=5.0)
    assert indicators.sequence == before
    assert listed(indicators, EXPIRY) == []


@pytest.mark.parametrize("timestamp", [0.0, -1e12, WALL - 3000, WALL + 3000])
def test_an_entry_lasts_by_our_clock_whatever_the_timestamp_says(indicators, timestamp):
    assert indicators.update(event(ANN, timestamp), now=100.0) == ""
    assert listed(indicators, 100.0 + EXPIRY - 0.001) == [ANN]
    assert listed(indicators, 100.0 + EXPIRY) == []
    assert len(indicators) == 0


def test_a_timestamp_in_the_far_future_is_refused(indicators):
    assert indicators.update(event(ANN, WALL + FAR_FUTURE + 1), now=0.0) == "out_of_range"
    assert len(indicators) == 0


def test_an_entry_that_a_server_heard_some_time_ago_lasts_for_the_rest(indicators):
    indicators.update(event(ANN, age=2.5), now=100.0)
    [entry] = indicators.seen_by(None)
    assert pb.TypingEvents.FromString(entry.item(101.0)).typing_events[0].age == 3.5
    assert listed(indicators, 100.0 + EXPIRY - 2.6) == [ANN]
    assert listed(indicators, 100.0 + EXPIRY - 2.5) == []
    indicators.update(event(BOB, age=EXPIRY), now=100.0)
    assert listed(indicators, 100.0) == []


@pytest.mark.parametrize("age", [math.nan, -1.0, -math.inf])
def test_an_age_that_is_none_is_refused(indicators, age):
    assert indicators.update(event(ANN, age=age), now=0.0) == "out_of_range"


def test_an_older_timestamp_counts_again_once_the_entry_is_gone(indicators):
    indicators.update(event(ANN, 9.0), now=0.0)
    indicators.update(event(ANN, 1.0), now=EXPIRY)
    assert timestamps(indicators, EXPIRY) == {ANN: 1.0}


def test_the_list_is_in_the_order_in_which_people_typed_last(indicators):
    for now, (user, timestamp) in enumerate([(ANN, 9.0), (BOB, 1.0), (CAROL, 5.0), (BOB, 2.0)]):
        indicators.update(event(user, timestamp), now)
    assert listed(indicators, 3.0) == [BOB, CAROL, ANN]


def test_nobody_sees_themselves(indicators):
    for user in (ANN, BOB):
        indicators.update(event(user), now=0.0)
        indicators.update(event(user, to=Audience(ANN)), now=0.0)
    assert listed(indicators, 0.0, ANN) == [BOB, BOB]
    assert listed(indicators, 0.0, BOB) == [ANN]


def test_what_is_for_a_user_is_seen_by_nobody_else(indicators):
    indicators.update(event(ANN, to=Audience(BOB)), now=0.0)
    assert listed(indicators, 0.0, BOB) == [ANN]
    assert listed(indicators, 0.0, CAROL) == listed(indicators, 0.0) == []
    assert indicators.concerned(0) == (False, {BOB})


def test_everyone_and_by_name_are_one_list_newest_first(indicators):
    indicators.update(event(ANN), now=0.0)
    indicators.update(event(ANN, to=Audience(BOB)), now=1.0)
    indicators.update(event(CAROL), now=2.0)
    assert listed(indicators, 2.0, BOB) == [CAROL, ANN, ANN]
    assert indicators.concerned(0) == (True, {BOB})


def test_changes_are_told_since_any_moment(indicators):
    indicators.update(event(ANN), now=0.0)
    first = indicators.sequence
    indicators.update(event(BOB, to=Audience(CAROL)), now=0.0)
    assert indicators.concerned(0) == (True, {CAROL})
    assert indicators.concerned(first) == (False, {CAROL})
    assert indicators.concerned(indicators.sequence) == (False, set())
    assert who(indicators.changed(first)) == [BOB]
    assert set(who(indicators.changed(0))) == {ANN, BOB}


def test_an_entry_that_expires_concerns_those_who_saw_it(indicators):
    indicators.update(event(ANN), now=0.0)
    indicators.update(event(ANN, to=Audience(BOB)), now=1.0)
    told = indicators.sequence
    assert indicators.next_timeout() == EXPIRY
    indicators.expire(EXPIRY)
    assert indicators.concerned(told) == (True, set())
    told = indicators.sequence
    indicators.expire(EXPIRY + 1)
    assert indicators.concerned(told) == (False, {BOB})
    assert not indicators.has_own(BOB)
    assert indicators.next_timeout() is None


def test_a_stop_ends_an_entry_at_once_and_is_told(indicators):
    indicators.update(event(ANN, 1.0), now=0.0)
    told = indicators.sequence
    indicators.update(event(ANN, 2.0, stopped=True), now=1.0)
    assert listed(indicators, 1.0) == []
    [entry] = indicators.stopped(BOB, told)
    [stopped] = pb.TypingEvents.FromString(entry.item(1.0)).stopped
    assert (User.of(stopped.user), stopped.timestamp) == (ANN, 2.0)
    assert indicators.stopped(ANN, told) == []


def test_what_was_typed_before_a_stop_and_comes_late_does_not_revive_it(indicators):
    indicators.update(event(ANN, 3.0, stopped=True), now=0.0)
    for late in (1.0, 3.0):
        indicators.update(event(ANN, late), now=0.1)
    assert listed(indicators, 0.1) == []
    indicators.update(event(ANN, 3.5), now=0.2)
    assert listed(indicators, 0.2) == [ANN]


def test_a_stop_that_is_older_than_an_event_changes_nothing(indicators):
    indicators.update(event(ANN, 3.0), now=0.0)
    indicators.update(event(ANN, 2.0, stopped=True), now=0.1)
    assert listed(indicators, 0.1) == [ANN]


def test_a_stop_ends_only_the_conversation_that_it_names(indicators):
    indicators.update(event(ANN, 1.0, Audience(BOB)), now=0.0)
    indicators.update(event(ANN, 1.0, Audience(CAROL)), now=0.0)
    indicators.update(event(ANN, 2.0, Audience(BOB), stopped=True), now=0.0)
    assert listed(indicators, 0.0, BOB) == []
    assert listed(indicators, 0.0, CAROL) == [ANN]


def test_what_is_for_a_group_is_for_its_members_and_nobody_else(indicators):
    indicators.update(event(ANN, to=Audience(None, CREW)), now=0.0)
    assert indicators.authors_in(CREW) == [ANN]
    assert listed(indicators, 0.0, BOB) == []
    run(indicators.fan_out(ANN, CREW, {ANN, BOB}, 1.0))
    assert listed(indicators, 1.0, BOB) == [ANN]
    assert listed(indicators, 1.0, CAROL) == []
    [entry] = indicators.seen_by(BOB)
    assert entry.audience == Audience(BOB, CREW)
    assert listed(indicators, EXPIRY, BOB) == []


def test_a_member_who_left_and_a_group_that_stopped_are_told(indicators):
    indicators.update(event(ANN, to=Audience(None, CREW)), now=0.0)
    run(indicators.fan_out(ANN, CREW, {ANN, BOB, CAROL}, 0.0))
    run(indicators.fan_out(ANN, CREW, {ANN, CAROL}, 1.0))
    assert listed(indicators, 1.0, BOB) == []
    assert who(indicators.stopped(BOB, 0)) == [ANN]
    assert listed(indicators, 1.0, CAROL) == [ANN]
    indicators.update(event(ANN, 2.0, Audience(None, CREW), stopped=True), now=2.0)
    run(indicators.fan_out(ANN, CREW, {ANN, CAROL}, 2.0))
    assert listed(indicators, 2.0, CAROL) == []
    assert who(indicators.stopped(CAROL, 0)) == [ANN]


def test_a_stop_in_a_group_is_told_to_those_who_saw_its_author_type_and_to_nobody_else(indicators):
    indicators.update(event(ANN, 1.0, Audience(None, CREW)), now=0.0)
    run(indicators.fan_out(ANN, CREW, {ANN, BOB}, 0.0))
    indicators.update(event(ANN, 2.0, Audience(None, CREW), stopped=True), now=1.0)
    run(indicators.fan_out(ANN, CREW, {ANN, BOB, CAROL}, 1.0))
    assert who(indicators.stopped(BOB, 0)) == [ANN]
    assert not indicators.has_own(CAROL)


def test_a_member_who_comes_back_sees_who_types(indicators):
    indicators.update(event(ANN, to=Audience(None, CREW)), now=0.0)
    for members in ({BOB}, set(), {BOB}, set(), {BOB}):
        run(indicators.fan_out(ANN, CREW, members, 1.0))
        assert bool(listed(indicators, 1.0, BOB)) == bool(members)


@pytest.mark.parametrize("to", [Audience(User("", "alpha")), Audience(None, Group("crew", ""))])
def test_half_a_recipient_is_refused(indicators, to):
    assert indicators.update(event(ANN, to=to), now=0.0) == "no_recipient"


def test_nobody_types_in_any_number_of_conversations(indicators):
    answers = [indicators.update(event(ANN, to=Audience(User(f"u{i}", "beta"))), now=0.0) for i in range(100)]
    assert answers == [""] * BOUNDS.of_author + ["unexpected"] * (100 - BOUNDS.of_author)
    indicators.expire(EXPIRY)
    assert indicators.update(event(ANN, to=Audience(BOB)), now=EXPIRY) == ""


@pytest.mark.parametrize("timestamp", [math.nan, math.inf, -math.inf])
def test_a_timestamp_that_is_no_time_is_refused(indicators, timestamp):
    assert indicators.update(event(ANN, timestamp), now=0.0) == "out_of_range"
    assert indicators.sequence == 0


def test_an_entry_too_large_for_a_datagram_is_refused(indicators):
    long = User("ä" * 255, "ö" * 255)
    assert indicators.update(event(long), now=0.0) == "too_large"
    assert len(indicators) == 0


def test_what_newer_programs_add_to_an_event_is_kept(indicators):
    addition = bytes.fromhex("c20c022a00")  # field 200
    added = pb.TypingEvent.FromString(event().SerializeToString() + addition)
    indicators.update(added, now=0.0)
    [entry] = indicators.seen_by(None)
    assert addition in entry.item(0.0)


TO = [EVERYONE, Audience(BOB), Audience(CAROL)]
steps = st.lists(
    st.tuples(
        st.sampled_from([ANN, BOB, CAROL]),
        st.sampled_from(TO),
        st.integers(0, 5),
        st.booleans(),
        st.sampled_from([0.0, 0.5, 3.0, 7.0]),
    ),
    max_size=40,
)


@given(steps)
def test_it_agrees_with_a_plain_model_of_the_rules(taken):
    indicators, model, now, changed = Fed(EXPIRY), {}, 0.0, {}
    for user, to, timestamp, stopped, wait in taken:
        now += wait
        model = {key: value for key, value in model.items() if value[2] > now}
        known = model.get((user, to), (-1, True, 0))
        if known[0] < timestamp or (known[0] == timestamp and stopped and not known[1]):
            model.pop((user, to), None)
            model[user, to] = (timestamp, stopped, now + EXPIRY)
            changed[user, to] = True
        assert indicators.update(event(user, float(timestamp), to, stopped=stopped), now) == ""
    for viewer in (ANN, BOB, CAROL):
        seen = [(e.author, e.audience, e.timestamp) for e in indicators.seen_by(viewer)]
        assert seen == [
            (user, to, timestamp)
            for (user, to), (timestamp, stopped, _) in reversed(model.items())
            if not stopped and user != viewer and to.user in (None, viewer)
        ]
    everyone, users = indicators.concerned(0)
    assert everyone >= any(to == EVERYONE for _, to in model)
    assert users >= {to.user for _, to in model if to != EVERYONE}
    indicators.expire(now + EXPIRY)
    assert len(indicators) == len(indicators._entries) == len(indicators._counts) == 0
    assert indicators.next_timeout() is None


def test_one_address_leaves_room_for_others_to_type(monkeypatch):
    monkeypatch.setattr("parley.services.typing.indicators.BOUNDS", BOUNDS._replace(entries=20))
    indicators = Indicators(6.0)

    def typed(number, origin):
        return indicators.update(event(User(f"u{number}", "alpha"), WALL), 0.0, WALL, origin)

    assert [typed(n, "10.0.0.9") for n in range(12)] == [""] * 10 + ["unexpected"] * 2
    assert indicators.refused == 2
    assert typed(1, "10.0.0.9") == ""
    assert typed(99, "10.0.0.1") == ""
    indicators.expire(7.0)
    assert len(indicators._shares) == 0
