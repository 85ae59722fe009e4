"""A group's deliveries, and the requests about groups and blocking, at a home server in memory."""

import asyncio

import pytest

from parley import ChatFeature, RequestFailed
from parley.shared.addresses import Group, User
from parley.shared.config import Config
from parley.shared.wire.messages import pb
from parley.shared.wire.pieces import WHOLE, Sending, Window
from tests.support.sinks import group_answer
from tests.support.wired import at_home, run

ALICE, BOB, CARL = User("alice", "alpha"), User("bob", "beta"), User("carl", "alpha")
CREW = Group("crew", "alpha")
CREW_AS_USER = User("crew", "alpha")


def alice(**how):
    return ChatFeature(ALICE, Config(), **how)


def of_members(snowflake, *statuses, complete=False):
    """What the group's server tells: (member, status) each."""
    ack = pb.ChatMessageResponse(messageSnowflake=snowflake, author=ALICE.to_pb(), complete=complete)
    ack.group.CopyFrom(CREW.to_pb())
    for member, status in statuses:
        ack.statuses.add(user=member.to_pb(), status=status)
    return ack


def of_group(snowflake, status, user=CREW_AS_USER):
    ack = pb.ChatMessageResponse(messageSnowflake=snowflake, author=ALICE.to_pb())
    ack.statuses.add(user=user.to_pb() if user else None, status=status)
    return ack


# Deliveries ---------------------------------------------------------------------------------------------

B, C = "bob", "carl"
USERS = {B: BOB, C: CARL, "crew": CREW_AS_USER}


@pytest.mark.parametrize(
    ("acks", "members", "final"),
    [
        ([[(B, "DELIVERED"), (C, "DELIVERED"), True]], {B: "DELIVERED", C: "DELIVERED"}, "DELIVERED"),
        ([[(B, "DELIVERED")], [(C, "DELIVERED")]], {B: "DELIVERED", C: "DELIVERED"}, None),
        ([[(B, "DELIVERED")], [True]], {B: "DELIVERED"}, "DELIVERED"),
        ([[(B, "USER_AWAY"), (C, "DELIVERED"), True]], {B: "USER_AWAY", C: "DELIVERED"}, None),
        (
            [[(B, "USER_AWAY"), (C, "DELIVERED"), True], [(B, "DELIVERED")]],
            {B: "DELIVERED", C: "DELIVERED"},
            "DELIVERED",
        ),
        (
            [[(B, "DELIVERED"), (C, "USER_BLOCKED"), True]],
            {B: "DELIVERED", C: "USER_BLOCKED"},
            "USER_BLOCKED",
        ),
        ([[(B, "USER_NOT_FOUND"), (C, "OTHER_SERVER_TIMEOUT"), True]], None, None),
        ([[(B, "DELIVERED")], [(B, "USER_AWAY"), True]], {B: "DELIVERED"}, "DELIVERED"),
        ([[(B, "UNKNOWN_STATUS")], [(B, "DELIVERED"), True]], {B: "DELIVERED"}, "DELIVERED"),
        ([[True]], {}, None),
        ([[("crew", "DELIVERED"), True]], {"crew": "DELIVERED"}, "DELIVERED"),
        ([[("crew", "USER_BLOCKED")]], {"crew": "USER_BLOCKED"}, None),
    ],
    ids=[
        "all at once",
        "not complete yet",
        "complete comes last",
        "one is away",
        "one was away",
        "one has blocked",
        "one is not reached yet",
        "an interim status after the final one",
        "a final status after an unknown one",
        "complete without a status",
        "a member of the group's name",
        "a member of the group's name is not the group",
    ],
)
def test_a_groups_delivery_is_final_when_all_members_are(acks, members, final):
    async def story():
        async with at_home(alice()) as home:
            delivery = home.feature.send(CREW, "hi")
            for told in acks:
                statuses = [(USERS[each[0]], each[1]) for each in told if each is not True]
                await home.tell("MESSAGE_ACK", of_members(delivery.snowflake, *statuses, complete=True in told))
            if members is not None:
                assert delivery.members == {USERS[name]: status for name, status in members.items()}
            assert (delivery.final.result() if delivery.final.done() else None) == final
            assert home.feature.outbox == ([] if final else [delivery])

    run(story())


@pytest.mark.parametrize("status", ["USER_NOT_FOUND", "USER_BLOCKED", "OTHER_ERROR", "DELIVERED"])
@pytest.mark.parametrize("user", [CREW_AS_USER, None], ids=["named", "unnamed"])
def test_a_final_status_of_the_group_itself_stands_for_all(status, user):
    async def story():
        async with at_home(alice()) as home:
            delivery = home.feature.send(CREW, "hi")
            await home.tell("MESSAGE_ACK", of_group(delivery.snowflake, "OTHER_SERVER_TIMEOUT"))
            assert not delivery.final.done()
            await home.tell("MESSAGE_ACK", of_group(delivery.snowflake, status, user))
            assert delivery.final.result() == status
            assert delivery.members == {}

    run(story())


def test_each_status_is_told_with_whose_it_is():
    async def story():
        told = []
        feature = alice(on_status=lambda _delivery, whose, status: told.append((str(whose), status)))
        async with at_home(feature) as home:
            delivery = feature.send(CREW, "hi")
            await home.tell("MESSAGE_ACK", of_group(delivery.snowflake, "OTHER_SERVER_TIMEOUT"))
            await home.tell("MESSAGE_ACK", of_members(delivery.snowflake, (BOB, "DELIVERED"), complete=True))
        assert told == [("#crew@alpha", "OTHER_SERVER_TIMEOUT"), ("bob@beta", "DELIVERED")]

    run(story())


# Requests -------------------------------------------------------------------------------------------------


async def asked(home, name, kind):
    """The request that came, once it has."""
    await home.turns()
    [request] = home.taken(name, kind)
    return request


@pytest.mark.parametrize(
    ("ask", "name", "kind"),
    [
        (lambda f: f.join("#crew@alpha"), "JOIN_GROUP", pb.JoinGroup),
        (lambda f: f.leave(CREW), "LEAVE_GROUP", pb.LeaveGroup),
        (lambda f: f.members("crew@alpha"), "QUERY_GROUP_MEMBERS", pb.QueryGroupMembers),
        (lambda f: f.set_history("crew@alpha", is_off=True), "CHANGE_GROUP", pb.ChangeGroup),
    ],
    ids=["join", "leave", "members", "history"],
)
def test_a_request_about_a_group_waits_for_its_answer(ask, name, kind):
    async def story():
        async with at_home(alice()) as home:
            waits = asyncio.ensure_future(ask(home.feature))
            request = await asked(home, name, kind)
            assert Group.of(request.group) == CREW
            other = group_answer(request, CARL)
            other.request += 1
            await home.tell("GROUP_MEMBERS", other)  # somebody else's, or an old one
            assert not waits.done()
            await home.tell("GROUP_MEMBERS", group_answer(request, ALICE, BOB))
            assert waits.result() == (None if name in ("LEAVE_GROUP", "CHANGE_GROUP") else [ALICE, BOB])
            await home.tell("GROUP_MEMBERS", group_answer(request, reason="FAILED"))  # told twice
            assert home.feature.is_connected

    run(story())


@pytest.mark.parametrize(
    ("ask", "name", "user"),
    [
        (lambda f: f.block("bob@beta"), "BLOCK_USER", BOB),
        (lambda f: f.unblock(BOB), "UNBLOCK_USER", BOB),
        (lambda f: f.blocked(), "ASK_BLOCKED_USERS", None),
    ],
    ids=["block", "unblock", "blocked"],
)
def test_a_request_about_blocking_waits_for_its_answer(ask, name, user):
    async def story():
        async with at_home(alice()) as home:
            waits = asyncio.ensure_future(ask(home.feature))
            request = await asked(home, name, pb.ChangeBlock)
            assert (User.of(request.user) if request.HasField("user") else None) == user
            answer = pb.BlockedUsers(request=request.request, users=[BOB.to_pb()], ok=True)
            await home.tell("BLOCKED_USERS", answer)
            assert waits.result() == ([BOB] if user is None else None)

    run(story())


@pytest.mark.parametrize("reason", list(pb.GroupMembers.Reason.keys())[1:])
def test_a_refusal_is_one_sentence_that_names_the_group_or_its_server(reason):
    async def story():
        async with at_home(alice()) as home:
            waits = asyncio.ensure_future(home.feature.join("#crew@gamma"))
            request = await asked(home, "JOIN_GROUP", pb.JoinGroup)
            await home.tell("GROUP_MEMBERS", group_answer(request, reason=reason))
            with pytest.raises(RequestFailed, match=r"^[^\n]*gamma[^\n]*; [^\n]*$") as failed:
                await waits
            assert failed.value.reason == "refused"

    run(story())


def test_what_could_not_be_kept_is_refused():
    async def story():
        async with at_home(alice()) as home:
            waits = asyncio.ensure_future(home.feature.block(BOB))
            request = await asked(home, "BLOCK_USER", pb.ChangeBlock)
            await home.tell("BLOCKED_USERS", pb.BlockedUsers(request=request.request))
            with pytest.raises(RequestFailed, match="alpha could not keep that"):
                await waits

    run(story())


def test_a_server_that_knows_no_groups_is_told_at_once():
    async def story():
        async with at_home(alice()) as home:
            waits = asyncio.ensure_future(home.feature.join(CREW))
            await asked(home, "JOIN_GROUP", pb.JoinGroup)
            await home.tell("UNSUPPORTED_MESSAGE", pb.UnsupportedMessage(message_name="BLOCK_USER"))
            assert not waits.done()
            await home.tell("UNSUPPORTED_MESSAGE", pb.UnsupportedMessage(message_name="JOIN_GROUP"))
            with pytest.raises(RequestFailed, match="the server alpha offers no groups"):
                await waits
            assert home.feature.is_connected

    run(story())


def test_a_request_goes_out_again_after_a_reconnect_with_its_number_and_in_its_place():
    async def story():
        async with at_home(alice()) as home:
            first = home.feature.send(CREW, "before I go")
            waits = asyncio.ensure_future(home.feature.leave(CREW))
            request = await asked(home, "LEAVE_GROUP", pb.LeaveGroup)
            home.frames.clear()
            await home.cut()
            await home.connect()
            await home.turns()
            assert [frame.name for frame in home.frames] == ["MESSAGE", "LEAVE_GROUP"]
            assert await asked(home, "LEAVE_GROUP", pb.LeaveGroup) == request
            await home.tell("GROUP_MEMBERS", group_answer(request))
            await waits
            await home.cut()
            await home.connect()
            assert [sent.messageSnowflake for sent in home.taken("MESSAGE", pb.ChatMessage)][-1] == first.snowflake
            assert home.taken("LEAVE_GROUP", pb.LeaveGroup) == []

    run(story())


def test_a_request_without_an_answer_ends_in_time_and_is_not_sent_again():
    async def story():
        async with at_home(alice()) as home:
            with pytest.raises(RequestFailed, match=r"alpha gave no answer within 0\.01 s") as failed:
                await home.feature.join(CREW, timeout=0.01)
            assert failed.value.reason == "timeout"
            home.frames.clear()
            await home.cut()
            await home.connect()
            assert home.frames == []

    run(story())


# At a home server that is no Parley -----------------------------------------------------------------------

ASKING = {
    "join": lambda f: f.join(CREW),
    "leave": lambda f: f.leave(CREW),
    "members": lambda f: f.members(CREW),
    "block": lambda f: f.block(BOB),
    "unblock": lambda f: f.unblock(BOB),
    "blocked": lambda f: f.blocked(),
}


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
def test_an_existing_server_is_asked_nothing(ask):
    async def story():
        async with at_home(alice(), is_parley=False) as home:
            with pytest.raises(RequestFailed, match=r"the server alpha offers no (groups|blocking)") as failed:
                await ask(home.feature)
            await home.turns()
            assert (failed.value.reason, home.frames) == ("unsupported", [])

    run(story())


def test_a_request_that_waits_for_a_link_does_not_go_out_to_an_existing_server():
    async def story():
        async with at_home(alice()) as home:
            await home.cut()
            message = home.feature.send(BOB, "hello")
            waits = asyncio.ensure_future(home.feature.join(CREW))
            home.is_parley = False
            await home.connect()
            with pytest.raises(RequestFailed, match="offers no groups"):
                await waits
            await home.turns()
            assert [frame.name for frame in home.frames] == ["MESSAGE"]
            assert home.taken("MESSAGE", pb.ChatMessage)[0].messageSnowflake == message.snowflake

    run(story())


def test_pieces_of_an_existing_server_are_no_pieces():
    async def story():
        async with at_home(alice()) as home:
            assert not home.feature.link.takes_pieces
            await home.tell("PIECE", Sending(b"x" * WHOLE, Window()).question())
            assert home.frames == []

    run(story())
