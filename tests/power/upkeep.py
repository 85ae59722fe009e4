"""Changes of whole files, cut at any moment: old days are removed, a person is erased, a mailbox is migrated.

`python -m tests.power.upkeep ACTION DIRECTORY` runs under the shim, and says `done` when it is.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Final

from parley.services.chat.archive import retention, storage
from parley.services.chat.archive.entries import MESSAGE, SENT, entry_bytes
from parley.services.chat.archive.projection import Projection
from parley.services.chat.message.statuses import Status
from parley.services.chat.storage import schema
from parley.shared.addresses import User
from parley.shared.errors import ParleyError
from parley.shared.wire.messages import encode, pb
from tests.power.disk import Disk
from tests.power.journal import Journal, Op, Record
from tests.power.run import Cut

ROOT: Final = Path(__file__).resolve().parents[2]
DAYS: Final = 6
KEPT_FROM: Final = 4
"""Of these days, numbered from 0, the ones that stay."""
OF_A_DAY: Final = 30
ERASED: Final = "eve"
ACTIONS: Final = ("prune", "erase", "migrate")


def base(directory: Path) -> None:
    """Make what an action changes: an archive of some days, and a mailbox of an older version."""
    directory.mkdir()
    with closing(storage.open_file(directory / storage.NAME)) as db:
        projection = Projection(db)
        for day in range(DAYS):
            storage.write_chunks(db, [b"".join(_entries(day))], storage.last_record(db) + 1, day, 0.0, 0.0)
        while chunk := storage.read_chunks(db, storage.projected(db)):
            projection.project(chunk)
    with closing(sqlite3.connect(directory / "chat.db", isolation_level=None)) as db:
        db.executescript((ROOT / "tests/data/chat-2.sql").read_text(encoding="utf-8"))


def _entries(day: int) -> Iterable[bytes]:
    for n in range(OF_A_DAY):
        author, to = User(("ann", ERASED)[n % 2], "alpha"), User("bob", "beta")
        number = day * OF_A_DAY + n + 1
        text = f"{word_of(day)} {author.user_id}word {n}"
        message = pb.ChatMessage(messageSnowflake=number, author=author.to_pb(), user=to.to_pb(), textContent=text)
        key = number.to_bytes(16, "little")
        yield entry_bytes(MESSAGE, SENT, Status.DELIVERED, 5.0, key, encode("MESSAGE", message))


def word_of(day: int) -> str:
    """A word that all messages of a day have."""
    return f"dayword{day}"


def act(action: str, directory: Path) -> None:
    """Do it, as a chat process does."""
    if action == "migrate":
        schema.open_file(directory / "chat.db").close()
        return
    with closing(storage.open_file(directory / storage.NAME)) as db:
        if action == "prune":
            retention.remove_before(db, KEPT_FROM)
        else:
            retention.erase(db, ERASED, "alpha")
        sys.stdout.write("done\n")
        sys.stdout.flush()


def record(action: str, directory: Path, journal: Journal) -> None:
    """Have it done below the journal's root, with a note when it was said to be done."""
    command = [sys.executable, "-m", "tests.power.upkeep", action, str(directory)]
    environment = os.environ | dict(journal.environment)
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            journal.note(line.strip())
    assert process.returncode == 0, process.returncode


def play(
    action: str, records: list[Record], root: Path, before: Path, chosen: Iterable[Cut], there: Path
) -> list[str]:
    """What is wrong after these cuts, each of which leaves its directory below `there`."""
    disk, at, is_done = Disk(root, before), 0, False
    faults = []
    for cut in chosen:
        for step in records[at : cut.number + 1]:
            disk.apply(step)
            is_done = is_done or step.op is Op.NOTE
        at = cut.number + 1
        left = Path(mkdtemp(prefix=f"{action}-{cut.number}-", dir=there)) / "left"
        disk.write(left, cut.luck, Random(cut.seed))
        faults += [f"{action}, {cut}: {fault}" for fault in judge(action, left, is_done=is_done)]
        shutil.rmtree(left.parent)
    return faults


def judge(action: str, directory: Path, *, is_done: bool) -> list[str]:
    """What is wrong with a directory; `is_done`: the operator was told that it is done."""
    try:
        with closing(schema.open_file(directory / "chat.db")) as db:
            waiting = db.execute("SELECT COUNT(*) FROM message").fetchone()[0]
        with closing(storage.open_file(directory / storage.NAME)) as db:
            verified = retention.verify(db)
            days = {day for (day,) in db.execute("SELECT day FROM day")}
            lines = db.execute("SELECT COUNT(*) FROM line").fetchone()[0]
    except (ParleyError, sqlite3.Error) as error:
        return [str(error)]
    faults = [] if waiting == 9 else [f"{waiting} of 9 messages wait"]
    if verified["broken_records"] or verified["lost_lines"]:
        faults.append(f"the archive has {verified}")
    stay = (
        (DAYS - KEPT_FROM) * OF_A_DAY if action == "prune" else DAYS * OF_A_DAY // (2 if action == "erase" else 1)
    )
    if not days >= set(range(KEPT_FROM, DAYS)) or lines < stay:
        faults.append(f"of the days {sorted(days)} are there, and {lines} lines of at least {stay}")
    if is_done:
        faults += _words_of_what_went(action, directory)
    return faults


def _words_of_what_went(action: str, directory: Path) -> list[str]:
    raw = b"".join(path.read_bytes() for path in sorted(directory.glob(f"{storage.NAME}*")))
    gone = [word_of(day) for day in range(KEPT_FROM)] if action == "prune" else []
    gone += [f"{ERASED}word"] if action == "erase" else []
    return [f"{word} is still in the file" for word in gone if word.encode() in raw]


if __name__ == "__main__":
    act(sys.argv[1], Path(sys.argv[2]))
