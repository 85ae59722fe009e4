"""Whose turn it is, with a clock that the works themselves move on."""

from parley.shared.limits.fairness import LARGE_EVERY, RoundRobin

SLICE, ROUND = 0.0005, 0.002


class World:
    """A loop with a clock; it is the account of turns, too."""

    is_reading = False

    def __init__(self):
        self.now = 100.0
        self.soon = []
        self.done = []
        self.queue = RoundRobin(self, self.soon.append, lambda: self.now, ROUND, SLICE)

    def begin_round(self, now):
        pass

    def begin(self, now):
        pass

    def end(self):
        self.is_reading = False

    def turn(self):
        soon, self.soon[:] = list(self.soon), []
        for call in soon:
            call()

    def run(self):
        while self.soon:
            self.turn()


class Work:
    """So many slices of work, each of which takes so long."""

    def __init__(self, world, name, slices, seconds=SLICE):
        self.world, self.name, self.slices, self.seconds = world, name, slices, seconds

    def go_on(self):
        assert self.world.is_reading
        self.world.now += self.seconds
        self.world.done.append(self.name)
        self.slices -= 1
        return self.slices > 0


def test_each_has_a_slice_in_turn():
    world = World()
    for name in "abc":
        world.queue.add(Work(world, name, 3))
    world.run()
    assert "".join(world.done) == "abcabcabc"
    assert len(world.queue) == 0


def test_a_round_ends_and_the_loop_has_its_turn():
    world = World()
    world.queue.add(Work(world, "a", 100))
    world.turn()
    assert ROUND / SLICE <= len(world.done) <= ROUND / SLICE + 1
    world.run()
    assert len(world.done) == 100


def test_who_has_little_is_before_all_who_have_much():
    world = World()
    for number in range(100):
        world.queue.add(Work(world, number, 100))
    world.turn()
    world.queue.add(Work(world, "small", 1), is_small=True)
    world.done.clear()
    world.turn()
    assert "small" in world.done[:2]


def test_those_who_have_little_do_not_hold_up_who_has_much_for_ever():
    world = World()
    world.queue.add(Work(world, "much", 10))
    for _ in range(50):
        for number in range(LARGE_EVERY):
            world.queue.add(Work(world, number, 1), is_small=True)
        world.turn()
    assert world.done.count("much") == 10


def test_whose_slices_are_long_has_fewer_of_them():
    world = World()
    world.queue.add(Work(world, "long", 1000, 10 * SLICE))
    world.queue.add(Work(world, "short", 1000))
    while world.done.count("short") < 100:
        world.turn()
    assert 8 <= world.done.count("long") <= 12


def test_a_work_is_queued_once_and_what_is_discarded_does_not_go_on():
    world = World()
    work, gone = Work(world, "a", 1), Work(world, "b", 1)
    for each in (work, work, gone):
        world.queue.add(each)
    world.queue.add(gone, is_small=True)
    world.queue.discard(gone)
    world.run()
    assert world.done == ["a"]


def test_an_error_in_one_holds_up_nobody_else():
    world = World()

    class Broken(Work):
        def go_on(self):
            raise ValueError

    world.queue.add(Broken(world, "broken", 1))
    world.queue.add(Work(world, "a", 1))
    caught = 0
    while world.soon:
        try:
            world.turn()
        except ValueError:
            caught += 1
    assert (caught, world.done) == (1, ["a"])
