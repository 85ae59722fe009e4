"""A forked child has the command line of a process that was started alone, where setproctitle is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORK = """
import os, signal
from pathlib import Path
from parley.services.node.forking import Signals, fork

def tell():
    print(Path("/proc/self/cmdline").read_bytes().replace(b"\\0", b" ").decode().strip())
    print(Path("/proc/self/comm").read_text().strip())

with Signals(signal.SIGTERM) as signals:
    _, status = os.waitpid(fork(tell, signals, "services.location"), 0)
raise SystemExit(os.waitstatus_to_exitcode(status))
"""
WITHOUT = "import sys; sys.modules['setproctitle'] = None\n"

pytestmark = pytest.mark.skipif(not Path("/proc/self/comm").exists(), reason="this system has no /proc")


def lines_of(code):
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


def test_a_child_is_found_by_the_name_of_its_module():
    pytest.importorskip("setproctitle")
    assert lines_of(FORK) == [f"{sys.executable} -m services.location", "parley-location"]


def test_without_setproctitle_a_child_keeps_the_supervisor_s_name():
    assert lines_of(WITHOUT + FORK)[0].startswith(f"{sys.executable} -c import sys;")
