"""A file that several processes open at once, when it is new."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from parley.client.cache.cache_file import CacheFile
from parley.shared import write_ahead
from parley.shared.trust_storage.aged_file import AgedFile

TOGETHER = 4
ROUNDS = 20


def test_somebody_who_writes_at_that_moment_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db = sqlite3.connect(path, isolation_level=None)
    begun = threading.Event()
    db.set_trace_callback(lambda said: begun.set() if said.startswith("BEGIN") else None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("CREATE TABLE a (b)")
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(lambda: begun.wait() and writer.execute("COMMIT"))
        write_ahead.turn_on(db)
        ended.result()
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    writer.close()
    db.close()


def test_who_never_ends_is_not_waited_for_longer_than_the_connection_says(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    db = sqlite3.connect(path, isolation_level=None, timeout=0.01)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        write_ahead.turn_on(db)
    writer.close()
    db.close()


def test_a_file_that_is_none_of_sqlites_is_no_reason_to_try_again(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    path.write_bytes(b"no database" * 200)
    db = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        write_ahead.turn_on(db)
    db.close()


@pytest.mark.parametrize("kind", ["aged", "cache"])
def test_a_new_file_is_opened_by_several_at_once(tmp_path: Path, kind: str) -> None:
    barrier = threading.Barrier(TOGETHER)

    def opened(path: Path) -> None:
        barrier.wait()
        if kind == "aged":
            AgedFile(path, "CREATE TABLE a (b);", 1).close()
        else:
            CacheFile(path).close()

    with ThreadPoolExecutor(TOGETHER) as pool:
        for each in range(ROUNDS):
            path = tmp_path / str(each) / "new.db"
            for one in [pool.submit(opened, path) for _ in range(TOGETHER)]:
                one.result()
