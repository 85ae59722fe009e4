"""The search for people: who is found here, who of other servers, and where it ends."""

import pytest

from parley.services.chat.search.connected_users import AT_A_TIME, ConnectedUsers
from parley.services.chat.search.user_search import (
    FORWARDED,
    LONGEST,
    MOST,
    MOST_OF_LINK,
    OF_USER,
    USERS_IN_ANSWER,
    WITHIN,
)
from parley.shared.addresses import User
from parley.shared.dialects.dialect import CLIENT_2
from parley.shared.errors import UnexpectedMessage
from parley.shared.names import GATEWAY
from parley.shared.runtime.steps import next_step, run
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import encode, pb
from tests.support.sinks import Joined, Node, Sink

ANN, AMY, BOB = User("ann", "alpha"), User("Amy", "alpha"), User("bob", "beta")


def question(query="", handle=1):
    return read_datagram(encode("SEARCH_USERS", pb.QueryUsers(handle=handle, query=query)))


def answer(handle, *users, complete=True, more=False):
    named = [user.to_pb() for user in users]
    return read_datagram(
        encode("SEARCH_USERS_RESP", pb.QueryUsersResponse(handle=handle, users=named, complete=complete, more=more))
    )


class Searching:
    """A user's client, and what it was answered."""

    def __init__(self, node, user, **how):
        self.node, self.user = node, user
        self.sink = node.connect(user, Sink(**how))

    def search(self, query="", handle=1):
        self.node.from_client(self.user, question(query, handle), self.sink)
        return self

    def answers(self):
        """(handle, users, complete, more) since the last look."""
        return [
            (each.handle, [str(User.of(user)) for user in each.users], each.complete, each.more)
            for each in self.sink.take()
        ]

    def found(self, query=""):
        """The users that one answer alone has."""
        [(_handle, users, complete, more)] = self.search(query).answers()
        assert complete
        assert not more
        return sorted(users)


@pytest.fixture
def alpha():
    return Node("alpha")


@pytest.fixture
def ann(alpha):
    return Searching(alpha, ANN)


# Here -------------------------------------------------------------------------------------------------


def test_who_is_connected_is_found_by_a_part_of_their_name_in_whatever_case(alpha, ann):
    Searching(alpha, AMY)
    assert ann.found() == ["Amy@alpha", "ann@alpha"]
    assert ann.found("AM") == ["Amy@alpha"]
    assert ann.found("nn") == ["ann@alpha"]
    assert ann.found("alpha") == []


def test_a_name_is_found_however_it_is_composed(alpha, ann):
    Searching(alpha, User("re\u0301ne\u0301", "alpha"))
    assert len(ann.found("RÉNÉ")) == 1


def test_who_is_away_is_not_found_and_who_has_another_client_is(alpha, ann):
    one, two = Searching(alpha, AMY), Searching(alpha, AMY)
    alpha.disconnect(AMY, one.sink)
    assert ann.found("amy") == ["Amy@alpha"]
    alpha.disconnect(AMY, two.sink)
    assert ann.found("amy") == []


def test_a_gateway_is_nobody(alpha, ann):
    Searching(alpha, User(f"{GATEWAY}gamma", "alpha"))
    assert ann.found() == ["ann@alpha"]


def test_an_answer_has_so_many_users_and_says_that_there_are_more(alpha, ann):
    for number in range(USERS_IN_ANSWER):
        Searching(alpha, User(f"u{number}", "alpha"))
    [(handle, users, complete, more)] = ann.search("u", 7).answers()
    assert (handle, len(users), complete, more) == (7, USERS_IN_ANSWER, True, False)
    [(_handle, users, complete, more)] = ann.search().answers()
    assert (len(users), complete, more) == (USERS_IN_ANSWER, True, True)
    assert alpha.searched == [True, False]


def test_too_long_a_query_finds_nobody_and_is_refused(alpha, ann):
    assert ann.found("a" * LONGEST) == []
    with pytest.raises(UnexpectedMessage) as refused:
        ann.search("a" * (LONGEST + 1), 5)
    assert refused.value.reason == "out_of_range"
    assert ann.answers() == [(5, [], True, False)]
    assert len(alpha.engine.search) == 0


# Other servers ------------------------------------------------------------------------------------------


@pytest.fixture
def joined(alpha):
    pair = Joined(alpha, Node("beta"))
    pair.link()
    return pair


def test_a_linked_parley_is_asked_under_a_handle_of_ours_and_its_answer_passed_back(alpha, ann):
    beta = alpha.link("beta")
    ann.search("b", 7)
    assert ann.answers() == [(7, [], False, False)], "our own answer comes at once"
    [asked] = beta.take()
    assert (asked.query, asked.handle != 7) == ("b", True)
    alpha.from_server("beta", answer(asked.handle, BOB))
    assert ann.answers() == [(7, ["bob@beta"], True, False)]
    alpha.from_server("beta", answer(asked.handle, BOB))
    assert ann.answers() == []
    assert alpha.is_at_rest


def test_people_of_two_servers_find_each_other(joined, ann):
    bob = Searching(joined.nodes[1], BOB)
    for who in (ann, bob):
        who.search()
        joined.carry()
        answers = who.answers()
        assert sorted(user for each in answers for user in each[1]) == ["ann@alpha", "bob@beta"]
        assert [each[2:] for each in answers] == [(False, False), (True, False)]


def test_a_server_is_answered_once_and_nobody_else_asked(alpha, ann):
    beta, gamma = alpha.link("beta"), alpha.link("gamma")
    alpha.from_server("beta", question("n", 9))
    [told] = beta.take()
    assert (told.handle, [User.of(user) for user in told.users], told.complete) == (9, [ANN], True)
    assert not gamma.sent
    assert ann.answers() == []
    assert alpha.is_at_rest


def test_servers_that_do_not_answer_in_time_are_waited_for_no_longer(alpha, ann):
    beta = alpha.link("beta")
    gamma = alpha.link("gamma")
    ann.search()
    ann.answers()
    [asked] = beta.take()
    assert gamma.take() == [asked]
    alpha.from_server("beta", answer(asked.handle, BOB))
    assert ann.answers() == [(1, ["bob@beta"], False, False)]
    alpha.pass_time(WITHIN - 0.001)
    assert ann.answers() == []
    alpha.pass_time(0.001)
    assert ann.answers() == [(1, [], True, True)]
    assert alpha.is_at_rest
    assert len(alpha.engine.search) == 0


def test_that_a_server_has_more_is_said_at_the_end(alpha, ann):
    beta, gamma = alpha.link("beta"), alpha.link("gamma")
    ann.search()
    ann.answers()
    [asked], _ = beta.take(), gamma.take()
    alpha.from_server("beta", answer(asked.handle, BOB, more=True))
    alpha.from_server("gamma", answer(asked.handle))
    assert ann.answers() == [(1, ["bob@beta"], False, False), (1, [], True, True)]


@pytest.mark.parametrize(
    ("users", "reason"),
    [([ANN], "foreign_user"), ([User("cid", "gamma")], "foreign_user"), ([User("", "beta")], "foreign_user"),
     ([BOB] * (USERS_IN_ANSWER + 1), "too_large")],
)  # fmt: skip
def test_a_server_tells_of_its_own_users_and_not_of_too_many(alpha, ann, users, reason):
    beta = alpha.link("beta")
    ann.search()
    ann.answers()
    [asked] = beta.take()
    with pytest.raises(UnexpectedMessage) as refused:
        alpha.from_server("beta", answer(asked.handle, *users))
    assert refused.value.reason == reason
    assert ann.answers() == []


def test_who_was_not_asked_answers_in_vain(alpha, ann):
    beta = alpha.link("beta")
    ann.search()
    ann.answers()
    [asked] = beta.take()
    alpha.link("gamma")
    alpha.from_server("gamma", answer(asked.handle, User("cid", "gamma")))
    alpha.from_server("beta", answer(asked.handle + 1, BOB))
    assert ann.answers() == []


def test_gateways_of_other_servers_are_nobody(alpha, ann):
    beta = alpha.link("beta")
    ann.search()
    ann.answers()
    [asked] = beta.take()
    alpha.from_server("beta", answer(asked.handle, BOB, User(f"{GATEWAY}alpha", "beta")))
    assert ann.answers() == [(1, ["bob@beta"], True, False)]


def test_a_parley_that_announces_no_searches_is_not_asked(alpha, ann):
    beta = Sink()
    beta.answers_searches = False
    alpha.link("beta", beta)
    assert ann.found() == ["ann@alpha"]
    assert not beta.sent


# Who is no Parley ---------------------------------------------------------------------------------------


def test_an_existing_server_is_not_asked_and_is_answered(alpha, ann):
    old = alpha.link("beta", confirms=False)
    assert ann.found() == ["ann@alpha"]
    assert not old.sent
    alpha.from_server("beta", question("", 3))
    [told] = old.take()
    assert told == pb.QueryUsersResponse(handle=3, users=[ANN.to_pb()])


def test_an_existing_client_is_told_in_the_sheets_fields_alone(alpha):
    beta, gamma = alpha.link("beta"), alpha.link("gamma")
    amy = Searching(alpha, AMY, is_parley=False).search("", 4)
    [told] = amy.sink.take()
    assert told == pb.QueryUsersResponse(handle=4, users=[AMY.to_pb()])
    [asked], _ = beta.take(), gamma.take()
    alpha.from_server("beta", answer(asked.handle, BOB))
    alpha.from_server("gamma", answer(asked.handle))
    [told] = amy.sink.take()
    assert told == pb.QueryUsersResponse(handle=4, users=[BOB.to_pb()])


def test_an_existing_client_hears_that_nobody_was_found(alpha):
    amy = Searching(alpha, AMY, is_parley=False).search("nobody", 4)
    assert amy.sink.take() == [pb.QueryUsersResponse(handle=4)]


def test_no_answer_is_longer_than_the_asker_can_take(alpha):
    users = [User(f"{'x' * 100}{number}", "alpha") for number in range(USERS_IN_ANSWER - 1)]
    for user in users:
        Searching(alpha, user)
    amy = Searching(alpha, AMY, is_parley=False)
    amy.sink.dialect = CLIENT_2
    amy.search("")
    lengths = [len(raw) for raw in amy.sink.sent]
    assert CLIENT_2.longest / 2 < max(lengths) <= CLIENT_2.longest
    assert sorted(User.of(user) for each in amy.sink.take() for user in each.users) == sorted([AMY, *users])


# Limits -----------------------------------------------------------------------------------------------


def test_of_one_user_other_servers_are_asked_so_often_and_the_rest_is_answered_here(alpha, ann):
    beta = alpha.link("beta")
    for _ in range(int(OF_USER[1])):
        ann.search()
        alpha.from_server("beta", answer(beta.take()[0].handle))
    ann.answers()
    assert ann.search().answers() == [(1, ["ann@alpha"], True, True)]
    assert not beta.sent
    alpha.pass_time(1 / OF_USER[0])
    ann.search()
    assert len(beta.take()) == 1


def test_of_all_users_other_servers_are_asked_so_often(alpha):
    beta = alpha.link("beta")
    sink = Sink()
    for number in range(int(FORWARDED[1]) + 1):
        user = User(f"u{number}", "alpha")
        alpha.engine.search.asked(user, pb.QueryUsers(query="nobody"), sink, 0.0)
        if beta.sent:
            alpha.from_server("beta", answer(beta.take()[0].handle))
            sink.sent.clear()
    [told] = sink.take()
    assert (number, told.complete, told.more) == (FORWARDED[1], True, True)


def test_a_server_that_does_not_read_is_not_asked(alpha, ann):
    alpha.link("beta", Sink(writable=False))
    assert ann.search().answers() == [(1, ["ann@alpha"], True, True)]


def test_searches_of_one_link_and_of_all_have_an_end(alpha, ann):
    alpha.link("beta")
    for handle in range(MOST_OF_LINK):
        ann.search(handle=handle)
    ann.answers()
    assert ann.search(handle=99).answers() == [(99, [], True, True)]
    assert alpha.engine.sizes()["searches"] == MOST_OF_LINK
    for number in range(MOST - MOST_OF_LINK):
        alpha.engine.search.asked(User(f"u{number}", "alpha"), pb.QueryUsers(), Sink(), 0.0)
    amy = Searching(alpha, AMY)
    assert amy.search().answers() == [(1, [], True, True)]
    alpha.pass_time(WITHIN)
    assert len(alpha.engine.search) == 0
    [(_handle, users, _complete, _more)] = amy.search().answers()
    assert users


# In small steps ------------------------------------------------------------------------------------------


def test_a_search_looks_at_so_many_names_in_a_step():
    connected, results = ConnectedUsers(), []
    for number in range(3 * AT_A_TIME):
        connected.add(User(f"u{number}", "alpha"))
    task = connected.search("nobody", USERS_IN_ANSWER, lambda users, more: results.append((users, more)))
    next(task)
    assert [next_step(task, 0.0) for _ in range(4)] == [True, True, True, False]
    assert results == [([], False)]


def test_who_leaves_while_a_search_looks_is_not_told_of_and_who_stays_is_seen():
    connected, results = ConnectedUsers(), []
    users = [User(f"u{number}", "alpha") for number in range(2 * AT_A_TIME)]
    for user in users:
        connected.add(user)
    task = connected.search("", 4 * AT_A_TIME, lambda found, more: results.append((set(found), more)))
    next(task)
    task.send(0.0)
    gone = {*users[:7], *users[-7:]}
    for user in gone:
        connected.remove(user)
    run(task, 0.0)
    assert results == [({*users} - gone, False)]


def test_whoever_came_last_is_known_where_they_were_moved_to():
    connected, results = ConnectedUsers(), []
    users = [User(name, "alpha") for name in ("a", "b", "c", "d")]
    for user in users:
        connected.add(user)
    for number in (0, 3):  # the last one takes the first one's place, and goes from there
        connected.remove(users[number])
    run(connected.search("", 10, lambda found, more: results.append((sorted(found), more))), 0.0)
    assert results == [(users[1:3], False)]
    assert len(connected) == 2


def test_that_not_all_were_looked_at_is_told_even_where_those_who_were_found_left():
    connected, results = ConnectedUsers(), []
    users = [User(f"u{number}", "alpha") for number in range(2 * AT_A_TIME)]
    for user in users:
        connected.add(user)
    task = connected.search("", 10, lambda found, more: results.append((len(found), more)))
    next(task)
    task.send(0.0)
    for user in users[AT_A_TIME:]:
        connected.remove(user)
    run(task, 0.0)
    assert results == [(0, True)]
