"""The fast path (shared/core/fast_path/) against the router, whose rules hold: all get and hear the same."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parley.services.chat.message import in_flight
from parley.shared.compiled import core
from tests.support.twins import ANSWERS, ELSEWHERE, MESSAGES, PEOPLE, SERVERS, SOURCES, Twins

pytestmark = pytest.mark.skipif(core is None, reason="the compiled core is not here")


@pytest.fixture(autouse=True, scope="module")
def _small_window():
    """So few on their way that some wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(in_flight, "WINDOW", 4)
        patch.setattr(in_flight, "BURST", 1)
        yield


some = st.integers(0, 11)
kinds = st.sampled_from(["text"] * 40 + ["text, too"] * 4 + ["words", "empty"] * 2 + list(MESSAGES))
answers = st.sampled_from(["plain"] * 40 + ["both"] * 4 + list(ANSWERS))
writes = st.tuples(st.just("write"), some, some, kinds, st.sampled_from(["next"] * 9 + ["again", "another's"]))
parts = st.lists(writes | st.tuples(st.just("answer"), answers), min_size=1, max_size=7)
reads = st.tuples(st.just("read"), some, parts)
answered = st.tuples(st.just("answer_all"), some, answers)
links = st.one_of(
    st.tuples(st.just("come"), some),
    st.tuples(st.just("come"), some),
    st.tuples(st.just("go"), some),
    st.tuples(st.just("stop_reading"), some),
    st.tuples(st.just("read_again"), some),
)
blocks = st.tuples(st.just("block"), some, some, st.booleans())
others = st.one_of(
    st.tuples(st.just("pass_time"), st.sampled_from([0.2, 0.4, 11.0])),
    st.tuples(st.just("disk"), st.sampled_from(["works", "works", "fails", "waits"])),
    st.just(("restart",)),
)
steps = st.sampled_from(
    [reads] * 9 + [st.just(("all_answer",))] * 6 + [answered] * 3 + [links, blocks, others]
).flatmap(lambda step: step)
stories = st.lists(steps, min_size=20, max_size=50)
MOST_SMALL_STEPS = 20
"""Short times together stay below an answer's: which of two deadlines within persist_delay came is no matter."""


class Happenings:
    """What a story is made of: numbers choose; without a choice nothing happens."""

    def __init__(self, twins):
        self.twins = twins

    def come(self, which):
        destination = SOURCES[which % len(SOURCES)]
        there = len(self.twins.links[destination])
        if destination in PEOPLE and there < 2:
            self.twins.connect(destination)
        elif destination in SERVERS and not there:
            self.twins.link(destination)

    def go(self, which):
        destination = SOURCES[which % len(SOURCES)]
        if there := self.twins.links[destination]:
            if destination in SERVERS:
                self.twins.unlink(destination)
            else:
                self.twins.disconnect(destination, which % len(there))

    def stop_reading(self, which):
        self._set_writable(which, writable=False)

    def read_again(self, which):
        self._set_writable(which, writable=True)

    def _set_writable(self, which, *, writable):
        destination = SOURCES[which % len(SOURCES)]
        if there := self.twins.links[destination]:
            self.twins.set_writable(destination, which % len(there), writable)

    def read(self, which, parts):
        source = SOURCES[which % len(SOURCES)]
        if self.twins.links[source]:
            self.twins.read(source, [getattr(self, f"_{name}")(source, *values) for name, *values in parts])

    def _write(self, source, which, to, kind, number):
        if source in SERVERS:
            authors = [user for user in ELSEWHERE if user.server_id == source]
            author, recipients = authors[which % len(authors)], PEOPLE
        else:
            author, recipients = source, [*PEOPLE, *ELSEWHERE]
        if number == "another's" and self.twins.last_recipient in recipients:
            recipients = [self.twins.last_recipient]
        return self.twins.message(source, author, recipients[to % len(recipients)], kind, number)

    def _answer(self, source, kind):
        return self.twins.answer(source, kind)

    def answer_all(self, which, kind):
        source = SOURCES[which % len(SOURCES)]
        if self.twins.links[source] and (count := len(self.twins.unanswered[source])):
            self.twins.read(source, [self.twins.answer(source, kind) for _ in range(count)])

    def all_answer(self):
        for which in range(len(SOURCES)):
            self.answer_all(which, "plain")

    def block(self, which, other, is_blocked):
        others = [*PEOPLE, *ELSEWHERE]
        self.twins.block(PEOPLE[which % len(PEOPLE)], others[other % len(others)], is_blocked=is_blocked)

    def pass_time(self, seconds):
        self.twins.pass_time(seconds)

    def disk(self, state):
        self.twins.set_disk(state)

    def restart(self):
        self.twins.restart()


def meet(happenings):
    """Everybody is there and has written to everybody, and was answered."""
    twins = happenings.twins
    for which in range(len(SOURCES)):
        happenings.come(which)
    for which in range(len(SOURCES)):
        happenings.read(which, [("write", at, to, "text", "next") for at in range(2) for to in range(6)])
        twins.check()
        while any(twins.unanswered[source] for source in SOURCES):
            happenings.all_answer()
            twins.check()


def tell(story, mailbox):
    """Those who met live through a story; how many frames took the fast path meanwhile, by name."""
    twins = Twins(mailbox=mailbox)
    happenings = Happenings(twins)
    meet(happenings)
    twins.nodes[0].went_fast.clear()
    small_steps = 0
    for name, *values in story:
        small_steps += name == "pass_time" and values[0] < 1.0
        if name != "pass_time" or values[0] > 1.0 or small_steps <= MOST_SMALL_STEPS:
            getattr(happenings, name)(*values)
            twins.check()
    fast = twins.nodes[0].went_fast.copy()
    twins.set_disk("works")
    for which in range(len(SOURCES)):
        happenings.come(which)
        happenings.read_again(which)
        happenings.read_again(which + len(SOURCES))
        happenings.answer_all(which, "plain")
        twins.check()
    twins.pass_time(12.0)
    twins.check()
    return fast


def test_whatever_happens_everybody_gets_and_hears_the_same_with_the_quick_way_and_without():
    fast = []

    @settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
    @given(stories, st.sampled_from([3, 1000]))
    def any_story(story, mailbox):
        fast.append(tell(story, mailbox))

    any_story()
    assert sum(min(each["MESSAGE"], each["MESSAGE_ACK"]) >= 3 for each in fast) > len(fast) / 4, "few went that way"
