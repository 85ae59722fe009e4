"""Groups: who joins and leaves, what lasts, and what is asked of another server's groups."""

import pytest

from parley.services.chat.groups.passed_on import UNKNOWN_SERVER_TIMEOUT
from parley.services.chat.groups.requests import MOST_BEHIND_A_JOIN
from parley.shared.addresses import Group, User
from parley.shared.errors import UnexpectedMessage
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import encode, pb
from tests.support.durable_people import DurableNode
from tests.support.sinks import ACK_TIMEOUT, Joined, Node, Sink, group_ask, told

ANN, AMY, BOB, CID = User("ann", "alpha"), User("amy", "alpha"), User("bob", "beta"), User("cid", "gamma")
CREW, FAR = Group("crew", "alpha"), Group("crew", "beta")


def request(name, group=CREW, number=1, user=None, **fields):
    return read_datagram(group_ask(name, group, number, user, **fields))


class Asking:
    """A user's client, and what it was answered."""

    def __init__(self, node, user):
        self.node, self.user, self.sink = node, user, node.connect(user)

    def ask(self, name, group=CREW, number=1, user=None, **fields):
        self.node.from_client(self.user, request(name, group, number, user, **fields), self.sink)
        return self

    def switch(self, *, off, group=CREW):
        """What became of switching a group's history, and how it is now."""
        [answer] = self.ask("CHANGE_GROUP", group, historyOff=off).sink.take()
        return told(answer), answer.historyOff

    def history(self):
        """Whether a group's history is off, and who may switch it."""
        [answer] = self.ask("QUERY_GROUP_MEMBERS").sink.take()
        return answer.historyOff, [str(User.of(each)) for each in answer.admins]

    def answers(self):
        """(request, result, members) since the last look."""
        return [
            (each.request, told(each), [str(User.of(member)) for member in each.user]) for each in self.sink.take()
        ]

    def result(self, name, group=CREW):
        [(_number, result, members)] = self.ask(name, group).answers()
        return result, members


def from_server(node, server_id, name, user, group=CREW, number=1):
    node.from_server(server_id, request(name, group, number, user))


@pytest.fixture
def alpha():
    return Node("alpha")


@pytest.fixture
def ann(alpha):
    return Asking(alpha, ANN)


@pytest.fixture
def amy(alpha):
    return Asking(alpha, AMY)


# At our server ------------------------------------------------------------------------------------


def test_whoever_joins_first_makes_a_group(ann):
    assert ann.result("JOIN_GROUP") == ("SUCCESS", ["ann@alpha"])


def test_an_answer_has_the_askers_number_and_names_group_and_asker(ann):
    [answer] = ann.ask("JOIN_GROUP", number=7).sink.take()
    assert (answer.request, Group.of(answer.group), User.of(answer.asker)) == (7, CREW, ANN)


def test_members_hear_who_is_in_a_group_in_the_order_in_which_they_came(ann, amy):
    ann.ask("JOIN_GROUP")
    assert amy.result("JOIN_GROUP") == ("SUCCESS", ["ann@alpha", "amy@alpha"])
    ann.answers()
    assert ann.result("QUERY_GROUP_MEMBERS") == ("SUCCESS", ["ann@alpha", "amy@alpha"])


def test_nobody_else_hears_who_is_in_a_group(ann, amy):
    ann.ask("JOIN_GROUP")
    assert amy.result("QUERY_GROUP_MEMBERS") == ("NOT_A_MEMBER", [])


def test_joining_twice_is_joining_once(ann):
    ann.ask("JOIN_GROUP").answers()
    assert ann.result("JOIN_GROUP") == ("SUCCESS", ["ann@alpha"])


def test_whoever_leaves_hears_no_more_who_is_in(ann, amy):
    ann.ask("JOIN_GROUP").answers()
    amy.ask("JOIN_GROUP").answers()
    assert amy.result("LEAVE_GROUP") == ("SUCCESS", [])
    assert amy.result("QUERY_GROUP_MEMBERS") == ("NOT_A_MEMBER", [])
    assert ann.result("QUERY_GROUP_MEMBERS") == ("SUCCESS", ["ann@alpha"])


def test_leaving_what_one_is_not_in_is_no_error(ann):
    assert ann.result("LEAVE_GROUP") == ("SUCCESS", [])


def test_the_last_to_leave_ends_a_group(alpha, ann):
    ann.ask("JOIN_GROUP").ask("LEAVE_GROUP")
    assert not alpha.engine.groups.members("crew")
    assert alpha.disk.members() == []
    assert alpha.engine.groups._members == {}


def test_groups_of_other_names_are_other_groups(ann):
    ann.ask("JOIN_GROUP").answers()
    assert ann.result("QUERY_GROUP_MEMBERS", Group("choir", "alpha")) == ("NOT_A_MEMBER", [])


def test_a_full_group_takes_nobody_else_but_those_who_are_in():
    alpha = Node("alpha", group_members=1)
    ann, amy = Asking(alpha, ANN), Asking(alpha, AMY)
    assert ann.result("JOIN_GROUP") == ("SUCCESS", ["ann@alpha"])
    assert amy.result("JOIN_GROUP") == ("GROUP_FULL", [])
    assert ann.result("JOIN_GROUP") == ("SUCCESS", ["ann@alpha"])
    assert ann.result("LEAVE_GROUP") == ("SUCCESS", [])
    assert amy.result("JOIN_GROUP") == ("SUCCESS", ["amy@alpha"])


def test_members_outlive_the_process(alpha, ann, amy):
    ann.ask("JOIN_GROUP")
    amy.ask("JOIN_GROUP").ask("LEAVE_GROUP")
    alpha.disk.crash()
    alpha.start()
    assert Asking(alpha, ANN).result("QUERY_GROUP_MEMBERS") == ("SUCCESS", ["ann@alpha"])


def test_who_has_been_in_a_group_the_longest_switches_its_history_and_nobody_else(alpha, ann, amy):
    ann.ask("JOIN_GROUP").answers()
    assert amy.switch(off=True) == ("NOT_A_MEMBER", False)
    amy.ask("JOIN_GROUP").answers()
    assert amy.switch(off=True) == ("NOT_AN_ADMIN", False)
    assert amy.history() == (False, ["ann@alpha"])
    assert ann.switch(off=True) == ("SUCCESS", True)
    assert ann.switch(off=True) == ("SUCCESS", True)
    assert amy.history() == (True, ["ann@alpha"])
    ann.ask("LEAVE_GROUP").ask("JOIN_GROUP").answers()
    assert ann.switch(off=False) == ("NOT_AN_ADMIN", False)
    assert amy.history() == (True, ["amy@alpha"])
    alpha.start()
    amy = Asking(alpha, AMY)
    assert amy.history() == (True, ["amy@alpha"])
    assert amy.switch(off=False) == ("SUCCESS", False)
    alpha.start()
    assert Asking(alpha, ANN).history() == (False, ["amy@alpha"])


def test_a_group_of_a_name_that_was_there_before_begins_as_any(alpha, ann, amy):
    ann.ask("JOIN_GROUP").answers()
    assert ann.switch(off=True) == ("SUCCESS", True)
    ann.ask("LEAVE_GROUP").answers()
    amy.ask("JOIN_GROUP").answers()
    assert amy.history() == (False, ["amy@alpha"])
    alpha.start()
    assert Asking(alpha, AMY).history() == (False, ["amy@alpha"])


def test_a_switch_is_thrown_when_it_is_on_disk_and_not_where_that_cannot_be():
    node = DurableNode("alpha")
    ann = Asking(node, ANN).ask("JOIN_GROUP")
    node.disk.commit_all()
    ann.answers()
    for fails in (True, False):
        ann.ask("CHANGE_GROUP", historyOff=True)
        assert ann.sink.take() == []
        assert not node.engine.groups.is_history_off("crew")
        (node.disk.fail if fails else node.disk.commit_all)()
        [answer] = ann.sink.take()
        assert told(answer) == ("FAILED" if fails else "SUCCESS")
        assert node.engine.groups.is_history_off("crew") is not fails


@pytest.mark.parametrize("name", ["JOIN_GROUP", "LEAVE_GROUP"])
def test_a_change_is_answered_and_made_when_it_is_on_disk(name):
    alpha = DurableNode("alpha")
    ann = Asking(alpha, ANN)
    if name == "LEAVE_GROUP":
        ann.ask("JOIN_GROUP")
        alpha.disk.commit_all()
        ann.answers()
    before = set(alpha.engine.groups.members("crew"))
    ann.ask(name)
    assert ann.answers() == []
    assert set(alpha.engine.groups.members("crew")) == before
    alpha.disk.commit_all()
    assert [result for _number, result, _members in ann.answers()] == ["SUCCESS"]
    assert set(alpha.engine.groups.members("crew")) == {ANN} - before


@pytest.mark.parametrize("name", ["JOIN_GROUP", "LEAVE_GROUP"])
def test_a_change_that_cannot_be_written_is_an_error_and_not_made(name):
    alpha = DurableNode("alpha")
    ann = Asking(alpha, ANN)
    if name == "LEAVE_GROUP":
        ann.ask("JOIN_GROUP")
    alpha.disk.commit_all()
    ann.answers()
    before = set(alpha.engine.groups.members("crew"))
    ann.ask(name)
    alpha.disk.fail()
    assert [result for _number, result, _members in ann.answers()] == ["FAILED"]
    assert set(alpha.engine.groups.members("crew")) == before


# What is refused --------------------------------------------------------------------------------------


def test_a_user_cannot_ask_for_another(alpha, ann):
    with pytest.raises(UnexpectedMessage) as refused:
        ann.ask("JOIN_GROUP", user=AMY)
    assert refused.value.reason == "foreign_user"
    assert not alpha.engine.groups.members("crew")


@pytest.mark.parametrize("group", [Group("", "alpha"), Group("crew", ""), Group("x" * 256, "alpha")])
def test_a_group_needs_a_name(ann, group):
    with pytest.raises(UnexpectedMessage) as refused:
        ann.ask("JOIN_GROUP", group)
    assert refused.value.reason == "no_recipient"


@pytest.mark.parametrize("user", [ANN, CID, User("", "beta"), User("", "")])
def test_a_server_asks_for_its_own_users_only(alpha, user):
    alpha.link("beta")
    with pytest.raises(UnexpectedMessage) as refused:
        from_server(alpha, "beta", "JOIN_GROUP", user)
    assert refused.value.reason == "foreign_user"
    assert not alpha.engine.groups.members("crew")


@pytest.mark.parametrize("group", [FAR, Group("crew", "gamma")])
def test_a_server_asks_about_our_groups_only(alpha, group):
    beta = alpha.link("beta")
    with pytest.raises(UnexpectedMessage) as refused:
        from_server(alpha, "beta", "JOIN_GROUP", BOB, group)
    assert refused.value.reason == "foreign_user"
    assert not beta.sent


def test_an_answer_from_another_server_than_the_one_asked_does_nothing(alpha, ann):
    beta = alpha.link("beta")
    alpha.link("gamma")
    ann.ask("JOIN_GROUP", FAR)
    [asked] = beta.take()
    answer = pb.GroupMembers(group=FAR.to_pb(), request=asked.handle, result=pb.GroupMembers.SUCCESS)
    frame = read_datagram(encode("GROUP_MEMBERS", answer))
    alpha.from_server("gamma", frame)
    assert ann.answers() == []
    alpha.from_server("beta", frame)
    assert ann.answers() == [(1, "SUCCESS", [])]
    alpha.from_server("beta", frame)
    assert ann.answers() == []


# Who is no Parley -------------------------------------------------------------------------------------


SHEET_NAMES = {"group", "result", "user"}


class Existing(Asking):
    """A user's client that knows the common sheet alone."""

    def __init__(self, node, user):
        super().__init__(node, user)
        self.sink.is_parley = False

    def heard(self):
        """(result, members) of each answer, which has none but the sheet's fields."""
        taken = self.sink.take()
        assert all({field.name for field, _ in each.ListFields()} <= SHEET_NAMES for each in taken)
        return [(each.Result.Name(each.result), [str(User.of(member)) for member in each.user]) for each in taken]


@pytest.fixture
def old(alpha):
    return Existing(alpha, AMY)


def test_a_client_of_the_sheet_hears_in_its_fields_that_it_joined_and_left(alpha, old):
    old.ask("JOIN_GROUP", number=0).ask("JOIN_GROUP", number=5)
    assert list(alpha.engine.groups.members("crew")) == [AMY]
    assert old.heard() == [("SUCCESS", ["amy@alpha"])] * 2
    old.ask("LEAVE_GROUP", number=0)
    assert not alpha.engine.groups.members("crew")
    assert old.heard() == [("SUCCESS", [])]


def test_who_is_no_parley_hears_the_members_of_its_groups_in_the_sheets_fields(ann, old):
    ann.ask("JOIN_GROUP")
    assert old.ask("QUERY_GROUP_MEMBERS", number=0).heard() == [("NOT_FOUND", [])]
    assert old.ask("JOIN_GROUP", number=0).heard() == [("SUCCESS", ["ann@alpha", "amy@alpha"])]
    assert old.ask("QUERY_GROUP_MEMBERS", number=0).heard() == [("SUCCESS", ["ann@alpha", "amy@alpha"])]


def test_a_question_right_behind_a_join_is_answered_after_it(alpha, old):
    alpha.commits = False
    old.ask("JOIN_GROUP", number=0).ask("QUERY_GROUP_MEMBERS", number=0)
    assert old.heard() == []
    alpha.disk.commit_all()
    assert old.heard() == [("SUCCESS", ["amy@alpha"])] * 2


def test_a_question_behind_a_join_that_is_not_kept_is_refused():
    alpha = DurableNode("alpha")
    ann = Asking(alpha, ANN)
    alpha.disk.commit_all()
    ann.ask("JOIN_GROUP", number=1).ask("QUERY_GROUP_MEMBERS", number=2)
    alpha.disk.fail()
    assert ann.answers() == [(1, "FAILED", []), (2, "NOT_A_MEMBER", [])]


def test_questions_behind_a_join_have_an_end(alpha, ann):
    alpha.commits = False
    ann.ask("JOIN_GROUP", number=1)
    for number in range(MOST_BEHIND_A_JOIN + 1):
        ann.ask("QUERY_GROUP_MEMBERS", number=100 + number)
    assert ann.answers() == [(100 + MOST_BEHIND_A_JOIN, "FAILED", [])]
    alpha.disk.commit_all()
    assert [result for _number, result, _members in ann.answers()] == ["SUCCESS"] * (1 + MOST_BEHIND_A_JOIN)
    assert not alpha.engine.requests._joining


def test_an_existing_server_hears_who_is_in_a_group_that_a_user_of_its_own_is_in(alpha, ann):
    ann.ask("JOIN_GROUP")
    beta = alpha.link("beta", Sink(is_parley=False), confirms=False)
    ask = read_datagram(group_ask("QUERY_GROUP_MEMBERS", CREW, 0))
    alpha.from_server("beta", ask)
    assert [(each.result, len(each.user)) for each in beta.take()] == [(pb.GroupMembers.NOT_FOUND, 0)]
    from_server(alpha, "beta", "JOIN_GROUP", BOB, number=9)
    assert beta.take() == []
    alpha.from_server("beta", ask)
    [answer] = beta.take()
    assert {field.name for field, _ in answer.ListFields()} == SHEET_NAMES
    assert [User.of(member) for member in answer.user] == [ANN, BOB]
    from_server(alpha, "beta", "LEAVE_GROUP", BOB, number=0)
    alpha.from_server("beta", ask)
    assert [each.result for each in beta.take()] == [pb.GroupMembers.NOT_FOUND]


def test_an_existing_server_hears_of_no_group_of_a_third_server(alpha):
    beta = alpha.link("beta", Sink(is_parley=False), confirms=False)
    alpha.link("gamma")
    from_server(alpha, "beta", "JOIN_GROUP", BOB)
    alpha.from_server("beta", read_datagram(group_ask("QUERY_GROUP_MEMBERS", Group("crew", "gamma"), 0)))
    assert [each.result for each in beta.take()] == [pb.GroupMembers.NOT_FOUND]


def test_what_another_server_answers_is_passed_back_in_the_fields_that_the_asker_knows(joined, old):
    bob = Asking(joined.nodes[1], BOB)
    bob.ask("JOIN_GROUP", FAR)
    old.ask("QUERY_GROUP_MEMBERS", FAR, 0)
    joined.carry()
    assert old.heard() == [("NOT_FOUND", [])]
    old.ask("JOIN_GROUP", FAR, 0).ask("QUERY_GROUP_MEMBERS", FAR, 0)
    joined.carry()
    assert old.heard() == [("SUCCESS", ["bob@beta", "amy@alpha"])] * 2
    old.ask("LEAVE_GROUP", FAR, 0)
    joined.carry()
    assert old.heard() == [("SUCCESS", [])]
    assert joined.nodes[0].is_at_rest


def test_a_server_that_does_not_answer_is_no_group_to_who_is_no_parley(alpha, old):
    old.ask("QUERY_GROUP_MEMBERS", FAR, 0).ask("JOIN_GROUP", FAR, 0)
    alpha.pass_time(ACK_TIMEOUT)
    assert old.heard() == [("NOT_FOUND", [])] * 2
    assert alpha.is_at_rest


# At another server --------------------------------------------------------------------------------


@pytest.fixture
def joined(alpha):
    pair = Joined(alpha, Node("beta"))
    pair.link()
    return pair


def test_what_is_asked_of_another_servers_group_is_passed_on_and_answered(joined, ann):
    bob = Asking(joined.nodes[1], BOB)
    bob.ask("JOIN_GROUP", FAR).answers()
    for name, number, expected in (
        ("JOIN_GROUP", 5, ["bob@beta", "ann@alpha"]),
        ("QUERY_GROUP_MEMBERS", 6, ["bob@beta", "ann@alpha"]),
        ("LEAVE_GROUP", 7, []),
    ):
        ann.ask(name, FAR, number)
        joined.carry()
        assert ann.answers() == [(number, "SUCCESS", expected)]
    assert bob.result("QUERY_GROUP_MEMBERS", FAR) == ("SUCCESS", ["bob@beta"])
    assert joined.nodes[0].is_at_rest


def test_two_who_ask_with_the_same_number_each_get_their_own_answer(joined, ann, amy):
    ann.ask("JOIN_GROUP", FAR)
    amy.ask("QUERY_GROUP_MEMBERS", FAR)
    joined.carry()
    assert ann.answers() == [(1, "SUCCESS", ["ann@alpha"])]
    assert amy.answers() == [(1, "NOT_A_MEMBER", [])]


def test_what_is_not_answered_is_asked_again_over_the_next_link(joined, ann):
    ann.ask("JOIN_GROUP", FAR, 5)
    joined.cut()
    joined.link()
    joined.carry()
    assert ann.answers() == [(5, "SUCCESS", ["ann@alpha"])]
    joined.cut()
    joined.link()
    assert not any(pipe.sent for pipe in joined.pipes)


def test_an_answer_that_is_lost_is_asked_for_again(joined, ann):
    ann.ask("JOIN_GROUP", FAR, 5)
    joined.pipes[0].carry()
    joined.cut()
    joined.link()
    joined.carry()
    assert ann.answers() == [(5, "SUCCESS", ["ann@alpha"])]


def test_a_server_that_does_not_answer_is_given_up(alpha, ann):
    alpha.link("beta")
    ann.ask("JOIN_GROUP", FAR, 5)
    alpha.pass_time(ACK_TIMEOUT - 0.001)
    assert ann.answers() == []
    alpha.pass_time(0.001)
    assert ann.answers() == [(5, "SERVER_TIMEOUT", [])]
    assert alpha.link("beta").take() == []
    assert alpha.is_at_rest


def test_a_known_server_that_is_not_linked_is_looked_for_and_waited_for(alpha, ann):
    alpha.unlink("beta", alpha.link("beta"))
    ann.ask("JOIN_GROUP", FAR, 5)
    assert alpha.looked_for == ["beta"]
    alpha.pass_time(ACK_TIMEOUT / 2)
    [asked] = alpha.link("beta").take()
    assert (Group.of(asked.group), User.of(asked.user)) == (FAR, ANN)
    alpha.pass_time(ACK_TIMEOUT / 2)
    assert ann.answers() == [(5, "SERVER_TIMEOUT", [])]


def test_an_unknown_server_is_not_found_after_a_while(alpha, ann):
    ann.ask("JOIN_GROUP", FAR, 5)
    assert alpha.looked_for == ["beta"]
    alpha.pass_time(UNKNOWN_SERVER_TIMEOUT - 0.001)
    assert ann.answers() == []
    alpha.pass_time(0.001)
    assert ann.answers() == [(5, "SERVER_NOT_FOUND", [])]
    assert alpha.link("beta").take() == []


def test_an_unknown_server_that_comes_in_time_is_asked(alpha, ann):
    ann.ask("JOIN_GROUP", FAR, 5)
    alpha.pass_time(UNKNOWN_SERVER_TIMEOUT / 2)
    assert len(alpha.link("beta", Sink()).take()) == 1
    alpha.pass_time(UNKNOWN_SERVER_TIMEOUT)
    assert ann.answers() == [], "it has as much time to answer as any"


# At a server that is no Parley ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["JOIN_GROUP", "LEAVE_GROUP", "QUERY_GROUP_MEMBERS"])
def test_an_existing_server_is_asked_nothing_and_the_asker_told_so_at_once(alpha, ann, name):
    beta = alpha.link("beta", confirms=False)
    assert ann.ask(name, FAR, 5).answers() == [(5, "NO_GROUPS_THERE", [])]
    assert not beta.sent
    assert alpha.is_at_rest


def test_a_question_that_waits_for_a_server_is_answered_when_that_turns_out_to_be_no_parley(alpha, ann):
    alpha.know("beta")
    ann.ask("JOIN_GROUP", FAR, 5).ask("QUERY_GROUP_MEMBERS", FAR, 6).ask("JOIN_GROUP", Group("crew", "gamma"), 7)
    beta = alpha.link("beta", confirms=False)
    assert ann.answers() == [(5, "NO_GROUPS_THERE", []), (6, "NO_GROUPS_THERE", [])]
    assert not beta.sent
    [asked] = alpha.link("gamma").take()
    assert Group.of(asked.group) == Group("crew", "gamma")


def test_a_server_that_announced_itself_as_no_parley_is_not_waited_for_long(alpha, ann):
    alpha.know("beta")
    alpha.existing.add("beta")
    ann.ask("JOIN_GROUP", FAR, 5)
    alpha.pass_time(UNKNOWN_SERVER_TIMEOUT)
    assert ann.answers() == [(5, "NO_GROUPS_THERE", [])]


def test_a_server_that_turns_out_to_be_a_parley_is_asked_whatever_was_announced(alpha, ann):
    alpha.know("beta")
    alpha.existing.add("beta")
    ann.ask("JOIN_GROUP", FAR, 5)
    assert len(alpha.link("beta").take()) == 1


def test_statuses_from_an_existing_server_are_not_answered_with_a_name_of_ours(alpha, ann):
    beta = alpha.link("beta", confirms=False)
    alpha.send(ANN, 1, BOB)
    beta.take()
    answer = pb.ChatMessageResponse(messageSnowflake=1, author=ANN.to_pb(), receipt=7)
    answer.statuses.add(user=BOB.to_pb(), status="DELIVERED")
    alpha.from_server("beta", read_datagram(encode("MESSAGE_ACK", answer)))
    assert ann.sink.statuses() == [(1, BOB, "DELIVERED")]
    assert not beta.sent
