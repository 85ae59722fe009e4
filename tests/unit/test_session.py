"""One link's life, rule by rule (protocol.md, "How a link lives"), with no socket and no clock."""

import pytest

from parley.shared.addresses import User
from parley.shared.errors import FrameTooLarge, LocalProtocolError, MalformedMessage, UnexpectedMessage
from parley.shared.link.events import (
    Closed,
    ConnectRequested,
    Greeted,
    Identity,
    MessagesReceived,
    Opened,
    Rejected,
)
from parley.shared.link.session import RUN, Session, Timeouts
from parley.shared.link.transitions import TRANSITIONS, Input, State
from parley.shared.wire.framing import FrameReader, encode_frame
from parley.shared.wire.messages import encode, pb
from tests.support.joined import (
    ACCEPTED,
    ALICE,
    ALREADY,
    CONNECT_TIMEOUT,
    EXIT,
    HELLO_CLIENT,
    HELLO_SERVER,
    LIMIT,
    MALFORMED,
    PING,
    PING_TIMEOUT,
    PONG,
    TIMEOUT,
    TOO_LARGE,
    Joined,
    Side,
    accept,
    names,
    raw_frames,
    refuse,
    text,
    unsupported,
)

Result = pb.ConnectResponse
HELLO = encode("HELLO", pb.Hello(serverId="beta"))
"""The first frame of who accepts TLS."""
NOT_PARSING = b"\xff"
GRACE = 0.5
"""Seconds beyond twice the timeout."""


def undecided(_session, _identity):
    """Leave the decision for later."""


# TLS: who dials awaits HELLO -------------------------------------------------------------------------------


def test_who_dials_with_tls_says_connect_only_when_hello_was_checked():
    side = Side(is_securing=True)
    assert side.sent() == []
    assert side.session.dialled
    assert side.feed(HELLO + PING) == [Greeted(pb.Hello(serverId="beta"))]
    assert side.sent() == []  # nothing is told, and nothing answered, until our side has decided
    assert not side.session.has_more
    side.session.prove(HELLO_CLIENT)
    side.take()
    assert side.sent() == [HELLO_CLIENT, PONG]
    side.feed(ACCEPTED)
    assert side.session.is_open


def test_who_is_not_trusted_hears_no_connect():
    side = Side(is_securing=True)
    side.feed(HELLO)
    side.session.distrust("it has another key")
    assert side.take() == [Closed("unproven", by_us=True, detail="it has another key")]
    assert side.sent() == [EXIT]


def test_hello_is_awaited_no_longer_than_an_answer():
    side = Side(is_securing=True)
    assert side.session.next_timeout() == CONNECT_TIMEOUT
    side.wait(CONNECT_TIMEOUT)
    assert side.closed == Closed("handshake_timeout", by_us=True)


# The table ---------------------------------------------------------------------------------------

TABLE = """
                   SECURING                      PROVING                 ACCEPTED                      DECIDING            DIALLED                      OPEN                      CLOSED
HELLO              PROVING                       !                       ACCEPTED+UNSUPPORTED_MESSAGE  !                   DIALLED+UNSUPPORTED_MESSAGE  OPEN+UNSUPPORTED_MESSAGE  CLOSED
CONNECT            SECURING+UNSUPPORTED_MESSAGE  !                       DECIDING                      !                   DIALLED+UNSUPPORTED_MESSAGE  OPEN+CONNECTED            CLOSED
CONNECTED          SECURING+UNSUPPORTED_MESSAGE  !                       ACCEPTED+UNSUPPORTED_MESSAGE  !                   OPEN                         OPEN                      CLOSED
REFUSED            SECURING+UNSUPPORTED_MESSAGE  !                       ACCEPTED+UNSUPPORTED_MESSAGE  !                   CLOSED+HANGUP                OPEN                      CLOSED
HANGUP             CLOSED                        CLOSED                  CLOSED                        CLOSED              CLOSED                       CLOSED                    CLOSED
PING               SECURING+PONG                 !                       ACCEPTED+UNSUPPORTED_MESSAGE  !                   DIALLED+PONG                 OPEN+PONG                 CLOSED
PONG               SECURING                      !                       ACCEPTED+UNSUPPORTED_MESSAGE  !                   DIALLED                      OPEN                      CLOSED
UNSUPPORTED        SECURING                      !                       ACCEPTED                      !                   DIALLED                      OPEN                      CLOSED
MESSAGE            SECURING+UNSUPPORTED_MESSAGE  !                       ACCEPTED+UNSUPPORTED_MESSAGE  !                   DIALLED+UNSUPPORTED_MESSAGE  !                         CLOSED
JOIN               SECURING+UNSUPPORTED_MESSAGE  !                       ACCEPTED                      !                   DIALLED+UNSUPPORTED_MESSAGE  !                         CLOSED
FAULT              CLOSED+HANGUP                 CLOSED+HANGUP           CLOSED+HANGUP                 CLOSED+HANGUP       CLOSED+HANGUP                CLOSED+HANGUP             CLOSED
HANDSHAKE_EXPIRED  CLOSED+HANGUP                 CLOSED+HANGUP           CLOSED+HANGUP                 CLOSED+HANGUP       CLOSED+HANGUP                CLOSED+HANGUP             CLOSED
SILENT             !                             !                       !                             !                   !                            OPEN+PING                 CLOSED
DEAD               !                             !                       !                             !                   !                            CLOSED+HANGUP             CLOSED
PROVE              !                             DIALLED+CONNECT_CLIENT  !                             !                   !                            !                         CLOSED
DISTRUST           !                             CLOSED+HANGUP           !                             !                   !                            !                         CLOSED
ACCEPT             !                             !                       !                             OPEN+CONNECTED      !                            !                         CLOSED
REFUSE             !                             !                       !                             ACCEPTED+CONNECTED  !                            !                         CLOSED
HANG_UP            CLOSED+HANGUP                 CLOSED+HANGUP           CLOSED+HANGUP                 CLOSED+HANGUP       CLOSED+HANGUP                CLOSED+HANGUP             CLOSED
LOST               CLOSED                        CLOSED                  CLOSED                        CLOSED              CLOSED                       CLOSED                    CLOSED
"""  # noqa: E501 - a table
"""What becomes of a state, and what is sent; `!` cannot happen. (A run of messages on an open link is no step.)"""


def cells():
    header, *rows = TABLE.strip().splitlines()
    for row in rows:
        what, *outcomes = row.split()
        for state, outcome in zip(header.split(), outcomes, strict=True):
            yield pytest.param(State[state], Input[what], outcome, id=f"{state}-{what}")


def in_state(state):
    """A session in that state, with nothing to send or tell."""
    if state is State.OPEN:
        side = Side.open()
    elif state in (State.SECURING, State.PROVING):
        side = Side(is_securing=True)
    else:
        side = Side(HELLO_CLIENT if state is State.DIALLED else None, decide=undecided)
    if state is State.PROVING:
        side.feed(HELLO)
    if state is State.DECIDING:
        side.feed(HELLO_CLIENT)
    if state is State.CLOSED:
        side.session.hang_up()
    side.take()
    side.sent()
    assert side.session.state is state
    return side


def detail_of(what):
    """What a step with that input is given."""
    frames = {
        Input.HELLO: HELLO,
        Input.CONNECT: HELLO_SERVER,
        Input.CONNECTED: ACCEPTED,
        Input.REFUSED: ALREADY,
        Input.HANGUP: EXIT,
        Input.PING: PING,
        Input.PONG: PONG,
        Input.UNSUPPORTED: unsupported("X"),
        Input.MESSAGE: text(1),
        Input.JOIN: encode("JOIN_FEDERATION", pb.JoinFederation()),
    }
    if what in frames:
        return FrameReader(LIMIT).feed(frames[what])[0]
    return {
        Input.FAULT: MalformedMessage("no frame"),
        Input.SILENT: 1.0,
        Input.PROVE: HELLO_CLIENT,
        Input.DISTRUST: "it has another key",
        Input.ACCEPT: pb.ConnectResponse(result=Result.CONNECTED),
        Input.REFUSE: pb.ConnectResponse(result=Result.IS_ALREADY_CONNECTED_ERROR),
        Input.HANG_UP: pb.HangUp.EXIT,
    }.get(what)


@pytest.mark.parametrize(("state", "what", "outcome"), [*cells()])
def test_every_input_in_every_state(state, what, outcome):
    side = in_state(state)
    if outcome == "!":
        with pytest.raises(LocalProtocolError, match=f"{what.name} cannot happen .* {state.name}"):
            side.session._step(what, detail_of(what))
        assert side.session.state is state
        assert side.sent() == []
        return
    side.session._step(what, detail_of(what))
    expected, _, answer = outcome.partition("+")
    assert side.session.state is State[expected]
    assert [frame.split(b" ")[0].decode() for frame in side.sent()] == ([answer] if answer else [])
    if state is not State.CLOSED:
        side.take()
        assert (side.closed is not None) == (expected == "CLOSED")


def test_the_table_speaks_of_every_state_and_input():
    assert {(cell.values[0], cell.values[1]) for cell in cells()} == {(s, i) for s in State for i in Input}
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize("state", [s for s in State if s is not State.CLOSED])
@pytest.mark.parametrize("decision", [accept, refuse])
def test_a_decision_that_nobody_asked_for_is_our_bug(state, decision):
    side = in_state(state)
    if state is State.DECIDING:
        decision(side.session, Identity())
    with pytest.raises(LocalProtocolError):
        decision(side.session, Identity())


# 1. CONNECT comes first, CONNECTED answers ----------------------------------------------------------


def test_a_client_connects():
    hello = encode("CONNECT_CLIENT", pb.ConnectClient(user=ALICE.to_pb(), udpPort=7779))
    joined = Joined(hello)
    joined.run()
    identity = Identity(user=ALICE, udp_port=7779)
    assert joined.listener.events == [ConnectRequested(identity), Opened(identity)]
    assert joined.dialler.events == [Opened(Identity())]
    assert joined.listener.session.identity == identity
    assert identity.is_client
    assert identity.name == "alice@alpha"


def test_a_server_connects_and_both_learn_who_the_other_is():
    endpoint = pb.Endpoint(feature="MESSAGES", port=6666)
    hello = encode(
        "CONNECT_SERVER",
        pb.ConnectServer(serverId="beta", features=["MESSAGES"], endpoints=[endpoint], instanceId="b1"),
    )
    joined = Joined(hello, decide=lambda session, _: session.accept(server_id="alpha", instance_id="a1"))
    joined.run()
    assert joined.listener.session.identity == Identity(
        server_id="beta", features=("MESSAGES",), endpoints=(endpoint,), instance_id="b1"
    )
    assert joined.dialler.session.identity == Identity(server_id="alpha", instance_id="a1")
    assert joined.dialler.session.identity.is_parley
    assert not joined.dialler.session.identity.is_client


def test_an_existing_server_is_told_from_ours_by_what_it_does_not_send():
    joined = Joined(HELLO_SERVER)
    joined.run()
    assert not joined.listener.session.identity.is_parley
    assert not joined.dialler.session.identity.is_parley
    assert joined.dialler.session.is_open


def test_the_diallers_connect_is_its_first_word():
    side = Side(HELLO_SERVER)
    assert side.sent() == [HELLO_SERVER]
    assert side.sent() == []


def test_the_listener_says_nothing_first():
    assert Side().sent() == []


FIRST = [text(1), PING, PONG, ACCEPTED, ALREADY, encode("SERVER_LIST", pb.ServerList()), encode_frame("FOO_BAR")]


@pytest.mark.parametrize("frame", FIRST, ids=lambda frame: frame.split(b" ")[0].decode())
def test_anything_before_connect_is_unsupported_and_the_link_stays_open_unconnected(frame):
    name = frame.split(b" ")[0].decode()
    side = Side()
    assert side.feed(frame) == [Rejected("unexpected", name)]
    assert side.sent() == [unsupported(name)]
    assert side.session.state is State.ACCEPTED
    side.feed(HELLO_CLIENT)
    assert side.sent() == [ACCEPTED]
    assert side.session.is_open


@pytest.mark.parametrize("hello", [HELLO_CLIENT, HELLO_SERVER])
def test_a_second_connect_is_refused_and_the_link_stays_open(hello):
    side = Side.open()
    assert side.feed(hello + text(1))[0] == Rejected("second_connect", hello.split(b" ")[0].decode())
    assert side.sent() == [ALREADY]
    assert side.session.is_open
    assert side.session.identity.user == ALICE
    assert side.received == [text(1)]


@pytest.mark.parametrize("frame", [HELLO_SERVER, HELLO_CLIENT, text(1), encode_frame("FOO_BAR")])
def test_anything_that_comes_before_connected_is_unsupported(frame):
    name = frame.split(b" ")[0].decode()
    side = Side(HELLO_SERVER)
    side.sent()
    assert side.feed(frame) == [Rejected("unexpected", name)]
    assert side.sent() == [unsupported(name)]
    side.feed(ACCEPTED)
    assert side.session.is_open
    assert side.received == []


@pytest.mark.parametrize("result", [Result.UNKNOWN_ERROR, Result.IS_ALREADY_CONNECTED_ERROR, 7])
def test_a_refused_dialler_hangs_up(result):
    side = Side(HELLO_SERVER)
    side.sent()
    answer = encode("CONNECTED", pb.ConnectResponse(result=result))
    assert side.feed(answer) == [Closed("refused", by_us=True, result=result)]
    assert side.sent() == [EXIT]


def test_a_dialler_says_whom_it_expects_and_both_what_they_can():
    terms = pb.Terms(serverId="alpha", capabilities=5)
    hello = encode("CONNECT_SERVER", pb.ConnectServer(serverId="beta", instanceId="b1", terms=terms))
    joined = Joined(hello, decide=lambda session, _: session.accept(server_id="alpha", capabilities=6))
    joined.run()
    assert joined.listener.session.identity == Identity(
        server_id="beta", instance_id="b1", expects="alpha", capabilities=5
    )
    assert joined.dialler.session.identity == Identity(server_id="alpha", capabilities=6)


def test_who_refuses_may_say_who_it_is():
    joined = Joined(HELLO_SERVER, decide=lambda session, _: session.refuse(Result.UNKNOWN_ERROR, server_id="gamma"))
    joined.run()
    assert joined.dialler.closed == Closed("refused", by_us=True, result=Result.UNKNOWN_ERROR)
    assert joined.dialler.session.identity == Identity(server_id="gamma")


def test_a_refusal_leaves_the_listener_unconnected_until_the_dialler_hangs_up():
    joined = Joined(HELLO_SERVER, decide=refuse)
    joined.run()
    assert joined.dialler.closed == Closed("refused", by_us=True, result=Result.IS_ALREADY_CONNECTED_ERROR)
    assert joined.listener.closed == Closed("exit", by_us=False)


def test_a_refused_link_may_ask_again():
    side = Side(decide=refuse)
    side.feed(HELLO_SERVER)
    assert side.sent() == [ALREADY]
    assert side.session.identity == Identity()
    side.decide = accept
    side.feed(HELLO_CLIENT)
    assert side.sent() == [ACCEPTED]
    assert side.session.identity.user == ALICE


def test_a_message_right_behind_connect_in_one_read_is_delivered():
    side = Side()
    events = side.feed(HELLO_CLIENT + text(1) + text(2))
    assert [type(event) for event in events] == [ConnectRequested, Opened, MessagesReceived]
    assert side.received == [text(1), text(2)]
    assert side.sent() == [ACCEPTED]


def test_nothing_is_told_between_connect_and_its_decision():
    side = Side(decide=undecided)
    assert side.feed(HELLO_CLIENT + text(1) + EXIT) == [ConnectRequested(Identity(user=ALICE))]
    assert side.feed(text(2)) == []
    assert side.sent() == []
    side.session.accept()
    side.take()
    assert side.received == [text(1)]
    assert side.closed == Closed("exit", by_us=False)


def test_a_message_right_behind_a_connect_that_is_refused_is_not_supported():
    side = Side(decide=refuse)
    side.feed(HELLO_SERVER + text(1))
    assert side.sent() == [ALREADY, unsupported("MESSAGE")]
    assert side.received == []


def test_messages_right_behind_connected_in_one_read_are_delivered():
    side = Side(HELLO_SERVER)
    side.feed(ACCEPTED + text(1))
    assert side.received == [text(1)]


def test_the_answer_goes_out_before_what_the_owner_sends_after_it():
    side = Side()
    side.feed(HELLO_CLIENT + PING)
    assert side.sent() == [ACCEPTED, PONG]


@pytest.mark.parametrize("state", [s for s in State if s not in (State.OPEN, State.CLOSED)])
def test_a_handshake_that_is_not_over_in_time_is_hung_up(state):
    side = in_state(state)
    assert side.session.next_timeout() == CONNECT_TIMEOUT
    assert side.wait(CONNECT_TIMEOUT - 0.01) == []
    assert side.sent() == []
    side.wait(CONNECT_TIMEOUT)
    assert side.closed == Closed("handshake_timeout", by_us=True)
    assert side.sent() == [TIMEOUT]
    assert side.session.next_timeout() is None


@pytest.mark.parametrize("data", [PING, text(1), b"CONNECT_CL", b"CONNECT_CLIENT 16 \n"])
def test_talking_or_half_a_frame_does_not_lengthen_the_handshake(data):
    side = Side()
    side.feed(data, now=9.9)
    assert side.session.next_timeout() == CONNECT_TIMEOUT
    side.wait(CONNECT_TIMEOUT)
    assert side.closed == Closed("handshake_timeout", by_us=True)


def test_a_refusal_does_not_lengthen_the_handshake():
    side = Side(decide=refuse)
    side.feed(HELLO_SERVER, now=9.9)
    assert side.session.next_timeout() == CONNECT_TIMEOUT


# 2. Links are two-way; PING gets PONG ----------------------------------------------------------------


def test_messages_travel_both_ways_whoever_dialled():
    joined = Joined()
    joined.connect()
    joined.wires[joined.dialler] += text(1)
    joined.wires[joined.listener] += text(2) + text(3)
    joined.run()
    assert joined.dialler.received == [text(1)]
    assert joined.listener.received == [text(2), text(3)]


@pytest.mark.parametrize("dialled", [False, True])
def test_ping_gets_pong_at_once(dialled):
    side = Side.open(dialled=dialled)
    assert side.feed(PING + PING) == []
    assert side.sent() == [PONG, PONG]


def test_ping_gets_pong_also_before_connected():
    side = Side(HELLO_SERVER)
    side.sent()
    side.feed(PING)
    assert side.sent() == [PONG]


def test_messages_before_and_after_a_ping_keep_their_order():
    side = Side.open()
    events = side.feed(text(1) + text(2) + PING + text(3))
    assert [names(event.frames) for event in events] == [["MESSAGE", "MESSAGE"], ["MESSAGE"]]
    assert side.received == [text(1), text(2), text(3)]


def test_one_read_is_one_event_for_each_run_of_messages():
    assert [len(event.frames) for event in Side.open().feed(text(1) * (RUN + 1))] == [RUN, 1]


def test_an_unknown_name_on_an_open_link_is_the_owners_to_answer():
    side = Side.open()
    side.feed(encode_frame("FOO_BAR", b"\xff"))
    assert side.received == [encode_frame("FOO_BAR", b"\xff")]
    assert side.sent() == []


# 3. Silence ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialled", [False, True])
def test_silence_is_asked_about_then_hung_up(dialled):
    side = Side.open(dialled=dialled, now=100.0)
    assert side.session.next_timeout() == 105.0
    assert not side.session.is_silent(104.9)
    side.wait(104.9)
    assert side.sent() == []
    assert side.session.is_silent(105.0)
    side.wait(105.0)
    assert side.sent() == [PING]
    assert side.session.next_timeout() == 110.0 + GRACE
    side.wait(110.4)
    assert side.sent() == []
    assert side.session.is_open
    assert side.wait(110.0 + GRACE) == [Closed("timeout", by_us=True)]
    assert side.sent() == [TIMEOUT]


@pytest.mark.parametrize("sign", [PONG, text(1), PING, b"M", unsupported("X")])
def test_anything_received_is_a_sign_of_life(sign):
    side = Side.open()
    side.wait(5.0)
    side.feed(sign, now=10.4)
    side.sent()
    assert side.session.next_timeout() == 10.4 + PING_TIMEOUT
    side.wait(15.4)
    assert side.sent() == [PING]
    assert side.session.is_open


def test_a_datagram_is_a_sign_of_life_too():
    side = Side.open()
    side.session.note_alive(4.0)
    assert side.session.next_timeout() == 9.0
    side.wait(5.0)
    assert side.sent() == []


def test_what_we_send_is_no_sign_of_life():
    side = Side.open()
    side.feed(PING, now=1.0)
    side.sent()
    assert side.session.next_timeout() == 6.0


def test_a_timer_that_fires_early_does_nothing():
    side = Side.open()
    for now in (0.0, 1.0, 4.99):
        assert side.wait(now) == []
    assert side.sent() == []


def test_the_timer_is_asked_for_anew_when_the_timeout_changes():
    side = Side.open()
    side.session.timeouts = Timeouts(CONNECT_TIMEOUT, 300.0)
    assert side.session.next_timeout() == 300.0


def test_the_grace_is_never_longer_than_the_timeout():
    side = Side.open()
    side.session.timeouts = Timeouts(CONNECT_TIMEOUT, 0.1)
    side.wait(0.1)
    assert side.session.next_timeout() == pytest.approx(0.3)


@pytest.mark.parametrize("stopped_until", [13.01, 14.0, 1000.0])
def test_a_timer_that_comes_late_asks_again_rather_than_closing(stopped_until):
    """We were stopped: what the other side sent meanwhile may wait to be read."""
    side = Side.open()
    side.wait(5.0)
    side.sent()
    assert side.wait(stopped_until) == []
    assert side.sent() == [PING]
    assert side.session.next_timeout() == stopped_until + PING_TIMEOUT + GRACE
    side.feed(PONG, now=stopped_until + 1)
    assert side.session.next_timeout() == stopped_until + 1 + PING_TIMEOUT


def test_a_first_timer_that_comes_late_asks_too():
    side = Side.open()
    side.wait(1000.0)
    assert side.sent() == [PING]
    assert side.session.is_open


def test_a_dead_side_is_given_up_after_we_were_stopped_as_well():
    side = Side.open()
    side.wait(5.0)
    side.wait(1000.0)
    side.sent()
    side.wait(1000.0 + PING_TIMEOUT + GRACE)
    assert side.sent() == [TIMEOUT]
    assert side.closed == Closed("timeout", by_us=True)


def test_two_idle_sides_keep_each_other_alive():
    joined = Joined()
    joined.connect()
    for second in range(1, 61):
        for side in joined.wires:
            side.wait(float(second))
        joined.run()
    assert joined.dialler.session.is_open
    assert joined.listener.session.is_open
    assert joined.dialler.events == joined.listener.events == []


def test_a_probe_asks_now_and_once():
    side = Side.open()
    side.session.probe(1.0)
    side.session.probe(1.5)
    assert side.sent() == [PING]
    assert side.session.next_timeout() == 2 * PING_TIMEOUT + GRACE
    side.feed(PONG, now=2.0)
    side.session.probe(3.0)
    assert side.sent() == [PING]


@pytest.mark.parametrize("state", [s for s in State if s is not State.OPEN])
def test_a_link_that_is_not_open_is_not_probed(state):
    side = in_state(state)
    side.session.probe(1.0)
    assert side.sent() == []


def test_rtt_is_the_time_from_ping_to_pong():
    side = Side.open()
    assert side.session.rtt is None
    side.wait(5.0)
    side.feed(text(1), now=5.1)
    assert side.session.rtt is None
    side.feed(PONG, now=5.25)
    assert side.session.rtt == 0.25
    side.feed(PONG, now=7.0)
    assert side.session.rtt == 0.25


def test_a_pong_that_nobody_asked_for_measures_nothing():
    side = Side.open()
    side.feed(PONG, now=1.0)
    assert side.session.rtt is None
    assert side.session.is_open


# 4. HANGUP ------------------------------------------------------------------------------------------------

REASONS = {
    pb.HangUp.UNKNOWN_REASON: "unknown",
    pb.HangUp.EXIT: "exit",
    pb.HangUp.TIMEOUT: "timeout",
    pb.HangUp.PAYLOAD_LIMIT_EXCEEDED: "too_large",
    pb.HangUp.MESSAGE_MALFORMED: "malformed",
}


@pytest.mark.parametrize("reason", REASONS)
def test_hang_up_says_why_and_closes(reason):
    side = Side.open()
    side.session.hang_up(reason)
    assert side.take() == [Closed(REASONS[reason], by_us=True)]
    assert side.sent() == [encode("HANGUP", pb.HangUp(reason=reason))]


def test_hang_up_for_no_reason_is_exit():
    side = Side.open()
    side.session.hang_up()
    assert side.sent() == [EXIT]


@pytest.mark.parametrize("state", [State.SECURING, State.ACCEPTED, State.DIALLED, State.OPEN])
@pytest.mark.parametrize("reason", REASONS)
def test_a_hangup_is_honoured_at_once_and_not_answered(state, reason):
    side = in_state(state)
    assert side.feed(encode("HANGUP", pb.HangUp(reason=reason))) == [Closed(REASONS[reason], by_us=False)]
    assert side.sent() == []


def test_a_reason_of_a_later_version_is_honoured_too():
    side = Side.open()
    assert side.feed(encode("HANGUP", pb.HangUp(reason=99))) == [Closed("unknown", by_us=False)]


def test_messages_before_a_hangup_in_the_same_read_are_delivered():
    side = Side.open()
    side.feed(text(1) + text(2) + EXIT)
    assert side.received == [text(1), text(2)]
    assert side.closed == Closed("exit", by_us=False)


def test_nothing_after_a_hangup_counts():
    side = Side.open()
    side.feed(EXIT + text(1) + PING)
    assert side.received == []
    assert side.sent() == []


def test_hanging_up_twice_is_hanging_up_once():
    side = Side.open()
    side.session.hang_up()
    side.session.hang_up(pb.HangUp.TIMEOUT)
    side.session.receive_eof()
    side.take()
    assert side.closed == Closed("exit", by_us=True)
    assert side.sent() == [EXIT]


def test_two_sides_that_hang_up_at_once_are_both_closed():
    joined = Joined()
    joined.connect()
    joined.dialler.session.hang_up()
    joined.listener.session.hang_up()
    joined.run()
    for side in joined.wires:
        side.take()
        assert side.closed == Closed("exit", by_us=True)


@pytest.mark.parametrize("state", [s for s in State if s is not State.CLOSED])
def test_a_connection_that_breaks_is_lost(state):
    side = in_state(state)
    side.session.receive_eof()
    side.take()
    assert side.closed == Closed("lost", by_us=False)
    assert side.sent() == []


def test_a_closed_session_does_nothing_any_more():
    side = Side.open()
    side.session.hang_up()
    side.take()
    side.sent()
    assert side.feed(HELLO_CLIENT + PING + text(1) + b"garbage") == []
    assert side.wait(1e9) == []
    side.session.fail(MalformedMessage("late"))
    side.session.accept()
    assert side.sent() == []
    assert side.session.next_timeout() is None


# 5. UNSUPPORTED_MESSAGE --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.ACCEPTED, State.DIALLED, State.OPEN])
@pytest.mark.parametrize("name", ["MESSAGE", "PING", "UNSUPPORTED_MESSAGE", ""])
def test_unsupported_message_is_told_and_never_answered(state, name):
    side = in_state(state)
    assert side.feed(unsupported(name)) == [Rejected("unsupported_there", name)]
    assert side.sent() == []
    assert side.session.state is state


def test_two_sides_that_understand_nothing_do_not_answer_each_other_for_ever():
    joined = Joined()
    joined.connect()
    for side in joined.wires:
        joined.wires[side] += unsupported("FOO_BAR")
    joined.run()
    assert joined.listener.events == joined.dialler.events == [Rejected("unsupported_there", "FOO_BAR")]


def test_a_long_name_in_it_is_cut():
    (event,) = Side.open().feed(unsupported("N" * 3000))
    assert event == Rejected("unsupported_there", "N" * 64)


# Faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.ACCEPTED, State.DIALLED, State.OPEN])
@pytest.mark.parametrize(
    ("data", "reason", "last_word"),
    [
        (b"GET / HTTP/1.1\r\n", "malformed", MALFORMED),
        (b"MESSAGE 3 ab\nPING 0 \n", "malformed", MALFORMED),
        (b"MESSAGE %d " % (LIMIT + 1), "too_large", TOO_LARGE),
        (b"MESSAGE 3221225472 ", "too_large", TOO_LARGE),
    ],
)
def test_a_fault_is_told_and_hung_up(state, data, reason, last_word):
    side = in_state(state)
    rejected, closed = side.feed(data)
    assert (rejected.reason, closed) == (reason, Closed(reason, by_us=True))
    assert side.sent() == [last_word]


def test_what_came_before_a_fault_in_the_same_read_is_delivered():
    side = Side.open()
    side.feed(text(1) + b"garbage")
    assert side.received == [text(1)]
    assert side.closed == Closed("malformed", by_us=True)
    assert side.sent() == [MALFORMED]


def test_a_fault_behind_connect_is_told_once_it_is_decided():
    side = Side(decide=undecided)
    side.feed(HELLO_CLIENT + b"garbage")
    assert side.closed is None
    side.session.accept()
    side.take()
    assert side.closed == Closed("malformed", by_us=True)
    assert side.sent() == [ACCEPTED, MALFORMED]


PARSED = {
    "CONNECT_CLIENT": (State.ACCEPTED, State.OPEN),
    "CONNECT_SERVER": (State.ACCEPTED, State.OPEN),
    "CONNECTED": (State.DIALLED, State.OPEN),
    "UNSUPPORTED_MESSAGE": (State.ACCEPTED, State.DIALLED, State.OPEN),
    "PING": (State.DIALLED, State.OPEN),
    "PONG": (State.OPEN,),
}


@pytest.mark.parametrize(("name", "state"), [(name, state) for name, states in PARSED.items() for state in states])
def test_a_control_message_that_does_not_parse_is_hung_up(name, state):
    side = in_state(state)
    side.feed(encode_frame(name, NOT_PARSING))
    assert side.closed == Closed("malformed", by_us=True)
    assert side.sent() == [MALFORMED]


@pytest.mark.parametrize("udp_port", [-1, 65536, -(2**31), 2**31 - 1])
def test_a_client_whose_udp_port_is_none_is_malformed(udp_port):
    side = Side()
    side.feed(encode("CONNECT_CLIENT", pb.ConnectClient(user=ALICE.to_pb(), udpPort=udp_port)))
    assert side.sent() == [MALFORMED]


@pytest.mark.parametrize("udp_port", [0, 1, 65535])
def test_a_client_whose_udp_port_is_one_is_taken(udp_port):
    side = Side()
    side.feed(encode("CONNECT_CLIENT", pb.ConnectClient(user=ALICE.to_pb(), udpPort=udp_port)))
    assert side.session.identity.udp_port == udp_port


def test_a_name_that_is_no_utf8_is_malformed():
    side = Side()
    side.feed(encode_frame("CONNECT_SERVER", b"\x0a\x01\xff"))
    assert side.sent() == [MALFORMED]


def test_a_connect_without_names_is_the_owners_to_judge():
    side = Side(decide=undecided)
    assert side.feed(encode("CONNECT_CLIENT")) == [ConnectRequested(Identity(user=User("", "")))]
    side = Side(decide=undecided)
    assert side.feed(encode("CONNECT_SERVER")) == [ConnectRequested(Identity())]


def test_a_hangup_that_does_not_parse_is_honoured_all_the_same():
    side = Side.open()
    assert side.feed(encode_frame("HANGUP", NOT_PARSING)) == [Closed("unknown", by_us=False)]
    assert side.sent() == []


@pytest.mark.parametrize(
    ("error", "last_word"),
    [
        (MalformedMessage("no MESSAGE"), MALFORMED),
        (UnexpectedMessage("not now"), MALFORMED),
        (FrameTooLarge(2, 1), TOO_LARGE),
    ],
)
def test_what_the_owner_cannot_read_is_hung_up(error, last_word):
    side = Side.open()
    side.session.fail(error)
    assert side.take() == [Rejected(error.reason, str(error)), Closed(error.reason, by_us=True)]
    assert side.sent() == [last_word]


# Cutting ----------------------------------------------------------------------------------------------------------

STORY = HELLO_CLIENT + text(1) + PING + text(2) + text(3) + HELLO_SERVER + unsupported("X") + text(4) + EXIT


@pytest.mark.parametrize("size", [1, 2, 5, 13, 1000])
def test_a_story_reads_the_same_however_it_is_cut(size):
    whole, cut = Side(), Side()
    whole.feed(STORY)
    for start in range(0, len(STORY), size):
        cut.feed(STORY[start : start + size])
    assert cut.received == whole.received == [text(n) for n in (1, 2, 3, 4)]
    assert cut.sent() == whole.sent() == [ACCEPTED, PONG, ALREADY]
    for event in (ConnectRequested, Opened, Rejected, Closed):
        assert [e for e in cut.events if isinstance(e, event)] == [e for e in whole.events if isinstance(e, event)]


def test_a_session_says_who_it_is_with():
    assert repr(Side().session) == "<Session ACCEPTED with nobody yet>"
    assert repr(Side.open().session) == "<Session OPEN with alice@alpha>"


def test_limits_are_the_sessions_own():
    session = Session(timeouts=Timeouts(1, 1), limit=10, now=0.0)
    session.receive_data(b"MESSAGE 11 ", 0.0)
    while session.next_event():
        pass
    assert raw_frames(session.data_to_send()) == [TOO_LARGE]


def test_the_dialling_side_hears_why_it_is_refused_and_which_session_and_devices_it_has():
    refused = Session(timeouts=Timeouts(10, 10), limit=1000, now=0.0, hello=b"")
    answer = pb.ConnectResponse(refusal=pb.ConnectResponse.NEW_DEVICE)
    refused.receive_data(encode("CONNECTED", answer), 0.0)
    assert refused.next_event() == Closed("refused", by_us=True, result=0, refusal=pb.ConnectResponse.NEW_DEVICE)
    opened = Session(timeouts=Timeouts(10, 10), limit=1000, now=0.0, hello=b"")
    answer = pb.ConnectResponse(result=1, token=pb.SessionToken(number=3), devices=pb.DeviceList(number=4))
    opened.receive_data(encode("CONNECTED", answer), 0.0)
    event = opened.next_event()
    assert (event.identity.token, event.identity.devices) == (answer.token, answer.devices)


def test_the_accepting_side_hears_what_a_client_shows():
    session = Session(timeouts=Timeouts(10, 10), limit=1000, now=0.0)
    hello = pb.ConnectClient(
        user=pb.User(userId="alice", serverId="alpha"),
        token=pb.SessionToken(number=3),
        password=pb.Password(text="secret"),
        pairing=True,
    )
    session.receive_data(encode("CONNECT_CLIENT", hello), 0.0)
    identity = session.next_event().identity
    assert (identity.token, identity.password, identity.is_pairing) == (hello.token, "secret", True)
    assert "secret" not in repr(identity)
