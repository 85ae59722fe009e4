"""What an operator asks for: which messages, and that requests do what they say and no more."""

import sqlite3

import pytest

from parley.services.chat.message.life import Envelope
from parley.services.chat.operator import commands
from parley.services.chat.operator.commands import MOST, Drop, Dropped, Retried, Retry, Wanted
from parley.services.chat.storage import rows, schema
from parley.shared.addresses import Group, User
from parley.shared.errors import ConfigError
from tests.support.durable_people import DurableNode
from tests.support.linking_model import LinkingModel

ANN, BOB, BEN, CID = User("ann", "alpha"), User("bob", "alpha"), User("ben", "alpha"), User("cid", "beta")
CREW = Group("crew", "alpha")


@pytest.fixture
def node():
    """Bob and ben have been here, and beta has been linked."""
    made = DurableNode("alpha")
    for user in (BOB, BEN):
        made.disconnect(user, made.connect(user))
    made.unlink("beta", made.link("beta"))
    made.disk.commit_all()
    return made


@pytest.fixture
def ann(node):
    return node.connect(ANN)


def keep(node, *messages):
    """Messages of ann to those who are away, on disk; as the operator finds them there."""
    for snowflake, to in messages:
        node.send(ANN, snowflake, to)
    node.pass_time(2.0)
    node.disk.commit_all()
    return on_disk(node)


def on_disk(node):
    return [
        (destination, item)
        for destination, _count, _size in node.disk.counts()
        for item in node.disk.read(destination, 0, 1000)
    ]


def drop(node, request, found):
    done = commands.drop(node.router, request, found)
    node.end_turn()
    node.disk.commit_all()
    return done


# Requests --------------------------------------------------------------------------------------------


def test_a_request_is_read():
    assert commands.parse(b'{"messages": [[1, 18446744073709551615]]}', Drop) == Drop(((1, 2**64 - 1),))
    assert commands.parse(b'{"destinations": ["server:beta"]}', Retry) == Retry(("server:beta",))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"messages": []}',
        b'{"messages": [1]}',
        b'{"messages": [["1", 1]]}',
        b'{"messages": [[9223372036854775808, 1]]}',  # no number that the file could have
        b'{"messages": [[1, 1]], "destination": "beta"}',
        b'{"messages": [' + b",".join([b"[1, 1]"] * (MOST + 1)) + b"]}",
    ],
)
def test_what_is_no_request_is_refused(body):
    with pytest.raises(ConfigError, match="no request"):
        commands.parse(body, Drop)


def test_what_was_asked_for_is_dropped_and_its_author_told(node, ann):
    found = keep(node, (1, BOB), (2, BOB), (3, BEN), (4, CID))
    asked = Drop(tuple((item.id, item.snowflake) for _, item in found if item.snowflake in (1, 4)))
    ann.take()
    assert drop(node, asked, found) == Dropped(2, 0, 0)
    assert ann.statuses() == [(1, BOB, "OTHER_ERROR"), (4, CID, "OTHER_ERROR")]
    assert sorted(item.snowflake for _, item in on_disk(node)) == [2, 3]


def test_a_number_that_is_another_messages_now_is_gone(node, ann):
    found = keep(node, (1, BOB))
    asked = Drop(((found[0][1].id, 7), (4711, 1)))
    ann.take()
    assert drop(node, asked, found) == Dropped(0, 0, 2)
    assert ann.statuses() == []


def test_what_is_on_its_way_is_left(node, ann):
    found = keep(node, (1, BOB), (2, BEN))
    node.connect(BOB)
    asked = Drop(tuple((item.id, item.snowflake) for _, item in found))
    assert drop(node, asked, found) == Dropped(1, 1, 0)
    node.ack(BOB, 1)
    assert ann.statuses()[-1] == (1, BOB, "DELIVERED")


def test_dropped_are_added_up():
    assert Dropped(1, 2, 3) + Dropped(10, 20, 30) == Dropped(11, 22, 33)


def test_it_is_told_what_trying_again_did(node, ann):
    keep(node, (1, BOB), (2, BEN), (3, CID))
    bob = node.connect(BOB)
    bob.take()
    request = Retry(("user:bob@alpha", "user:ben@alpha", "server:beta"))
    assert commands.retry(node.router, node.roster, request, 0.0) == [
        Retried("user:bob@alpha", "written", 1),
        Retried("user:ben@alpha", "away"),
        Retried("server:beta", "looked_for"),
    ]
    assert bob.snowflakes() == [1]
    assert ann.statuses()


def test_a_server_that_recognises_nothing_gets_nothing_twice(node, ann):
    old = node.link("beta", confirms=False)
    node.send(ANN, 1, CID)
    assert old.snowflakes() == [1]
    old.take()
    assert commands.retry(node.router, node.roster, Retry(("server:beta",)), 0.0) == [
        Retried("server:beta", "unconfirmed")
    ]
    assert old.snowflakes() == []
    assert ann.statuses() == []


def test_a_user_who_is_reached_by_a_gateway_is_tried_and_gets_nothing_twice(node, ann):
    old = LinkingModel(node)
    old.bring_up()
    bob = User("bob", "old")
    node.send(ANN, 1, bob)
    assert commands.retry(node.router, node.roster, Retry(("user:bob@old",)), node.now) == [
        Retried("user:bob@old", "unconfirmed")
    ]
    assert len(old.link.writes) == 1
    node.pass_time(11.5)
    node.disk.commit_all()
    old.settle()
    old.connected.add(bob)
    node.pass_time(1.0)
    assert commands.retry(node.router, node.roster, Retry(("user:bob@old",)), node.now) == [
        Retried("user:bob@old", "tried")
    ]
    node.pass_time(0.2)
    old.settle()
    assert ann.statuses()[-1] == (1, bob, "DELIVERED")


# Which messages ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file():
    """Numbers 1 to 7, kept at ages of 10, 20, … seconds."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema.SCHEMA)
    items = [
        (BOB, Envelope(ANN, 1, BOB, b"x")),
        (BOB, Envelope(ANN, 2, BOB, b"x", group=CREW)),
        (BEN, Envelope(ANN, 3, BEN, b"x")),
        ("beta", Envelope(ANN, 4, CID, b"x")),
        ("beta", Envelope(ANN, 5, User("dan", "beta"), b"x")),
        ("beta", Envelope(ANN, 6, Group("cid", "beta"), b"x")),
        (User("eve", "old"), Envelope(ANN, 7, User("eve", "old"), b"x")),
    ]
    for number, (destination, item) in enumerate(items, 1):
        item.id = number
        values = rows.values(destination, item, 10.0 * number)
        db.execute(f"INSERT INTO message VALUES ({','.join('?' * len(values))})", values)
    yield db
    db.close()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), [1, 2, 3, 4, 5, 6, 7]),
        (Wanted(ids=(2, 5, 99)), [2, 5]),
        (Wanted(ids=(2, 2**63, -(2**64))), [2]),
        (Wanted(ids=(2**63,)), []),
        (commands.wanted_by("", "alpha"), [1, 2, 3, 4, 5, 6, 7]),
        (commands.wanted_by("alpha", "alpha"), []),
        (commands.wanted_by("old", "alpha"), [7]),
        (commands.wanted_by("eve@old", "alpha"), [7]),
        (commands.wanted_by("bob@alpha", "alpha"), [1, 2]),
        (commands.wanted_by(" beta ", "alpha"), [4, 5, 6]),
        (commands.wanted_by("cid@beta", "alpha"), [4]),
        (commands.wanted_by("nobody@beta", "alpha"), []),
        (commands.wanted_by("beta", "alpha", 50.0), [4]),
        (commands.wanted_by("", "alpha", 75.0), [1, 2]),
    ],
)
def test_what_is_wanted_is_found(file, wanted, found):
    """The mailbox is 100 seconds old."""
    condition, values = wanted.condition(100.0)
    assert [n for (n,) in file.execute(f"SELECT id FROM message WHERE {condition} ORDER BY id", values)] == found


@pytest.mark.parametrize(
    ("to", "places"),
    [
        ("", [BOB, "beta", "old", CID, User("eve", "old")]),
        ("beta", ["beta", CID]),
        ("cid@beta", ["beta", CID]),
        ("dan@beta", ["beta"]),
        ("eve@old", ["old", User("eve", "old")]),
        ("bob@alpha", [BOB]),
        ("alpha", []),
    ],
)
def test_what_is_wanted_waits_at_a_user_or_their_server(to, places):
    wanted = commands.wanted_by(to, "alpha")
    assert [each for each in [BOB, "beta", "old", CID, User("eve", "old")] if wanted.waits_at(each)] == places


@pytest.mark.parametrize("to", ["#crew@alpha", "@alpha", "bob@"])
def test_what_is_no_destination_is_refused(to):
    with pytest.raises(ConfigError):
        commands.wanted_by(to, "alpha")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("1.5m", 90.0), ("30s", 30.0), ("2h", 7200.0), (" 3d ", 259200.0)]
)
def test_an_age_is_read(text, seconds):
    assert commands.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "d", "-1", "3w", "1 2", "soon"])
def test_what_is_no_age_is_refused(text):
    with pytest.raises(ConfigError, match="--older-than"):
        commands.seconds(text)
