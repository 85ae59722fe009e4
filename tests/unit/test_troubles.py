"""What is wrong is told once in the log, and for as long as it lasts to whoever asks; it is bounded."""

import pytest

from parley.services.discovery.announcing.silences import FORGOTTEN, MOST, SILENCE_ALLOWED, Silences
from parley.services.discovery.directory.diagnosis import Diagnosis
from parley.shared.telemetry.troubles import KINDS, LASTS, LINES_BURST, Troubles
from parley.shared.telemetry.troubles import MOST as MOST_TROUBLES

BETA = ("10.0.0.2", 9999)


class World:
    def __init__(self):
        self.now = 100.0
        self.lines = []
        self.limited = 0
        self.troubles = Troubles(lambda: self, lambda: self.now, self.count)

    def count(self):
        self.limited += 1

    def warning(self, event, **fields):
        self.lines.append((event, fields["detail"]))

    @property
    def kinds(self):
        return [(trouble.kind, trouble.subject) for trouble in self.troubles.now]


@pytest.fixture
def world():
    return World()


def test_a_trouble_is_told_once_and_lasts_as_long_as_it_is_noted(world):
    for _ in range(10):
        world.troubles.note("unanswered", "10.0.0.2", "a firewall")
        world.now += LASTS / 2
    assert world.lines == [("unanswered", "a firewall")]
    (told,) = world.troubles.status()
    assert told == {"kind": "unanswered", "subject": "10.0.0.2", "detail": "a firewall", "seconds": 10 * LASTS / 2}
    assert world.troubles.count() == dict.fromkeys(KINDS, 0) | {"unanswered": 1}
    world.now += LASTS
    assert world.troubles.status() == []
    assert sum(world.troubles.count().values()) == 0


def test_a_trouble_that_is_over_is_told_again_when_it_is_back(world):
    world.troubles.note("unanswered", "10.0.0.2", "a firewall")
    world.troubles.over("unanswered", "10.0.0.2")
    assert world.kinds == []
    world.troubles.note("unanswered", "10.0.0.2", "a firewall")
    assert len(world.lines) == 2


def test_troubles_without_end_are_bounded_and_so_are_their_lines(world):
    for number in range(1000):
        world.troubles.note("unanswered", f"10.0.{number // 250}.{number % 250}", "a firewall")
    assert len(world.troubles.now) == MOST_TROUBLES
    assert len(world.lines) == LINES_BURST
    assert world.limited >= 1000 - MOST_TROUBLES


def receives_nothing(_asker):
    return False


def test_a_server_that_asks_again_and_again_and_never_hears_us_is_told():
    silences = Silences()
    for at in (0.0, 5.0, 10.0):
        assert silences.unanswered(receives_nothing, at) == []
        silences.asked(BETA, at)
    assert silences.unanswered(receives_nothing, 10.0) == ["10.0.0.2"]
    assert silences.unanswered(lambda asker: asker == BETA, 11.0) == []
    assert silences.unanswered(receives_nothing, 12.0) == [], (
        "what it heard once counts for all that it asked before"
    )


def test_a_server_that_starts_and_asks_fast_is_not_told():
    silences = Silences()
    for number in range(20):
        silences.asked(BETA, number * 0.1)
    assert silences.unanswered(receives_nothing, 2.0) == []


def test_a_server_that_asks_no_more_is_forgotten():
    silences = Silences()
    for at in (0.0, 5.0, 10.0):
        silences.asked(BETA, at)
    assert silences.unanswered(receives_nothing, 10.0 + FORGOTTEN + 1) == []


def test_askers_without_end_are_bounded():
    silences = Silences()
    for at in (0.0, 5.0, 10.0):
        for number in range(3 * MOST):
            silences.asked((f"10.0.{number // 250}.{number % 250}", 9999), at)
    assert len(silences.unanswered(receives_nothing, 10.0)) <= MOST


def test_a_static_peer_that_does_not_answer_is_told_after_a_while():
    silences = Silences()
    peers = ["10.0.0.2", "10.0.0.3"]
    assert silences.silent(peers, 5.0, 0.0) == []
    silences.answered("10.0.0.2", SILENCE_ALLOWED)
    assert silences.silent(peers, 5.0, SILENCE_ALLOWED + 1) == ["10.0.0.3"]
    assert silences.silent(peers, 5.0, 2 * SILENCE_ALLOWED + 1) == peers
    assert silences.silent(["10.0.0.2"], 5.0, 2 * SILENCE_ALLOWED + 1) == ["10.0.0.2"]


def test_where_there_are_many_servers_a_static_peer_has_longer():
    silences = Silences()
    silences.silent(["10.0.0.2"], 20.0, 0.0)
    assert silences.silent(["10.0.0.2"], 20.0, 60.0) == []
    assert silences.silent(["10.0.0.2"], 20.0, 71.0) == ["10.0.0.2"]


def test_what_is_wrong_is_said_with_what_to_do_about_it(world):
    diagnosis = Diagnosis(world.troubles)
    for at in (0.0, 5.0, 10.0):
        diagnosis.silences.asked(BETA, at)
    diagnosis.unanswered(receives_nothing, 10.0)
    diagnosis.static_peers([], {"ship": "Name or service not known"}, 5.0, 0.0)
    diagnosis.namesake("alpha", "10.0.0.9", 0.0)
    diagnosis.data_of_others("/data", [], "alpha")
    diagnosis.data_of_others("/data", ["old"], "alpha")
    assert world.kinds == [
        ("unanswered", "10.0.0.2"),
        ("peer_unresolved", "ship"),
        ("name_in_use_elsewhere", "10.0.0.9"),
        ("other_data", "/data"),
    ]
    words = [detail for _, detail in world.lines]
    for line, word in zip(words, ("firewall", "spelt", "PARLEY_SERVER_ID", "PARLEY_SERVER_ID=old"), strict=True):
        assert word in line
