"""Pins on disk: what was first stays first, for all processes, across restarts, disks and clocks."""

import asyncio
import os
import sqlite3
import stat

import pytest

from parley.shared.runtime.moments import Moment
from parley.shared.trust import server_trust
from parley.shared.trust.ages import DAY, HOUR, passed
from parley.shared.trust.claims import LAPSE, PER_HOUR, Claims
from parley.shared.trust.pins import How, Pin, Pins, Verdict
from parley.shared.trust.plain_names import HELD, MOST, PlainNames
from parley.shared.trust.refusals import EACH, Refusals, Refused
from parley.shared.trust.refusals import MOST as MOST_REFUSED
from parley.shared.trust.server_trust import ServerTrust
from parley.shared.trust_storage import aged_file, pins
from parley.shared.trust_storage.pins import PinStore
from parley.shared.trust_storage.pins_file import PinsFile

ONE, TWO, THREE = b"1" * 32, b"2" * 32, b"3" * 32
NEAR = "10.0.0.2"
PATIENCE = 10.0


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - of a thread, which tells nobody
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr(pins, "LOOK", 0.01)


class Opened:
    """A store, and what it told."""

    def __init__(self, directory):
        self.changed, self.errors, self.limited, self.wells = [], [], [], 0
        self.store = PinStore(
            directory,
            changed=self.changed.append,
            failed=self.errors.append,
            well=self.is_well,
            limited=self.limited.append,
        )

    def is_well(self):
        self.wells += 1

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.store.close()

    @property
    def names(self):
        return set().union(*self.changed)


# Time ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now", "seconds"),
    [
        (Moment(1e9, 5.0, "a"), Moment(1e9 + 60, 65.0, "a"), 60.0),
        (Moment(1e9, 5.0, "a"), Moment(4.3e9, 65.0, "a"), 60.0),
        (Moment(1e9, 5.0, "a"), Moment(0.0, 65.0, "a"), 60.0),
        (Moment(1e9, 5.0, "a"), Moment(1e9 + 3600, 1.0, "b"), 3600.0),
        (Moment(0.0, 5.0, "a"), Moment(1.8e9, 1.0, "b"), DAY),
        (Moment(0.0, 5.0, "a"), Moment(4294967296.0, 1.0, "b"), DAY),
        (Moment(4294967296.0, 5.0, "a"), Moment(0.0, 1.0, "b"), 0.0),
        (Moment(1e9, 5.0, ""), Moment(1e9 + 60, 1.0, ""), 60.0),
    ],
)
def test_time_passes_by_the_machines_running_and_by_a_clock_for_a_day_at_most(before, now, seconds):
    assert passed(before, now) == seconds


@pytest.mark.parametrize("wall", [0.0, 1.8e9, 4294967296.0])
def test_a_clock_from_1970_to_2106_ends_no_hold_and_no_claim(tmp_path, monkeypatch, wall):
    monkeypatch.setattr(aged_file, "moment", lambda: Moment(1.7e9, 100.0, "one"))
    with PinsFile(tmp_path) as file:
        file.claim(Pin("beta", ONE, How.SEEN, 1.7e9), NEAR)
        file.use_in_plain("gamma")
    monkeypatch.setattr(aged_file, "moment", lambda: Moment(wall, 1.0, "two"))
    with PinsFile(tmp_path) as file:
        file.tick()
        found = file.read()
        assert found.key_of("beta") == ONE
        assert found.plain.is_held("gamma", file.written[0])


def test_a_hold_and_a_claim_end_when_their_time_has_passed_indeed(tmp_path, monkeypatch):
    now = [Moment(1.7e9, 100.0, "one")]
    monkeypatch.setattr(aged_file, "moment", lambda: now[0])
    with PinsFile(tmp_path) as file:
        file.claim(Pin("beta", ONE, How.SEEN, 0.0), NEAR)
        file.claim(Pin("delta", TWO, How.SEEN, 0.0), NEAR)
        file.use(Pin("delta", TWO, How.SEEN, 0.0, is_used=True))
        file.use_in_plain("gamma")
        now[0] = Moment(0.0, 100.0 + LAPSE + 1, "one")
        file.tick()
        assert set(file.read().pins.by_name) == {"delta"}
        assert file.read().plain.is_held("gamma", file.written[0])
        now[0] = Moment(0.0, 100.0 + HELD + 1, "one")
        file.tick()
        assert not file.read().plain.used


# The rules in memory --------------------------------------------------------------------------------------


def test_a_plain_held_name_is_no_keys_until_people_say_so():
    trust = ServerTrust()
    trust.plain.note("Beta", 0.0)
    assert trust.judge("beta", ONE, HELD - 1) is Verdict.PLAIN_HELD
    assert trust.judge("beta", ONE, HELD) is Verdict.NEW
    trust.accept(Pin("beta", ONE, How.APPROVED, 0.0))
    assert trust.judge("beta", ONE, 0.0) is Verdict.SAME
    assert not trust.pins.may_be_plain("BETA")


def test_a_revoked_key_never_returns_and_leaves_its_name_to_nobody():
    trust = ServerTrust()
    trust.accept(Pin("beta", ONE, How.APPROVED, 0.0))
    trust.revoke(ONE)
    assert trust.judge("beta", ONE, 0.0) is Verdict.REVOKED
    assert trust.judge("other", ONE, 0.0) is Verdict.REVOKED
    assert trust.judge("beta", TWO, 0.0) is Verdict.OTHER
    assert not trust.pins.may_be_plain("beta")


def test_plain_names_are_bounded_and_make_room_when_they_lapse():
    names = PlainNames()
    assert all(names.note(f"s{number}", 0.0) for number in range(MOST))
    assert not names.note("more", HELD - 1)
    assert names.note("s0", HELD - 1)
    assert names.note("more", HELD)
    assert set(names.used) == {"s0", "more"}


def test_refusals_are_bounded_by_name_and_in_all():
    refusals = Refusals()
    for number in range(EACH + 2):
        gone = refusals.note(Refused("beta", bytes([number]) * 32, "other_key", NEAR, 0.0))
        assert len(gone) == (number >= EACH)
    assert [each.key[0] for each in refusals.of("BETA")] == [2, 3, 4, 5]
    for number in range(MOST_REFUSED + 10):
        refusals.note(Refused(f"s{number}", ONE, "other_key", NEAR, 0.0))
    assert len(refusals.by_key) == MOST_REFUSED


def test_an_address_claims_a_few_names_an_hour_and_all_together_a_bounded_number():
    claims = Claims()
    for _ in range(PER_HOUR):
        assert claims.may_claim(NEAR, 0.0, 0)
        claims.note(NEAR, 0.0)
    assert not claims.may_claim(NEAR, HOUR - 1, 0)
    assert claims.may_claim("10.0.0.3", 0.0, 0)
    assert claims.may_claim(NEAR, HOUR, 0)
    assert not claims.may_claim("10.0.0.3", 0.0, 10_000)


def test_only_claims_that_were_not_used_again_lapse():
    made = Pins()
    made.put(Pin("claimed", ONE, How.SEEN, 0.0))
    made.put(Pin("linked", ONE, How.SEEN, 0.0, is_used=True))
    made.put(Pin("invited", ONE, How.INVITED, 0.0))
    assert [pin.name for pin in made.lapsed(LAPSE)] == ["claimed"]
    assert made.lapsed(LAPSE - 1) == []
    assert made.claims == 1


def test_a_use_is_worth_writing_once_a_day_or_when_it_ends_a_claim():
    trust = ServerTrust()
    trust.pins.put(Pin("beta", ONE, How.SEEN, 0.0))
    assert trust.used("beta", 10.0, is_linked=False) is None
    linked = trust.used("beta", 10.0, is_linked=True)
    assert linked.is_used
    trust.pins.put(linked)
    assert trust.used("beta", 20.0, is_linked=True) is None
    assert trust.used("beta", 10.0 + DAY, is_linked=False).used == 10.0 + DAY
    assert trust.used("nobody", 0.0, is_linked=True) is None


# The store ------------------------------------------------------------------------------------------------


def test_files_are_nobody_elses(tmp_path):
    with PinsFile(tmp_path / "trust") as file:
        file.put(Pin("beta", ONE, How.APPROVED, 0.0))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "trust").iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "trust").stat().st_mode) == 0o700


def test_pins_outlast_their_process(tmp_path):
    async def story():
        async with Opened(tmp_path) as one:
            assert one.store.judge("beta", ONE, NEAR) is Verdict.NEW
            assert one.store.judge("Beta", ONE, NEAR) is Verdict.SAME
            one.store.used_in_plain("gamma")
            one.store.revoke(THREE)
        async with Opened(tmp_path) as two:
            assert two.store.trust.key_of("BETA") == ONE
            assert two.store.judge("beta", TWO, NEAR) is Verdict.OTHER
            assert two.store.judge("gamma", TWO, NEAR) is Verdict.PLAIN_HELD
            assert two.store.judge("delta", THREE, NEAR) is Verdict.REVOKED
        async with Opened(tmp_path) as three:
            assert {each.what for each in three.store.trust.refusals.by_key.values()} == {
                "other_key",
                "plain_held",
                "revoked",
            }
            three.store.accept("beta", TWO)
            assert three.store.judge("beta", TWO, NEAR) is Verdict.SAME
            assert three.store.trust.refusals.of("beta") == []

    asyncio.run(story())


def test_a_store_that_nobody_closes_ends_with_its_loop(tmp_path):
    async def leave():
        return PinStore(tmp_path)

    store = asyncio.run(leave())
    store._thread.join(PATIENCE)
    assert not store._thread.is_alive()


def test_of_four_processes_the_first_to_pin_a_name_wins_everywhere(tmp_path):
    async def story():
        keys = [bytes([number]) * 32 for number in range(1, 5)]
        opened = [Opened(tmp_path) for _ in keys]
        try:
            for each, key in zip(opened, keys, strict=True):
                assert each.store.judge("beta", key, NEAR) is Verdict.NEW
            await until(lambda: len({each.store.trust.key_of("beta") for each in opened}) == 1)
            winner = opened[0].store.trust.key_of("beta")
            for each, key in zip(opened, keys, strict=True):
                assert each.store.judge("beta", key, NEAR) is (Verdict.SAME if key == winner else Verdict.OTHER)
                assert ("beta" in each.names) == (key != winner)
        finally:
            for each in opened:
                each.store.close()

    asyncio.run(story())


def test_what_the_operator_decides_is_seen_by_a_running_process(tmp_path):
    async def story():
        async with Opened(tmp_path) as running:
            running.store.judge("beta", ONE, NEAR)
            await until(lambda: not running.store._unwritten)
            with PinsFile(tmp_path) as file:
                file.put(Pin("beta", TWO, How.APPROVED, 0.0))
            await until(lambda: running.names)
            assert running.changed == [frozenset({"beta"})]
            assert running.store.judge("beta", TWO, NEAR) is Verdict.SAME
            with PinsFile(tmp_path) as file:
                file.revoke(TWO)
            await until(lambda: len(running.changed) == 2)
            assert running.store.judge("beta", TWO, NEAR) is Verdict.REVOKED

    asyncio.run(story())


def test_what_is_not_written_yet_outlives_the_news_of_others(tmp_path):
    async def story():
        async with Opened(tmp_path) as running:
            running.store._attempt = lambda _work: True  # the disk is slow
            running.store.judge("beta", ONE, NEAR)
            running.store.used_in_plain("gamma")
            running.store._read(ServerTrust(), (0.0, Moment(0.0)))
            assert running.store.trust.key_of("beta") == ONE
            assert running.store.trust.plain.is_held("gamma", 0.0)

    asyncio.run(story())


def test_without_a_disk_all_goes_on_in_memory_and_is_written_later(tmp_path):
    async def story():
        blocked = tmp_path / "trust"
        blocked.write_text("no directory")
        async with Opened(blocked) as running:
            assert running.errors
            assert running.store.judge("beta", ONE, NEAR) is Verdict.NEW
            assert running.store.judge("beta", TWO, NEAR) is Verdict.OTHER
            await until(lambda: len(running.errors) > 2)
            blocked.unlink()
            await until(lambda: running.wells and not running.store._unwritten)
        with PinsFile(blocked) as file:
            assert file.read().key_of("beta") == ONE

    asyncio.run(story())


def test_a_file_that_is_gone_is_made_again_with_what_is_known(tmp_path):
    async def story():
        async with Opened(tmp_path) as running:
            running.store.accept("beta", ONE)
            running.store.revoke(TWO)
            await until(lambda: not running.store._unwritten)
            for path in tmp_path.iterdir():
                path.unlink()
            running.store.judge("gamma", THREE, NEAR)
            await until(lambda: (tmp_path / "pins.db").exists() and not running.store._unwritten)
            assert not running.errors
        with PinsFile(tmp_path) as file:
            found = file.read()
        assert (found.key_of("beta"), found.key_of("gamma"), found.pins.revoked) == (ONE, THREE, {TWO})
        assert found.pins.of("beta").how is How.APPROVED

    asyncio.run(story())


def test_a_file_that_is_none_of_ours_is_left_alone(tmp_path):
    async def story():
        (tmp_path / "pins.db").write_bytes(b"something else" * 1000)
        async with Opened(tmp_path) as running:
            assert isinstance(running.errors[0], sqlite3.DatabaseError)
            assert running.store.judge("beta", ONE, NEAR) is Verdict.NEW
        assert (tmp_path / "pins.db").read_bytes() == b"something else" * 1000

    asyncio.run(story())


def test_an_address_that_claims_too_many_names_is_limited_by_all_processes_together(tmp_path):
    async def story():
        async with Opened(tmp_path) as one, Opened(tmp_path) as two:
            for number in range(PER_HOUR):
                one.store.judge(f"one{number}", ONE, NEAR)
            two.store.judge("two", TWO, NEAR)
            await until(lambda: one.limited or two.limited)
            await until(lambda: len(one.store.trust.pins.by_name) == len(two.store.trust.pins.by_name) == PER_HOUR)
            assert two.store.judge("three", TWO, "10.0.0.3") is Verdict.NEW
            assert two.store.trust.key_of("three") == TWO

    asyncio.run(story())


def test_a_key_that_came_before_the_news_that_the_name_is_held_in_plain_loses_it(tmp_path):
    async def story():
        async with Opened(tmp_path) as running:
            running.store._look = lambda _file: None  # the news is late
            with PinsFile(tmp_path) as file:
                file.use_in_plain("beta")
            assert running.store.judge("beta", ONE, NEAR) is Verdict.NEW
            await until(lambda: running.changed)
            assert running.changed == [frozenset({"beta"})]
            assert running.store.judge("beta", ONE, NEAR) is Verdict.PLAIN_HELD
            assert not running.limited

    asyncio.run(story())


def test_a_restored_backup_has_its_own_pins_and_time_goes_on_in_it(tmp_path, monkeypatch):
    now = [Moment(1.7e9, 100.0, "one")]
    monkeypatch.setattr(aged_file, "moment", lambda: now[0])
    with PinsFile(tmp_path) as file:
        file.put(Pin("beta", ONE, How.APPROVED, 0.0))
        file.use_in_plain("gamma")
    backup = (tmp_path / "pins.db").read_bytes()
    now[0] = Moment(1.7e9 + 10 * DAY, 100.0 + 10 * DAY, "one")
    with PinsFile(tmp_path) as file:
        file.put(Pin("beta", TWO, How.APPROVED, 0.0))
    (tmp_path / "pins.db").write_bytes(backup)
    with PinsFile(tmp_path) as file:
        assert file.read().key_of("beta") == ONE
        file.tick()
        assert file.written[0] == pytest.approx(10 * DAY)
        assert file.read().plain.is_held("gamma", file.written[0])


def test_a_flood_of_refusals_writes_little(tmp_path):
    async def story():
        async with Opened(tmp_path) as running:
            running.store.accept("beta", ONE)
            for number in range(200):
                running.store.judge("beta", os.urandom(31) + bytes([number]), NEAR)
            assert running.limited.count("refusals") >= 200 - pins.REFUSALS_BURST - 2
            assert len(running.store.trust.refusals.of("beta")) == EACH

    asyncio.run(story())


def test_every_verdict_that_refuses_has_a_reason():
    assert set(server_trust.REASONS) == set(Verdict) - {Verdict.NEW, Verdict.SAME, Verdict.STRANGER}


def test_a_name_that_another_process_saw_used_in_plain_is_claimed_by_no_key(tmp_path):
    with PinsFile(tmp_path) as file:
        file.use_in_plain("beta")
        assert file.claim(Pin("beta", ONE, How.SEEN, 0.0), NEAR) is None
        assert file.read().pins.of("beta") is None
