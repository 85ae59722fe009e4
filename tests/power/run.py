"""Cuts the power of one recorded story at many moments, and judges what each leaves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Final

from tests.power import judge
from tests.power.disk import Disk, Luck
from tests.power.journal import Op, Record
from tests.power.story import KEPT, Known

AFTER_A_WORD: Final = 0.6
"""How many of the cuts are at the moment when somebody was told that a message is kept."""
BAD_LUCK: Final = 0.4
"""How many of the cuts leave nothing that was not synced."""


@dataclass(frozen=True)
class Cut:
    """One cut: behind a record, with some luck."""

    number: int
    luck: Luck
    seed: int

    def __str__(self) -> str:
        return f"cut {self.number} ({self.luck.name}, {self.seed})"


@dataclass
class Outcome:
    """What one cut left."""

    cut: Cut
    at: Record
    faults: list[str]
    was_live: bool

    def __str__(self) -> str:
        what = " → ".join(Path(name).name for name in self.at.names) or self.at.data.decode(errors="replace")
        said = "\n    ".join(dict.fromkeys(self.faults[:12]))
        return f"{self.cut}, behind {self.at.op.name} {what}:\n    {said}"


def cuts(records: Sequence[Record], count: int, random: Random) -> list[Cut]:
    """So many moments and fortunes, in order."""
    told = [each.number for each in records if each.op is Op.NOTE and any(k.encode() in each.data for k in KEPT)]
    chosen = []
    for _ in range(count):
        number = random.choice(told) if told and random.random() < AFTER_A_WORD else random.randrange(len(records))
        luck = Luck.NOTHING if random.random() < BAD_LUCK else random.choice(list(Luck))
        chosen.append(Cut(number, luck, random.randrange(1 << 32)))
    return sorted(chosen, key=lambda each: each.number)


@dataclass(frozen=True)
class Place:
    """Where cuts are tried: a directory, and addresses."""

    directory: Path
    address: str
    people: str
    """The people's addresses, up to the last number."""
    keeps: bool = False
    """Whether what a cut with faults left stays there, as it was and as it is."""


def play(
    root: Path, records: Sequence[Record], chosen: Sequence[Cut], place: Place, live: int
) -> Iterator[Outcome]:
    """Judge each cut by its files, and every `live`-th by a node that starts with them (0: none)."""
    disk, known, at = Disk(root), Known(), 0
    for count, cut in enumerate(chosen):
        for record in records[at : cut.number + 1]:
            disk.apply(record)
            known.step(record)
        at = cut.number + 1
        there = Path(mkdtemp(prefix=f"{cut.number}-", dir=place.directory))
        disk.write(there / "looked-at", cut.luck, Random(cut.seed))
        faults = judge.inspect(there / "looked-at" / "data", known)
        is_live = bool(live) and count % live == 0 and not faults
        if is_live:
            disk.write(there / "node", cut.luck, Random(cut.seed))
            again = cut.seed % 2 == 0
            faults = judge.live(there / "node", known.copy(), place.address, place.people, is_sent_again=again)
        yield Outcome(cut, records[cut.number], faults, is_live)
        if faults and place.keeps:
            disk.write(there / "left", cut.luck, Random(cut.seed))
        else:
            shutil.rmtree(there)
