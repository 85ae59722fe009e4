"""Lists in datagrams: whole, in order, never longer than an existing program's buffer."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.shared.errors import MalformedMessage
from parley.shared.soft_state.datagram_lists import PART, fits, pack, parts, room
from parley.shared.wire.framing import MAX_DATAGRAM, encode_frame, read_datagram
from parley.shared.wire.messages import REGISTRY, decode, pb

NAMES = ["TYPING_EVENTS", "LIVE_LOCATIONS"]

names = st.sampled_from(NAMES)
users = st.builds(pb.User, userId=st.text(max_size=60), serverId=st.text(max_size=60))
events = st.lists(st.builds(pb.TypingEvent, user=users, timestamp=st.floats()), max_size=120)


def item_of(event):
    return pb.TypingEvents(typing_events=[event]).SerializeToString()


def payloads(datagrams):
    return [read_datagram(datagram).payload for datagram in datagrams]


@given(events)
def test_a_list_comes_out_whole_and_in_order_in_datagrams_that_fit(typing_events):
    datagrams = list(pack("TYPING_EVENTS", map(item_of, typing_events)))
    assert all(len(datagram) <= MAX_DATAGRAM for datagram in datagrams)
    out = [e for d in datagrams for e in decode(read_datagram(d), pb.TypingEvents).typing_events]
    assert list(map(item_of, out)) == list(map(item_of, typing_events))


@given(names, st.lists(st.binary(min_size=1, max_size=500), min_size=1))
def test_no_two_neighbours_would_have_fitted_in_one(name, items):
    pages = payloads(pack(name, items))
    assert b"".join(pages) == b"".join(items)
    position = 0
    for page, _following in pairwise(pages):
        position += len(page)
        assert len(page) + len(_item_at(items, position)) > room(name)


def _item_at(items, position):
    """The item that begins at this byte of all of them."""
    for item in items:
        if position == 0:
            return item
        position -= len(item)
    raise AssertionError("an item was cut")


@given(names, st.lists(st.binary(min_size=1, max_size=300)), st.integers(0, 60))
def test_nothing_goes_out_beyond_the_datagram_that_holds_what_is_needed(name, items, needed):
    everything, some = list(pack(name, items)), list(pack(name, items, needed))
    assert some == everything[: len(some)]
    sent = sum(map(len, payloads(some)))
    assert sent >= sum(map(len, items[:needed]))
    before_last = sum(map(len, payloads(some[:-1])))
    assert not some[1:] or before_last < sum(map(len, items[:needed]))


@pytest.mark.parametrize("name", NAMES)
def test_the_largest_item_that_fits_makes_the_largest_datagram(name):
    largest = b"x" * room(name)
    assert fits(name, largest)
    assert not fits(name, largest + b"x")
    [datagram] = pack(name, [largest])
    assert len(datagram) == MAX_DATAGRAM


def test_an_empty_list_is_no_datagram():
    assert not list(pack("TYPING_EVENTS", []))


@pytest.mark.parametrize("name", NAMES)
def test_the_lists_have_repeated_fields_only_so_joined_items_are_a_list(name):
    for field in REGISTRY[name].DESCRIPTOR.fields:
        assert field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def list_of(payload):
    return read_datagram(encode_frame("TYPING_EVENTS", payload))


@given(st.lists(events, max_size=8), st.binary(max_size=20))
def test_a_list_that_came_is_the_parts_that_it_is_taken_in(some, name):
    """Fields that are not known, of each kind, are no reason to take more at a time."""
    unknown = b"\xa0\x3f\x96\x01" + b"\xa5\x3f1234" + b"\xa1\x3f12345678" + b"\xa2\x3f" + bytes([len(name)]) + name
    payload = unknown.join(item_of(event) for each in some for event in each * 20)
    found = [part.payload for part in parts(list_of(payload))]
    assert b"".join(found) == payload
    out = [e for part in found for e in pb.TypingEvents.FromString(part).typing_events]
    assert list(map(item_of, out)) == list(map(item_of, pb.TypingEvents.FromString(payload).typing_events))
    largest = max((len(item_of(event)) for each in some for event in each), default=0)
    assert all(len(part) < PART + largest + len(unknown) for part in found)


@pytest.mark.parametrize("end", [b"\x0a", b"\x0a\x05abc", b"\xff" * 11, b"\x0b\x0c", b"\x0f\x00", b"\x0d123"])
def test_what_is_no_list_is_malformed_and_what_came_before_it_was_taken(end):
    some = b"\x0a\x00" * PART
    found = []
    with pytest.raises(MalformedMessage):
        found.extend(part.payload for part in parts(list_of(some + end)))
    assert b"".join(found) == some[: PART * (len(found))]
    assert found
