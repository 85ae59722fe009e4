"""A change of the archive while no chat process runs, behind all that the last one told."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from pathlib import Path
from typing import Final

from parley.services.chat.archive import storage
from parley.services.chat.archive.changes import Change
from parley.services.chat.archive.changing import apply
from parley.services.chat.archive.journal.segment_files import SegmentFiles
from parley.services.chat.archive.worker import Chunk, Policy, Task, Worker
from parley.services.chat.storage.body_files import JOURNAL

ALL: Final = Policy(36_500.0, 1 << 62)
"""Nothing goes but what the change removes."""
PATIENCE: Final = 600.0
"""Seconds for which lists may be made of what is in none."""


class _Silent:
    def info(self, event: str, **fields: object) -> None:
        """Tell nobody."""

    error = info


def change(directory: Path, change: Change) -> int:
    """Write and list what a chat process left, then make the change; its count. Who calls has chat's lock.

    Nobody is there who knows authors' devices: of what is left, an edit that wants proof has no effect.

    Raises:
        Unusable: it is no archive of ours.
        sqlite3.Error: it cannot be changed.

    """
    path = directory / storage.NAME
    counts: list[int] = []
    errors: list[sqlite3.Error] = []
    done = threading.Event()

    def run(db: sqlite3.Connection | None) -> None:
        try:
            if db is None:
                raise sqlite3.OperationalError("what is in no list yet cannot be put into one")
            counts.append(apply(db, directory.name, change))
        except sqlite3.Error as error:
            errors.append(error)
        done.set()

    with storage.locked(path):
        segments = SegmentFiles(directory / JOURNAL, time.time() - time.monotonic())
        with contextlib.closing(storage.open_file(path)) as db:
            day = db.execute("SELECT MAX(day) FROM day").fetchone()[0] or 0
        worker = Worker(path, ALL, _Silent(), session=segments.session, ended=done.set)
        now = time.monotonic()
        for left in segments.left(worker.position().written):
            worker.put(Chunk(left.entries, day * storage.DAY, left.clock, time.time(), now, left.number))
        worker.do(Task(run, now + PATIENCE))
        worker.start()
        done.wait()
        worker.close()
        if errors or not counts:
            raise errors[0] if errors else sqlite3.OperationalError(worker.error)
        segments.release(segments.end_of_left)
    return counts[0]
