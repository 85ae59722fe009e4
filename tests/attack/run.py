"""One attack, tried: nodes up, honest users writing, quiet, the attack, quiet again, and what came of it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tests.attack import attacker, people
from tests.attack.attacker import Done
from tests.attack.catalogue import ATTACKS
from tests.attack.child import Child, ChildFailed
from tests.attack.judge import Found, Verdict, judge
from tests.attack.nodes import Nodes
from tests.attack.people import Phase, Record
from tests.support.nodes import ROOT

PREPARED: Final = 120.0
"""Seconds for what an attack needs beforehand."""
ARRIVED: Final = 60.0
ENDED: Final = 90.0
"""Seconds in which the honest users tell what they saw."""
WARM: Final = 1.0
"""Seconds of writing before anything is measured."""
WRITTEN: Final = 0.5
"""Seconds in which a line of log that is due is written."""
AFTER: Final = 2.0
"""Seconds of writing after an attack: what is late comes."""
MEMORY: Final = Path("/dev/shm")
"""Where the honest users keep their keys: each has a disk of their own in truth, and these have one together."""
STOLEN: Final = 8
"""The column of /proc/stat with the time in which a virtual machine's processor was another's."""
NOBODY: Final = Phase(0, float("inf"), float("inf"), float("inf"))


@dataclass(frozen=True)
class Options:
    """How it is tried. Seconds."""

    quiet: float = 5.0
    seconds: float = 15.0
    rate: float = 200.0
    """Honest messages a second."""
    root: Path = ROOT
    """The checkout that is attacked."""
    directory: Path = ROOT / "build" / "attack"


@dataclass(frozen=True)
class Processors:
    """Who may run where: the attacker has one for itself alone, and the nodes and honest users have the others."""

    attacker: Collection[int]
    others: Collection[int]

    @classmethod
    def of(cls, all_of_them: Collection[int]) -> Processors:
        """The last one is the attacker's; there are two at least."""
        *others, last = sorted(all_of_them)
        return cls({last}, set(others))


def tried(name: str, options: Options, processors: Processors) -> Verdict:
    """Try one attack on new nodes."""
    directory = options.directory / "nodes"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    kind = ATTACKS[name]
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as homes,
        Nodes(directory, kind, options.root) as nodes,
        Child(people.serve, options.rate, directory, Path(homes), processors=processors.others) as honest,
        Child(attacker.serve, name, nodes.alpha.directory / "data", processors=processors.attacker) as evil,
    ):
        nodes.settle_on(processors.others)
        evil.hear(PREPARED)
        honest.ask("arrive", ARRIVED)
        time.sleep(WARM)
        nodes.watch()
        honest.ask("phase quiet", ARRIVED)
        time.sleep(options.quiet)
        honest.ask("phase attack", ARRIVED)
        before = stolen(processors.others)
        done = evil.ask(options.seconds, options.seconds + 30.0)
        taken_away = stolen(processors.others) - before
        honest.ask("phase after", ARRIVED)
        time.sleep(WRITTEN)
        nodes.note_lines()
        evil.tell(0.0)
        time.sleep(AFTER)
        record = settled(honest)
        grown = nodes.grown(kind.seen)
        faults = nodes.faults()
        return judge(found(name, options, done, record, nodes, grown, [*done.faults, *faults], taken_away))


def stolen(processors: Collection[int], statistics: Path = Path("/proc/stat")) -> float:
    """For how many seconds since the start other machines of the same computer had these processors: proc(5)."""
    rows = [row.split() for row in statistics.read_text().splitlines()]
    names = {f"cpu{number}" for number in processors}
    return sum(int(row[STOLEN]) for row in rows if row[0] in names) / os.sysconf("SC_CLK_TCK")


def settled(honest: Child) -> Record:
    """What the honest users saw; where they cannot tell, all is lost."""
    try:
        return honest.ask("settle", ENDED)
    except ChildFailed as error:
        return Record({"quiet": NOBODY, "attack": NOBODY}, 1, 0, [str(error)])


def found(
    name: str,
    options: Options,
    done: Done,
    record: Record,
    nodes: Nodes,
    grown: dict[str, float],
    faults: list[str],
    taken_away: float,
) -> Found:
    """All of it in one."""
    quiet, phase, usage = record.phases["quiet"], record.phases["attack"], nodes.used()
    return Found(
        name=name,
        seconds=done.seconds,
        intended=ATTACKS[name].rate * options.seconds,
        offered=done.offered,
        taken=done.taken,
        quiet_p99=quiet.p99,
        p50=phase.p50,
        p99=phase.p99,
        worst=phase.worst,
        lost=record.lost,
        late=record.late,
        wrong=record.wrong,
        memory=usage.memory,
        disk=usage.disk,
        descriptors=usage.descriptors,
        lines=usage.lines,
        events=usage.events,
        grown=grown,
        needed={str(counter): counter.share * done.offered for counter in ATTACKS[name].seen},
        faults=faults,
        cpu=done.cpu,
        answers=done.answers,
        stolen=taken_away,
    )


def crashed(name: str, error: Exception) -> Verdict:
    """An attack that could not be tried, or whose end nobody saw: that is a failure, too."""
    none = float("inf")
    nothing = Found(name, 0.0, 1.0, 0, 0, none, none, none, none, 0, 0, [], {}, 0.0, 0.0, 0, "", {}, {})
    return replace(judge(nothing), void=[f"could not be tried: {str(error)[-300:]}"], failed=[])
