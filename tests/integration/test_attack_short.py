"""The short form of `make attack`: attacks of different kinds for some seconds each; see docs/reliability.md."""

import subprocess
import sys

import pytest

from tests.attack.__main__ import CANNOT
from tests.support.nodes import ROOT

pytestmark = pytest.mark.timed

ATTACKS = ("pings", "half-frames", "ask-blocked", "unknown-names", "odd-frames", "server-other-key")
SECONDS, QUIET = 6.0, 1.5
TIMEOUT = 300.0
"""Seconds for all of them, where each that is void because the machine was busy is tried again."""


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces and epoll are Linux's")
def test_people_do_not_notice_that_their_node_is_attacked(figure):
    command = [sys.executable, "-m", "tests.attack", "--only", ",".join(ATTACKS), "--seconds", str(SECONDS)]
    done = subprocess.run(
        [*command, "--quiet", str(QUIET)], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    for line in done.stdout.splitlines():
        figure(line)
    if done.returncode == CANNOT:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
