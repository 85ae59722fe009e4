"""What is compiled (shared/core) against its twins in Python: whatever comes, both do the same."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.services.chat.deduplication.delivered_keys import DeliveredKeys
from parley.services.chat.deduplication.recent import PureRecentMessages
from parley.services.chat.deduplication.stored_keys import StoredKeys, fingerprint
from parley.services.chat.message.statuses import status_frame_pure
from parley.services.chat.storage.quotas import Part, PureMailTally
from parley.shared.addresses import Group, User
from parley.shared.compiled import core
from parley.shared.telemetry.tallies import PureBuckets, PureCounts
from parley.shared.wire.framing import PureFrameReader, count_pure, count_sent_pure, encode_frame
from parley.shared.wire.message_keys import MessageKeys
from parley.shared.wire.messages import pb

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


@settings(deadline=None)
@given(st.lists(keys.filter(bool)), st.lists(keys.filter(bool)), st.lists(keys))
def test_what_is_in_no_table_is_not_looked_for(on_disk, delivered, asked):
    stored, table = StoredKeys(), DeliveredKeys(bytearray(64 * 8))
    for key in on_disk:
        stored.add(fingerprint(key))
    for key in delivered:
        table.add(key)
    looked_for = []

    def find(key):
        looked_for.append(key)
        return 0 if key in on_disk else 5 if key in table else None

    compiled, pure = core.RecentMessages(find, 100, stored, table), PureRecentMessages(find, 100)
    for key in asked:
        looked_for.clear()
        assert compiled.knows(key) == pure.knows(key)
        assert compiled.status(key) == pure.status(key)
        if key and key not in on_disk and key not in table:
            assert looked_for == [key], "by the pure one alone"


# Plain messages -------------------------------------------------------------------------------------------

short = st.text(max_size=5)
heads = st.builds(User, short, short)
extras = st.sampled_from(
    [{}, {"inEffect": True}, {"historyOff": True}, {"edit": pb.Edit(text="y")}, {"groupNumber": 5}]
)


@settings(deadline=None, max_examples=300)
@given(heads, heads, st.integers(0, 2**64 - 1), st.text(max_size=40), extras, st.binary(max_size=3))
def test_a_plain_message_is_read_as_any_other_is(author, recipient, number, text, extra, garbage):
    message = pb.ChatMessage(
        messageSnowflake=number, author=author.to_pb(), user=recipient.to_pb(), textContent=text
    )
    message.MergeFrom(pb.ChatMessage(**extra))
    payload = message.SerializeToString() + garbage
    [frame] = core.FrameReader(1 << 16).feed(encode_frame("MESSAGE", payload))
    secret = MessageKeys(b"s" * 32)
    head = core.read_plain(frame, {}, secret.multipliers)
    if head is None:
        return
    read, whole = pb.ChatMessage.FromString(head), pb.ChatMessage.FromString(payload)
    assert (User.of(read.author), User.of(read.user)) == (User.of(whole.author), User.of(whole.user))
    assert whole.WhichOneof("content") != "edit"
    known = {head: (author, recipient, secret.pair(author, recipient, None))}
    key = secret.of(author, recipient, None, whole)
    assert core.read_plain(frame, known, secret.multipliers) == (author, recipient, whole.messageSnowflake, key)


def test_most_messages_are_plain():
    message = pb.ChatMessage(messageSnowflake=1, textContent="x")
    message.author.CopyFrom(User("ann", "alpha").to_pb())
    message.user.CopyFrom(User("bob", "alpha").to_pb())
    [frame] = core.FrameReader(1 << 16).feed(encode_frame("MESSAGE", message.SerializeToString()))
    assert isinstance(core.read_plain(frame, {}, MessageKeys(b"s" * 32).multipliers), bytes)
    message.edit.text = "y"
    [frame] = core.FrameReader(1 << 16).feed(encode_frame("MESSAGE", message.SerializeToString()))
    assert core.read_plain(frame, {}, MessageKeys(b"s" * 32).multipliers) is None


@given(st.integers(0, 2**64 - 1), st.binary(max_size=200))
def test_a_status_has_the_same_frame(number, rest):
    assert core.status_frame(number, rest) == status_frame_pure(number, rest)


# Quotas ------------------------------------------------------------------------------------------------------

parts = st.lists(st.builds(Part, st.booleans(), st.tuples(st.integers(0, 3), st.integers(4, 7))), max_size=3).map(
    tuple
)
amounts = st.tuples(st.integers(0, 40), st.integers(0, 4000))
shares = st.sampled_from([0.1, 0.5, 0.65, 1.0])


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(st.booleans(), parts, st.integers(-2, 3), st.integers(-100, 400)), max_size=12),
    st.lists(st.tuples(parts, shares, shares, amounts, amounts, st.integers(0, 500)), max_size=12),
)
def test_the_tallies_count_and_refuse_the_same(counted, asked):
    (compiled, earlier), (pure, before) = ((kind(4, 4), kind(4, 4)) for kind in (core.MailTally, PureMailTally))
    for is_earlier, *what in counted:
        (earlier if is_earlier else compiled).count(*what)
        (before if is_earlier else pure).count(*what)
    for places in [(one, other) for one in range(4) for other in range(4, 8)]:
        assert compiled.amount(places, None) == pure.amount(places, None)
        assert compiled.amount(places, earlier) == pure.amount(places, before)
    for *what, room, used, more in asked:
        if min(room):
            for one, other in ((None, None), (earlier, before)):
                found = compiled.why_over_share(*what, room, used, more, one)
                assert found == pure.why_over_share(*what, room, used, more, other)


@pytest.mark.parametrize("place", [-1, 8, 2**70, "0"])
def test_a_tally_has_no_other_places(place):
    tally = core.MailTally(4, 4)
    with pytest.raises((IndexError, OverflowError, TypeError)):
        tally.count(((True, (0, place)),), 1, 1)
    assert tally.amount((0, 4), None) == (0, 0)
