"""The crash test's faults and moves come from the seed alone."""

import itertools
from collections import Counter

import pytest

from tests.chaos.schedule import (
    DISK,
    HOURS,
    KINDS,
    LONGEST_HOLE,
    LONGEST_STOP,
    NODES,
    SERVICES,
    draw_faults,
    draw_moves,
)

SEEDS = range(20)
MINUTES = 10


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_gives_the_same_faults_again(seed):
    assert draw_faults(seed, 600.0, 15.0) == draw_faults(seed, 600.0, 15.0)
    assert draw_faults(seed, 600.0, 15.0) != draw_faults(seed + 1, 600.0, 15.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_ten_minutes_have_at_least_a_hundred_faults_of_every_kind(seed):
    faults = draw_faults(seed, MINUTES * 60.0, 15.0)
    assert len(faults) >= 100
    assert {fault.kind for fault in faults} == set(KINDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_short_form_has_every_kind(seed):
    assert {fault.kind for fault in draw_faults(seed, 60.0, 20.0)} == set(KINDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_fault_outlasts_the_run_or_its_kind(seed):
    for fault in draw_faults(seed, 60.0, 15.0):
        assert 0.0 < fault.at < fault.at + fault.seconds <= 60.0 or fault.seconds == 0.0
        assert fault.seconds <= {"disk": DISK, "mtu": LONGEST_HOLE}.get(fault.kind, LONGEST_STOP)
        assert abs(fault.offset) <= HOURS * 3600
        assert (fault.offset != 0.0) == (fault.kind == "clock")
        assert (fault.size != 0) == (fault.kind == "mtu")
        assert (fault.pause != 0.0) == (fault.kind == "line")


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_hit_processes_that_there_are_and_chat_most(seed):
    targets = Counter(t for fault in draw_faults(seed, 600.0, 15.0, ["kill"]) for t in fault.targets)
    assert set(targets) <= {(node, service) for node in NODES for service in SERVICES}
    by_service = Counter()
    for (_, service), count in targets.items():
        by_service[service] += count
    assert by_service.most_common(1)[0][0] == "chat"


def test_some_faults_overlap():
    faults = draw_faults(1, 600.0, 15.0)
    pairs = itertools.pairwise(faults)
    assert sum(later.at < earlier.at + earlier.seconds for earlier, later in pairs) >= 10


def test_servers_are_restarted_two_or_all_together():
    for fault in draw_faults(3, 600.0, 15.0, ["restart"]):
        assert len({node for node, _ in fault.targets}) in (2, 3)


def test_only_the_kinds_that_are_asked_for_are_drawn():
    assert {fault.kind for fault in draw_faults(4, 120.0, 15.0, ["disk", "clock"])} == {"disk", "clock"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_gives_the_same_moves_again_and_each_ends_in_time(seed):
    moves = draw_moves(seed, "ada@alpha", 300.0, second=False)
    assert moves == draw_moves(seed, "ada@alpha", 300.0, second=False)
    assert moves != draw_moves(seed, "ben@alpha", 300.0, second=False)
    assert all(move.at + move.seconds <= 300.0 for move in moves)
    assert all(a.at + a.seconds <= b.at for a, b in itertools.pairwise(moves))
    assert {move.action for move in draw_moves(seed, "ada@alpha", 300.0, second=True)} <= {"come", "crash"}
