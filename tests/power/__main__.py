"""`make power-cut`: one story, cut at many moments; each cut is judged by a node that starts with what it left."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

from tests.power import run, story, upkeep
from tests.power.journal import Journal, Op, Record
from tests.support.namespaces import leave_as_anybody

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = ROOT / "build" / "power"
ADDRESS, OTHER, PEOPLE = "127.0.187.1", "127.0.187.2", "127.0.187."
SHOWN: Final = 10
"""Cuts with faults that are shown whole."""


def main() -> int:
    """Record, cut, judge; the exit code is 1 where anything that was promised is lost."""
    parser = argparse.ArgumentParser(prog="make power-cut", description=__doc__)
    parser.add_argument("--cuts", type=int, default=200, help="of the story")
    parser.add_argument("--live", type=int, default=1, help="start a node after every so many of them; 0: never")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    leave_as_anybody()
    seed = secrets.randbelow(1 << 31) if options.seed is None else options.seed
    shutil.rmtree(BUILD, ignore_errors=True)
    (BUILD / "cuts").mkdir(parents=True)
    began = time.monotonic()
    _say(f"seed               {seed}")
    failed = _story(options.cuts, options.live, Random(seed)) + _upkeep(options.cuts, Random(seed))
    _say(f"time               {time.monotonic() - began:.0f} s")
    _say("passed" if not failed else f"FAILED: {failed} cuts; what they left is in {BUILD / 'cuts'}")
    return 1 if failed else 0


def _story(count: int, live: int, random: Random) -> int:
    """How many cuts of it have faults."""
    root = BUILD / "root"
    root.mkdir()
    journal = Journal(BUILD, root, story.FSYNC)
    story.record(BUILD, journal, ADDRESS, PEOPLE, OTHER)
    records = list(journal.records())
    known = story.known_of(records)
    _say(f"recorded           {_counted(records)}")
    _say(f"messages           {len(known.sent)}, of which {len(known.kept)} were told as kept or delivered")
    outcomes = [0, 0]
    failed = 0
    place = run.Place(BUILD / "cuts", ADDRESS, PEOPLE, keeps=True)
    lucks: Counter[str] = Counter()
    for outcome in run.play(root, records, run.cuts(records, count, random), place, live):
        outcomes[outcome.was_live] += 1
        lucks[outcome.cut.luck.name.lower()] += 1
        if outcome.faults:
            failed += 1
            if failed <= SHOWN:
                _say(str(outcome))
    _say(f"cuts               {sum(outcomes)}, {outcomes[1]} of them with a node that started; {_listed(lucks)}")
    return failed


def _upkeep(count: int, random: Random) -> int:
    failed = 0
    for action in upkeep.ACTIONS:
        root, before = BUILD / action, BUILD / f"{action}-before"
        upkeep.base(before)
        shutil.copytree(before, root)
        journal = Journal(BUILD, root)
        upkeep.record(action, root, journal)
        records = list(journal.records())
        chosen = run.cuts(records, count, random)
        faults = upkeep.play(action, records, root, before, chosen, BUILD / "cuts")
        _say(f"{action:18} {count} cuts of {_counted(records)}")
        for fault in faults[:SHOWN]:
            _say(f"    {fault}")
        failed += len({fault.split(":")[0] for fault in faults})
    return failed


def _counted(records: list[Record]) -> str:
    counts = Counter(each.op for each in records)
    changes = len(records) - counts[Op.SYNC] - counts[Op.NOTE]
    return f"{changes} changes of files, {counts[Op.SYNC]} syncs, {counts[Op.NOTE]} words to people"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
