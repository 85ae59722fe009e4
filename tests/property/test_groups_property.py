"""A group over durable servers that are killed and cut: each member has each message once, its author hears so."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parley.services.chat.message import in_flight
from parley.services.chat.message.statuses import INTERIM, Status
from parley.services.chat.storage import disk_mailbox
from tests.property.test_durable_property import DurableHappenings
from tests.property.test_router_property import pick, some
from tests.support.crews import GroupWorld

STAYING = ("ann", "bob", "cid")
WHERE = [
    (("ann@alpha", "bob@beta", "cid@gamma", "tim@beta"), "#crew@gamma"),
    (("ann@alpha", "bob@beta", "cid@beta", "tim@alpha"), "#crew@gamma"),
    (("ann@alpha", "bob@alpha", "cid@beta", "tim@beta"), "#crew@beta"),
    (("ann@alpha", "bob@alpha", "cid@alpha", "tim@beta"), "#crew@alpha"),
]
"""The first three are in the group and stay; the last one comes and goes."""


@pytest.fixture(autouse=True, scope="module")
def _small():
    """So few on their way and in memory that some wait, on disk only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_flight, "WINDOW", 3)
        patch.setattr(in_flight, "BURST", 1)
        patch.setattr(disk_mailbox, "IN_MEMORY", 2)
        yield


steps = st.one_of(
    st.tuples(st.just("write"), some, st.integers(1, 4)),
    st.tuples(st.just("write"), some, st.integers(1, 4)),
    st.tuples(st.sampled_from(["connect", "leave", "link", "cut"]), some),
    st.tuples(st.sampled_from(["carry_all", "carry_links", "carry_clients", "answer_all"])),
    st.tuples(st.sampled_from(["carry_all", "carry_links", "carry_clients", "answer_all"])),
    st.tuples(st.just("carry"), some, st.integers(1, 4)),
    st.tuples(st.just("commit"), some, st.integers(1, 100)),
    st.tuples(st.just("crash"), some, st.integers(0, 6)),
    st.tuples(st.sampled_from(["stop_reading", "read_again"]), some),
    st.tuples(st.just("pass_time"), st.sampled_from([0.06, 1.0, 12.0])),
    st.tuples(st.sampled_from(["join_group", "leave_group"])),
)
stories = st.lists(steps, min_size=10, max_size=50)


class GroupHappenings(DurableHappenings):
    """Also the group's."""

    def write(self, which, count):
        [author] = pick(self.world.people, which)
        for _ in range(count):
            author.write()

    def join_group(self):
        self.world["tim"].ask("JOIN_GROUP")

    def leave_group(self):
        self.world["tim"].ask("LEAVE_GROUP")


def check(world):
    """What holds when everybody was there again for long enough."""
    assert world.lies == []
    staying = [world[name] for name in STAYING]
    for author in world.people:
        for key in author.outbox:
            check_statuses(world, author, key, staying)
    for client in world.all_clients:
        assert client.came_too_often == {}
    # One that was refused to somebody who was no member may be taken when it comes again, and it is late then.
    stayed = [key for key in world.arrived if {key[0].user_id, key[2].user_id} <= set(STAYING)]
    assert is_in_order_in_group(world, stayed), f"shown in another order: {stayed}"
    for node in world.nodes.values():
        assert node.is_at_rest
        assert node.disk.messages == {}
        assert node.disk.unpaid == {}


def check_statuses(world, author, key, staying):
    """The author heard every member's final status, and the truth."""
    _, number, group = key
    told, heard = author.told[number], author.heard[author.user, number, (*group,)]
    assert author.has_final(key), f"the author of {key} heard {dict(told)}, {heard}"
    for member, status in told.items():
        arrived = (author.user, number, member) in world.arrived
        assert arrived == (status == Status.DELIVERED), f"{key}: {member} was said to be {status}"
    refusals = {status for status in heard if status not in INTERIM}
    if author in staying:
        assert not refusals, f"the author of {key} heard {heard}"
    if not refusals:
        expected = {person.user for person in staying if person is not author}
        assert expected <= told.keys(), f"the author of {key} heard only of {told.keys()}"


def is_in_order_in_group(world, keys):
    """As `is_in_order`, of keys that name the member."""
    place = {(author.user, key[1]): n for author in world.people for n, key in enumerate(author.outbox)}
    streams = {}
    for author, number, member in keys:
        streams.setdefault((author, member), []).append(place[author, number])
    return all(stream == sorted(stream) for stream in streams.values())


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(WHERE), st.booleans(), stories)
@example(  # a member who has left since, and whose status was lost with the process
    where=(("ann@alpha", "bob@alpha", "cid@beta", "tim@beta"), "#crew@beta"),
    is_quiet=False,
    story=[
        ("join_group",), ("carry_all",), ("write", 0, 1), ("write", 0, 2), ("carry_all",), ("write", 0, 1),
        ("write", 2, 1), ("answer_all",), ("leave_group",), ("carry_all",), ("connect", 1), ("answer_all",),
        ("carry", 4, 1), ("crash", 1, 1),
    ],
)  # fmt: skip
def test_whatever_dies_each_member_has_each_message_once_in_order_and_its_author_hears_so(where, is_quiet, story):
    world = GroupWorld(*where)
    world.found(STAYING)
    happenings = GroupHappenings(world)
    for name, *numbers in story:
        getattr(happenings, name)(*numbers)
    if is_quiet:
        world.settle_quietly()
    else:
        world.settle()
    check(world)
