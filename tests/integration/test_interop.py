"""The short form of `make interop`: existing programs beside our nodes, as docs/interop.md says."""

import subprocess
import sys

import pytest

from tests.interop.__main__ import CANNOT
from tests.support.nodes import ROOT

pytestmark = pytest.mark.timed

TIMEOUT = 300.0
"""Seconds for all of it."""


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_existing_programs_fare_as_the_document_says():
    command = [sys.executable, "-m", "tests.interop", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode == CANNOT:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
