"""What `parley chat` makes of a line: whom it goes to, what is a command, what is shown."""

import asyncio
import re
import time

import pytest

from parley import ChatFeature
from parley.cli.people.conversation import Conversation
from parley.cli.people.wording import written_at
from parley.services.chat.groups.asks import ASKS
from parley.shared.addresses import Group, User
from parley.shared.config import Config, LinkConfig
from parley.shared.wire.messages import pb
from tests.support.sinks import group_answer
from tests.support.wired import at_home, run

ALICE, BOB = User("alice", "alpha"), User("bob", "beta")
CREW = Group("crew", "alpha")
CARL, SMITH = User("carl", "alpha"), User("bob smith", "beta")
GREETING = "you are alice@alpha. Write `someone@server: text`; /help tells more, Ctrl-D ends."


class Lines:
    """A screen that is a list, and a person who types what a test tells them to."""

    def __init__(self):
        self.said = []
        self.owned = []
        self.noted = []
        self.typed = asyncio.Queue()

    def say(self, text):
        self.said.append(text)

    def own(self, text):
        self.owned.append(text)

    def without_times(self, lines):
        """Lines that each begin with a time of today."""
        assert [line for line in lines if not re.match(r"\d\d:\d\d ", line)] == []
        return [line[6:] for line in lines]

    def note(self, text):
        self.noted.append(text)

    async def read(self):
        return await self.typed.get()


class Story:
    """A conversation at a home server in memory."""

    def __init__(self, home, conversation):
        self.home = home
        self.conversation = conversation
        self.screen = conversation.screen
        self._task = asyncio.ensure_future(conversation.run())

    async def type(self, *lines):
        for line in lines:
            self.screen.typed.put_nowait(line)
        await self.home.turns()

    def sent(self):
        """Whom what was sent went to, and its text."""
        return [
            (Group.of(m.group) if m.HasField("group") else User.of(m.user), m.textContent)
            for m in self.home.taken("MESSAGE", pb.ChatMessage)
        ]

    async def end(self):
        await self.type(None)
        return await asyncio.wait_for(self._task, 5.0)


def story(tell, config=None, *, is_marked=False):
    async def main():
        conversation = Conversation(ALICE, is_marked=is_marked)
        conversation.screen = Lines()
        conversation.chat = ChatFeature(
            ALICE,
            config or Config(),
            on_message=conversation.message_received,
            on_status=conversation.status_received,
            on_connection=conversation.connection_changed,
        )
        async with at_home(conversation.chat, has_abilities=True) as home:
            assert conversation.screen.noted == [GREETING]
            conversation.screen.noted.clear()
            told = Story(home, conversation)
            await tell(told)
            told._task.cancel()

    run(main())


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        (["bob@beta: hi", "and more"], [(BOB, "hi"), (BOB, "and more")]),
        (["bob: hi"], [(User("bob", "alpha"), "hi")]),
        (["bob@beta:hi"], [(BOB, "hi")]),
        (["bob@beta:", "hi"], [(BOB, "hi")]),
        (["#crew: hi"], [(CREW, "hi")]),
        (["#crew@gamma: hi"], [(Group("crew", "gamma"), "hi")]),
        (["/to bob", "hi"], [(User("bob", "alpha"), "hi")]),
        (["/to #crew", "hi"], [(CREW, "hi")]),
        (["/to bob@beta", "at 12:30: tea"], [(BOB, "at 12:30: tea")]),
        (["/to bob@beta", "http://x.example/a:b"], [(BOB, "http://x.example/a:b")]),
        (["/to bob@beta", " note: this"], [(BOB, "note: this")]),
        (["/to bob@beta", "//quit"], [(BOB, "/quit")]),
        (["/to bob@beta", "", "   "], []),
        (["crew: hi", "#crew: hi"], [(User("crew", "alpha"), "hi"), (CREW, "hi")]),
        (["bob@beta: hi", "note: this", "and this"], [(BOB, "hi"), (BOB, "note: this"), (BOB, "and this")]),
        (["carl: hi", "/to bob@beta", "carl: and you"], [(CARL, "hi"), (CARL, "and you")]),
        (["carl: hi", "#crew: hi", "carl: and you"], [(CARL, "hi"), (CREW, "hi"), (CREW, "carl: and you")]),
        (["#crew: hi", "#1: first", "1: first"], [(CREW, "hi"), (CREW, "#1: first"), (CREW, "1: first")]),
        (["#crew: hi", "#tea@alpha: hi", "#crew: a"], [(CREW, "hi"), (Group("tea", "alpha"), "hi"), (CREW, "a")]),
        (["#crew: hi", "bob@beta: to you"], [(CREW, "hi"), (BOB, "to you")]),
        (['"a: b"@beta: hi', "more"], [(User("a: b", "beta"), "hi"), (User("a: b", "beta"), "more")]),
        (['"#odd\\x1b": hi'], [(User("#odd\x1b", "alpha"), "hi")]),
        (["/to bob smith@beta", "a", "/to carl", "bob smith@beta: b"], [(SMITH, "a"), (SMITH, "b")]),
        (["@" * 100_000 + ":", "bob: hi"], [(User("bob", "alpha"), "hi")]),
    ],
    ids=lambda value: " | ".join(value) if value and isinstance(value[0], str) else "",
)
def test_whom_a_line_goes_to(lines, sent):
    async def tell(story):
        await story.type(*lines)
        found = story.sent()
        assert [(type(to), to, text) for to, text in found] == [(type(to), to, text) for to, text in sent]

    story(tell)


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("hello", "to whom?"),
        ("/dance", "there is no /dance: /help lists"),
        ("/to", "to whom? Write /to NAME"),
        ("/to @beta", "is no address"),
        ("/to #", "is no group"),
        ("@beta: hi", "'@beta' is no address"),
        ("/join", "which group?"),
        ("/members", "which group?"),
        ("/block", "whom?"),
        ("/block #crew", "a group cannot be blocked"),
        ("/block alice", "nobody can block themselves"),
        ("a@b@c: hi", "is no name: write USER@SERVER"),
        ("/file", "which file?"),
        ("/file x", "to whom?"),
        ("/who", "nobody yet"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line_and_nothing_is_sent(line, part):
    async def tell(story):
        await story.type(line)
        [noted] = story.screen.noted
        assert part in noted
        assert "\n" not in noted
        assert story.home.frames == []
        await story.type("bob@beta: on we go")
        assert story.sent() == [(BOB, "on we go")]

    story(tell)


def test_a_text_over_the_limit_is_told_with_the_numbers():
    async def tell(story):
        await story.type("bob@beta: " + "x" * 300)
        assert "the text is too large: " in story.screen.noted[-1]
        assert "(300 bytes)" in story.screen.noted[-1]
        assert story.sent() == []

    story(tell, Config(link=LinkConfig(payload_limit=300)))


def message(author, snowflake, text, group=None):
    payload = pb.ChatMessage(messageSnowflake=snowflake, author=author.to_pb(), textContent=text)
    if group is None:
        payload.user.CopyFrom(ALICE.to_pb())
    else:
        payload.userOfGroup.CopyFrom(pb.UserOfGroup(user=ALICE.to_pb(), group=group.to_pb()))
    return payload


def test_the_first_who_writes_is_chosen_and_later_ones_are_not():
    async def tell(story):
        await story.home.tell("MESSAGE", message(BOB, 1, "hi"))
        await story.home.tell("MESSAGE", message(User("carl", "alpha"), 2, "me too"))
        assert story.screen.without_times(story.screen.said) == ["bob@beta: hi", "carl@alpha: me too"]
        assert story.conversation.prompt() == "bob@beta> "
        assert story.screen.noted == ["your lines go to bob@beta now"]

    story(tell)


def test_what_comes_in_a_group_names_it_and_is_answered_there():
    async def tell(story):
        await story.home.tell("MESSAGE", message(BOB, 1, "hi", CREW))
        assert story.screen.without_times(story.screen.said) == ["bob@beta in #crew@alpha: hi"]
        await story.type("hi all")
        assert story.sent() == [(CREW, "hi all")]

    story(tell)


def test_whom_one_writes_to_is_not_changed_by_who_writes():
    async def tell(story):
        await story.type("/to carl")
        await story.home.tell("MESSAGE", message(BOB, 1, "hi"))
        assert story.conversation.to == User("carl", "alpha")

    story(tell)


def test_each_status_has_its_mark_and_an_older_message_its_beginning():
    async def tell(story):
        await story.type("bob@beta: one", "two")
        one, two = story.conversation.chat.outbox

        async def hear(delivery, status):
            ack = pb.ChatMessageResponse(messageSnowflake=delivery.snowflake)
            ack.statuses.add(user=BOB.to_pb(), status=status)
            await story.home.tell("MESSAGE_ACK", ack)
            return story.screen.noted[-1]

        assert await hear(two, "USER_AWAY") == "  … USER_AWAY: bob@beta is away; kept at beta, it will be delivered"
        assert await hear(one, "USER_BLOCKED") == (
            "  ✗ USER_BLOCKED: bob@beta does not take messages from you: “one”"
        )
        assert await hear(two, "DELIVERED") == "  ✓ DELIVERED: bob@beta has it: “two”"
        await story.type("three")
        [three] = story.conversation.chat.outbox
        assert await hear(three, "DELIVERED") == "  ✓ DELIVERED: bob@beta has it"
        await story.type("four")
        [four] = story.conversation.chat.outbox
        assert (await hear(four, "UNKNOWN_STATUS")).startswith("  ? UNKNOWN_STATUS: handed over to beta")

    story(tell)


def test_what_was_kept_and_then_given_up_is_told_so():
    async def tell(story):
        await story.type("bob@beta: one", "two")
        one, two = story.conversation.chat.outbox
        for delivery, statuses in ((one, ["USER_AWAY", "OTHER_ERROR"]), (two, ["OTHER_ERROR"])):
            for status in statuses:
                ack = pb.ChatMessageResponse(messageSnowflake=delivery.snowflake)
                ack.statuses.add(user=BOB.to_pb(), status=status)
                await story.home.tell("MESSAGE_ACK", ack)
        _, kept, not_taken = story.screen.noted[-3:]
        assert "OTHER_ERROR: it was kept for bob@beta and then given up" in kept
        assert "OTHER_ERROR: it was not taken" in not_taken

    story(tell)


class Told:
    """Takes the place of what tells others that we type."""

    text = "bob@beta … typing"

    def __init__(self):
        self.to = []

    def edited(self, to):
        self.to.append(to)


@pytest.mark.parametrize(
    ("line", "to"),
    [
        ("h", BOB),
        ("carl: h", BOB),  # nobody whom we know
        ("carl@alpha: h", User("carl", "alpha")),
        ("#crew: h", CREW),
        ("at 12:30", BOB),
        ("//quit", BOB),
        ("/quit", None),
        ("  ", None),
        ("", None),
        ("a@b@c: h", None),
    ],
)
def test_who_is_written_to_is_told_that_a_line_is_typed(line, to):
    async def tell(story):
        conversation = story.conversation
        conversation.edited("nobody is chosen, and nobody told")
        assert conversation.typing_notice() == ""
        conversation.typing_notices = Told()
        conversation.edited("for nobody yet")
        await story.type("/to bob@beta")
        conversation.edited(line)
        assert [(type(each), each) for each in conversation.typing_notices.to] == [
            (type(None), None),
            (type(to), to),
        ]
        assert conversation.typing_notice() == "bob@beta … typing"

    story(tell)


@pytest.mark.parametrize(
    ("line", "name", "shown"),
    [
        ("/join #crew", "JOIN_GROUP", "you are in #crew@alpha"),
        ("/join crew@alpha", "JOIN_GROUP", "you are in #crew@alpha"),
        ("/leave #crew", "LEAVE_GROUP", "you are not in #crew@alpha any more"),
        ("/members #crew", "QUERY_GROUP_MEMBERS", "in #crew@alpha: alice@alpha, bob@beta"),
    ],
)
def test_a_command_about_a_group_shows_its_answer(line, name, shown):
    async def tell(story):
        await story.type(line)
        [request] = story.home.taken(name, ASKS[name])
        assert Group.of(request.group) == CREW
        await story.home.tell("GROUP_MEMBERS", group_answer(request, BOB, ALICE))
        joined = ["your lines go to #crew@alpha now"] if name == "JOIN_GROUP" else []
        assert story.screen.noted == [shown, *joined]
        assert story.conversation.prompt() == ("#crew@alpha> " if joined else "> ")
        await story.type(line)
        [request] = story.home.taken(name, ASKS[name])
        await story.home.tell("GROUP_MEMBERS", group_answer(request, reason="GROUP_FULL"))
        assert "#crew@alpha is full" in story.screen.noted[-1]

    story(tell)


@pytest.mark.parametrize(
    ("line", "query", "found", "more", "shown"),
    [
        ("/users", "", [BOB, ALICE, CARL], False, "connected: bob@beta, carl@alpha"),
        ("/users bo", "bo", [BOB], True, "connected: bob@beta; there may be others, "),
        ("/users x", "x", [], False, "connected: nobody else"),
    ],
)
def test_who_is_connected_is_shown_and_may_be_named_from_then_on(line, query, found, more, shown):
    async def tell(story):
        await story.type(line)
        [asked] = story.home.taken("SEARCH_USERS", pb.QueryUsers)
        assert asked.query == query
        users = [user.to_pb() for user in found]
        answer = pb.QueryUsersResponse(handle=asked.handle, users=users, complete=True, more=more)
        await story.home.tell("SEARCH_USERS_RESP", answer)
        assert story.screen.noted[-1].startswith(shown)
        assert (CARL in story.conversation._known) == (CARL in found)

    story(tell)


@pytest.mark.parametrize(
    ("line", "name", "shown"),
    [
        ("/block bob@beta", "BLOCK_USER", "you take no messages from bob@beta"),
        ("/unblock bob@beta", "UNBLOCK_USER", "you take messages from bob@beta"),
        ("/blocked", "ASK_BLOCKED_USERS", "you take no messages from: bob@beta"),
    ],
)
def test_a_command_about_blocking_shows_its_answer(line, name, shown):
    async def tell(story):
        await story.type(line)
        [request] = story.home.taken(name, pb.ChangeBlock)
        answer = pb.BlockedUsers(request=request.request, ok=True, users=[BOB.to_pb()])
        await story.home.tell("BLOCKED_USERS", answer)
        assert story.screen.noted == [shown]

    story(tell)


def test_members_of_the_group_that_one_writes_to_need_no_name():
    async def tell(story):
        await story.type("/to #crew", "/members")
        [request] = story.home.taken("QUERY_GROUP_MEMBERS", pb.QueryGroupMembers)
        assert Group.of(request.group) == CREW

    story(tell)


OFF = "nothing that is written in #crew@alpha is kept by any server: an admin switched its history off"
ON = "what is written in #crew@alpha is kept, as the operator of each member's server wants"


@pytest.mark.parametrize(
    ("line", "is_off"),
    [("/group #crew history off", True), ("/group history on", False), ("/group #crew@alpha history  off", True)],
)
def test_an_admin_switches_a_groups_history(line, is_off):
    async def tell(story):
        await story.type("/to #crew", line)
        [request] = story.home.taken("CHANGE_GROUP", pb.ChangeGroup)
        assert (Group.of(request.group), request.historyOff) == (CREW, is_off)
        await story.home.tell("GROUP_MEMBERS", group_answer(request, ALICE))
        assert story.screen.noted[-1] == (OFF if is_off else ON)

    story(tell)


def test_what_a_group_is_and_whether_it_is_kept_is_shown():
    async def tell(story):
        await story.type("/group #crew", "/group #crew history perhaps")
        assert story.screen.noted[-1] == "write /group #crew history off, or on"
        [request] = story.home.taken("QUERY_GROUP_MEMBERS", pb.QueryGroupMembers)
        answer = group_answer(request, BOB, ALICE)
        answer.historyOff = True
        answer.admins.append(BOB.to_pb())
        await story.home.tell("GROUP_MEMBERS", answer)
        assert story.screen.noted[-1].splitlines() == [
            "  #crew@alpha has 2 members",
            "  its admin is bob@beta",
            f"  {OFF}",
        ]

    story(tell)


def test_that_a_group_is_not_kept_is_said_with_the_first_message_and_once_and_when_it_is_again():
    def sent(number, *, off):
        message = pb.ChatMessage(messageSnowflake=number, author=BOB.to_pb(), textContent="hi", historyOff=off)
        message.userOfGroup.user.CopyFrom(ALICE.to_pb())
        message.userOfGroup.group.CopyFrom(CREW.to_pb())
        return message

    async def tell(story):
        for number, off in enumerate((False, True, True, False, False), 1):
            await story.home.tell("MESSAGE", sent(number, off=off))
        await story.home.turns()
        assert [each for each in story.screen.noted if each in (OFF, ON)] == [OFF, ON]

    story(tell)


def test_the_statuses_of_ones_own_message_say_that_it_is_not_kept():
    async def tell(story):
        await story.type("#crew: hello")
        [message] = story.home.taken("MESSAGE", pb.ChatMessage)
        ack = pb.ChatMessageResponse(messageSnowflake=message.messageSnowflake, group=CREW.to_pb(), historyOff=True)
        for status in ("USER_AWAY", "DELIVERED"):
            del ack.statuses[:]
            ack.statuses.add(user=BOB.to_pb(), status=status)
            await story.home.tell("MESSAGE_ACK", ack)
        assert story.screen.noted.count(OFF) == 1

    story(tell)


def test_lines_go_on_while_a_request_waits_for_its_answer():
    async def tell(story):
        await story.type("/join #crew", "bob@beta: meanwhile")
        assert story.sent() == [(BOB, "meanwhile")]

    story(tell)


def test_the_server_is_told_gone_and_back_but_not_at_the_beginning():
    async def tell(story):
        assert story.screen.noted == []
        await story.home.cut()
        assert story.screen.noted == ["alpha is gone; what you write goes out when it is back"]
        await story.type("bob@beta: later")
        assert story.screen.noted[-1] == "  … not sent yet: alpha is gone; it goes out when it is back"
        await story.home.connect()
        assert story.screen.noted[-1] == "alpha is back"
        assert story.sent() == [(BOB, "later")]

    story(tell)


def test_it_ends_with_0_when_all_has_a_status():
    async def tell(story):
        await story.type("bob@beta: one")
        [one] = story.conversation.chat.outbox
        ack = pb.ChatMessageResponse(messageSnowflake=one.snowflake)
        ack.statuses.add(user=BOB.to_pb(), status="USER_AWAY")
        await story.home.tell("MESSAGE_ACK", ack)
        assert await story.end() == 0

    story(tell)


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (0, r"\d\d:\d\d "),
        (30, r"\d\d:\d\d "),
        (90, r"\d\d:\d\d "),
        (3 * 86400, r"[1-3]?\d [A-Z][a-z]{2} \d\d:\d\d "),
    ],
)
def test_each_line_shows_when_it_was_written(ago, shown):
    async def tell(story):
        at = time.time() - ago
        await story.home.tell("MESSAGE", message(BOB, int(at * 1000) << 22, "hi"))
        [said] = story.screen.said
        assert re.fullmatch(
            f"(\\d+ \\w+ )?{shown}bob@beta: hi" if ago in (30, 90) else f"{shown}bob@beta: hi", said
        )
        if shown:
            assert time.strftime("%H:%M", time.localtime(at)) in said

    story(tell)


@pytest.mark.parametrize("snowflake", [1, 12345 << 22, (1 << 64) - 1, 1_500_000_000_000 << 22])
def test_a_number_that_is_no_time_shows_none(snowflake):
    assert written_at(snowflake, time.time()) is None


def test_a_live_location_is_shown_with_the_way_to_follow_it():
    async def tell(story):
        payload = message(BOB, 1, "")
        payload.live_location.location.latitude, payload.live_location.location.longitude = 48.137, 11.575
        await story.home.tell("MESSAGE", payload)
        shown = "bob@beta: [live location 48.13700, 11.57500; follow it with `parley where`]"
        assert story.screen.without_times(story.screen.said) == [shown]

    story(tell)


def test_another_persons_words_move_no_cursor_and_forge_no_line():
    async def tell(story):
        await story.home.tell("MESSAGE", message(BOB, 1, "hi\x1b[2J\r\ncarl@alpha: forged\u202e"))
        shown = "bob@beta: hi\ufffd[2J\n    carl@alpha: forged\ufffd"
        assert story.screen.without_times(story.screen.said) == [shown]

    story(tell)


def test_ones_own_lines_bear_ones_name_and_whom_they_go_to():
    async def tell(story):
        await story.type("bob@beta: hi", "#crew: all", "/who", "bob: note", "a@b@c: no")
        owned = story.screen.owned
        assert story.screen.without_times([owned[0], owned[1], owned[3]]) == [
            "alice@alpha to bob@beta: hi",
            "alice@alpha in #crew@alpha: all",
            "alice@alpha in #crew@alpha: bob: note",
        ]
        assert [owned[2], *owned[4:]] == ["#crew@alpha> /who", "#crew@alpha> a@b@c: no"]

    story(tell)


def test_a_line_that_names_nobody_whom_we_know_is_told_to_have_gone_where_the_last_one_did():
    async def tell(story):
        await story.type("bob@beta: hi", "carl: hi")
        assert story.screen.noted[-1] == (
            "  that went to bob@beta; to write to carl@alpha: /to carl@alpha, or `carl@alpha: text`"
        )
        await story.type("/to carl", "#crew: hi")
        story.screen.noted.clear()
        await story.type("note: a line for all")  # of nobody's name
        assert story.screen.noted == []
        await story.type("carl: and you?")
        assert "that went to #crew@alpha" in story.screen.noted[-1]

    story(tell)


def test_whoever_wrote_or_is_listed_may_be_named():
    async def tell(story):
        await story.home.tell("MESSAGE", message(User("carl", "alpha"), 1, "hi", CREW))
        await story.type("/to bob@beta", "carl: hi")
        assert story.sent() == [(CARL, "hi")]
        await story.type("/members #crew")
        [request] = story.home.taken("QUERY_GROUP_MEMBERS", pb.QueryGroupMembers)
        await story.home.tell("GROUP_MEMBERS", group_answer(request, User("dora", "alpha"), ALICE))
        await story.type("dora: hi")
        assert story.sent() == [(User("dora", "alpha"), "hi")]

    story(tell)


def test_an_odd_name_can_be_answered_as_it_is_shown():
    odd = User("a\x1b: b", "beta")

    async def tell(story):
        await story.home.tell("MESSAGE", message(odd, 1, "hi"))
        [said] = story.screen.without_times(story.screen.said)
        shown, _, _ = said.rpartition(": ")
        assert shown == '"a\\x1b: b"@beta'
        await story.type("/to carl", f"{shown}: hello")
        assert story.sent() == [(odd, "hello")]

    story(tell)


def test_a_program_that_writes_the_lines_hears_of_failures_by_the_exit_code():
    async def tell(story, line, status, code):
        story.conversation._answers_for_all = True
        await story.type(line)
        for sent in story.home.taken("MESSAGE", pb.ChatMessage):
            ack = pb.ChatMessageResponse(messageSnowflake=sent.messageSnowflake)
            ack.statuses.add(user=sent.user, status=status)
            await story.home.tell("MESSAGE_ACK", ack)
        assert await story.end() == code

    for case in (
        ("bob@beta: hi", "DELIVERED", 0),
        ("bob@beta: hi", "USER_AWAY", 3),
        ("bob@beta: hi", "USER_BLOCKED", 1),
    ):
        story(lambda found, case=case: tell(found, *case))
    story(lambda found: tell(found, "to nobody", "DELIVERED", 1))


def test_whose_author_no_signature_proves_has_a_mark_and_the_person_is_answered_all_the_same():
    async def tell(story):
        await story.home.tell("MESSAGE", message(BOB, 1, "hi"))
        await story.home.tell("MESSAGE", message(BOB, 2, "hi all", CREW))
        said = story.screen.without_times(story.screen.said)
        assert said == ["bob@beta (unsigned): hi", "bob@beta (unsigned) in #crew@alpha: hi all"]
        assert story.conversation.prompt() == "bob@beta> "

    story(tell, is_marked=True)
