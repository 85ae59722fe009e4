"""Who is where: newest wins per author and recipient, `expiry_at` ends it, only places on Earth."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.location.positions import Group, Positions, Recipient
from shared.addresses import User
from shared.messages import pb

NOW = 1_753_142_400.0
ALICE, BOB, CAROL = User("alice", "alpha"), User("bob", "beta"), User("carol", "gamma")
TEAM = pb.Group(groupId="team", serverId="alpha")
TO_BOB = {"user": BOB.to_pb()}
TO_TEAM = {"group": TEAM}
TO_BOB_IN_TEAM = {"userOfGroup": pb.UserOfGroup(user=BOB.to_pb(), group=TEAM)}


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


@pytest.fixture
def positions():
    return Positions()


def known(positions, now=NOW):
    return {(p.author, p.recipient): p.timestamp for p in positions.current(now)}


@pytest.mark.parametrize(
    ("sent", "kept"), [([1.0, 2.0], 2.0), ([2.0, 1.0], 2.0), ([2.0, 2.0], 2.0), ([2.0, 1.5, 3.0, 2.5], 3.0)]
)
def test_the_newest_timestamp_of_a_stream_wins(positions, sent, kept):
    for timestamp in sent:
        assert positions.take(entry(timestamp=timestamp), NOW) == ""
    assert list(known(positions).values()) == [kept]


def test_every_author_and_recipient_is_a_stream_of_its_own(positions):
    for to in (TO_BOB, TO_TEAM, TO_BOB_IN_TEAM, {"user": CAROL.to_pb()}):
        positions.take(entry(to=to), NOW)
    positions.take(entry(author=BOB, to={"user": ALICE.to_pb()}), NOW)
    team = Group("team", "alpha")
    assert set(known(positions)) == {
        (ALICE, Recipient(BOB, None)),
        (ALICE, Recipient(None, team)),
        (ALICE, Recipient(BOB, team)),
        (ALICE, Recipient(CAROL, None)),
        (BOB, Recipient(ALICE, None)),
    }


@pytest.mark.parametrize(
    ("to", "audience"),
    [
        (TO_BOB, {ALICE, BOB}),
        (TO_BOB_IN_TEAM, {ALICE, BOB}),
        (TO_TEAM, {ALICE}),
        ({"user": ALICE.to_pb()}, {ALICE}),
    ],
)
def test_only_the_addressed_user_and_the_author_may_see_it(positions, to, audience):
    positions.take(entry(to=to), NOW)
    [position] = positions.current(NOW)
    assert position.audience == audience


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
    assert positions.take(entry(to=to), NOW) == "no_recipient"
    assert len(positions) == 0


@pytest.mark.parametrize("place", [(90.0, 180.0), (-90.0, -180.0), (0.0, 0.0)])
def test_the_poles_and_the_date_line_are_places(positions, place):
    assert positions.take(entry(place=place), NOW) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"place": (90.000001, 0.0)},
        {"place": (0.0, -180.000001)},
        {"place": (math.nan, 0.0)},
        {"place": (0.0, math.inf)},
        {"timestamp": math.nan},
        {"timestamp": math.inf},
        {"expiry_at": NOW},
        {"expiry_at": 0.0},
        {"expiry_at": math.nan},
        {"expiry_at": math.inf},
    ],
)
def test_what_is_no_place_or_no_time_to_come_is_out_of_range(positions, wrong):
    assert positions.take(entry(**wrong), NOW) == "out_of_range"
    assert not positions.has_changes


def test_a_location_without_a_place_is_out_of_range(positions):
    nowhere = entry()
    nowhere.live_location.ClearField("location")
    assert positions.take(nowhere, NOW) == "out_of_range"


def test_an_entry_too_large_for_a_datagram_is_refused(positions):
    assert positions.take(entry(author=User("ä" * 255, "ö" * 255)), NOW) == "too_large"


def test_a_stream_is_gone_at_its_expiry(positions):
    positions.take(entry(expiry_at=NOW + 60), NOW)
    assert known(positions, NOW + 59.999)
    assert not known(positions, NOW + 60)
    assert len(positions) == 0


def test_a_later_fix_prolongs_or_shortens_its_stream(positions):
    positions.take(entry(timestamp=1.0, expiry_at=NOW + 60), NOW)
    positions.take(entry(timestamp=2.0, expiry_at=NOW + 120), NOW)
    assert known(positions, NOW + 60)
    positions.take(entry(timestamp=3.0, expiry_at=NOW + 90), NOW + 60)
    assert known(positions, NOW + 89)
    assert not known(positions, NOW + 90)


def test_a_late_fix_does_not_revive_a_stream_that_was_cut_short(positions):
    positions.take(entry(timestamp=1.0, expiry_at=NOW + 60), NOW)
    positions.take(entry(timestamp=2.0, expiry_at=NOW + 120), NOW)
    positions.take(entry(timestamp=4.0, expiry_at=NOW + 1), NOW)
    for late in (2.0, 3.0):
        positions.take(entry(timestamp=late, expiry_at=NOW + 120), NOW + 70)
    assert not known(positions, NOW + 70)
    assert not known(positions, NOW + 120)
    assert len(positions) == 0


def test_changes_are_told_once_and_only_the_newest(positions):
    positions.take(entry(timestamp=1.0), NOW)
    positions.take(entry(to=TO_TEAM, timestamp=1.0), NOW)
    positions.take(entry(timestamp=2.0), NOW)
    assert [p.timestamp for p in positions.take_changes(NOW)] == [2.0, 1.0]
    assert not positions.has_changes
    assert positions.take_changes(NOW) == []
    positions.take(entry(timestamp=1.5), NOW)
    assert not positions.has_changes


def test_a_change_that_expired_before_it_was_told_is_not_told(positions):
    positions.take(entry(expiry_at=NOW + 1), NOW)
    assert positions.take_changes(NOW + 1) == []


def test_the_source_and_the_snowflake_that_came_are_kept(positions):
    positions.take(pb.ExtendedLiveLocation(live_location=location(), messageSnowflake=77), NOW, source=5)
    [position] = positions.current(NOW)
    assert position.source == 5
    [item] = pb.LiveLocations.FromString(position.item).extended_live_locations
    assert (item.messageSnowflake, item.live_location) == (77, location())


steps = st.lists(
    st.tuples(
        st.sampled_from([TO_BOB, TO_TEAM, TO_BOB_IN_TEAM]),
        st.integers(0, 5),
        st.sampled_from([1, 5, 20]),
        st.sampled_from([0, 1, 10]),
    ),
    max_size=40,
)


@given(steps)
def test_it_agrees_with_a_plain_model_of_the_rules(taken):
    positions, model, now = Positions(), {}, NOW
    for to, timestamp, lasts, wait in taken:
        now += wait
        one = entry(to=to, timestamp=float(timestamp), expiry_at=now + lasts)
        key = (ALICE, Recipient.of(one.live_location))
        model = {k: v for k, v in model.items() if v["forget_at"] > now}
        before = model.get(key, {"timestamp": -1, "forget_at": 0})
        if before["timestamp"] < timestamp:
            forget_at = max(before["forget_at"], now + lasts)
            model[key] = {"timestamp": timestamp, "expiry_at": now + lasts, "forget_at": forget_at}
        assert positions.take(one, now) == ""
        assert known(positions, now) == {k: v["timestamp"] for k, v in model.items() if v["expiry_at"] > now}
        assert len(positions) == len(model) == len(positions._forgetting)
    assert not known(positions, now + 20)
    assert len(positions) == len(positions._forgetting) == 0
