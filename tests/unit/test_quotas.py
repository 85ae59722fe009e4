"""One sender's share of a mailbox: whatever they do, there is room for others."""

import pytest

from parley.services.chat.groups.groups import copies
from parley.services.chat.message.life import Envelope
from parley.services.chat.state import ChatState
from parley.services.chat.storage import quotas
from parley.services.chat.storage.mailbox import Kept
from parley.services.chat.storage.quotas import Limits
from parley.shared.addresses import Group, User
from parley.shared.wire.messages import pb
from tests.unit.test_disk_mailbox import ChatEngine

ANN, BOB, BEN, CID = (User(name, "alpha") for name in ("ann", "bob", "ben", "cid"))
CREW = Group("crew", "alpha")
MUCH = 10**9


def opened(messages=MUCH, size=MUCH, user_messages=MUCH, user_size=MUCH, author=0.5, server=0.65, disk=None):
    made = ChatEngine(disk)
    limits = Limits(messages, size, user_messages, user_size, author, server)
    limited = made.limited = []
    made.box = type(made.box)(
        made.disk,
        limits,
        state=ChatState(),
        next_id=made.disk.next_id,
        next_body=made.disk.next_body,
        loaded=made.loaded.append,
        limited=limited.append,
    )
    for destination, count, total in made.disk.counts():
        made.box.found_at_start(destination, count, total)
    for body, count, total in made.disk.shared():
        made.box.shared_at_start(body, count, total)
    made.disk.count_by_author(made.box.counted_at_start)
    return made


def fill(made, author, to=BOB, size=10, most=1000, origin=""):
    """How many messages of an author are taken before one is refused."""
    for number in range(most):
        item = Envelope(author, number + 1, to, b"x" * size, origin=origin)
        if made.box.put(to, item) is Kept.FULL:
            return number
    return most


def test_one_author_fills_half_of_a_users_room_and_others_have_theirs():
    made = opened(user_messages=100)
    assert fill(made, ANN) == 50
    assert made.limited == ["messages"]
    assert fill(made, BEN) == 12
    assert fill(made, CID) == 7
    assert fill(made, ANN) == 0
    assert fill(made, ANN, to=BEN) == 50, "and each in the rooms of others"


def test_the_same_of_bytes():
    made = opened(user_size=10_000)
    assert fill(made, ANN, size=500) == 10
    assert made.limited == ["bytes"]
    assert fill(made, BEN, size=500) == 2
    assert fill(made, BEN, size=10) == 25
    assert fill(made, BEN, size=10) == 0
    assert fill(made, CID, size=10) > 10


def test_however_many_fill_a_room_there_is_room_for_one_more():
    made = opened(user_messages=20_000)
    for number in range(300):
        fill(made, User(f"eve{number}", "alpha"), most=20_000)
    assert fill(made, ANN) >= 1
    assert fill(made, BEN) >= 1


def test_many_authors_of_one_server_leave_room_for_those_of_others():
    made = opened(user_messages=1000)
    taken = sum(fill(made, User(f"eve{number}", "mallory"), origin="mallory") for number in range(400))
    assert 600 < taken <= 650
    assert fill(made, User("cid", "beta"), origin="beta") > 50
    assert fill(made, ANN) > 30


def test_one_author_fills_half_of_all_rooms():
    made = opened(messages=1000)
    taken = sum(fill(made, ANN, to=User(f"user{number}", "alpha"), most=10) for number in range(200))
    assert taken == 500
    assert fill(made, BEN) == 125


def test_what_waits_for_one_server_leaves_room_for_the_rest():
    made = opened(messages=1000)
    for number in range(400):
        fill(made, User(f"user{number}", "alpha"), to="beta")
    assert 640 < len(made.box) <= 650
    assert fill(made, ANN, to="gamma") > 50


def test_what_went_makes_room_again():
    made = opened(user_messages=100)
    assert fill(made, ANN) == 50
    made.disk.commit_all()
    for _ in range(20):
        if made.box.pop(BOB) is None:
            made.disk.commit_all()
    left = len(made.box)
    assert left < 50
    assert fill(made, ANN) == 50 - left


def test_a_restart_changes_no_share():
    made = opened(user_messages=100)
    assert fill(made, ANN) == 50
    made.disk.commit_all()
    again = opened(user_messages=100, disk=made.disk)
    assert fill(again, ANN) == 0
    assert fill(again, BEN) == 12
    assert len(again.drain()) == 62
    assert fill(again, ANN) == 50


def test_a_groups_body_counts_once_of_all_and_wholly_of_each_users_room():
    made = opened(size=1_000_000, user_size=500_000)
    members = [User(f"member{number}", "alpha") for number in range(1000)]
    sent = pb.ChatMessage(messageSnowflake=1, author=ANN.to_pb(), group=CREW.to_pb(), textContent="x" * 100_000)
    many = list(copies(sent, CREW, members, [b""] * len(members), Envelope(ANN, 1, CREW, b"")))
    assert {made.box.put(copy.recipient, copy) for copy in many} == {Kept.SOON}
    own = sum(copy.own_size for copy in many)
    assert made.box._bytes == own + many[0].body.size
    assert fill(made, BEN, to=members[0], size=100_000) == 1, "the rest of this user's room"
    made.disk.commit_all()
    again = opened(size=1_000_000, user_size=500_000, disk=made.disk)
    assert again.box._bytes == made.box._bytes
    for member in members:
        again.drain(member)
    assert again.box._bytes == 0
    assert again.box._copies == {}
    assert again.box._quotas.of(("by", ANN)) == (0, 0)


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_whoever_is_alone_may_have_one_that_is_larger_than_a_share(share):
    made = opened(user_size=1000, author=share)
    assert fill(made, ANN, size=900) == 1


def test_the_tables_stay_as_large_as_they_are():
    tally = quotas.PureMailTally()
    size = len(tally._counts)
    for number in range(10_000):
        quotas.count(tally, BOB, User(f"eve{number}", "alpha"), "", 1, 1, 1)
    assert len(tally._counts) == len(tally._sizes) == size
