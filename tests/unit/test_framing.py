"""Frames out of a stream and out of datagrams: cut where only LENGTH says, refused as early as can be."""

import pytest

from parley.shared.errors import FrameTooLarge, MalformedMessage
from parley.shared.wire.framing import BEGAN_TLS, MAX_DATAGRAM, FrameReader, encode_frame, read_datagram

LIMIT = 1000
GIB = 1 << 30


def read(*reads, limit=LIMIT):
    """Feed each read; return the reader and what came out, as (name, payload)."""
    reader = FrameReader(limit)
    return reader, [(frame.name, frame.payload) for data in reads for frame in reader.feed(data)]


def test_a_frame_is_name_length_payload_and_line_feed():
    assert encode_frame("PING") == b"PING 0 \n"
    assert encode_frame("MESSAGE", b"ab c") == b"MESSAGE 4 ab c\n"


@pytest.mark.parametrize(
    "payload", [b"", b"\n", b"\n\n", b" ", b"a b\nPING 0 \n", b"PING 0 \n", b"\x00\xff\n", bytes(range(256))]
)
def test_only_the_length_delimits_a_payload(payload):
    raw = encode_frame("MESSAGE", payload)
    for data in (raw, raw + b"PING 0 \n"):
        reader = FrameReader(LIMIT)
        first, *rest = reader.feed(data)
        assert (first.name, first.payload, first.raw) == ("MESSAGE", payload, raw)
        assert [frame.raw for frame in rest] == [data[len(raw) :]] * (len(data) > len(raw))
        assert reader.error is None
        assert reader.buffered == 0


def test_a_payload_that_ends_in_a_line_feed_waits_for_the_one_behind_it():
    reader, frames = read(b"MESSAGE 3 ab\n")
    assert frames == []
    assert [frame.payload for frame in reader.feed(b"\n")] == [b"ab\n"]


def test_a_name_may_hold_digits_and_underscores():
    assert read(b"A_1 0 \n")[1] == [("A_1", b"")]
    assert read(b"A" * 64 + b" 0 \n")[1] == [("A" * 64, b"")]


@pytest.mark.parametrize("length", [LIMIT + 1, 3 * GIB, 2**32, 2**64, int("9" * 20)])
def test_oversized_frame_is_refused_before_its_payload(length):
    reader, frames = read(b"PING 0 \nMESSAGE %d " % length)
    assert frames == [("PING", b"")]
    assert isinstance(reader.error, FrameTooLarge)
    assert (reader.error.size, reader.error.limit) == (length, LIMIT)
    assert reader.buffered == 0


def test_a_payload_of_exactly_the_limit_is_taken():
    assert read(encode_frame("MESSAGE", bytes(LIMIT)))[1] == [("MESSAGE", bytes(LIMIT))]


def test_an_oversized_header_is_refused_with_the_byte_that_completes_it():
    reader = FrameReader(LIMIT)
    for byte in b"MESSAGE 3221225472":
        assert reader.feed(bytes([byte])) == []
        assert reader.error is None
    reader.feed(b" ")
    assert isinstance(reader.error, FrameTooLarge)


GARBAGE = {
    "no upper-case letter": b"p",
    "a digit first": b"1",
    "a space first": b" ",
    "a line feed first": b"\n",
    "a byte that is no ASCII": b"\xff",
    "HTTP": b"GET /",
    "TLS": b"\x16\x03\x01",
    "lower case within the name": b"PINg",
    "a name of 65": b"A" * 65,
    "two spaces": b"PING  ",
    "a negative length": b"PING -",
    "a signed length": b"PING +",
    "a hexadecimal length": b"PING 0x",
    "a length with a line feed": b"PING 0\n",
    "a length of 21 digits": b"PING " + b"0" * 21,
    "a fraction": b"PING 1.",
    "a tab": b"PING\t",
    "digits that are no ASCII": "PING ٣".encode(),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_refused_at_once(garbage):
    """With the first byte that makes it hopeless, however it is cut, and not one byte earlier."""
    for reads in ([garbage], [bytes([byte]) for byte in garbage]):
        reader, frames = read(b"PONG 0 \n", *reads)
        assert frames == [("PONG", b"")]
        assert isinstance(reader.error, MalformedMessage)
        assert reader.buffered == 0


@pytest.mark.parametrize("begun", [b"", b"P", b"A" * 64, b"PING ", b"PING 0", b"PING " + b"0" * 20])
def test_what_can_still_become_a_frame_is_waited_for(begun):
    reader, frames = read(begun)
    assert (frames, reader.error, reader.buffered) == ([], None, len(begun))


WRONG_LENGTHS = [b"MESSAGE 2 abc\n", b"MESSAGE 0 a\n", b"PING 0 PONG 0 \n", b"MESSAGE 3 ab\nPING 0 \n"]


@pytest.mark.parametrize("raw", WRONG_LENGTHS)
def test_a_wrong_length_is_refused(raw):
    for reads in ([raw], [bytes([byte]) for byte in raw]):
        reader, frames = read(*reads)
        assert frames == []
        assert isinstance(reader.error, MalformedMessage)


def test_what_came_before_a_fault_is_delivered_and_nothing_after_it():
    reader, frames = read(b"PING 0 \nMESSAGE 1 a\n!PONG 0 \n", b"PONG 0 \n")
    assert frames == [("PING", b""), ("MESSAGE", b"a")]
    assert isinstance(reader.error, MalformedMessage)
    assert reader.feed(bytes(10 * LIMIT)) == []
    assert reader.buffered == 0


def test_the_fault_that_is_told_is_the_first():
    reader, _ = read(b"MESSAGE 2000 ")
    reader.feed(b"garbage")
    assert isinstance(reader.error, FrameTooLarge)


def test_the_sentence_of_a_fault_is_short_and_quotes_little():
    reader, _ = read(b"?" * 100_000)
    assert len(str(reader.error)) < 200


@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_leftover_memory_is_bounded_by_the_limit(size):
    """A peer that never finishes a frame costs one frame."""
    longest = LIMIT + 64 + 1 + 20 + 1 + 1
    stream = encode_frame("M" * 64, bytes(LIMIT)) * 40
    reader = FrameReader(LIMIT)
    count = 0
    for start in range(0, len(stream), size):
        count += len(reader.feed(stream[start : start + size]))
        assert reader.buffered <= longest
    assert (count, reader.buffered) == (40, 0)


def test_a_frame_keeps_its_own_bytes_only():
    frames = FrameReader(LIMIT).feed(encode_frame("MESSAGE", b"a") * 3)
    assert [frame.raw for frame in frames] == [b"MESSAGE 1 a\n"] * 3


def test_leading_zeros_in_a_length_are_kept_as_they_came():
    (frame,) = FrameReader(LIMIT).feed(b"MESSAGE 0002 ab\n")
    assert (frame.payload, frame.raw) == (b"ab", b"MESSAGE 0002 ab\n")


def test_the_repr_tells_the_size_and_not_the_text():
    (frame,) = FrameReader(LIMIT).feed(encode_frame("MESSAGE", b"secret"))
    assert repr(frame) == "<Frame MESSAGE, 6 bytes of payload>"


# Datagrams -----------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"\n", b"a b", bytes(MAX_DATAGRAM - len(b"TYPING_EVENTS 1004 \n"))])
def test_a_datagram_is_one_frame(payload):
    data = encode_frame("TYPING_EVENTS", payload)
    frame = read_datagram(data)
    assert (frame.name, frame.payload, frame.raw) == ("TYPING_EVENTS", payload, data)


BAD_DATAGRAMS = {
    "empty": b"",
    "trailing byte": b"DISCOVER_SERVER 0 \n!",
    "trailing line feed": b"DISCOVER_SERVER 0 \n\n",
    "two frames": b"DISCOVER_SERVER 0 \nDISCOVER_SERVER 0 \n",
    "no line feed": b"DISCOVER_SERVER 0 ",
    "another byte for the line feed": b"DISCOVER_SERVER 0 x",
    "truncated payload": b"TYPING_EVENT 5 abc\n",
    "length too short": b"TYPING_EVENT 1 abc\n",
    "3 GiB": b"TYPING_EVENT 3221225472 abc\n",
    "20 digits": b"TYPING_EVENT 99999999999999999999 abc\n",
    "21 digits": b"TYPING_EVENT 000000000000000000003 abc\n",
    "header alone": b"TYPING_EVENT",
    "lower case": b"typing_event 0 \n",
    "garbage": b"\x00\xff\xfe",
    "leading space": b" PING 0 \n",
}


@pytest.mark.parametrize("data", BAD_DATAGRAMS.values(), ids=BAD_DATAGRAMS.keys())
def test_a_datagram_that_is_anything_else_is_malformed(data):
    with pytest.raises(MalformedMessage):
        read_datagram(data)


def test_every_truncation_of_a_datagram_is_malformed():
    data = encode_frame("TYPING_EVENT", b"a\nb 0 \n")
    for size in range(len(data)):
        with pytest.raises(MalformedMessage):
            read_datagram(data[:size])


@pytest.mark.parametrize("data", [b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_a_stream_that_begins_as_tls_is_called_so(data):
    reader = FrameReader(100)
    reader.feed(data)
    assert str(reader.error) == BEGAN_TLS
