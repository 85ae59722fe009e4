"""Sessions under any bytes, any cutting and any interleaving of two sides."""

from hypothesis import given, settings
from hypothesis import strategies as st

from parley.shared.link.events import Closed, ConnectRequested, MessagesReceived, Opened, Rejected
from parley.shared.link.transitions import State
from parley.shared.wire.framing import encode_frame
from parley.shared.wire.messages import encode, pb
from tests.support.joined import (
    ACCEPTED,
    ALREADY,
    EXIT,
    HELLO_CLIENT,
    HELLO_SERVER,
    PING,
    PONG,
    Joined,
    Side,
    accept,
    refuse,
    text,
    unsupported,
)

fixed = settings(deadline=None)
FRAMES = [
    HELLO_CLIENT, HELLO_SERVER, ACCEPTED, ALREADY, EXIT, PING, PONG, text(1), text(2), unsupported("X"),
    encode_frame("FOO_BAR", b"abc\n"), encode("SERVER_LIST", pb.ServerList()),
]  # fmt: skip
FAULTS = [
    b"garbage", b"MESSAGE 99999 ", encode_frame("CONNECTED", b"\xff"), encode_frame("CONNECT_CLIENT", b"\xff"),
    encode_frame("HANGUP", b"\xff"), encode_frame("PING", b"\xff"),
]  # fmt: skip
parts = st.sampled_from(FRAMES) | st.sampled_from(FAULTS) | st.binary(max_size=8)
stories = st.lists(parts, max_size=12).map(b"".join)
decisions = st.sampled_from([accept, refuse])


def flat(events):
    """Events without what depends on the cutting: how messages are gathered, what a fault's sentence quotes."""
    told = []
    for event in events:
        if isinstance(event, MessagesReceived):
            told += [frame.raw for frame in event.frames]
        else:
            told.append(event.reason if isinstance(event, Rejected) else event)
    return told


def make(dialled, decide):
    side = Side(HELLO_SERVER if dialled else None, decide=decide)
    side.sent()
    return side


@fixed
@given(st.data(), stories, st.booleans(), decisions)
def test_any_cutting_tells_the_same_and_answers_the_same(data, story, dialled, decide):
    whole, cut = make(dialled, decide), make(dialled, decide)
    whole.feed(story)
    position = 0
    while position < len(story):
        size = data.draw(st.integers(1, len(story) - position))
        cut.feed(story[position : position + size])
        position += size
    assert flat(cut.events) == flat(whole.events)
    assert cut.sent() == whole.sent()
    assert cut.session.state is whole.session.state


@fixed
@given(st.lists(st.binary(max_size=60) | stories, max_size=6), st.booleans(), decisions)
def test_any_bytes_raise_nothing_and_end_it_at_most_once(reads, dialled, decide):
    side = make(dialled, decide)
    for data in reads:
        side.feed(data)
    assert (side.closed is not None) == (side.session.state is State.CLOSED)
    assert side.session.state is not State.DECIDING
    side.sent()


@fixed
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("feed"), st.sampled_from(FRAMES + FAULTS)),
            st.tuples(st.just("wait"), st.floats(0, 30)),
            st.tuples(st.sampled_from(["probe", "hang_up", "eof"]), st.none()),
        ),
        max_size=15,
    ),
    st.booleans(),
    decisions,
)
def test_a_session_is_always_due_or_closed(steps, dialled, decide):
    """Whatever happens: an open or unconnected link ends in time when the other side falls silent."""
    side = make(dialled, decide)
    now = 0.0
    for step, value in steps:
        if step == "feed":
            side.feed(value, now)
        elif step == "wait":
            now += value
            side.wait(now)
        elif step == "probe":
            side.session.probe(now)
        elif step == "hang_up":
            side.session.hang_up()
        else:
            side.session.receive_eof()
        side.take()
    asked = 0
    while (due := side.session.next_timeout()) is not None:
        side.wait(max(due, now))
        asked += 1
        assert asked <= 4
    assert side.session.state is State.CLOSED
    assert side.closed is not None


def acts(joined):
    """What two sides can do, and what their network can."""
    both = {"d": joined.dialler, "l": joined.listener}

    def send(side):
        if side.session.is_open:
            joined.flush(side)
            number = len(sent[side]) + 1
            sent[side].append(text(number))
            joined.wires[joined.other(side)] += text(number)

    sent = {side: [] for side in joined.wires}
    doings = {
        "send": send,
        "hang_up": lambda side: (side.session.hang_up(), side.take(), joined.flush(side)),
        "probe": lambda side: (side.session.probe(side.now), joined.flush(side)),
        "flush": joined.flush,
        "some": lambda side: joined.deliver(side, 7),
        "all": joined.deliver,
        "tick": lambda side: (side.wait(side.now + 1.0), joined.flush(side)),
    }
    return both, doings, sent


STEPS = st.tuples(st.sampled_from(["d", "l"]), st.sampled_from(["send", "probe", "flush", "some", "all", "tick"]))
HELLOS = st.sampled_from([HELLO_CLIENT, HELLO_SERVER])
ENDS = st.tuples(st.sampled_from(["d", "l"]), st.just("hang_up"))


@fixed
@given(st.lists(STEPS | STEPS | STEPS | ENDS, max_size=40), decisions, HELLOS)
def test_two_sides_end_in_states_that_agree(steps, decide, hello):
    joined = Joined(hello, decide=decide)
    both, doings, sent = acts(joined)
    for who, what in steps:
        doings[what](both[who])
    joined.run()
    dialler, listener = joined.dialler, joined.listener
    ended = {dialler.session.state is State.CLOSED, listener.session.state is State.CLOSED}
    assert len(ended) == 1, (dialler.session, listener.session)
    if ended == {False}:
        assert dialler.session.is_open
        assert listener.session.is_open
    _assert_no_bug_of_ours(joined)
    _assert_delivered(joined, sent)


def _assert_no_bug_of_ours(joined):
    """Two Parleys never find fault with each other; each asks, opens and ends at most once."""
    for side in joined.wires:
        assert not [e for e in side.events if getattr(e, "reason", "") in ("malformed", "too_large", "unexpected")]
        for kind in (ConnectRequested, Opened, Closed):
            assert len([event for event in side.events if isinstance(event, kind)]) <= 1


def _assert_delivered(joined, sent):
    """What was sent arrives in order, without a gap; all of it where nobody hung up."""
    for side in joined.wires:
        other = joined.other(side)
        assert other.received == sent[side][: len(other.received)]
        if other.closed is None or not other.closed.by_us:
            assert other.received == sent[side]


@fixed
@given(st.binary(max_size=200))
def test_whatever_a_payload_holds_an_open_link_raises_nothing(payload):
    side = Side.open()
    side.feed(encode_frame("CONNECT_SERVER", payload) + encode_frame("UNSUPPORTED_MESSAGE", payload))
    assert side.closed is None or side.closed.reason == "malformed"
