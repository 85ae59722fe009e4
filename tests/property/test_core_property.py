"""What is compiled (shared/core) against its twins in Python: whatever comes, both do the same."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.services.chat.deduplication.recent import PureRecentMessages
from parley.shared.addresses import Group, User
from parley.shared.compiled import core
from parley.shared.telemetry.tallies import PureBuckets, PureCounts
from parley.shared.wire.framing import PureFrameReader, count_pure, count_sent_pure, encode_frame

pytestmark = pytest.mark.skipif(core is None, reason="the compiled core is not here")

VECTORS = json.loads(Path(__file__).parents[1].joinpath("data/wire_frames.json").read_text(encoding="utf-8"))
LIMIT = 300
CONTROL = frozenset({"PING", "HANGUP", "A" * 64})
without_deadline = settings(deadline=None)

# Streams ------------------------------------------------------------------------------------------------

known_names = st.sampled_from(
    ["PING", "MESSAGE", "MESSAGE_ACK", "A", "A" * 64, "A" * 65, "B" * 200, "a", "_A", "A_9"]
)
names = known_names | st.from_regex(r"[A-Z][A-Z0-9_]{0,63}", fullmatch=True)
payloads = st.binary(max_size=40) | st.sampled_from([b"", b"\n", b"PING 0 \n", b"x" * LIMIT, b"x" * (LIMIT + 1)])
frames = st.builds(encode_frame, names, payloads)
lengths = st.sampled_from(
    [
        *(b"%d" % number for number in (0, 1, LIMIT, LIMIT + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**20 - 1)),
        *(b"0" * count + b"2" for count in (1, 18, 19, 20)),
        *(b"1" * count for count in (18, 19, 20, 21, 90)),
        *(b"", b"-1", b"+1", b"1_0", b" 1", b"1x", "²".encode()),
    ]
)
announced = st.builds(b"%s %s %s".__mod__, st.tuples(names.map(str.encode), lengths, payloads))
vectors = st.sampled_from([bytes.fromhex(vector["frame_hex"]) for vector in VECTORS])


@st.composite
def spoilt(draw):
    """A frame with a byte changed, gone or too many, or cut."""
    raw = bytearray(draw(frames | vectors))
    at = draw(st.integers(0, len(raw) - 1))
    how = draw(st.sampled_from(["change", "delete", "insert", "cut"]))
    if how == "change":
        raw[at] = draw(st.sampled_from(b" \n09AZa\x00\xff"))
    elif how == "delete":
        del raw[at]
    elif how == "insert":
        raw.insert(at, draw(st.sampled_from(b" \n09AZa\x00\xff")))
    else:
        del raw[at:]
    return bytes(raw)


streams = st.lists(frames | frames | vectors | vectors | announced | spoilt(), max_size=8).map(b"".join)


@st.composite
def cut_streams(draw):
    stream = draw(streams | st.binary(max_size=30))
    if draw(st.booleans()) and len(stream) < LIMIT:
        return [stream[at : at + 1] for at in range(len(stream))]
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def told(reader, data):
    """All that a reader says of one read."""
    got = [(frame.name, frame.raw, frame.payload, repr(frame)) for frame in reader.feed(data)]
    error = reader.error
    return got, type(error), str(error), reader.buffered, reader.has_control


@settings(deadline=None, max_examples=500)
@given(cut_streams(), st.sampled_from([0, 1, LIMIT, 4 << 20, 2**63 - 1]))
def test_the_readers_tell_the_same_of_any_stream_in_any_pieces(reads, limit):
    compiled, pure = core.FrameReader(limit, CONTROL), PureFrameReader(limit, CONTROL)
    for data in [*reads, b"", b"PING 0 \n"]:
        assert told(compiled, data) == told(pure, data)


def test_the_readers_tell_the_same_of_a_frame_cut_anywhere():
    raw = encode_frame("A" * 64, b"x" * LIMIT)
    for end in range(len(raw)):
        compiled, pure = core.FrameReader(LIMIT, CONTROL), PureFrameReader(LIMIT, CONTROL)
        for data in (raw[:end], raw[end:], raw):
            assert told(compiled, data) == told(pure, data)


@without_deadline
@given(st.lists(st.tuples(names, payloads), max_size=8), st.sets(known_names.filter(lambda name: len(name) <= 64)))
def test_the_counts_are_the_same(messages, counted):
    raws = [encode_frame(*message) for message in messages] * 2
    compiled, pure = (kind([*counted, "other"]) for kind in (core.Counts, PureCounts))
    core.count_sent(raws, compiled)
    count_sent_pure(raws, pure)
    assert compiled.items() == list(pure.items())
    stream = b"".join(raws)
    core.count_frames(core.FrameReader(LIMIT).feed(stream), compiled)
    count_pure(PureFrameReader(LIMIT).feed(stream), pure)
    assert compiled.items() == list(pure.items())
    for name in [*counted, *(name for name, _ in messages), "", "é"]:
        compiled.add(name, 3)
        pure.add(name, 3)
    assert compiled.items() == list(pure.items())
    assert len(compiled) == len(pure)


@given(st.lists(st.floats(0, 100), unique=True, max_size=20).map(sorted), st.data())
def test_the_buckets_are_the_same(bounds, data):
    compiled, pure = core.Buckets(bounds), PureBuckets(bounds)
    values = st.floats(-1, 101) | (st.sampled_from(bounds) if bounds else st.nothing())
    for value, times in data.draw(st.lists(st.tuples(values, st.integers(0, 300)))):
        compiled.observe(value, times)
        pure.observe(value, times)
    assert (compiled.bounds, compiled.counts, compiled.total) == (pure.bounds, pure.counts, pure.total)


@pytest.mark.parametrize(
    "raw", [b"", b" ", b" 0 \n", b"PING", b"PINGPONG 0 \n", b"P" * 64, b"P" * 65 + b" ", b"P" * 99]
)
def test_what_is_no_frame_is_counted_the_same(raw):
    for raws in ([raw], [raw, raw], [b"PING 0 \n", raw, b"PING 0 \n"], [raw, b"PING 0 \n", b"PING 0 \n"]):
        compiled, pure = (kind(["PING", "other"]) for kind in (core.Counts, PureCounts))
        core.count_sent(raws, compiled)
        count_sent_pure(raws, pure)
        assert compiled.items() == list(pure.items())


# Memory -----------------------------------------------------------------------------------------------------

authors = st.sampled_from([User("ann", "alpha"), User("amy", "alpha"), User("bob", "beta")])
recipients = st.sampled_from([User("ann", "alpha"), User("bob", "beta"), Group("team", "alpha")])
numbers = st.sampled_from([0, 1, 2, 3, 7, 1 << 48, 2 << 48, 3 << 48, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
keys = st.integers(0, 12).map(lambda n: bytes([n]) * 16 if n else b"")
operations = st.lists(
    st.one_of(
        st.tuples(st.just("note"), keys, st.sampled_from([None, 0, 1, 2, 5, 8])),
        st.tuples(st.just("knows"), keys),
        st.tuples(st.just("status"), keys),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 9), st.dictionaries(keys, st.sampled_from([0, 1, 2])), operations)
def test_the_memories_remember_and_forget_the_same(limit, on_disk, story):
    compiled, pure = core.RecentMessages(on_disk.get, limit), PureRecentMessages(on_disk.get, limit)
    for name, *values in story:
        assert getattr(compiled, name)(*values) == getattr(pure, name)(*values)
        assert len(compiled) == len(pure) <= limit
