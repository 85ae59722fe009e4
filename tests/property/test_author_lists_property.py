"""Routers whose collectors gather for an archive: what one writes to another is listed in the order of writing.

Whatever path each takes, whichever status comes first, and whoever dies meanwhile.
"""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parley.services.chat.archive.collector import Collector
from parley.services.chat.archive.entries import MESSAGE, SENT, entries
from parley.services.chat.message import in_flight
from parley.services.chat.storage import disk_mailbox
from parley.shared.addresses import User
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.property.test_durable_property import happened
from tests.property.test_router_property import some
from tests.support.durable_people import DurablePerson, DurableWorld
from tests.support.sinks import message

WHO = [("ann@alpha", "bob@beta"), ("ann@alpha", "amy@alpha", "bob@beta", "ben@beta")]
steps = st.one_of(
    st.tuples(st.sampled_from(["connect", "leave", "link", "cut", "stop_reading", "read_again"]), some),
    st.tuples(st.just("write"), some, some, st.integers(1, 4)),
    st.tuples(st.sampled_from(["carry_all", "carry_links", "carry_clients", "answer_all"])),
    st.tuples(st.sampled_from(["carry_all", "carry_links", "carry_clients", "answer_all"])),
    st.tuples(st.sampled_from(["commit", "crash"]), some, st.integers(0, 6)),
    st.tuples(st.sampled_from(["acknowledge", "forget_to_acknowledge"]), some),
    st.tuples(st.just("carry"), some, st.integers(1, 4)),
    st.tuples(st.just("pass_time"), st.sampled_from([0.06, 1.0, 12.0])),
)
stories = st.lists(steps, min_size=10, max_size=40)
WITHOUT_ORDER = [("write", 0, 1, 2), ("carry_all",), ("forget_to_acknowledge", 0), ("answer_all",), ("carry_all",)]
"""The second is answered first."""


@pytest.fixture(autouse=True, scope="module", params=[3, 1000], ids=["small", "large"])
def _window(request):
    """So few on their way that some wait; or all that there is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_flight, "WINDOW", request.param)
        patch.setattr(in_flight, "BURST", 1)
        patch.setattr(disk_mailbox, "IN_MEMORY", 2)
        yield


class Author(DurablePerson):
    """Somebody whose numbers rise, and are nobody else's."""

    def write(self, to):
        self.world.last_number += 1
        raw = encode("MESSAGE", message(self.user, self.world.last_number, to.user))
        self.outbox[self.user, self.world.last_number, to.user] = raw
        for client in self.clients[:1]:
            client.up.send(raw)


class ListedWorld(DurableWorld):
    """Its collectors outlive its processes, as their journals do."""

    person_type = Author
    last_number = 0

    def __init__(self, names):
        super().__init__(names)
        for node in self.nodes.values():
            node.collector = Collector(node.server_id, lambda: None)
            node.start()

    def lists(self):
        """The numbers of what each wrote to each other, in the order of the entries."""
        found = {}
        for node in self.nodes.values():
            for entry in entries(b"".join(node.collector.take().entries)):
                if entry.kind == MESSAGE and entry.marks & SENT:
                    sent = decode(read_datagram(entry.data), pb.ChatMessage)
                    numbers = found.setdefault((User.of(sent.author), User.of(sent.user)), {})
                    numbers.setdefault(sent.messageSnowflake)
        return [list(numbers) for numbers in found.values()]


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(WHO), stories)
@example(WHO[0], WITHOUT_ORDER)
@example(("ann@alpha", "amy@alpha"), WITHOUT_ORDER)
def test_whatever_happens_what_one_writes_to_another_is_listed_in_the_order_in_which_it_was_written(names, story):
    world = happened(names, story, ListedWorld)
    world.settle()
    for numbers in world.lists():
        assert numbers == sorted(numbers)
