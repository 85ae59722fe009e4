"""Tables that names fill: an end, a share for each source, and what is there in earnest stays."""

import pytest

from parley.services.chat.groups.groups import Caps, Groups
from parley.services.chat.message.owed_statuses import OwedStatuses
from parley.services.chat.routing.awaited_servers import OF_AUTHOR
from parley.services.chat.routing.known_names import KnownNames
from parley.shared.addresses import Group, User
from parley.shared.config import LimitsConfig
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import encode, pb
from tests.support.sinks import Node, group_ask, told

ANN, BOB, BEN = User("ann", "alpha"), User("bob", "alpha"), User("ben", "beta")


def names(limit=10, share=0.5, here=(), **settings):
    gone = []
    made = KnownNames(limit, share, is_here=here.__contains__, forgotten=gone.append, **settings)
    return made, gone


def add(table, name, source="", *, used=False):
    return table.may_add(name, source) and table.add(name, source, used=used)


def test_a_full_table_refuses_the_new_where_all_are_there_in_earnest():
    table, gone = names()
    assert all(add(table, n, used=True) for n in range(10))
    assert not table.may_add(10)
    assert table.may_add(3)
    assert (len(table), gone) == (10, [])


def test_who_never_did_anything_makes_room_the_longest_unused_first():
    table, gone = names()
    for number in range(10):
        add(table, number, used=number % 2 == 0)
    assert add(table, 10)
    assert gone == [1]
    assert table.use(3)
    assert not table.use(3)
    assert add(table, 11)
    assert gone == [1, 5]


def test_who_is_here_is_not_forgotten():
    table, gone = names(here={0, 1})
    for number in range(10):
        add(table, number)
    assert add(table, 10)
    assert gone == [2]


def test_one_source_fills_its_share_and_others_have_theirs():
    table, gone = names()
    assert sum(add(table, f"eve{n}", "10.0.0.6", used=True) for n in range(100)) == 5
    assert sum(add(table, f"ann{n}", "10.0.0.7", used=True) for n in range(100)) == 5
    assert gone == []
    table, gone = names()
    for number in range(100):
        assert add(table, f"eve{number}", "10.0.0.6")
    assert len(table) == 5
    assert len(gone) == 95
    assert not gone.count("eve99")


def test_what_was_never_used_expires_and_nothing_else():
    table, gone = names(here={2})
    table.add(1, at=10.0)
    table.add(2, at=10.0)
    table.add(3, at=10.0, used=True)
    table.add(4, at=30.0)
    assert table.expire(20.0) == 1
    assert gone == [1]
    assert all(each in table for each in (2, 3, 4))


# In a node ------------------------------------------------------------------------------------------------------


@pytest.fixture
def node():
    return Node("alpha")


def test_whoever_writes_or_is_written_to_is_there_in_earnest(node):
    ann, bob = node.connect(ANN), node.connect(BOB)
    assert not node.roster.users.is_used(ANN)
    node.send(ANN, 1, BOB)
    assert node.roster.users.is_used(ANN)
    assert node.roster.users.is_used(BOB)
    assert ann.statuses() == []
    assert bob.snowflakes() == [1]
    node.engine.note_used()
    node.end_turn()
    node.disk.crash()
    node.start()
    assert node.roster.users.is_used(BOB)


def test_whoever_has_mail_or_blocks_or_is_in_a_group_is_so_after_a_crash_too(node):
    people = [node.connect(each) for each in (ANN, BOB)]
    node.send(ANN, 1, BOB)
    ask(node, ANN, "JOIN_GROUP", "crew", people[0])
    node.end_turn()
    node.disconnect(BOB, people[1])
    node.disk.crash()
    node.start()
    assert node.roster.users.is_used(BOB)
    assert node.roster.users.is_used(ANN)


def test_names_of_unknown_servers_leave_nothing_behind(node):
    ann = node.connect(ANN)
    for number in range(1, 2001):
        node.send(ANN, number, User("nobody", f"nowhere-{number}"))
        if number % 500 == 0:
            node.pass_time(1.5)
    assert [status for *_, status in ann.statuses()] == ["OTHER_SERVER_NOT_FOUND"] * 2000
    assert node.disk.messages == node.disk.final == {}
    assert node.engine.state.queues == {}
    assert node.router._dispatcher._in_flight == {}
    assert (node.router.sizes["looked_for"], len(node.router._awaited)) == (0, 0)
    assert list(node.roster.servers.unused) == []


def test_an_author_of_too_many_is_told_so_and_others_have_room(node):
    limited = []
    node.router._limited = lambda what, where: limited.append((what, where))
    ann, bob = node.connect(ANN), node.connect(BOB)
    for number in range(1, OF_AUTHOR + 11):
        node.send(ANN, number, User("nobody", f"nowhere-{number}"))
    assert [status for *_, status in ann.statuses()] == ["OTHER_ERROR"] * 10
    assert limited == [("names", "router")] * 10
    node.send(BOB, 1, User("nobody", "elsewhere"))
    assert bob.statuses() == []


def test_what_waits_while_a_server_is_looked_for_goes_out_in_order_when_it_is_found(node):
    node.connect(ANN)
    for number in (1, 2, 3):
        node.send(ANN, number, BEN)
    assert node.looked_for == ["beta"]
    assert node.link("beta").snowflakes() == [1, 2, 3]


def test_what_waits_is_kept_where_the_server_is_heard_of_meanwhile(node):
    ann = node.connect(ANN)
    node.send(ANN, 1, BEN)
    node.know("beta")
    node.send(ANN, 2, BEN)
    node.pass_time(1.5)
    assert sorted(ann.statuses()) == [(1, BEN, "OTHER_SERVER_TIMEOUT"), (2, BEN, "OTHER_SERVER_TIMEOUT")]
    assert node.link("beta").snowflakes() == [1, 2]


# Groups and blocking ----------------------------------------------------------------------------------------------


def ask(node, user, name, group_id, sink):
    node.route_from_client(user, read_datagram(group_ask(name, Group(group_id, "alpha"))), sink)


def frame(name, message):
    return read_datagram(encode(name, message))


def results(sink):
    return [told(each) for each in sink.take()]


def test_groups_that_were_joined_and_left_leave_nothing_behind(node):
    ann = node.connect(ANN)
    for number in range(1000):
        ask(node, ANN, "JOIN_GROUP", f"group-{number}", ann)
        node.end_turn()
        ask(node, ANN, "LEAVE_GROUP", f"group-{number}", ann)
        node.end_turn()
    assert set(results(ann)) == {"SUCCESS"}
    groups = node.engine.groups
    tables = (
        groups._members,
        groups._former,
        groups._former_of,
        groups._encoded,
        groups._snapshots,
        groups._makers,
    )
    assert all(len(table) == 0 for table in (*tables, groups._sizes, groups._of_user, groups._made, groups._spoken))
    assert node.disk.memberships == {}


def test_who_left_after_something_was_sent_is_remembered_and_at_last_forgotten_on_disk_too(monkeypatch):
    monkeypatch.setattr("parley.services.chat.groups.groups.FORMER", 3)
    node = Node("alpha")
    ann, bob = node.connect(ANN), node.connect(BOB)
    for number in range(5):
        for user, sink in ((ANN, ann), (BOB, bob)):
            ask(node, user, "JOIN_GROUP", f"crew-{number}", sink)
            node.end_turn()
        node.send(ANN, number + 1, group=Group(f"crew-{number}", "alpha").to_pb(), to=None)
        ask(node, BOB, "LEAVE_GROUP", f"crew-{number}", bob)
        node.end_turn()
    assert node.engine.groups.former_count == 3
    assert [group for (group, _), left in node.disk.memberships.items() if left] == ["crew-2", "crew-3", "crew-4"]


@pytest.mark.parametrize(
    ("caps", "taken"),
    [
        (Caps(groups=10), 10),
        (Caps(groups=10, share=0.5), 5),
        (Caps(members=10, share=0.5), 5),
        (Caps(of_user=7), 7),
    ],
)
def test_groups_have_caps(caps, taken):
    groups = Groups(1000, caps, lambda user: user.server_id)
    for number in range(100):
        if groups.has_room(f"group-{number}", BEN):
            groups.add(f"group-{number}", BEN)
    assert len(groups) == groups.memberships == taken
    assert groups.has_room("another", ANN) == (taken == 5 or caps.of_user == 7)
    groups.remove("group-0", BEN)
    assert groups.has_room("group-0", BEN)


def test_a_request_counts_before_it_is_on_disk():
    node = Node("alpha")
    node.engine.groups._caps = Caps(of_user=2)
    node.commits = False
    ann = node.connect(ANN)
    for number in range(4):
        ask(node, ANN, "JOIN_GROUP", f"group-{number}", ann)
    node.disk.commit_all()
    assert results(ann) == ["FAILED", "FAILED", "SUCCESS", "SUCCESS"]


def test_blocking_has_caps_and_is_refused_honestly():
    node = Node("alpha")
    node.engine.blocks._of_user = 3
    ann = node.connect(ANN)
    for number in range(5):
        blocked = pb.ChangeBlock(user=User(f"eve{number}", "beta").to_pb())
        node.route_from_client(ANN, frame("BLOCK_USER", blocked), ann)
        node.end_turn()
    assert [each.ok for each in ann.take()] == [True, True, True, False, False]
    assert len(node.engine.blocks) == 3
    again = pb.ChangeBlock(user=User("eve0", "beta").to_pb())
    node.route_from_client(ANN, frame("BLOCK_USER", again), ann)
    node.route_from_client(ANN, frame("UNBLOCK_USER", again), ann)
    node.end_turn()
    assert [each.ok for each in ann.take()] == [True, True]
    assert len(node.engine.blocks) == 2


def test_the_defaults_leave_room_for_all_that_people_do():
    limits = LimitsConfig()
    assert limits.users * limits.share >= 50_000
    assert limits.user_blocks >= 2000


# Statuses owed ----------------------------------------------------------------------------------------------------


class Ledger:
    def owe(self, *_):
        pass

    def paid(self, *_):
        pass


def test_statuses_owed_have_an_end_and_one_destination_leaves_room(monkeypatch):
    monkeypatch.setattr("parley.services.chat.message.owed_statuses.MOST_OF_ALL", 1000)
    limited = []
    node = Node("alpha")
    owed_statuses = OwedStatuses(node.roster, Ledger(), 1, limited=lambda: limited.append(1))
    for _ in range(2000):
        owed_statuses.owe(ANN, b"")
    assert len(owed_statuses) == 500
    assert len(limited) == 1500
    for _ in range(100):
        owed_statuses.owe(BOB, b"")
    assert len(owed_statuses) == 600


def test_what_is_owed_for_too_long_is_owed_no_more():
    now = [0.0]
    owed_statuses = OwedStatuses(Node("alpha").roster, Ledger(), 1, age=lambda: now[0])
    owed_statuses.owe(ANN, b"")
    now[0] = 50.0
    owed_statuses.owe(BOB, b"")
    owed_statuses.expire(20.0)
    assert (len(owed_statuses), owed_statuses.destinations) == (1, 1)
