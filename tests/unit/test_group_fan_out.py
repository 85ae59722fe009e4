"""What is said to a group is told to its members in turn with all else, and the newest of several words only."""

import pytest

from parley.shared.addresses import Group, User
from parley.shared.soft_state.group_fan_out import PAUSE, GroupFanOut

ANN, BOB = User("ann", "alpha"), User("bob", "alpha")
CREW = Group("crew", "alpha")
MEMBERS = 100
SLICE = 8
"""Steps in a turn."""


class World:
    """A queue, a clock on which each step takes a second, and timers that fire when told."""

    def __init__(self):
        self.now = self.began = 0.0
        self.waiting, self.timers, self.told, self.done = [], [], [], 0
        self.words = {ANN: 1, BOB: 1}
        self.fails = False
        self.fan_out = GroupFanOut(
            self,
            lambda: self.now,
            lambda now: now - self.began >= SLICE,
            call_later=lambda delay, *call: self.timers.append((delay, call)),
            copy=self.copy,
            done=self.count,
        )

    def add(self, work):
        if work not in self.waiting:
            self.waiting.append(work)

    def count(self):
        self.done += 1

    def copy(self, author, _group):
        word = self.words[author]
        for member in range(MEMBERS):
            self.now += 1.0
            if self.fails:
                raise ZeroDivisionError
            self.told.append((author, word, member))
            yield

    def turn(self):
        """One slice of whoever is first."""
        self.began = self.now
        work = self.waiting.pop(0)
        if work.go_on():
            self.waiting.append(work)

    def run(self):
        while self.waiting:
            self.turn()

    def fire(self):
        timers, self.timers = self.timers, []
        for _delay, (call, *arguments) in timers:
            call(*arguments)


@pytest.fixture
def world():
    return World()


def test_a_large_group_is_told_over_many_turns_and_others_have_theirs(world):
    world.fan_out.ask(ANN, CREW)
    world.fan_out.ask(BOB, CREW)
    world.turn()
    assert 0 < len(world.told) < 2 * SLICE
    world.run()
    assert world.told.index((BOB, 1, 0)) < world.told.index((ANN, 1, MEMBERS - 1))
    assert (len(world.told), world.done) == (2 * MEMBERS, 2)


def test_of_many_words_the_newest_is_told_after_a_rest_that_the_size_of_the_group_earns(world):
    world.fan_out.ask(ANN, CREW)
    world.turn()
    for word in range(2, 20):
        world.words[ANN] = word
        world.fan_out.ask(ANN, CREW)
    world.run()
    assert [delay for delay, _ in world.timers] == [PAUSE * MEMBERS]
    assert {word for _, word, _ in world.told} == {1}
    world.fire()
    world.run()
    assert {word for _, word, _ in world.told} == {1, 19}
    assert len(world.told) == 2 * MEMBERS
    world.fire()
    assert (len(world.fan_out), world.waiting) == (0, [])


def test_what_fails_once_is_told_the_next_time(world):
    world.fails = True
    world.fan_out.ask(ANN, CREW)
    with pytest.raises(ZeroDivisionError):
        world.run()
    world.fails = False
    world.fire()
    world.fan_out.ask(ANN, CREW)
    world.run()
    assert len(world.told) == MEMBERS
