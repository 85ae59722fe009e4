"""The search for people against what a plain loop over everybody finds, whoever comes and goes meanwhile."""

from hypothesis import given
from hypothesis import strategies as st

from parley.services.chat.search import connected_users
from parley.services.chat.search.connected_users import ConnectedUsers
from parley.services.chat.search.user_search import USERS_IN_ANSWER
from parley.shared.addresses import User
from parley.shared.names import GATEWAY, fold
from parley.shared.runtime.steps import next_step
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import encode, pb
from tests.support.sinks import Joined, Node, Sink

IDS = st.sampled_from(
    ["ann", "Anna", "bob", "BOB", "josé", "jose\u0301", "ß", "SS", GATEWAY, f"{GATEWAY}beta", "x"]
)
PARTS = st.sampled_from(["", "a", "AN", "bo", "É", "ss", "gw", "nobody"])
CHANGES = st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=60)


def expected(users, part):
    return {user for user in users if fold(part) in fold(user.user_id) and not user.user_id.startswith(GATEWAY)}


@given(before=CHANGES, meanwhile=st.lists(CHANGES, max_size=8), part=st.sampled_from(["", "1", "u2", "nobody"]))
def test_who_is_there_all_the_time_is_found_and_who_is_not_there_at_the_end_is_not(before, meanwhile, part):
    connected, here, here_always, results = ConnectedUsers(), set(), set(), []

    def change(changes):
        for comes, number in changes:
            user = User(f"u{number}", "alpha")
            (connected.add if comes else connected.remove)(user)
            (here.add if comes else here.discard)(user)
            if not comes:
                here_always.discard(user)

    change(before)
    at_a_time, connected_users.AT_A_TIME = connected_users.AT_A_TIME, 3
    try:
        task = connected.search(part, 1000, lambda users, more: results.append((users, more)))
        next(task)
        here_always |= here
        for changes in meanwhile:
            change(changes)
            next_step(task, 0.0)
            if results:
                break
        while not results:
            next_step(task, 0.0)
    finally:
        connected_users.AT_A_TIME = at_a_time
    [(users, more)] = results
    assert len(users) == len(set(users))
    assert expected(here_always, part) <= set(users) <= expected(here, part)
    assert not more
    assert len(connected) == len(here)


@given(st.lists(st.tuples(st.sampled_from(["alpha", "beta"]), IDS), max_size=12), PARTS, st.booleans())
def test_two_servers_together_find_everybody_who_matches_once(people, part, reads):
    nodes = {name: Node(name) for name in ("alpha", "beta")}
    pair = Joined(*nodes.values())
    pair.link()
    pair.pipes[0].writable = reads
    asker = User("asker", "alpha")
    everybody = {User(user_id, server_id) for server_id, user_id in people} | {asker}
    sink = nodes["alpha"].connect(asker)
    for user in everybody - {asker}:
        nodes[user.server_id].connect(user)
    ask = encode("SEARCH_USERS", pb.QueryUsers(handle=7, query=part))
    nodes["alpha"].from_client(asker, read_datagram(ask), sink)
    pair.carry()
    answers = sink.take()
    found = [User.of(user) for each in answers for user in each.users]
    reachable = everybody if reads else {user for user in everybody if user.server_id == "alpha"}
    assert sorted(found) == sorted(expected(reachable, part))
    assert [each.complete for each in answers] == [False] * (len(answers) - 1) + [True]
    assert answers[-1].more == (not reads)
    assert nodes["alpha"].is_at_rest


@given(st.integers(0, 2 * USERS_IN_ANSWER), PARTS)
def test_no_answer_has_more_users_than_it_may_and_none_is_left_out_in_silence(count, part):
    node, sink = Node("alpha"), Sink()
    users = {User(f"Ann{number}", "alpha") for number in range(count)}
    for user in users:
        node.connect(user)
    node.engine.search.asked(User("x", "alpha"), pb.QueryUsers(query=part), sink, 0.0)
    [answer] = sink.take()
    matching = expected(users, part)
    assert len(answer.users) == min(USERS_IN_ANSWER, len(matching))
    assert {User.of(user) for user in answer.users} <= matching
    assert answer.more == (len(matching) > USERS_IN_ANSWER)
