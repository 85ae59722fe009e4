"""Routers under anything that can happen to links, clients and time: nothing is lost, nobody is lied to."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parley.services.chat.message import in_flight
from parley.services.chat.message.statuses import INTERIM, Status
from parley.shared.addresses import User
from tests.support.people import World
from tests.support.sinks import Node

WHO = [
    ("ann@alpha", "bob@beta"),
    ("ann@alpha", "amy@alpha", "bob@beta", "ben@beta"),
    ("ann@alpha", "bob@beta", "cid@gamma"),
]
ROOM = [3, 1000]
"""How much a mailbox holds: soon full, or never."""


@pytest.fixture(autouse=True, scope="module")
def _small_window():
    """So few on their way that some wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_flight, "WINDOW", 3)
        patch.setattr(in_flight, "BURST", 1)
        yield


some = st.integers(0, 11)
steps = st.one_of(
    st.tuples(st.just("connect"), some),
    st.tuples(st.just("leave"), some),
    st.tuples(st.just("write"), some, some, st.integers(1, 4)),
    st.tuples(st.just("carry"), some, st.integers(1, 4)),
    st.tuples(st.just("carry_all")),
    st.tuples(st.just("carry_all")),
    st.tuples(st.just("acknowledge"), some),
    st.tuples(st.just("forget_to_acknowledge"), some),
    st.tuples(st.just("link"), some),
    st.tuples(st.just("cut"), some),
    st.tuples(st.just("stop_reading"), some),
    st.tuples(st.just("read_again"), some),
    st.tuples(st.just("pass_time"), st.sampled_from([0.4, 1.0, 9.0, 12.0])),
)
stories = st.lists(steps, min_size=15, max_size=60)


def pick(sequence, number):
    """One of a sequence, or nothing of an empty one."""
    return [sequence[number % len(sequence)]] if sequence else []


class Happenings:
    """What a story is made of: numbers choose; without a choice nothing happens."""

    def __init__(self, world):
        self.world = world

    def clients(self):
        return [client for person in self.world.people for client in person.clients]

    def connect(self, which):
        [person] = pick(self.world.people, which)
        if len(person.clients) < 2:
            person.connect()

    def leave(self, which):
        for client in pick(self.clients(), which):
            client.person.disconnect(client)

    def write(self, which, to, count):
        [author], [recipient] = pick(self.world.people, which), pick(self.world.people, to)
        for _ in range(count):
            author.write(recipient)

    def carry(self, which, count):
        for pipe, _, _ in pick([each for each in self.world.pipes if each[0].sent], which):
            pipe.carry(count)

    def carry_all(self):
        self.world.carry_all()

    def acknowledge(self, which):
        for client in pick([client for client in self.clients() if client.unacknowledged], which):
            client.acknowledge()

    def forget_to_acknowledge(self, which):
        for client in pick([client for client in self.clients() if client.unacknowledged], which):
            client.unacknowledged.popleft()

    def link(self, which):
        for pair in pick([pair for pair in self.world.pairs if not pair.is_linked], which):
            pair.link()

    def cut(self, which):
        for pair in pick([pair for pair in self.world.pairs if pair.is_linked], which):
            self.world.cut(pair)

    def stop_reading(self, which):
        for pipe, node, destination in pick(self.world.pipes, which):
            self.world.set_writable(pipe, node, destination, writable=False)

    def read_again(self, which):
        for pipe, node, destination in pick(self.world.pipes, which):
            self.world.set_writable(pipe, node, destination, writable=True)

    def pass_time(self, seconds):
        self.world.pass_time(seconds)


def finals(statuses):
    return {status for status in statuses if status not in INTERIM}


def check(world):
    """What holds at the end of any story."""
    assert world.broken == []
    for key in world.accepted:
        heard = world.person(key[0]).heard[key]
        final = finals(heard)
        assert len(final) <= 1, f"{key} was said to be {final}"
        # What is not told again: a final status that followed an interim one and was lost with a link.
        assert final or (heard and key in world.untold), f"the author of {key} heard {heard}"
        assert (key in world.arrived) == (final <= {Status.DELIVERED}), f"{key} was said to be {final}"
    for client in world.all_clients:
        assert client.came_too_often == {}
        assert in_order(world, client.received)
        for statuses in client.statuses.values():
            kinds = [status in INTERIM for status in statuses]
            assert kinds == sorted(kinds, reverse=True), f"an interim status after a final one: {statuses}"
    assert in_order(world, world.arrived)
    for node in world.nodes.values():
        assert node.is_at_rest


def in_order(world, keys):
    """Whether messages of the same author to the same recipient keep the order in which they were accepted."""
    order = {key: number for number, key in enumerate(world.accepted)}
    streams = defaultdict(list)
    for key in keys:
        streams[key[0], key[2]].append(order[key])
    return all(stream == sorted(stream) for stream in streams.values())


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(WHO), st.sampled_from(ROOM), st.booleans(), stories)
def test_whatever_happens_every_accepted_message_is_delivered_in_order_or_answered_for(names, room, is_up, story):
    world = World(names, mailbox=room)
    if is_up:
        world.bring_up()
    happenings = Happenings(world)
    for name, *numbers in story:
        getattr(happenings, name)(*numbers)
    world.settle()
    check(world)


# A server already in use, which may confirm nothing --------------------------------------------------

ANN, BOB = User("ann", "alpha"), User("bob", "old")
old_stories = st.lists(
    st.one_of(
        st.just(("write",)),
        st.just(("cut",)),
        st.tuples(st.just("answer"), some),
        st.tuples(st.just("pass_time"), st.sampled_from([0.4, 1.0, 9.0, 12.0])),
        st.tuples(st.just("read"), st.booleans()),
    ),
    max_size=40,
)


class WithOldServer:
    """Our server and an existing one, which recognises no duplicates and answers or not."""

    def __init__(self):
        self.node = Node("alpha")
        self.author = self.node.connect(ANN)
        self.link = self.node.link("old", confirms=False)
        self.count = 0
        self.written = []
        self.final = {}

    def look(self):
        """Note what was written to the link, and what the author heard."""
        for number in self.link.snowflakes():
            assert number not in self.final, "sent again after its final status"
            self.written.append(number)
        for number, who, status in self.author.statuses():
            assert who == BOB
            assert number not in self.final, "answered again after its final status"
            if status != "OTHER_SERVER_TIMEOUT":
                self.final[number] = status

    def write(self):
        self.count += 1
        self.node.send(ANN, self.count, BOB)

    def cut(self):
        self.node.unlink("old", self.link, confirms=False)
        self.look()
        self.link = self.node.link("old", confirms=False)

    def answer(self, which):
        for number in pick(self.written, which):
            self.node.answer("old", number, Status.DELIVERED)

    def pass_time(self, seconds):
        self.node.pass_time(seconds)

    def read(self, reads):
        self.link.writable = reads
        if reads:
            self.node.router.writable("old", self.node.now)


@settings(deadline=None)
@given(old_stories)
def test_whatever_happens_an_existing_server_gets_a_message_at_most_twice_and_never_after_its_status(story):
    world = WithOldServer()
    time_enough = 12.0 * len(story)
    for name, *values in [*story, ("read", True), ("pass_time", time_enough)]:
        getattr(world, name)(*values)
        world.look()
    assert set(world.final.values()) <= {"DELIVERED", "UNKNOWN_STATUS"}
    assert set(world.final) == set(range(1, world.count + 1))
    assert max(map(world.written.count, world.written), default=0) <= 2
    assert world.node.is_at_rest
