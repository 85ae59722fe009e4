"""Lists for existing programs: no field of ours, however deep; no 0x0A at the end; what has ended is the last."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.services.location.lists import MOST_ENDED, Lists
from parley.services.location.positions import Positions
from parley.services.typing.indicators import Indicators
from parley.shared.addresses import User
from parley.shared.dialects.rewriting import END, plain
from parley.shared.soft_state.datagram_lists import TimedItem, fits, pack_plain
from parley.shared.wire.framing import MAX_DATAGRAM, read_datagram
from parley.shared.wire.messages import pb
from tests.interop.parley_only import parley_only
from tests.support import plain_wire as wire

NOW = 1_753_142_400.0
LISTS = {"TYPING_EVENTS": 105, "LIVE_LOCATIONS": 100}
"""Name → the field that is another each time an entry is sent."""
FOREIGN = b"\xfa\x02\x02\x08\x07"
"""Field 47, as an existing program may have one."""
NEWER = b"\xc2\x3e\x02\x08\x07"
"""Field 1000, as a later Parley may have one."""

names = st.text("ab\n", max_size=3)
BY_0X0A = struct.unpack("<d", b"\x00" * 7 + b"\n")[0]
"""A number so near to 0 that it ends in 0x0A."""
numbers = st.sampled_from([0.0, 1.0, BY_0X0A, -BY_0X0A, NOW]) | st.floats(allow_nan=False)
extras = st.sampled_from([b"", FOREIGN, NEWER, FOREIGN + NEWER])
users = st.builds(
    lambda extra, **known: pb.User.FromString(pb.User(**known).SerializeToString() + extra),
    extras,
    userId=names,
    serverId=names,
)
groups = st.builds(pb.Group, groupId=names, serverId=names)
members = st.builds(pb.UserOfGroup, user=users, group=groups)


def one_of(**choices):
    return st.one_of(st.just({}), *(st.fixed_dictionaries({key: value}) for key, value in choices.items()))


events = st.builds(
    lambda to, **fields: pb.TypingEvent(**to, **fields),
    one_of(to_user=users, to_group=groups, to_member=members),
    user=users,
    timestamp=numbers,
    stopped=st.booleans(),
    confirm=st.booleans(),
)
places = st.none() | st.builds(pb.Location, latitude=numbers, longitude=numbers)
locations = st.builds(
    lambda to, **fields: pb.LiveLocation(**to, **fields),
    one_of(user=users, group=groups, userOfGroup=members),
    author=users,
    timestamp=numbers,
    expiry_at=numbers,
    location=places,
    stopped=st.booleans(),
    device=st.integers(0, 9),
)
entries = st.builds(
    pb.ExtendedLiveLocation,
    live_location=locations,
    messageSnowflake=st.sampled_from([0, 1, 10, 10 << 7 | 1, 10 << 56 | 0x80]),
)


@given(st.one_of(st.tuples(st.just("TYPING_EVENTS"), events), st.tuples(st.just("LIVE_LOCATIONS"), entries)))
def test_an_item_has_no_field_of_ours_and_ends_in_another_byte_than_0x0a(case):
    name, message = case
    item = TimedItem(1, LISTS[name], message)
    assert not item.plain.endswith(b"\n")
    assert len(item.plain) <= len(item)
    assert wire.parse(name, item.plain) == wire.parse(name, item.at(1.0))
    if faults := parley_only(name, item.plain, wire.NAMES):
        assert faults == [f"{name}: {type(message).__name__} 120"]
        assert item.plain.removesuffix(END).endswith(b"\n")


def test_a_field_of_an_existing_program_stays():
    event = pb.TypingEvent.FromString(pb.TypingEvent(timestamp=1.0, stopped=True).SerializeToString() + FOREIGN)
    assert FOREIGN in plain(event)
    assert parley_only("TYPING_EVENT", plain(event), wire.NAMES) == []


def test_a_field_that_cannot_be_read_is_left_out_with_all_others_that_are_not_known():
    group = b"\x7b\xa0\x06\x01\x7c"  # field 15, of the kind that begins and ends, with field 100 in it
    event = pb.TypingEvent.FromString(pb.TypingEvent(timestamp=1.0, stopped=True).SerializeToString() + group)
    assert group in event.SerializeToString()
    assert plain(event) == pb.TypingEvent(timestamp=1.0).SerializeToString()


def test_who_stopped_typing_is_told_to_parleys_alone():
    indicators = Indicators(6.0)
    for at, stopped in ((1.0, False), (2.0, True)):
        event = pb.TypingEvent(user=pb.User(userId="ann", serverId="alpha"), timestamp=at, stopped=stopped)
        assert indicators.update(event, 0.0, NOW) == ""
        [entry] = indicators.all()
        assert entry.item(0.0)
        assert bool(entry.plain) is not stopped


# What has ended -----------------------------------------------------------------------------------


class Client:
    def __init__(self, *, is_parley):
        self.is_parley = is_parley


def positions(live, over):
    """So many streams that go on, and that are over, each of its own author for bob."""
    table = Positions()
    for number in range(live + over):
        author = pb.User(userId=f"a{number}", serverId="alpha")
        location = pb.LiveLocation(
            author=author,
            user=pb.User(userId="bob", serverId="alpha"),
            timestamp=NOW,
            expiry_at=NOW + 60,
            location=pb.Location(latitude=1.0, longitude=2.0),
        )
        assert table.update(pb.ExtendedLiveLocation(live_location=location), NOW, NOW) == ""
        if number >= live:
            location.stopped, location.timestamp = True, NOW + 1
            assert table.update(pb.ExtendedLiveLocation(live_location=location), NOW, NOW) == ""
    return table


def told(client, table):
    lists = Lists(NOW)
    for position in table.all():
        lists.add(client, position)
    return [list(datagrams) for _, datagrams in lists.datagrams()]


@pytest.mark.parametrize(("live", "over"), [(0, 1), (1, 1), (3, 4), (40, 3), (0, MOST_ENDED + 5)])
def test_an_existing_client_loses_nothing_behind_a_position_that_is_over(live, over):
    [datagrams] = told(Client(is_parley=False), positions(live, over))
    assert all(len(datagram) <= MAX_DATAGRAM for datagram in datagrams)
    authors, ended = [], []
    for datagram in datagrams:
        entries = wire.decode(datagram)[1]["extended_live_locations"]
        assert parley_only("LIVE_LOCATIONS", read_datagram(datagram).payload, wire.NAMES) == []
        for place, entry in enumerate(entries, start=1):
            location = entry["live_location"]
            if "location" not in location:
                assert place == len(entries)
                assert location["expiry_at"] <= location["timestamp"]
                ended.append(location["author"]["userId"])
            authors.append(location["author"]["userId"])
    newest = [f"a{number}" for number in range(live + over)][-MOST_ENDED:]
    assert sorted(ended) == sorted(newest[-over:])
    assert sorted(authors) == sorted([*ended, *(f"a{number}" for number in range(live))])


def test_a_parley_is_told_of_what_has_ended_in_as_few_datagrams_as_of_all_else():
    [datagrams] = told(Client(is_parley=True), positions(3, 4))
    assert len(datagrams) == 1
    [both] = [pb.LiveLocations.FromString(read_datagram(each).payload) for each in datagrams]
    assert sum(entry.live_location.stopped for entry in both.extended_live_locations) == 4


@given(st.lists(st.binary(min_size=1, max_size=400)), st.lists(st.binary(min_size=1, max_size=400)))
def test_each_that_has_ended_is_the_last_of_its_list(live, ended):
    lists = [read_datagram(each).payload for each in pack_plain("LIVE_LOCATIONS", live, ended)]
    assert b"".join(lists) == b"".join([*live, *ended])
    ends = set(itertools.accumulate(map(len, lists)))
    at = sum(map(len, live))
    for item in ended:
        at += len(item)
        assert at in ends
    assert all(fits("LIVE_LOCATIONS", each) for each in lists)


def test_what_an_author_may_not_be_seen_at_any_more_is_told_without_the_place():
    """Blocked: neither the last place nor the one before is shown again."""
    [position] = positions(1, 0).all()
    gone = position.gone()
    assert gone.is_over
    for item in (gone.plain, gone.item(NOW)):
        [entry] = pb.LiveLocations.FromString(item).extended_live_locations
        assert not entry.live_location.HasField("location")
        assert User.of(entry.live_location.author) == position.author
    back = wire.parse("LIVE_LOCATIONS", position.back().plain)["extended_live_locations"][0]["live_location"]
    assert back["location"] == {"latitude": 1.0, "longitude": 2.0}
    assert back["timestamp"] > position.timestamp
