"""Who is where: newest wins per author and recipient, its end or a stop ends it, only places on Earth."""

import math
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.services.location.positions import BOUNDS, REMEMBERED, Positions
from parley.shared.addresses import Group, User
from parley.shared.audiences import Audience
from parley.shared.soft_state.lifetimes import MAX_LIFETIME, MAX_SKEW
from parley.shared.wire.messages import pb

NOW = 1_753_142_400.0
ALICE, BOB, CAROL = User("alice", "alpha"), User("bob", "beta"), User("carol", "gamma")
TEAM = pb.Group(groupId="team", serverId="alpha")
TO_BOB = {"user": BOB.to_pb()}
TO_TEAM = {"group": TEAM}
TO_BOB_IN_TEAM = {"userOfGroup": pb.UserOfGroup(user=BOB.to_pb(), group=TEAM)}


def run(steps):
    """All of them."""
    deque(steps, maxlen=0)


def location(to=None, author=ALICE, timestamp=NOW, expiry_at=NOW + 60, place=(48.2, 11.6)):
    return pb.LiveLocation(
        author=author.to_pb(),
        **(TO_BOB if to is None else to),
        timestamp=timestamp,
        expiry_at=expiry_at,
        location=pb.Location(latitude=place[0], longitude=place[1]),
    )


def entry(**fields):
    return pb.ExtendedLiveLocation(live_location=location(**fields))


def stop(to=None, author=ALICE, timestamp=NOW):
    made = location(to, author, timestamp)
    made.ClearField("location")
    made.ClearField("expiry_at")
    made.stopped = True
    return pb.ExtendedLiveLocation(live_location=made)


class Fed(Positions):
    """Positions whose two clocks agree."""

    def update(self, entry, now, wall=None, source=None):
        return super().update(entry, now, now if wall is None else wall, source)


@pytest.fixture
def positions():
    return Fed()


def told(position, now=NOW):
    [entry] = pb.LiveLocations.FromString(position.item(now)).extended_live_locations
    return entry


def known(positions, now=NOW):
    return {(p.author, p.audience): p.timestamp for p in positions.current(now)}


@pytest.mark.parametrize(
    ("sent", "kept"), [([1.0, 2.0], 2.0), ([2.0, 1.0], 2.0), ([2.0, 2.0], 2.0), ([2.0, 1.5, 3.0, 2.5], 3.0)]
)
def test_the_newest_timestamp_of_a_stream_wins(positions, sent, kept):
    for timestamp in sent:
        assert positions.update(entry(timestamp=timestamp), NOW) == ""
    assert list(known(positions).values()) == [kept]


def test_every_author_and_recipient_is_a_stream_of_its_own(positions):
    for to in (TO_BOB, TO_TEAM, TO_BOB_IN_TEAM, {"user": CAROL.to_pb()}):
        positions.update(entry(to=to), NOW)
    positions.update(entry(author=BOB, to={"user": ALICE.to_pb()}), NOW)
    team = Group("team", "alpha")
    assert set(known(positions)) == {
        (ALICE, Audience(BOB, None)),
        (ALICE, Audience(None, team)),
        (ALICE, Audience(BOB, team)),
        (ALICE, Audience(CAROL, None)),
        (BOB, Audience(ALICE, None)),
    }


@pytest.mark.parametrize(
    ("to", "viewers"),
    [
        (TO_BOB, {ALICE, BOB}),
        (TO_BOB_IN_TEAM, {ALICE, BOB}),
        (TO_TEAM, {ALICE}),
        ({"user": ALICE.to_pb()}, {ALICE}),
    ],
)
def test_only_the_addressed_user_and_the_author_may_see_it(positions, to, viewers):
    positions.update(entry(to=to), NOW)
    [position] = positions.current(NOW)
    assert position.viewers == viewers


@pytest.mark.parametrize(
    "to",
    [
        {},
        {"user": pb.User()},
        {"user": pb.User(userId="bob")},
        {"group": pb.Group(serverId="alpha")},
        {"userOfGroup": pb.UserOfGroup(user=BOB.to_pb())},
        {"userOfGroup": pb.UserOfGroup(group=TEAM)},
    ],
)
def test_a_location_for_nobody_is_refused(positions, to):
    assert positions.update(entry(to=to), NOW) == "no_recipient"
    assert len(positions) == 0


@pytest.mark.parametrize("place", [(90.0, 180.0), (-90.0, -180.0), (0.0, 0.0)])
def test_the_poles_and_the_date_line_are_places(positions, place):
    assert positions.update(entry(place=place), NOW) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"place": (90.000001, 0.0)},
        {"place": (0.0, -180.000001)},
        {"place": (math.nan, 0.0)},
        {"place": (0.0, math.inf)},
        {"timestamp": math.nan},
        {"timestamp": math.inf},
        {"timestamp": NOW + MAX_SKEW + 1},
        {"expiry_at": NOW},
        {"expiry_at": 0.0},
        {"expiry_at": math.nan},
        {"expiry_at": math.inf},
    ],
)
def test_what_is_no_place_or_no_time_to_come_is_out_of_range(positions, wrong):
    assert positions.update(entry(**wrong), NOW) == "out_of_range"
    assert positions.sequence == len(positions) == 0


def test_a_location_without_a_place_is_out_of_range(positions):
    nowhere = entry()
    nowhere.live_location.ClearField("location")
    assert positions.update(nowhere, NOW) == "out_of_range"


def test_an_entry_too_large_for_a_datagram_is_refused(positions):
    assert positions.update(entry(author=User("ä" * 255, "ö" * 255)), NOW) == "too_large"


def test_a_stream_is_over_at_its_expiry_and_told_so(positions):
    positions.update(entry(expiry_at=NOW + 60), NOW)
    before = positions.sequence
    assert positions.next_timeout() == NOW + 60
    assert known(positions, NOW + 59.999)
    assert positions.changed(before) == []
    assert not known(positions, NOW + 60)
    [over] = positions.changed(before)
    assert over.is_over
    assert told(over).live_location.stopped
    assert told(over).remaining == 0.0
    assert not told(over).live_location.HasField("location")
    assert not known(positions, NOW + 60 + REMEMBERED)
    assert len(positions) == 0


def test_a_later_fix_prolongs_or_shortens_its_stream(positions):
    positions.update(entry(timestamp=NOW, expiry_at=NOW + 60), NOW)
    positions.update(entry(timestamp=NOW + 1, expiry_at=NOW + 120), NOW + 1)
    assert known(positions, NOW + 60)
    positions.update(entry(timestamp=NOW + 60, expiry_at=NOW + 90), NOW + 60)
    assert known(positions, NOW + 89)
    assert not known(positions, NOW + 90)


def test_a_late_fix_does_not_revive_a_stream_that_was_cut_short(positions):
    positions.update(entry(timestamp=NOW, expiry_at=NOW + 60), NOW)
    positions.update(entry(timestamp=NOW + 2, expiry_at=NOW + 120), NOW + 2)
    positions.update(entry(timestamp=NOW + 4, expiry_at=NOW + 5), NOW + 4)
    for late in (2.0, 3.0):
        positions.update(entry(timestamp=NOW + late, expiry_at=NOW + 120), NOW + 70)
    assert not known(positions, NOW + 70)
    assert not known(positions, NOW + 120)
    positions.expire(NOW + 120 + REMEMBERED)
    assert len(positions) == 0


# Clocks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew", [-300.0, -10.0, 0.0, 10.0, 300.0])
def test_a_stream_lasts_as_long_as_its_author_meant_whatever_their_clock_says(positions, skew):
    theirs = NOW + skew
    assert positions.update(entry(timestamp=theirs, expiry_at=theirs + 30), NOW) == ""
    assert known(positions, NOW + 29.9)
    assert not known(positions, NOW + 30)


def test_a_fix_that_was_on_its_way_for_long_prolongs_nothing(positions):
    positions.update(entry(timestamp=NOW, expiry_at=NOW + 60), NOW)
    positions.update(entry(timestamp=NOW + 1, expiry_at=NOW + 60), NOW + 50)
    assert not known(positions, NOW + 60)


def test_what_a_server_says_remains_counts_more_than_any_clock(positions):
    one = entry(timestamp=NOW - 5000, expiry_at=NOW - 4000)
    assert positions.update(one, NOW) == "out_of_range"
    one.remaining = 12.0
    assert positions.update(one, NOW) == ""
    [position] = positions.current(NOW + 2)
    assert told(position, NOW + 2).remaining == 10.0
    assert not known(positions, NOW + 12)


@pytest.mark.parametrize("remaining", [math.nan, 0.0, -1.0, -math.inf])
def test_a_stream_of_which_nothing_remains_is_out_of_range(positions, remaining):
    one = entry()
    one.remaining = remaining
    assert positions.update(one, NOW) == "out_of_range"


@pytest.mark.parametrize("remaining", [None, 1e9])
def test_nothing_lasts_longer_than_eight_hours(positions, remaining):
    one = entry(expiry_at=NOW + 1e6)
    if remaining is not None:
        one.remaining = remaining
    positions.update(one, NOW)
    [position] = positions.current(NOW)
    assert position.expires == NOW + MAX_LIFETIME
    assert told(position).live_location.expiry_at == NOW + MAX_LIFETIME
    assert not known(positions, NOW + MAX_LIFETIME)


# Stops --------------------------------------------------------------------------------------------


def test_a_stop_ends_a_stream_at_once_and_is_told_without_a_place(positions):
    positions.update(entry(), NOW)
    before = positions.sequence
    assert positions.update(stop(timestamp=NOW + 1), NOW + 1) == ""
    assert not known(positions, NOW + 1)
    [over] = positions.changed(before)
    assert over.viewers == {ALICE, BOB}
    assert told(over).live_location.stopped
    assert told(over).live_location.expiry_at <= NOW + 1
    assert not told(over).live_location.HasField("location")


def test_what_was_sent_before_a_stop_does_not_revive_the_stream(positions):
    positions.update(entry(timestamp=NOW, expiry_at=NOW + 600), NOW)
    positions.update(stop(timestamp=NOW + 5), NOW + 5)
    for late in (1, 5):
        positions.update(entry(timestamp=NOW + late, expiry_at=NOW + 600), NOW + 300)
    assert not known(positions, NOW + 300)
    positions.update(entry(timestamp=NOW + 301, expiry_at=NOW + 600), NOW + 301)
    assert known(positions, NOW + 301)


def test_a_stop_of_a_stream_that_is_not_known_is_told_on(positions):
    assert positions.update(stop(), NOW) == ""
    [over] = positions.changed(0)
    assert over.is_over
    positions.update(entry(timestamp=NOW - 1), NOW)
    assert not known(positions)


def test_a_stop_at_the_moment_of_the_last_fix_counts(positions):
    positions.update(entry(timestamp=NOW), NOW)
    positions.update(stop(timestamp=NOW), NOW)
    assert not known(positions)


# The message that begins a stream ---------------------------------------------------------------------


def test_only_the_first_fix_from_a_subscriber_begins_a_stream():
    begun = []
    positions = Fed(lambda location: begun.append(location) or 77)
    first = location(timestamp=NOW)
    first.confirm = True
    positions.update(pb.ExtendedLiveLocation(live_location=first), NOW, source=1)
    positions.update(entry(timestamp=NOW + 1), NOW, source=1)
    positions.update(entry(author=BOB), NOW)
    assert begun == [location(timestamp=NOW)]
    assert positions.snowflake(ALICE, Audience(BOB)) == 77
    assert [told(p).messageSnowflake for p in positions.current(NOW)] == [77, 0]


def test_a_stream_that_was_over_begins_anew():
    numbers = iter([7, 8])
    positions = Fed(lambda _location: next(numbers))
    positions.update(entry(timestamp=NOW), NOW, source=1)
    positions.update(stop(timestamp=NOW + 1), NOW + 1, source=1)
    positions.update(entry(timestamp=NOW + 2), NOW + 2, source=1)
    assert positions.snowflake(ALICE, Audience(BOB)) == 8


def test_a_stream_whose_message_its_author_knows_begins_no_other():
    begun = []
    positions = Fed(lambda location: begun.append(location) or 1)
    again = location()
    again.messageSnowflake = 55
    positions.update(pb.ExtendedLiveLocation(live_location=again), NOW, source=1)
    assert begun == []
    [position] = positions.current(NOW)
    assert told(position).messageSnowflake == 55
    assert not told(position).live_location.messageSnowflake


# Groups -----------------------------------------------------------------------------------------------

TEAM_OF = Group("team", "alpha")


def seen_by(positions, user, now=NOW):
    return [p for p in positions.current(now) if user in p.viewers]


def test_what_is_for_a_group_is_for_its_members_and_the_author(positions):
    positions.update(entry(to=TO_TEAM), NOW, source=4)
    run(positions.fan_out(ALICE, TEAM_OF, {ALICE, BOB}, NOW))
    [copy] = seen_by(positions, BOB)
    assert copy.audience == Audience(BOB, TEAM_OF)
    assert User.of(told(copy).live_location.userOfGroup.user) == BOB
    [own] = seen_by(positions, ALICE)
    assert own.audience == Audience(None, TEAM_OF)
    assert not seen_by(positions, CAROL)
    assert positions.authors_in(TEAM_OF) == [ALICE]


def test_a_member_who_left_sees_nothing_that_comes_later(positions):
    positions.update(entry(to=TO_TEAM, place=(1.0, 1.0)), NOW)
    run(positions.fan_out(ALICE, TEAM_OF, {ALICE, BOB, CAROL}, NOW))
    positions.update(entry(to=TO_TEAM, place=(2.0, 2.0), timestamp=NOW + 1), NOW + 1)
    before = positions.sequence
    run(positions.fan_out(ALICE, TEAM_OF, {ALICE, CAROL}, NOW + 1))
    assert not seen_by(positions, BOB, NOW + 1)
    for position in positions.changed(before):
        if BOB in position.viewers:
            assert position.is_over
            assert not told(position).live_location.HasField("location")
    [copy] = seen_by(positions, CAROL, NOW + 1)
    assert told(copy).live_location.location.latitude == 2.0
    positions.update(entry(to=TO_TEAM, timestamp=NOW + 2), NOW + 2)
    run(positions.fan_out(ALICE, TEAM_OF, {ALICE, BOB, CAROL}, NOW + 2))
    assert seen_by(positions, BOB, NOW + 2)


def test_a_member_who_comes_back_sees_what_was_shared_last(positions):
    positions.update(entry(to=TO_TEAM), NOW)
    told_at = []
    for members in ({BOB}, set(), {BOB}, set(), {BOB}):
        run(positions.fan_out(ALICE, TEAM_OF, members, NOW))
        assert bool(seen_by(positions, BOB)) == bool(members)
        told_at += [(p.timestamp, p.is_over) for p in positions.all() if BOB in p.viewers]
    assert told_at == sorted(told_at)


def test_a_group_s_stream_that_is_over_is_over_for_each_member(positions):
    positions.update(entry(to=TO_TEAM), NOW)
    run(positions.fan_out(ALICE, TEAM_OF, {BOB, CAROL}, NOW))
    positions.update(stop(to=TO_TEAM, timestamp=NOW + 1), NOW + 1)
    run(positions.fan_out(ALICE, TEAM_OF, {BOB, CAROL}, NOW + 1))
    assert not known(positions, NOW + 1)
    overs = {p.audience.user: p.timestamp for p in positions.all() if p.is_over}
    assert overs == {None: NOW + 1, BOB: NOW + 1, CAROL: NOW + 1}


def test_a_stop_for_a_group_whose_stream_is_not_known_is_told_to_its_members(positions):
    positions.update(stop(to=TO_TEAM), NOW)
    run(positions.fan_out(ALICE, TEAM_OF, {BOB}, NOW))
    assert [p.audience for p in positions.all() if BOB in p.viewers] == [Audience(BOB, TEAM_OF)]
    assert not known(positions)


def test_an_expired_group_s_stream_is_gone_for_each_member(positions):
    positions.update(entry(to=TO_TEAM, expiry_at=NOW + 60), NOW)
    run(positions.fan_out(ALICE, TEAM_OF, {BOB}, NOW))
    assert not known(positions, NOW + 60)
    positions.expire(NOW + 60 + REMEMBERED)
    assert len(positions) == len(positions._copied_to) == len(positions._counts) == 0


# What is told ---------------------------------------------------------------------------------------


def test_changes_are_told_since_any_moment_and_only_the_newest(positions):
    positions.update(entry(timestamp=1.0), NOW)
    first = positions.sequence
    positions.update(entry(to=TO_TEAM, timestamp=1.0), NOW)
    positions.update(entry(timestamp=2.0), NOW)
    assert [p.timestamp for p in positions.changed(0)] == [2.0, 1.0]
    assert len(positions.changed(first)) == 2
    last = positions.sequence
    positions.update(entry(timestamp=1.5), NOW)
    assert positions.changed(last) == []


def test_the_source_and_the_snowflake_that_came_are_kept(positions):
    positions.update(pb.ExtendedLiveLocation(live_location=location(), messageSnowflake=77), NOW)
    [position] = positions.current(NOW)
    assert position.source is None
    assert (told(position).messageSnowflake, told(position).live_location) == (77, location())
    positions.update(entry(timestamp=NOW + 1), NOW, source=5)
    [position] = positions.current(NOW)
    assert (position.source, told(position).messageSnowflake) == (5, 77)


def test_nobody_shares_in_any_number_of_streams(positions):
    many = [{"user": pb.User(userId=f"u{i}", serverId="beta")} for i in range(BOUNDS.of_author + 10)]
    answers = [positions.update(entry(to=to), NOW) for to in many]
    assert answers == [""] * BOUNDS.of_author + ["unexpected"] * 10


def test_a_stream_with_many_fixes_takes_no_more_memory_than_one(positions):
    for i in range(1000):
        positions.update(entry(timestamp=NOW + i / 10, expiry_at=NOW + 10_000 + i), NOW + i / 10)
    assert len(positions._due) == len(positions._scheduled) == 1


steps = st.lists(
    st.tuples(
        st.sampled_from([TO_BOB, TO_TEAM, TO_BOB_IN_TEAM]),
        st.integers(0, 5),
        st.sampled_from([0, 1, 5, 20]),
        st.sampled_from([0, 1, 10]),
    ),
    max_size=40,
)


@given(steps)
def test_it_agrees_with_a_plain_model_of_the_rules(taken):
    """A lifetime of 0 is a stop."""
    positions, model, now = Fed(), {}, NOW
    for to, timestamp, lasts, wait in taken:
        now += wait
        one = entry(to=to, timestamp=float(timestamp)) if lasts else stop(to, timestamp=float(timestamp))
        if lasts:
            one.remaining = lasts
        key = (ALICE, Audience.of_location(one.live_location))
        model = {k: v for k, v in model.items() if not v["over"] or v["forget_at"] > now}
        for each in model.values():
            if not each["over"] and each["expires"] <= now:
                each |= {"over": True, "forget_at": max(each["forget_at"], now + REMEMBERED)}
        before = model.get(key, {"timestamp": -1, "over": True, "forget_at": 0.0})
        news = before["timestamp"] < timestamp or (
            before["timestamp"] == timestamp and not lasts and not before["over"]
        )
        if news:
            forget_at = max(before["forget_at"], now + (lasts or REMEMBERED))
            model[key] = {"timestamp": timestamp, "expires": now + lasts, "over": not lasts, "forget_at": forget_at}
        assert positions.update(one, now) == ""
        live = {k: v["timestamp"] for k, v in model.items() if not v["over"] and v["expires"] > now}
        assert known(positions, now) == live
        assert len(positions._scheduled) == len(positions)
    assert not known(positions, now + 20)
    positions.expire(now + 2000)
    assert len(positions) == len(positions._due) == len(positions._counts) == 0


# Bounds ----------------------------------------------------------------------------------------------


def user_number(number):
    return {"user": pb.User(userId=f"u{number}", serverId="beta")}


def test_one_address_leaves_room_for_others(monkeypatch):
    monkeypatch.setattr("parley.services.location.positions.BOUNDS", BOUNDS._replace(entries=20))
    positions = Positions()

    def share(number, origin, **fields):
        return positions.update(entry(to=user_number(number), **fields), 0.0, NOW, "link", origin)

    assert [share(n, "10.0.0.9") for n in range(12)] == [""] * 10 + ["unexpected"] * 2
    assert positions.refused == 2
    assert share(1, "10.0.0.9", timestamp=NOW + 1) == ""  # what is there goes on
    assert share(99, "10.0.0.1", author=CAROL) == ""
    positions.expire(60.0)
    positions.expire(60.0 + 2 * REMEMBERED)
    assert len(positions) == 0
    assert share(50, "10.0.0.9", timestamp=NOW + 200, expiry_at=NOW + 900) == ""


def test_the_members_of_a_group_are_in_the_share_of_its_author_s_address(monkeypatch):
    monkeypatch.setattr("parley.services.location.positions.BOUNDS", BOUNDS._replace(entries=20))
    positions = Positions()
    group = Group("team", "alpha")
    positions.update(entry(to=TO_TEAM), 0.0, NOW, "link", "10.0.0.9")
    members = [User(f"m{n}", "beta") for n in range(30)]
    run(positions.fan_out(ALICE, group, members, 0.0))
    assert len(positions) == 10
    assert positions.refused == 21
    assert positions.update(entry(to=TO_BOB, author=CAROL), 0.0, NOW, "link", "10.0.0.1") == ""
