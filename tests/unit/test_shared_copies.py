"""One message for many members at another server: who gets it, who is told what, and what a liar can do with it."""

import pytest

from parley.services.chat.message.statuses import Status
from parley.services.chat.shared_copies import frames
from parley.services.chat.shared_copies.answers import FIRST, LATER, AnswersTogether
from parley.services.chat.shared_copies.frames import MEMBERS, MOST, NAMES, portions, read_members
from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.wire.framing import encode_frame, read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.support.sinks import ACK_TIMEOUT, Node, Sink, message

ANN, BOB, CID, DAN = User("ann", "alpha"), User("bob", "beta"), User("cid", "beta"), User("dan", "beta")
CREW = Group("crew", "alpha")
AT_BETA = (BOB, CID, DAN)
PERSISTED = 0.06
"""Seconds until what is unanswered is on disk."""


def named(count, size=8):
    return [User(f"{n:0{size}}", "beta") for n in range(count)]


def frame_for(members, group=CREW, author=ANN, number=7, text="Hello", **fields):
    names = pb.MembersOfGroup(group=group.to_pb(), userIds=[member.user_id for member in members])
    return pb.ChatMessage(messageSnowflake=number, author=author.to_pb(), textContent=text, members=names, **fields)


def answer(*statuses, number=7, author=ANN, group=CREW):
    told = pb.ChatMessageResponse(messageSnowflake=number, author=author.to_pb(), group=group.to_pb())
    for user, status in statuses:
        told.statuses.add(user=user.to_pb(), status=status)
    return read_datagram(encode("MESSAGE_ACK", told))


def write(node, number=7, text="Hello"):
    node.send(ANN, number, None, text, group=CREW.to_pb())


def told(sink):
    """What an author was told of each member, and whether that was all of them."""
    acks = sink.take()
    statuses = {User.of(s.user): Status.Status.Name(s.status) for ack in acks for s in ack.statuses}
    return statuses, any(ack.complete for ack in acks)


def kinds(sink):
    """Of each frame that was sent how many members it is for; 0: it is a copy for one."""
    return [len(each.members.userIds) for each in sink.take()]


@pytest.fixture
def alpha():
    """The group's server; its members are Ann, and three at beta."""
    node = Node("alpha")
    for member in (ANN, *AT_BETA):
        node.engine.groups.add(CREW.group_id, member)
    return node


@pytest.fixture
def ann(alpha):
    return alpha.connect(ANN)


@pytest.fixture
def beta(alpha):
    return alpha.link("beta")


@pytest.fixture(autouse=True)
def connected(ann, beta):
    """Ann is there, and beta is linked."""
    return ann, beta


@pytest.fixture
def there():
    """Beta itself, linked with alpha; Bob and Cid have clients, Dan had one."""
    node = Node("beta")
    node.alpha = node.link("alpha")
    node.clients = {user: node.connect(user) for user in AT_BETA}
    node.disconnect(DAN, node.clients.pop(DAN))
    return node


# Frames -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, MEMBERS, MEMBERS + 1, 3 * MEMBERS])
def test_members_are_divided_among_as_few_frames_as_may_be(count):
    members = named(count)
    found = list(portions(members))
    assert [each for portion in found for each in portion] == members
    assert len(found) == -(-count // MEMBERS)


def test_long_names_are_divided_by_their_bytes():
    members = [User("\N{GRINNING FACE}" * 200 + str(n), "beta") for n in range(100)]
    found = list(portions(members))
    assert [each for portion in found for each in portion] == members
    assert all(sum(len(each.user_id.encode()) for each in portion) <= NAMES for portion in found)
    assert len(found) == 5


def test_a_name_that_comes_twice_is_one_member():
    assert read_members(frame_for([BOB, CID, BOB]), "beta") == ([BOB, CID], CREW)


@pytest.mark.parametrize(
    ("members", "group", "reason"),
    [
        (named(MOST + 1), CREW, "too_large"),
        ([], CREW, "no_recipient"),
        ([User("", "beta")], CREW, "no_recipient"),
        ([User("x" * 256, "beta")], CREW, "no_recipient"),
        ([BOB], Group("", "alpha"), "no_recipient"),
    ],
)
def test_a_list_of_too_many_or_of_nobody_is_refused_whole(there, members, group, reason):
    with pytest.raises(UnexpectedMessage) as refused:
        there.receive("alpha", frame_for([*members], group))
    assert refused.value.reason == reason
    assert not any(client.take() for client in there.clients.values())
    assert not there.alpha.take()


# At the group's server ------------------------------------------------------------------------------


def test_one_frame_goes_to_a_server_and_its_answer_to_the_author(alpha, ann, beta):
    write(alpha)
    (sent,) = beta.take()
    assert sent.WhichOneof("recipient") is None
    assert (list(sent.members.userIds), sent.textContent) == (["bob", "cid", "dan"], "Hello")
    alpha.from_server("beta", answer(*[(user, "DELIVERED") for user in AT_BETA]))
    assert told(ann) == (dict.fromkeys(AT_BETA, "DELIVERED"), True)
    assert alpha.is_at_rest
    assert not alpha.disk.messages


def test_a_server_that_did_not_announce_it_gets_a_copy_each(alpha, ann):
    alpha.takes_shared_copies = False
    older = alpha.link("beta")
    write(alpha)
    assert kinds(older) == [0, 0, 0]
    alpha.from_server("beta", answer(*[(user, "DELIVERED") for user in AT_BETA]))
    assert told(ann) == (dict.fromkeys(AT_BETA, "DELIVERED"), True)


def test_each_status_is_its_members_own(alpha, ann):
    write(alpha)
    alpha.from_server("beta", answer((BOB, "USER_AWAY"), (CID, "DELIVERED"), (DAN, "USER_NOT_FOUND")))
    assert told(ann) == ({BOB: "USER_AWAY", CID: "DELIVERED", DAN: "USER_NOT_FOUND"}, True)
    alpha.from_server("beta", answer((BOB, "DELIVERED")))
    assert told(ann)[0] == {BOB: "DELIVERED"}
    assert alpha.is_at_rest


def test_a_server_answers_for_the_members_that_it_was_given_and_no_others(alpha, ann):
    write(alpha)
    alpha.from_server("beta", answer((User("eve", "beta"), "DELIVERED"), (BOB, "DELIVERED"), (BOB, "DELIVERED")))
    assert told(ann) == ({BOB: "DELIVERED"}, False)
    assert alpha.doubted == 2
    with pytest.raises(UnexpectedMessage) as refused:
        alpha.from_server("beta", answer((User("bob", "gamma"), "DELIVERED")))
    assert refused.value.reason == "foreign_user"
    alpha.from_server("beta", answer((CID, "DELIVERED"), group=Group("other", "alpha")))
    alpha.link("gamma")
    with pytest.raises(UnexpectedMessage):
        alpha.from_server("gamma", answer((CID, "DELIVERED")))
    assert told(ann) == ({}, False)


def test_what_a_lost_link_had_goes_out_again_over_the_next_once_and_in_order(alpha, beta):
    write(alpha, 7, "first")
    write(alpha, 8, "second")
    alpha.from_server("beta", answer((CID, "DELIVERED")))
    alpha.unlink("beta", beta)
    again = alpha.link("beta")
    sent = [(each.messageSnowflake, each.userOfGroup.user.userId) for each in again.take()]
    assert sent == [(7, "bob"), (7, "dan"), (8, "bob"), (8, "cid"), (8, "dan")]


def test_behind_what_waits_each_copy_waits(alpha, beta):
    beta.writable = False
    write(alpha)
    assert not beta.take()
    beta.writable = True
    alpha.writable("beta")
    assert kinds(beta) == [0, 0, 0]


@pytest.mark.parametrize("is_written", [True, False])
def test_a_message_of_the_same_number_waits_for_the_answer_of_the_first(alpha, beta, is_written):
    write(alpha, 7, "first")
    alpha.pass_time(PERSISTED if is_written else 0.0)
    write(alpha, 7, "second")
    assert [each.textContent for each in beta.take()] == ["first"]
    alpha.from_server("beta", answer(*[(user, "DELIVERED") for user in AT_BETA]))
    assert [each.textContent for each in beta.take()] == ["second"] * 3


def test_what_is_unanswered_is_one_row_and_gone_with_the_answer(alpha):
    write(alpha)
    alpha.pass_time(PERSISTED)
    assert len(alpha.disk.in_shared) == 1
    assert not alpha.disk.messages
    alpha.from_server("beta", answer(*[(user, "DELIVERED") for user in AT_BETA]))
    assert not alpha.disk.in_shared


def test_a_server_that_says_that_it_came_has_more_time(alpha):
    write(alpha)
    for _ in range(3):
        alpha.pass_time(0.04)
        alpha.from_server("beta", answer())
    assert not alpha.disk.in_shared
    alpha.pass_time(1.0)
    assert len(alpha.disk.in_shared) == 1


def test_after_a_crash_each_unanswered_copy_waits(alpha):
    write(alpha)
    alpha.pass_time(PERSISTED)
    alpha.from_server("beta", answer((BOB, "USER_NOT_FOUND")))
    alpha.disk.crash()
    alpha.start()
    again = alpha.link("beta")
    assert {each.userOfGroup.user.userId for each in again.take()} >= {"cid", "dan"}


def test_what_nobody_answers_is_told_and_sent_again(alpha, ann, beta):
    write(alpha)
    beta.take()
    alpha.pass_time(ACK_TIMEOUT + 0.1)
    assert told(ann)[0] == dict.fromkeys(AT_BETA, "OTHER_SERVER_TIMEOUT")
    assert not alpha.disk.in_shared
    assert len(alpha.disk.messages) == len(AT_BETA)
    alpha.pass_time(2 * ACK_TIMEOUT)
    assert set(kinds(beta)) == {0}


def test_numbers_of_copies_are_their_own(alpha, beta):
    """What is taken out of one by one, and what becomes copies later, have rows that are nobody else's."""
    write(alpha, 7)
    alpha.pass_time(PERSISTED)
    write(alpha, 8)
    alpha.router.fast_path = None
    alpha.unlink("beta", beta)
    assert len(alpha.disk.messages) == 2 * len(AT_BETA)
    order = [(row.snowflake, row.recipient) for _id, row in sorted(alpha.disk.messages.items())]
    assert order == [(number, user) for number in (7, 8) for user in AT_BETA]


# At the members' server -----------------------------------------------------------------------------


def test_each_member_gets_a_copy_as_if_it_had_come_alone(there):
    there.receive("alpha", frame_for(AT_BETA))
    for user, client in there.clients.items():
        (copy,) = client.take()
        assert User.of(copy.userOfGroup.user) == user
        assert Group.of(copy.userOfGroup.group) == CREW
        assert (copy.textContent, copy.HasField("members")) == ("Hello", False)
    assert len({row.body for row in there.disk.messages.values()}) == len(there.disk.messages) == 1


def test_statuses_go_back_together(there):
    there.receive("alpha", frame_for([*AT_BETA, User("eve", "beta")]))
    (coming,) = there.alpha.take()
    assert not coming.statuses
    for user in (BOB, CID):
        there.ack(user, 7)
    (answered,) = there.alpha.take()
    assert {s.user.userId: Status.Status.Name(s.status) for s in answered.statuses} == {
        "bob": "DELIVERED",
        "cid": "DELIVERED",
        "dan": "USER_AWAY",
        "eve": "USER_NOT_FOUND",
    }
    assert Group.of(answered.group) == CREW


def test_a_member_who_blocks_the_author_gets_none(there):
    there.engine.blocks.add(BOB.user_id, ANN)
    there.receive("alpha", frame_for([BOB, CID]))
    there.ack(CID, 7)
    assert not there.clients[BOB].take()
    statuses = {s.user.userId: s.status for told in there.alpha.take() for s in told.statuses}
    assert statuses == {"bob": Status.USER_BLOCKED, "cid": Status.DELIVERED}


def test_one_that_comes_again_is_delivered_once_and_answered_again(there):
    for _ in range(2):
        there.receive("alpha", frame_for([BOB, CID]))
    assert len(there.clients[BOB].take()) == 1
    for user in (BOB, CID):
        there.ack(user, 7)
    there.pass_time(LATER)
    there.alpha.take()
    there.receive("alpha", frame_for([BOB, CID]))
    there.pass_time(LATER)
    assert not there.clients[BOB].take()
    statuses = {s.user.userId: s.status for told in there.alpha.take() for s in told.statuses}
    assert statuses == dict.fromkeys(("bob", "cid"), Status.DELIVERED)


@pytest.mark.parametrize(
    ("group", "author"),
    [(Group("crew", "gamma"), ANN), (Group("crew", "beta"), ANN), (CREW, User("", "alpha"))],
)
def test_a_server_speaks_for_its_own_groups_alone(there, group, author):
    with pytest.raises(UnexpectedMessage) as refused:
        there.receive("alpha", frame_for([BOB], group, author))
    assert refused.value.reason == "foreign_user"
    assert not there.clients[BOB].take()


def test_a_server_that_is_no_parley_writes_to_one_at_a_time(there):
    there.link("old", Sink(is_parley=False), confirms=False)
    with pytest.raises(UnexpectedMessage):
        there.receive("old", frame_for([BOB], Group("crew", "old"), User("eve", "old")))
    assert not there.clients[BOB].take()


def test_what_a_user_here_never_wrote_is_not_delivered(there):
    there.receive("alpha", frame_for([CID], author=BOB))
    assert not there.clients[CID].take()
    assert there.doubted == 1
    there.send(BOB, 7, None, "Hello", group=CREW.to_pb())
    assert len(there.clients[CID].take()) == 1


def test_an_author_names_no_members(there, alpha, beta):
    """What a client writes there goes no further than to whom it wrote."""
    smuggled = pb.MembersOfGroup(group=CREW.to_pb(), userIds=["cid"])
    sent = message(ANN, 7, BOB, "Hello")
    sent.members.CopyFrom(smuggled)
    alpha.from_client(ANN, read_datagram(encode("MESSAGE", sent)))
    (passed_on,) = beta.take()
    there.receive("alpha", passed_on)
    assert len(there.clients[BOB].take()) == 1
    assert not there.clients[CID].take()
    to_group = message(ANN, 8, None, "Hello", group=CREW.to_pb())
    to_group.members.CopyFrom(smuggled)
    alpha.from_client(ANN, read_datagram(encode("MESSAGE", to_group)))
    (shared,) = beta.take()
    assert list(shared.members.userIds) == ["bob", "cid", "dan"]


# Answers together -----------------------------------------------------------------------------------

WHICH = "alpha", ANN, 7


def test_statuses_wait_for_the_rest_for_a_moment_and_later_for_longer():
    together = AnswersTogether()
    together.came(WHICH, 5)
    assert not together.may_go(WHICH, 1, 0.0)
    assert together.due() == [FIRST]
    assert not together.may_go(WHICH, 2, FIRST / 2)
    assert together.may_go(WHICH, 2, FIRST)
    assert not together.may_go(WHICH, 1, 1.0)
    assert together.due() == [1.0 + LATER]
    assert together.may_go(WHICH, 3, 1.0)
    assert not together.missing
    assert not together.due()
    assert together.may_go(WHICH, 1, 2.0)


def test_of_what_was_forgotten_each_status_is_told_at_once(monkeypatch):
    monkeypatch.setattr("parley.services.chat.shared_copies.answers.MOST", 1)
    together = AnswersTogether()
    together.came(WHICH, 5)
    together.came(("alpha", ANN, 8), 5)
    assert together.may_go(WHICH, 1, 0.0)
    assert not together.may_go(("alpha", ANN, 8), 1, 0.0)


def test_a_body_that_goes_in_pieces_is_not_shared(alpha, beta):
    write(alpha, text="x" * (frames.LARGEST + 1))
    assert kinds(beta) == [0, 0, 0]


def test_a_frame_is_what_the_other_side_reads():
    raw = frames.encode_shared([BOB, CID], CREW, pb.ChatMessage(messageSnowflake=7).SerializeToString())
    came = decode(read_datagram(raw), pb.ChatMessage)
    assert frames.is_shared(came)
    assert read_members(came, "beta") == ([BOB, CID], CREW)


def test_proofs_stay_with_their_statuses_where_others_of_the_turn_have_none(alpha, ann):
    write(alpha)
    ann.take()
    for member, key in ((BOB, b""), (CID, b"c" * 32), (DAN, b"")):
        told_ = pb.ChatMessageResponse(messageSnowflake=7, author=ANN.to_pb(), group=CREW.to_pb(), receipt=0)
        told_.statuses.add(user=member.to_pb(), status=Status.DELIVERED)
        if key:
            told_.proofs.add(key=key, signature=b"s" * 64, time=5)
        alpha.route_from_server("beta", read_datagram(encode("MESSAGE_ACK", told_)))
    alpha.end_turn()
    [ack] = ann.take()
    assert ack.complete
    keys = {User.of(each.user): proof.key for each, proof in zip(ack.statuses, ack.proofs, strict=True)}
    assert keys == {BOB: b"", CID: b"c" * 32, DAN: b""}


def test_of_an_answer_nothing_but_its_statuses_is_passed_on(alpha, ann):
    write(alpha)
    ann.take()
    said = pb.ChatMessageResponse(
        messageSnowflake=7, author=ANN.to_pb(), group=CREW.to_pb(), receipt=5, groupNumber=99
    )
    said.statuses.add(user=BOB.to_pb(), status=Status.DELIVERED)
    raw = said.SerializeToString() + b"\xa2\x7d\x03odd"
    alpha.from_server("beta", read_datagram(encode_frame("MESSAGE_ACK", raw)))
    [ack] = ann.take()
    assert (ack.receipt, ack.HasField("author"), ack.complete) == (0, False, False)
    assert ack.groupNumber not in (0, 99)
    assert b"odd" not in ack.SerializeToString()
    assert [User.of(each.user) for each in ack.statuses] == [BOB]
