"""The router among servers: looking for one, losing its link, existing ones, and two routers joined."""

import pytest

from parley.services.chat.delivery import dispatcher
from parley.services.chat.message import in_flight
from parley.services.chat.message.statuses import Status
from parley.services.chat.routing.router import LOOKUP_TIME
from parley.shared.addresses import Group, User
from parley.shared.compiled import core
from parley.shared.errors import UnexpectedMessage
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import encode, pb
from tests.support.sinks import ACK_TIMEOUT, Joined, Node, Sink, message

ANN, AMY = User("ann", "alpha"), User("amy", "alpha")
BOB, BEN = User("bob", "beta"), User("ben", "beta")
GUS = User("gus", "gamma")


@pytest.fixture
def node():
    return Node("alpha")


@pytest.fixture
def ann(node):
    return node.connect(ANN)


def send_all(node, snowflakes, to=BOB):
    for snowflake in snowflakes:
        node.send(ANN, snowflake, to)


# A server that is not linked ----------------------------------------------------------------------


def test_an_unknown_server_is_looked_for_and_not_found_after_a_while(node, ann):
    send_all(node, (1, 2))
    assert node.looked_for == ["beta"]
    node.pass_time(LOOKUP_TIME - 0.001)
    assert not ann.sent
    node.pass_time(0.001)
    assert ann.statuses() == [(n, BOB, "OTHER_SERVER_NOT_FOUND") for n in (1, 2)]
    assert node.link("beta").snowflakes() == []
    assert node.is_at_rest


def test_an_unknown_server_that_is_linked_in_time_gets_its_messages(node, ann):
    send_all(node, (1, 2))
    node.pass_time(LOOKUP_TIME / 2)
    beta = node.link("beta")
    assert beta.snowflakes() == [1, 2]
    node.pass_time(LOOKUP_TIME)
    assert not ann.sent


def test_a_server_that_was_only_heard_of_keeps_its_messages_waiting(node, ann):
    send_all(node, (1,))
    node.roster.remember(["beta"])
    node.pass_time(LOOKUP_TIME)
    assert ann.statuses() == [(1, BOB, "OTHER_SERVER_TIMEOUT")]
    send_all(node, (2,))
    assert node.looked_for == ["beta", "beta"]
    node.pass_time(LOOKUP_TIME)
    assert ann.statuses() == [(2, BOB, "OTHER_SERVER_TIMEOUT")]  # the first was told already
    assert node.link("beta").snowflakes() == [1, 2]
    for snowflake in (1, 2):
        node.answer("beta", snowflake, (BOB, Status.DELIVERED), author=ANN)
    assert ann.statuses() == [(n, BOB, "DELIVERED") for n in (1, 2)]
    assert node.is_at_rest


def test_a_group_of_another_server_goes_to_that_server(node, ann):
    beta = node.link("beta")
    node.send(ANN, 7, None, group=pb.Group(groupId="g", serverId="beta"))
    assert beta.snowflakes() == [7]
    node.answer("beta", 7, (User("g", "beta"), Status.DELIVERED), author=ANN)
    assert ann.statuses() == [(7, User("g", "beta"), "DELIVERED")]


@pytest.mark.usefixtures("ann")
def test_a_server_that_is_slow_to_read_keeps_the_order(node):
    beta = node.link("beta")
    beta.writable = False
    send_all(node, (1, 2))
    assert not beta.sent
    beta.writable = True
    node.router.writable("beta", node.now)
    send_all(node, (3,))
    assert beta.snowflakes() == [1, 2, 3]


def test_only_so_many_are_on_their_way_to_a_server_and_each_answer_lets_one_more_go(node, ann, monkeypatch):
    monkeypatch.setattr(in_flight, "WINDOW", 1)
    monkeypatch.setattr(in_flight, "BURST", 1)
    monkeypatch.setattr(dispatcher, "SERVER_WINDOWS", 2)
    beta = node.link("beta")
    send_all(node, (1, 2, 3))
    assert beta.snowflakes() == [1, 2]
    node.answer("beta", 2, (BOB, Status.DELIVERED), author=ANN)
    assert beta.snowflakes() == [3]
    assert ann.statuses() == [(2, BOB, "DELIVERED")]


# A link that is lost ----------------------------------------------------------------------------------


def test_what_was_unanswered_on_a_lost_link_goes_over_the_next_in_order_and_first(node, ann):
    beta = node.link("beta")
    send_all(node, (3, 1, 2))
    node.answer("beta", 1, (BOB, Status.DELIVERED), author=ANN)
    node.unlink("beta", beta)
    send_all(node, (9,))
    assert node.looked_for == ["beta"]
    node.pass_time(LOOKUP_TIME)
    assert ann.statuses() == [(1, BOB, "DELIVERED"), *((n, BOB, "OTHER_SERVER_TIMEOUT") for n in (3, 2, 9))]
    assert node.link("beta").snowflakes() == [3, 2, 9]


def test_what_only_waited_when_a_link_was_lost_is_looked_for_and_told_of_too(node, ann):
    beta = node.link("beta")
    beta.writable = False
    send_all(node, (1,))
    node.unlink("beta", beta)
    assert node.looked_for == ["beta"]
    node.pass_time(LOOKUP_TIME)
    assert ann.statuses() == [(1, BOB, "OTHER_SERVER_TIMEOUT")]


def test_a_parley_is_sent_a_message_as_often_as_its_links_are_lost(node, ann):
    send_all(node, (1,))
    for _ in range(4):
        beta = node.link("beta")
        assert beta.snowflakes() == [1]
        node.unlink("beta", beta)
    node.link("beta")
    node.answer("beta", 1, (BOB, Status.DELIVERED), author=ANN)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]


def test_what_a_parley_keeps_for_its_user_is_its_own_to_answer_for(node, ann):
    beta = node.link("beta")
    send_all(node, (1,))
    node.answer("beta", 1, (BOB, Status.USER_AWAY), author=ANN)
    node.unlink("beta", beta)
    beta = node.link("beta")
    assert beta.snowflakes() == []
    node.answer("beta", 1, (BOB, Status.DELIVERED), author=ANN)
    assert ann.statuses() == [(1, BOB, "USER_AWAY"), (1, BOB, "DELIVERED")]


def test_a_link_that_is_back_at_once_tells_the_author_nothing(node, ann):
    beta = node.link("beta")
    send_all(node, (1,))
    node.unlink("beta", beta)
    node.link("beta")
    node.pass_time(LOOKUP_TIME)
    assert not ann.sent


def test_a_parley_is_waited_for_and_may_answer_late(node, ann):
    beta = node.link("beta")
    send_all(node, (1,))
    node.pass_time(ACK_TIMEOUT)
    assert ann.statuses() == [(1, BOB, "OTHER_SERVER_TIMEOUT")]
    node.answer("beta", 1, (BOB, Status.DELIVERED), author=ANN)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]
    assert beta.snowflakes() == [1]


def test_nothing_is_unknown_again_once_its_final_status_was_told(node, ann):
    """The answer may come over a new link before the message could be written to that link again."""
    beta = node.link("beta")
    send_all(node, (1,))
    node.unlink("beta", beta)
    node.link("beta", slow := Sink(writable=False))
    node.answer("beta", 1, (BOB, Status.DELIVERED), author=ANN)
    node.unlink("beta", slow)
    node.pass_time(LOOKUP_TIME)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]


# Existing servers, which may never confirm -------------------------------------------------------------


def test_what_an_existing_server_leaves_unanswered_is_unconfirmed_and_never_sent_again(node, ann):
    old = node.link("beta", confirms=False)
    send_all(node, (1,))
    node.pass_time(ACK_TIMEOUT)
    assert ann.statuses() == [(1, BOB, "UNKNOWN_STATUS")]
    node.unlink("beta", old, confirms=False)
    assert node.link("beta", confirms=False).snowflakes() == []
    assert old.snowflakes() == [1]
    assert node.is_at_rest


def test_what_was_on_its_link_when_that_broke_is_sent_once_more_and_then_unconfirmed(node, ann):
    for _ in range(2):
        old = node.link("beta", confirms=False)
        send_all(node, (1,))  # the author asks again, too
        assert old.snowflakes() == [1]
        assert not ann.sent
        node.unlink("beta", old, confirms=False)
    assert ann.statuses() == [(1, BOB, "UNKNOWN_STATUS")]
    assert node.link("beta", confirms=False).snowflakes() == []
    assert node.is_at_rest


def test_a_link_that_ended_before_a_message_had_its_turn_is_no_try(node, ann):
    for _ in range(3):
        old = node.link("beta", confirms=False)
        old.is_paced = True
        send_all(node, (1,))
        node.unlink("beta", old, confirms=False)
    assert not old.sent
    assert not ann.sent
    assert node.link("beta", confirms=False).snowflakes() == [1]
    node.answer("beta", 1, Status.DELIVERED)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]
    assert node.is_at_rest


def test_the_second_try_has_its_own_time(node, ann):
    node.connect(AMY)
    old = node.link("beta", confirms=False)
    node.send(AMY, 1, AMY)  # its clock stands before the other's
    node.pass_time(1)
    send_all(node, (1,))
    node.pass_time(8)
    node.unlink("beta", old, confirms=False)
    node.link("beta", confirms=False)
    node.pass_time(ACK_TIMEOUT - 0.001)
    assert not ann.sent
    node.pass_time(0.001)
    assert ann.statuses() == [(1, BOB, "UNKNOWN_STATUS")]


def test_its_acknowledgement_names_nobody_and_is_the_recipients(node, ann):
    node.link("beta", confirms=False)
    send_all(node, (1,))
    node.answer("beta", 1, Status.DELIVERED)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]
    assert node.is_at_rest


def test_an_interim_status_of_its_keeps_the_author_known_for_the_final_one(node, ann):
    node.link("beta", confirms=False)
    send_all(node, (1,))
    node.answer("beta", 1, (BOB, Status.USER_AWAY))
    node.pass_time(2 * ACK_TIMEOUT)
    node.answer("beta", 1, (BOB, Status.DELIVERED))
    assert ann.statuses() == [(1, BOB, "USER_AWAY"), (1, BOB, "DELIVERED")]
    assert node.is_at_rest


def test_what_it_took_and_did_not_confirm_before_its_link_broke_is_unconfirmed(node, ann):
    old = node.link("beta", confirms=False)
    send_all(node, (1,))
    node.answer("beta", 1, (BOB, Status.USER_AWAY))
    node.unlink("beta", old, confirms=False)
    assert ann.statuses() == [(1, BOB, "USER_AWAY"), (1, BOB, "UNKNOWN_STATUS")]
    assert node.link("beta", confirms=False).snowflakes() == []


def test_what_it_leaves_unanswered_makes_room_for_what_waits(node, ann, monkeypatch):
    monkeypatch.setattr(in_flight, "WINDOW", 1)
    monkeypatch.setattr(in_flight, "BURST", 1)
    monkeypatch.setattr(dispatcher, "SERVER_WINDOWS", 2)
    old = node.link("beta", confirms=False)
    send_all(node, (1, 2, 3, 4, 5))
    node.pass_time(3 * ACK_TIMEOUT)
    assert old.snowflakes() == [1, 2, 3, 4, 5]
    assert ann.statuses() == [(n, BOB, "UNKNOWN_STATUS") for n in (1, 2, 3, 4, 5)]


# What other servers send and answer ---------------------------------------------------------------------


def test_a_server_speaks_for_its_own_users_to_ours_only(node, ann):
    node.link("beta")
    for author, to in [(GUS, ANN), (AMY, ANN), (BOB, GUS), (BOB, BEN), (User("", "beta"), ANN)]:
        with pytest.raises(UnexpectedMessage):
            node.receive("beta", message(author, 1, to))
    with pytest.raises(UnexpectedMessage):
        node.receive("beta", message(BOB, 1, None))
    assert not ann.sent
    assert node.is_at_rest


def test_a_server_passes_on_what_others_wrote_to_its_own_group_only(node, ann):
    def copy(group_server):
        group = pb.Group(groupId="g", serverId=group_server)
        return message(GUS, 1, None, userOfGroup=pb.UserOfGroup(user=ANN.to_pb(), group=group))

    with pytest.raises(UnexpectedMessage):
        node.receive("beta", copy("gamma"))
    node.receive("beta", copy("beta"))
    assert ann.snowflakes() == [1]


def test_a_server_answers_for_its_own_users_only(node, ann):
    node.link("beta")
    node.link("gamma")
    send_all(node, (1,), GUS)
    with pytest.raises(UnexpectedMessage):
        node.answer("beta", 1, (GUS, Status.DELIVERED), author=ANN)
    assert not ann.sent


def test_one_acknowledgement_may_answer_for_several_users(node, ann):
    node.link("beta")
    for to in (BOB, BEN):
        node.send(ANN, 1, to)
    node.answer("beta", 1, (BEN, Status.DELIVERED), (BOB, Status.USER_BLOCKED), author=ANN)
    assert ann.statuses() == [(1, BEN, "DELIVERED"), (1, BOB, "USER_BLOCKED")]
    assert node.is_at_rest


def test_an_answer_that_names_the_author_is_that_authors(node, ann):
    amy = node.connect(AMY)
    node.link("beta")
    node.send(ANN, 7, BOB)
    node.send(AMY, 7, BOB)
    node.answer("beta", 7, (BOB, Status.DELIVERED), author=AMY)
    assert amy.statuses() == [(7, BOB, "DELIVERED")]
    assert not ann.sent


def test_a_status_that_a_newer_server_invented_is_unconfirmed(node, ann):
    node.link("beta")
    send_all(node, (1,))
    node.answer("beta", 1, (BOB, 99), author=ANN)
    assert ann.statuses() == [(1, BOB, "UNKNOWN_STATUS")]


def test_a_late_status_of_what_another_server_has_reaches_its_author_once(node, ann):
    node.link("beta")
    node.send(ANN, 1, BOB)
    node.answer("beta", 1, (BOB, Status.USER_AWAY), author=ANN)
    assert ann.statuses() == [(1, BOB, "USER_AWAY")]
    node.start()  # a new process, which has forgotten all that is not on disk
    ann = node.connect(ANN)
    node.link("beta")
    node.answer("beta", 1, (BOB, Status.DELIVERED), author=ANN)
    assert ann.statuses() == [(1, BOB, "DELIVERED")]
    node.answer("beta", 1, (BOB, Status.DELIVERED), author=GUS)
    node.answer("beta", 1, (BOB, Status.DELIVERED))
    node.answer("beta", 1, Status.DELIVERED, author=ANN)
    node.answer("beta", 1, (BOB, Status.DELIVERED), author=ANN)  # its receipt was lost
    assert not ann.sent
    assert node.is_at_rest


@pytest.mark.parametrize("status", ["DELIVERED", "USER_AWAY", "OTHER_ERROR"])
def test_a_status_of_a_message_that_its_server_was_never_given_is_told_to_nobody(node, ann, status):
    node.link("beta")
    node.link("gamma")
    node.send(ANN, 1, GUS)
    node.answer("beta", 1, (BOB, Status.Status.Value(status)), author=ANN)  # another number's, and another's
    node.answer("beta", 2, (BOB, Status.Status.Value(status)), author=ANN)
    assert not ann.sent
    assert node.doubted == 2


@pytest.mark.parametrize("fast_path", {False, core is not None})
def test_what_a_client_refuses_of_another_servers_user_is_told_of(fast_path):
    """Also what took the fast path, on which nothing is verified; but no group's copy, nor what is said here."""
    node = Node("alpha", fast_path=fast_path)
    node.connect(ANN), node.connect(AMY), node.link("beta")
    node.receive("beta", message(BOB, 1, ANN, "known from now on"))
    node.ack(ANN, 1)
    changed = message(BOB, 2, ANN, "changed")
    node.receive("beta", changed)
    assert fast_path == bool(node.router.fast_path)
    node.ack(ANN, 2, Status.OTHER_ERROR)
    assert [each.raw for each in node.taken_for_forged] == [encode("MESSAGE", changed)]
    crew = pb.UserOfGroup(user=ANN.to_pb(), group=Group("crew", "beta").to_pb())
    node.receive("beta", message(BOB, 3, None, "to the crew", userOfGroup=crew))
    node.ack(ANN, 3, Status.OTHER_ERROR)
    node.send(AMY, 4, ANN, "of here")
    node.ack(ANN, 4, Status.OTHER_ERROR)
    assert len(node.taken_for_forged) == 1


def test_a_groups_server_tells_statuses_of_what_it_was_given_only(node, ann):
    node.link("gamma")
    crew = Group("crew", "gamma")
    told = pb.ChatMessageResponse(messageSnowflake=1, author=ANN.to_pb(), group=crew.to_pb(), complete=True)
    told.statuses.add(user=GUS.to_pb(), status="DELIVERED")
    node.from_server("gamma", read_datagram(encode("MESSAGE_ACK", told)))
    assert not ann.sent
    assert node.doubted == 1
    node.send(ANN, 1, None, group=crew.to_pb())
    node.from_server("gamma", read_datagram(encode("MESSAGE_ACK", told)))
    assert ann.statuses() == [(1, GUS, "DELIVERED")]


@pytest.mark.usefixtures("ann")
def test_a_groups_server_speaks_for_our_user_with_what_we_gave_it_only(node):
    amy, gamma, crew = node.connect(AMY), node.link("gamma"), Group("crew", "gamma")
    copy = pb.UserOfGroup(user=AMY.to_pb(), group=crew.to_pb())
    node.receive("gamma", message(ANN, 1, None, "made up", userOfGroup=copy))
    node.send(ANN, 1, None, "what ann wrote", group=crew.to_pb())
    gamma.take()
    node.receive("gamma", message(ANN, 1, None, "what ann never wrote", userOfGroup=copy))
    node.receive("gamma", message(ANN, 2, None, "what ann wrote", userOfGroup=copy))
    assert not amy.sent
    assert node.doubted == 3
    node.receive("gamma", message(ANN, 1, None, "what ann wrote", userOfGroup=copy))
    assert [each.textContent for each in amy.take()] == ["what ann wrote"]


def test_a_copy_of_what_we_have_forgotten_is_taken_when_its_author_sends_it_again(node, ann):
    amy, crew = node.connect(AMY), Group("crew", "gamma")
    node.link("gamma")
    copy = pb.UserOfGroup(user=AMY.to_pb(), group=crew.to_pb())
    for number in (1, 2):  # what ann sent a moment before this process's predecessor died
        node.receive("gamma", message(ANN, number, None, userOfGroup=copy))
    assert not amy.sent
    for number in (1, 2):
        node.send(ANN, number, None, group=crew.to_pb())
    assert amy.snowflakes() == [1, 2]
    assert not ann.sent


def test_a_message_that_has_anothers_number_is_another_message(node):
    """Whoever guesses the number of a message cannot have it taken for one that came before."""
    bob = node.connect(ANN)
    node.link("beta")
    for text in ("first", "second"):
        node.receive("beta", message(BOB, 7, ANN, text))
    assert [each.textContent for each in bob.take()] == ["first"]
    node.ack(ANN, 7)
    assert [each.textContent for each in bob.take()] == ["second"]
    node.ack(ANN, 7)
    node.receive("beta", message(BOB, 7, ANN, "first"))
    node.receive("beta", message(BOB, 7, ANN, "second"))
    assert not bob.sent


@pytest.mark.usefixtures("ann")
def test_a_status_for_a_server_that_is_away_is_told_when_it_is_back(node):
    beta = node.link("beta")
    node.receive("beta", message(BOB, 1, ANN))
    node.unlink("beta", beta)
    node.ack(ANN, 1)
    [told] = node.link("beta").take()
    assert User.of(told.author) == BOB
    assert [(User.of(s.user), s.status) for s in told.statuses] == [(ANN, Status.DELIVERED)]
    assert not node.is_at_rest
    node.received("beta", told.receipt)
    assert node.is_at_rest


# Two routers joined ---------------------------------------------------------------------------------------


@pytest.fixture
def joined(node):
    pair = Joined(node, Node("beta"))
    pair.link()
    return pair


@pytest.fixture
def beta(joined):
    return joined.nodes[1]


def test_a_message_crosses_two_servers_and_its_statuses_come_back(node, ann, joined, beta):
    bob = beta.connect(BOB)
    node.send(ANN, 1, BOB)
    node.send(ANN, 2, BEN)
    joined.carry()
    assert bob.snowflakes() == [1]
    beta.ack(BOB, 1)
    joined.carry()
    assert ann.statuses() == [(2, BEN, "USER_NOT_FOUND"), (1, BOB, "DELIVERED")]
    assert node.counted == [("remote", Status.USER_NOT_FOUND), ("remote", Status.DELIVERED)]
    assert beta.counted == [("local", Status.USER_NOT_FOUND), ("local", Status.DELIVERED)]
    assert node.is_at_rest
    assert beta.is_at_rest


def test_a_user_away_at_another_server_is_told_as_such_and_then_delivered(node, ann, joined, beta):
    beta.disconnect(BOB, beta.connect(BOB))
    node.send(ANN, 1, BOB)
    joined.carry()
    assert ann.statuses() == [(1, BOB, "USER_AWAY")]
    assert beta.connect(BOB).snowflakes() == [1]
    beta.ack(BOB, 1)
    joined.carry()
    assert ann.statuses() == [(1, BOB, "DELIVERED")]
    assert node.is_at_rest
    assert beta.is_at_rest


@pytest.mark.parametrize("carried", [0, 1, 2])
def test_a_link_cut_before_during_or_after_a_message_costs_nothing(node, ann, joined, beta, carried):
    """Whichever part of message and answer the cut takes, it is delivered once and confirmed."""
    bob = beta.connect(BOB)
    node.send(ANN, 1, BOB)
    there, back = joined.pipes
    if carried >= 1:
        there.carry()
        beta.ack(BOB, 1)
    if carried >= 2:
        back.carry()
    joined.cut()
    joined.link()
    joined.carry()
    if carried == 0:
        beta.ack(BOB, 1)
        joined.carry()
    assert bob.snowflakes() == [1]
    assert ann.statuses() == [(1, BOB, "DELIVERED")]
    assert node.is_at_rest
    assert beta.is_at_rest


def test_an_author_who_left_is_told_on_return_what_became_of_it_elsewhere(node, ann, joined, beta):
    beta.connect(BOB)
    node.send(ANN, 1, BOB)
    node.disconnect(ANN, ann)
    joined.carry()
    beta.ack(BOB, 1)
    joined.carry()
    assert node.connect(ANN).statuses() == [(1, BOB, "DELIVERED")]


def test_both_servers_full_of_messages_for_each_other_both_get_theirs(node, ann, joined, beta):
    bob = beta.connect(BOB)
    for snowflake in range(1, 101):
        node.send(ANN, snowflake, BOB)
        beta.send(BOB, snowflake, ANN)
    joined.carry()
    assert ann.snowflakes() == bob.snowflakes() == list(range(1, 101))


def test_a_status_that_is_told_again_because_its_receipt_was_lost_is_no_news(node, ann):
    node.link("beta")
    node.send(ANN, 1, BOB)
    for status in (Status.USER_AWAY, Status.DELIVERED):
        node.answer("beta", 1, (BOB, status), author=ANN)
    assert ann.statuses() == [(1, BOB, "USER_AWAY"), (1, BOB, "DELIVERED")]
    for status in (Status.USER_AWAY, Status.DELIVERED):
        node.answer("beta", 1, (BOB, status), author=ANN)
    assert ann.statuses() == []


@pytest.mark.parametrize("receipt", [1 << 63, (1 << 64) - 1])
def test_a_receipt_of_what_was_never_sent_is_refused(node, receipt):
    node.link("beta")
    with pytest.raises(UnexpectedMessage):
        node.received("beta", receipt)


def test_a_receipt_beyond_what_was_told_pays_no_more_than_that(node):
    beta = node.link("beta")
    node.connect(ANN)
    node.receive("beta", message(BOB, 1, ANN))
    node.unlink("beta", beta)
    node.ack(ANN, 1)
    node.received("beta", 1 << 40)  # over no link: nothing was told
    [told] = node.link("beta").take()
    node.received("beta", told.receipt + 1000)
    assert node.is_at_rest


def test_a_group_is_spoken_for_by_its_own_server_only(node, ann):
    node.know(ANN)
    node.link("beta")
    copy = pb.UserOfGroup(user=ANN.to_pb(), group=pb.Group(groupId="crew", serverId="gamma"))
    with pytest.raises(UnexpectedMessage):
        node.receive("beta", message(BOB, 1, None, userOfGroup=copy))
    with pytest.raises(UnexpectedMessage):
        node.send(ANN, 2, None, userOfGroup=copy)
    assert ann.statuses() == [(2, ANN, "OTHER_ERROR")]


def test_a_status_of_a_user_who_never_was_here_is_kept_for_nobody(node):
    node.link("beta")
    node.answer("beta", 1, (BOB, Status.DELIVERED), author=User("", "alpha"))
    node.answer("beta", 1, (BOB, Status.DELIVERED), author=User("nobody", "alpha"))
    assert node.is_at_rest
