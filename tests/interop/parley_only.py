"""What of a frame is Parley's alone, and so may go to no existing program. Pure.

Nothing is: no name but those that the program knows, no field from 100 up, at any depth, and no payload that ends
in 0x0A. One exception: behind a payload that would end in 0x0A there may be one more field that nobody knows. A
location without a place is last in its list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tests.support import plain_wire as wire

OURS = 100
"""Fields from here on are ours."""
LINE_FEED = b"\n"


def parley_only(name: str, payload: bytes, names: Collection[str]) -> list[str]:
    """What is wrong with a frame to a program that knows these names; empty where nothing is."""
    if name not in names:
        return [f"{name}: a name that it does not know"]
    faults = []
    if payload.endswith(LINE_FEED):
        faults.append(f"{name}: a payload that ends in 0x0A")
    kind = wire.NAMES.get(name) or wire.SHEET[name]
    try:
        numbers = list(_ours(kind, _without_ending(payload)))
        places = ["location" in each for each in _locations(name, payload)]
    except wire.MalformedError:
        return [*faults, f"{name}: a payload that does not parse"]
    if False in places[:-1]:
        faults.append(f"{name}: a location without a place that is not the last")
    return [*faults, *(f"{name}: {each}" for each in dict.fromkeys(numbers))]


def _locations(name: str, payload: bytes) -> list[wire.Fields]:
    """Those of LIVE_LOCATIONS: a client loses what is behind one without a place."""
    entries = wire.parse(name, payload).get("extended_live_locations", [])
    return [each.get("live_location", {}) for each in entries]


def _without_ending(payload: bytes) -> bytes:
    """The payload without the one field behind a 0x0A at its end that nobody knows."""
    before = 0
    for number, _, _, end in wire.walk(payload):
        if end == len(payload) and number >= OURS and payload[:before].endswith(LINE_FEED):
            return payload[:before]
        before = end
    return payload


def _ours(kind: str, payload: bytes) -> Iterator[str]:
    fields = {(field.number, field.wire_type): field for field in wire.FIELDS[kind]}
    for number, wire_type, raw, _ in wire.walk(payload):
        field = fields.get((number, wire_type))
        if number >= OURS:
            yield f"{kind} {number}"
        elif field is not None and field.kind in wire.TYPES:
            yield from _ours(field.kind, raw)
