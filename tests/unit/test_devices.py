"""Devices of one author that share with the same recipient: one's stop does not hide the other's."""

import pytest

from parley.services.location.devices import MOST, REMEMBERED, Devices
from parley.services.location.positions import Positions
from parley.shared.addresses import User
from parley.shared.audiences import Audience
from tests.unit.test_positions import NOW, location, stop

ALICE, BOB = User("alice", "alpha"), User("bob", "beta")
TO_BOB = Audience(BOB, None)
PHONE, TABLET = 1, 2


class Stream:
    """What is told of alice's stream to bob, as the location process has it."""

    def __init__(self):
        self.now = 0.0
        self.devices = Devices()
        self.positions = Positions(forgotten=self.devices.forget)

    @property
    def told(self):
        return self.positions.get(ALICE, TO_BOB)

    @property
    def place(self):
        """Where alice is for bob; None: nowhere."""
        self.positions.expire(self.now)
        told = self.told
        return None if told is None or told.is_over else told.entry.live_location.location.latitude

    def hear(self, said, device, link):
        said.device = device
        source = link or f"link {device}"
        heard = self.devices.heard((ALICE, TO_BOB), said, source, self.now, NOW + self.now, self.told)
        return self.positions.update(heard.entry, self.now, NOW + self.now, heard.source)

    def share(self, device, latitude, *, off=0.0, lasts=600.0, link=None, at=None):
        """A device tells where it is; `off`: seconds that its clock is ahead."""
        timestamp = NOW + (self.now if at is None else at) + off
        return self.hear(location(None, ALICE, timestamp, timestamp + lasts, (latitude, 0.0)), device, link)

    def stop(self, device, *, off=0.0, link=None):
        return self.hear(stop(None, ALICE, NOW + self.now + off).live_location, device, link)


@pytest.fixture
def stream():
    return Stream()


def test_one_s_stop_does_not_hide_the_other_s(stream):
    stream.share(PHONE, 1.0)
    stream.now = 1.0
    stream.share(TABLET, 2.0)
    assert stream.place == 2.0
    stream.now = 2.0
    stream.stop(TABLET)
    assert stream.place == 1.0
    assert stream.told.expires == pytest.approx(600.0)
    stream.stop(PHONE)
    assert stream.place is None


def test_the_newest_is_told_and_goes_on_where_the_older_stops(stream):
    stream.share(PHONE, 1.0)
    stream.share(TABLET, 2.0)
    stream.stop(PHONE)
    assert stream.place == 2.0
    stream.now = 5.0
    stream.share(TABLET, 3.0)
    assert stream.place == 3.0


@pytest.mark.parametrize(("off", "other"), [(300.0, 0.0), (0.0, 300.0), (300.0, -300.0), (-300.0, 300.0)])
def test_each_has_a_clock_of_its_own(stream, off, other):
    for second in range(5):
        stream.now = float(second)
        stream.share(PHONE, 1.0 + second, off=off)
        assert stream.place == 1.0 + second
        stream.share(TABLET, 11.0 + second, off=other)
        assert stream.place == 11.0 + second
        assert stream.told.expires - stream.now == pytest.approx(600.0)
    stream.stop(TABLET, off=other)
    assert stream.place == 5.0
    stream.stop(PHONE, off=off)
    assert stream.place is None


def test_one_that_begins_after_another_stopped_whose_clock_was_ahead_is_seen(stream):
    stream.share(PHONE, 1.0, off=500.0)
    stream.stop(PHONE, off=500.0)
    stream.now = 1.0
    stream.share(TABLET, 2.0)
    assert stream.place == 2.0


def test_what_comes_late_of_one_that_stopped_does_not_revive_it(stream):
    stream.share(TABLET, 1.0)
    stream.share(PHONE, 2.0)
    stream.now = 1.0
    stream.stop(PHONE)
    stream.share(PHONE, 2.5, at=0.5)
    assert stream.place == 1.0
    stream.now = REMEMBERED - 1
    stream.share(PHONE, 2.5, at=0.5)
    assert stream.place == 1.0


def test_one_whose_newer_place_expires_does_not_hide_the_other(stream):
    stream.share(PHONE, 1.0)
    stream.now = 1.0
    stream.share(TABLET, 2.0, lasts=5.0)
    stream.now = 10.0
    assert stream.place is None
    stream.share(PHONE, 1.0, at=0.0)  # told again, as it is every ten seconds
    assert stream.place == 1.0
    assert stream.told.expires == pytest.approx(600.0)


def test_what_is_told_again_changes_nothing(stream):
    stream.share(PHONE, 1.0)
    told = stream.told
    stream.now = 10.0
    stream.share(PHONE, 1.0, at=0.0)
    assert stream.told is told


def test_one_that_was_killed_is_stopped_by_the_next_that_stops(stream):
    """Whoever starts `parley share` once more and ends it wants to be seen no longer."""
    stream.share(PHONE, 1.0, link="a")
    stream.devices.left("a")
    assert stream.place == 1.0
    stream.now = 5.0
    stream.share(TABLET, 2.0)
    stream.stop(TABLET)
    assert stream.place is None


def test_one_that_comes_back_over_another_link_goes_on(stream):
    stream.share(PHONE, 1.0, link="a")
    stream.share(TABLET, 2.0)
    stream.devices.left("a")
    stream.now = 5.0
    stream.share(PHONE, 1.0, link="b", at=0.0)
    stream.stop(TABLET)
    assert stream.place == 1.0


def test_one_that_left_an_open_link_behind_stops_over_the_next(stream):
    stream.share(PHONE, 1.0, link="a")
    stream.now = 1.0
    stream.share(PHONE, 2.0, link="b")
    stream.stop(PHONE, link="b")
    assert stream.place is None


def test_clients_that_say_nothing_of_devices_are_one(stream):
    stream.share(0, 1.0, link="a")
    stream.now = 1.0
    stream.share(0, 2.0, link="b")
    stream.stop(0, link="b")
    assert stream.place is None


def test_nothing_is_held_of_what_is_over(stream):
    for device in range(1, 3 * MOST):
        stream.now += 1.0
        stream.share(device, 1.0, lasts=30.0)
        assert len(stream.devices._streams[ALICE, TO_BOB]) <= MOST
    stream.now += 30.0 + 61.0
    assert stream.place is None
    stream.now += 61.0
    stream.positions.expire(stream.now)
    assert len(stream.devices) == 0
    assert stream.devices._heard_on == {}
