"""Users of a server that is reached by a gateway: order, statuses, who is tried when, and mail that moves."""

import pytest

from parley.services.chat.gateways.presence import ANSWER_TIME, FIRST_PAUSE, LONGEST_PAUSE
from parley.services.chat.message.statuses import Status
from parley.services.chat.routing.known_names import KnownNames
from parley.services.chat.storage import disk_mailbox
from parley.shared.addresses import Group, User
from parley.shared.wire.messages import pb
from tests.support.linking_model import LinkingModel
from tests.support.sinks import ACK_TIMEOUT, Node, ack

ANN, AMY = User("ann", "alpha"), User("amy", "alpha")
BOB, BEN = User("bob", "old"), User("ben", "old")


@pytest.fixture
def node():
    return Node("alpha")


@pytest.fixture
def ann(node):
    return node.connect(ANN)


@pytest.fixture
def old(node):
    model = LinkingModel(node)
    model.bring_up()
    return model


def send(node, *numbers, to=BOB):
    for number in numbers:
        node.send(ANN, number, to)


def told(author):
    return [(number, status) for number, _user, status in author.statuses()]


def came(old):
    return [number for _author, number, _user in old.came]


# Somebody who is there ----------------------------------------------------------------------------------


def test_messages_go_out_one_at_a_time_each_with_its_claim_and_are_confirmed(node, ann, old):
    old.connected.add(BOB)
    send(node, 1, 2, 3)
    assert len(old.link.writes) == 1
    old.settle()
    assert came(old) == [1, 2, 3]
    assert ann.statuses() == [(n, BOB, "DELIVERED") for n in (1, 2, 3)]
    assert not old.is_dead


def test_one_user_who_does_not_answer_holds_up_no_other(node, ann, old):
    old.connected.add(BEN)
    send(node, 1)
    send(node, 2, to=BEN)
    old.settle()
    assert ann.statuses() == [(2, BEN, "DELIVERED")]


def test_a_burst_is_not_said_to_be_away(node, ann, old):
    old.connected.add(BOB)
    send(node, *range(1, 50))
    node.pass_time(1.0)
    assert not ann.sent
    old.settle()
    assert told(ann) == [(n, "DELIVERED") for n in range(1, 50)]


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize("status", [Status.DELIVERED, Status.DELIVERED + 1], ids=["as it counts", "as others do"])
def test_a_client_may_count_delivered_as_1_or_2(node, ann, status):
    send(node, 1)
    node.router.ack_from_gateway("old", ack(1, (BOB, status)), node.now)
    node.end_turn()
    assert told(ann) == [(1, "DELIVERED")]


@pytest.mark.usefixtures("old")
@pytest.mark.parametrize(
    "said",
    [
        (User("parley-nobody", "parley-nowhere"), Status.OTHER_SERVER_NOT_FOUND),
        (User("parley-nobody", "parley-nowhere"), Status.DELIVERED),
        (User("parley-gw-alpha", "old"), Status.DELIVERED),
        (User("bob", "elsewhere"), Status.DELIVERED),
        (BEN, Status.DELIVERED),
        (BOB, Status.USER_NOT_FOUND),
        (BOB, Status.USER_AWAY),
    ],
)
def test_what_is_said_of_a_claim_or_of_anybody_else_means_nothing(node, ann, said):
    send(node, 1)
    node.router.ack_from_gateway("old", ack(1, said), node.now)
    node.router.ack_from_gateway("old", ack(2, (BOB, Status.DELIVERED)), node.now)
    node.router.ack_from_gateway("old", pb.ChatMessageResponse(messageSnowflake=1), node.now)
    node.end_turn()
    assert not ann.sent


@pytest.mark.usefixtures("old")
def test_a_server_that_answers_itself_is_believed(node, ann):
    send(node, 1)
    send(node, 2, to=BEN)
    node.router.ack_from_server("old", ack(1, (BOB, Status.DELIVERED)), node.now)
    node.router.ack_from_server("old", ack(2, (BEN, Status.USER_NOT_FOUND)), node.now)
    node.end_turn()
    assert told(ann) == [(1, "DELIVERED"), (2, "USER_NOT_FOUND")]


def test_what_comes_again_is_answered_again_and_not_sent_again(node, ann, old):
    old.connected.add(BOB)
    send(node, 1)
    old.settle()
    send(node, 1)
    old.settle()
    assert came(old) == [1]
    assert told(ann) == [(1, "DELIVERED")] * 2
    node.disk.commit_all()
    node.start()
    again = node.connect(ANN)
    old.node_died()
    old.bring_up()
    send(node, 1)
    old.settle()
    assert came(old) == [1]
    assert told(again) == [(1, "DELIVERED")]


# Somebody who is away -----------------------------------------------------------------------------------


def test_what_is_not_acknowledged_in_time_is_kept_and_its_author_hears_so(node, ann, old):
    send(node, 1, 2)
    old.settle()
    node.pass_time(ACK_TIMEOUT - 0.1)
    assert not ann.sent
    node.pass_time(0.2)
    assert told(ann) == [(1, "USER_AWAY"), (2, "USER_AWAY")]
    send(node, 3)
    assert told(ann) == [(3, "USER_AWAY")]
    assert len(node.mailbox) == 3


@pytest.mark.usefixtures("old")
def test_a_message_that_comes_again_while_it_waits_is_not_kept_twice(node, ann):
    send(node, 1)
    node.pass_time(ACK_TIMEOUT)
    send(node, 1)
    assert told(ann) == [(1, "USER_AWAY")] * 2
    assert len(node.mailbox) == 1


@pytest.mark.usefixtures("ann")
def test_who_is_away_is_tried_with_one_message_later_each_time_and_then_every_ten_seconds(node, old):
    send(node, 1, 2)
    old.settle()
    node.pass_time(ACK_TIMEOUT)
    tried = []
    while len(tried) < 7:
        node.pass_time(0.1)
        if old.link.writes:
            tried.append(node.now)
            assert len(old.link.writes) == 1
            old.settle()
    pauses = [later - earlier for earlier, later in zip([ACK_TIMEOUT, *tried], tried, strict=False)]
    assert pauses == pytest.approx([FIRST_PAUSE, 3.0, 5.0, 9.0, 10.0, 10.0, 10.0], abs=0.11)
    assert ANSWER_TIME + LONGEST_PAUSE == 10.0


def test_all_follow_in_order_once_they_are_there(node, ann, old):
    send(node, 1, 2, 3)
    old.settle()
    node.pass_time(ACK_TIMEOUT)
    old.connected.add(BOB)
    ann.take()
    for _ in range(110):
        node.pass_time(0.1)
        old.settle()
    assert came(old) == [1, 2, 3]
    assert told(ann) == [(n, "DELIVERED") for n in (1, 2, 3)]
    assert node.router.remote_users.away == [("old", 0)]
    send(node, 4)  # believed there again
    old.settle()
    assert came(old) == [1, 2, 3, 4]


def test_who_writes_to_us_is_tried_at_once(node, ann, old):
    send(node, 1)
    old.settle()
    node.pass_time(60.0)
    old.settle()
    old.connected.add(BOB)
    node.pass_time(1.1)
    old.settle()
    ann.take()
    node.router.remote_users.heard(BOB, node.now)
    node.pass_time(0.11)
    old.settle()
    assert told(ann) == [(1, "DELIVERED")]


def test_an_acknowledgement_that_comes_late_counts_and_nothing_is_sent_again(node, ann, old):
    old.connected.add(BOB)
    send(node, 1, 2)
    old.carry()
    node.pass_time(ACK_TIMEOUT)
    assert told(ann) == [(1, "USER_AWAY"), (2, "USER_AWAY")]
    old.settle()
    assert told(ann) == [(1, "DELIVERED"), (2, "DELIVERED")]
    assert came(old) == [1, 2]
    assert len(node.mailbox) == 0


@pytest.mark.usefixtures("ann")
def test_many_who_are_away_are_tried_in_turn_a_few_a_second(node, old):
    users = [User(f"u{number}", "old") for number in range(50)]
    for number, user in enumerate(users, start=1):
        send(node, number, to=user)
    old.settle()
    node.pass_time(ACK_TIMEOUT)
    old.link.writes.clear()
    node.pass_time(2.05)
    assert 8 <= len(old.link.writes) <= 12
    old.link.writes.clear()
    node.pass_time(5.0)
    tried = {frames[0].payload for frames in old.link.writes}
    assert len(tried) >= 40


def test_what_has_waited_too_long_is_given_up_also_of_who_is_tried(node, ann, old):
    send(node, 1)
    old.settle()
    node.pass_time(ACK_TIMEOUT + 0.5)
    [waiting] = node.mailbox.messages_in_memory(BOB)
    ann.take()
    assert node.router.drop(BOB, waiting)
    node.end_turn()
    assert told(ann) == [(1, "OTHER_ERROR")]
    node.pass_time(30.0)
    assert not old.link.writes
    assert node.router.remote_users.away == [("old", 0)]


# Links ---------------------------------------------------------------------------------------------------


def test_nothing_goes_out_before_the_gateway_is_connected(node, ann):
    old = LinkingModel(node)
    old.bring_up()
    old.cut_gateway()
    old.connected.add(BOB)
    send(node, 1, 2)
    assert not old.link.writes
    node.pass_time(0.9)
    assert not ann.sent
    node.pass_time(0.1)
    assert told(ann) == [(1, "OTHER_SERVER_TIMEOUT"), (2, "OTHER_SERVER_TIMEOUT")]
    old.bring_up()
    node.pass_time(0.2)
    old.settle()
    assert told(ann) == [(1, "DELIVERED"), (2, "DELIVERED")]
    assert came(old) == [1, 2]


@pytest.mark.parametrize("what", ["cut", "cut_gateway"])
def test_what_was_on_its_way_when_a_link_is_lost_goes_first_over_the_next(node, ann, old, what):
    old.connected.add(BOB)
    send(node, 1, 2, 3)
    getattr(old, what)()
    send(node, 4)
    node.pass_time(1.0)
    assert told(ann) == [(n, "OTHER_SERVER_TIMEOUT") for n in (1, 2, 3, 4)]
    old.bring_up()
    node.pass_time(0.5)
    old.settle()
    assert list(dict.fromkeys(came(old))) == [1, 2, 3, 4]
    assert told(ann) == [(n, "DELIVERED") for n in (1, 2, 3, 4)]


def test_a_server_that_does_not_read_gets_nothing_until_it_does(node, ann, old):
    old.connected.add(BOB)
    old.link.writable = False
    send(node, 1)
    assert not old.link.writes
    old.link.writable = True
    node.router.remote_users.writable("old", node.now)
    old.settle()
    assert told(ann) == [(1, "DELIVERED")]


def test_a_server_is_told_the_statuses_of_its_own_users_messages(node, ann, old):
    node.receive("old", pb.ChatMessage(messageSnowflake=5, author=BOB.to_pb(), user=ANN.to_pb()))
    assert ann.snowflakes() == [5]
    node.ack(ANN, 5)
    [frames] = old.link.writes
    assert [frame.name for frame in frames] == ["MESSAGE_ACK"]


@pytest.mark.usefixtures("ann", "old")
def test_nobody_there_is_a_user_of_ours(node):
    send(node, 1)
    assert BOB not in node.roster.state.clients
    assert not node.roster.knows(BOB)
    assert "old" not in node.roster.state.servers
    assert node.roster.server("old") is None


@pytest.mark.usefixtures("ann")
def test_a_paused_process_sends_nothing_more(node, old):
    old.connected.add(BOB)
    send(node, 1)
    assert node.router.remote_users.unanswered == 1
    node.router.remote_users.pause()
    send(node, 2)
    old.settle()
    assert node.router.remote_users.unanswered == 0
    assert came(old) == [1]


# Recipients that are nobody -------------------------------------------------------------------------------


def test_such_a_server_has_no_groups(node, ann, old):
    node.send(ANN, 1, None, group=Group("crew", "old").to_pb())
    assert told(ann) == [(1, "USER_NOT_FOUND")]
    assert not old.link.writes


def test_our_gateway_is_nobody_to_write_to(node, ann, old):
    send(node, 1, to=old.gateway)
    assert told(ann) == [(1, "USER_NOT_FOUND")]


def test_beyond_the_share_of_a_server_a_new_user_is_refused_and_an_idle_one_makes_room(node, ann):
    remote = node.router.remote_users
    remote._names = KnownNames(4, 0.5, is_here=remote._is_here, forgotten=remote._forgotten)
    old = LinkingModel(node)
    old.bring_up()
    users = [User(f"u{number}", "old") for number in range(4)]
    old.connected |= {users[0]}
    send(node, 1, to=users[0])
    old.settle()
    send(node, 2, to=users[1])
    send(node, 3, to=users[2])  # the first is idle
    send(node, 4, to=users[3])
    assert told(ann) == [(1, "DELIVERED"), (4, "OTHER_ERROR")]
    assert node.limited == [("names", "gateways")]


# Mail that moves --------------------------------------------------------------------------------------------


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(disk_mailbox, "IN_MEMORY", 2)
    monkeypatch.setattr(disk_mailbox, "FIRST_READ", 2)


def waiting_for_server(node):
    """Messages for several of its users that were kept when nothing but its name was known."""
    node.know("old")
    for number in range(1, 9):
        send(node, number, to=BOB if number % 2 else BEN)
    node.send(ANN, 9, None, group=Group("crew", "old").to_pb())
    node.pass_time(1.5)


@pytest.mark.usefixtures("little_memory")
def test_what_waited_for_the_server_goes_to_its_users_in_order(node, ann):
    waiting_for_server(node)
    assert {row.destination for row in node.disk.messages.values()} == {"old"}
    ann.take()
    old = LinkingModel(node)
    old.connected |= {BOB, BEN}
    old.bring_up()
    send(node, 11)
    node.pass_time(1.0)
    old.settle()
    node.pass_time(1.0)
    old.settle()
    bobs = [number for _author, number, user in old.came if user == BOB]
    assert (bobs, sorted(came(old))) == ([1, 3, 5, 7, 11], [*range(1, 9), 11])
    final = [each for each in told(ann) if each[1] not in ("OTHER_SERVER_TIMEOUT", "USER_AWAY")]
    assert sorted(final) == [*((n, "DELIVERED") for n in range(1, 9)), (9, "USER_NOT_FOUND"), (11, "DELIVERED")]
    assert len(node.mailbox) == 0
    assert node.disk.messages == {}


@pytest.mark.usefixtures("ann")
@pytest.mark.usefixtures("little_memory")
def test_what_waited_for_users_goes_to_a_parley_in_place_of_their_server_in_order(node, old):
    send(node, *range(1, 8))
    send(node, *range(21, 24), to=BEN)
    node.pass_time(ACK_TIMEOUT + 0.5)
    old.cut()
    parley = []
    node.router.remote_users.release("old", lambda: parley.append(node.link("old")))
    node.end_turn()
    assert {row.destination for row in node.disk.messages.values()} == {"old"}
    assert node.router.remote_users.away == [("old", 2)]
    [link] = parley
    node.end_turn()
    arrived = link.snowflakes()
    assert [number for number in arrived if number < 20] == list(range(1, 8))
    assert [number for number in arrived if number > 20] == list(range(21, 24))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize("written", range(12))
def test_a_restart_in_the_middle_of_a_move_loses_nothing_and_keeps_the_order(written):
    node = Node("alpha")
    ann = node.connect(ANN)
    waiting_for_server(node)
    ann.take()
    node.commits = False
    LinkingModel(node).bring_up()
    for _ in range(written):
        node.disk.commit(1)
        node.router.flush()
    node.disk.crash()
    node.start()
    node.commits = True
    node.connect(ANN)
    old = LinkingModel(node)
    old.connected |= {BOB, BEN}
    old.bring_up()
    for _ in range(30):
        node.pass_time(0.1)
        old.settle()
    for user, numbers in ((BOB, [1, 3, 5, 7]), (BEN, [2, 4, 6, 8])):
        assert [number for _author, number, to in old.came if to == user] == numbers
    assert len(node.mailbox) == 0


def test_a_link_that_is_soon_back_is_not_told_of(node, ann, old):
    old.connected.add(BOB)
    send(node, 1)
    old.cut()
    send(node, 2)
    node.pass_time(0.5)
    old.bring_up()
    node.pass_time(0.5)
    old.settle()
    assert told(ann) == [(1, "DELIVERED"), (2, "DELIVERED")]


def test_messages_that_waited_for_a_server_that_was_looked_for_go_out_once_its_gateway_is_there(node, ann):
    send(node, 1, 2)
    old = LinkingModel(node)
    old.connected.add(BOB)
    old.bring_up()
    node.pass_time(0.1)
    old.settle()
    assert told(ann) == [(1, "DELIVERED"), (2, "DELIVERED")]


def test_after_a_restart_a_server_is_reached_as_before(node, old):
    node.connect(ANN)
    send(node, 1, 2)
    node.pass_time(ACK_TIMEOUT)
    node.start()
    again = node.connect(ANN)
    send(node, 3)
    node.pass_time(1.0)
    assert told(again) == [(3, "OTHER_SERVER_TIMEOUT")]
    old.node_died()
    old.connected.add(BOB)
    old.bring_up()
    for _ in range(5):
        node.pass_time(0.1)
        old.settle()
    assert came(old) == [1, 2, 3]


def test_an_acknowledgement_that_comes_while_the_server_is_not_linked_counts_and_later_messages_go(node, ann, old):
    old.connected.add(BOB)
    send(node, 1)
    old.carry()
    old.acknowledge()
    old.cut()
    old.carry_acks()
    assert told(ann) == [(1, "DELIVERED")]
    send(node, 2)
    old.bring_up()
    node.pass_time(0.2)
    old.settle()
    assert told(ann) == [(2, "DELIVERED")]


@pytest.mark.usefixtures("little_memory")
def test_mail_that_is_just_being_read_moves_whole(node, ann, old):
    send(node, *range(1, 8))
    node.pass_time(ACK_TIMEOUT + 0.5)
    old.connected.add(BOB)
    node.commits = False
    node.pass_time(0.6)  # the first goes out, and the next are to be read
    old.settle()
    old.cut()
    parley = []
    node.router.remote_users.release("old", lambda: parley.append(node.link("old")))
    node.commits = True
    node.end_turn()
    [link] = parley
    for _ in range(10):
        node.end_turn()
    sent = [number for _author, number, _user in old.came]
    rest = link.snowflakes()
    assert sorted({*sent, *rest}) == list(range(1, 8))
    assert rest == sorted(rest)
    assert ann.sent


def test_what_could_not_be_written_before_a_move_moves_once_it_is(node):
    """A copy that another server keeps, and offers again, is not refused while the disk is full."""
    node.know("old")
    node.link("beta")
    node.engine.groups.add("crew", BOB)
    node.engine.groups.add("crew", User("gus", "beta"))
    node.commits = False
    crew = Group("crew", "alpha").to_pb()
    node.receive("beta", pb.ChatMessage(messageSnowflake=5, author=User("gus", "beta").to_pb(), group=crew))
    node.pass_time(0.1)
    node.disk.fail()
    old = LinkingModel(node)
    old.connected.add(BOB)
    old.bring_up()
    node.disk.fail()
    node.commits = True
    node.end_turn()
    node.pass_time(0.2)
    assert [len(frames) for frames in old.link.writes] == [2]


def test_lanes_of_a_server_that_is_reached_by_a_gateway_from_now_on_are_forgotten(node, ann):
    direct = node.link("old", confirms=False)
    node.send(ANN, 1, BOB, "x" * 100_000)
    node.unlink("old", direct, confirms=False)
    assert "old" in node.router._dispatcher._lanes.paths
    old = LinkingModel(node)
    old.connected.add(BOB)
    old.bring_up()
    assert node.router._dispatcher._lanes.paths == {}
    node.pass_time(0.2)
    old.settle()
    assert told(ann) == [(1, "DELIVERED")]


@pytest.mark.usefixtures("little_memory", "ann")
def test_what_goes_out_when_it_was_read_is_waited_for_as_all_else(node, old):
    old.connected.add(BOB)
    send(node, *range(1, 6))
    node.commits = False
    old.settle()
    node.pass_time(2 * ACK_TIMEOUT)
    old.leave(BOB)
    node.disk.commit_all()  # the rest is read, and the first of it goes out
    old.settle()
    assert node.router.remote_users.unanswered == 1
    node.pass_time(ACK_TIMEOUT)
    assert node.router.remote_users.away == [("old", 1)]
