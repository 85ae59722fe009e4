"""A linking server beside a node that may die: nothing is lost, all comes in order, and its chat goes on."""

from collections import defaultdict

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parley.services.chat.message.statuses import INTERIM, Status
from parley.services.chat.storage import disk_mailbox
from parley.shared.addresses import User
from parley.shared.wire.messages import encode
from tests.property.test_router_property import finals, pick, some
from tests.support.durable_people import DurableWorld
from tests.support.linking_model import LinkingModel
from tests.support.sinks import message

AUTHORS = ("ann@alpha", "amy@alpha")
BOB, BEN = User("bob", "old"), User("ben", "old")


@pytest.fixture(autouse=True, scope="module")
def _small():
    """So little in memory that some waits on disk only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk_mailbox, "IN_MEMORY", 2)
        patch.setattr(disk_mailbox, "FIRST_READ", 2)
        yield


steps = st.one_of(
    st.tuples(st.just("write"), some, some, st.integers(1, 4)),
    st.tuples(st.just("write"), some, some, st.integers(1, 4)),
    st.tuples(st.sampled_from(["come", "go"]), some),
    st.tuples(st.sampled_from(["carry", "acknowledge"]), st.integers(1, 4)),
    st.tuples(st.just("commit"), st.integers(1, 8)),
    st.tuples(st.sampled_from(["carry_acks", "settle", "bring_up", "bring_up", "cut", "cut_gateway"])),
    st.tuples(st.just("read"), st.booleans()),
    st.tuples(st.just("crash"), st.integers(0, 8)),
    st.tuples(st.just("pass_time"), st.sampled_from([0.06, 0.5, 1.0, 3.0, 11.0])),
)


class Story:
    """A world of ours, and a linking server beside it. Numbers choose."""

    def __init__(self, *, is_known):
        self.world = DurableWorld(AUTHORS)
        self.node = self.world.nodes["alpha"]
        for person in self.world.people:
            person.connect()
        self.node.know("old")
        self.old = LinkingModel(self.node)
        if is_known:
            self.old.bring_up()
        self.world.carry_all()

    def write(self, which, to, count):
        [author], [recipient] = pick(self.world.people, which), pick([BOB, BEN], to)
        for _ in range(count):
            number = 1 + len(author.outbox) + 500 * self.world.people.index(author)
            raw = encode("MESSAGE", message(author.user, number, recipient))
            author.outbox[author.user, number, recipient] = raw
            for client in author.clients[:1]:
                client.up.send(raw)
        self.carry_clients()

    def carry_clients(self):
        """All between our clients and our node arrives; the disk does nothing."""
        while any(pipe.sent for pipe, _, _ in self.world.pipes):
            for pipe, _, _ in self.world.pipes:
                pipe.carry()

    def come(self, which):
        self.old.connected |= set(pick([BOB, BEN], which))

    def go(self, which):
        for user in pick([BOB, BEN], which):
            self.old.leave(user)

    def carry(self, count):
        self.old.carry(count)

    def acknowledge(self, count):
        for _ in range(count):
            self.old.acknowledge()

    def carry_acks(self):
        self.old.carry_acks()

    def settle(self):
        self.old.settle()

    def bring_up(self):
        self.old.bring_up()

    def cut(self):
        self.old.cut()

    def cut_gateway(self):
        self.old.cut_gateway()

    def read(self, reads):
        if self.old.link is not None:
            self.old.link.writable = reads
            if reads:
                self.node.router.remote_users.writable("old", self.node.now)

    def commit(self, count):
        self.node.disk.commit(count)
        self.node.router.flush()

    def crash(self, written):
        self.old.node_died()
        self.world.crash(self.node, written)
        for person in self.world.people:
            person.connect()

    def pass_time(self, seconds):
        self.node.pass_time(seconds)
        self.carry_clients()

    def pass_time_quietly(self, seconds):
        """Whatever goes out meanwhile arrives at once, and is answered."""
        end = self.node.now + seconds
        while (due := self.node.next_timeout()) is not None and due <= end:
            self.pass_time(due - self.node.now)
            self.settle()
        self.pass_time(end - self.node.now)

    def end_well(self):
        """Everybody comes and stays, all links stand, and time passes."""
        self.old.connected |= {BOB, BEN}
        self.old.bring_up()
        self.read(True)
        for _ in range(30):
            self.world.carry_all()
            self.old.settle()
            self.pass_time_quietly(1.0)


def play(is_known, story):
    told = Story(is_known=is_known)
    for name, *values in story:
        getattr(told, name)(*values)
        assert not told.old.is_dead, "its chat has ended"
    told.end_well()
    return told


def check(told):
    assert not told.old.is_dead
    first = list(dict.fromkeys(told.old.came))
    for author in told.world.people:
        for key in author.outbox:
            heard = author.heard[key]
            assert key in first, f"{key} is lost, and its author heard {heard}"
            assert finals(heard) == {Status.DELIVERED}, f"the author of {key} heard {heard}"
    streams = defaultdict(list)
    for author, number, recipient in first:
        streams[author, recipient].append(number)
    for numbers in streams.values():
        assert numbers == sorted(numbers), f"in another order: {numbers}"
    # Comes again: what was on its way when a link was lost or the process died; and what was not answered in time.
    assert told.node.mailbox.state.in_flight == 0
    assert len(told.node.mailbox) == 0
    assert told.node.disk.messages == {}


@settings(deadline=None, max_examples=300)
@given(st.booleans(), st.lists(steps, min_size=10, max_size=60))
@example(False, [("write", 0, 0, 4), ("write", 1, 1, 3), ("bring_up",), ("commit", 2), ("crash", 1)])
@example(True, [("write", 0, 0, 4), ("pass_time", 11.0), ("crash", 8), ("write", 0, 0, 2), ("bring_up",)])
def test_whatever_happens_every_message_arrives_in_order_and_its_author_hears_so(is_known, story):
    check(play(is_known, story))


quiet = st.lists(
    st.one_of(
        st.tuples(st.just("write"), some, some, st.integers(1, 4)),
        st.tuples(st.just("come"), some),
        st.tuples(st.sampled_from(["settle"])),
        st.tuples(st.just("commit"), st.integers(1, 8)),
        st.tuples(st.just("pass_time_quietly"), st.sampled_from([0.06, 0.5, 1.0, 3.0, 11.0])),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(quiet)
def test_where_nothing_is_lost_each_message_comes_once_and_statuses_come_in_order(story):
    told = play(True, [each for step in story for each in (step, ("settle",))])
    check(told)
    assert told.old.most_often <= 1
    for author in told.world.people:
        for client in author.clients:
            for statuses in client.statuses.values():
                kinds = [status in INTERIM for status in statuses]
                assert kinds == sorted(kinds, reverse=True), f"an interim status after a final one: {statuses}"
                assert len(set(statuses)) == len(statuses), f"told twice: {statuses}"
