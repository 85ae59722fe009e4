"""The judge of frames finds whatever is Parley's alone, and nothing in what an existing program sends."""

import json
from pathlib import Path

import pytest

from tests.interop.parley_only import parley_only
from tests.support import plain_wire as wire

VECTORS = json.loads(Path(__file__).parents[1].joinpath("data/wire_frames.json").read_text(encoding="utf-8"))
FIELD_100 = b"\xa0\x06\x01"
FIELD_120 = b"\xc0\x07\x01"


def of(name, **fields):
    return wire.encode_payload(wire.NAMES[name], fields)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['name']}: {vector['case']}")
def test_nothing_is_wrong_with_what_an_existing_program_sent(vector):
    name, payload = wire.only_frame(bytes.fromhex(vector["frame_hex"]))
    wrong = parley_only(name, payload, wire.NAMES)
    assert [each for each in wrong if "0x0A" not in each] == []


def test_a_name_of_ours_or_of_the_sheet_is_for_who_knows_it():
    assert parley_only("PIECE", b"", wire.NAMES) == ["PIECE: a name that it does not know"]
    assert parley_only("SEARCH_USERS", b"\x08\x01", wire.NAMES) == ["SEARCH_USERS: a name that it does not know"]
    assert parley_only("SEARCH_USERS", b"\x08\x01", {**wire.NAMES, **wire.SHEET}) == []


def test_a_field_from_100_up_is_ours():
    assert parley_only("CONNECTED", of("CONNECTED", result=1) + FIELD_100, wire.NAMES) == [
        "CONNECTED: ConnectResponse 100"
    ]


def test_it_is_ours_at_any_depth():
    location = of("LIVE_LOCATION", location={"latitude": 1.0}) + FIELD_120
    entry = b"\x0a" + bytes([len(location)]) + location
    payload = b"\x0a" + bytes([len(entry)]) + entry
    assert parley_only("LIVE_LOCATIONS", payload, wire.NAMES) == ["LIVE_LOCATIONS: LiveLocation 120"]


def test_a_payload_may_not_end_in_a_line_feed():
    payload = of("MESSAGE", messageSnowflake=1, textContent="a line\n")
    assert parley_only("MESSAGE", payload, wire.NAMES) == ["MESSAGE: a payload that ends in 0x0A"]


def test_one_field_that_nobody_knows_may_stand_behind_a_line_feed():
    payload = of("MESSAGE", messageSnowflake=1, textContent="a line\n")
    assert parley_only("MESSAGE", payload + FIELD_120, wire.NAMES) == []
    assert parley_only("MESSAGE", payload + FIELD_120 + FIELD_120, wire.NAMES) == ["MESSAGE: ChatMessage 120"]
    assert parley_only("MESSAGE", payload[:-1] + b"!" + FIELD_120, wire.NAMES) == ["MESSAGE: ChatMessage 120"]


def test_a_location_without_a_place_is_last():
    with_one, without = {"live_location": {"location": {"latitude": 1.0}}}, {"live_location": {"timestamp": 1.0}}
    payload = of("LIVE_LOCATIONS", extended_live_locations=[with_one, without])
    assert parley_only("LIVE_LOCATIONS", payload, wire.NAMES) == []
    payload = of("LIVE_LOCATIONS", extended_live_locations=[without, with_one])
    assert parley_only("LIVE_LOCATIONS", payload, wire.NAMES) == [
        "LIVE_LOCATIONS: a location without a place that is not the last"
    ]


def test_what_does_not_parse_is_wrong():
    assert parley_only("MESSAGE", b"\x08", wire.NAMES) == ["MESSAGE: a payload that does not parse"]
