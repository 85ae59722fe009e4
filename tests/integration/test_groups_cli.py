"""Groups and blocking on the command line, against two real nodes."""

import json

import pytest

from tests.support.commands import Command, client_environment, run_parley
from tests.support.nodes import Node, wait_linked

ALPHA, BETA = "127.0.47.1", "127.0.47.2"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    directory = tmp_path_factory.mktemp("nodes")
    with (
        Node("alpha", ALPHA, directory, ("discovery", "chat")) as alpha,
        Node("beta", BETA, directory, ("discovery", "chat")) as beta,
    ):
        wait_linked([alpha, beta], ["chat"])
        yield client_environment("127.0.47.50", directory)


@pytest.fixture
def parley(environment):
    def run(*arguments, text=""):
        return run_parley(*arguments, environment=environment, text=text)

    return run


@pytest.fixture
def as_user(parley):
    """Run a command that must succeed; what it printed, in lines."""

    def run(user, *arguments):
        ended = parley(*arguments, "--as", user)
        assert (ended.returncode, ended.stderr) == (0, "")
        return ended.stdout.splitlines()

    return run


def test_members_of_two_servers_join_are_listed_and_leave(as_user):
    made = ["alice@alpha is in #list@alpha, its only member: it is new"]
    assert as_user("alice@alpha", "group", "join", "#list") == made
    assert as_user("bob@beta", "group", "join", "list@alpha") == ["bob@beta is in #list@alpha"]
    assert as_user("bob@beta", "group", "members", "#list@alpha") == ["alice@alpha", "bob@beta"]
    listed = as_user("alice@alpha", "group", "members", "#list@alpha", "--json")
    assert [json.loads(line) for line in listed] == [
        {"group": "#list@alpha", "member": "alice@alpha"},
        {"group": "#list@alpha", "member": "bob@beta"},
    ]
    assert as_user("bob@beta", "group", "leave", "#list@alpha") == ["bob@beta is not in #list@alpha any more"]
    assert as_user("alice@alpha", "group", "members", "#list@alpha") == ["alice@alpha"]


def test_who_is_not_in_a_group_may_not_ask_who_is(parley, as_user):
    as_user("alice@alpha", "group", "join", "#closed@alpha")
    ended = parley("group", "members", "#closed@alpha", "--as", "eve@beta")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("parley: you are not in #closed@alpha, or there is no such group; only ")


def test_a_group_at_a_server_that_nobody_knows_is_told(parley):
    ended = parley("group", "join", "#crew@nowhere", "--as", "alice@alpha")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("parley: no server nowhere is known at alpha; ")


def test_what_is_no_group_and_no_user_is_told(parley):
    for arguments, part in (
        (("group", "join", "#"), "write #GROUP@SERVER"),
        (("group", "join", "#a@b@c"), "one @ and no spaces"),
        (("block", "@beta"), "write USER@SERVER"),
        (("block", "#crew@alpha"), "'#crew@alpha' is a group; a group cannot be blocked"),
        (("block", "alice"), "alice@alpha is you: nobody can block themselves"),
        (("unblock", "#crew@alpha"), "'#crew@alpha' is a group; name a user"),
    ):
        ended = parley(*arguments, "--as", "alice@alpha")
        assert (ended.returncode, ended.stdout) == (2, ""), arguments
        assert part in ended.stderr
        assert len(ended.stderr.splitlines()) == 1


def test_what_was_so_before_is_told_in_other_words_and_exits_0(as_user):
    as_user("gus@alpha", "group", "join", "#again@alpha")
    assert as_user("gus@alpha", "group", "join", "#again") == ["gus@alpha was in #again@alpha already"]
    assert as_user("gus@alpha", "group", "leave", "again") == ["gus@alpha is not in #again@alpha any more"]
    assert as_user("gus@alpha", "group", "leave", "#again") == ["gus@alpha was not in #again@alpha"]
    assert as_user("gus@alpha", "unblock", "hal") == ["hal@alpha was not blocked"]
    assert as_user("gus@alpha", "block", "hal") == ["gus@alpha takes no messages from hal@alpha"]
    assert as_user("gus@alpha", "block", "hal") == ["gus@alpha took no messages from hal@alpha before, either"]


def test_a_message_to_a_group_prints_a_line_per_member_and_exits_0_when_all_have_it(environment, parley, as_user):
    for user in ("alice@alpha", "bob@beta", "carl@alpha"):
        as_user(user, "group", "join", "#crew@alpha")
    with (
        Command("listen", "--as", "bob@beta", environment=environment) as bob,
        Command("listen", "--as", "carl@alpha", "--json", environment=environment) as carl,
    ):
        bob.wait_error("listening as")
        carl.wait_error("listening as")
        ended = parley("send", "--as", "alice@alpha", "#crew@alpha", "hello crew")
        assert sorted(ended.stdout.splitlines()) == [
            "DELIVERED: bob@beta has it",
            "DELIVERED: carl@alpha has it",
        ], ended.stderr
        assert ended.returncode == 0
        bob.wait_line("alice@alpha in #crew@alpha: hello crew")
        received = json.loads(carl.wait_line("hello crew"))
        assert (received["author"], received["group"]) == ("alice@alpha", "#crew@alpha")
        ended = parley("send", "--as", "bob@beta", "#crew@alpha", "--json", "--wait", "1", "--file", "README.md")
        assert ended.returncode == 3  # alice is away
        told = [json.loads(line) for line in ended.stdout.splitlines()]
        assert {(each["to"], each["member"], each["status"]) for each in told} == {
            ("#crew@alpha", "alice@alpha", "USER_AWAY"),
            ("#crew@alpha", "carl@alpha", "DELIVERED"),
        }
    with Command("listen", "--as", "alice@alpha", environment=environment) as alice:
        alice.wait_line("bob@beta in #crew@alpha: [document README.md")


@pytest.mark.parametrize(
    ("group", "status"),
    [("#nobody@alpha", "USER_NOT_FOUND"), ("#nobody@beta", "USER_NOT_FOUND"), ("#members@alpha", "USER_BLOCKED")],
)
def test_a_group_that_does_not_take_a_message_says_so(parley, as_user, group, status):
    as_user("bob@beta", "group", "join", "#members@alpha")
    ended = parley("send", "--as", "alice@alpha", group, "hello?")
    assert ended.returncode == 1
    [line] = ended.stdout.splitlines()
    assert line.startswith(f"{status}: ")
    assert group in line


def test_a_group_where_nobody_else_is_has_everything(as_user):
    as_user("alice@alpha", "group", "join", "#alone@alpha")
    told = as_user("alice@alpha", "send", "#alone@alpha", "hello me")
    assert told == ["DELIVERED: nobody else is in #alone@alpha"]


def test_who_is_blocked_is_told_until_they_are_not(environment, parley, as_user):
    with Command("listen", "--as", "dora@beta", environment=environment) as dora:
        dora.wait_error("listening as")
        assert as_user("dora@beta", "block", "alice@alpha") == ["dora@beta takes no messages from alice@alpha"]
        assert as_user("dora@beta", "blocked") == ["alice@alpha"]
        assert json.loads(*as_user("dora@beta", "blocked", "--json")) == {"blocked": "alice@alpha"}
        ended = parley("send", "--as", "alice@alpha", "dora@beta", "let me in")
        told = "USER_BLOCKED: dora@beta does not take messages from you\n"
        assert (ended.returncode, ended.stdout) == (1, told)
        assert as_user("dora@beta", "unblock", "alice@alpha") == ["dora@beta takes messages from alice@alpha"]
        assert as_user("dora@beta", "blocked") == []
        assert as_user("alice@alpha", "send", "dora@beta", "thank you") == ["DELIVERED: dora@beta has it"]
        dora.wait_line("thank you")
        assert [line for line in dora.lines if "let me in" in line] == []


def test_a_groups_admin_switches_its_history_and_its_members_see_that(environment, parley, as_user):
    as_user("gil@alpha", "group", "join", "#quiet")
    as_user("hal@beta", "group", "join", "#quiet@alpha")
    ended = parley("group", "history", "#quiet@alpha", "off", "--as", "hal@beta")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("parley: only an admin of #quiet@alpha can change it")
    off = "nothing that is written in #quiet@alpha is kept by any server: an admin switched its history off"
    assert as_user("gil@alpha", "group", "history", "#quiet", "off") == [off]
    assert as_user("hal@beta", "group", "show", "#quiet@alpha") == [
        "#quiet@alpha has 2 members",
        "its admin is gil@alpha",
        off,
    ]
    shown = json.loads(as_user("hal@beta", "group", "show", "#quiet@alpha", "--json")[0])
    assert shown == {"group": "#quiet@alpha", "members": 2, "admins": ["gil@alpha"], "history": "off"}
    with (
        Command("chat", "--as", "gil@alpha", environment=environment) as gil,
        Command("chat", "--as", "hal@beta", environment=environment) as hal,
    ):
        for command in (gil, hal):
            command.wait_error("you are")
        hal.write("#quiet@alpha: off the record")
        gil.wait_line("hal@beta in #quiet@alpha: off the record")
        for command in (gil, hal):
            command.wait_error(off)
        gil.write("/group #quiet history on")
        gil.wait_error("what is written in #quiet@alpha is kept, as the operator of each member's server wants")
        gil.write("#quiet: on it")
        hal.wait_error("what is written in #quiet@alpha is kept")
        hal.write("/group")
        hal.wait_error("its admin is gil@alpha")


def test_a_chat_joins_a_group_and_talks_in_it(environment, as_user):
    with (
        Command("chat", "--as", "eric@beta", environment=environment) as eric,
        Command("chat", "--as", "fay@alpha", environment=environment) as fay,
    ):
        for command in (eric, fay):
            command.wait_error("you are")
            command.write("/join #tea@alpha")
            command.wait_error("you are in #tea@alpha")
        eric.write("#tea@alpha: anyone?")
        fay.wait_line("eric@beta in #tea@alpha: anyone?")
        fay.wait_error("your lines go to #tea@alpha now")
        fay.write("me")
        eric.wait_line("fay@alpha in #tea@alpha: me")
        eric.write("/members")
        eric.wait_error("in #tea@alpha: eric@beta, fay@alpha")
        eric.write("/leave")
        eric.wait_error("you are not in #tea@alpha any more")
        fay.write("still there?")
        fay.wait_error("nobody else is in #tea@alpha")
    assert as_user("fay@alpha", "group", "members", "#tea@alpha") == ["fay@alpha"]
