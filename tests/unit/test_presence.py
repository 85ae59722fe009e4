"""Who is believed to be at an existing server, and when somebody is tried there; what its answers mean."""

import itertools

import pytest

from parley.services.chat.gateways import answers
from parley.services.chat.gateways.names import MOST, gateway_name
from parley.services.chat.gateways.presence import (
    ANSWER_TIME,
    PRESENCE,
    SLACK,
    TRIED_BYTES,
    TRIES,
    Effect,
    Input,
    Presence,
    State,
)
from parley.services.chat.gateways.remote_link import RemoteLink, claim
from parley.services.chat.message.statuses import Status
from parley.shared.addresses import User
from parley.shared.dialects.dialect import LINKING_SERVER
from parley.shared.dialects.rewriting import rewrite
from parley.shared.spellings import Spellings
from parley.shared.wire.framing import FrameReader
from parley.shared.wire.messages import decode, encode, pb
from tests.support.sinks import Sink, ack, message

BOB, BEN = User("bob", "old"), User("ben", "old")
GATEWAY = User("parley-gw-alpha", "old")
TIMEOUT = 10.0


# Presence ------------------------------------------------------------------------------------------------


@pytest.fixture
def presence():
    return Presence(TIMEOUT)


def test_every_state_is_reached_and_nothing_goes_out_to_who_is_away():
    assert {state for rows in PRESENCE.values() for state, _effect in rows.values()} == set(State)
    assert Input.SENT not in PRESENCE[State.AWAY]
    assert {rows[Input.CLOSED][0] for rows in PRESENCE.values()} == {State.AWAY}
    assert {rows[Input.ANSWERED][0] for rows in PRESENCE.values()} == {State.THERE}


def test_an_answer_is_due_after_the_timeout_and_sooner_of_who_is_tried(presence):
    presence.add(BOB, State.THERE)
    assert presence.next_timeout() is None
    assert presence.note(BOB, Input.SENT, 5.0) is Effect.AWAIT
    assert presence.next_timeout() == 5.0 + TIMEOUT
    assert presence.next_due(14.9) is None
    assert presence.next_due(15.0) == (BOB, Input.UNANSWERED)
    assert presence.note(BOB, Input.UNANSWERED, 15.0) is Effect.KEEP
    [due] = [presence.next_timeout()]
    assert presence.next_due(due) == (BOB, Input.DUE)
    assert presence.note(BOB, Input.DUE, due) is Effect.OFFER
    assert presence.next_timeout() == due + ANSWER_TIME
    presence.note(BOB, Input.SENT, due + 0.1)
    assert presence.next_timeout() == due + 0.1 + ANSWER_TIME


def test_an_answer_in_time_leaves_nothing_due(presence):
    presence.add(BOB, State.THERE)
    presence.note(BOB, Input.SENT, 0.0)
    assert (presence.unanswered, presence.owes_answer(BOB)) == (1, True)
    presence.note(BOB, Input.ANSWERED, 1.0)
    assert (presence.unanswered, presence.owes_answer(BOB)) == (0, False)
    assert presence.next_timeout() is None


def test_pauses_begin_again_once_somebody_was_there(presence):
    presence.add(BOB, State.AWAY)
    presence.try_all(0.0)
    firsts = []
    for _ in range(2):
        for _ in range(3):
            due = presence.next_timeout()
            presence.note(BOB, Input.DUE, due)
            presence.note(BOB, Input.UNANSWERED, due + ANSWER_TIME)
        firsts.append(presence.next_timeout() - due)
        presence.note(BOB, Input.DUE, presence.next_timeout())
        presence.note(BOB, Input.ANSWERED, due)
        presence.note(BOB, Input.CLOSED, due)
        presence.try_all(due)
    assert firsts[0] == pytest.approx(firsts[1])


def test_tries_are_paced_and_the_longest_due_is_the_first(presence):
    users = [User(f"u{number:03}", "old") for number in range(100)]
    for at, user in enumerate(users):
        presence.add(user, State.AWAY)
        presence._try_at(user, presence._entries[user], at / 1000)
    order, now = [], 1.0
    while (due := presence.next_timeout()) is not None and len(order) < 100:
        now = max(now, due)
        user, event = presence.next_due(now)
        if event is Input.UNANSWERED:
            presence.note(user, event, now)
            presence.forget(user)
            continue
        order.append(user)
        presence.note(user, event, now)
        presence.note(user, Input.SENT, now, size=0)
    assert order == users
    assert now == pytest.approx(1.0 + 99 / TRIES, abs=0.01)


def test_tries_of_much_are_paced_by_their_bytes(presence):
    presence.add(BOB, State.AWAY)
    presence.add(BEN, State.AWAY)
    presence.try_all(5.0)
    now = presence.next_timeout()
    first, _due = presence.next_due(now)
    presence.note(first, Input.DUE, now)
    presence.note(first, Input.SENT, now, size=3 * TRIED_BYTES)
    presence.note(first, Input.ANSWERED, now)
    assert presence.next_timeout() == pytest.approx(now + 3.0 + 1 / TRIES)


def test_what_is_remembered_of_times_is_bounded(presence):
    presence.add(BOB, State.THERE)
    for at in range(10 * SLACK):
        presence.note(BOB, Input.SENT, float(at))
        presence.note(BOB, Input.ANSWERED, float(at))
    assert len(presence._answers) <= SLACK + 3


# Names, claims, answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("server_id", ["alpha", "a" * 54, "a" * 255, "ä" * 64])
def test_the_gateways_names_are_short_and_differ(server_id):
    names = [gateway_name(server_id, number) for number in range(MOST)]
    assert len(set(names)) == MOST
    assert max(map(len, names)) <= 64
    assert names[0] == f"parley-gw-{server_id}"[:64]
    assert names[1].endswith("-2")
    assert gateway_name(server_id, MOST) == names[0]


def test_a_message_and_its_claim_are_one_write_and_arrive_as_existing_servers_take_them():
    link, sent = Sink(is_parley=False), []
    link.writable = True
    remote = RemoteLink(link, GATEWAY, has_room=lambda: True, sent=sent.append)
    raw = encode("MESSAGE", message(User("ann", "alpha"), 2**64 - 1, BOB, "a line\n"))
    assert remote.writable
    remote.send(raw)
    [write] = link.sent
    assert sent == [len(raw)]
    first, second = FrameReader(1 << 20).feed(write)
    assert first.raw == raw
    claimed = decode(second, pb.ChatMessage)
    assert (claimed.messageSnowflake, User.of(claimed.author)) == (2**64 - 1, GATEWAY)
    assert claimed.user.serverId not in ("old", "alpha", "")
    for frame in rewrite(LINKING_SERVER, write):
        assert not frame[:-1].endswith(b"\n")


@pytest.mark.parametrize(
    ("has_room", "reads", "is_writable"), [(a, b, a and b) for a, b in itertools.product((True, False), repeat=2)]
)
def test_there_is_room_where_nothing_is_on_its_way_and_the_server_reads(has_room, reads, is_writable):
    link = Sink(writable=reads)
    remote = RemoteLink(link, GATEWAY, has_room=lambda: has_room, sent=lambda _size: None)
    assert remote.writable is is_writable
    assert (remote.is_parley, remote.takes_pieces, remote.has_arrived) == (False, False, False)


def test_a_claim_is_made_of_the_largest_message():
    raw = encode("MESSAGE", message(BEN, 7, BOB, "x" * 2_000_000))
    assert len(claim(raw, GATEWAY)) < 200


def test_an_answer_names_a_user_of_that_server_and_is_final():
    spellings = Spellings()
    spellings.learn(["old"])
    for status in Status.Status.values():
        said = ack(1, (User("bob", "OLD"), status))
        by_server, by_client = (read("old", said, spellings) for read in (answers.of_server, answers.of_client))
        is_final = status not in (Status.USER_AWAY, Status.OTHER_SERVER_TIMEOUT)
        assert (by_server == (BOB, 1, status)) is is_final
        if status in (Status.DELIVERED, Status.OTHER_ERROR):
            assert by_client == (BOB, 1, Status.DELIVERED)
    assert answers.of_client("old", ack(1, (BOB, 99)), spellings) == (BOB, 1, Status.UNKNOWN_STATUS)
    for said in (ack(1), ack(1, Status.DELIVERED), ack(1, (User("bob", "other"), Status.DELIVERED))):
        assert answers.of_server("old", said, spellings) is None
