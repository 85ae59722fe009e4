"""The garbage collector looks at little at once, and still finds what there is."""

import gc
import weakref

import pytest

from parley.shared.runtime import garbage

LIVING = 200_000


class Knot:
    """An object in a cycle."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def spared():
    threshold, callbacks = gc.get_threshold(), list(gc.callbacks)
    garbage.spare()
    yield
    gc.callbacks[:] = callbacks
    gc.set_threshold(*threshold)
    garbage.collect_all()


@pytest.mark.usefixtures("spared")
def test_of_many_that_live_only_the_newest_are_ever_looked_at():
    looked_at = []
    gc.callbacks.append(lambda phase, _info: phase == "start" and looked_at.append(len(gc.get_objects())))
    living = [[number] for number in range(LIVING)]
    assert len(living) == LIVING
    assert len(looked_at) > LIVING // garbage.AFTER // 2
    assert max(looked_at) < 2 * (garbage.YOUNG + 2) * garbage.AFTER
    assert gc.get_freeze_count() > LIVING // 2


def test_what_was_set_aside_before_a_fork_is_not_looked_at_by_each_child():
    before = Knot()
    left = weakref.ref(before)
    gc.freeze()
    del before
    threshold, callbacks = gc.get_threshold(), list(gc.callbacks)
    garbage.spare()
    gc.callbacks[:] = callbacks
    gc.set_threshold(*threshold)
    assert left() is not None
    garbage.collect_all()
    assert left() is None


@pytest.mark.usefixtures("spared")
def test_a_cycle_is_collected_soon_while_it_is_young_and_later_where_it_is_not():
    young = weakref.ref(Knot())
    old = Knot()
    kept = [[number] for number in range(garbage.YOUNG * 4 * garbage.AFTER)]
    assert len(kept) > 0
    assert young() is None
    gone = weakref.ref(old)
    del old
    kept += [[number] for number in range(garbage.YOUNG * 4 * garbage.AFTER)]
    assert gone() is not None
    garbage.collect_all()
    assert gone() is None
