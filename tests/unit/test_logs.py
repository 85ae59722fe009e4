"""Logs that cannot be written."""

import errno
import io
import sys

import pytest
import structlog

from parley.shared.config import LogConfig
from parley.shared.telemetry import logs


@pytest.fixture(autouse=True)
def _reset():
    yield
    structlog.reset_defaults()


class FullDisk(io.RawIOBase):
    """What standard error is when it goes to a file on a disk without room."""

    is_full = True
    written = b""

    def writable(self):
        return True

    def write(self, data):
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.written += bytes(data)
        return len(data)


def test_a_log_that_cannot_be_written_stops_nobody(monkeypatch):
    disk = FullDisk()
    full = io.TextIOWrapper(io.BufferedWriter(disk), line_buffering=True)
    monkeypatch.setattr(sys, "stderr", full)
    logs.configure(LogConfig(format="json"))
    for number in range(1000):  # more than any buffer takes
        logs.get().error("mailbox_write_failed", number=number, error="x" * 100)
    disk.is_full = False
    logs.get().info("mailbox_opened")
    assert b"mailbox_opened" in disk.written


def test_nor_does_one_that_is_closed(monkeypatch, tmp_path):
    closed = (tmp_path / "log").open("w")
    monkeypatch.setattr(sys, "stderr", closed)
    logs.configure(LogConfig(format="json"))
    closed.close()
    logs.get().error("mailbox_write_failed")
