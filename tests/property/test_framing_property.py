"""Frames from any bytes in any pieces."""

from hypothesis import given, settings
from hypothesis import strategies as st

from parley.shared.errors import MalformedMessage, RemoteProtocolError
from parley.shared.wire.framing import FrameReader, encode_frame, read_datagram

LIMIT = 300
LONGEST_HEADER = 64 + 1 + 20 + 1

names = st.from_regex(r"[A-Z][A-Z0-9_]{0,63}", fullmatch=True)
payloads = st.binary(max_size=LIMIT) | st.sampled_from([b"\n", b" 0 \n", b"PING 0 \n", b"1 2 \n\n"])
frames = st.builds(encode_frame, names, payloads)
almost = st.lists(st.sampled_from([b"PING", b" ", b"0", b"9" * 12, b"\n", b"A", b"\xff", b"3 abc\n"])).map(b"".join)
"""Bytes that look like frames and mostly are none."""
streams = st.lists(frames | almost | st.binary(max_size=20), max_size=8).map(b"".join)
without_deadline = settings(deadline=None)


def pieces(draw, data):
    """Cut bytes anywhere, also into nothing."""
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def read(reads):
    reader = FrameReader(LIMIT)
    return reader, [(frame.name, frame.payload, frame.raw) for data in reads for frame in reader.feed(data)]


@without_deadline
@given(st.data(), st.lists(st.tuples(names, payloads), max_size=8))
def test_any_cutting_gives_back_what_was_encoded(data, messages):
    reader, got = read(pieces(data.draw, b"".join(encode_frame(*message) for message in messages)))
    assert got == [(name, payload, encode_frame(name, payload)) for name, payload in messages]
    assert (reader.error, reader.buffered) == (None, 0)


@without_deadline
@given(st.data(), streams)
def test_any_cutting_of_any_bytes_gives_the_same_frames_and_the_same_fault(data, stream):
    whole, expected = read([stream])
    cut, got = read(pieces(data.draw, stream))
    each, by_byte = read(bytes([byte]) for byte in stream)
    assert got == by_byte == expected
    assert type(cut.error) is type(each.error) is type(whole.error)
    assert cut.buffered == each.buffered == whole.buffered


@without_deadline
@given(st.lists(st.binary(max_size=400) | almost, max_size=10))
def test_any_bytes_raise_nothing_and_cost_at_most_one_frame(reads):
    reader = FrameReader(LIMIT)
    for data in reads:
        reader.feed(data)
        assert reader.buffered <= LIMIT + LONGEST_HEADER
    assert reader.error is None or isinstance(reader.error, RemoteProtocolError)


@without_deadline
@given(streams)
def test_frames_and_leftover_are_the_stream_itself(stream):
    reader, got = read([stream])
    joined = b"".join(raw for _, _, raw in got)
    assert stream.startswith(joined)
    if reader.error is None:
        assert len(joined) + reader.buffered == len(stream)


@without_deadline
@given(st.binary(max_size=100) | almost | frames)
def test_a_datagram_is_read_just_when_a_stream_would_read_it_whole(data):
    reader, got = read([data])
    try:
        frame = read_datagram(data)
    except MalformedMessage:
        assert len(got) != 1 or got[0][2] != data
    else:
        assert got == [(frame.name, frame.payload, data)]
        assert (reader.error, reader.buffered) == (None, 0)
