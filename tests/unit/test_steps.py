"""Tasks that are done a step at a time, and authors who have too many of them."""

import pytest

from parley.services.chat.groups import fanout as module
from parley.services.chat.groups.fanout import Fanouts
from parley.shared.addresses import User
from parley.shared.runtime.steps import LOOK_EVERY, Steps, run

ANN, BOB = User("ann", "alpha"), User("bob", "alpha")


class World:
    """A queue, and a clock on which each step takes a second; a turn has ten."""

    def __init__(self):
        self.now = 0.0
        self.waiting = []
        self.log = []
        self.done = []
        self.behind = False

    def add(self, work):
        if work not in self.waiting:
            self.waiting.append(work)

    def steps(self, done=None):
        return Steps(self, lambda: self.now, self.is_over, done or self.done.append, lambda: self.behind)

    def is_over(self, now):
        return now - self.began >= 10

    def turn(self):
        self.began = self.now
        work = self.waiting.pop(0)
        if work.go_on():
            self.add(work)

    def run(self):
        while self.waiting:
            self.turn()

    def task(self, name, count):
        yield
        for number in range(count):
            self.now += 1
            self.log.append(f"{name}{number}")
            yield


def test_a_task_is_done_in_turns_and_the_next_follows():
    world = World()
    tasks = world.steps()
    tasks.add(world.task("a", 25), 7)
    tasks.add(world.task("b", 2), 5)
    assert tasks.size == 12
    world.turn()
    assert 10 <= len(world.log) <= 10 + LOOK_EVERY
    world.run()
    assert world.log == [f"a{n}" for n in range(25)] + ["b0", "b1"]
    assert (world.done, tasks.size, len(tasks)) == ([7, 5], 0, 0)


def test_all_at_once_is_the_same():
    world = World()
    run(world.task("a", 3), 1.0)
    assert world.log == ["a0", "a1", "a2"]


def test_what_is_behind_goes_on_when_it_is_woken():
    world = World()
    tasks = world.steps()
    tasks.add(world.task("a", 3))
    world.behind = True
    world.run()
    assert world.log == []
    world.behind = False
    tasks.wake()
    world.run()
    assert len(world.log) == 3


def test_an_error_in_a_task_does_not_stop_the_next():
    world = World()

    def broken():
        yield
        raise LookupError

    tasks = world.steps()
    tasks.add(broken())
    tasks.add(world.task("a", 1))
    with pytest.raises(LookupError):
        world.turn()
    world.run()
    assert world.log == ["a0"]


@pytest.fixture
def fanouts():
    world = World()
    world.released = []
    world.fanouts = Fanouts(world.steps, world.released.append)
    return world


def test_each_author_has_a_turn(fanouts):
    fanouts.fanouts.add(ANN, "", fanouts.task("a", 30), 1)
    fanouts.fanouts.add(BOB, "", fanouts.task("b", 30), 1)
    fanouts.run()
    first_of_b = fanouts.log.index("b0")
    assert 0 < first_of_b < fanouts.log.index("a29")
    assert len(fanouts.fanouts) == 0


def test_who_has_many_is_held_and_released(fanouts):
    for number in range(module.HELD_AT):
        assert not fanouts.fanouts.holds(ANN)
        assert fanouts.fanouts.add(ANN, "", fanouts.task(f"{number}.", 1), 1)
    assert fanouts.fanouts.holds(ANN)
    assert not fanouts.fanouts.holds(BOB)
    fanouts.run()
    assert fanouts.released == [ANN]
    assert not fanouts.fanouts.holds(ANN)


@pytest.mark.parametrize("limit", ["MOST_OF_AUTHOR", "BYTES_OF_AUTHOR", "MOST", "BYTES"])
def test_there_is_room_for_so_many_and_no_more(fanouts, monkeypatch, limit):
    monkeypatch.setattr(module, limit, 3 if "_OF_" in limit else 6)  # half of all is left to others
    taken = [fanouts.fanouts.add(ANN, "", fanouts.task("a", 1), 1) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    fanouts.run()
    assert fanouts.fanouts.add(ANN, "", fanouts.task("a", 1), 1)


@pytest.mark.parametrize("size", [1, 1024 * 1024])
def test_servers_with_authors_without_end_leave_room_and_turns_to_ours(fanouts, size):
    for number in range(30_000):
        server = f"mallory{number % 20}"
        fanouts.fanouts.add(User(f"eve{number}", server), server, fanouts.task("", 1), size)
    assert len(fanouts.fanouts) <= module.MOST * module.OF_SERVERS
    assert len(fanouts.fanouts) * size <= module.BYTES * module.OF_SERVERS
    assert len(fanouts.fanouts.sources) <= 20 * module.TURNS
    assert fanouts.fanouts.add(ANN, "", fanouts.task("ann", 1), size)
    fanouts.run()
    assert (len(fanouts.fanouts), fanouts.released) == (0, [])
    assert fanouts.fanouts.add(ANN, "", fanouts.task("ann", 1), size)


def test_one_server_leaves_room_to_another(fanouts):
    for number in range(30_000):
        fanouts.fanouts.add(User(f"eve{number}", "mallory"), "mallory", fanouts.task("", 1), 1)
    assert fanouts.fanouts.add(User("bob", "beta"), "beta", fanouts.task("bob", 1), 1)


def test_authors_who_take_all_they_may_leave_something_to_the_next(fanouts):
    size = 1024 * 1024
    for number in range(6):
        while fanouts.fanouts.add(User(f"eve{number}", "alpha"), "", fanouts.task("", 1), size):
            pass
    assert fanouts.fanouts.add(ANN, "", fanouts.task("ann", 1), 1000)
