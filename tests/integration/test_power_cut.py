"""A power cut at any moment: what was not synced is gone, or torn, or there; and all that was promised is kept."""

import shutil
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from tests.power import run, story, upkeep
from tests.power.disk import Disk, Luck
from tests.power.journal import Journal, Op

ADDRESS, PEOPLE = "127.0.186.1", "127.0.186."
SEED = 20
CUTS, EACH = 60, 30
"""Of them the first and the thirtieth are judged by a node that starts."""
NO_WAIT = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where an fsync takes no time: what a cut left is looked at there."""
NOT_OURS = {"chat.sock", "delivered.keys", "group.numbers"}
"""A socket, and files that are mapped into memory."""


class Recorded:
    """What happened to a node's files, from its first moment to its last."""

    def __init__(self, directory: Path, cuts: Path) -> None:
        self.root = directory / "root"
        self.root.mkdir()
        journal = Journal(directory, self.root, story.FSYNC)
        story.record(directory, journal, ADDRESS, PEOPLE)
        self.records = list(journal.records())
        self.place = run.Place(cuts, ADDRESS, PEOPLE)

    def faults(self, records, *, count=CUTS, live=0):
        """What is wrong after cuts of these records, as it is found."""
        chosen = run.cuts(records, count, Random(SEED))
        return (str(each) for each in run.play(self.root, records, chosen, self.place, live) if each.faults)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    with TemporaryDirectory(dir=NO_WAIT) as cuts:
        yield Recorded(tmp_path_factory.mktemp("power"), Path(cuts))


def files(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name not in NOT_OURS and not path.name.endswith("-shm")
    }


def test_the_journal_has_all_that_was_done(recorded, tmp_path):
    disk = Disk(recorded.root)
    for record in recorded.records:
        disk.apply(record)
    disk.write(tmp_path / "all", Luck.ALL, Random(SEED))
    assert files(tmp_path / "all") == files(recorded.root)


def test_nothing_told_as_kept_is_lost_or_comes_twice_and_the_archive_has_what_it_promises(recorded):
    assert not list(recorded.faults(recorded.records, live=EACH))


@pytest.mark.parametrize("what", ["chat.db-wal", "archive.db-wal", "identity", "data", "alpha"])
def test_a_file_or_directory_that_is_not_synced_is_found_out(recorded, what):
    """Its fsyncs did nothing; of a directory, what is named in it."""
    records = [
        each for each in recorded.records if each.op is not Op.SYNC or not Path(each.names[0]).name.endswith(what)
    ]
    if what == "identity":
        records = [each for each in records if each.op is not Op.SYNC or not each.names[0].endswith("alpha")]
    assert any(recorded.faults(_numbered(records)))


def _numbered(records):
    return [each._replace(number=number) for number, each in enumerate(records)]


@pytest.mark.parametrize("action", upkeep.ACTIONS)
def test_days_that_go_a_person_who_is_erased_and_a_migration_are_whole_after_any_cut(tmp_path, action):
    with TemporaryDirectory(dir=NO_WAIT) as name:
        root, before, there = (Path(name) / each for each in ("root", "before", "cuts"))
        there.mkdir()
        upkeep.base(before)
        shutil.copytree(before, root)
        journal = Journal(tmp_path, root)
        upkeep.record(action, root, journal)
        records = list(journal.records())
        at_last = [run.Cut(len(records) - 1, luck, SEED) for luck in Luck]
        chosen = [*run.cuts(records, EACH, Random(SEED)), *at_last]
        assert not upkeep.play(action, records, root, before, chosen, there)
