"""The window of received numbers of one user: judged in memory, kept on disk by a thread.

It is read when the first link opens, before any message is judged. What is received is written a moment later, and
what is left at the end; after a crash what came in that moment may be shown once more. Without a directory, or
where the disk cannot be used, it lasts as long as the process.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from parley.client.trust.late_writing import LateWriting
from parley.client.trust.numbers_file import NumbersFile
from parley.shared.telemetry.logs import Log
from parley.shared.trust.replays import Order, Replays, Sender


class ReceivedNumbers:
    """One user's, from `begin` to `end`."""

    def __init__(self, log: Log) -> None:
        self._replays = Replays()
        self._writing: LateWriting[Sender, list[int]] = LateWriting("numbers", log)
        self._has_begun = False

    def begin(self, path: Path | None) -> None:
        """Read what was received before, once; None: nothing is kept."""
        if self._has_begun or path is None:
            return
        self._has_begun = True
        try:
            file = NumbersFile(path)
            self._writing.begin(file)
            for sender, numbers in file.read():
                self._replays.note(sender, *numbers)
        except (OSError, sqlite3.Error) as error:
            self._writing.failed(error)

    def order(self, sender: Sender, number: int) -> Order:
        """The place of a number among those that were received."""
        return self._replays.order(sender, number)

    def note(self, sender: Sender, number: int) -> None:
        """It was received, and its signature holds."""
        self._replays.note(sender, number)
        if self._writing.is_on:
            self._writing.unwritten.setdefault(sender, []).append(number)
            self._writing.changed()

    async def end(self) -> None:
        """Write what is left, and let go of the file."""
        if self._writing.is_on:
            self._has_begun = False
        await self._writing.end()
