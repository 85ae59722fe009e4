"""Routers over a disk that commits late, killed at any moment: what authors are told is true, nothing is lost."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parley.services.chat.message import in_flight
from parley.services.chat.message.statuses import INTERIM, Status
from parley.services.chat.storage import disk_mailbox
from tests.property.test_router_property import Happenings, finals, pick, some, steps
from tests.support.durable_people import DurableWorld

WHO = [
    ("ann@alpha", "amy@alpha"),
    ("ann@alpha", "bob@beta"),
    ("ann@alpha", "amy@alpha", "bob@beta"),
]


@pytest.fixture(autouse=True, scope="module")
def _small():
    """So few on their way and in memory that some wait, on disk only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_flight, "WINDOW", 3)
        patch.setattr(in_flight, "BURST", 1)
        patch.setattr(disk_mailbox, "IN_MEMORY", 2)
        yield


durable_steps = st.one_of(
    steps,
    st.tuples(st.just("commit"), some, st.integers(1, 8)),
    st.tuples(st.just("commit"), some, st.just(100)),
    st.tuples(st.just("crash"), some, st.integers(0, 6)),
    st.tuples(st.just("pass_time"), st.just(0.06)),
    st.tuples(st.just("carry_links")),
)
stories = st.lists(durable_steps, min_size=15, max_size=60)


class DurableHappenings(Happenings):
    """Also the disk's."""

    def commit(self, which, count):
        for node in pick(list(self.world.nodes.values()), which):
            node.disk.commit(count)
            node.router.flush()

    def crash(self, which, written):
        for node in pick(list(self.world.nodes.values()), which):
            self.world.crash(node, written)

    def forget_to_acknowledge(self, which):
        for client in pick([client for client in self.clients() if client.unacknowledged], which):
            client.forget()

    def carry_clients(self):
        """Everything between clients and servers arrives; nothing between servers."""
        while any(pipe.sent for pipe in self.client_pipes()):
            for pipe in self.client_pipes():
                pipe.carry()

    def client_pipes(self):
        return [pipe for client in self.clients() for pipe in (client.up, client.down)]

    def answer_all(self):
        for client in self.clients():
            while client.unacknowledged:
                client.acknowledge()

    def carry_links(self):
        """Everything that is in flight arrives; the disks do nothing."""
        while any(pipe.sent for pipe, _, _ in self.world.pipes):
            for pipe, _, _ in self.world.pipes:
                pipe.carry()


def is_in_order(world, keys):
    """Whether each author's messages to each recipient are in the order in which they were written."""
    for author in world.people:
        place = {key: number for number, key in enumerate(author.outbox)}
        for recipient in world.people:
            seen = [place[key] for key in keys if key[0] == author.user and key[2] == recipient.user]
            if seen != sorted(seen):
                return False
    return True


def check(world):
    """What holds when everybody was there again for long enough."""
    assert world.lies == []
    for author in world.people:
        for key in author.outbox:
            heard = author.heard[key]
            assert key in world.arrived, f"{key} is lost, and its author heard {heard}"
            assert finals(heard) == {Status.DELIVERED}, f"the author of {key} heard {heard}"
    assert is_in_order(world, world.arrived), f"shown in another order: {list(world.arrived)}"
    for client in world.all_clients:
        assert client.came_too_often == {}
        # One that was answered for, unknown to the next process and sent again, was shown before.
        assert world.crashes or is_in_order(world, client.received)
        for statuses in client.statuses.values():
            kinds = [status in INTERIM for status in statuses]
            # A message that was answered may come from the disk again when a process dies.
            assert world.crashes or kinds == sorted(kinds, reverse=True), f"interim after final: {statuses}"
    for node in world.nodes.values():
        assert node.is_at_rest
        assert node.disk.messages == {}
        assert node.disk.unpaid == {}


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(WHO), st.booleans(), stories)
@example(WHO[0], True, [("write", 0, 1, 4), ("carry", 0, 4), ("crash", 0, 1)])  # the last first
@example(WHO[0], True, [("leave", 1), ("write", 0, 1, 1), ("carry_links",), ("crash", 0, 0)])  # told too early
@example(WHO[1], True, [("leave", 1), ("write", 0, 1, 1), ("carry_links",), ("crash", 1, 0)])
def test_whatever_dies_every_message_arrives_once_in_order_and_its_author_hears_so(names, is_up, story):
    world = DurableWorld(names)
    world.bring_up()  # everybody has been there once
    world.carry_all()
    if not is_up:
        for node in world.nodes.values():
            world.crash(node, 0)
    happenings = DurableHappenings(world)
    for name, *numbers in story:
        getattr(happenings, name)(*numbers)
    world.settle()
    check(world)


def happened(names, story, kind=DurableWorld):
    """A world in which everybody has been once, after a story."""
    world = kind(names)
    world.bring_up()
    world.carry_all()
    happenings = DurableHappenings(world)
    for name, *numbers in story:
        getattr(happenings, name)(*numbers)
    return world


lossy_steps = st.one_of(
    st.tuples(st.sampled_from(["connect", "leave", "link", "cut"]), some),
    st.tuples(st.just("write"), some, some, st.integers(1, 4)),
    st.tuples(st.sampled_from(["carry_all", "carry_links", "carry_clients", "answer_all"])),
    st.tuples(st.sampled_from(["carry_all", "carry_links", "carry_clients", "answer_all"])),
    st.tuples(st.sampled_from(["commit", "crash"]), some, st.integers(0, 6)),
    st.tuples(st.sampled_from(["stop_reading", "read_again"]), some),
    st.tuples(st.just("pass_time"), st.sampled_from([0.06, 1.0, 12.0])),
)
"""In which statuses get lost between servers."""
LATE = [("leave", 1), ("write", 0, 1, 1), ("carry_all",), ("connect", 1), ("carry_all",), ("answer_all",)]
"""Somebody was away, and answers now."""
SAME_MOMENT = [
    ("write", 1, 2, 2),
    ("carry_all",),
    ("pass_time", 0.06),
    ("write", 0, 0, 1),
    (
        "write",
        0,
        2,
        2,
    ),  # the first has a number that is in flight there: it takes the slow path, the second the fast
    ("carry_clients",),
    ("pass_time", 0.06),
    ("crash", 0, 4),
]
"""Of two messages of one moment the first is written first, whichever path they take."""


@settings(deadline=None, max_examples=500)
@given(st.sampled_from(WHO), st.one_of(stories, st.lists(lossy_steps, min_size=10, max_size=40)))
@example(WHO[1], [*LATE, ("carry_clients",), ("cut", 0)])
@example(WHO[1], [*LATE, ("carry_clients",), ("commit", 1, 100), ("cut", 0)])
@example(WHO[1], [*LATE, ("carry_clients",), ("commit", 1, 100), ("crash", 1, 0)])
@example(WHO[1], [*LATE, ("cut", 0), ("carry_clients",), ("commit", 1, 100), ("crash", 1, 0)])
@example(WHO[2], SAME_MOMENT)
def test_whatever_dies_authors_who_stay_hear_what_became_of_their_messages_without_asking(names, story):
    world = happened(names, story)
    world.settle_quietly()
    check(world)
