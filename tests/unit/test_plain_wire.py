"""The stand-in programs' own codec against the recorded frames and against bytes that are no frame."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import plain_wire as wire

VECTORS = json.loads(Path(__file__).parents[1].joinpath("data/wire_frames.json").read_text(encoding="utf-8"))
BOB = {"userId": "bob", "serverId": "beta"}


def _python(fields: Any) -> Any:
    """Turn the vectors' JSON values into the codec's: 64-bit numbers and bytes are strings there."""
    if isinstance(fields, list):
        return [_python(each) for each in fields]
    if not isinstance(fields, dict):
        return fields
    special = {"messageSnowflake": int, "documentSnowflake": int, "data": base64.b64decode}
    return {key: special.get(key, _python)(value) for key, value in fields.items()}


def test_there_are_fifty_vectors():
    assert len(VECTORS) == 50


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['name']}: {vector['case']}")
class TestVectors:
    def test_decodes_to_its_fields(self, vector):
        assert wire.decode(bytes.fromhex(vector["frame_hex"])) == (vector["name"], _python(vector["fields"]))

    def test_encodes_to_its_bytes(self, vector):
        assert wire.encode(vector["name"], _python(vector["fields"])).hex() == vector["frame_hex"]

    def test_type_is_the_one_of_the_table(self, vector):
        assert vector["type"] in (None, wire.NAMES[vector["name"]])

    def test_reads_byte_by_byte(self, vector):
        reader = wire.FrameReader()
        data = bytes.fromhex(vector["frame_hex"])
        frames = [each for byte in data for each in reader.feed(bytes([byte]))]
        assert [wire.frame(*each) for each in frames] == [data]
        assert reader.pending == b""


def test_all_vectors_in_one_stream():
    reader = wire.FrameReader()
    stream = b"".join(bytes.fromhex(vector["frame_hex"]) for vector in VECTORS)
    assert [name for name, _ in reader.feed(stream)] == [vector["name"] for vector in VECTORS]


def test_fields_from_100_up_are_skipped():
    added = b"\xa0\x06\x05" + b"\xaa\x06\x03abc" + b"\xb1\x06" + bytes(8) + b"\xbd\x06" + bytes(4)
    fields = {"serverId": "beta", "features": ["MESSAGES"]}
    payload = wire.encode_payload("ConnectServer", fields)
    assert wire.parse("CONNECT_SERVER", added + payload + added) == fields


def test_unknown_name_is_a_frame_without_fields():
    assert wire.decode(b"FOO_BAR 3 \xff\xff\xff\n") == ("FOO_BAR", {})


def test_the_last_member_of_a_oneof_wins():
    first = wire.encode_payload("ChatMessage", {"textContent": "x"})
    then = wire.encode_payload("ChatMessage", {"document": {"documentId": "d"}})
    assert wire.parse("MESSAGE", first + then) == {"document": {"documentId": "d"}}


def test_an_explicit_default_counts_as_absent():
    assert wire.parse("CONNECTED", b"\x08\x00") == {}


def test_a_message_in_two_parts_is_merged():
    parts = [{"user": {"userId": "bob"}}, {"user": {"serverId": "beta"}}]
    payload = b"".join(wire.encode_payload("ConnectClient", part) for part in parts)
    assert wire.parse("CONNECT_CLIENT", payload) == {"user": BOB}


def test_negative_numbers_survive():
    assert wire.decode(wire.encode("CONNECT_CLIENT", {"udpPort": -1}))[1] == {"udpPort": -1}


def test_an_enum_number_without_a_name_survives():
    assert wire.decode(wire.encode("HANGUP", {"reason": 77}))[1] == {"reason": 77}


@pytest.mark.parametrize("fields", [{"udpPort": 1 << 31}, {"nonsense": 1}])
def test_what_does_not_fit_is_not_encoded(fields):
    with pytest.raises(ValueError, match=r"does not fit|has no"):
        wire.encode("CONNECT_CLIENT", fields)


@pytest.mark.parametrize(
    "data",
    [
        b"ping 0 \n",
        b"PING  0 \n",
        b"PING x \n",
        b"PING -1 \n",
        b"PING 0\n",
        b"PING 0 x",
        b"PING 0 \nPING 0 \n",
        b"PING 1 \n",
        b"A" * wire.HEADER_LIMIT,
        b"",
        b"CONNECTED 1 \x08\n",  # a key without its value
        b"CONNECTED 2 \x08\xff\n",  # a varint that does not end
        b"CONNECT_CLIENT 2 \x0a\x05\n",  # longer than the payload
        b"CONNECT_SERVER 3 \x0a\x01\xff\n",  # not UTF-8
        b"CONNECTED 2 \x00\x01\n",  # field number 0
        b"CONNECTED 1 \x0b\n",  # a wire type that proto3 does not write
    ],
)
def test_what_is_no_frame_is_malformed(data):
    with pytest.raises(wire.MalformedError):
        wire.decode(data)


def test_an_oversized_frame_is_refused_from_its_header():
    with pytest.raises(wire.TooLargeError):
        list(wire.FrameReader(limit=10).feed(b"MESSAGE 11 "))
