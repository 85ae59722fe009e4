"""The frames that an existing implementation produced: each decodes to its fields and encodes to its bytes."""

import itertools
import json
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from parley.shared.wire.framing import FrameReader, read_datagram
from parley.shared.wire.messages import REGISTRY, decode, encode

VECTORS = json.loads(Path(__file__).parents[1].joinpath("data/wire_frames.json").read_text(encoding="utf-8"))
STREAM = b"".join(bytes.fromhex(vector["frame_hex"]) for vector in VECTORS)
LIMIT = max(len(vector["frame_hex"]) // 2 for vector in VECTORS)

each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['name']}: {v['case']}")


def fields(frame):
    return MessageToDict(decode(frame, REGISTRY[frame.name]), preserving_proto_field_name=True)


def read(*reads):
    reader = FrameReader(LIMIT)
    frames = [frame for data in reads for frame in reader.feed(data)]
    assert reader.error is None
    assert reader.buffered == 0
    return frames


def assert_all_vectors(frames):
    assert [frame.name for frame in frames] == [vector["name"] for vector in VECTORS]
    assert [frame.raw.hex() for frame in frames] == [vector["frame_hex"] for vector in VECTORS]
    assert [fields(frame) for frame in frames] == [vector["fields"] for vector in VECTORS]


def test_there_are_fifty_vectors():
    assert len(VECTORS) == 50


@each_vector
def test_decodes_to_its_fields(vector):
    (frame,) = read(bytes.fromhex(vector["frame_hex"]))
    assert (frame.name, fields(frame)) == (vector["name"], vector["fields"])


@each_vector
def test_encodes_to_its_bytes(vector):
    payload = ParseDict(vector["fields"], REGISTRY[vector["name"]]())
    assert encode(vector["name"], payload).hex() == vector["frame_hex"]


@each_vector
def test_encodes_back_from_what_was_decoded(vector):
    (frame,) = read(bytes.fromhex(vector["frame_hex"]))
    assert encode(frame.name, decode(frame, REGISTRY[frame.name])) == frame.raw


@each_vector
def test_the_registry_has_the_type_of_the_table(vector):
    assert vector["type"] in (None, REGISTRY[vector["name"]].DESCRIPTOR.name)


@each_vector
def test_reads_byte_by_byte(vector):
    data = bytes.fromhex(vector["frame_hex"])
    reader = FrameReader(LIMIT)
    *nothing, last = [reader.feed(bytes([byte])) for byte in data]
    assert not any(nothing)
    assert [frame.raw for frame in last] == [data]


@each_vector
def test_reads_cut_at_every_position(vector):
    data = bytes.fromhex(vector["frame_hex"])
    for cut in range(len(data) + 1):
        assert [frame.raw for frame in read(data[:cut], data[cut:])] == [data]


@each_vector
def test_reads_with_bytes_of_the_next_behind_it(vector):
    data = bytes.fromhex(vector["frame_hex"])
    after = b"PING 0 \n"
    for size in range(len(after) + 1):
        reader = FrameReader(LIMIT)
        assert next(frame.raw for frame in reader.feed(data + after[:size])) == data
        reader.feed(after[size:])
        assert (reader.error, reader.buffered) == (None, 0)


@each_vector
def test_reads_as_a_datagram(vector):
    frame = read_datagram(bytes.fromhex(vector["frame_hex"]))
    assert (frame.name, fields(frame)) == (vector["name"], vector["fields"])


def test_all_in_one_read():
    assert_all_vectors(read(STREAM))


def test_all_byte_by_byte():
    assert_all_vectors(read(*(bytes([byte]) for byte in STREAM)))


@pytest.mark.parametrize("size", [2, 3, 7, 64, 1000])
def test_all_in_reads_of_one_size(size):
    assert_all_vectors(read(*(STREAM[i : i + size] for i in range(0, len(STREAM), size))))


def test_all_with_the_stream_cut_at_every_position():
    expected = [vector["frame_hex"] for vector in VECTORS]
    for cut in range(len(STREAM)):
        assert [frame.raw.hex() for frame in read(STREAM[:cut], STREAM[cut:])] == expected


def test_each_pair_in_one_read():
    frames = {bytes.fromhex(vector["frame_hex"]) for vector in VECTORS}
    for one, other in itertools.product(frames, frames):
        assert [frame.raw for frame in read(one + other)] == [one, other]
