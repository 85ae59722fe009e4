"""One kind of program beside our node: each order of starting, then each of the two killed and started again.

Every run is a process of its own, which leaves for a network that has nothing but loopback: several go at a time.
"""

from __future__ import annotations

import os
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple

from tests.attack.child import Child, ChildFailed
from tests.interop.expected import NODE_BACK, NODE_FIRST, ORDERS, PROGRAM_BACK, Column
from tests.interop.impostor import try_names
from tests.interop.kinds.catalogue import KINDS
from tests.interop.kinds.kind import Kind
from tests.interop.report import Found
from tests.interop.shows.catalogue import SHOWS
from tests.interop.shows.show import LONG, Form, Story
from tests.interop.world import World
from tests.support.namespaces import leave
from tests.support.nodes import ROOT

LONGEST: Final = 600.0
"""Seconds for a run."""
SETTINGS: Final = {"PARLEY_DISCOVERY__DISCOVERY_INTERVAL": "1"}
"""Five times as often as by default: what goes wrong with it goes wrong sooner."""


class Run(NamedTuple):
    """One kind of program and who starts first; or a show, where `order` is empty."""

    name: str
    order: str

    def __str__(self) -> str:
        return f"{self.name}, {self.order}" if self.order else self.name


@dataclass(frozen=True)
class Options:
    """How it is tried."""

    root: Path = ROOT
    """The checkout that runs."""
    directory: Path = ROOT / "build" / "interop"
    form: Form = LONG
    mode: str = "mixed"
    """`security.mode` of our nodes."""
    at_once: int = 6
    """So many runs at a time."""


def tried(name: str, order: str, world: World) -> dict[tuple[str, str, Column], str]:
    """One kind, one order: all rows at first, after the program was killed, and after our node was.

    When all was seen once, somebody with a key tries the programs' names: that changes nothing.
    """
    kind = KINDS[name](world)
    if order == NODE_FIRST:
        kind.start_nodes()
        kind.connect_ours()
        kind.start()
    else:
        kind.start()
        kind.start_nodes()
        kind.connect_ours()
    cells = _rows(kind, (order, ""))
    if world.has_keys:
        for address in world.nodes:
            try_names(world.existing, address)
    kind.changed = time.monotonic()
    kind.kill()
    kind.start()
    cells |= _rows(kind, (order, PROGRAM_BACK))
    kind.changed = time.monotonic()
    world.kill_node()
    world.start_node()
    kind.connect_ours()
    kind.node_is_back()
    return cells | _rows(kind, (order, NODE_BACK))


def _rows(kind: Kind, column: Column) -> dict[tuple[str, str, Column], str]:
    kind.settle()
    return {(kind.name, str(row), column): kind.attempt(row, attempt) for row, attempt in kind.rows().items()}


# In a process of its own ----------------------------------------------------------------------------------


def serve(pipe: Connection, run: Run, options: Options, directory: Path) -> None:
    """The process of a run."""
    leave()
    began = time.monotonic()
    found = Found()
    settings = SETTINGS if run.order else {}
    with World(directory, options.root, settings, mode=options.mode) as world:
        try:
            if run.order:
                found.cells = tried(run.name, run.order, world)
            else:
                story = Story(world, options.form)
                SHOWS[run.name](story)
                found.claims = story.claims
        except Exception:  # noqa: BLE001 - what was found until then is worth to be known
            found.broken = traceback.format_exc()
        found.faults = world.faults()
    found.seconds = time.monotonic() - began
    pipe.send(found)


def in_a_process(run: Run, options: Options) -> Found:
    """Have a process do it, with a new directory; what it found, or why it did not."""
    place = options.directory / "".join(letter if letter.isalnum() else "-" for letter in str(run))
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        with Child(serve, run, options, place, processors=os.sched_getaffinity(0)) as child:
            found = child.hear(LONGEST)
    except ChildFailed as error:
        return Found(broken=str(error))
    assert isinstance(found, Found)
    return found


def all_runs(names: Sequence[str]) -> list[Run]:
    """Those of these kinds and shows; what takes longest begins."""
    shows = [Run(name, "") for name in SHOWS if name in names]
    return shows + [Run(name, order) for name in KINDS if name in names for order in ORDERS]


def try_all(runs: Sequence[Run], options: Options) -> Iterator[tuple[Run, Found]]:
    """Try them, several at a time; yields each in turn."""
    with ThreadPoolExecutor(options.at_once) as pool:
        found = [pool.submit(in_a_process, run, options) for run in runs]
        for run, future in zip(runs, found, strict=True):
            yield run, future.result()
