"""The router within one server: delivery, statuses, what waits for whom, and in which order."""

import pytest

from parley.services.chat.delivery import dispatcher
from parley.services.chat.message import in_flight
from parley.services.chat.message.statuses import RecentMessages, Status
from parley.services.chat.routing.fair_order import AT_A_TIME
from parley.shared.addresses import User
from parley.shared.errors import UnexpectedMessage
from parley.shared.runtime.steps import LOOK_EVERY, Steps
from parley.shared.wire.messages import encode, pb
from tests.support.sinks import ACK_TIMEOUT, Node, Sink, ack, message

ANN, AMY, BOB = (User(name, "alpha") for name in ("ann", "amy", "bob"))
NOBODY = User("nobody", "alpha")


@pytest.fixture
def node():
    return Node("alpha")


@pytest.fixture
def ann(node):
    return node.connect(ANN)


@pytest.fixture
def bob(node):
    return node.connect(BOB)


@pytest.fixture
def away(node):
    """Bob has been here, and left."""
    node.disconnect(BOB, node.connect(BOB))


def send_all(node, author, to, snowflakes):
    for snowflake in snowflakes:
        node.send(author, snowflake, to)


# Delivery -------------------------------------------------------------------------------------


def test_a_message_is_passed_on_as_the_bytes_that_came_in(node, ann, bob):
    sent = message(ANN, 7, BOB, "hello")
    raw = encode("MESSAGE", sent)
    node.router.message_from_client(ANN, sent, raw, node.now)
    assert bob.sent.popleft() is raw
    assert not ann.sent


def test_the_author_hears_delivered_from_whom_when_it_is_acknowledged(node, ann, bob):
    node.send(ANN, 7, BOB)
    node.ack(BOB, 7)
    assert ann.statuses() == [(7, BOB, "DELIVERED")]
    assert node.counted == [("local", Status.DELIVERED)]
    assert bob.snowflakes() == [7]
    assert node.is_at_rest


def test_a_message_to_oneself_comes_back(node, ann):
    node.send(ANN, 7, ANN)
    assert ann.snowflakes() == [7]
    node.ack(ANN, 7)
    assert ann.statuses() == [(7, ANN, "DELIVERED")]


@pytest.mark.usefixtures("bob")
def test_what_the_client_answers_is_what_the_author_is_told(node, ann):
    for snowflake, status in enumerate((Status.USER_BLOCKED, Status.OTHER_ERROR, Status.UNKNOWN_STATUS)):
        node.send(ANN, snowflake, BOB)
        node.ack(BOB, snowflake, status)
    assert [s for _, _, s in ann.statuses()] == ["USER_BLOCKED", "OTHER_ERROR", "UNKNOWN_STATUS"]


@pytest.mark.usefixtures("bob")
@pytest.mark.parametrize("status", [Status.USER_AWAY, Status.OTHER_SERVER_TIMEOUT, 99])
def test_a_client_that_answers_with_no_final_status_has_taken_it_unconfirmed(node, ann, status):
    node.send(ANN, 7, BOB)
    node.ack(BOB, 7, status)
    assert ann.statuses() == [(7, BOB, "UNKNOWN_STATUS")]
    assert node.is_at_rest


@pytest.mark.usefixtures("bob")
def test_acknowledgements_of_what_was_never_sent_and_empty_ones_change_nothing(node, ann):
    node.send(ANN, 7, BOB)
    node.ack(BOB, 8)
    node.ack(ANN, 7)
    node.router.ack_from_client(BOB, ack(7), node.now)
    assert not ann.sent
    node.ack(BOB, 7)
    node.ack(BOB, 7)
    assert ann.statuses() == [(7, BOB, "DELIVERED")]


def test_an_unknown_user_is_not_found_and_nothing_is_kept(node, ann):
    node.send(ANN, 7, NOBODY)
    assert ann.statuses() == [(7, NOBODY, "USER_NOT_FOUND")]
    node.connect(NOBODY)
    assert node.is_at_rest


# Who may send what --------------------------------------------------------------------------------


def test_a_client_that_speaks_for_another_is_answered_and_refused(node, ann, bob):
    foreign = message(AMY, 7, BOB)
    with pytest.raises(UnexpectedMessage):
        node.router.message_from_client(ANN, foreign, encode("MESSAGE", foreign), node.now)
    assert ann.statuses() == [(7, BOB, "OTHER_ERROR")]
    assert not bob.sent


@pytest.mark.parametrize(
    "recipient",
    [{}, {"user": pb.User(userId="bob")}, {"user": pb.User(serverId="alpha")}, {"group": pb.Group(groupId="g")}],
)
def test_a_message_to_nobody_is_answered_and_refused(node, ann, recipient):
    with pytest.raises(UnexpectedMessage):
        node.send(ANN, 7, None, **recipient)
    assert [(n, s) for n, _, s in ann.statuses()] == [(7, "OTHER_ERROR")]
    assert node.is_at_rest


def test_a_group_of_ours_is_not_found_as_long_as_none_lives_here(node, ann):
    node.connect(User("g", "alpha"))  # a user of that name is no group
    node.send(ANN, 7, None, group=pb.Group(groupId="g", serverId="alpha"))
    assert ann.statuses() == [(7, User("g", "alpha"), "USER_NOT_FOUND")]


# Who is away -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("away")
def test_what_waited_goes_out_in_order_and_before_what_is_new(node, ann):
    send_all(node, ANN, BOB, (3, 1, 2))
    assert ann.statuses() == [(n, BOB, "USER_AWAY") for n in (3, 1, 2)]
    bob = node.connect(BOB)
    send_all(node, ANN, BOB, (5, 4))
    assert bob.snowflakes() == [3, 1, 2, 5, 4]
    for snowflake in (3, 1, 2, 5, 4):
        node.ack(BOB, snowflake)
    assert ann.statuses() == [(n, BOB, "DELIVERED") for n in (3, 1, 2, 5, 4)]
    assert node.is_at_rest


def test_what_was_not_acknowledged_when_a_client_left_waits_before_what_is_new(node, ann, bob):
    send_all(node, ANN, BOB, (3, 1, 2))
    node.ack(BOB, 1)
    node.disconnect(BOB, bob)
    node.send(ANN, 9, BOB)
    assert ann.statuses() == [(1, BOB, "DELIVERED"), *((n, BOB, "USER_AWAY") for n in (3, 2, 9))]
    assert node.connect(BOB).snowflakes() == [3, 2, 9]


@pytest.mark.usefixtures("ann")
def test_the_order_holds_where_authors_share_numbers_or_have_none(node, bob):
    node.connect(AMY)
    sent = [(AMY, 1, "a"), (ANN, 2, "b"), (ANN, 1, "c"), (AMY, 0, "d"), (AMY, 3, "e"), (AMY, 0, "f")]
    for author, snowflake, text in sent:
        node.send(author, snowflake, BOB, text)
    node.disconnect(BOB, bob)
    assert [each.textContent for each in node.connect(BOB).take()] == list("abcdef")


@pytest.mark.usefixtures("away")
def test_an_author_is_told_away_once_however_often_the_recipient_comes_and_goes(node, ann):
    node.send(ANN, 7, BOB)
    for _ in range(3):
        node.disconnect(BOB, node.connect(BOB))
    assert ann.statuses() == [(7, BOB, "USER_AWAY")]


@pytest.mark.usefixtures("bob")
def test_a_status_for_an_author_who_is_away_is_told_on_return(node, ann):
    send_all(node, ANN, BOB, (1, 2))
    node.disconnect(ANN, ann)
    node.ack(BOB, 1)
    node.ack(BOB, 2)
    back = node.connect(ANN)
    assert back.statuses() == [(n, BOB, "DELIVERED") for n in (1, 2)]
    assert node.connect(ANN).statuses() == []
    assert node.is_at_rest


# Duplicates ---------------------------------------------------------------------------------------


def test_a_message_that_comes_again_is_answered_with_its_present_status_and_not_sent_again(node, ann, bob):
    node.send(ANN, 7, BOB)
    node.send(ANN, 7, BOB)
    assert not ann.sent  # there is nothing to say yet
    node.disconnect(BOB, bob)
    node.send(ANN, 7, BOB)
    assert ann.statuses() == [(7, BOB, "USER_AWAY")] * 2
    bob = node.connect(BOB)
    assert bob.snowflakes() == [7]
    node.ack(BOB, 7)
    node.send(ANN, 7, BOB)
    assert ann.statuses() == [(7, BOB, "DELIVERED")] * 2
    assert not bob.sent


def test_what_waits_only_for_the_answer_to_another_of_its_number_is_not_told_away(node, ann, bob):
    for text in ("a", "b", "c"):
        node.send(ANN, 7, BOB, text)
    assert not ann.sent
    for _ in range(3):
        node.ack(BOB, 7)
    assert [each.textContent for each in bob.take()] == ["a", "b", "c"]
    assert ann.statuses() == [(7, BOB, "DELIVERED")] * 3


@pytest.mark.usefixtures("bob")
def test_where_that_other_is_not_answered_they_are_all_told_away(node, ann):
    for text in ("a", "b", "c"):
        node.send(ANN, 7, BOB, text)
    node.pass_time(ACK_TIMEOUT)
    assert ann.statuses() == [(7, BOB, "USER_AWAY")] * 3


def test_the_same_number_of_another_author_or_to_another_is_another_message(node, ann, bob):
    amy = node.connect(AMY)
    node.send(ANN, 7, BOB)
    node.send(AMY, 7, BOB)
    node.send(ANN, 7, AMY)
    assert bob.snowflakes() == [7, 7]
    assert amy.snowflakes() == [7]
    node.ack(BOB, 7)
    assert ann.statuses() == [(7, BOB, "DELIVERED")]
    assert not amy.sent
    node.ack(BOB, 7)
    assert amy.statuses() == [(7, BOB, "DELIVERED")]


def test_snowflake_zero_is_nobodys_number(node, ann, bob):
    for text in "ab":
        node.send(ANN, 0, BOB, text)
    assert [each.textContent for each in bob.take()] == ["a", "b"]
    for _ in range(3):
        node.ack(BOB, 0)
    assert ann.statuses() == [(0, BOB, "DELIVERED")] * 2


def test_the_memory_forgets_the_oldest_message(node):
    memory = RecentMessages(node.mailbox.find, limit=2)
    for snowflake in (1, 2, 3):
        memory.note(bytes(15) + bytes([snowflake]), Status.DELIVERED)
    memory.note(b"", Status.DELIVERED)  # of snowflake 0
    assert [memory.knows(bytes(15) + bytes([snowflake])) for snowflake in (1, 2, 3)] == [False, True, True]
    assert not memory.knows(b"")


def test_a_client_answers_what_its_link_was_given_and_nothing_else(node, ann, bob):
    node.send(ANN, 7, BOB)
    late = Sink(writable=False)
    node.connect(BOB, late)
    with pytest.raises(UnexpectedMessage):
        node.ack(BOB, 7, sink=late)
    assert not ann.sent
    node.ack(BOB, 7, sink=bob)
    assert ann.statuses() == [(7, BOB, "DELIVERED")]


# Several clients of one user -----------------------------------------------------------------------


def test_every_client_gets_a_message_and_the_first_acknowledgement_counts(node, ann, bob):
    second = node.connect(BOB)
    node.send(ANN, 7, BOB)
    assert bob.snowflakes() == second.snowflakes() == [7]
    node.ack(BOB, 7)
    node.ack(BOB, 7)
    assert ann.statuses() == [(7, BOB, "DELIVERED")]


@pytest.mark.usefixtures("bob")
def test_statuses_go_to_every_client_of_the_author(node, ann):
    second = node.connect(ANN)
    node.send(ANN, 7, BOB)
    node.ack(BOB, 7)
    assert ann.statuses() == second.statuses() == [(7, BOB, "DELIVERED")]


def test_what_one_client_leaves_unanswered_the_other_may_still_answer(node, ann, bob):
    second = node.connect(BOB)
    node.send(ANN, 7, BOB)
    node.disconnect(BOB, bob)
    assert second.snowflakes() == [7]  # it has it already
    assert not ann.sent
    node.ack(BOB, 7)
    assert ann.statuses() == [(7, BOB, "DELIVERED")]
    node.send(ANN, 8, BOB)
    assert second.snowflakes() == [8]


@pytest.mark.usefixtures("ann")
def test_a_client_that_joins_gets_what_is_unanswered_before_what_is_new(node, bob):
    """Otherwise one that came back while its old link was half-open would hear the old after the new."""
    send_all(node, ANN, BOB, (1, 2))
    second = node.connect(BOB)
    node.send(ANN, 3, BOB)
    node.disconnect(BOB, bob)
    assert bob.snowflakes() == second.snowflakes() == [1, 2, 3]


@pytest.mark.usefixtures("ann")
def test_a_client_that_joins_one_that_no_longer_reads_gets_all_in_order(node, bob):
    node.send(ANN, 1, BOB)
    bob.writable = False
    node.send(ANN, 2, BOB)
    assert node.connect(BOB).snowflakes() == [1, 2]


def test_what_a_reader_is_too_slow_for_is_kept_and_its_author_told_so_once(node, ann, bob):
    second = node.connect(BOB)
    bob.writable = second.writable = False
    node.send(ANN, 1, BOB)
    node.disconnect(BOB, bob)
    assert ann.statuses() == [(1, BOB, "USER_AWAY")]
    second.writable = True
    node.router.writable(BOB, node.now)
    node.ack(BOB, 1)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]


def test_who_never_answers_is_sent_a_window_and_the_rest_is_answered_for_at_once(node, ann, bob, monkeypatch):
    monkeypatch.setattr(in_flight, "WINDOW", 2)
    monkeypatch.setattr(in_flight, "BURST", 1)
    send_all(node, ANN, BOB, (1, 2, 3))
    assert bob.snowflakes() == [1, 2]
    assert ann.statuses() == [(3, BOB, "USER_AWAY")]


class Turns:
    """Has tasks done a few steps in each turn, as the event loop's queue does."""

    def __init__(self):
        self.steps = Steps(self, lambda: 0.0, lambda _now: True, lambda _size: None)

    def add(self, _steps):
        """It is asked to go on when it is to."""


def test_thousands_that_wait_for_one_who_left_are_told_of_a_few_at_a_time(node, ann, bob):
    turns, a_turn = Turns(), LOOK_EVERY * AT_A_TIME
    node.router._in_turns = turns.steps.add
    send_all(node, ANN, BOB, range(1, 3 * a_turn + 1))
    node.disconnect(BOB, bob)
    assert ann.statuses() == []
    assert turns.steps.go_on()
    node.end_turn()
    told = [number for number, *_ in ann.statuses()]
    assert told == list(range(1, len(told) + 1))
    assert 0 < len(told) <= a_turn
    again = node.connect(BOB)  # is back meanwhile, and gets all
    assert not turns.steps.go_on()
    assert again.snowflakes() == list(range(1, 3 * a_turn + 1))
    assert ann.statuses() == []
    node.ack(BOB, 3 * a_turn)
    node.disconnect(BOB, again)
    node.disconnect(BOB, node.connect(BOB))  # and leaves once more before anybody is told
    assert len(turns.steps) == 1
    while turns.steps.go_on():
        pass
    node.end_turn()
    assert ann.statuses() == [
        (3 * a_turn, BOB, "DELIVERED"),
        *((number, BOB, "USER_AWAY") for number in range(len(told) + 1, 3 * a_turn)),
    ]


@pytest.mark.usefixtures("ann")
def test_a_client_that_reads_again_gets_what_is_unanswered_before_what_is_new(node, bob):
    second = node.connect(BOB)
    bob.writable = False
    send_all(node, ANN, BOB, (1, 2))
    assert second.snowflakes() == [1, 2]
    bob.writable = True
    node.router.writable(BOB, node.now)
    node.send(ANN, 3, BOB)
    node.disconnect(BOB, second)
    assert bob.snowflakes() == [1, 2, 3]


# Back-pressure and bounds ---------------------------------------------------------------------------


@pytest.mark.usefixtures("ann")
def test_what_is_for_a_slow_reader_waits_and_goes_on_in_order(node, bob):
    bob.writable = False
    send_all(node, ANN, BOB, (1, 2))
    assert not bob.sent
    bob.writable = True
    node.send(ANN, 3, BOB)
    node.router.writable(BOB, node.now)
    assert bob.snowflakes() == [1, 2, 3], "what is new must not overtake what waits"


@pytest.mark.usefixtures("ann")
def test_a_slow_reader_holds_up_nobody_else(node, bob):
    amy = node.connect(AMY)
    bob.writable = False
    node.send(ANN, 1, BOB)
    node.send(ANN, 2, AMY)
    assert amy.snowflakes() == [2]


@pytest.mark.usefixtures("ann")
def test_only_so_many_are_on_their_way_and_each_answer_lets_one_more_go(node, bob, monkeypatch):
    monkeypatch.setattr(in_flight, "WINDOW", 2)
    monkeypatch.setattr(in_flight, "BURST", 1)
    send_all(node, ANN, BOB, (1, 2, 3, 4))
    assert bob.snowflakes() == [1, 2]
    node.ack(BOB, 1)
    assert bob.snowflakes() == [3]
    node.disconnect(BOB, bob)
    assert node.connect(BOB).snowflakes() == [2, 3]
    for snowflake in (2, 3, 4):
        node.ack(BOB, snowflake)
    assert node.is_at_rest


def with_window(window):
    sink = Sink()
    sink.window = window
    return sink


@pytest.mark.usefixtures("ann")
def test_a_client_with_a_window_is_sent_so_many_and_each_answer_lets_one_more_go(node):
    bob = node.connect(BOB, with_window(2))
    send_all(node, ANN, BOB, (1, 2, 3, 4))
    assert bob.snowflakes() == [1, 2]
    node.ack(BOB, 1)
    assert bob.snowflakes() == [3]
    node.ack(BOB, 3)
    assert bob.snowflakes() == [4]


def test_the_narrowest_window_of_a_users_clients_counts_for_as_long_as_that_client_is_there(node):
    node.connect(ANN)
    usual, narrow = node.connect(BOB), node.connect(BOB, with_window(1))
    node.connect(BOB, with_window(2))
    send_all(node, ANN, BOB, (1, 2))
    assert usual.snowflakes() == [1]
    node.disconnect(BOB, narrow)
    send_all(node, ANN, BOB, (3,))
    assert usual.snowflakes() == [2]


def test_no_window_is_wider_than_the_servers_own(node, monkeypatch):
    monkeypatch.setattr(in_flight, "WINDOW", 2)
    node.connect(ANN)
    bob = node.connect(BOB, with_window(1_000_000))
    send_all(node, ANN, BOB, (1, 2, 3))
    assert bob.snowflakes() == [1, 2]


@pytest.mark.usefixtures("ann")
def test_only_so_many_bytes_are_on_their_way(node, bob, monkeypatch):
    monkeypatch.setattr(in_flight, "WINDOW_BYTES", 1)
    send_all(node, ANN, BOB, (1, 2))
    assert bob.snowflakes() == [1]
    node.ack(BOB, 1)
    assert bob.snowflakes() == [2]


def test_a_full_mailbox_is_an_error_to_the_author_and_loses_nothing_that_it_holds():
    node = Node("alpha", mailbox=2)
    node.disconnect(BOB, node.connect(BOB))
    ann = node.connect(ANN)
    send_all(node, ANN, BOB, (1, 2, 3))
    assert ann.statuses() == [(1, BOB, "USER_AWAY"), (2, BOB, "USER_AWAY"), (3, BOB, "OTHER_ERROR")]
    assert node.connect(BOB).snowflakes() == [1, 2]


def test_what_comes_back_from_a_lost_link_always_finds_room():
    node = Node("alpha", mailbox=1)
    node.connect(ANN)
    bob = node.connect(BOB)
    send_all(node, ANN, BOB, (1, 2, 3))
    node.disconnect(BOB, bob)
    assert node.connect(BOB).snowflakes() == [1, 2, 3]


# Time -------------------------------------------------------------------------------------------------


def test_a_client_that_does_not_answer_in_time_counts_as_away_and_may_answer_later(node, ann, bob):
    assert node.router.next_timeout() is None
    node.send(ANN, 1, BOB)
    node.pass_time(1)
    node.send(ANN, 2, BOB)
    node.pass_time(0.1)
    assert node.router.next_timeout() == ACK_TIMEOUT
    node.router.handle_timeout(ACK_TIMEOUT - 0.001)
    assert not ann.sent
    node.router.handle_timeout(ACK_TIMEOUT)
    assert ann.statuses() == [(1, BOB, "USER_AWAY")]
    assert node.router.next_timeout() == ACK_TIMEOUT + 1
    node.pass_time(ACK_TIMEOUT)
    assert ann.statuses() == [(2, BOB, "USER_AWAY")]
    assert node.router.next_timeout() == 2 * ACK_TIMEOUT  # it is offered again
    node.ack(BOB, 1)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]
    assert bob.snowflakes() == [1, 2, 1, 2]  # each was offered again


@pytest.mark.usefixtures("ann", "bob")
def test_answers_stop_the_clock_in_any_order(node):
    for seconds, snowflake in enumerate((1, 2, 3)):
        node.send(ANN, snowflake, BOB)
        node.pass_time(1)
        assert node.router.next_timeout() == ACK_TIMEOUT, seconds
    node.ack(BOB, 2)
    node.ack(BOB, 1)
    assert node.router.next_timeout() == ACK_TIMEOUT + 2
    node.ack(BOB, 3)
    assert node.router.next_timeout() is None


def test_the_clock_of_a_lost_link_says_nothing_about_the_next(node, ann, bob):
    node.send(ANN, 1, BOB)
    node.pass_time(5)
    node.disconnect(BOB, bob)
    node.connect(BOB)
    assert [s for *_, s in ann.statuses()] == ["USER_AWAY"]
    node.ack(BOB, 1)
    node.pass_time(ACK_TIMEOUT)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]


@pytest.mark.usefixtures("bob")
def test_one_who_does_not_answer_does_not_keep_what_others_have_answered_in_memory(node, ann):
    node.connect(AMY)
    node.send(ANN, 1, AMY)
    for snowflake in range(2, 5000):
        node.send(ANN, snowflake, BOB)
        node.ack(BOB, snowflake)
    assert len(node.router._dispatcher._unanswered) <= dispatcher.SLACK + 3
    node.pass_time(ACK_TIMEOUT)
    assert (1, AMY, "USER_AWAY") in ann.statuses()


def test_what_a_dead_link_was_told_last_is_told_over_the_next(node, ann, bob):
    node.send(ANN, 1, BOB)
    node.ack(BOB, 1)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]
    node.disconnect(ANN, ann)
    assert node.connect(ANN).statuses() == [(1, BOB, "DELIVERED")]
    assert node.is_at_rest
    assert bob.snowflakes() == [1]


@pytest.mark.parametrize("count", [1, 70, 100, 130])
def test_the_last_hundred_statuses_that_a_dead_link_was_told_are_told_over_the_next(count):
    node = Node("alpha", fast_path=False)
    ann, _bob = node.connect(ANN), node.connect(BOB)
    for snowflake in range(1, count + 1):
        node.send(ANN, snowflake, BOB)
    for snowflake in range(1, count + 1):
        node.ack(BOB, snowflake)
    ann.take()
    node.disconnect(ANN, ann)
    again = [(number, BOB, "DELIVERED") for number in range(1, count + 1)]
    assert node.connect(ANN).statuses() == again[-100:]


@pytest.mark.usefixtures("bob")
@pytest.mark.parametrize("how", ["it spoke again", "it said goodbye", "another client heard it"])
def test_what_a_link_heard_is_not_told_again(node, ann, how):
    node.send(ANN, 1, BOB)
    if how == "another client heard it":
        node.connect(ANN)
    node.ack(BOB, 1)
    if how == "it spoke again":
        node.router.heard_from(ann)
    node.roster.remove_client(ANN, ann)
    node.router.client_disconnected(ANN, ann, node.now, cleanly=how == "it said goodbye")
    node.end_turn()
    assert node.connect(ANN).statuses() == []
    assert node.is_at_rest
